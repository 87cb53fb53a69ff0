{{/*
The triggers. files/triggers.json, which ./dev chart makes, has what each scaler knows:
keys of the connection, secrets, what is required, and what KEDA's built-in scaler reads differently.
*/}}

{{- define "autoscaled-worker.table" -}}
{{- .Files.Get "files/triggers.json" }}
{{- end }}

{{/* A value as the text that a trigger's metadata has: (context, value). 1000000 must not become 1e+06. */}}
{{- define "autoscaled-worker.text" -}}
{{- if kindIs "slice" .value }}
{{- $texts := list }}
{{- range .value }}{{ $texts = append $texts (include "autoscaled-worker.text" (dict "context" $.context "value" .)) }}{{ end }}
{{- join "," $texts }}
{{- else if and (kindIs "float64" .value) (eq (float64 (int64 .value)) .value) }}
{{- int64 .value }}
{{- else }}
{{- tpl (toString .value) .context | trim }}
{{- end }}
{{- end }}

{{/*
The text of a trigger's option; the chart's own have none: (context, table, row, given, key, value). A secret is never evaluated:
it may look like a template, and Helm's error would show it.
*/}}
{{- define "autoscaled-worker.option" -}}
{{- if not (or (kindIs "invalid" .value) (has .given .table.chart)) }}
{{- if has .key .row.secret }}{{ toString .value | trim }}{{ else }}{{ include "autoscaled-worker.text" . }}{{ end }}
{{- end }}
{{- end }}

{{/* keda, external or external-push: (context, path, options). */}}
{{- define "autoscaled-worker.via" -}}
{{- $isJob := eq .context.Values.kind "ScaledJob" }}
{{- $via := .options.via | default .context.Values.keda.via }}
{{- if and $isJob (eq $via "external-push") }}
{{- fail (printf "%s is external-push, but KEDA ignores push notifications for kind ScaledJob: set external" (ternary (printf "%s.via" .path) "keda.via" (not (empty .options.via)))) }}
{{- end }}
{{- ternary (ternary "external" "external-push" $isJob) $via (eq $via "backlog") }}
{{- end }}

{{/* The enabled triggers by their names, as a YAML map: those of keda.triggers, and those at keda.NAME. */}}
{{- define "autoscaled-worker.enabled" -}}
{{- $keda := .Values.keda }}
{{- $table := include "autoscaled-worker.table" . | fromJson }}
{{- $scalers := concat (keys $table.scalers | sortAlpha) $table.resources }}
{{- $enabled := dict }}
{{- range $name, $options := $keda.triggers }}
{{- if and (kindIs "map" $options) (ne (toString $options.enabled) "false") }}
{{- $scaler := $options.scaler | default $name }}
{{- if not (has $scaler $scalers) }}
{{- fail (printf "keda.triggers.%s.scaler is missing: set it to %s" $name (join ", " $scalers)) }}
{{- end }}
{{- $_ := set $enabled $name (dict "scaler" $scaler "path" (printf "keda.triggers.%s" $name) "options" $options) }}
{{- end }}
{{- end }}
{{- $isAlone := not (or $keda.triggers $keda.extraTriggers) }}
{{- range $name := $table.atKeda }}
{{- $options := get $keda $name | default (dict "enabled" false) }}
{{- if ternary (and $isAlone (eq $name "prometheus")) $options.enabled (kindIs "invalid" $options.enabled) }}
{{- if hasKey $enabled $name }}
{{- fail (printf "keda.%s and keda.triggers.%s have the same name: rename the second, and add `scaler: %s`" $name $name $name) }}
{{- end }}
{{- $_ := set $enabled $name (dict "scaler" $name "path" (printf "keda.%s" $name) "options" $options) }}
{{- end }}
{{- end }}
{{- toYaml $enabled }}
{{- end }}

{{/* Those of cpu and memory, which KEDA measures itself, as a YAML map. */}}
{{- define "autoscaled-worker.resources" -}}
{{- $resources := dict }}
{{- range $name, $found := include "autoscaled-worker.enabled" . | fromYaml }}
{{- if has $found.scaler (list "cpu" "memory") }}{{ $_ := set $resources $name $found }}{{ end }}
{{- end }}
{{- toYaml $resources }}
{{- end }}

