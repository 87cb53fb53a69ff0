"""Values that the chart refuses, by name: most by its schema, some because of what another value says."""

import json

import pytest
import yaml

from support.charts.chart import CHART, CERT_MANAGER, IN_PRODUCTION, PRODUCTION, merge, pod_of, refusal, render, render_all
from support.charts.chart_values import MANY_CONNECTIONS
from support.server.server import reference

KAFKA = {"scaler": "kafka", "bootstrapServers": "kafka:9092"}


@pytest.mark.parametrize("values, message", [
    ({"replicas": 2}, "replicas"),
    ({"replicaCount": "two"}, "/replicaCount"),
    ({"image": {"name": "backlog"}}, "name"),
    ({"image": {"digest": "sha256:abc"}}, "/image/digest"),
    ({"service": {"type": "LoadBalancer"}}, "type"),
    ({"service": {"port": 80}}, "/service/port"),
    ({"service": {"ipFamilies": ["IPv5"]}}, "/service/ipFamilies/0"),
    ({"http": {"port": 80}}, "/http/port"),
    ({"podSecurityContext": {"runAsUser": 0}}, "/podSecurityContext/runAsUser"),
    ({"secrets": ["orders", "orders"]}, "/secrets"),
    ({"secrets": ["../etc"]}, "/secrets/0"),
    ({"tls": {"cert": "x"}}, "cert"),
    ({"tls": {"secret": "a/b"}}, "/tls/secret"),
    ({"tls": {"clientNames": ["a,b"]}}, "/tls/clientNames/0"),
    ({"podDisruptionBudget": {"minAvailable": 1, "maxUnavailable": 1}}, "/podDisruptionBudget"),
    ({"fullnameOverride": "Backlog"}, "/fullnameOverride"),
    ({"namespaceOverride": "a.b"}, "/namespaceOverride"),
    ({"commonLabels": {"app.kubernetes.io/name": "mine"}}, "/commonLabels"),
    ({"podLabels": {"app.kubernetes.io/instance": "mine"}}, "/podLabels"),
    ({"podLabels": {"team": "a b"}}, "/podLabels/team"),
    ({"podLabels": {"-team": "a"}}, "/podLabels"),
    ({"podAnnotations": {"a/b/c": "x"}}, "/podAnnotations"),
    ({"readinessProbe": {"httpGet": {}}}, "httpGet"),
    ({"serviceMonitor": {"interval": "0s"}}, "/serviceMonitor/interval"),
    ({"serviceMonitor": {"labels": {"helm.sh/chart": "x"}}}, "/serviceMonitor/labels"),
    ({"admissionPolicy": {"action": "Audit"}}, "/admissionPolicy/action"),
    ({"terminationGracePeriodSeconds": 0}, "/terminationGracePeriodSeconds"),
], ids=str)
def test_wrong_values_are_refused_by_name(values, message):
    assert message in refusal(values)


@pytest.mark.parametrize("values, message", [
    ({"annotations": {}}, "annotations is now deploymentAnnotations: rename it in your values"),
    ({"updateStrategy": {"type": "Recreate"}}, "updateStrategy is now strategy"),
    ({"securityContext": {"privileged": False}}, "securityContext is now containerSecurityContext"),
    ({"runAsUser": None}, "runAsUser is now podSecurityContext.runAsUser"),
    ({"probes": {"liveness": {"periodSeconds": 9}}}, "probes.liveness is now livenessProbe"),
    ({"interval": "1s"}, "interval is now config.interval"),
    ({"log": {"level": "debug"}}, "log.level is now config.logLevel"),
], ids=str)
def test_a_renamed_value_is_refused_with_its_new_name(values, message):
    assert message in refusal(values)


@pytest.mark.parametrize("config, message", [
    ({"interval": "5 seconds"}, "/config/interval"),
    ({"interval": "0s"}, "/config/interval"),
    ({"heartbeat": "0ms"}, "/config/heartbeat"),
    ({"hold": 60}, "/config/hold"),
    ({"logLevel": "trace"}, "/config/logLevel"),
    ({"maxStreams": 0}, "/config/maxStreams"),
    ({"maxStreams": "many"}, "/config/maxStreams"),
    ({"maxStream": 10}, "maxStream"),
    ({"listen": "[::]:1"}, "listen"),
    ({"tlsCert": "x"}, "tlsCert"),
    ({"clientLimits": "resets=1"}, "/config/clientLimits"),
], ids=str)
def test_wrong_flags_are_refused_by_name(config, message):
    assert message in refusal({"config": config})


