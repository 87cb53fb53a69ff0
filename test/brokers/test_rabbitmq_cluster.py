"""Quorum queues whose leader moves, in a cluster of RabbitMQ."""

import contextlib
import threading
import time

import grpc
import pytest

from support.clients.grpc_client import Client
from support.process import wait_until
from support.brokers.rabbitmq import RabbitMQ
from support.server.server import Server
from support.clients.story import Answers, value, wait_for_value

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


@contextlib.contextmanager
def load(nodes, queue):
    """Messages come and go all the time, by whichever node there is."""
    over = threading.Event()

    def run_on(node):
        with node.connect() as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            while not over.wait(0.02):
                channel.basic_publish("", queue, b"work", mandatory=True)
                channel.basic_get(queue, auto_ack=True)

    def run():
        while not over.is_set():
            for node in nodes:
                with contextlib.suppress(Exception):  # it is down, or its queue has no leader
                    run_on(node)

    thread = threading.Thread(target=run)
    thread.start()
    yield
    over.set()
    thread.join()


@pytest.mark.timeout(2400)
@pytest.mark.parametrize("rounds", [3, pytest.param(20, marks=pytest.mark.nightly)])
def test_work_is_never_0_while_nodes_are_lost_under_load(rounds):
    """Without a hold: the node of the leader is killed and comes back. Over AMQP a queue has 0 until another one is elected."""
    with RabbitMQ() as first, RabbitMQ(first=first) as second, RabbitMQ(first=first) as third, \
            Server(interval="500ms", hold="0s") as server, Client(server.port) as client:
        nodes = (first, second, third)
        first.declare("work", arguments=QUORUM)
        first.publish("work", 500)

        def state():
            up = next(node for node in nodes if node.child.poll() is None)
            with contextlib.suppress(OSError):
                return up.api("GET", "/queues/%2F/work")
            return {}

        wait_until(lambda: len(state().get("online", ())) == len(nodes), 30, "all members")
        hosts = [node.amqp_url() for node in nodes] + [second.http_url()]
        requested = [{"scaler": "rabbitmq", "host": host, "queueName": "work", "queueLength": "5"} for host in hosts]
        for metadata in requested:
            wait_until(lambda metadata=metadata: client.is_active(metadata), 60, "an answer")
        with contextlib.ExitStack() as stack:
            answered = [stack.enter_context(Answers(client, metadata)) for metadata in requested]
            stack.enter_context(load(nodes, "work"))
            for _ in range(rounds):
                leader = wait_until(lambda: state().get("leader"), 60, "a leader")
                lost = next(node for node in nodes if node.node == leader)
                lost.kill()
                wait_until(lambda: state().get("leader") not in (None, "", leader), 60, "another leader")
                time.sleep(2)
                lost.start_again()
                wait_until(lambda: len(state().get("online", ())) == len(nodes), 60, "all members")
        for one in answered:
            one.assert_never_0()
