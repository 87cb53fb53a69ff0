"""Quorum queues whose leader moves, in a cluster of RabbitMQ."""

import time

import grpc
import pytest

from support.clients.grpc_client import Client
from support.process import wait_until
from support.brokers.rabbitmq import RabbitMQ
from support.server.server import Server
from support.clients.story import value, wait_for_value

QUORUM = {"x-queue-type": "quorum"}
SETTLED_SECONDS = 15  # after which the statistics of a leader are there, and believed


@pytest.fixture(scope="module")
def nodes():
    with RabbitMQ() as first, RabbitMQ(first=first) as second:
        yield first, second


@pytest.fixture
def client():
    with Server(interval="500ms", hold="0s") as server, Client(server.port) as client:
        yield client


def values_for(client, requested, seconds):
    """Each value of the time, None where it was an error."""
    found = set()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for one in requested:
            try:
                found.add(value(client, one))
            except grpc.RpcError:
                found.add(None)
        time.sleep(0.1)
    return found


@pytest.mark.timeout(400)  # what it may wait for takes 340 seconds, and two nodes have to start
def test_messages_are_not_0_while_their_leader_moves(nodes, client):
    """The node of a former leader keeps a sample of 0, which is all that the statistics have until the next one reports."""
    first, second = nodes
    first.declare("moved", "idle", arguments=QUORUM)
    first.publish("moved", 3)
    requested = [{"scaler": "rabbitmq", "host": first.http_url(), "queueName": "moved", "queueLength": "5", **keys}
                 for keys in ({}, {"useRegex": "true"}, {"excludeUnacknowledged": "true"})]
    idle = {**requested[0], "queueName": "idle"}
    for one in requested:
        wait_for_value(client, one, 3, seconds=20)
    for to in (second, first, second):
        first.move_leader("moved", to)
        assert values_for(client, requested, SETTLED_SECONDS) <= {3, None}
        for one in requested:
            wait_for_value(client, one, 3, seconds=20)
    wait_for_value(client, idle, 0, seconds=30)
    first.purge("moved")
    wait_until(lambda: value(client, requested[0]) == 0, 30, "0")
