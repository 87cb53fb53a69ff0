"""nats-jetstream against a cluster of three nats-servers: any node answers, and the leader of a consumer changes."""

import contextlib
import threading
import time

import pytest

from support.brokers.nats import NatsClient, NatsCluster, monitored, trigger
from support.clients.grpc_client import Client
from support.clients.story import Answers, Values, answers, unavailable
from support.process import wait_until
from support.server.server import Server

INTERVAL_SECONDS = 1


@pytest.fixture
def client():
    with Server(interval=f"{INTERVAL_SECONDS}s", hold="3s") as server, Client(server.port) as client:
        yield client


def six_orders_of_which_two_are_fetched(cluster):
    """Replicated on three nodes; returns the leader of the consumer."""
    with cluster.nodes[0].connect() as jetstream:
        cluster.create_stream(jetstream, "orders")
        jetstream.create_consumer("orders", "workers")
        jetstream.publish("orders", 6)
        jetstream.fetch("orders", "workers", 2)
        return jetstream.leader("orders", "workers")


def test_any_node_of_a_cluster_reports_what_the_leader_knows(client):
    with NatsCluster(3) as cluster:
        leader = six_orders_of_which_two_are_fetched(cluster)
        for node in cluster.nodes:
            answers(client, trigger(node), 6, True)

        cluster.node(leader).pause()
        other = next(node for node in cluster.nodes if node.server_name != leader)
        requested = trigger(other, servers=",".join(node.address for node in cluster.nodes))
        for metadata in (trigger(other), requested):
            answers(client, metadata, 6, True, seconds=40)  # once another leader is elected
        cluster.node(leader).resume()


def of_all(cluster):
    return trigger(cluster.nodes[0], servers=",".join(node.address for node in cluster.nodes))


def of_a_monitoring_port(cluster):
    return monitored(cluster.nodes[0])


@pytest.mark.parametrize("requested", [of_all, of_a_monitoring_port])
def test_messages_wait_while_leaders_change(client, requested):
    """A node answers as soon as it is elected, and counts later; so it does for what is fetched and not acknowledged."""
    with NatsCluster(3, as_pods=True) as cluster:
        six_orders_of_which_two_are_fetched(cluster)
        with cluster.nodes[0].connect() as jetstream:
            jetstream.create_consumer("orders", "fetched")
            jetstream.fetch("orders", "fetched", 6)
            triggers = [requested(cluster), {**requested(cluster), "consumer": "fetched"}]
            for metadata in triggers:
                answers(client, metadata, 6, True, seconds=40)
            with Values(client, triggers[0]) as waiting, Values(client, triggers[1]) as fetched:
                for consumer in ("workers", "fetched") * 3:
                    before = jetstream.leader("orders", consumer)
                    jetstream.step_down("orders", consumer)
                    wait_until(lambda: jetstream.leader("orders", consumer) not in ("", before), 30, "another leader")
                    time.sleep(INTERVAL_SECONDS)
        assert set(waiting.seen) | set(fetched.seen) <= {6, None}
        for metadata in triggers:
            answers(client, metadata, 6, True, seconds=40)


def test_messages_wait_while_each_node_is_lost(client):
    """One after the other: with the last of them the connection is lost, too, and so is what was known of leaders."""
    with NatsCluster(3, as_pods=True) as cluster:
        six_orders_of_which_two_are_fetched(cluster)
        metadata = of_all(cluster)
        answers(client, metadata, 6, True)
        with Values(client, metadata) as values:
            for i, node in enumerate(cluster.nodes):
                node.kill()
                with cluster.nodes[i - 1].connect() as jetstream:
                    wait_until(lambda: jetstream.leader("orders", "workers") not in ("", node.server_name), 40, "a leader")
                    node.start()
                    wait_until(lambda: jetstream.has_all_replicas("orders", "workers"), 40, "all replicas")
        assert set(values.seen) <= {6, None}
        answers(client, metadata, 6, True, seconds=40)


@contextlib.contextmanager
def load(cluster, stream, consumer):
    """Messages come and go all the time, by whichever node there is."""
    over = threading.Event()

    def run():
        with NatsClient([node.url for node in cluster.nodes]) as jetstream:
            while not over.wait(0.02):
                with contextlib.suppress(Exception):  # while there is no leader
                    jetstream.publish(stream, 5)
                    jetstream.take(stream, consumer, 5)

    thread = threading.Thread(target=run)
    thread.start()
    yield
    over.set()
    thread.join()


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("rounds", [3, pytest.param(20, marks=pytest.mark.nightly)])
def test_work_is_never_0_while_nodes_are_lost_under_load(rounds):
    """Without a hold: the leader steps down, and the next one's node is killed and comes back."""
    with NatsCluster(3, as_pods=True) as cluster, Server(interval="100ms", hold="0s") as server, \
            Client(server.port) as client:
        six_orders_of_which_two_are_fetched(cluster)
        with cluster.nodes[0].connect() as jetstream:
            jetstream.publish("orders", 500)
        metadata = of_all(cluster)
        wait_until(lambda: client.is_active(metadata), 40, "an answer")
        with Answers(client, metadata) as answered, load(cluster, "orders", "workers"):
            for _ in range(rounds):
                with NatsClient([node.url for node in cluster.nodes]) as jetstream:
                    jetstream.step_down("orders", "workers")
                    time.sleep(2 * INTERVAL_SECONDS)
                    lost = cluster.node(jetstream.leader("orders", "workers"))
                lost.kill()
                other = next(node for node in cluster.nodes if node is not lost)
                with other.connect() as jetstream:
                    wait_until(lambda: jetstream.leader("orders", "workers") not in ("", lost.server_name), 40, "a leader")
                    time.sleep(2 * INTERVAL_SECONDS)
                    lost.start()
                    wait_until(lambda: jetstream.has_all_replicas("orders", "workers"), 60, "all replicas")
        answered.assert_never_0()


def test_a_node_that_cannot_open_its_replica_is_not_believed(client):
    """Since 2.10 it answers for the consumer, with 0; on the monitoring port of 2.15 it names no leader."""
    with NatsCluster(3) as cluster:
        leader = six_orders_of_which_two_are_fetched(cluster)
        node = next(node for node in cluster.nodes if node.server_name != leader)
        node.restart_with_one_replica()
        with Values(client, trigger(node)) as values:
            time.sleep(3 * INTERVAL_SECONDS)
        assert values.seen and set(values.seen) <= {6, None}
        if 6 not in values.seen:
            wait_until(lambda: "has not opened its replica" in unavailable(client, trigger(node)), 30, "the reason")
        reason = unavailable(client, monitored(node))
        assert "has not opened its replica" in reason or "does not lead consumer" in reason
        answers(client, trigger(cluster.node(leader)), 6, True)


def test_in_a_cluster_only_the_leader_is_believed(client):
    with NatsCluster(3) as cluster:
        leader = six_orders_of_which_two_are_fetched(cluster)
        for node in cluster.nodes:
            if node.server_name == leader:
                answers(client, monitored(node), 6, True)
            else:
                assert "set servers instead of natsServerMonitoringEndpoint" in unavailable(client, monitored(node))

        with cluster.nodes[0].connect() as jetstream:
            jetstream.create_consumer("orders", "single", num_replicas=1)
            leader = jetstream.leader("orders", "single")
        answers(client, monitored(cluster.node(leader), consumer="single"), 6, True)
