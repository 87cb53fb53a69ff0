"""docs/examples.md, "By hand", word for word for csv-jobs-rabbitmq, and the chart autoscaled-worker with the same image."""

import sys

import pytest
import requests

from support.kubernetes.node import SECONDS
from support.kubernetes.shop import Broker, Workers, blocks
from support.process import wait_until

CONSUMER = """
import os, sys, pika
queue, limit, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
login = pika.PlainCredentials(os.environ["USER"], os.environ["PASSWORD"])
connection = pika.BlockingConnection(pika.ConnectionParameters("rabbitmq.shop.svc", virtual_host="shop", credentials=login))
channel = connection.channel()
channel.basic_qos(prefetch_count=1)
for method, _, body in channel.consume(queue):
    connection.sleep(seconds)
    channel.basic_ack(method.delivery_tag)
    limit -= 1
    if limit == 0:
        sys.exit()
"""


@pytest.fixture(scope="module")
def commands(cluster, installed, checkout):
    """Those after Backlog is installed, as docs/install.md does it; and those that check and open the ports."""
    install, look = blocks("docs/examples.md", "By hand")
    cluster.manifest("csv-volume")  # what a cluster has a provisioner for
    cluster.shell(install.partition("\n\n")[2], checkout)
    return look.splitlines()


@pytest.fixture
def csv(cluster, commands):
    with Workers(cluster, "csv", Broker(cluster, "csv", "csv", "/", "change-me")) as csv:
        cluster.rolled_out("csv", "statefulset/rabbitmq", "deployment/csv-producer")
        cluster.rolled_out("keda", "deployment/backlog")
        yield csv


def test_csv_jobs(csv, commands, cluster, checkout):
    _, forward = commands
    cluster.shell(f"{sys.executable} examples/csv-jobs-rabbitmq/generate.py --seconds 0.5", checkout)
    with cluster.forward(forward, 8000, checkout) as url, open(checkout / "data.csv", "rb") as file:
        requests.post(f"{url}/upload", files={"file": file}, timeout=60).raise_for_status()
    csv.wait_until_ready("csv-worker")
    csv.wait_for_workers("csv-worker", 5)
    cluster.shell("""kubectl -n csv patch scaledobject csv-worker --type merge -p '{"spec": {"cooldownPeriod": 10}}'""", checkout)
    csv.wait_for_workers("csv-worker", 0)
    assert csv.broker.length("csv-results") == 150
    assert "True" in cluster.shell(commands[0], checkout)


def values(queue, value, limit, seconds, **more):
    keys = [("USER", "username"), ("PASSWORD", "password")]
    return {
        "image": {"repository": "csv-jobs", "tag": "latest"}, "command": ["python", "-c", CONSUMER, queue, str(limit), str(seconds)],
        "env": [{"name": name, "valueFrom": {"secretKeyRef": {"name": "rabbitmq-login", "key": key}}} for name, key in keys], **more,
        "keda": {"enabled": True, "minReplicaCount": 0, "maxReplicaCount": 10, "cooldownPeriod": 10, "pollingInterval": 5, "triggers": {queue: {
            "scaler": "rabbitmq", "host": "amqp://rabbitmq.shop.svc:5672/shop", "triggerAuthentication": "rabbitmq-auth",
            "queueName": queue, "mode": "QueueLength", "value": value}}}}


@pytest.fixture
def install(cluster, shop, commands, checkout):
    def install(queue, *arguments, **more):
        shop.broker.send(queue, 0)
        cluster.helm("install", queue, checkout / "charts" / "autoscaled-worker", "--namespace", "shop",
                     values=values(queue, *arguments, **more))
        return f"{queue}-autoscaled-worker"
    return install


def test_the_worker_chart_with_a_deployment(shop, install):
    name = install("videos", 5, -1, 3)
    shop.wait_until_ready(name)
    shop.broker.send("videos", 37)
    shop.wait_for_replicas(name, lambda number: number > 1)
    shop.wait_for_workers(name, 0)
    assert shop.broker.length("videos") == 0


def test_the_worker_chart_with_jobs(cluster, shop, install):
    name = install("reports", 3, 3, 1, kind="ScaledJob")
    shop.wait_for_scaled_job(name)
    shop.broker.send("reports", 9)

    def succeeded():
        jobs = cluster.get("jobs", "--namespace", "shop", "--selector", f"scaledjob.keda.sh/name={name}")["items"]
        return [job["status"].get("succeeded") for job in jobs] == [1, 1, 1]
    wait_until(succeeded, SECONDS, "3 jobs: done")
    assert shop.broker.length("reports") == 0
