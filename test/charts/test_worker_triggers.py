"""The chart `autoscaled-worker`: what KEDA gets of the values, checked as YAML."""

import base64
import json

import pytest
import yaml

from support.charts.chart import CHART, merge, render_all
from support.server.server import reference
from support.charts.worker_chart import (CAPTURE, CAPTURE_EXAMPLES, CREDENTIALS, HPA, BASE, JOB, KAFKA, NAME, PARTS, REQUESTS, SECRET, SOURCES, TRIGGERS, WORKER,
                                  all_triggers, container_of, every_scaler, keda, notes_of, render, trigger, triggers_of)

ADDRESS = "backlog.keda.svc:9090"


def test_one_trigger_is_enough_for_a_scaled_object():
    objects = render(KAFKA)
    assert set(objects) == {"Deployment", "ScaledObject", "ServiceAccount"}
    assert objects["ScaledObject"]["spec"] == {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME, "envSourceContainerName": "autoscaled-worker"},
        "minReplicaCount": 0, "maxReplicaCount": 10, "pollingInterval": 30, "cooldownPeriod": 300,
        "advanced": {"horizontalPodAutoscalerConfig": {"behavior": {
            "scaleDown": {"stabilizationWindowSeconds": 300, "policies": [{"type": "Percent", "value": 50, "periodSeconds": 60}]},
            "scaleUp": {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": [
                {"type": "Percent", "value": 100, "periodSeconds": 15}, {"type": "Pods", "value": 4, "periodSeconds": 15}]}}}},
        "triggers": [{"type": "external-push", "name": "kafka", "metadata": {
            "scalerAddress": ADDRESS, "scaler": "kafka", "bootstrapServers": "kafka:9092", "consumerGroup": "workers",
            "topic": "orders"}}]}
    deployment = objects["Deployment"]["spec"]
    assert "replicas" not in deployment  # an upgrade must not undo what KEDA set
    assert deployment["selector"]["matchLabels"].items() <= deployment["template"]["metadata"]["labels"].items()


