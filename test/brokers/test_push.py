"""external-push: the first message of an idle source reaches the stream at once, whatever happened before."""

import contextlib
import time

import pytest

from support.brokers.nats import NatsCluster
from support.process import wait_until
from support.brokers.push import SUBSCRIBED, NatsConsumer, RedisList, Streams
from support.server.server import Server
from support.network.tap import Tap
from support.pages.page import await_metric

# So seldom that only a wake can be in time.
CALM = {"interval": "60s"}
MANY = 100
SUBSCRIBED_SECONDS = 80  # a subscription that a busy machine was late with is tried again after 60


@pytest.fixture(scope="module", params=SUBSCRIBED, ids=lambda kind: kind.title)
def broker(request):
    with request.param() as source:
        yield source


@pytest.fixture
def source(broker):
    broker.reset(MANY)
    return broker


@contextlib.contextmanager
def subscribed_streams(server, source, *triggers):
    with Streams(server, triggers) as streams:
        wait_until(lambda: source.subscribed() == len(triggers), SUBSCRIBED_SECONDS, f"{len(triggers)} subscribed")
        yield streams


@pytest.mark.first
def test_the_first_message_is_pushed_and_costs_the_neighbours_nothing(source):
    triggers = [source.trigger(number) for number in range(MANY)]
    with Server(**CALM) as server, subscribed_streams(server, source, *triggers) as streams:
        for number in range(10):
            source.publish(number)
        streams.wait_for_pushes(range(10))
        before = source.requests()
        time.sleep(1)
        assert source.requests() - before < 2 * MANY  # those that are asked cost nine times as many
        assert source.subscribed() >= MANY - 10


def test_a_subscription_leaves_no_trace(source):
    source.publish(0)  # one that is not idle
    before = source.state()
    triggers = [source.trigger(number) for number in range(3)]
    with Server(**CALM) as server, Streams(server, triggers) as streams:
        streams.wait_for_pushes([0])
        wait_until(lambda: source.subscribed() == 2, SUBSCRIBED_SECONDS, "the others subscribed")
        assert source.state() == before
        source.publish(1)
        streams.wait_for_pushes([0, 1])
        after = source.state()
    assert source.state() == after
    assert source.waiting(1) == 1


def test_a_source_that_was_active_is_subscribed_again(source):
    with Server(interval="500ms", http=True) as server, subscribed_streams(server, source, source.trigger(0)) as streams:
        for times in range(1, 4):
            source.publish(0)
            streams.wait_for_pushes([0] * times)
            source.take(0)
            await_metric(server, 1, "backlog_subscribed_queries")  # Redis goes on tracking a stream that a group has read
            wait_until(lambda: source.subscribed() == 1, SUBSCRIBED_SECONDS, "subscribed again")


def test_a_message_below_the_activation_is_no_news(source):
    trigger = source.trigger(0, **{source.activation: "2"})
    with Server(**CALM) as server, subscribed_streams(server, source, trigger) as streams:
        for messages in range(1, 3):
            source.publish(0)
            time.sleep(0.3)
            assert streams.reported == []
            wait_until(lambda: source.subscribed() == 1, SUBSCRIBED_SECONDS, "subscribed again")
        source.publish(0)
        streams.wait_for_pushes([0])


def test_messages_during_a_cut_connection_are_pushed_after_it(source):
    with Tap(source.port) as tap, Server(**CALM) as server, \
            subscribed_streams(server, source, source.trigger(0, tap.port), source.trigger(1, tap.port)) as streams:
        tap.cut()
        source.publish(0)
        time.sleep(0.5)
        assert streams.reported == []
        tap.restore()
        streams.wait_for_pushes([0], seconds=30)
        source.settle(1)
        source.publish(1)
        streams.wait_for_pushes([0, 1], seconds=30)


def test_a_broker_that_stood_still_or_was_started_again_is_listened_to_again(source):
    triggers = [source.trigger(number) for number in range(3)]
    with Server(interval="1s") as server, subscribed_streams(server, source, *triggers) as streams:
        source.broker.pause()
        time.sleep(3)  # longer than a measurement may take
        source.broker.resume()
        source.settle(3)
        source.publish(0)
        streams.wait_for_pushes([0], seconds=30)

        source.broker.stop()
        source.broker.start()
        source.connect()
        source.settle(2)
        source.publish(1)
        streams.wait_for_pushes([0, 1], seconds=30)
        source.publish(2)
        streams.wait_for_pushes([0, 1, 2], seconds=30)


def test_a_source_in_a_process_of_its_own_is_subscribed_there(source):
    server = Server(**CALM, arguments=["--all-in-agents"])
    with server, subscribed_streams(server, source, *(source.trigger(number) for number in range(3))) as streams:
        source.publish(1)
        streams.wait_for_pushes([1])
        source.publish(0)
        streams.wait_for_pushes([0, 1])


def test_a_stream_is_subscribed_again_with_new_credentials():
    config = "connections:\n  jobs: {{ scaler: redis, address: 127.0.0.1:{}, username: {}, password: secret }}\n"
    with RedisList() as source:
        for user in ("old", "new"):
            source.client.call("ACL", "SETUSER", user, "on", ">secret", "~*", "&*", "+@all")
        trigger = {"scaler": "redis", "connectionName": "jobs", "listName": "list-0"}
        with Server(**CALM, config=config.format(source.port, "old")) as server, \
                subscribed_streams(server, source, trigger) as streams:
            server.write_config(config.format(source.port, "new"))
            wait_until(lambda: tracks(source, "new"), 20, "the new user listens")
            source.client.call("ACL", "DELUSER", "old")
            source.settle(1)
            source.publish(0)
            streams.wait_for_pushes([0])


def tracks(source, user):
    """Whether a connection of this user has its invalidation messages redirected to another one."""
    return any(f" user={user} " in client and " redir=-1" not in client
               for client in source.client.call("CLIENT", "LIST").splitlines())


def test_a_mirrored_stream_is_polled_because_its_messages_are_not_received():
    with NatsConsumer() as source:
        source.reset(1)
        source.client.copy_stream("jobs", "copies")
        source.client.create_consumer("copies", "workers")
        trigger = {**source.trigger(0), "stream": "copies", "consumer": "workers"}
        with Server(**CALM) as server, Streams(server, [trigger]) as streams:
            wait_until(lambda: "come from other streams" in server.log(), SUBSCRIBED_SECONDS, "reported")
            source.publish(0)
            streams.wait_for_pushes([0])


def test_a_replicated_stream_counts_its_message_after_it_was_received():
    with NatsCluster(3) as cluster, cluster.nodes[0].connect() as client:
        cluster.create_stream(client, "jobs")
        client.create_consumer("jobs", "workers", num_replicas=3)
        trigger = {"scaler": "nats-jetstream", "servers": cluster.nodes[1].url, "stream": "jobs",
                   "consumer": "workers"}
        with Server(**CALM) as server, Streams(server, [trigger]) as streams:
            wait_until(lambda: has_subscription(cluster, "jobs.>"), SUBSCRIBED_SECONDS, "subscribed")
            client.publish("jobs")
            streams.wait_for_pushes([0])


def has_subscription(cluster, subject):
    return any(subject in connection.get("subscriptions_list", []) for node in cluster.nodes
               for connection in node.monitor("connz?subs=1")["connections"])
