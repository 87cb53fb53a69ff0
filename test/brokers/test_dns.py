"""Names of brokers, looked up at a DNS server that loses packets. /etc/resolv.conf is the server's own (unshare -m)."""

import subprocess
import time

import grpc
import pytest

from support.network.dns import NameServer, ServerWithDns
from support.clients.grpc_client import Client
from support.brokers.kafka import Kafka
from support.brokers.nats import Nats
from support.brokers.postgresql import PASSWORD, USER, PostgreSQL
from support.process import Unavailable
from support.brokers.prometheus import Prometheus
from support.brokers.rabbitmq import RabbitMQ
from support.brokers.redis import Redis
from support.server.server import Server

NAME = "broker.backlog.test"


class LosingDns(NameServer):
    """Every name is 127.0.0.1. Of each question (name and type) the first `lost` packets get no answer."""

    def __init__(self, lost):
        super().__init__()
        self.lost = lost
        self.seen = {}

    def answer(self, query):
        question = self.question(query)
        self.seen[question] = self.seen.get(question, 0) + 1
        return self.response(query, ["127.0.0.1"]) if self.seen[question] > self.lost else None

    def lost_packets(self):
        return sum(min(count, self.lost) for count in self.seen.values())


def redis_trigger(broker):
    with broker.connect() as client:
        client.call("RPUSH", "jobs", *range(7))
    return {"scaler": "redis", "address": f"{NAME}:{broker.port}", "listName": "jobs", "listLength": "5"}, 7


def postgresql_trigger(broker):
    return {"scaler": "postgresql", "connection": f"postgresql://{USER}:{PASSWORD}@{NAME}:{broker.port}/{USER}?sslmode=disable",
            "query": "select 7", "targetQueryValue": "5"}, 7


def prometheus_trigger(broker):
    return {"scaler": "prometheus", "serverAddress": f"http://{NAME}:{broker.port}", "query": "vector(7)", "threshold": "5"}, 7


def kafka_trigger(broker):
    broker.create_topic("jobs", partitions=1)
    broker.produce("jobs", 7, partitions=1)
    broker.commit("workers", "jobs", [0])
    port = broker.bootstrap.split(":")[1]
    return {"scaler": "kafka", "bootstrapServers": f"{NAME}:{port}", "consumerGroup": "workers", "topic": "jobs",
            "offsetResetPolicy": "earliest"}, 7


def nats_trigger(broker):
    with broker.connect() as client:
        client.create_stream("jobs")
        client.create_consumer("jobs", "workers")
        client.publish("jobs", 7)
    return {"scaler": "nats-jetstream", "servers": broker.url.replace("127.0.0.1", NAME), "stream": "jobs",
            "consumer": "workers"}, 7


def amqp_trigger(broker):
    broker.declare("jobs")
    broker.publish("jobs", 7)
    return {"scaler": "rabbitmq", "host": f"amqp://guest:guest@{NAME}:{broker.port}/", "queueName": "jobs",
            "mode": "QueueLength", "value": "5"}, 7


def management_trigger(broker):
    metadata, value = amqp_trigger(broker)
    return {**metadata, "host": f"http://guest:guest@{NAME}:{broker.management_port}/"}, value


@pytest.fixture(scope="module", autouse=True)
def _may_unshare():
    if subprocess.run(["unshare", "--mount", "true"], check=False).returncode != 0:
        raise Unavailable("this machine lets nobody have a /etc/resolv.conf of its own")


@pytest.mark.parametrize("broker, make", [(Redis, redis_trigger), (PostgreSQL, postgresql_trigger),
                                          (Prometheus, prometheus_trigger), (Kafka, kafka_trigger),
                                          (Nats, nats_trigger), (RabbitMQ, amqp_trigger),
                                          (RabbitMQ, management_trigger)],
                         ids=["redis", "postgresql", "prometheus", "kafka", "nats", "amqp", "rabbitmq-http"])
def test_one_lost_dns_packet_fails_no_connect(broker, make):
    with broker() as running:
        metadata, value = make(running)
        logs = []
        for _ in range(3):  # a lost packet takes half of the deadline, and a busy machine may take the rest
            failed = connect_with_a_lost_packet(metadata, value)
            if failed is None:
                return
            logs.append(failed)
        pytest.fail("\n".join(logs))


def connect_with_a_lost_packet(metadata, value):
    """The log of a server whose first connect failed; else None."""
    with LosingDns(lost=1) as dns, ServerWithDns(dns) as server, Client(server.port) as client:
        began = time.monotonic()
        try:
            assert client.metrics(metadata).metricValueFloat == value
        except grpc.RpcError as error:
            return f"{error.details()}: {server.log()}"
        assert dns.lost_packets() >= 1 and time.monotonic() - began >= 0.9, "no packet was lost"
        return server.log() if "retrying" in server.log() or "failed" in server.log() else None
