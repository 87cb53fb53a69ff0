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

{{/* The connections file. What is secret has no place in a ConfigMap, which more people may read than a Secret. */}}
{{- define "backlog.connections" -}}
{{- range $connection, $options := .Values.connections }}
{{- range $key, $value := $options }}
{{- if or (regexMatch "(?i)(password|secret|token|secretAccessKey|apiKey|nkey|seed)$|^key$" $key) (regexMatch "://[^/@:]*:[^/@]+@" (toString $value)) }}
{{- fail (printf "connections.%s.%s holds a secret and would lie readable in a ConfigMap: put it into a Secret, list that under secrets, and say %sFile: /etc/backlog/secrets/<secret>/<key>" $connection $key $key) }}
{{- end }}
{{- end }}
{{- end }}
{{- toYaml (dict "connections" .Values.connections) }}
{{- end }}