def test_a_held_value_is_as_old_as_the_memory_of_the_hpa():
    def hold_window(seconds, **options):
        config = {"horizontalPodAutoscalerConfig": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": seconds}}}}
        one, = triggers_of(render(keda(merge(KAFKA, trigger("kafka", **options)), advanced=config)))
        return one["metadata"].get("holdWindow")

    assert (hold_window(0), hold_window(300), hold_window(900)) == ("0s", None, "900s")
    assert hold_window(60, holdWindow="2m") == "2m"
    assert hold_window(60, via="keda") is None


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_goes_through_backlog_or_by_keda(source):
    through, = triggers_of(render(trigger(source)))
    assert through["type"] == "external-push"
    assert through["metadata"]["scaler"] == source and through["metadata"]["scalerAddress"] == ADDRESS
    assert triggers_of(render(trigger(source, via="external")))[0]["type"] == "external"
    built_in, = triggers_of(render(trigger(source, via="keda")))
    assert built_in["type"] == source
    assert not {"scaler", "scalerAddress", "enableTLS"} & set(built_in["metadata"])
    # Every other key stays: a team moves one trigger by one word.
    assert built_in["metadata"] == {key: value for key, value in through["metadata"].items() if key not in ("scaler", "scalerAddress")}
    assert all(isinstance(value, str) for value in through["metadata"].values())
    # All of them, and this one has moved.
    assert triggers_of(render(keda(trigger(source, via="external-push"), via="keda")))[0]["type"] == "external-push"
    assert triggers_of(render(keda(trigger(source), via="keda")))[0]["type"] == source


@pytest.mark.parametrize("source", SOURCES)
def test_a_trigger_has_the_keys_of_the_values_and_no_default_of_the_chart(source):
    found, = triggers_of(render(trigger(source)))
    assert found["metadata"] == {"scalerAddress": ADDRESS, "scaler": source, **{key: str(value) for key, value in TRIGGERS[source].items()}}


def test_triggers_have_names_of_yours():
    """Two of one scaler, each with its own credentials, and one for each way to measure."""
    values = keda(BASE, triggers={
        "orders": {"scaler": "rabbitmq", **TRIGGERS["rabbitmq"], **SECRET},
        "paid-orders": {"scaler": "rabbitmq", **TRIGGERS["rabbitmq"], "queueName": "paid", "existingSecret": "other"},
        "night": {"scaler": "kafka", **TRIGGERS["kafka"], "via": "keda", "sasl": "plaintext", "password": "hunter2"},
        "load": {"scaler": "cpu", **TRIGGERS["cpu"]}})
    objects = render(merge(values, REQUESTS))
    night, orders, paid, load = triggers_of(objects)
    assert [night["name"], orders["name"], paid["name"]] == ["night", "orders", "paid_orders"]  # a formula has them
    assert (orders["metadata"]["queueName"], paid["metadata"]["queueName"], load["type"]) == ("orders", "paid", "cpu")
    assert {each["name"]: each["valueFrom"]["secretKeyRef"] for each in container_of(objects)["env"]} == {
        "KEDA_TRIGGER_ORDERS_PASSWORD": {"name": "broker", "key": "pw"},
        "KEDA_TRIGGER_PAID_ORDERS_PASSWORD": {"name": "other", "key": "password"}}
    assert paid["metadata"]["passwordFromEnv"] == "KEDA_TRIGGER_PAID_ORDERS_PASSWORD"
    assert (night["type"], night["authenticationRef"]["name"]) == ("kafka", f"{NAME}-night")
    assert list(objects["Secret"]["data"]) == ["night-password"]


@pytest.mark.parametrize("via", ["backlog", "keda"])
def test_every_scaler_of_the_reference_is_one_of_the_chart(via):
    found = {each["name"]: each for each in triggers_of(render(every_scaler(via=via)))}
    for scaler in json.loads(reference("json"))["scalers"]:
        one = found.pop(f"{scaler}-1".replace("-", "_"))
        assert scaler == (one["type"] if via == "keda" else one["metadata"]["scaler"])
    assert not found


def test_a_trigger_of_prometheus_may_have_several_in_it():
    values = keda(BASE, triggers={"prometheus": PARTS})
    found = {each["name"]: (each["metadata"]["query"], each["metadata"]["threshold"]) for each in triggers_of(render(values))}
    assert found == {"lag": ("lag", "300"), "buffer": ("buffer", "8000"), "throughput": ("throughput", "1000")}
    one, = triggers_of(render(keda(values, triggers={"prometheus": {"lagTrigger": None, "bufferTrigger": {"enabled": False}}})))
    assert one["name"] == "throughput"
    other, = triggers_of(render(keda(BASE, triggers={"shop": {
        "scaler": "prometheus", "serverAddress": "http://p", "errorsTrigger": {"query": "errors", "threshold": 1}}})))
    assert (other["name"], other["metadata"]["serverAddress"]) == ("errors", "http://p")


# ---- change data capture ----

LAG, BUFFER = ("lag", "max(philotes_cdc_lag_seconds)", "300", "60"), ("buffer", "max(philotes_buffer_depth)", "8000", "1000")
THROUGHPUT = ("throughput", "sum(rate(philotes_buffer_events_processed_total[5m]))", "1000", None)


def queries_of(objects):
    return {(each["name"], each["metadata"]["query"], each["metadata"]["threshold"], each["metadata"].get("activationThreshold"))
            for each in triggers_of(objects) if each["metadata"].get("serverAddress") == "http://prometheus:9090"}


@pytest.mark.parametrize("name, replicas, others", [("basic", (1, 5), []), ("scale to zero", (0, 10), []), ("multi-metric", (0, 10), ["cpu"])])
@pytest.mark.parametrize("via", ["backlog", "keda"])
def test_the_values_of_charts_for_change_data_capture_work_as_they_stand(name, replicas, others, via):
    objects = render(keda(CAPTURE_EXAMPLES[name], via=via))
    spec = objects["ScaledObject"]["spec"]
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == replicas and "idleReplicaCount" not in spec
    assert queries_of(objects) == {LAG, BUFFER}
    assert [each["type"] for each in spec["triggers"]] == [{"backlog": "external-push", "keda": "prometheus"}[via]] * 2 + others
    assert container_of(objects)["image"]


def test_the_defaults_are_those_of_change_data_capture():
    assert queries_of(render({"keda": {"enabled": True}})) == {LAG, BUFFER}
    objects = render(CAPTURE)
    assert queries_of(objects) == {LAG, BUFFER, THROUGHPUT}
    assert [each.get("name", each["type"]) for each in triggers_of(objects)] == [
        "kafka", "postgresql", "buffer", "lag", "throughput", "cpu", "memory"]
    database = triggers_of(objects)[1]["metadata"]
    assert "pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)" in database["query"] and "'philotes_cdc'" in database["query"]
    assert (database["port"], database["targetQueryValue"], database["activationTargetQueryValue"]) == ("5432", "1000000", "100000")


def test_beside_triggers_with_names_those_of_prometheus_are_off_until_they_are_turned_on(tmp_path):
    assert not queries_of(render(KAFKA))
    assert queries_of(render(keda(KAFKA, prometheus={"enabled": True}))) == {LAG, BUFFER}
    assert not queries_of(render(keda(BASE, prometheus={"enabled": False}, cpu={"enabled": True}, minReplicas=1)))
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump(KAFKA))
    assert "keda.prometheus is off beside other triggers" in notes_of(tmp_path, "--values", values)
    assert "is off beside" not in notes_of(tmp_path, "--values", values, "--set", "keda.prometheus.enabled=false")


