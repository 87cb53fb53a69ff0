{{- define "backlog.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "backlog.fullname" -}}
{{- $name := include "backlog.name" . }}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) }}
{{- default $full .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "backlog.selector" -}}
app.kubernetes.io/name: {{ include "backlog.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "backlog.labels" -}}
{{ include "backlog.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "backlog.serviceAccountName" -}}
{{- default (ternary (include "backlog.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name }}
{{- end }}

{{- define "backlog.address" -}}
{{ include "backlog.fullname" . }}.{{ .Release.Namespace }}.svc:{{ .Values.service.port }}
{{- end }}

{{/* TLS: what one value needs of another. */}}
{{- define "backlog.checkTLS" -}}
{{- if and .clientCASecret (not .secret) }}
{{- fail "tls.clientCASecret needs tls.secret: the server has to show a certificate, too" }}
{{- end }}
{{- if and .clientNames (not .clientCASecret) }}
{{- fail "tls.clientNames needs tls.clientCASecret: without it nobody proves a name" }}
{{- end }}
{{- end }}

{{/* Keys whose value is a secret, whatever it is. A test holds them against the scalers' own tables. */}}
{{- define "backlog.secretKeys" -}}
(?i)(password|secret|token|accessKey|apiKey|credentials|seed|keytab|customAuthValue)$|^key$
{{- end }}

{{/* Texts that have a secret in them: user:password@ (NATS takes a token in their place), headers and parameters, keys. */}}
{{- define "backlog.secretTexts" -}}
(?i):([0-9]*[^/@\s0-9][^@\s]*|[0-9]+)@|(nats|tls)://[^@\s]+@|(authorization|cookie|password|secret|token|assertion|api-?key)\s*=|PRIVATE KEY-----
{{- end }}

{{/* The connections file. What is secret has no place in a ConfigMap, which more people may read than a Secret. */}}
{{- define "backlog.connections" -}}
{{- range $connection, $options := .Values.connections }}
{{- range $key, $value := $options }}
{{- /* The rules of a kerberosConfig look like user:password@. */}}
{{- if or (regexMatch (include "backlog.secretKeys" $) $key) (and (ne $key "kerberosConfig") (regexMatch (include "backlog.secretTexts" $) (toString $value))) }}
{{- fail (printf "connections.%s.%s holds a secret and would lie readable in a ConfigMap: put it into a Secret, list that under secrets, and say %sFile: /etc/backlog/secrets/<secret>/<key>" $connection $key $key) }}
{{- end }}
{{- end }}
{{- end }}
{{- toYaml (dict "connections" .Values.connections) }}
{{- end }}

{{/* For the notes: what a trigger of each scaler says beside its connection. */}}
{{- define "backlog.examples" -}}
kafka: &kafka {consumerGroup: worker, topic: orders, lagThreshold: "5"}
apache-kafka: *kafka
nats-jetstream: {stream: orders, consumer: worker, lagThreshold: "5"}
rabbitmq: {queueName: orders, mode: QueueLength, value: "5"}
redis: {listName: orders, listLength: "5"}
redis-streams: {stream: orders, consumerGroup: worker, lagCount: "5"}
postgresql: {query: "SELECT count(*) FROM orders WHERE state = 'new'", targetQueryValue: "5"}
prometheus: {query: 'sum(orders_waiting{shop="eu"})', threshold: "5"}
{{- end }}
