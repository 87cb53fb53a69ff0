"""What policies need of real brokers with real workers: the rate of a replica, skew, and consumers that are stuck.

Workers are processes that take a message, work on it, and acknowledge it. What is measured is compared with what the
broker counted in the same time, so that a slow machine changes both.
"""

import contextlib
import json
import os
import signal
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
    """So many processes of a worker. They are killed, as they may be stuck."""
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
        self.counted = None  # what was consumed, and what waits
        self.quiet_since = None  # when the first reading was taken that was followed by none with more consumed or less waiting

    def look(self):
        self.replicas = self.client.metrics(self.options, seconds=30).metricValueFloat
        page = f"http://127.0.0.1:{self.server.http_port}/api/triggers/shop/orders"
        with urllib.request.urlopen(page, timeout=30) as answer:
            found, = json.load(answer)
        self.reading, self.policy = found["reading"], found["policy"]
        self.taken = time.monotonic() - self.reading["ageSeconds"]
        before, self.counted = self.counted, (self.reading.get("consumed"), self.reading["waiting"])
        if before is None or self.counted[0] != before[0] or self.counted[1] < before[1]:
            self.quiet_since = self.taken
        return self

    def quiet_seconds(self):
        """For so long each reading has as much consumed as the one before it, and no less waiting. RabbitMQ's two counts come
        from two statistics, of which one may be a reading later than the other."""
        return self.taken - self.quiet_since

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
                assert trigger.reading.get("consumers") is None and trigger.policy["status"] in ("OK", "UNKNOWN"), trigger.policy
            trigger.until(lambda it: it.policy["status"] == "UNKNOWN", "whether anybody is there is not known")
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


def test_one_partition_that_lags_is_skew(kafka):
    """The threshold would have four replicas, of which three had nothing to do."""
    kafka.create_topic("skewed", partitions=PARTITIONS)
    kafka.commit("of-skewed", "skewed", [0] * PARTITIONS)
    kafka.produce("skewed", 400, 1)  # to the first partition
    with trigger_of(kafka_options(kafka, "skewed", onStall="hold")) as trigger:
        assert trigger.look().replicas == PARTITIONS
        trigger.until(lambda it: it.policy["status"] == "SKEW", "the skew is noticed")
        trigger.look()  # the policy's part of a look is newer than its replicas
        assert (trigger.replicas, trigger.policy["boundBy"]) == (1, "skew")
        assert "one partition alone has what waits (SKEW)" in trigger.policy["sentence"]
        kafka.produce("skewed", 400, PARTITIONS)
        trigger.until(lambda it: it.policy["status"] != "SKEW", "others lag, too")
        assert trigger.look().replicas == PARTITIONS


def assert_stuck_is_held(trigger, child, publish, interval):
    """It consumes, and then it does not: within three intervals that is known, or four where a count comes a reading later,
    and what waits starts no replica."""
    trigger.until(lambda it: it.reading.get("consumers") == 1 and it.reading["consumed"] > 0, "it is consumed")
    before = trigger.replicas
    child.send_signal(signal.SIGUSR1)
    trigger.until(lambda it: it.quiet_seconds() > 1.5 * interval, "nothing is consumed")
    publish()
    trigger.until(lambda it: it.policy["status"] == "STALL", "the stuck consumer is noticed")
    assert 2 < trigger.quiet_seconds() / interval < 4.5, trigger.quiet_seconds()
    waiting = trigger.reading["waiting"]
    publish()
    trigger.until(lambda it: it.reading["waiting"] > waiting, "more waits")
    assert trigger.policy["status"] == "STALL" and trigger.policy["boundBy"] == "stall", trigger.policy
    assert trigger.replicas <= before, (trigger.replicas, before)


def test_a_stuck_kafka_consumer_is_noticed_and_not_scaled(kafka):
    kafka.create_topic("stuck", partitions=PARTITIONS)
    kafka.produce("stuck", 4500, PARTITIONS)
    options = kafka_options(kafka, "stuck", lagThreshold="5000", onStall="hold", interval="4s")
    with trigger_of(options) as trigger, workers(1, "kafka_worker", kafka.bootstrap, "stuck", "of-stuck", 0.05) as children:
        assert_stuck_is_held(trigger, children[0], lambda: kafka.produce("stuck", 1000, PARTITIONS), 4)


def test_a_stuck_rabbitmq_consumer_is_noticed_and_not_scaled():
    """By the management API, whose statistics are 5 s old at most: in shorter intervals they may not have changed."""
    with RabbitMQ() as broker:
        broker.declare("jobs")
        broker.publish("jobs", 4500)
        options = {"scaler": "rabbitmq", "host": broker.http_url(), "queueName": "jobs", "mode": "QueueLength", "value": "5000",
                   "interval": "6s", "onStall": "hold"}
        with trigger_of(options) as trigger, workers(1, "rabbitmq_worker", broker.port, "jobs", 0.05) as children:
            assert_stuck_is_held(trigger, children[0], lambda: broker.publish("jobs", 1000), 6)