def test_the_keys_of_postgresql_have_two_names():
    at_keda = triggers_of(render(keda(BASE, prometheus={"enabled": False}, postgresql={
        "enabled": True, "host": "pg", "database": "shop", "user": "worker", "query": "SELECT 1", "targetQueryValue": 5,
        "activationTargetQueryValue": ""})))
    named = triggers_of(render(keda(BASE, triggers={"postgresql": {
        "host": "pg", "port": 5432, "dbName": "shop", "userName": "worker", "sslmode": "prefer", "query": "SELECT 1", "targetQueryValue": 5}})))
    assert at_keda == named


# ---- replicas ----


@pytest.mark.parametrize("values, max_replicas", [
    ({}, 10), ({"maxReplicas": 20}, 20), ({"maxReplicaCount": 30}, 30), ({"maxReplicas": 20, "maxReplicaCount": 30}, 30)], ids=str)
def test_the_limit_of_replicas(values, max_replicas):
    assert render(keda(KAFKA, **values))["ScaledObject"]["spec"]["maxReplicaCount"] == max_replicas
    job = merge(JOB, {"keda": values})
    assert render(job)["ScaledJob"]["spec"]["maxReplicaCount"] == max_replicas


@pytest.mark.parametrize("resource", ["cpu", "memory"])
def test_resources_are_percent_of_the_requests(resource):
    found, = triggers_of(render(trigger(resource)))
    assert found == {"type": resource, "metricType": "Utilization", "metadata": {"value": "80"}}
    found, = triggers_of(render(trigger(resource, value="500m", metricType="AverageValue", containerName="main")))
    assert found["metadata"] == {"value": "500m", "containerName": "main"} and found["metricType"] == "AverageValue"


def test_all_triggers_have_names_of_their_own():
    names = [found.get("name") for found in triggers_of(render(all_triggers()))]
    assert names == ["kafka", "metrics_api", "nats_jetstream", "postgresql", "buffer", "lag", "throughput", "rabbitmq", "redis", None, None]


@pytest.mark.parametrize("values, expected", [
    ({}, (0, None)), ({"minReplicaCount": 2}, (2, None)), ({"minReplicas": 0}, (0, None)), ({"minReplicas": 3}, (3, None)),
    ({"minReplicaCount": 2, "minReplicas": 2}, (2, None)), ({"minReplicaCount": 0, "minReplicas": 1}, (1, None)),
    ({"minReplicaCount": 0, "idleReplicaCount": 0}, (0, None)), ({"idleReplicaCount": 0}, (0, None)),
    ({"idleReplicaCount": 0, "minReplicaCount": 3}, (3, 0)),
], ids=str)
def test_the_least_replicas(values, expected):
    spec = render(keda(KAFKA, **values))["ScaledObject"]["spec"]
    assert (spec["minReplicaCount"], spec.get("idleReplicaCount")) == expected


def test_what_is_zero_is_not_lost():
    values = keda(KAFKA, cooldownPeriod=0, advanced={"horizontalPodAutoscalerConfig": {"behavior": {
        "scaleDown": {"stabilizationWindowSeconds": 0}}}}, triggers={"kafka": {"activationLagThreshold": 0}})
    spec = render(values)["ScaledObject"]["spec"]
    assert spec["cooldownPeriod"] == 0
    assert spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 0
    assert spec["triggers"][0]["metadata"]["activationLagThreshold"] == "0"
    off = {**BASE, "keda": {"enabled": False}}
    assert render({**off, "replicaCount": 0})["Deployment"]["spec"]["replicas"] == 0
    assert "replicas" not in render({**off, "replicaCount": None})["Deployment"]["spec"]