{{/*
The other ones, as a YAML list: path (of the values), key (of keda.triggers), at (its path), scaler, via, name (of KEDA's trigger),
options. A trigger of Prometheus may have several in it: lagTrigger, bufferTrigger.
*/}}
{{- define "autoscaled-worker.sources" -}}
{{- $context := . }}
{{- $table := include "autoscaled-worker.table" . | fromJson }}
{{- $sources := list }}
{{- range $key, $trigger := include "autoscaled-worker.enabled" . | fromYaml }}
{{- if not (has $trigger.scaler $table.resources) }}
{{- $path := $trigger.path }}
{{- $options := $trigger.options }}
{{- range $given, $target := (get $table.scalers $trigger.scaler).rename }}
{{- if and (get $options $given) (get $options $target) }}
{{- fail (printf "%s.%s and %s.%s mean the same: remove %s" $path $given $path $target $given) }}
{{- end }}
{{- end }}
{{- $via := include "autoscaled-worker.via" (dict "context" $context "path" $path "options" $options) }}
{{- $found := dict "path" $path "key" $key "at" $path "scaler" $trigger.scaler "via" $via }}
{{- $parts := dict }}
{{- range $given, $part := $options }}
{{- if and (eq $trigger.scaler "prometheus") (hasSuffix "Trigger" $given) }}{{ $_ := set $parts $given ($part | default dict) }}{{ end }}
{{- end }}
{{- if not $parts }}
{{- $sources = append $sources (merge (dict "name" ($options.name | default (replace "-" "_" $key)) "options" $options) $found) }}
{{- else if $options.query }}
{{- fail (printf "%s.query is beside %s: move it into one of them, or into a trigger of keda.triggers" $path (keys $parts | sortAlpha | join ", ")) }}
{{- end }}
{{- $common := omit $options "name" }}
{{- range $given, $_ := $parts }}{{ $common = omit $common $given }}{{ end }}
{{- range $given, $part := $parts }}
{{- if and $part (ne (toString $part.enabled) "false") }}
{{- $name := $part.name | default $part.metricName | default (trimSuffix "Trigger" $given) }}
{{- $own := omit $part "enabled" "metricName" "name" }}
{{- $sources = append $sources (merge (dict "path" (printf "%s.%s" $path $given) "name" $name "options" (merge (deepCopy $own) $common)) $found) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- toYaml $sources }}
{{- end }}

{{/*
The secret parameters of a source: `parameters`, each with its Secret and key, and `data`, what the chart's own Secret has of
them. KEDA's built-in scalers read some parameters only from a TriggerAuthentication, even if they are no secrets.
(context, source: an item of sources)
*/}}
{{- define "autoscaled-worker.credentials" -}}
{{- $context := .context }}
{{- $options := .source.options }}
{{- $path := .source.at }}
{{- $row := get (include "autoscaled-worker.table" $context | fromJson).scalers .source.scaler }}
{{- $own := printf "%s-triggers" (include "autoscaled-worker.fullname" $context) }}
{{- $parameters := dict }}
{{- $data := dict }}
{{- $isBuiltIn := eq .source.via "keda" }}
{{- if and $options.password $options.existingSecret }}
{{- fail (printf "%s.password and %s.existingSecret are both set: set one of them" $path $path) }}
{{- end }}
{{- if and $options.secretKeys (not $options.existingSecret) }}
{{- fail (printf "%s.secretKeys needs %s.existingSecret, the Secret that has these keys" $path $path) }}
{{- end }}
{{- if and $isBuiltIn $options.authenticationRef $options.password }}
{{- fail (printf "%s.authenticationRef and %s.password are both set: the TriggerAuthentication has the credentials" $path $path) }}
{{- end }}
{{- if not (or (and $isBuiltIn $options.authenticationRef) (and (not $isBuiltIn) $options.connectionName)) }}
{{- if $options.password }}
{{- $_ := set $data "password" (toString $options.password) }}{{/* as it is: it may look like a template */}}
{{- end }}
{{- $passwordKey := ternary $options.passwordKey "password" (hasKey $options "passwordKey") }}
{{- if and $options.existingSecret $passwordKey }}
{{- $_ := set $parameters "password" (dict "secret" $options.existingSecret "key" $passwordKey) }}
{{- end }}
{{- range $parameter, $key := $options.secretKeys }}
{{- $_ := set $parameters $parameter (dict "secret" $options.existingSecret "key" $key) }}
{{- end }}
{{- if $isBuiltIn }}
{{- range $key := $row.keda.authentication }}
{{- $value := get $options $key }}
{{- if and (not (has $key $row.secret)) (not (or (kindIs "invalid" $value) (eq (toString $value) ""))) }}
{{- $_ := set $data $key (include "autoscaled-worker.text" (dict "context" $context "value" $value)) }}
{{- end }}
{{- end }}
{{- range $row.keda.ignored }}{{ $_ := unset $parameters . }}{{ $_ := unset $data . }}{{ end }}
{{- end }}
{{- range $key := keys $data }}
{{- $_ := set $parameters $key (dict "secret" $own "key" (printf "%s-%s" $.source.key $key)) }}
{{- end }}
{{- end }}
{{- toYaml (dict "parameters" $parameters "data" $data) }}
{{- end }}