def test_a_hold_or_a_grace_of_0_is_no_mistake():
    render({"config": {"hold": "0s", "grace": "0s", "maxConnectionAge": "0s"}})


@pytest.mark.parametrize("connection, message", [
    ({"bootstrapServers": "kafka:9092"}, "scaler"),
    ({**KAFKA, "scaler": "kafak"}, "/connections/orders/scaler"),
    ({**KAFKA, "bootstrapServer": "kafka:9092"}, "bootstrapServer"),
    ({"scaler": "kafka"}, "bootstrapServers"),
    ({**KAFKA, "sasl": "scram"}, "/connections/orders/sasl"),
    ({**KAFKA, "topic": "orders"}, "topic"),
    ({**KAFKA, "password": ""}, "holds a secret"),
    ({**KAFKA, "username": 12345}, "/connections/orders/username"),
    ({**KAFKA, "brokerUnsafeSsl": "maybe"}, "/connections/orders/brokerUnsafeSsl"),
    ({**KAFKA, "namespaces": []}, "/connections/orders/namespaces"),
    ({**KAFKA, "namespaces": "shop"}, "/connections/orders/namespaces"),
    ({**KAFKA, "namespaces": ["Shop"]}, "/connections/orders/namespaces/0"),
    ({**KAFKA, "secret": "a/b"}, "/connections/orders/secret"),
    ({"scaler": "redis", "address": "redis:6379", "databaseIndex": "first"}, "/connections/orders/databaseIndex"),
], ids=str)
def test_a_wrong_connection_is_refused_by_name(connection, message):
    assert message in refusal({"connections": {"orders": connection}})


@pytest.mark.parametrize("name", ["", "a b", "-a", "a/b"])
def test_a_wrong_name_of_a_connection_is_refused(name):
    assert "/connections" in refusal({"connections": {name: KAFKA}})


@pytest.mark.parametrize("values, message", [
    ({"http": {"port": 7070}, "service": {"port": 7070}}, "http.port and service.port are both 7070"),
    ({"http": {"port": 9090}}, "both 9090"),
    ({"tls": {"clientCASecret": "keda-ca"}}, "needs tls.secret"),
    ({"tls": {"secret": "backlog-tls", "clientNames": ["keda-operator"]}}, "needs tls.clientCASecret"),
    ({"tls": {"secret": "backlog-tls", "certManager": {"enabled": True, "issuerRef": {"name": "x"}}}}, "excludes tls.secret"),
    ({"tls": {"certManager": {"enabled": True}}}, "tls.certManager.issuerRef.name is missing"),
    ({"tls": {"certManager": {"enabled": True, "issuerRef": {"name": "x", "kind": "Issuer"}}}}, "must be ClusterIssuer"),
    ({"tls": {"clusterTriggerAuthentication": {"create": True}}}, "needs TLS"),
    ({"tls": {"secret": "x", "clusterTriggerAuthentication": {"create": True}}}, "clusterTriggerAuthentication.secret is missing"),
    ({"networkPolicy": {"egress": {"enabled": True}}}, "networkPolicy.egress.to is empty"),
    ({"kubernetes": {"enabled": True, "namespaces": ["shop", "keda"]}}, "name those that are used in kubernetes.secrets.keda"),
    ({"kubernetes": {"enabled": True, "namespaces": ["scaling"]}, "keda": {"namespace": "scaling"}}, "in kubernetes.secrets.scaling"),
    ({"prometheusRule": {"enabled": True, "disabled": ["BacklogAway"]}}, 'alert "BacklogAway", which does not exist'),
    ({"prometheusRule": {"enabled": True, "overrides": {"BacklogAway": {"for": "1m"}}}}, '"BacklogAway"'),
], ids=str)
def test_values_that_need_another_value_report_it(values, message):
    assert message in refusal(values)


CHARACTERS_OF_AN_EXPRESSION = 100000  # Kubernetes' limit


def test_the_admission_policy_has_as_many_connections_as_the_server():
    spec = render(MANY_CONNECTIONS)["ValidatingAdmissionPolicy"]["spec"]
    expressions = [part["expression"] for field in ("matchConditions", "variables", "validations") for part in spec[field]]
    assert max(map(len, expressions)) <= CHARACTERS_OF_AN_EXPRESSION


