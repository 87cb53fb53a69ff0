"""The chart `autoscaled-worker` on a real Kubernetes and KEDA: accepted, installed, scaled, moved, and changed to an HPA."""

import os
import pathlib
import re
import shutil
import stat

import pytest
import yaml

from support.charts.chart import merge, render_all
from support.kubernetes.cluster import SECONDS
from support.kubernetes.namespace import QUICK_BEHAVIOR
from support.brokers.postgresql import PASSWORD as PASSWORD_OF_USER, USER
from support.process import need, wait_until
from support.brokers.redis import Redis
from support.kubernetes.registry import Registry
from support.server.server import REPOSITORY, Server, binary
from support.brokers.work import KafkaWork, NatsWork, PostgreSQLWork, PrometheusWork, RabbitMQWork, RedisWork
from support.charts.worker_chart import BASE, CAPTURE_EXAMPLES, EXAMPLES, HPA, MATRIX, REQUESTS, UMBRELLA, WORKER, build_umbrella
from test_jobs import Workers

CORE = ("all triggers", "all triggers by KEDA", "fallback", "ScaledJob, all of it", "HPA, all of it", "pods",
        *(f"example {name}" for name in EXAMPLES), *(f"{name} example {via}" for name in CAPTURE_EXAMPLES for via in ("of the chart", "by KEDA")))
NAME = "queue-autoscaled-worker"
PASSWORD = "hunter2"
# Scaling down has the HPA's default window: pods are rolled here, and within its tolerance it takes their number (docs/keda.md).
BEHAVIOR = merge(QUICK_BEHAVIOR, {"scaleDown": {"stabilizationWindowSeconds": 300}})
QUICK = {"minReplicaCount": 1, "pollingInterval": 2, "cooldownPeriod": 5, "advanced": {"horizontalPodAutoscalerConfig": {"behavior": BEHAVIOR}}}


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.core] if name in CORE else []) for name in MATRIX])
def test_the_api_server_and_kedas_webhooks_accept_every_value(cluster, name):
    cluster.accepts(render_all(MATRIX[name], chart=WORKER))


@pytest.mark.core
def test_the_api_server_accepts_the_umbrella(cluster, tmp_path):
    cluster.accepts(render_all({}, chart=build_umbrella(tmp_path)))


class Jobs(Redis):
    """A Redis with a password, which has a list of jobs."""

    def __init__(self):
        super().__init__(config=f"requirepass {PASSWORD}")

    def call(self, *words):
        with self.connect() as client:
            client.call("AUTH", PASSWORD)
            return client.call(*words)

    def publish(self, count):
        self.call("RPUSH", "jobs", *range(count))

    def clear(self):
        self.call("DEL", "jobs")

    def values(self, server, **keda):
        return merge(BASE, {"keda": merge(QUICK, {
            "backlog": {"address": f"127.0.0.1:{server.port}"},
            "triggers": {"redis": {"enabled": True, "address": self.address, "listName": "jobs"}}}, keda)})


def install(cluster, namespace, values, *flags, command=("install",), **options):
    return cluster.helm(*command, "queue", WORKER, "--namespace", namespace.name, *flags, values=values, **options)


def upgrade(cluster, namespace, values, **options):
    return install(cluster, namespace, values, command=("upgrade",), **options)


@pytest.mark.core
@pytest.mark.first
def test_one_trigger_scales_and_moves_without_losing_a_replica(cluster, namespace):
    """From idle to at least two, to 8, from Backlog to KEDA's scaler and back, to idle. The password is in a Secret."""
    with Jobs() as jobs, Server() as server:
        cluster.kubectl("create", "secret", "generic", "jobs", f"--from-literal=password={PASSWORD}", "-n", namespace.name)
        values = jobs.values(server, idleReplicaCount=0, minReplicaCount=2,
                             triggers={"redis": {"existingSecret": "jobs"}})
        install(cluster, namespace, values)
        namespace.wait_until_ready(NAME)
        namespace.wait_for_replicas(NAME, 0)
        jobs.publish(1)
        namespace.wait_for_replicas(NAME, 2)
        jobs.publish(36)
        began = namespace.wait_for_replicas(NAME, 8)
        # An upgrade of something else, and of each way to measure.
        upgrade(cluster, namespace, {**values, "podAnnotations": {"a": "b"}})

        for via in ("keda", "external", "backlog"):
            upgrade(cluster, namespace, merge(values, {"keda": {"via": via}}))
            namespace.stays(6, **{NAME: 8})  # KEDA polls and the HPA synchronizes every 2 s
            [found] = cluster.get("scaledobject", NAME, "-n", namespace.name)["spec"]["triggers"]
            assert found["type"] == {"keda": "redis", "backlog": "external-push"}.get(via, via)
        assert not namespace.history(NAME, since=began + 0.001)
        jobs.clear()
        namespace.wait_for_replicas(NAME, 0)