{{/* The variable of the worker's container that has a secret parameter: (list key parameter). */}}
{{- define "autoscaled-worker.variable" -}}
KEDA_TRIGGER_{{ printf "%s_%s" (index . 0 | replace "-" "_") (index . 1 | snakecase) | upper }}
{{- end }}

{{/* Whether the scaler can do with this set, by one of some keys: (source, keys, metadata, parameters); empty if not. */}}
{{- define "autoscaled-worker.hasOneOf" -}}
{{- $ := . }}
{{- range .keys }}
{{- if or (hasKey $.metadata .) (hasKey $.metadata (printf "%sFromEnv" .)) (hasKey $.parameters .) }}true{{ end }}
{{- end }}
{{- end }}

{{/* Fails for keys that have no place in a trigger: (path, key, value, row). */}}
{{- define "autoscaled-worker.checkKey" -}}
{{- if has .key .row.secret }}
{{- fail (printf "%s.%s is a secret, and everybody may read a ScaledObject: put it into a Secret, name it in existingSecret, and its key in secretKeys.%s" .path .key .key) }}
{{- end }}
{{- if and (has .key .row.url) (regexMatch ":([0-9]*[^/@\\s0-9][^@\\s]*|[0-9]+)@|(nats|tls)://[^@\\s]+@" .value) }}
{{- fail (printf "%s.%s has a password, and everybody may read a ScaledObject: leave it out of the address, and use password or existingSecret" .path .key) }}
{{- end }}
{{- if and (has .key (list "customHeaders" "queryParameters")) (regexMatch "(?i)(authorization|cookie|password|secret|token|api-?key)\\s*=" .value) }}
{{- fail (printf "%s.%s has a secret, and everybody may read a ScaledObject: use authModes with existingSecret" .path .key) }}
{{- end }}
{{- end }}

