"""The chart `backlog`: what it renders, checked as YAML, and the values that it refuses."""

import os
import re

import pytest
import yaml

from support.certificates import Authority
from support.charts.chart import (CERT_MANAGER, CHART, IN_PRODUCTION, MUTUAL, NAME, ORDERS, PRODUCTION, by_kind, flags_of, merge, pod_of,
                                  refusal, render, render_all, words_of)
from support.charts.chart_values import TOGGLES
from support.server.server import REPOSITORY, Server


def test_the_defaults_render_what_the_server_needs_and_nothing_else():
    objects = render()
    of_the_cluster = {"PriorityClass", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}
    of_the_release = {"ConfigMap", "Deployment", "NetworkPolicy", "PodDisruptionBudget", "Service", "ServiceAccount"}
    assert set(objects) == of_the_cluster | of_the_release | {"Pod"}
    assert {objects[kind]["metadata"]["name"] for kind in of_the_cluster} == {"release-backlog.scaling"}
    assert {objects[kind]["metadata"]["name"] for kind in of_the_release} == {"release-backlog"}
    assert {objects[kind]["metadata"]["namespace"] for kind in of_the_release} == {"scaling"}
    assert objects["Pod"]["metadata"]["annotations"]["helm.sh/hook"] == "test"
    assert flags_of(objects) == {
        "--listen": "[::]:9090",
        "--http": "[::]:9091",
        "--http-hosts": "release-backlog,release-backlog.scaling,release-backlog.scaling.svc,"
                        "release-backlog.scaling.svc.cluster.local,"
                        "release-backlog-http,release-backlog-http.scaling,release-backlog-http.scaling.svc,"
                        "release-backlog-http.scaling.svc.cluster.local,kubernetes.default.svc",
        "--probes": "[::]:9092",
        "--peers": "release-backlog.scaling.svc:9090",
        "--config": "/etc/backlog/config/connections.yaml",
        "--hold": "1h",
        "--log-format": "json",
        "--log-level": "info",
        "--grace": "10s",
    }


def test_a_pod_passes_the_restricted_pod_security_standard():
    pod = pod_of(render(ORDERS))
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 65532
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {kind for volume in pod["volumes"] for kind in volume} == {"name", "configMap", "secret"}


def test_the_platform_may_choose_the_user():
    context = pod_of(render(TOGGLES["OpenShift"]))["securityContext"]
    assert context == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def test_the_security_settings_are_those_of_the_values():
    """Visible there, and none is added by a template."""
    with open(f"{CHART}/values.yaml") as file:
        values = yaml.safe_load(file)
    pod = pod_of(render())
    assert pod["securityContext"] == values["podSecurityContext"]
    assert pod["containers"][0]["securityContext"] == values["containerSecurityContext"]
    objects = render({"podSecurityContext": None, "containerSecurityContext": None})
    for spec in (pod_of(objects), objects["Pod"]["spec"]):
        assert "securityContext" not in spec and "securityContext" not in spec["containers"][0]


def test_the_pods_come_before_pending_workers_and_evict_none():
    objects = render()
    priority = objects["PriorityClass"]
    assert pod_of(objects)["priorityClassName"] == priority["metadata"]["name"] == "release-backlog.scaling"
    assert (priority["value"], priority["preemptionPolicy"]) == (1000000, "Never") and "globalDefault" not in priority
    theirs = render({"priorityClassName": "system-cluster-critical"})
    assert pod_of(theirs)["priorityClassName"] == "system-cluster-critical" and "PriorityClass" not in theirs
    without = render({"priorityClass": {"create": False}})
    assert "priorityClassName" not in pod_of(without) and "PriorityClass" not in without


def test_no_token_of_kubernetes_is_mounted():
    objects = render()
    assert objects["ServiceAccount"]["automountServiceAccountToken"] is False
    assert pod_of(objects)["automountServiceAccountToken"] is False
    assert pod_of(objects)["serviceAccountName"] == objects["ServiceAccount"]["metadata"]["name"]


def test_a_service_account_of_somebody_else_is_taken():
    objects = render({"serviceAccount": {"create": False, "name": "theirs"}})
    assert "ServiceAccount" not in objects
    assert pod_of(objects)["serviceAccountName"] == "theirs"


