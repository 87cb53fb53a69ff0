"""Values that the chart `autoscaled-worker` refuses, by name: its schema, or because of what another value says."""

import pytest

from support.charts.chart import merge
from support.charts.worker_chart import HPA, BASE, JOB, KAFKA, TRIGGERS, keda, notes_of, of_scaler, refusal, render, trigger

SENTINEL = {"scaler": "redis-sentinel", **of_scaler("redis-sentinel")}


@pytest.mark.parametrize("values, message", [
    ({"replicas": 2}, "replicas"),
    ({"kind": "StatefulSet"}, "/kind"),
    ({"image": {"repository": "Worker"}}, "/image/repository"),
    ({"keda": {"minReplicaCount": -1}}, "/keda/minReplicaCount"),
    ({"keda": {"minReplicaCount": "1"}}, "/keda/minReplicaCount"),
    ({"keda": {"maxReplicaCount": 0}}, "/keda/maxReplicaCount"),
    ({"keda": {"maxReplicas": 0}}, "/keda/maxReplicas"),
    ({"keda": {"replicas": 5}}, "replicas"),
    ({"keda": {"pollingInterval": "30s"}}, "/keda/pollingInterval"),
    ({"keda": {"idleReplicaCount": 1}}, "/keda/idleReplicaCount"),
    ({"keda": {"fallback": {"replicas": 0}}}, "/keda/fallback/replicas"),
    ({"keda": {"fallback": {"behavior": "hold"}}}, "/keda/fallback/behavior"),
    ({"keda": {"advanced": {"scalingModifiers": {"formula": "kafka + 1"}}}}, "/keda/advanced/scalingModifiers"),
    ({"keda": {"via": "push"}}, "/keda/via"),
    ({"keda": {"backlog": {"address": "backlog.keda.svc"}}}, "/keda/backlog/address"),
    ({"keda": {"advanced": {"horizontalPodAutoscalerConfig": {"behavior": {"scaleUp": {"policies": [{"type": "Percents"}]}}}}}},
     "/keda/advanced/horizontalPodAutoscalerConfig/behavior/scaleUp/policies/0"),
    ({"keda": {"triggers": {"orders": {"scaler": "kafak"}}}}, "/keda/triggers/orders/scaler"),
    ({"keda": {"triggers": {"Orders": {"scaler": "kafka"}}}}, "Orders"),
    ({"keda": {"triggers": {"orders": {"scaler": "kafka", "lagTreshold": 5}}}}, "lagTreshold"),
    ({"keda": {"triggers": {"orders": {"scaler": "redis", "listLength": 0}}}}, "/keda/triggers/orders/listLength"),
    ({"keda": {"triggers": {"kafka": {"scaler": "redis"}}}}, "bootstrapServers"),
    ({"keda": {"triggers": {"kafka": {"lagTreshold": 5}}}}, "lagTreshold"),
    ({"keda": {"triggers": {"kafka": {"lagThreshold": 0}}}}, "/keda/triggers/kafka/lagThreshold"),
    ({"keda": {"triggers": {"kafka": {"sasl": "scram"}}}}, "/keda/triggers/kafka/sasl"),
    ({"keda": {"triggers": {"kafka": {"hold": 60}}}}, "/keda/triggers/kafka/hold"),
    ({"keda": {"triggers": {"postgresql": {"sslMode": "on"}}}}, "/keda/triggers/postgresql/sslMode"),
    ({"keda": {"triggers": {"postgresql": {"db": "shop"}}}}, "db"),
    ({"keda": {"triggers": {"prometheus": {"lagTrigger": {"treshold": 1}}}}}, "treshold"),
    ({"keda": {"prometheus": {"lagTrigger": {"treshold": 1}}}}, "treshold"),
    ({"keda": {"triggers": {"cpu": {"value": 0}}}}, "/keda/triggers/cpu/value"),
    ({"keda": {"extraTriggers": [{"type": "cron", "metadata": {"desiredReplicas": 3}}]}}, "/keda/extraTriggers/0/metadata/desiredReplicas"),
    ({"autoscaling": {"maxReplicas": 0}}, "/autoscaling/maxReplicas"),
    ({"podDisruptionBudget": {"minAvailable": 1, "maxUnavailable": 1}}, "/podDisruptionBudget"),
    ({"podLabels": {"app.kubernetes.io/name": "mine"}}, "/podLabels"),
    ({"fullnameOverride": "x" * 53}, "/fullnameOverride"),
], ids=str)
def test_wrong_values_are_refused_by_name(values, message):
    assert message in refusal(merge(KAFKA, values))


