"""Every value once, each profile, and all together: helm finds nothing wrong, and Kubernetes' schemas neither."""

import pytest
import yaml

from support.chart import CERT_MANAGER, CHART, IN_PRODUCTION, MUTUAL, NAME, ORDERS, PRODUCTION, helm, merge, pod_of, render, render_all
from support.kubernetes_schemas import mistakes

PEER = {"podSelector": {"matchLabels": {"app": "grafana"}}}
CONTAINER = {"name": "beside", "image": "example.org/beside:1", "args": ["run"]}
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
    "config": {"config": {"maxStreams": 10, "isolateAll": True, "transport": "nghttp2"}},
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
    "service": {"service": {"port": 7070, "annotations": {"a.example/b": "c"}, "labels": {"team": "platform"},
                            "ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv6", "IPv4"]}},
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
    "OpenShift": {"runAsUser": None},
    "contexts": {"podSecurityContext": {"supplementalGroups": [1000]}, "securityContext": {"privileged": False}},
    "budget": {"podDisruptionBudget": {"minAvailable": "50%"}},
    "probes": {"probes": {"startup": {"failureThreshold": 5}, "readiness": {"successThreshold": 2},
                          "liveness": {"initialDelaySeconds": 3}}},
    "pods": {"annotations": {"a": "b"}, "podAnnotations": {"a": "b"}, "podLabels": {"team": "platform"},
             "nodeSelector": {"kubernetes.io/os": "linux"}, "tolerations": [{"key": "dedicated", "operator": "Exists"}],
             "affinity": {"podAntiAffinity": {}}, "topologySpreadConstraints": [],
             "priorityClassName": "high", "runtimeClassName": "gvisor", "schedulerName": "mine",
             "updateStrategy": {"type": "Recreate"}, "revisionHistoryLimit": 0, "minReadySeconds": 5,
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
            "cert-manager without clients", "no network policy", "no admission policy", "no tests", "global"}
MATRIX = {
    "defaults": {}, **TOGGLES,
    "everything": merge(*(values for name, values in TOGGLES.items() if name not in EXCLUDED)),
}


@pytest.mark.parametrize("name", MATRIX)
def test_helm_lint_finds_nothing(name):
    result = helm("lint", "--strict", CHART, values=MATRIX[name])
    assert result.returncode == 0 and "[WARNING]" not in result.stdout, result.stdout + result.stderr


@pytest.mark.parametrize("name", MATRIX)
def test_kubernetes_schemas_find_nothing(name):
    objects = render_all(MATRIX[name])
    assert [mistake for item in objects for mistake in mistakes(item)] == []


def test_the_production_profile_is_sound():
    objects = render_all(IN_PRODUCTION, "--values", PRODUCTION)
    assert [mistake for item in objects for mistake in mistakes(item)] == []
    result = helm("lint", "--strict", CHART, "--values", PRODUCTION, values=IN_PRODUCTION)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_schemas_find_a_mistake():
    """So that the tests above can fail."""
    deployment = render()["Deployment"]
    deployment["spec"]["replica"] = 2
    deployment["spec"]["template"]["spec"]["containers"][0]["ports"][0]["containerPort"] = "grpc"
    assert mistakes(deployment) == [
        "Deployment release-backlog.spec.template.spec.containers[0].ports[0].containerPort: 'grpc' is no integer",
        "Deployment release-backlog.spec: there is no field replica"]
    monitor = render({"serviceMonitor": {"enabled": True, "endpoint": {"intervall": "1s"}}})["ServiceMonitor"]
    assert mistakes(monitor) == ["ServiceMonitor release-backlog.spec.endpoints[0]: there is no field intervall"]


@pytest.mark.parametrize("name", MATRIX)
def test_no_key_stands_twice(name):
    """helm and YAML's usual readers take the last one; a strict API server refuses the object."""
    class Strict(yaml.SafeLoader):
        pass

    def mapping(loader, node):
        keys = [key.value for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"{keys} has one twice"
        return yaml.SafeLoader.construct_mapping(loader, node, deep=True)

    Strict.add_constructor("tag:yaml.org,2002:map", mapping)
    result = helm("template", "release", CHART, "--namespace", "scaling", values=MATRIX[name])
    assert list(yaml.load_all(result.stdout, Strict))


def test_common_labels_and_annotations_are_on_everything():
    everything = merge(MATRIX["everything"], {"commonLabels": {"team": "platform"}, "commonAnnotations": {"owner": "us"}})
    for item in render_all(everything):
        if not item["metadata"]["name"].endswith("-more"):
            assert item["metadata"]["labels"]["team"] == "platform", item["kind"]
            assert item["metadata"]["annotations"]["owner"] == "us", item["kind"]
    pods = render(everything)["Deployment"]["spec"]["template"]["metadata"]
    assert (pods["labels"]["team"], pods["annotations"]["owner"]) == ("platform", "us")


def test_the_namespace_can_be_another_one():
    for item in render_all({**MATRIX["everything"], "namespaceOverride": "elsewhere", "keda": {"namespace": "keda"}}):
        assert item["metadata"].get("namespace") in ("elsewhere", "monitoring", "keda", None), item["kind"]
    assert render({"namespaceOverride": "elsewhere"})["Service"]["metadata"]["namespace"] == "elsewhere"


@pytest.mark.parametrize("values, image", [
    ({}, "backlog:0.1.0"),
    ({"image": {"registry": "registry.example", "tag": "2"}}, "registry.example/backlog:2"),
    ({"image": {"repository": "registry.example/a/backlog", "digest": "sha256:" + "a" * 64}},
     "registry.example/a/backlog@sha256:" + "a" * 64),
    ({"global": {"imageRegistry": "mirror.example"}, "image": {"registry": "registry.example"}}, "mirror.example/backlog:0.1.0"),
], ids=str)
def test_the_image_is_what_the_values_say(values, image):
    assert pod_of(render(values))["containers"][0]["image"] == image


def test_objects_of_yours_are_templates():
    more = next(item for item in render_all(TOGGLES["more"]) if item["metadata"]["name"] == "release-more")
    assert more["data"]["address"] == f"{NAME}.scaling.svc:9090"


def test_an_older_kubernetes_gets_what_it_knows():
    assert "ValidatingAdmissionPolicy" not in render({}, kubernetes="1.29.0")
    assert "ValidatingAdmissionPolicy" in render({}, kubernetes="1.30.1-gke.1")
    assert "kubeVersion" in helm("template", "release", CHART, kubernetes="1.26.0").stderr
