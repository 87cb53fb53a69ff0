"""What policies need of real brokers with real workers: the rate of a replica.

Workers are processes that take a message, work on it, and acknowledge it. What is measured is compared with what the
broker counted in the same time, so that a slow machine changes both.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.request

import pytest

from support.clients.grpc_client import Client
from support.brokers.kafka import Kafka
from support.process import wait_until
from support.brokers.rabbitmq import RabbitMQ
from support.brokers.redis import Redis
from support.server.server import REPOSITORY, Server

SECONDS = 120
PARTITIONS = 4
NEAR = 0.25  # what is measured is this near to what the broker counted


@pytest.fixture(scope="module")
def kafka():
    with Kafka() as broker:
        yield broker


@contextlib.contextmanager
def workers(count, module, *arguments):
    """So many processes of a worker, which are killed at the end."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    children = []
    try:
        for _ in range(count):
            children.append(subprocess.Popen([sys.executable, "-m", f"support.brokers.{module}", *map(str, arguments)],
                                             stdin=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": root}))
        yield children
    finally:
        for child in children:
            child.kill()
            child.wait()


class Trigger:
    """A trigger of a server, called as KEDA would, and what the server says of it."""

    def __init__(self, server, client, options):
        self.server, self.client, self.options = server, client, options

    def look(self):
        self.replicas = self.client.metrics(self.options, seconds=30).metricValueFloat
        page = f"http://127.0.0.1:{self.server.http_port}/api/triggers/shop/orders"
        with urllib.request.urlopen(page, timeout=30) as answer:
            found, = json.load(answer)
        self.reading, self.policy = found["reading"], found["policy"]
        return self

    def until(self, condition, what):
        def is_so():
            time.sleep(0.2)
            return condition(self.look())

        try:
            wait_until(is_so, SECONDS, what)
        except TimeoutError as error:
            raise AssertionError(f"{error}: {self.reading} {self.policy}") from None


@contextlib.contextmanager
def trigger_of(options):
    with Server(http=True) as server, Client(server.port) as client:
        yield Trigger(server, client, options)


def assert_measured(trigger, consumers, count_done):
    """The rate of a replica comes near to what was done, by `count_done`, from the first to the last look: in one of
    three times, as neither is steady on a busy machine."""
    trigger.until(lambda it: it.reading.get("consumers") == consumers and it.reading["consumed"] > 0, "all workers consume")
    found = []
    for _ in range(3):
        done, began = count_done(), time.monotonic()
        trigger.until(lambda it, end=began + 3: it.policy["ratePerReplica"] is not None and time.monotonic() > end,
                      "the rate is measured")
        rate = (count_done() - done) / (time.monotonic() - began) / consumers
        found.append((trigger.policy["ratePerReplica"], rate))
        if found[-1][0] == pytest.approx(rate, rel=NEAR):
            return
    raise AssertionError(f"{found} {trigger.policy}")


MEASURED = {"interval": "1s", "maxWait": "60s", "ratePerReplica": "measured", "startTime": "5s"}


def kafka_options(kafka, topic, **options):
    return {"scaler": "kafka", "bootstrapServers": kafka.bootstrap, "topic": topic, "consumerGroup": f"of-{topic}",
            "lagThreshold": "10", "offsetResetPolicy": "earliest", "interval": "1s", **options}


def test_the_rate_of_kafka_consumers_is_measured(kafka):
    kafka.create_topic("measured", partitions=PARTITIONS)
    kafka.produce("measured", 4000, PARTITIONS)
    with trigger_of(kafka_options(kafka, "measured", **MEASURED)) as trigger, \
            workers(2, "kafka_worker", kafka.bootstrap, "measured", "of-measured", 0.2):
        assert_measured(trigger, 2, lambda: sum(offset or 0 for offset in kafka.committed("of-measured", "measured", PARTITIONS)))


def test_members_without_a_partition_do_not_count(kafka):
    kafka.create_topic("narrow", partitions=1)
    kafka.produce("narrow", 1000, 1)
    with trigger_of(kafka_options(kafka, "narrow", **MEASURED)) as trigger, \
            workers(2, "kafka_worker", kafka.bootstrap, "narrow", "of-narrow", 0.1):
        members = kafka.admin()
        wait_until(lambda: len(members.describe_consumer_groups(["of-narrow"])["of-narrow"].result(30).members) == 2,
                   SECONDS, "both are members")
        trigger.until(lambda it: it.reading.get("consumers") == 1, "one has the partition")


def test_members_that_kafka_does_not_describe_are_unknown_and_never_none(monkeypatch):
    """group.protocol=consumer of Kafka 4: the client library asks by the classic protocol, which has no such group. What is
    consumed shows in the commits all the same."""
    monkeypatch.setenv("BACKLOG_KAFKA_JARS", os.path.join(REPOSITORY, "build", "kafka-4"))
    with Kafka() as kafka:
        kafka.create_topic("newer", partitions=PARTITIONS)
        kafka.produce("newer", 4000, PARTITIONS)
        with trigger_of(kafka_options(kafka, "newer", **MEASURED)) as trigger:
            with workers(2, "kafka_worker", kafka.bootstrap, "newer", "of-newer", 0.05, "consumer"):
                trigger.until(lambda it: it.reading["consumed"] > 100, "they consume")
                assert trigger.reading.get("consumers") is None, trigger.reading
            trigger.look()
            assert trigger.policy["ratePerReplica"] is None and trigger.replicas == PARTITIONS, trigger.policy
            assert "set ratePerReplica to a number" in trigger.policy["sentence"]
            wait_until(lambda: "group.protocol=consumer" in trigger.server.log(), SECONDS, "what to set is said")


def test_the_rate_of_redis_consumers_is_measured():
    with Redis() as broker, broker.connect() as client:
        client.call("XGROUP", "CREATE", "jobs", "workers", "$", "MKSTREAM")
        client.call_all([("XADD", "jobs", "*", "seconds", "0.2")] * 4000)
        client.call("XREADGROUP", "GROUP", "workers", "dead", "COUNT", 1, "STREAMS", "jobs", ">")
        client.call("XACK", "jobs", "workers", client.call("XPENDING", "jobs", "workers")[1])
        options = {"scaler": "redis-streams", "address": broker.address, "stream": "jobs", "consumerGroup": "workers",
                   "lagCount": "10", **MEASURED}

        def done():
            group, = client.call("XINFO", "GROUPS", "jobs")
            fields = dict(zip(group[::2], group[1::2]))
            return fields["entries-read"] - fields["pending"]

        with trigger_of(options) as trigger, workers(3, "stream_worker", broker.port, "jobs", "workers", os.devnull):
            assert_measured(trigger, 3, done)  # without the one that was not seen for long
