"""Each example's own ScaledObject scales its own Deployment by the work in its real broker: the manifests' triggers, thresholds and
maxima, with the test's short polls, cooldown and windows. With workers, and in real time: test_examples.py.

Meanwhile the panels of its Grafana dashboard that need a cluster have values; the others are in test/examples.
"""

import contextlib
import copy
import json
import math
import pathlib

import pytest
import yaml

from support.pages.dashboard import assert_finds, needs_others, queries
from support.example import Worker, command
from support.brokers.kafka import Kafka
from support.kubernetes.namespace import QUICK_BEHAVIOR
from support.brokers.nats import Nats
from support.brokers.postgresql import PASSWORD, USER, PostgreSQL
from support.process import wait_until
from support.brokers.prometheus import Prometheus
from support.brokers.rabbitmq import RabbitMQ
from support.server.server import REPOSITORY, Server
from support.kubernetes.workers_api import Peer

SECONDS = 120
EXAMPLES = pathlib.Path(REPOSITORY, "examples")
UNITS = {"m": 1e-3, "Mi": 1 << 20, "Gi": 1 << 30}


def number(quantity):
    digits = quantity.rstrip("mMGi")
    return float(digits) * UNITS.get(quantity[len(digits):], 1)


class StateMetrics(Peer):
    """In the place of kube-state-metrics: its metrics that the dashboards have, of the same objects of the API."""

    def __init__(self, api, namespace):
        super().__init__()
        self.api, self.namespace = api, namespace

    def items(self, path):
        return self.api.get(f"{path.format(self.namespace)}")["items"]

    def lines(self):
        def line(metric, value, **labels):
            labels = ",".join(f'{key}="{text}"' for key, text in {"namespace": self.namespace, **labels}.items())
            return f"kube_{metric}{{{labels}}} {value}\n"

        for item in self.items("/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers"):
            yield line("horizontalpodautoscaler_status_desired_replicas", item["status"].get("desiredReplicas", 0),
                       horizontalpodautoscaler=item["metadata"]["name"])
        for item in self.items("/apis/apps/v1/namespaces/{}/deployments"):
            yield line("deployment_status_replicas_ready", item["status"].get("readyReplicas", 0), deployment=item["metadata"]["name"])
        for pod in self.items("/api/v1/namespaces/{}/pods"):
            for container in pod["spec"]["containers"]:
                for resource, quantity in container["resources"].get("requests", {}).items():
                    yield line("pod_container_resource_requests", number(quantity), pod=pod["metadata"]["name"], container=container["name"],
                               resource=resource, unit={"cpu": "core", "memory": "byte"}[resource])

    def answer(self, _path, _query, _headers):
        return 200, "".join(self.lines()).encode()


def own_job(name, address, labels):
    """That of examples/common/monitoring, with a pod of these labels at another address."""
    objects = yaml.safe_load_all((EXAMPLES / "common" / "monitoring" / "prometheus.yaml").read_text())
    [text] = [item["data"]["prometheus.yml"] for item in objects if item["kind"] == "ConfigMap"]
    [job] = [job for job in yaml.safe_load(text)["scrape_configs"] if job["job_name"] == name]
    del job["kubernetes_sd_configs"]
    job["relabel_configs"] = [rule for rule in job["relabel_configs"] if rule.get("target_label") != "__address__"]
    return {**job, "static_configs": [{"targets": [address], "labels": {f"__meta_kubernetes_{key}": value for key, value in labels.items()}}]}


def assert_panels(name, api, namespace, operator):
    """The operator's own label `namespace` becomes exported_namespace."""
    with StateMetrics(api, namespace) as state:
        scrapes = [own_job("keda", operator, {"namespace": "keda", "pod_label_app": "keda-operator"}),
                   own_job("kube-state-metrics", f"127.0.0.1:{state.server_port}",
                           {"namespace": "kube-system", "pod_label_app_kubernetes_io_name": "kube-state-metrics"})]
        with Prometheus(scrapes=scrapes) as prometheus:
            for query in filter(needs_others, queries(EXAMPLES / name)):
                assert_finds(prometheus, query, namespace)


class System(contextlib.ExitStack):
    """Entered, the broker runs and has no work. `connections` are those of Backlog, by the names that the triggers have; publish()
    returns the replicas that its work makes; clear() takes all of it away."""


class Csv(System):
    name = "csv-jobs-rabbitmq"

    def __enter__(self):
        super().__enter__()
        self.broker = self.enter_context(RabbitMQ())
        self.broker.declare("csv-jobs")
        self.connections = {"example-csv": {"scaler": "rabbitmq", "host": self.broker.http_url()}}
        return self

    def publish(self):
        self.broker.publish("csv-jobs", 50)
        return 5

    def clear(self):
        self.broker.purge("csv-jobs")


class Conversion(System):
    name = "video-conversion-rabbitmq"

    def __enter__(self):
        super().__enter__()
        self.broker = self.enter_context(RabbitMQ())
        self.broker.declare("videos")
        self.connections = {"example-video": {"scaler": "rabbitmq", "host": self.broker.http_url()}}
        return self

    def publish(self):
        self.broker.publish("videos", 37)
        return 8

    def clear(self):
        self.broker.purge("videos")