def test_keda_finds_every_replica_behind_the_service():
    objects = render({"service": {"port": 7070}})
    service, deployment = objects["Service"]["spec"], objects["Deployment"]["spec"]
    assert service["clusterIP"] == "None"
    assert service["selector"] == deployment["selector"]["matchLabels"]
    assert service["selector"].items() <= deployment["template"]["metadata"]["labels"].items()
    # Nothing translates a port where there is no cluster IP.
    assert service["ports"][0]["port"] == 7070
    assert pod_of(objects)["containers"][0]["ports"][0] == {"name": "grpc", "containerPort": 7070}
    assert flags_of(objects)["--listen"] == "[::]:7070"


def test_probes_ask_by_http_which_needs_no_certificate():
    for values in ({}, MUTUAL):
        container = pod_of(render(values))["containers"][0]
        assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "probes"}
        for probe in ("startupProbe", "readinessProbe"):
            assert container[probe]["httpGet"] == {"path": "/readyz", "port": "probes"}


def test_the_token_of_the_http_port_is_a_file_of_a_secret():
    objects = render({"http": {"tokenSecret": "backlog-http"}})
    folder, file = flags_of(objects)["--http-token-file"].rsplit("/", 1)
    pod = pod_of(objects)
    (mount,) = [mount for mount in pod["containers"][0]["volumeMounts"] if mount["mountPath"] == folder]
    (volume,) = [volume for volume in pod["volumes"] if volume["name"] == mount["name"]]
    assert volume["secret"]["secretName"] == "backlog-http" and volume["secret"]["items"] == [{"key": "token", "path": file}]
    assert "optional" not in volume["secret"]  # without it the pod must not start, and be open


def test_the_port_of_the_probes_is_the_kubelets_alone():
    objects = render({"probes": {"port": 7072}})
    assert {"name": "probes", "containerPort": 7072} in pod_of(objects)["containers"][0]["ports"]
    assert flags_of(objects)["--probes"] == "[::]:7072"
    assert "probes" not in [port["name"] for port in objects["Service"]["spec"]["ports"]]
    rules = objects["NetworkPolicy"]["spec"]["ingress"]
    assert "probes" not in [port["port"] for rule in rules for port in rule["ports"]]


def test_the_http_port_knows_the_names_that_it_is_called_by():
    objects = render({"clusterDomain": "corp.example", "http": {"hosts": ["backlog.example", "*.k8s.example"]}})
    services = [f"{name}{rest}" for name in (NAME, f"{NAME}-http") for rest in ("", ".scaling", ".scaling.svc", ".scaling.svc.corp.example")]
    assert flags_of(objects)["--http-hosts"].split(",") == [*services, "kubernetes.default.svc", "backlog.example", "*.k8s.example"]
    certificate = render(merge(CERT_MANAGER, {"clusterDomain": "corp.example"}), "--show-only", "templates/certificates.yaml")
    assert "corp.example" in str(certificate) and "cluster.local" not in str(certificate)


def test_a_service_keeps_a_reader_of_the_dashboard_at_one_pod():
    """Behind a proxy: a page shows one pod. Prometheus finds each pod once nevertheless."""
    values = {"http": {"port": 7071}, "serviceMonitor": {"enabled": True}, "service": {"ipFamilyPolicy": "PreferDualStack"}}
    objects = render_all(values)
    by_name = {item["metadata"]["name"]: item for item in objects if item["kind"] == "Service"}
    assert set(by_name) == {NAME, f"{NAME}-http"}
    service, spec = by_name[f"{NAME}-http"], by_name[f"{NAME}-http"]["spec"]
    assert spec["sessionAffinity"] == "ClientIP" and "clusterIP" not in spec and spec["ipFamilyPolicy"] == "PreferDualStack"
    assert spec["selector"] == by_name[NAME]["spec"]["selector"]
    assert [(port["port"], port["targetPort"]) for port in spec["ports"]] == [(7071, "http")]
    labels = by_kind(objects)["ServiceMonitor"]["spec"]["selector"]["matchLabels"]
    assert not labels.items() <= service["metadata"]["labels"].items()
    for name in ("a" * 63, "a" * 57 + "-bcde"):
        names = [item["metadata"]["name"] for item in render_all({"fullnameOverride": name}) if item["kind"] == "Service"]
        assert len(set(names)) == 2 and max(map(len, names)) <= 63 and not [name for name in names if "--" in name]