@pytest.mark.parametrize("values, message", [
    ({"annotations": {"a": "b"}}, "annotations is now deploymentAnnotations: rename it in your values"),
    ({"updateStrategy": {}}, "updateStrategy is now strategy"),
    ({"securityContext": {"privileged": False}}, "securityContext is now containerSecurityContext"),
    ({"serviceAccount": {"automount": True}}, "serviceAccount.automount is now serviceAccount.automountServiceAccountToken"),
], ids=str)
def test_a_renamed_value_is_refused_with_its_new_name(values, message):
    assert message in refusal(merge(KAFKA, values))


@pytest.mark.parametrize("values, message", [
    ({"image": {"repository": "worker"}}, "image.tag is missing"),
    ({**BASE, "kind": "ScaledJob", "keda": {"enabled": False}}, "kind is ScaledJob and keda.enabled is false"),
    (keda(KAFKA, minReplicas=11), "keda.minReplicaCount (11) is more than keda.maxReplicaCount (10)"),
    (keda(JOB, idleReplicaCount=0, minReplicaCount=1), "keda.idleReplicaCount is set, and a ScaledJob has none"),
    (keda(JOB, fallback={"enabled": True}), "no fallback for a ScaledJob"),
    (keda(KAFKA, fallback={"enabled": True, "replicas": 11}), "keda.fallback.replicas (11) is more than keda.maxReplicaCount (10)"),
    (keda(KAFKA, fallback={"enabled": True, "behavior": "scalingModifiers"}), "set keda.advanced.scalingModifiers.formula"),
    (merge(trigger("cpu"), {"kind": "ScaledJob"}), "keda.triggers.cpu is enabled"),
    (merge(trigger("cpu"), {"resources": {"requests": {"cpu": None}}}), "keda.triggers.cpu needs resources.requests.cpu"),
    (merge(trigger("memory"), {"resources": {"requests": {"memory": None}}}), "needs resources.requests.memory"),
    (merge(trigger("cpu"), {"extraContainers": [{"name": "beside"}]}), "needs requests.cpu of the extra container beside"),
    (merge(trigger("cpu", containerName="beside"), {"extraContainers": [{"name": "beside"}]}), "of the extra container beside"),
    (keda(trigger("cpu"), minReplicaCount=0), "keda.minReplicaCount is 0 and only cpu and memory are triggers"),
    (keda(trigger("cpu"), fallback={"enabled": True}), "have no fallback"),
    (merge(HPA, {"autoscaling": {"targetCPUUtilizationPercentage": None}}), "autoscaling has no metric"),
    (merge(HPA, {"autoscaling": {"minReplicas": 11}}), "autoscaling.minReplicas (11) is more than autoscaling.maxReplicas (10)"),
    (merge(HPA, {"resources": {"requests": {"cpu": None}}}), "autoscaling.targetCPUUtilizationPercentage needs resources.requests.cpu"),
], ids=str)
def test_what_one_value_needs_of_another_is_named(values, message):
    assert message in refusal(values)