class Memes(System):
    name = "memes-nats"

    def __enter__(self):
        super().__enter__()
        self.broker = self.enter_context(Nats("max_payload: 8MB"))
        command(self.name, "streams.py", NATS_URL=self.broker.url)
        self.connections = {"example-memes": {"scaler": "nats-jetstream", "servers": self.broker.url}}
        return self

    def publish(self):
        command(self.name, "stress.py", "--jobs", 37, NATS_URL=self.broker.url)
        return 8

    def clear(self):
        with self.broker.connect() as client:
            client.run(client.jetstream.purge_stream("MEMES"))


class Rendering(System):
    name = "video-rendering-kafka"

    def __enter__(self):
        super().__enter__()
        self.broker = self.enter_context(Kafka())
        command(self.name, "topics.py", KAFKA_BOOTSTRAP=self.broker.bootstrap)
        self.connections = {"example-rendering": {"scaler": "kafka", "bootstrapServers": self.broker.bootstrap}}
        return self

    def publish(self):
        self.broker.produce("videoJob", 20, 10)
        return 4

    def clear(self):
        self.broker.commit_all("renderers", "videoJob", 10)


class Cdc(System):
    """By all four triggers; that of the WAL wants most."""

    name = "cdc-prometheus-postgresql"

    def __enter__(self):
        super().__enter__()
        self.broker = self.enter_context(PostgreSQL(configuration="wal_level = logical\nautovacuum = off"))
        self.broker.sql(f"ALTER ROLE {USER} REPLICATION")
        self.url = self.broker.url()
        command(self.name, "schema.py", DATABASE_URL=self.url)
        exporter = self.enter_context(Worker(self.name, "exporter.py", DATABASE_URL=self.url))
        prometheus = self.enter_context(Prometheus(scrapes=[{
            "job_name": "cdc", "static_configs": [{"targets": [f"127.0.0.1:{exporter.metrics_port}"]}]}]))
        self.connections = {
            "example-cdc-prometheus": {"scaler": "prometheus", "serverAddress": prometheus.url()},
            "example-cdc-postgresql": {"scaler": "postgresql", "host": "127.0.0.1", "port": str(self.broker.port), "dbName": USER,
                                       "userName": USER, "password": PASSWORD, "sslmode": "disable"}}
        return self

    def wal(self):
        [[held]] = self.broker.sql("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn) FROM pg_replication_slots",
                                   database=USER)
        return float(held) / 1e6  # per replica

    def publish(self):
        """Far enough from a whole number of replicas, of which the HPA tolerates a tenth."""
        while not (self.wal() > 3 and 0.4 < self.wal() % 1 < 0.8):
            command(self.name, "load.py", "--orders", 1500, DATABASE_URL=self.url)
        return math.ceil(self.wal())

    def clear(self):
        with Worker(self.name, DATABASE_URL=self.url, CHANGE_SECONDS=0, UNTIL_IDLE=1) as worker:
            assert worker.child.wait(SECONDS) == 0


def manifests(name, server, namespace):
    """The Secrets that the Deployment names, StatefulSets, the Deployment, and the ScaledObject, whose Backlog is `server`."""
    found = []
    for path in sorted((EXAMPLES / name / "manifests").glob("*.yaml")):
        found += filter(None, yaml.safe_load_all(path.read_text()))
    [scaled] = [copy.deepcopy(item) for item in found if item["kind"] == "ScaledObject"]
    spec = scaled["spec"]
    spec.update(pollingInterval=2, cooldownPeriod=5)
    spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"] = QUICK_BEHAVIOR["scaleDown"]
    for trigger in spec["triggers"]:
        metadata = trigger["metadata"]
        metadata["scalerAddress"] = f"127.0.0.1:{server.port}"
        if "scaleDownWhenIdle" in metadata:
            metadata["scaleDownWhenIdle"] = "4s"
        if "query" in metadata:
            metadata["query"] = metadata["query"].replace("[1m]", "[15s]")
    [target] = [item for item in found if (item["kind"], item["metadata"]["name"]) == ("Deployment", spec["scaleTargetRef"]["name"])]
    chosen = [*(item for item in found if item["kind"] in ("Secret", "StatefulSet")), target, scaled]
    for item in chosen:
        item["metadata"]["namespace"] = namespace
    return chosen


# Rendering doubles once a minute, and CDC writes a lot first: both take more than a minute.
SYSTEMS = [Rendering, Cdc, *(pytest.param(system, marks=pytest.mark.core) for system in (Csv, Conversion, Memes))]


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.name)
def test_the_work_in_its_broker_scales_the_example(api, connection, namespace, system):
    with system() as system, Server(config=json.dumps({"connections": system.connections}), interval="1s", http=True) as server:
        *others, target, scaled = manifests(system.name, server, namespace.name)
        namespace.apply(*others, target, scaled)
        name = target["metadata"]["name"]
        namespace.wait_until_ready(scaled["metadata"]["name"])
        wait_until(lambda: namespace.replicas(name) == 0, SECONDS, "no replica without work")

        wanted = system.publish()
        namespace.wait_for_replicas(name, wanted)
        rises = [replicas for replicas in namespace.history(name) if replicas]
        assert max(rises) == wanted, rises
        if system.name == Rendering.name:
            assert rises == [1, 2, 4]  # at most the double each minute
        assert_panels(system.name, api, namespace.name, connection["metrics"])

        system.clear()
        namespace.wait_for_replicas(name, 0)