@pytest.mark.parametrize("values, expected", [
    ({"minReplicaCount": 1}, (None, None)), ({}, (30, 300)), ({"minReplicaCount": 1, "idleReplicaCount": 0}, (30, 300)),
    ({"minReplicaCount": 1, "pollingInterval": 10, "cooldownPeriod": 60}, (10, 60)), ({"pollingInterval": 10}, (10, 300)),
], ids=str)
def test_intervals_are_written_where_they_have_an_effect(values, expected):
    """KEDA's webhook warns of them otherwise. Its defaults are those of the chart."""
    spec = render(keda(KAFKA, **values))["ScaledObject"]["spec"]
    assert (spec.get("pollingInterval"), spec.get("cooldownPeriod")) == expected


def test_large_numbers_are_written_out():
    found, = triggers_of(render(trigger("postgresql", targetQueryValue=5000000000, activationTargetQueryValue=0.5)))
    assert found["metadata"]["targetQueryValue"] == "5000000000" and found["metadata"]["activationTargetQueryValue"] == "0.5"


def test_fallback_shortens_the_hold_of_backlogs_triggers_alone():
    fallback = {"enabled": True, "replicas": 4}
    objects = render(keda(merge(trigger("redis"), trigger("kafka", via="keda"), trigger("rabbitmq", hold="5m")), fallback=fallback))
    assert objects["ScaledObject"]["spec"]["fallback"] == {"failureThreshold": 3, "replicas": 4}
    holds = {found["name"]: found["metadata"].get("hold") for found in triggers_of(objects)}
    assert holds == {"redis": "60s", "kafka": None, "rabbitmq": "5m"}
    assert "hold" not in triggers_of(render(trigger("redis")))[0]["metadata"]
    assert "fallback" not in render(KAFKA)["ScaledObject"]["spec"]


# ---- credentials ----

@pytest.mark.parametrize("source", SOURCES)
def test_a_password_is_in_a_secret_and_nowhere_else(source):
    for via in ("backlog", "keda"):
        objects = render(trigger(source, via=via, password="hunter2"))
        text = yaml.safe_dump([item for item in objects.values() if item["kind"] != "Secret"])
        assert "hunter2" not in text and base64.b64encode(b"hunter2").decode() not in text
        if (source, via) == ("nats-jetstream", "keda"):
            assert "Secret" not in objects  # KEDA's scaler has no credentials
            continue
        assert base64.b64decode(objects["Secret"]["data"][f"{source}-password"]) == b"hunter2"
        assert objects["Secret"]["metadata"]["name"] == f"{NAME}-triggers"


@pytest.mark.parametrize("via", ["backlog", "keda"])
@pytest.mark.parametrize("password", ["{{ .Values }}", "Secr3t{{x", '{{ fail "x" }}', "a: b", "'\"\\", " 12345 ", "007", "ü€"])
def test_any_password_arrives_as_it_is(password, via):
    data = render(trigger("redis", via=via, password=password))["Secret"]["data"]
    assert base64.b64decode(data["redis-password"]).decode() == password


def test_texts_may_have_templates_and_several_lines():
    query = "SELECT count(*)\nFROM jobs WHERE state = 'new: {}'"
    found, = triggers_of(render(trigger("postgresql", host="{{ .Release.Name }}-postgresql.{{ .Release.Namespace }}", query=query)))
    assert found["metadata"]["host"] == "release-postgresql.scaling" and found["metadata"]["query"] == query


@pytest.mark.parametrize("text", ["a: 1\nb: 2", "x' #y", "it''s", "it's", '"a" \\', "5", "a: b", "- x", "ü€\n"])
def test_what_a_template_gives_is_no_yaml(text):
    given = {"global": {"text": text}}
    env = [{"name": "A", "value": "{{ .Values.global.text }}"}, {"name": "B", "value": "1{{ .Values.global.text }}"}]
    assert [each["value"] for each in container_of(render(merge(KAFKA, given, {"env": env})))["env"]] == [text, f"1{text}"]
    objects = [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "more"}, "data": {
        "a": "{{ .Values.global.text }}", "b": "- x\n{{ .Values.global.text }}"}}]
    for chart, values in ((WORKER, KAFKA), (CHART, {})):
        more, = [each for each in render_all(merge(values, given, {"extraObjects": objects}), chart=chart) if each["metadata"]["name"] == "more"]
        assert more["data"] == {"a": text, "b": f"- x\n{text}"}