@pytest.mark.parametrize("values, message", [
    (trigger("kafka", bootstrapServers=""), "keda.triggers.kafka.bootstrapServers is missing; or name a connection of Backlog in "
                                            "keda.triggers.kafka.connectionName"),
    (trigger("kafka", consumerGroup=""), "keda.triggers.kafka.consumerGroup is missing"),
    (trigger("kafka", connectionName="shared", consumerGroup=""), "keda.triggers.kafka.consumerGroup is missing"),
    (trigger("kafka", connectionName="shared", via="keda", bootstrapServers=""), "keda.triggers.kafka.bootstrapServers is missing: KEDA's"),
    (trigger("nats-jetstream", natsServerMonitoringEndpoint=""), "servers or natsServerMonitoringEndpoint is missing"),
    (trigger("nats-jetstream", servers="nats://n", via="keda", natsServerMonitoringEndpoint=""),
     "keda.triggers.nats-jetstream.natsServerMonitoringEndpoint is missing: KEDA's"),
    (trigger("nats-jetstream", via="keda", account=""), "account or accountID is missing"),
    (trigger("rabbitmq", queueName=""), "keda.triggers.rabbitmq.queueName is missing"),
    (trigger("redis", address=""), "keda.triggers.redis.address"),
    (trigger("redis", listName=""), "keda.triggers.redis.listName or keys or library is missing"),
    (trigger("redis", listName="", keys="a,b", via="keda"), "keda.triggers.redis.keys is known to Backlog alone"),
    (trigger("rabbitmq", mode=""), "keda.triggers.rabbitmq.mode or queueLength is missing"),
    (trigger("rabbitmq", value=""), "keda.triggers.rabbitmq.value or queueLength is missing"),
    (merge(BASE, {"resources": {"requests": {"cpu": 1}}}, {"keda": {"triggers": {"cpu": {"enabled": True}}}}), "keda.triggers.cpu.value is missing"),
    (keda(BASE, triggers={"kafak": {"enabled": True}}), "keda.triggers.kafak.scaler is missing: set it to apache-kafka, kafka, "),
    (keda(BASE, triggers={"orders": {"scaler": "kafka"}}), "keda.triggers.orders.bootstrapServers is missing"),
    (trigger("postgresql", database="shop"), "keda.triggers.postgresql.database and keda.triggers.postgresql.dbName mean the same"),
    (keda(BASE, triggers={"up": {"scaler": "prometheus", "serverAddress": "http://p", "query": "up"}}), "keda.triggers.up.threshold is missing"),
    (keda(BASE, prometheus={"query": "up"}), "keda.prometheus.query is beside bufferTrigger, lagTrigger, throughputTrigger: move it"),
    (keda(BASE, prometheus={"lagTrigger": {"query": ""}}), "keda.prometheus.lagTrigger.query is missing"),
    (keda(KAFKA, prometheus={"enabled": True}, triggers={"prometheus": TRIGGERS["prometheus"]}),
     "keda.prometheus and keda.triggers.prometheus have the same name"),
    (keda(BASE, postgresql={"enabled": True}), "keda.postgresql.host or connection is missing"),
    (trigger("prometheus", query=""), "keda.triggers.prometheus.query is missing"),
    (keda(BASE, triggers={"prometheus": {"lagTrigger": {"query": "lag", "threshold": 5}}}),
     "keda.triggers.prometheus.lagTrigger.serverAddress is missing"),
    (trigger("postgresql", host=""), "keda.triggers.postgresql.host or connection is missing"),
    (trigger("postgresql", query=""), "keda.triggers.postgresql.query is missing"),
    (trigger("postgresql", via="keda", dbName=""), "keda.triggers.postgresql.dbName or connection is missing: KEDA's"),
    (trigger("kafka", password="a", existingSecret="b"), "keda.triggers.kafka.password and keda.triggers.kafka.existingSecret are both"),
    (trigger("kafka", secretKeys={"ca": "ca.crt"}), "keda.triggers.kafka.secretKeys needs keda.triggers.kafka.existingSecret"),
    (trigger("kafka", via="keda", authenticationRef={"name": "mine"}, password="a"), "authenticationRef and"),
    (trigger("nats-jetstream", token="s3cret"), "keda.triggers.nats-jetstream.token is a secret"),
    (trigger("nats-jetstream", token="s3cret{{x"), "keda.triggers.nats-jetstream.token is a secret"),
    (trigger("prometheus", via="keda", bearerToken="s3cret{{x"), "keda.triggers.prometheus.bearerToken is a secret"),
    (trigger("nats-jetstream", servers="nats://s3cret@nats:4222"), "keda.triggers.nats-jetstream.servers has a password"),
    (trigger("rabbitmq", host="amqp://worker:s3cret@rabbitmq:5672/"), "keda.triggers.rabbitmq.host has a password"),
    (trigger("rabbitmq", via="keda", host="amqp://worker:s3cret@rabbitmq:5672/"), "keda.triggers.rabbitmq.host has a password"),
    (trigger("postgresql", connection="postgresql://worker:s3cret@pg/shop"), "keda.triggers.postgresql.connection is a secret"),
    (trigger("postgresql", via="keda", connection="postgresql://w:s3cret@pg/shop"), "keda.triggers.postgresql.connection is a secret"),
    (trigger("prometheus", customHeaders="Authorization=Bearer s3cret"), "keda.triggers.prometheus.customHeaders has a secret"),
    (trigger("prometheus", via="keda", customHeaders="X-Api-Key=s3cret"), "customHeaders has a secret"),
    (merge(trigger("kafka"), trigger("redis", name="kafka")), "two triggers have the name kafka"),
    (keda(BASE, triggers={"jobs": {**SENTINEL, "existingSecret": "a", "secretKeys": {"sentinelPassword": "sp"}},
                           "jobs-sentinel": {"scaler": "redis", **TRIGGERS["redis"], "existingSecret": "b"}}),
     "keda.triggers.jobs and keda.triggers.jobs-sentinel have different secrets in one variable, KEDA_TRIGGER_JOBS_SENTINEL_PASSWORD"),
    (trigger("kafka", awsRegion="eu-west-1"), "keda.triggers.kafka.awsRegion is not supported by Backlog"),
    (trigger("kafka", via="keda", maxWait="60s"), "keda.triggers.kafka.maxWait is known to Backlog alone"),
    (keda(BASE, triggers={"apache-kafka": {**TRIGGERS["kafka"], "via": "keda", "saslTokenProvider": "bearer"}}),
     "keda.triggers.apache-kafka.saslTokenProvider is known to Backlog alone"),
    (trigger("kafka", via="keda", persistentLagTime="60s"), "keda.triggers.kafka.persistentLagTime is known to Backlog alone"),
    (trigger("kafka", via="keda", passwordFromEnv="PASSWORD"), "reads password from no variable"),
    (merge(JOB, trigger("kafka", via="external-push")), "keda.triggers.kafka.via is external-push, but KEDA ignores push"),
    (keda(JOB, via="external-push"), "keda.via is external-push"),
], ids=str)
def test_a_trigger_that_cannot_work_is_refused_by_name(values, message):
    found = refusal(values)
    assert message in found and "s3cret" not in found


