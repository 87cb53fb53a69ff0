{{/* What the schema cannot say: what one value needs of another. */}}
{{- define "autoscaled-worker.validate" -}}
{{- $isJob := eq .Values.kind "ScaledJob" }}
{{- range $path, $name := (include "autoscaled-worker.table" . | fromJson).renamed }}
{{- $place := $.Values }}
{{- range splitList "." $path | initial }}{{ $place = get $place . | default dict }}{{ end }}
{{- if hasKey $place (splitList "." $path | last) }}
{{- fail (printf "%s is now %s: rename it in your values, and upgrade with all of them in files and --reset-values" $path $name) }}
{{- end }}
{{- end }}
{{- if and .Values.image.repository (not (or .Values.image.tag .Values.image.digest)) }}
{{- fail "image.tag is missing: set it, or image.digest" }}
{{- end }}
{{- if and $isJob (not .Values.keda.enabled) }}
{{- fail "kind is ScaledJob and keda.enabled is false: only KEDA makes Jobs; set keda.enabled to true, or kind to Deployment" }}
{{- end }}
{{- if .Values.keda.enabled }}
{{- include "autoscaled-worker.validateReplicas" . }}
{{- include "autoscaled-worker.validateTriggers" . }}
{{- end }}
{{- if include "autoscaled-worker.hasHpa" . }}
{{- include "autoscaled-worker.validateAutoscaling" . }}
{{- end }}
{{- end }}

{{- define "autoscaled-worker.validateReplicas" -}}
{{- $keda := .Values.keda }}
{{- $isJob := eq .Values.kind "ScaledJob" }}
{{- $min := include "autoscaled-worker.minReplicaCount" . | int64 }}
{{- $max := include "autoscaled-worker.maxReplicaCount" . | int64 }}
{{- if gt $min $max }}
{{- fail (printf "keda.minReplicaCount (%d) is more than keda.maxReplicaCount (%d)" $min $max) }}
{{- end }}
{{- if and $isJob (include "autoscaled-worker.hasIdle" .) }}
{{- fail "keda.idleReplicaCount is set, and a ScaledJob has none: remove it" }}
{{- end }}
{{- if $keda.fallback.enabled }}
{{- if $isJob }}
{{- fail "keda.fallback.enabled is true, and KEDA has no fallback for a ScaledJob: set it to false" }}
{{- end }}
{{- if gt (int64 $keda.fallback.replicas) $max }}
{{- fail (printf "keda.fallback.replicas (%d) is more than keda.maxReplicaCount (%d)" (int64 $keda.fallback.replicas) $max) }}
{{- end }}
{{- if and (eq $keda.fallback.behavior "scalingModifiers") (not $keda.advanced.scalingModifiers.formula) }}
{{- fail "keda.fallback.behavior is scalingModifiers: set keda.advanced.scalingModifiers.formula, or another behavior" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "autoscaled-worker.validateTriggers" -}}
{{- $values := .Values }}
{{- $resources := include "autoscaled-worker.resources" . | fromYaml }}
{{- range $resources }}
{{- if eq $values.kind "ScaledJob" }}
{{- fail (printf "%s is enabled, and KEDA has no such trigger for a ScaledJob: set it to false" .path) }}
{{- end }}
{{- include "autoscaled-worker.validateRequests" (list $values .scaler .path .options.containerName) }}
{{- end }}
{{- if and $resources (not (or (include "autoscaled-worker.sources" . | fromYamlArray) .Values.keda.extraTriggers)) }}
{{- if eq (include "autoscaled-worker.minReplicaCount" . | int64) 0 }}
{{- fail "keda.minReplicaCount is 0 and only cpu and memory are triggers: without pods there is no CPU to measure; set it to at least 1" }}
{{- end }}
{{- if .Values.keda.fallback.enabled }}
{{- fail "keda.fallback.enabled is true and only cpu and memory are triggers, which have no fallback: set it to false" }}
{{- end }}
{{- end }}
{{- end }}

{{/* Utilization is a share of the request, which is the limit where there is none: (list values resource path containerName). */}}
{{- define "autoscaled-worker.validateRequests" -}}
{{- $values := index . 0 }}
{{- $resource := index . 1 }}
{{- $path := index . 2 }}
{{- $container := index . 3 }}
{{- $others := dict }}
{{- range $values.extraContainers }}
{{- if or (not $container) (eq $container .name) }}{{ $_ := set $others .name (.resources | default dict) }}{{ end }}
{{- end }}
{{- if not (and $container $others) }}
{{- include "autoscaled-worker.validateRequest" (list $values.resources $resource (printf "%s needs resources.requests.%s" $path $resource)) }}
{{- end }}
{{- range $name, $resources := $others }}
{{- include "autoscaled-worker.validateRequest" (list $resources $resource (printf "%s needs requests.%s of the extra container %s" $path $resource $name)) }}
{{- end }}
{{- end }}

{{/* (list resources resource error) */}}
{{- define "autoscaled-worker.validateRequest" -}}
{{- $resources := index . 0 | default dict }}
{{- $resource := index . 1 }}
{{- if not (or (get ($resources.requests | default dict) $resource) (get ($resources.limits | default dict) $resource)) }}
{{- fail (printf "%s: utilization is a share of it" (index . 2)) }}
{{- end }}
{{- end }}

{{- define "autoscaled-worker.validateAutoscaling" -}}
{{- $hpa := .Values.autoscaling }}
{{- if gt (int64 $hpa.minReplicas) (int64 $hpa.maxReplicas) }}
{{- fail (printf "autoscaling.minReplicas (%d) is more than autoscaling.maxReplicas (%d)" (int64 $hpa.minReplicas) (int64 $hpa.maxReplicas)) }}
{{- end }}
{{- if not (or $hpa.targetCPUUtilizationPercentage $hpa.targetMemoryUtilizationPercentage $hpa.metrics) }}
{{- fail "autoscaling has no metric: set targetCPUUtilizationPercentage, targetMemoryUtilizationPercentage or metrics" }}
{{- end }}
{{- if $hpa.targetCPUUtilizationPercentage }}
{{- include "autoscaled-worker.validateRequests" (list .Values "cpu" "autoscaling.targetCPUUtilizationPercentage" "") }}
{{- end }}
{{- if $hpa.targetMemoryUtilizationPercentage }}
{{- include "autoscaled-worker.validateRequests" (list .Values "memory" "autoscaling.targetMemoryUtilizationPercentage" "") }}
{{- end }}
{{- end }}