def values_of_source(work, target):
    """The same source for Backlog and for KEDA's scaler."""
    metadata = {key: value for key, value in work.metadata(target).items() if key != "scaler"}
    broker = work.broker
    if work.scaler == "rabbitmq":
        metadata |= {"host": f"amqp://127.0.0.1:{broker.port}/", "username": broker.user, "password": broker.password}
    elif work.scaler == "nats-jetstream":
        metadata |= {"natsServerMonitoringEndpoint": broker.monitor_address, "account": "$G"}
    elif work.scaler == "postgresql":
        del metadata["connection"]
        metadata |= {"host": "127.0.0.1", "port": broker.port, "database": USER, "user": USER, "password": PASSWORD_OF_USER,
                     "sslMode": "disable"}
    elif work.scaler == "prometheus":
        metadata = {key: metadata[key] for key in ("serverAddress", "query", "threshold")}
    return {work.scaler: {"enabled": True, **metadata}}


@pytest.mark.parametrize("kind", [RabbitMQWork, KafkaWork, NatsWork, RedisWork, PostgreSQLWork, PrometheusWork],
                         ids=lambda kind: kind.scaler)
def test_every_source_scales_and_moves(cluster, namespace, kind):
    """37 messages are 8 replicas, measured by either; moving it moves no replica."""
    with kind() as work, Server() as server:
        values = merge(BASE, {"keda": {**QUICK, "minReplicaCount": 0, "backlog": {"address": f"127.0.0.1:{server.port}"},
                                        "triggers": values_of_source(work, 5)}})
        install(cluster, namespace, values)
        namespace.wait_until_ready(NAME)
        work.publish(37)
        namespace.wait_for_replicas(NAME, 8)
        upgrade(cluster, namespace, merge(values, {"keda": {"via": "keda"}}))
        [found] = cluster.get("scaledobject", NAME, "-n", namespace.name)["spec"]["triggers"]
        assert found["type"] == kind.scaler
        namespace.stays(8, **{NAME: 8})
        work.clear()
        namespace.wait_for_replicas(NAME, 0)
        work.publish(37)
        namespace.wait_for_replicas(NAME, 8)
        upgrade(cluster, namespace, values)
        namespace.stays(8, **{NAME: 8})
        work.clear()
        namespace.wait_for_replicas(NAME, 0)
        assert not [event for event in namespace.warnings() if event.reason == "KEDAScalerFailed"]


@pytest.mark.core
def test_a_wrong_secret_is_an_event_and_changes_no_replicas(cluster, namespace):
    with Jobs() as jobs, Server() as server:
        values = jobs.values(server, triggers={"redis": {"password": "hunter3"}})
        install(cluster, namespace, values)
        event = namespace.wait_for_event(NAME, "authentication failed")
        assert "hunter" not in event.message
        assert namespace.replicas(NAME) == 1
        upgrade(cluster, namespace, jobs.values(server, triggers={"redis": {"password": PASSWORD}}))
        namespace.wait_until_ready(NAME)
        jobs.publish(10)
        namespace.wait_for_replicas(NAME, 2)


@pytest.mark.core
def test_a_scaled_job_makes_a_job_per_message(cluster, namespace):
    with Jobs() as jobs, Server() as server, Workers(namespace, jobs, NAME):
        values = jobs.values(server, minReplicaCount=0, triggers={"redis": {"password": PASSWORD, "listLength": 1}})
        install(cluster, namespace, {**values, "kind": "ScaledJob", "podAnnotations": {"e2e/exit-after": "1s"}})
        namespace.wait_for_scaled_job(NAME)
        jobs.publish(3)
        namespace.wait(lambda: len(namespace.jobs_of(NAME)) >= 3, "3 jobs")
        namespace.stays(8)
        assert len(namespace.jobs_of(NAME)) == 3


