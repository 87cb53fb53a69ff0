"""Values for the chart: every toggle once, and all together."""

from .chart import CERT_MANAGER, MUTUAL, ORDERS, merge

PEER = {"podSelector": {"matchLabels": {"app": "grafana"}}}
CONTAINER = {"name": "beside", "image": "example.org/beside:1", "args": ["run"]}
# As many as the server takes.
MANY_CONNECTIONS = {"connections": {f"orders-of-the-team-{number}": {
    "scaler": "redis", "address": "redis:6379", "namespaces": [f"team-{number}-production", f"team-{number}-staging-*"]} for number in range(1024)}}
MONITOR = {
    "enabled": True, "namespace": "monitoring", "interval": "15s", "scrapeTimeout": "10s", "honorLabels": True,
    "labels": {"release": "prometheus"}, "annotations": {"team": "platform"},
    "relabelings": [{"sourceLabels": ["__meta_kubernetes_pod_node_name"], "targetLabel": "node"}],
    "metricRelabelings": [{"sourceLabels": ["__name__"], "regex": "process_.*", "action": "drop"}],
    "endpoint": {"followRedirects": False}, "spec": {"sampleLimit": 10000, "attachMetadata": {"node": True}}}

TOGGLES = {
    "connections": ORDERS,
    "connections of yours": {"existingConnections": "ours"},
    "one replica": {"replicaCount": 1},
    "image": {"image": {"registry": "registry.example", "repository": "scaling/backlog", "digest": "sha256:" + "0" * 64},
              "imagePullSecrets": [{"name": "pull"}]},
    "global": {"global": {"imageRegistry": "mirror.example", "imagePullSecrets": [{"name": "all"}], "other": {"a": 1}}},
    "config": {"config": {"maxStreams": 10, "allInAgents": True, "transport": "nghttp2"}},
    "mutual TLS": MUTUAL,
    "mutual TLS with KEDA's Secret": {"tls": {**MUTUAL["tls"], "clusterTriggerAuthentication": {
        "create": True, "secret": "backlog-client", "name": "backlog"}}},
    "TLS": {"tls": {"secret": "backlog-tls"}},
    "cert-manager": CERT_MANAGER,
    "cert-manager beside KEDA": {"keda": {"namespace": "scaling"}, "tls": {"certManager": {
        "enabled": True, "dnsNames": ["backlog.example.org"]}}},
    "cert-manager without clients": {"tls": {"certManager": {"enabled": True, "client": {"enabled": False}}}},
    "no network policy": {"networkPolicy": {"enabled": False}},
    "egress": {"networkPolicy": {"monitoring": {"namespace": ""}, "extraIngress": [{"from": [PEER]}], "egress": {
        "enabled": True, "to": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "ports": [{"port": 5672}]}]}}},
    "another KEDA": {"keda": {"namespace": "autoscaling", "podLabels": {}}},
    "workers": {"workers": {"namespaces": ["elsewhere", "monitoring"]}},
    "service": {"service": {"port": 7070, "annotations": {"a.example/b": "c"}, "labels": {"team": "platform"},
                            "ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv4"]}},
    "service monitor": {"serviceMonitor": MONITOR},
    "pod monitor": {"podMonitor": MONITOR},
    "rules": {"prometheusRule": {
        "enabled": True, "namespace": "monitoring", "labels": {"release": "prometheus"}, "ruleLabels": {"team": "platform"},
        "disabled": ["BacklogCallsSlow"], "overrides": {"BacklogDown": {"for": "10m", "labels": {"severity": "page"}}},
        "extraRules": [{"record": "backlog:triggers", "expr": "sum(backlog_triggers)"}]}},
    "dashboards": {"dashboards": {"enabled": True, "namespace": "monitoring", "labels": {"dash": "yes"},
                                  "annotations": {"grafana_folder": "Scaling"}}},
    "no admission policy": {"admissionPolicy": {"enabled": False}},
    "admission refuses": {"admissionPolicy": {"action": "Deny"}, "config": {"denyInlineConnections": True}, **ORDERS},
    "names": {"nameOverride": "scaler", "namespaceOverride": "elsewhere", "commonLabels": {"team": "platform"},
              "commonAnnotations": {"a.example/b": "c"}},
    "another name": {"fullnameOverride": "queues"},
    "service account": {"serviceAccount": {"create": False, "name": "theirs"}},
    "OpenShift": {"podSecurityContext": {"runAsUser": None, "runAsGroup": None, "fsGroup": None}},
    "contexts": {"podSecurityContext": {"supplementalGroups": [1000]}, "containerSecurityContext": {"privileged": False}},
    "budget": {"podDisruptionBudget": {"minAvailable": "50%"}},
    "probes": {"startupProbe": {"failureThreshold": 5}, "readinessProbe": {"successThreshold": 2},
               "livenessProbe": {"initialDelaySeconds": 3}},
    "no priority class": {"priorityClass": {"create": False}},
    "priority class": {"priorityClass": {"value": -1, "preemptionPolicy": "PreemptLowerPriority"}},
    "pods": {"deploymentAnnotations": {"a": "b"}, "podAnnotations": {"a": "b"}, "podLabels": {"team": "platform"},
             "nodeSelector": {"kubernetes.io/os": "linux"}, "tolerations": [{"key": "dedicated", "operator": "Exists"}],
             "affinity": {"podAntiAffinity": {}}, "topologySpreadConstraints": [],
             "priorityClassName": "high", "runtimeClassName": "gvisor", "hostUsers": False,
             "schedulerName": "mine",
             "strategy": {"type": "Recreate"}, "revisionHistoryLimit": 0, "minReadySeconds": 5,
             "terminationGracePeriodSeconds": 60, "resources": {"requests": {"cpu": "1"}}},
    "life": {"lifecycle": {"preStop": {"sleep": {"seconds": 5}}}, "dnsPolicy": "None",
             "dnsConfig": {"nameservers": ["10.0.0.10"]}, "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["kafka"]}]},
    "more": {"extraArgs": ["--new", "thing"], "extraEnv": [{"name": "TZ", "value": "UTC"}],
             "extraEnvFrom": [{"configMapRef": {"name": "env"}}], "extraVolumes": [{"name": "krb", "emptyDir": {}}],
             "extraVolumeMounts": [{"name": "krb", "mountPath": "/etc/krb5"}], "extraContainers": [CONTAINER],
             "extraInitContainers": [{**CONTAINER, "name": "before"}],
             "extraObjects": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-more"},
                               "data": {"address": '{{ include "backlog.address" . }}'}}]},
    "no tests": {"tests": {"enabled": False}},
}


EXCLUDED = {"connections of yours", "mutual TLS", "mutual TLS with KEDA's Secret", "TLS", "cert-manager beside KEDA",
            "cert-manager without clients", "no network policy", "no admission policy", "no tests", "global",
            "pod monitor"}  # beside a service monitor
MATRIX = {
    "defaults": {}, **TOGGLES,
    "everything": merge(*(values for name, values in TOGGLES.items() if name not in EXCLUDED)),
}
