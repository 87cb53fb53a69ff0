"""What polls cost a real RabbitMQ over its management API."""

import time

import pytest

from support.clients.grpc_client import Client
from support.brokers.rabbitmq import RabbitMQ
from support.server.server import Server
from support.network.tap import Tap

QUEUES, POLLED = 1000, 60
LISTING, GET = b"GET /api/queues/%2F?", b"GET /api/queues/%2F/"


@pytest.fixture(scope="module")
def broker():
    with RabbitMQ() as broker:
        broker.declare(*(f"queue-{number}" for number in range(QUEUES)))
        yield broker


@pytest.mark.nightly
def test_scattered_polls_share_listings(broker):
    """A listing takes the broker 30 ms and more. It renews all queues, so that the next is needed 500 ms later."""
    with Tap(broker.management_port) as tap, Server() as server, Client(server.port) as client:
        host = f"http://guest:guest@127.0.0.1:{tap.port}/"
        triggers = [{"scaler": "rabbitmq", "host": host, "queueName": f"queue-{number}", "mode": "QueueLength",
                     "value": "5"} for number in range(POLLED)]
        for requested in triggers:
            assert client.metrics(requested).metricValueFloat == 0
        tap.forget()
        began = time.monotonic()
        for number, requested in enumerate(triggers):
            time.sleep(max(0.0, began + number / 10 - time.monotonic()))
            assert client.metrics(requested).metricValueFloat == 0
        took = time.monotonic() - began
        assert 1 <= tap.count(LISTING) <= 2 * took + 2
        assert tap.count(GET) == 0