@pytest.mark.core
def test_from_an_hpa_to_keda_and_back(cluster, namespace):
    """As the README says, and for its reason."""
    off = {**BASE, "keda": {"enabled": False}, "replicaCount": None}
    with Jobs() as jobs, Server() as server:
        by_keda = jobs.values(server, minReplicaCount=3, triggers={"redis": {"password": PASSWORD}})
        install(cluster, namespace, merge(HPA, {"autoscaling": {"minReplicas": 3}}))
        namespace.wait_for_replicas(NAME, 3)
        refused = upgrade(cluster, namespace, merge(by_keda, REQUESTS), wrong=True)
        assert refused.returncode != 0 and "is already managed by the hpa" in refused.stderr
        assert "is already managed by the hpa" in pathlib.Path(WORKER, "README.md").read_text()

        upgrade(cluster, namespace, off)
        upgrade(cluster, namespace, by_keda)
        namespace.wait_until_ready(NAME)
        jobs.publish(37)
        namespace.wait_for_replicas(NAME, 8)
        upgrade(cluster, namespace, off)
        wait_until(lambda: not cluster.get("hpa", "-n", namespace.name)["items"], SECONDS, "KEDA's HPA is gone")
        upgrade(cluster, namespace, merge(HPA, {"autoscaling": {"minReplicas": 8}}))
        [hpa] = cluster.get("hpa", "-n", namespace.name)["items"]
        assert hpa["metadata"]["name"] == NAME
        namespace.stays(6, **{NAME: 8})
        assert namespace.history(NAME) == sorted(namespace.history(NAME)), "it had fewer in between"


# ---- the READMEs ----

def programs(cluster, folder):
    """kubectl, helm and backlog, as the READMEs call them."""
    os.makedirs(folder)
    for name, command in {"kubectl": f"{cluster.kube} kubectl", "helm": need("helm"), "backlog": binary()}.items():
        path = pathlib.Path(folder, name)
        path.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)


def blocks_of(readme, language):
    return re.findall(rf"^```{language}\n(.*?)^```", pathlib.Path(readme).read_text(), re.MULTILINE | re.DOTALL)


def type_everything(cluster, readme, folder, registry=None):
    """Every block of commands of a README, in the repository's folder, with the files of its yaml blocks; what they print."""
    repository = folder / "repository"
    for part in ("charts", "examples/umbrella"):
        shutil.copytree(pathlib.Path(REPOSITORY, part), repository / part, ignore=shutil.ignore_patterns("*.tgz"))
    for block in blocks_of(readme, "yaml"):
        if named := re.search(r"# (\w+\.yaml)$", block.splitlines()[0]):
            (repository / named[1]).write_text(block)
    programs(cluster, folder / "bin")
    script = "".join(blocks_of(readme, "sh"))
    if registry is not None:
        script = re.sub(r"^(helm .*)oci://registry\.example(.*)$", rf"\1oci://{registry.host}\2 --plain-http", script, flags=re.MULTILINE)
    return cluster.run("env", f"PATH={folder}/bin:{os.environ['PATH']}", f"KUBECONFIG={cluster.config}", "bash", "-euxo", "pipefail",
                       "-c", script, cwd=repository).stdout


@pytest.mark.core
def test_everything_that_the_readme_says_to_type(cluster, tmp_path):
    with Registry() as registry:
        printed = type_everything(cluster, pathlib.Path(WORKER, "README.md"), tmp_path, registry)
    print(printed)
    assert "1 file, 1 object, 1 trigger: 0 errors, 0 warnings" in printed
    found = cluster.get("scaledobject", "--namespace", "shop")["items"]
    names = {"renderer", "videos", "memes", "orders", "photos"}
    assert {item["metadata"]["name"] for item in found} == {f"{name}-autoscaled-worker" for name in names}
    for name in names:
        cluster.helm("uninstall", name, "--namespace", "shop")
    cluster.kubectl("delete", "namespace", "shop", "--wait=false")


@pytest.mark.core
def test_everything_that_the_umbrellas_readme_says_to_type(cluster, tmp_path):
    printed = type_everything(cluster, pathlib.Path(UMBRELLA, "README.md"), tmp_path)
    print(printed)
    assert "scaledobject.keda.sh/memes-backend" in printed
    assert "kind: VerticalPodAutoscaler" in printed
    scaled = cluster.get("scaledobject", "memes-backend", "--namespace", "memes")
    assert scaled["spec"]["maxReplicaCount"] == 20
    deployments = {item["metadata"]["name"] for item in cluster.get("deployments", "--namespace", "memes")["items"]}
    assert "memes-backend" in deployments and "memes-frontend" not in deployments
    cluster.helm("uninstall", "memes", "--namespace", "memes")
    cluster.kubectl("delete", "namespace", "memes", "--wait=false")


def test_the_jobs_of_a_readme_block_are_found():
    """So that the tests above type something."""
    assert len(blocks_of(pathlib.Path(WORKER, "README.md"), "sh")) >= 4
    assert yaml.safe_load(blocks_of(pathlib.Path(WORKER, "README.md"), "yaml")[0])["image"]