def test_with_keda_the_plain_hpa_is_left_out_and_noted(tmp_path):
    objects = render(merge(KAFKA, {"autoscaling": {"enabled": True}}))
    assert "ScaledObject" in objects and "HorizontalPodAutoscaler" not in objects
    words = "autoscaling.enabled is ignored while keda.enabled is true"
    assert words in notes_of(tmp_path, "--set", "autoscaling.enabled=true", "--set", "keda.enabled=true")
    assert words not in notes_of(tmp_path)
    without = render(HPA)
    assert "HorizontalPodAutoscaler" in without and "ScaledObject" not in without


def test_nothing_is_refused_that_is_off():
    """A team keeps the values of what it has switched off."""
    render(merge(KAFKA, {"keda": {"triggers": {"cpu": None, "memory": None, "prometheus": {"enabled": False, "lagTrigger": None}}}}))
    render(merge(KAFKA, {"keda": {"triggers": {"redis": {"enabled": False, "password": "a", "existingSecret": "b"}}}}))
    render(merge(trigger("cpu", containerName="autoscaled-worker"), {"extraContainers": [{"name": "beside", "image": "beside"}]}))
    assert render(keda(KAFKA, triggers={"kafka": {"enabled": False}}))["ScaledObject"]["spec"]["triggers"] == []
    render(merge(HPA, {"keda": {"minReplicas": 1, "minReplicaCount": 2, "triggers": {"kafka": {"enabled": True}}}}))
