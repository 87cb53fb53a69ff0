{{- define "autoscaled-worker.image" -}}
{{- $image := .Values.image }}
{{- $registry := .Values.global.imageRegistry | default $image.registry }}
{{- $name := ternary (printf "%s/%s" $registry $image.repository) $image.repository (ne $registry "") }}
{{- if not $image.repository }}{{ .Chart.Name }}:{{ .Chart.Version }}{{/* none, but the API server accepts it */}}
{{- else if $image.digest }}{{ $name }}@{{ $image.digest }}{{ else }}{{ $name }}:{{ $image.tag }}{{ end }}
{{- end }}

{{/* The template of the Deployment's or the Job's pods: (context, restartPolicy or nothing). */}}
{{- define "autoscaled-worker.podTemplate" -}}
{{- $ := .context }}
{{- $values := .context.Values -}}
metadata:
  {{- include "autoscaled-worker.labelsAndAnnotations" (dict "context" $ "labels" $values.podLabels "annotations" $values.podAnnotations) | nindent 2 }}
spec:
  serviceAccountName: {{ include "autoscaled-worker.serviceAccountName" $ | quote }}
  automountServiceAccountToken: {{ $values.serviceAccount.automountServiceAccountToken }}
  {{- with .restartPolicy }}
  restartPolicy: {{ . }}
  {{- end }}
  terminationGracePeriodSeconds: {{ int64 $values.terminationGracePeriodSeconds }}
  {{- with concat $values.imagePullSecrets ($values.global.imagePullSecrets | default list) | uniq }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.priorityClassName }}
  priorityClassName: {{ . | quote }}
  {{- end }}
  {{- with $values.podSecurityContext }}
  securityContext:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.initContainers }}
  initContainers:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    # The first one: KEDA reads the variables of its triggers here.
    - {{ include "autoscaled-worker.container" $ | nindent 6 | trim }}
    {{- with $values.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- range $field := list "volumes" "nodeSelector" "tolerations" "affinity" }}
  {{- with get $values $field }}
  {{ $field }}:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
  {{- with $values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- range . }}
    - {{ toYaml . | nindent 6 | trim }}
      {{- if not .labelSelector }}
      labelSelector:
        matchLabels:
          {{- include "autoscaled-worker.selector" $ | nindent 10 }}
      {{- end }}
    {{- end }}
  {{- end }}
{{- end }}

{{- define "autoscaled-worker.container" -}}
name: {{ include "autoscaled-worker.name" . | quote }}
image: {{ include "autoscaled-worker.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- with concat (include "autoscaled-worker.triggerEnv" . | fromYamlArray) .Values.env }}
env:
  {{- (include "autoscaled-worker.evaluated" (dict "context" $ "value" .) | fromJson).value | toYaml | nindent 2 }}
{{- end }}
{{- $values := .Values }}
{{- range $field := list "command" "args" "envFrom" "ports" "resources" "livenessProbe" "readinessProbe" "startupProbe" "lifecycle" "volumeMounts" }}
{{- with get $values $field }}
{{ $field }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- with .Values.containerSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