{{/* A trigger through Backlog: (context, source). */}}
{{- define "autoscaled-worker.backlogTrigger" -}}
{{- $context := .context }}
{{- $keda := .context.Values.keda }}
{{- $path := .source.path }}
{{- $options := .source.options }}
{{- $table := include "autoscaled-worker.table" $context | fromJson }}
{{- $row := get $table.scalers .source.scaler }}
{{- $parameters := (include "autoscaled-worker.credentials" . | fromYaml).parameters }}
{{- $metadata := dict "scalerAddress" (include "autoscaled-worker.text" (dict "context" $context "value" $keda.backlog.address)) "scaler" .source.scaler }}
{{- if $keda.backlog.tls }}{{ $_ := set $metadata "enableTLS" "true" }}{{ end }}
{{- range $given, $value := $options }}
{{- $key := get $row.rename $given | default $given }}
{{- $plain := trimSuffix "FromEnv" $key }}
{{- $text := include "autoscaled-worker.option" (dict "context" $context "table" $table "row" $row "given" $given "key" $key "value" $value) }}
{{- $isOverridden := or (and $options.connectionName (has $plain $row.connection)) (and $options.servers (has $plain $row.monitoring)) }}
{{- if and (ne $text "") (not (has $given $table.chart)) (not $isOverridden) }}
{{- if hasKey $row.unsupported $plain }}
{{- fail (printf "%s.%s is not supported by Backlog: %s; or set %s.via to keda" $path $given (get $row.unsupported $plain) $path) }}
{{- end }}
{{- include "autoscaled-worker.checkKey" (dict "path" $path "key" $key "value" $text "row" $row) }}
{{- $_ := set $metadata $key $text }}
{{- end }}
{{- end }}
{{- /* What Backlog holds in an outage is as old as the HPA's memory. */}}
{{- $window := int64 (dig "scaleDown" "stabilizationWindowSeconds" 300 ($keda.advanced.horizontalPodAutoscalerConfig.behavior | default dict)) }}
{{- if and (eq $context.Values.kind "Deployment") (ne $window 300) (not (hasKey $metadata "holdWindow")) }}
{{- $_ := set $metadata "holdWindow" (printf "%ds" $window) }}
{{- end }}
{{- range $parameter, $_ := $parameters }}
{{- $_ := set $metadata (printf "%sFromEnv" $parameter) (include "autoscaled-worker.variable" (list $.source.key $parameter)) }}
{{- end }}
{{- /* In an outage KEDA would start jobs for a held value at each poll. */}}
{{- if and (eq $context.Values.kind "ScaledJob") (not (hasKey $metadata "hold")) }}{{ $_ := set $metadata "hold" "0s" }}{{ end }}
{{- if and $keda.fallback.enabled (not $metadata.hold) }}{{ $_ := set $metadata "hold" "60s" }}{{ end }}
{{- if not $metadata.connectionName }}
{{- range $row.required.connection }}
{{- if not (include "autoscaled-worker.hasOneOf" (dict "keys" . "metadata" $metadata "parameters" $parameters)) }}
{{- fail (printf "%s.%s is missing; or name a connection of Backlog in %s.connectionName" $path (join " or " .) $path) }}
{{- end }}
{{- end }}
{{- end }}
type: {{ .source.via }}
{{- with $keda.backlog.authenticationRef }}
{{- if .name }}
authenticationRef:
  name: {{ .name | quote }}
  kind: {{ .kind }}
{{- end }}
{{- end }}
metadata:
  {{- toYaml $metadata | nindent 2 }}
{{- end }}

{{/* A trigger by KEDA's built-in scaler: (context, source). */}}
{{- define "autoscaled-worker.builtInTrigger" -}}
{{- $context := .context }}
{{- $path := .source.path }}
{{- $options := .source.options }}
{{- $table := include "autoscaled-worker.table" $context | fromJson }}
{{- $row := get $table.scalers .source.scaler }}
{{- $parameters := (include "autoscaled-worker.credentials" . | fromYaml).parameters }}
{{- $metadata := dict }}
{{- range $given, $value := $options }}
{{- $key := get $row.rename $given | default $given }}
{{- $plain := trimSuffix "FromEnv" $key }}
{{- $text := include "autoscaled-worker.option" (dict "context" $context "table" $table "row" $row "given" $given "key" $key "value" $value) }}
{{- $isLeftOut := or (has $given $table.chart) (has $given $table.answering) (has $plain $row.keda.ignored) }}
{{- if and (ne $text "") (not $isLeftOut) }}
{{- if or (has $key $table.policy) (has $plain $row.keda.absent) }}
{{- fail (printf "%s.%s is known to Backlog alone, and via is keda: remove it, or set %s.via to backlog" $path $given $path) }}
{{- end }}
{{- if and (ne $plain $key) (not (has $plain $row.keda.variables)) }}
{{- fail (printf "%s.%s: KEDA's %s scaler reads %s from no variable: use existingSecret and secretKeys" $path $given $.source.scaler $plain) }}
{{- end }}
{{- if not (has $key $row.keda.authentication) }}
{{- include "autoscaled-worker.checkKey" (dict "path" $path "key" $key "value" $text "row" $row) }}
{{- $isSwitch := eq $key "brokerTls" }}
{{- $_ := set $metadata (get $row.keda.rename $key | default $key) (ternary (ternary "true" "false" (has $text (list "enable" "true"))) $text $isSwitch) }}
{{- else if has $key $row.secret }}
{{- include "autoscaled-worker.checkKey" (dict "path" $path "key" $key "value" $text "row" $row) }}
{{- end }}
{{- end }}
{{- end }}
{{- range concat $row.required.keda $row.required.connection }}
{{- if not (or $options.authenticationRef (include "autoscaled-worker.hasOneOf" (dict "keys" . "metadata" $metadata "parameters" $parameters))) }}
{{- fail (printf "%s.%s is missing: KEDA's scaler needs it" $path (join " or " .)) }}
{{- end }}
{{- end }}
type: {{ .source.scaler }}
{{- if $options.authenticationRef }}
authenticationRef:
  {{- toYaml $options.authenticationRef | nindent 2 }}
{{- else if $parameters }}
authenticationRef:
  name: "{{ include "autoscaled-worker.fullname" $context }}-{{ .source.key }}"
{{- end }}
metadata:
  {{- toYaml $metadata | nindent 2 }}
{{- end }}

