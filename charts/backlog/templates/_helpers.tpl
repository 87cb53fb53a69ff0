{{/* ---- names ---- */}}

{{- define "backlog.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "backlog.fullname" -}}
{{- $name := include "backlog.name" . }}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) }}
{{- default $full .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "backlog.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride }}
{{- end }}

{{/* Of objects without a namespace: another release may have the same name in another one. */}}
{{- define "backlog.clusterName" -}}
{{ include "backlog.fullname" . }}.{{ include "backlog.namespace" . }}
{{- end }}

{{- define "backlog.host" -}}
{{ include "backlog.fullname" . }}.{{ include "backlog.namespace" . }}.svc
{{- end }}

{{/* Of the Service that keeps a reader at one pod. */}}
{{- define "backlog.httpName" -}}
{{ include "backlog.fullname" . | trunc 58 | trimSuffix "-" }}-http
{{- end }}

{{/* What clients may call the HTTP port: the names of both Services, and the API server's in the cluster, which its proxy passes on. */}}
{{- define "backlog.httpHosts" -}}
{{- $hosts := list }}
{{- range $name := list (include "backlog.fullname" .) (include "backlog.httpName" .) }}
{{- $short := printf "%s.%s" $name (include "backlog.namespace" $) }}
{{- $hosts = concat $hosts (list $name $short (printf "%s.svc" $short) (printf "%s.svc.%s" $short $.Values.clusterDomain)) }}
{{- end }}
{{- concat $hosts (list "kubernetes.default.svc") .Values.http.hosts | uniq | toYaml }}
{{- end }}

{{- define "backlog.address" -}}
{{ include "backlog.host" . }}:{{ .Values.service.port }}
{{- end }}

{{- define "backlog.serviceAccountName" -}}
{{- default (ternary (include "backlog.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name }}
{{- end }}

{{/* ---- metadata ---- */}}

{{- define "backlog.selector" -}}
app.kubernetes.io/name: {{ include "backlog.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{/* Labels and annotations, each key once. (dict "context" $ "labels" ... "annotations" ... "labelName" in place of the name) */}}
{{- define "backlog.labelsAndAnnotations" -}}
{{- $ := .context }}
{{- $own := include "backlog.selector" $ | fromYaml }}
{{- $_ := set $own "app.kubernetes.io/version" ($.Chart.AppVersion | trunc 63) }}
{{- $_ := set $own "app.kubernetes.io/managed-by" $.Release.Service }}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" $.Chart.Name $.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") }}
{{- with .labelName }}{{ $_ := set $own "app.kubernetes.io/name" . }}{{ end -}}
labels:
  {{- mergeOverwrite (dict) $.Values.commonLabels (.labels | default dict) $own | toYaml | nindent 2 }}
{{- with mergeOverwrite (dict) $.Values.commonAnnotations (.annotations | default dict) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The metadata of an object: besides the above "name", and "namespace" where it is another one than the release's. */}}
{{- define "backlog.metadata" -}}
name: {{ .name | default (include "backlog.fullname" .context) | quote }}
{{- if not .isClusterScoped }}
namespace: {{ .namespace | default (include "backlog.namespace" .context) | quote }}
{{- end }}
{{ include "backlog.labelsAndAnnotations" . }}
{{- end }}

{{/* ---- templates in values ---- */}}

{{/*
A value whose strings, and names of a map, are templates, each by itself: (context, value), as JSON of {"value": ...}. In YAML as a
whole, what a template gives would be read as YAML: of two lines one would be left.
*/}}
{{- define "backlog.evaluated" -}}
{{- $value := .value }}
{{- if typeIs "string" .value }}
{{- $value = tpl .value .context }}
{{- else if kindIs "map" .value }}
{{- $value = dict }}
{{- range $key, $item := .value }}
{{- $_ := set $value (tpl $key $.context) (include "backlog.evaluated" (dict "context" $.context "value" $item) | fromJson).value }}
{{- end }}
{{- else if kindIs "slice" .value }}
{{- $value = list }}
{{- range .value }}
{{- $value = append $value (include "backlog.evaluated" (dict "context" $.context "value" .) | fromJson).value }}
{{- end }}
{{- end }}
{{- toJson (dict "value" $value) }}
{{- end }}

{{/* ---- images ---- */}}

{{/* (dict "context" $ "image" ... "tag" the default) */}}
{{- define "backlog.image" -}}
{{- $registry := .context.Values.global.imageRegistry | default .image.registry }}
{{- $name := ternary (printf "%s/%s" $registry .image.repository) .image.repository (ne $registry "") }}
{{- if .image.digest }}
{{- printf "%s@%s" $name .image.digest }}
{{- else }}
{{- printf "%s:%s" $name (.image.tag | default .tag) }}
{{- end }}
{{- end }}

{{- define "backlog.imagePullSecrets" -}}
{{- with concat .Values.imagePullSecrets (.Values.global.imagePullSecrets | default list) | uniq }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* ---- flags ---- */}}

{{/* A number of values.yaml is a float, and 1e+07 no flag's value. */}}
{{- define "backlog.scalar" -}}
{{- if and (kindIs "float64" .) (eq (float64 (int64 .)) .) }}{{ int64 . }}{{ else }}{{ . }}{{ end }}
{{- end }}

{{/* The seconds of a duration such as 1m30s, rounded up. */}}
{{- define "backlog.seconds" -}}
{{- $seconds := 0.0 }}
{{- range regexFindAll "[0-9.]+(ms|s|m|h)" . -1 }}
{{- $unit := regexFind "[a-z]+$" . }}
{{- $seconds = addf $seconds (mulf (trimSuffix $unit . | float64) (get (dict "ms" 0.001 "s" 1.0 "m" 60.0 "h" 3600.0) $unit)) }}
{{- end }}
{{- ceil $seconds | int64 }}
{{- end }}

{{/* The words behind `backlog serve`, as a YAML list. */}}
{{- define "backlog.arguments" -}}
{{- $arguments := list
  "--listen" (printf "[::]:%d" (int .Values.service.port))
  "--http" (printf "[::]:%d" (int .Values.http.port))
  "--http-hosts" (include "backlog.httpHosts" . | fromYamlArray | join ",")
  "--probes" (printf "[::]:%d" (int .Values.probes.port))
  "--config" "/etc/backlog/config/connections.yaml" }}
{{- range $key, $value := .Values.config }}
{{- $flag := printf "--%s" (kebabcase $key) }}
{{- if kindIs "bool" $value }}
{{- if $value }}{{ $arguments = append $arguments $flag }}{{ end }}
{{- else if kindIs "slice" $value }}
{{- $arguments = concat $arguments (list $flag (join "," $value)) }}
{{- else }}
{{- $arguments = concat $arguments (list $flag (include "backlog.scalar" $value)) }}
{{- end }}
{{- end }}
{{- if .Values.http.tokenSecret }}
{{- $arguments = concat $arguments (list "--http-token-file" "/etc/backlog/http/token") }}
{{- end }}
{{- $tls := include "backlog.tls" . | fromYaml }}
{{- if $tls.secret }}
{{- $arguments = concat $arguments (list "--tls-cert" "/etc/backlog/tls/tls.crt" "--tls-key" "/etc/backlog/tls/tls.key") }}
{{- end }}
{{- if $tls.clientCASecret }}
{{- $arguments = concat $arguments (list "--tls-client-ca" "/etc/backlog/client-ca/ca.crt") }}
{{- end }}
{{- if .Values.peers.enabled }}
{{- $arguments = concat $arguments (list "--peers" (include "backlog.address" .)) }}
{{- end }}
{{- with $tls.clientNames }}
{{- $names := ternary (append . (include "backlog.host" $)) . $.Values.peers.enabled }}
{{- $arguments = concat $arguments (list "--tls-client-names" (join "," $names)) }}
{{- end }}
{{- with .Values.workers.namespaces }}
{{- $arguments = concat $arguments (list "--workers" (join "," .)) }}
{{- end }}
{{- if .Values.kubernetes.enabled }}
{{- $arguments = concat $arguments (list "--kubernetes" "--kubernetes-cluster-namespace" .Values.keda.namespace) }}
{{- if .Values.kubernetes.readHpas }}
{{- $arguments = append $arguments "--kubernetes-hpa" }}
{{- end }}
{{- if .Values.kubernetes.allowAuthentications }}
{{- $arguments = append $arguments "--kubernetes-allow-authentications" }}
{{- end }}
{{- with .Values.kubernetes.clusterAuthentications }}
{{- $arguments = concat $arguments (list "--kubernetes-cluster-authentications" (toJson .)) }}
{{- end }}
{{- end }}
{{- /* The server refuses a flag that it is given twice, so a repetition would crash the pods. */}}
{{- range .Values.extraArgs }}
{{- $flag := regexReplaceAll "=.*" . "" }}
{{- if and (hasPrefix "--" .) (has $flag $arguments) }}
{{- fail (printf "extraArgs repeats %s: set %s" $flag (include "backlog.valueOfFlag" (list $ $flag))) }}
{{- end }}
{{- $arguments = append $arguments (ternary $flag . (hasPrefix "--" .)) }}
{{- if ne $flag . }}{{ if hasPrefix "--" . }}{{ $arguments = append $arguments (trimPrefix (printf "%s=" $flag) .) }}{{ end }}{{ end }}
{{- end }}
{{- toYaml $arguments }}
{{- end }}

{{/* Which value sets a flag. */}}
{{- define "backlog.valueOfFlag" -}}
{{- $flag := trimPrefix "--" (index . 1) }}
{{- $others := dict "listen" "service.port" "http" "http.port" "http-hosts" "http.hosts" "http-token-file" "http.tokenSecret" "probes" "probes.port" "config" "connections" "workers" "workers.namespaces" "peers" "peers.enabled" }}
{{- if hasPrefix "tls-" $flag }}tls
{{- else if hasPrefix "kubernetes" $flag }}kubernetes
{{- else if hasKey $others $flag }}{{ get $others $flag }}
{{- else if has $flag (include "backlog.flags" (index . 0).Files | fromYamlArray) }}config.{{ camelcase (replace "-" "_" $flag) | untitle }}
{{- else }}it once
{{- end }}
{{- end }}

{{/* What the server of this version knows, made by ./dev chart. */}}
{{- define "backlog.flags" -}}
{{- (.Get "files/reference.json" | fromJson).flags | toYaml }}
{{- end }}

{{/* ---- TLS ---- */}}

{{/* secret, clientCASecret, clientNames, clientSecret (KEDA's), whoever made them. */}}
{{- define "backlog.tls" -}}
{{- $certManager := .Values.tls.certManager }}
{{- if $certManager.enabled }}
{{- $secret := printf "%s-tls" (include "backlog.fullname" .) }}
secret: {{ $secret | quote }}
{{- if $certManager.client.enabled }}
clientCASecret: {{ $secret | quote }}
clientNames: [{{ $certManager.client.name | quote }}]
clientSecret: {{ $certManager.client.secretName | default (printf "%s-client" (include "backlog.fullname" .)) | quote }}
{{- end }}
{{- else }}
{{- pick .Values.tls "secret" "clientCASecret" "clientNames" | toYaml }}
{{- end }}
{{- end }}

{{- define "backlog.clusterTriggerAuthentication" -}}
{{- .Values.tls.clusterTriggerAuthentication.name | default (include "backlog.fullname" .) }}
{{- end }}

{{/* ---- connections ---- */}}

{{/* Keys whose value is always a secret. A test holds them against the scalers' own tables. */}}
{{- define "backlog.secretKeys" -}}
(?i)(password|secret|token|accessKey|apiKey|credentials|seed|keytab|customAuthValue)$|^key$
{{- end }}

{{/* Texts that have a secret in them: user:password@ (NATS takes a token in their place), headers and parameters, keys. */}}
{{- define "backlog.secretTexts" -}}
(?i):([0-9]*[^/@\s0-9][^@\s]*|[0-9]+)@|(nats|tls)://[^@\s]+@|(authorization|cookie|password|secret|token|assertion|api-?key)\s*=|PRIVATE KEY-----
{{- end }}

{{/* The connections file. A secret has no place in a ConfigMap, which more people may read than a Secret. */}}
{{- define "backlog.connections" -}}
{{- $connections := dict }}
{{- range $connection, $options := .Values.connections }}
{{- $written := dict }}
{{- range $key, $value := omit $options "secret" }}
{{- /* The rules of a kerberosConfig look like user:password@. */}}
{{- if or (regexMatch (include "backlog.secretKeys" $) $key) (and (ne $key "kerberosConfig") (regexMatch (include "backlog.secretTexts" $) (toString $value))) }}
{{- fail (printf "connections.%s.%s holds a secret, and everybody may read a ConfigMap: put it into a Secret, name that Secret in connections.%s.secret, and set %sFile to its key" $connection $key $connection $key) }}
{{- end }}
{{- if hasSuffix "File" $key }}
{{- if not (hasPrefix "/" $value) }}
{{- if not $options.secret }}
{{- fail (printf "connections.%s.%s is \"%s\", a key of a Secret: name the Secret in connections.%s.secret, or give a path that starts with /" $connection $key $value $connection) }}
{{- end }}
{{- $value = printf "/etc/backlog/secrets/%s/%s" $options.secret $value }}
{{- else if hasPrefix "/etc/backlog/secrets/" $value }}
{{- $parts := splitList "/" (trimPrefix "/etc/backlog/secrets/" $value) }}
{{- $mounted := has (first $parts) (include "backlog.secrets" $ | fromYamlArray) }}
{{- range $.Values.extraVolumeMounts }}{{ if hasPrefix (printf "%s/" (trimSuffix "/" .mountPath)) $value }}{{ $mounted = true }}{{ end }}{{ end }}
{{- if not $mounted }}
{{- fail (printf "connections.%s.%s is \"%s\", and no Secret %s is mounted there: add it to secrets" $connection $key $value (first $parts)) }}
{{- end }}
{{- if lt (len (compact $parts)) 2 }}
{{- fail (printf "connections.%s.%s is \"%s\", a folder: add the key of the Secret, as in %s/KEY" $connection $key $value (trimSuffix "/" $value)) }}
{{- end }}
{{- end }}
{{- $_ := set $written $key $value }}
{{- else if kindIs "slice" $value }}
{{- $items := list }}
{{- range $value }}{{ $items = append $items (include "backlog.scalar" .) }}{{ end }}
{{- $_ := set $written $key $items }}
{{- else if kindIs "float64" $value }}
{{- $_ := set $written $key (int64 $value) }}
{{- else }}
{{- $_ := set $written $key $value }}
{{- end }}
{{- end }}
{{- $_ := set $connections $connection $written }}
{{- end }}
{{- toYaml (dict "connections" $connections) }}
{{- end }}

{{/* The Secrets to mount, each once, as a YAML list. */}}
{{- define "backlog.secrets" -}}
{{- $names := .Values.secrets }}
{{- range .Values.connections }}
{{- with .secret }}{{ $names = append $names . }}{{ end }}
{{- end }}
{{- $names | uniq | sortAlpha | toYaml }}
{{- end }}

{{/* A Secret's name may be longer than a volume's, and have dots. */}}
{{- define "backlog.volume" -}}
secret-{{ sha256sum . | trunc 12 }}
{{- end }}

{{/* For the notes and the test: what a trigger of each scaler says beside its connection. Of one without a row: nothing. */}}
{{- define "backlog.examples" -}}
kafka: &kafka {consumerGroup: worker, topic: orders, lagThreshold: "5"}
apache-kafka: *kafka
nats-jetstream: {stream: orders, consumer: worker, lagThreshold: "5"}
rabbitmq: {queueName: orders, mode: QueueLength, value: "5"}
redis: &redis {listName: orders, listLength: "5"}
redis-sentinel: *redis
redis-cluster: *redis
redis-streams: &streams {stream: orders, consumerGroup: worker, lagCount: "5"}
redis-sentinel-streams: *streams
redis-cluster-streams: *streams
postgresql: {query: "SELECT count(*) FROM orders WHERE state = 'new'", targetQueryValue: "5"}
prometheus: {query: 'sum(orders_waiting{shop="eu"})', threshold: "5"}
metrics-api: {valueLocation: orders.waiting, targetValue: "5"}
{{- end }}

{{/* ---- the pods ---- */}}

{{/* The chart's own PriorityClass, unless the values name another one. */}}
{{- define "backlog.priorityClassName" -}}
{{- if .Values.priorityClassName }}{{ .Values.priorityClassName }}
{{- else if .Values.priorityClass.create }}{{ include "backlog.clusterName" . }}
{{- end }}
{{- end }}

{{/* Pods of a NetworkPolicy: (namespace, podLabels). */}}
{{- define "backlog.peer" -}}
- namespaceSelector:
    matchLabels:
      kubernetes.io/metadata.name: {{ .namespace | quote }}
  {{- with .podLabels }}
  podSelector:
    matchLabels:
      {{- toYaml . | nindent 6 }}
  {{- end }}
{{- end }}

{{/* The pods of helm test, which are none of the server's. */}}
{{- define "backlog.testSelector" -}}
app.kubernetes.io/name: {{ include "backlog.name" . | trunc 58 | trimSuffix "-" }}-test
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{/* ---- monitoring ---- */}}

{{/* The spec of a ServiceMonitor or PodMonitor, whose `job` is the full name: rules and dashboards select by it. */}}
{{- define "backlog.monitor" -}}
{{- $ := .context }}
{{- $job := dict "targetLabel" "job" "replacement" (include "backlog.fullname" $) }}
{{- $endpoint := dict "port" "http" "path" "/metrics" "interval" .values.interval "relabelings" (prepend .values.relabelings $job) }}
{{- with .values.scrapeTimeout }}{{ $_ := set $endpoint "scrapeTimeout" . }}{{ end }}
{{- with .values.metricRelabelings }}{{ $_ := set $endpoint "metricRelabelings" . }}{{ end }}
{{- if .values.honorLabels }}{{ $_ := set $endpoint "honorLabels" true }}{{ end }}
{{- $spec := dict
  "selector" (dict "matchLabels" (include "backlog.selector" $ | fromYaml))
  "namespaceSelector" (dict "matchNames" (list (include "backlog.namespace" $)))
  .endpoints (list (mergeOverwrite $endpoint .values.endpoint)) }}
{{- mergeOverwrite $spec .values.spec | toYaml }}
{{- end }}