def test_the_proxy_of_the_docs_calls_the_service_that_keeps_a_reader_at_one_pod():
    with open(os.path.join(REPOSITORY, "docs", "dashboard.md"), encoding="utf-8") as page:
        hosts = re.findall(r'uri: "http://([^:"]+):9091"', page.read())
    objects = render_all({"fullnameOverride": "backlog", "namespaceOverride": "keda"})
    sticky = [item["metadata"] for item in objects if item["kind"] == "Service" and item["spec"].get("sessionAffinity") == "ClientIP"]
    assert hosts == [f"{found['name']}.{found['namespace']}.svc" for found in sticky]
    assert set(hosts) <= set(flags_of(by_kind(objects))["--http-hosts"].split(","))


def test_metrics_are_behind_the_service():
    objects = render({"http": {"port": 7071}, "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}}})
    service, monitor = objects["Service"], objects["ServiceMonitor"]
    assert flags_of(objects)["--http"] == "[::]:7071"
    assert {port["name"]: port["port"] for port in service["spec"]["ports"]} == {"grpc": 9090, "http": 7071}
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    endpoint, = monitor["spec"]["endpoints"]
    assert (endpoint["port"], endpoint["path"], endpoint["interval"]) == ("http", "/metrics", "30s")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"


def test_a_tls_secret_is_mounted_and_the_server_knows_where():
    objects = render(MUTUAL)
    pod, flags = pod_of(objects), flags_of(objects)
    assert flags["--tls-cert"] == "/etc/backlog/tls/tls.crt"
    assert flags["--tls-key"] == "/etc/backlog/tls/tls.key"
    assert flags["--tls-client-ca"] == "/etc/backlog/client-ca/ca.crt"
    assert flags["--tls-client-names"] == "keda-operator,*.keda.svc,release-backlog.scaling.svc"
    assert flags_of(render({**MUTUAL, "peers": {"enabled": False}}))["--tls-client-names"] == "keda-operator,*.keda.svc"
    folders = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    secrets = {folders[volume["name"]]: volume["secret"] for volume in pod["volumes"] if "secret" in volume}
    assert secrets["/etc/backlog/tls"]["secretName"] == "backlog-tls"
    assert secrets["/etc/backlog/client-ca"]["secretName"] == "keda-ca"
    assert secrets["/etc/backlog/client-ca"]["items"] == [{"key": "ca.crt", "path": "ca.crt"}]


def test_without_a_tls_secret_there_is_no_tls():
    assert not [flag for flag in flags_of(render()) if flag.startswith("--tls")]


@pytest.mark.parametrize("tls, message", [
    ({"clientCASecret": "keda-ca"}, "tls.secret"),
    ({"secret": "backlog-tls", "clientNames": ["keda-operator"]}, "tls.clientCASecret"),
], ids=str)
def test_missing_values_of_tls_are_reported(tls, message):
    assert f"needs {message}" in refusal({"tls": tls})


def test_the_server_starts_with_the_tls_flags_of_the_chart(tmp_path):
    authority = Authority(tmp_path)
    certificate, key = authority.issue("own")
    files = {"/etc/backlog/tls/tls.crt": certificate, "/etc/backlog/tls/tls.key": key,
             "/etc/backlog/client-ca/ca.crt": authority.certificate}
    flags = {flag: files.get(value, value) for flag, value in flags_of(render(MUTUAL)).items() if "tls" in flag}
    with Server(arguments=words_of(flags)) as server:
        assert server.stop() == 0


def test_kubernetes_waits_longer_than_the_server():
    for grace, seconds in (("45s", 55), ("1m30s", 100), ("0s", 10), ("1500ms", 12), ("0.5h", 1810)):
        objects = render({"config": {"grace": grace}})
        assert flags_of(objects)["--grace"] == grace
        assert pod_of(objects)["terminationGracePeriodSeconds"] == seconds
    assert pod_of(render({"terminationGracePeriodSeconds": 99}))["terminationGracePeriodSeconds"] == 99


def test_the_server_has_what_the_values_say():
    objects = render({"config": {"interval": "500ms", "hold": "1m30s", "logFormat": "plain", "logLevel": "debug",
                                 "maxMessage": 1000000, "denyInlineConnections": True, "allInAgents": False,
                                 "clientLimits": ["resets=100000", "pings=5000"]},
                      "extraArgs": ["--new", "thing"], "replicaCount": 3,
                      "image": {"repository": "example.org/backlog", "tag": "1.2.3"}})
    flags = flags_of(objects)
    assert (flags["--interval"], flags["--hold"]) == ("500ms", "1m30s")
    assert (flags["--log-format"], flags["--log-level"]) == ("plain", "debug")
    assert flags["--max-message"] == "1000000"  # and not 1e+06
    assert flags["--deny-inline-connections"] is True and "--all-in-agents" not in flags
    assert flags["--client-limits"] == "resets=100000,pings=5000"
    assert flags["--new"] == "thing"
    assert objects["Deployment"]["spec"]["replicas"] == 3
    assert pod_of(objects)["containers"][0]["image"] == "example.org/backlog:1.2.3"


def test_the_server_starts_with_the_flags_and_the_file_of_the_chart():
    objects = render({"connections": {"orders": {"scaler": "rabbitmq", "host": "amqp://127.0.0.1:1/"}}})
    flags = flags_of(objects)
    del flags["--listen"], flags["--http"], flags["--probes"], flags["--config"]  # free ports and the test's folder
    with Server(config=objects["ConfigMap"]["data"]["connections.yaml"],
                arguments=words_of(flags)) as server:
        assert server.stop() == 0


def test_two_replicas_survive_the_loss_of_a_node():
    objects = render()
    deployment = objects["Deployment"]["spec"]
    assert deployment["replicas"] == 2
    spread, = pod_of(objects)["topologySpreadConstraints"]
    assert (spread["topologyKey"], spread["maxSkew"]) == ("kubernetes.io/hostname", 1)
    assert spread["whenUnsatisfiable"] == "ScheduleAnyway"  # one node is enough to try it
    assert spread["labelSelector"] == deployment["selector"]
    assert objects["PodDisruptionBudget"]["spec"] == {"maxUnavailable": 1, "selector": deployment["selector"]}


@pytest.mark.parametrize("budget", [{"minAvailable": 1}, {"maxUnavailable": "100%"}], ids=str)
def test_another_disruption_budget_takes_the_place_of_ours(budget):
    for objects in (render({"podDisruptionBudget": budget}),
                    render(merge(IN_PRODUCTION, {"podDisruptionBudget": budget}), "--values", PRODUCTION)):
        selector = objects["Deployment"]["spec"]["selector"]
        assert objects["PodDisruptionBudget"]["spec"] == {**budget, "selector": selector}


def test_pods_go_where_the_values_say():
    spread = {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway"}
    objects = render({
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "dedicated", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {}},
        "topologySpreadConstraints": [spread, {**spread, "labelSelector": {"matchLabels": {"mine": "yes"}}}],
    })
    pod = pod_of(objects)
    assert pod["nodeSelector"] == {"kubernetes.io/os": "linux"}
    assert pod["tolerations"] == [{"key": "dedicated", "operator": "Exists"}]
    assert pod["affinity"] == {"podAntiAffinity": {}}
    ours, theirs = pod["topologySpreadConstraints"]
    assert ours == {**spread, "labelSelector": objects["Deployment"]["spec"]["selector"]}
    assert theirs["labelSelector"] == {"matchLabels": {"mine": "yes"}}


def test_a_second_release_with_a_name_of_its_own_shares_no_object():
    """Also where both have objects in a namespace of somebody else's, and of the cluster."""
    def objects_of(**more):
        values = merge(CERT_MANAGER, {kind: {"enabled": True, "namespace": "monitoring"} for kind in ("serviceMonitor", "prometheusRule", "dashboards")})
        return {(item["kind"], item["metadata"].get("namespace"), item["metadata"]["name"]) for item in render_all(merge(values, more))}

    first = objects_of()
    assert {kind for kind, *_ in first & objects_of(namespaceOverride="elsewhere")} == {
        "ServiceMonitor", "PrometheusRule", "ConfigMap", "Certificate", "ClusterTriggerAuthentication"}
    assert not first & objects_of(namespaceOverride="elsewhere", fullnameOverride="second")
    assert not first & objects_of(fullnameOverride="second")