{{/* One trigger of a source: (context, source). */}}
{{- define "autoscaled-worker.trigger" -}}
{{- $row := get (include "autoscaled-worker.table" .context | fromJson).scalers .source.scaler }}
{{- $trigger := include (ternary "autoscaled-worker.builtInTrigger" "autoscaled-worker.backlogTrigger" (eq .source.via "keda")) . | fromYaml }}
{{- if $trigger.Error }}{{ fail (printf "%s: %s" .source.path $trigger.Error) }}{{ end }}
{{- $parameters := (include "autoscaled-worker.credentials" . | fromYaml).parameters }}
{{- range $row.required.query }}
{{- if not (include "autoscaled-worker.hasOneOf" (dict "keys" . "metadata" $trigger.metadata "parameters" $parameters)) }}
{{- fail (printf "%s.%s is missing" $.source.path (join " or " .)) }}
{{- end }}
{{- end }}
{{- $_ := set $trigger "name" .source.name }}
{{- with .source.options.metricType }}{{ $_ := set $trigger "metricType" . }}{{ end }}
{{- if .source.options.useCachedMetrics }}{{ $_ := set $trigger "useCachedMetrics" true }}{{ end }}
{{- toYaml $trigger }}
{{- end }}

{{/* All triggers, as a YAML list. */}}
{{- define "autoscaled-worker.triggers" -}}
{{- $context := . }}
{{- $triggers := list }}
{{- range include "autoscaled-worker.sources" . | fromYamlArray }}
{{- $triggers = append $triggers (include "autoscaled-worker.trigger" (dict "context" $context "source" .) | fromYaml) }}
{{- end }}
{{- range $name, $found := include "autoscaled-worker.resources" $context | fromYaml }}
{{- $options := $found.options }}
{{- if not $options.value }}
{{- fail (printf "%s.value is missing: set it to a percentage, such as 80" $found.path) }}
{{- end }}
{{- $metadata := dict "value" (include "autoscaled-worker.text" (dict "context" $context "value" $options.value)) }}
{{- with $options.containerName }}{{ $_ := set $metadata "containerName" . }}{{ end }}
{{- $triggers = append $triggers (dict "type" $found.scaler "metricType" ($options.metricType | default "Utilization") "metadata" $metadata) }}
{{- end }}
{{- $triggers = concat $triggers $context.Values.keda.extraTriggers }}
{{- $names := dict }}
{{- range $triggers }}
{{- if and .name (hasKey $names .name) }}
{{- fail (printf "two triggers have the name %s: set another `name` in one of them" .name) }}
{{- end }}
{{- with .name }}{{ $_ := set $names . true }}{{ end }}
{{- end }}
{{- if $triggers }}{{ toYaml $triggers }}{{ else }}[]{{ end }}
{{- end }}

{{/* What the worker's container has for its triggers: KEDA reads it there. A YAML list. */}}
{{- define "autoscaled-worker.triggerEnv" -}}
{{- $context := . }}
{{- $env := list }}
{{- $owners := dict }}
{{- if .Values.keda.enabled }}
{{- range include "autoscaled-worker.sources" . | fromYamlArray }}
{{- $source := . }}
{{- if ne .via "keda" }}
{{- range $parameter, $from := (include "autoscaled-worker.credentials" (dict "context" $context "source" .) | fromYaml).parameters }}
{{- $name := include "autoscaled-worker.variable" (list $source.key $parameter) }}
{{- /* sentinelPassword of jobs, and password of jobs-sentinel; of two equal names the container has the last one. */}}
{{- $owner := get $owners $name | default (dict "at" $source.at "from" $from) }}
{{- if ne (toJson $owner.from) (toJson $from) }}
{{- fail (printf "%s and %s have different secrets in one variable, %s: give one of these triggers another name" $owner.at $source.at $name) }}
{{- end }}
{{- $_ := set $owners $name $owner }}
{{- $env = append $env (dict "name" $name "valueFrom" (dict "secretKeyRef" (dict "name" $from.secret "key" $from.key))) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- toYaml ($env | uniq) }}
{{- end }}