@pytest.mark.parametrize("values, message", [
    ({"connections": {f"{number}{'x' * 240}": KAFKA for number in range(1, 420)}}, "connections is too long"),
    ({"connections": {"a": {**KAFKA, "namespaces": [f"{number}-{'x' * 50}" for number in range(1000, 2900)]}}}, "connections.*.namespaces is too long"),
], ids=["names", "namespaces"])
def test_what_is_too_long_for_the_admission_policy_is_refused_by_name(values, message):
    found = refusal(values)
    assert message in found and "set admissionPolicy.enabled to false" in found and len(found) < 1000
    render({**values, "admissionPolicy": {"enabled": False}})


@pytest.mark.parametrize("rights, message", [
    ({"kubernetes": {"enabled": True, "secrets": {"shop": ["rabbitmq"]}}}, "with kubernetes.enabled every pod of namespace scaling"),
    ({"workers": {"namespaces": ["shop"]}}, "with workers.namespaces every pod"),
], ids=str)
def test_the_account_of_every_pod_gets_no_rights(rights, message):
    found = refusal({**rights, "serviceAccount": {"create": False}})
    assert "serviceAccount.name is missing" in found and message in found
    account = {"kind": "ServiceAccount", "name": "theirs", "namespace": "scaling"}
    bindings = [item for item in render_all({**rights, "serviceAccount": {"create": False, "name": "theirs"}}) if "subjects" in item]
    assert bindings and all(item["subjects"] == [account] for item in bindings)
    assert pod_of(render({"serviceAccount": {"create": False}}))["serviceAccountName"] == "default"  # without rights


@pytest.mark.parametrize("words, message", [
    (["--hold", "1s"], "extraArgs repeats --hold: set config.hold"),
    (["--hold=1s"], "set config.hold"),
    (["--log-level", "debug"], "set config.logLevel"),
    (["--listen", "[::]:1"], "set service.port"),
    (["--http=[::]:1"], "set http.port"),
    (["--config", "x"], "set connections"),
    (["--max-streams", "1", "--max-streams=2"], "extraArgs repeats --max-streams"),
    (["--new", "--new"], "extraArgs repeats --new"),
], ids=str)
def test_a_flag_that_is_repeated_is_refused(words, message):
    """The server refuses it, too, but only once the pods crash."""
    assert message in refusal({"extraArgs": words})


def test_an_installation_without_an_image_is_refused():
    """A default would be somebody else's on a public registry."""
    assert "image.repository is missing: set it to your image of Backlog" in refusal({"image": {"repository": ""}})


def test_two_monitors_that_count_everything_twice_are_refused():
    monitors = {"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}}
    assert "serviceMonitor.enabled and podMonitor.enabled are both true" in refusal(monitors)


@pytest.mark.parametrize("port", [9090, 9091])
def test_the_port_of_the_probes_is_another(port):
    assert f"probes.port is {port}" in refusal({"probes": {"port": port}})


def test_a_flag_of_tls_that_is_repeated_is_refused():
    assert "set tls" in refusal({"tls": {"secret": "backlog-tls"}, "extraArgs": ["--tls-cert=x"]})


def test_every_flag_of_the_server_has_a_value():
    with open(f"{CHART}/values.schema.json") as file:
        config = json.load(file)["properties"]["config"]["properties"]
    flags = {row["key"] for row in json.loads(reference("json"))["flags"]}
    assert len(config) > 20
    words = ["--" + "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in key) for key in config]
    assert {word[2:] for word in words} == {flag for flag in flags if flag not in ("listen", "http", "http-hosts", "http-token-file", "probes", "config", "peers", "workers")
                                            and not flag.startswith(("tls-", "kubernetes"))}


def test_the_production_profile_wants_an_issuer_and_the_brokers():
    assert "issuerRef.name" in refusal({}, "--values", PRODUCTION)
    assert "networkPolicy.egress.to" in refusal({"tls": IN_PRODUCTION["tls"]}, "--values", PRODUCTION)
    assert CERT_MANAGER["tls"]["certManager"]["enabled"]
    with open(PRODUCTION) as file:
        assert yaml.safe_load(file)["tls"]["certManager"]["enabled"] is True
