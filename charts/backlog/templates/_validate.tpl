{{/* What the schema cannot say: what one value needs of another. */}}
{{- define "backlog.validate" -}}
{{- range $path, $name := (.Files.Get "files/reference.json" | fromJson).renamed }}
{{- $place := $.Values }}
{{- range splitList "." $path | initial }}{{ $place = get $place . | default dict }}{{ end }}
{{- if hasKey $place (splitList "." $path | last) }}
{{- fail (printf "%s is now %s: rename it in your values, and upgrade with all of them in files and --reset-values" $path $name) }}
{{- end }}
{{- end }}
{{- $tls := .Values.tls }}
{{- if not .Values.image.repository }}
{{- fail "image.repository is missing: set it to your image of Backlog, such as registry.example/backlog" }}
{{- end }}
{{- if and .Values.serviceMonitor.enabled .Values.podMonitor.enabled }}
{{- fail "serviceMonitor.enabled and podMonitor.enabled are both true, and Prometheus would count everything twice: set one of them to false" }}
{{- end }}
{{- if has (int .Values.probes.port) (list (int .Values.http.port) (int .Values.service.port)) }}
{{- fail (printf "probes.port is %d, and so is http.port or service.port: give them different ports" (int .Values.probes.port)) }}
{{- end }}
{{- if eq (int .Values.http.port) (int .Values.service.port) }}
{{- fail (printf "http.port and service.port are both %d: give them different ports" (int .Values.http.port)) }}
{{- end }}
{{- if $tls.certManager.enabled }}
{{- if or $tls.secret $tls.clientCASecret $tls.clientNames }}
{{- fail "tls.certManager.enabled excludes tls.secret, tls.clientCASecret and tls.clientNames: set one or the other" }}
{{- end }}
{{- if and $tls.certManager.client.enabled (ne (include "backlog.namespace" .) .Values.keda.namespace) }}
{{- if not $tls.certManager.issuerRef.name }}
{{- fail (printf "tls.certManager.issuerRef.name is missing: Backlog is in namespace %s and KEDA in %s, so both certificates need one ClusterIssuer; or install into %s" (include "backlog.namespace" .) .Values.keda.namespace .Values.keda.namespace) }}
{{- end }}
{{- if eq $tls.certManager.issuerRef.kind "Issuer" }}
{{- fail "tls.certManager.issuerRef.kind must be ClusterIssuer: an Issuer issues in its own namespace only, and KEDA is in another one" }}
{{- end }}
{{- end }}
{{- end }}
{{- if and $tls.clientCASecret (not $tls.secret) }}
{{- fail "tls.clientCASecret needs tls.secret: the server has to show a certificate, too" }}
{{- end }}
{{- if and $tls.clientNames (not $tls.clientCASecret) }}
{{- fail "tls.clientNames needs tls.clientCASecret: without it no client proves its name" }}
{{- end }}
{{- if $tls.clusterTriggerAuthentication.create }}
{{- if not (include "backlog.tls" . | fromYaml).secret }}
{{- fail "tls.clusterTriggerAuthentication.create needs TLS: set tls.certManager.enabled or tls.secret" }}
{{- end }}
{{- if not (or $tls.clusterTriggerAuthentication.secret (include "backlog.tls" . | fromYaml).clientSecret) }}
{{- fail (printf "tls.clusterTriggerAuthentication.secret is missing: name the Secret in namespace %s that has KEDA's certificates" .Values.keda.namespace) }}
{{- end }}
{{- end }}
{{- if and (not .Values.kubernetes.enabled) (or .Values.kubernetes.secrets .Values.kubernetes.configMaps .Values.kubernetes.namespaces .Values.kubernetes.allowAuthentications .Values.kubernetes.readHpas .Values.kubernetes.clusterAuthentications) }}
{{- fail "kubernetes has rights, and kubernetes.enabled is false: set it to true, or remove them" }}
{{- end }}
{{- /* The account "default" is that of all pods without one of their own. */}}
{{- if not (or .Values.serviceAccount.create .Values.serviceAccount.name) }}
{{- range $option, $isSet := dict "kubernetes.enabled" .Values.kubernetes.enabled "workers.namespaces" .Values.workers.namespaces }}
{{- if $isSet }}
{{- fail (printf "serviceAccount.name is missing, and serviceAccount.create is false: with %s every pod of namespace %s that uses the account \"default\" would get Backlog's rights. Name an account that Backlog alone uses, or set serviceAccount.create to true" $option (include "backlog.namespace" $)) }}
{{- end }}
{{- end }}
{{- end }}
{{- if has .Values.keda.namespace .Values.kubernetes.namespaces }}
{{- fail (printf "kubernetes.namespaces has keda.namespace (%s), where ClusterTriggerAuthentications have their Secrets: name those that are used in kubernetes.secrets.%s" .Values.keda.namespace .Values.keda.namespace) }}
{{- end }}
{{- if and .Values.existingConnections .Values.connections }}
{{- fail "existingConnections and connections are both set: the server reads one connections file" }}
{{- end }}
{{- if and .Values.networkPolicy.enabled .Values.networkPolicy.egress.enabled (not .Values.networkPolicy.egress.to) }}
{{- fail "networkPolicy.egress.to is empty: the server could reach no broker; list the brokers, or set networkPolicy.egress.enabled to false" }}
{{- end }}
{{- end }}