def test_every_text_of_a_variable_or_an_object_may_be_a_template():
    """Also names, and of no type but text."""
    name = "{{ .Release.Name }}"
    env = [{"name": '{{ upper "a" }}', "valueFrom": {"secretKeyRef": {"name": f"{name}-redis", "key": "k", "optional": True}}},
           {"name": "B", "value": "1{{ 2 }}"}, {"name": "C", "value": None}]
    assert container_of(render({**KAFKA, "env": env}))["env"] == [
        {"name": "A", "valueFrom": {"secretKeyRef": {"name": "release-redis", "key": "k", "optional": True}}},
        {"name": "B", "value": "12"}, {"name": "C", "value": None}]
    item = {"kind": "Other", "metadata": {"name": f"{name}-more", "labels": {f"{name}/a": "b"}},
            "spec": {"args": [f"--of={name}", ["x", 1000000]], "ports": [{"port": 80}], "half": 0.5, "on": True, "empty": {}, "none": None, "no": []}}
    for chart, values in ((WORKER, KAFKA), (CHART, {})):
        more, = [each for each in render_all({**values, "extraObjects": [item]}, chart=chart) if each["kind"] == "Other"]
        assert more == yaml.safe_load(yaml.safe_dump(item).replace(name, "release"))


@pytest.mark.parametrize("source", SOURCES)
def test_through_backlog_keda_reads_the_secret_from_the_workers_container(source):
    objects = render(trigger(source, **SECRET))
    variable = f"KEDA_TRIGGER_{source.replace('-', '_').upper()}_PASSWORD"
    assert container_of(objects)["env"] == [{"name": variable, "valueFrom": {"secretKeyRef": {"name": "broker", "key": "pw"}}}]
    found, = triggers_of(objects)
    assert found["metadata"]["passwordFromEnv"] == variable and "authenticationRef" not in found
    assert "Secret" not in objects and "TriggerAuthentication" not in objects


@pytest.mark.parametrize("source", sorted(set(SOURCES) - {"nats-jetstream"}))
def test_by_keda_a_trigger_authentication_reads_the_secret(source):
    objects = render(trigger(source, via="keda", **SECRET))
    found, = triggers_of(objects)
    assert found["authenticationRef"] == {"name": f"{NAME}-{source}"}
    assert objects["TriggerAuthentication"]["metadata"]["name"] == f"{NAME}-{source}"
    assert objects["TriggerAuthentication"]["spec"] == {"secretTargetRef": [{"parameter": "password", "name": "broker", "key": "pw"}]}
    assert "env" not in container_of(objects) and "passwordFromEnv" not in found["metadata"]


def test_what_keda_reads_from_an_authentication_alone_is_moved_there():
    """The user's name is no secret, but KEDA's Kafka scaler reads it nowhere else."""
    objects = render(trigger("kafka", via="keda", sasl="plaintext", username="worker", **SECRET))
    found, = triggers_of(objects)
    assert found["metadata"]["sasl"] == "plaintext" and "username" not in found["metadata"]
    assert objects["TriggerAuthentication"]["spec"]["secretTargetRef"] == [
        {"parameter": "password", "name": "broker", "key": "pw"},
        {"parameter": "username", "name": f"{NAME}-triggers", "key": "kafka-username"}]
    assert {key: base64.b64decode(value) for key, value in objects["Secret"]["data"].items()} == {"kafka-username": b"worker"}


def test_more_secret_keys():
    keys = {"existingSecret": "tls", "passwordKey": "", "secretKeys": {"ca": "ca.crt", "keyPassword": "pass"}, "tls": "enable"}
    objects = render(trigger("kafka", **keys))
    assert {found["name"]: found["valueFrom"]["secretKeyRef"]["key"] for found in container_of(objects)["env"]} == {
        "KEDA_TRIGGER_KAFKA_CA": "ca.crt", "KEDA_TRIGGER_KAFKA_KEY_PASSWORD": "pass"}
    assert triggers_of(objects)[0]["metadata"]["keyPasswordFromEnv"] == "KEDA_TRIGGER_KAFKA_KEY_PASSWORD"
    by_keda = render(trigger("kafka", via="keda", **keys))["TriggerAuthentication"]["spec"]["secretTargetRef"]
    assert [each["parameter"] for each in by_keda] == ["ca", "keyPassword"]


