"""The chart `autoscaled-worker`, rendered by helm, and values for it: every toggle once, and combinations."""

import json
import os
import pathlib
import shutil
import subprocess

import yaml

from .chart import by_kind, helm, merge, render_all
from ..process import need
from ..server.server import REPOSITORY, binary, reference

WORKER = os.path.join(REPOSITORY, "charts", "autoscaled-worker")
UMBRELLA = os.path.join(REPOSITORY, "examples", "umbrella")
NAME = "release-autoscaled-worker"
EXAMPLES = {name: os.path.join(WORKER, f"values-{name}.yaml") for name in ("basic", "scale-to-zero", "multi-metric")}

BASE = {"image": {"repository": "registry.example/worker", "tag": "1.0.0"}, "keda": {"enabled": True}}
REQUESTS = {"resources": {"requests": {"cpu": "100m", "memory": "128Mi"}}}

# What each source needs, and no more: with an address for KEDA's built-in scaler, too.
TRIGGERS = {
    "kafka": {"bootstrapServers": "kafka:9092", "consumerGroup": "workers", "topic": "orders"},
    "nats-jetstream": {"natsServerMonitoringEndpoint": "nats:8222", "account": "$G", "stream": "ORDERS", "consumer": "worker"},
    "rabbitmq": {"host": "amqp://rabbitmq:5672/", "queueName": "orders", "mode": "QueueLength", "value": 20},
    "redis": {"address": "redis:6379", "listName": "orders"},
    "prometheus": {"serverAddress": "http://prometheus:9090", "query": "lag", "threshold": 300},
    "metrics-api": {"url": "http://api:8080/orders", "valueLocation": "orders.waiting", "targetValue": 20},
    "postgresql": {"host": "postgresql", "port": 5432, "dbName": "shop", "userName": "worker", "sslmode": "prefer",
                   "query": "SELECT 1", "targetQueryValue": 1000000},
    "cpu": {"value": 80},
    "memory": {"value": 80},
}
SOURCES = tuple(name for name in TRIGGERS if name not in ("cpu", "memory"))
# Triggers of Prometheus in one, as older charts have them.
PARTS = {"enabled": True, "serverAddress": "http://prometheus:9090", **{
    f"{name}Trigger": {"query": name, "threshold": threshold}
    for name, threshold in (("lag", 300), ("buffer", 8000), ("throughput", 1000))}}


def trigger(source, **keys):
    """Values with this trigger alone."""
    resource = merge(REQUESTS, {"keda": {"minReplicaCount": 1}}) if source in ("cpu", "memory") else {}
    return merge(BASE, resource, {"keda": {"triggers": {source: {**TRIGGERS[source], **keys}}}})


def of_scaler(scaler):
    """A trigger of any scaler, without its name."""
    if scaler.startswith("redis"):
        what = {"stream": "orders", "consumerGroup": "workers", "lagCount": 5} if scaler.endswith("streams") else {"listName": "orders"}
        return {"address": "redis:6379", **what, **({"sentinelMaster": "shop"} if "sentinel" in scaler else {})}
    return TRIGGERS["kafka" if scaler == "apache-kafka" else scaler]


def every_scaler(**keys):
    """A trigger of each scaler of the reference, by a name that is no scaler's."""
    scalers = json.loads(reference("json"))["scalers"]
    return merge(BASE, {"keda": {"triggers": {f"{scaler}-1": {"scaler": scaler, **of_scaler(scaler), **keys} for scaler in scalers}}})


def keda(values, **keys):
    return merge(values, {"keda": keys})


def all_triggers(**keys):
    """Every source, CPU and memory."""
    return merge(*(trigger(source, **keys) for source in SOURCES if source != "prometheus"), trigger("cpu"), trigger("memory"),
                 {"keda": {"minReplicaCount": 0, "triggers": {"prometheus": {**PARTS, **keys}}}})


KAFKA = trigger("kafka")
JOB = {**KAFKA, "kind": "ScaledJob"}
CONTAINER = {"name": "beside", "image": "example.org/beside:1"}
HPA = merge(BASE, REQUESTS, {"keda": {"enabled": False}, "autoscaling": {"enabled": True}})
# Everything of keda.prometheus and keda.postgresql that is off by default, beside a trigger with a name.
CAPTURE = keda(merge(KAFKA, REQUESTS), minReplicas=2, maxReplicas=20, cpu={"enabled": True}, memory={"enabled": True},
               prometheus={"enabled": True, "throughputTrigger": {"enabled": True}},
               postgresql={"enabled": True, "host": "postgresql", "database": "shop", "user": "worker", "password": "hunter2"})
