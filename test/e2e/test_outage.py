"""The broker fails while eight replicas work: they stay, and an event of the ScaledObject says why."""

import time

import pytest

from support.kubernetes.namespace import trigger
from support.server.server import Server
from support.brokers.work import RabbitMQWork, RedisWork

OUTAGE_SECONDS = 20  # four times the cooldown
LONG = {"cooldownPeriod": 600}  # KEDA itself may scale to 0 in an outage longer than this: docs/keda.md


def busy(namespace, source, server, *names, **spec):
    """Eight replicas for each of these ScaledObjects."""
    source.publish(37)
    for name in names:
        namespace.scale(name, trigger(server, push=name == "push", **source.metadata(5), hold=spec.pop("hold", "60s")),
                        **spec)
    for name in names:
        namespace.wait_for_replicas(name, 8)


def follows_the_work_again(namespace, source, *names):
    source.publish(13)
    for name in names:
        namespace.wait_for_replicas(name, 10)
    source.clear()
    for name in names:
        namespace.wait_for_replicas(name, 0)


@pytest.mark.parametrize("fault", ["stopped", pytest.param("killed", marks=[pytest.mark.core, pytest.mark.first])])
def test_replicas_stay_while_the_broker_is_away_for_longer_than_the_cooldown(namespace, fault):
    with RabbitMQWork() as source, Server() as server:
        busy(namespace, source, server, "poll", "push")
        began = time.monotonic()
        source.broker.kill() if fault == "killed" else source.broker.pause()
        namespace.stays(OUTAGE_SECONDS, poll=8, push=8)
        source.broker.start() if fault == "killed" else source.broker.resume()
        assert not namespace.history("poll", began) and not namespace.history("push", began)
        follows_the_work_again(namespace, source, "poll", "push")


@pytest.mark.parametrize("fault", ["stopped", "killed"])
def test_replicas_stay_after_the_hold_too_and_an_event_names_the_broker(namespace, fault):
    with RabbitMQWork() as source, Server() as server:
        busy(namespace, source, server, "poll", hold="2s", **LONG)
        began = time.monotonic()
        source.broker.kill() if fault == "killed" else source.broker.pause()
        event = namespace.wait_for_event("poll", f"127.0.0.1:{source.broker.port}", since=began, reason="KEDAScalerFailed")
        assert event.type == "Warning"
        namespace.stays(OUTAGE_SECONDS, poll=8)
        source.broker.start() if fault == "killed" else source.broker.resume()
        source.publish(13)
        namespace.wait_for_replicas("poll", 10)


def test_a_broker_that_is_restarted_at_once_is_not_noticed(namespace):
    with RedisWork() as source, Server() as server:
        busy(namespace, source, server, "poll", "push")
        began = time.monotonic()
        source.broker.kill()
        source.broker.start()
        namespace.stays(OUTAGE_SECONDS, poll=8, push=8)
        assert not namespace.warnings(began)
        follows_the_work_again(namespace, source, "poll", "push")


@pytest.mark.core
@pytest.mark.first
def test_replicas_stay_and_an_event_says_why_where_the_password_is_wrong_or_the_queue_is_gone(namespace):
    with RabbitMQWork() as source, Server() as server:
        broker = source.broker
        broker.create_user("worker", "first")
        broker.declare("gone")
        broker.publish("gone", 37)
        source.publish(37)
        queue = {**source.metadata(5), "hold": "2s"}
        namespace.scale("password", trigger(server, **{**queue, "host": broker.amqp_url(user="worker", password="first")}), **LONG)
        namespace.scale("queue", trigger(server, **{**queue, "queueName": "gone"}), **LONG)
        for name in ("password", "queue"):
            namespace.wait_for_replicas(name, 8)

        began = time.monotonic()
        broker.create_user("worker", "second")
        broker.ctl("close_all_user_connections", "worker", "the password was changed")
        broker.delete("gone")
        namespace.wait_for_event("password", f"127.0.0.1:{broker.port}", "ACCESS_REFUSED", since=began)
        namespace.wait_for_event("queue", "gone", "NOT_FOUND", since=began)
        namespace.stays(OUTAGE_SECONDS, password=8, queue=8)

        broker.create_user("worker", "first")
        broker.declare("gone")
        source.publish(13)
        broker.publish("gone", 50)
        for name in ("password", "queue"):
            namespace.wait_for_replicas(name, 10)