def test_a_connection_takes_the_place_of_address_and_credentials():
    objects = render(trigger("rabbitmq", connectionName="shared", username="worker", **SECRET))
    found, = triggers_of(objects)
    assert found["metadata"] == {"scalerAddress": ADDRESS, "scaler": "rabbitmq", "connectionName": "shared", "queueName": "orders",
                                 "mode": "QueueLength", "value": "20"}
    assert "env" not in container_of(objects)
    # And back: nothing else has to change.
    back, = triggers_of(render(trigger("rabbitmq", via="keda", connectionName="shared", hold="5m", **SECRET)))
    assert back["metadata"] == {"host": "amqp://rabbitmq:5672/", "queueName": "orders", "mode": "QueueLength", "value": "20"}


def test_a_connection_is_enough():
    for source, required in {"kafka": {"consumerGroup": "g"}, "rabbitmq": {"queueName": "q", "mode": "QueueLength", "value": 5}, "redis": {"listName": "l"},
                             "nats-jetstream": {"stream": "s", "consumer": "c"}, "prometheus": {"query": "q", "threshold": 5},
                             "metrics-api": {"valueLocation": "a", "targetValue": 5}, "postgresql": {"query": "SELECT 1", "targetQueryValue": 5}}.items():
        values = merge(BASE, {"keda": {"triggers": {source: {"connectionName": "shared", **required}}}})
        assert triggers_of(render(values))[0]["metadata"]["connectionName"] == "shared"


def test_an_authentication_of_yours_is_taken():
    reference_ = {"name": "mine", "kind": "ClusterTriggerAuthentication"}
    objects = render(merge(BASE, {"keda": {"triggers": {"kafka": {
        **TRIGGERS["kafka"], "via": "keda", "authenticationRef": reference_}}}}))
    assert triggers_of(objects)[0]["authenticationRef"] == reference_ and "TriggerAuthentication" not in objects


def test_nats_by_its_client_protocol_or_by_its_monitoring_port():
    both = trigger("nats-jetstream", servers="nats://nats:4222", user="worker", password="hunter2")
    through, = triggers_of(render(both))
    assert through["metadata"]["servers"] == "nats://nats:4222" and "natsServerMonitoringEndpoint" not in through["metadata"]
    by_keda, = triggers_of(render(keda(both, via="keda")))
    assert by_keda["metadata"]["natsServerMonitoringEndpoint"] == "nats:8222"
    assert not {"servers", "user"} & set(by_keda["metadata"])


def test_tls_of_the_broker_has_kedas_name_with_keda():
    assert triggers_of(render(trigger("redis", brokerTls="enable")))[0]["metadata"]["brokerTls"] == "enable"
    by_keda = triggers_of(render(trigger("redis", via="keda", brokerTls="enable", brokerUnsafeSsl=True)))[0]["metadata"]
    assert by_keda["enableTLS"] == "true" and by_keda["unsafeSsl"] == "true"
    assert triggers_of(render(trigger("redis", via="keda", brokerTls="disable")))[0]["metadata"]["enableTLS"] == "false"


def test_tls_to_backlog_concerns_its_triggers_alone():
    values = keda(merge(trigger("kafka"), trigger("redis", via="keda")),
                  backlog={"address": "dns:///backlog.scaling.svc:7070", "tls": True, "authenticationRef": {"name": "backlog"}})
    through, by_keda = triggers_of(render(values))
    assert through["metadata"]["enableTLS"] == "true" and through["metadata"]["scalerAddress"] == "dns:///backlog.scaling.svc:7070"
    assert through["authenticationRef"] == {"name": "backlog", "kind": "ClusterTriggerAuthentication"}
    assert "enableTLS" not in by_keda["metadata"] and "authenticationRef" not in by_keda


def test_policies_of_backlog_are_keys_of_a_trigger():
    found, = triggers_of(render(trigger("rabbitmq", maxWait="60s", ratePerReplica=10, scaleDownWhenIdle="30s")))
    assert {"maxWait": "60s", "ratePerReplica": "10", "scaleDownWhenIdle": "30s"}.items() <= found["metadata"].items()