# Values as charts for change data capture have them. Nothing else is set, not even the image.
CAPTURE_EXAMPLES = {
    "basic": {"keda": {"enabled": True, "minReplicas": 1, "maxReplicas": 5, "prometheus": {
        "enabled": True, "serverAddress": "http://prometheus:9090", "lagTrigger": {"enabled": True, "threshold": "300"}}}},
    "scale to zero": {"keda": {"enabled": True, "minReplicaCount": 0, "idleReplicaCount": 0, "maxReplicas": 10, "prometheus": {
        "enabled": True, "lagTrigger": {"enabled": True, "activationThreshold": "60", "threshold": "300"}}}},
    "multi-metric": {"keda": {"enabled": True, "cpu": {"enabled": True, "value": "80"}, "prometheus": {
        "enabled": True, "lagTrigger": {"enabled": True, "threshold": "300"}, "bufferTrigger": {"enabled": True, "threshold": "8000"}}}},
}
CREDENTIALS = {"password": "hunter2"}
SECRET = {"existingSecret": "broker", "passwordKey": "pw"}

TOGGLES = {
    **{f"{source} alone": trigger(source) for source in (*SOURCES, "cpu", "memory")},
    **{f"{source} by KEDA": trigger(source, via="keda") for source in SOURCES},
    **{f"{source} polled": trigger(source, via="external") for source in SOURCES},
    **{f"{source} with a password": trigger(source, **CREDENTIALS) for source in SOURCES},
    **{f"{source} by KEDA with a Secret": trigger(source, via="keda", **SECRET) for source in SOURCES},
    "all triggers": all_triggers(),
    "all triggers by KEDA": keda(all_triggers(**CREDENTIALS), via="keda"),
    "connections": all_triggers(connectionName="shared"),
    "scale to zero": keda(KAFKA, minReplicaCount=0),
    "change data capture": CAPTURE,
    "change data capture by KEDA": keda(CAPTURE, via="keda"),
    **{f"{name} example of the chart": values for name, values in CAPTURE_EXAMPLES.items()},
    **{f"{name} example by KEDA": keda(values, via="keda") for name, values in CAPTURE_EXAMPLES.items()},
    "every scaler": every_scaler(),
    "every scaler by KEDA": every_scaler(via="keda"),
    "idle": keda(KAFKA, idleReplicaCount=0, minReplicaCount=3),
    "fallback": keda(all_triggers(), fallback={"enabled": True, "replicas": 4, "behavior": "currentReplicas"}),
    "behavior": keda(KAFKA, advanced={"restoreToOriginalReplicaCount": True, "horizontalPodAutoscalerConfig": {
        "name": "queues", "behavior": {"scaleDown": {"selectPolicy": "Disabled"}}}}),
    "one value of several": keda(all_triggers(), advanced={"scalingModifiers": {"formula": "nats_jetstream + redis", "target": "10"}}),
    "TLS": keda(KAFKA, backlog={"tls": True, "authenticationRef": {"name": "backlog"}}),
    "paused": keda(KAFKA, annotations={"autoscaling.keda.sh/paused": "true"}, labels={"team": "platform"}),
    "more triggers": keda(BASE, extraTriggers=[{"type": "cron", "name": "night", "metadata": {
        "timezone": "UTC", "start": "0 2 * * *", "end": "0 4 * * *", "desiredReplicas": "3"}}]),
    "ScaledJob": JOB,
    "ScaledJob by KEDA": merge(JOB, {"keda": {"via": "keda", "triggers": {"kafka": SECRET}}}),
    "ScaledJob, all of it": merge(JOB, {
        "job": {"restartPolicy": "OnFailure", "backoffLimit": 0, "activeDeadlineSeconds": 60, "ttlSecondsAfterFinished": 0,
                "parallelism": 2, "completions": 2},
        "keda": {"minReplicaCount": 1, "triggers": {"kafka": CREDENTIALS}, "scaledJob": {
            "scalingStrategy": {"strategy": "accurate"}, "rollout": {"strategy": "gradual"}}}}),
    "HPA": HPA,
    "HPA, all of it": merge(HPA, {"autoscaling": {
        "minReplicas": 2, "targetCPUUtilizationPercentage": 30, "targetMemoryUtilizationPercentage": 50,
        "metrics": [{"type": "Pods", "pods": {"metric": {"name": "packets"}, "target": {"type": "AverageValue", "averageValue": "1k"}}}],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}}}}),
    "neither, replicas left": {**BASE, "keda": {"enabled": False}, "replicaCount": None},
    "neither": {**BASE, "keda": {"enabled": False}, "replicaCount": 0},
    "image": {**KAFKA, "image": {"registry": "registry.example", "repository": "worker", "digest": "sha256:" + "0" * 64},
              "imagePullSecrets": [{"name": "pull"}], "global": {"imageRegistry": "mirror.example", "imagePullSecrets": [{"name": "all"}]}},
    "names": {**KAFKA, "nameOverride": "queues", "commonLabels": {"team": "platform"}, "commonAnnotations": {"a.example/b": "c"}},
    "service account": {**KAFKA, "serviceAccount": {"create": False, "name": "theirs", "automountServiceAccountToken": True}},
    "pods": {**KAFKA, "deploymentAnnotations": {"a": "b"}, "podAnnotations": {"a": "b"}, "podLabels": {"team": "platform"},
             "command": ["worker"], "args": ["--verbose"], "env": [{"name": "BROKER", "value": "{{ .Release.Name }}-kafka"}],
             "envFrom": [{"configMapRef": {"name": "env"}}], "ports": [{"name": "metrics", "containerPort": 9100}],
             "livenessProbe": {"httpGet": {"path": "/", "port": "metrics"}}, "readinessProbe": {"exec": {"command": ["true"]}},
             "startupProbe": {"tcpSocket": {"port": 9100}}, "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
             "terminationGracePeriodSeconds": 600, "strategy": {"type": "Recreate"}, "minReadySeconds": 5,
             "revisionHistoryLimit": 0, "podDisruptionBudget": {"maxUnavailable": 1},
             "nodeSelector": {"kubernetes.io/os": "linux"}, "tolerations": [{"key": "dedicated", "operator": "Exists"}],
             "affinity": {"podAntiAffinity": {}}, "priorityClassName": "high",
             "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}],
             "volumes": [{"name": "tmp", "emptyDir": {}}], "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
             "initContainers": [{**CONTAINER, "name": "before"}], "extraContainers": [CONTAINER],
             "extraObjects": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-more"}}]},
}
MATRIX = {**TOGGLES, **{f"example {name}": yaml.safe_load(pathlib.Path(path).read_text()) for name, path in EXAMPLES.items()}}


