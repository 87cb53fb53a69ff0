{{/* ---- names ---- */}}

{{- define "autoscaled-worker.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" }}
{{- end }}

{{/* At most 52 characters: KEDA's HPA is keda-hpa-<name>, a ScaledJob's Job <name>-<suffix>, and both end at 63. */}}
{{- define "autoscaled-worker.fullname" -}}
{{- $name := include "autoscaled-worker.name" . }}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) }}
{{- default $full .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "autoscaled-worker.serviceAccountName" -}}
{{- default (ternary (include "autoscaled-worker.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name }}
{{- end }}

{{/* ---- metadata ---- */}}

{{- define "autoscaled-worker.selector" -}}
app.kubernetes.io/name: {{ include "autoscaled-worker.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{/* Labels and annotations, each key once: (dict "context" $ "labels" ... "annotations" ...). */}}
{{- define "autoscaled-worker.labelsAndAnnotations" -}}
{{- $ := .context }}
{{- $own := include "autoscaled-worker.selector" $ | fromYaml }}
{{- $_ := set $own "app.kubernetes.io/managed-by" $.Release.Service }}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" $.Chart.Name $.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") }}
{{- with $.Values.image.tag }}{{ $_ := set $own "app.kubernetes.io/version" (toString . | trunc 63 | trimAll "-_.") }}{{ end -}}
labels:
  {{- mergeOverwrite (dict) $.Values.commonLabels (.labels | default dict) $own | toYaml | nindent 2 }}
{{- with mergeOverwrite (dict) $.Values.commonAnnotations (.annotations | default dict) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The metadata of an object: besides the above "name". */}}
{{- define "autoscaled-worker.metadata" -}}
name: {{ .name | default (include "autoscaled-worker.fullname" .context) | quote }}
namespace: {{ .context.Release.Namespace | quote }}
{{ include "autoscaled-worker.labelsAndAnnotations" . }}
{{- end }}

{{/* ---- templates in values ---- */}}

{{/*
A value whose strings, and names of a map, are templates, each by itself: (context, value), as JSON of {"value": ...}. In YAML as a
whole, what a template gives would be read as YAML: of two lines one would be left.
*/}}
{{- define "autoscaled-worker.evaluated" -}}
{{- $value := .value }}
{{- if typeIs "string" .value }}
{{- $value = tpl .value .context }}
{{- else if kindIs "map" .value }}
{{- $value = dict }}
{{- range $key, $item := .value }}
{{- $_ := set $value (tpl $key $.context) (include "autoscaled-worker.evaluated" (dict "context" $.context "value" $item) | fromJson).value }}
{{- end }}
{{- else if kindIs "slice" .value }}
{{- $value = list }}
{{- range .value }}
{{- $value = append $value (include "autoscaled-worker.evaluated" (dict "context" $.context "value" .) | fromJson).value }}
{{- end }}
{{- end }}
{{- toJson (dict "value" $value) }}
{{- end }}

{{/* ---- scaling ---- */}}

{{/* A minReplicaCount of 0 is usually the default, so it does not win over a minReplicas. */}}
{{- define "autoscaled-worker.minReplicaCount" -}}
{{- max (int64 .Values.keda.minReplicaCount) (int64 .Values.keda.minReplicas) }}
{{- end }}

{{- define "autoscaled-worker.maxReplicaCount" -}}
{{- int64 (.Values.keda.maxReplicaCount | default .Values.keda.maxReplicas | default 10) }}
{{- end }}

{{/* Whether idleReplicaCount says more than minReplicaCount; empty if not. */}}
{{- define "autoscaled-worker.hasIdle" -}}
{{- if and (not (kindIs "invalid" .Values.keda.idleReplicaCount)) (ne (include "autoscaled-worker.minReplicaCount" .) "0") }}true{{ end }}
{{- end }}

{{/* Whether KEDA, and not the HPA, removes the last replicas; empty if not. */}}
{{- define "autoscaled-worker.canBeIdle" -}}
{{- if or (eq (include "autoscaled-worker.minReplicaCount" .) "0") (not (kindIs "invalid" .Values.keda.idleReplicaCount)) }}true{{ end }}
{{- end }}

{{/* Whether the chart makes an HPA: KEDA makes one, too, and two would fight over the replicas. Empty if not. */}}
{{- define "autoscaled-worker.hasHpa" -}}
{{- if and .Values.autoscaling.enabled (not .Values.keda.enabled) }}true{{ end }}
{{- end }}

{{/* Whether somebody else sets the replicas of the Deployment; empty if not. */}}
{{- define "autoscaled-worker.isScaled" -}}
{{- if or .Values.keda.enabled .Values.autoscaling.enabled }}true{{ end }}
{{- end }}

{{/* A metric of an HPA: (list "cpu" 80). */}}
{{- define "autoscaled-worker.utilization" -}}
type: Resource
resource:
  name: {{ index . 0 }}
  target:
    type: Utilization
    averageUtilization: {{ int64 (index . 1) }}
{{- end }}