def test_every_key_of_a_scaler_is_accepted():
    """The table of the chart is made of the scalers' own."""
    with open(f"{WORKER}/files/triggers.json") as file:
        table = json.load(file)
    with open(f"{WORKER}/values.schema.json") as file:
        definitions = json.load(file)["definitions"]
    scalers = json.loads(reference("json"))["scalers"]
    assert set(table["scalers"]) == set(scalers)
    for name, scaler in scalers.items():
        rows = [row for scope in ("connection", "query", "target") for row in scaler[scope]]
        assert {row["key"] for row in rows} <= set(definitions[name]["properties"]), name
        assert {row["key"] for row in rows if row.get("secret")} - {"customHeaders"} <= set(table["scalers"][name]["secret"])


# ---- a Job, and no KEDA ----

def test_a_scaled_job_has_no_idle_replica_count():
    assert render(keda(JOB, idleReplicaCount=0, minReplicaCount=0))["ScaledJob"] == render(JOB)["ScaledJob"]


def test_a_scaled_job_has_what_kedas_does_and_nothing_else():
    objects = render(merge(JOB, {"job": {"activeDeadlineSeconds": 60}, "keda": {"triggers": {"kafka": CREDENTIALS}}}))
    assert "Deployment" not in objects and "ScaledObject" not in objects
    spec = objects["ScaledJob"]["spec"]
    assert set(spec) == {"jobTargetRef", "envSourceContainerName", "pollingInterval", "minReplicaCount", "maxReplicaCount",
                         "successfulJobsHistoryLimit", "failedJobsHistoryLimit", "rollout", "triggers"}
    assert spec["rollout"] == {"strategy": "gradual"}  # an upgrade deletes no running Job
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (0, 10)
    assert spec["jobTargetRef"]["backoffLimit"] == 3 and spec["jobTargetRef"]["activeDeadlineSeconds"] == 60
    assert "parallelism" not in spec["jobTargetRef"]
    assert spec["jobTargetRef"]["template"]["spec"]["restartPolicy"] == "Never"
    assert spec["triggers"][0]["type"] == "external"  # pushes do not reach a ScaledJob
    assert container_of(objects)["env"][0]["name"] == "KEDA_TRIGGER_KAFKA_PASSWORD"


def test_a_plain_hpa_where_keda_is_off():
    objects = render(HPA)
    assert set(objects) == {"Deployment", "HorizontalPodAutoscaler", "ServiceAccount"}
    assert "replicas" not in objects["Deployment"]["spec"]
    spec = objects["HorizontalPodAutoscaler"]["spec"]
    assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": objects["Deployment"]["metadata"]["name"]}
    assert (spec["minReplicas"], spec["maxReplicas"]) == (1, 10)
    metric, = spec["metrics"]
    assert metric["resource"] == {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}


def test_the_notes_name_the_triggers_or_say_that_there_is_none(tmp_path):
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump(merge(KAFKA, trigger("redis", via="keda"), trigger("cpu"))))
    notes = notes_of(tmp_path, "--values", values)
    assert "from 1 to 10 replicas, by\n  kafka, through Backlog at backlog.keda.svc:9090 (external-push)\n  redis, by KEDA's" in notes
    assert "\n  cpu\n" in notes and "There is no trigger" not in notes
    off = ("--set", "keda.enabled=true", "--set", "keda.prometheus.enabled=false")
    assert "There is no trigger, and KEDA refuses the scaledobject" in notes_of(tmp_path, *off)


def test_without_keda_nothing_of_it_is_left():
    objects = render(merge(all_triggers(**CREDENTIALS), {"keda": {"enabled": False}}))
    assert set(objects) == {"Deployment", "ServiceAccount"}
    assert objects["Deployment"]["spec"]["replicas"] == 1 and "env" not in container_of(objects)


def test_the_pods_pass_the_restricted_pod_security_standard():
    for values in (KAFKA, JOB):
        objects = render(values)
        workload = objects.get("Deployment") or {"spec": objects["ScaledJob"]["spec"]["jobTargetRef"]}
        pod = workload["spec"]["template"]["spec"]
        assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
        assert container_of(objects)["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
        assert pod["automountServiceAccountToken"] is False


def test_names_are_short_enough_for_what_keda_adds():
    for values in ({"fullnameOverride": "x" * 52}, {"nameOverride": "y" * 52}):
        name = render({**KAFKA, **values})["ScaledObject"]["metadata"]["name"]
        assert len(name) > 40 and len(f"keda-hpa-{name}") <= 63


def test_the_requests_are_those_of_the_values():
    assert container_of(render(trigger("cpu")))["resources"] == REQUESTS["resources"]