def render(values=None, *arguments):
    return by_kind(render_all(values, *arguments, chart=WORKER))


def notes_of(folder, *arguments):
    """helm renders the notes only where a cluster answers, so they go through as a template here."""
    chart = shutil.copytree(WORKER, os.path.join(folder, "chart"), dirs_exist_ok=True)
    shutil.move(os.path.join(chart, "templates", "NOTES.txt"), os.path.join(chart, "notes"))
    pathlib.Path(chart, "templates", "notes.yaml").write_text('kind: Notes\nmetadata: {name: notes}\ntext: {{ tpl (.Files.Get "notes") . | toJson }}\n')
    return by_kind(render_all(None, *arguments, chart=chart))["Notes"]["text"]


def refusal(values):
    result = helm("template", "release", WORKER, "--namespace", "scaling", values=values)
    assert result.returncode != 0, "these values must be refused"
    return result.stderr


def triggers_of(objects):
    found = objects.get("ScaledObject") or objects["ScaledJob"]
    return found["spec"]["triggers"]


def container_of(objects):
    if "Deployment" in objects:
        return objects["Deployment"]["spec"]["template"]["spec"]["containers"][0]
    return objects["ScaledJob"]["spec"]["jobTargetRef"]["template"]["spec"]["containers"][0]


def check(objects, folder, *flags):
    """`backlog check` of the objects."""
    path = os.path.join(folder, "objects.yaml")
    with open(path, "w") as file:
        yaml.safe_dump_all(objects, file)
    return subprocess.run([binary(), "check", *flags, path], capture_output=True, text=True, timeout=60)


def build_umbrella(folder, umbrella=UMBRELLA):
    """A copy of the umbrella with its dependencies, as `helm dependency build` makes them."""
    shutil.copytree(os.path.join(REPOSITORY, "charts"), os.path.join(folder, "charts"))
    copy = os.path.join(folder, os.path.relpath(umbrella, REPOSITORY))
    umbrella = shutil.copytree(umbrella, copy, ignore=shutil.ignore_patterns("charts"))
    subprocess.run([need("helm"), "dependency", "build", umbrella], check=True, capture_output=True, text=True, timeout=60)
    return umbrella
