"""Problems of KEDA itself that docs/keda.md describes. A test that passes here is a problem that was solved."""

import time

import pytest

from support.kubernetes.namespace import WAIT_SECONDS, Namespace, trigger
from support.pages.page import get, metric
from support.process import free_port, wait_until
from support.server.server import Server
from support.kubernetes.stack import Stack, keda_version
from support.brokers.work import RabbitMQWork, RedisWork

OBJECTS = 15  # of each kind
COOLDOWN_SECONDS, OUTAGE_SECONDS = 10, 120
MANY_SECONDS = 600


@pytest.mark.xfail(raises=AssertionError, reason="KEDA 2.21 closes the connection of a push stream when a trigger fails")
def test_a_push_stream_outlives_an_error_of_its_trigger(namespace):
    with RedisWork() as source, Server() as server:
        namespace.scale("idle", trigger(server, push=True, **source.metadata(5)), pollingInterval=20)
        namespace.wait_until_ready("idle")
        source.broker.kill()
        namespace.wait_for_condition("ScaledObject", "idle", "Ready", "False")
        source.broker.start()
        namespace.wait_for_condition("ScaledObject", "idle", "Ready", "True")  # the next poll, 20 s later
        began = time.monotonic()
        source.publish(1)
        took = namespace.wait_for_replicas("idle", lambda number: number >= 1) - began
        assert took < 4, f"{took:.1f} s"  # KEDA opened the stream again 30 s after the error


# With --provoked the stream comes back at the next poll only.
@pytest.mark.xfail(raises=(AssertionError, TimeoutError),
                   reason="KEDA 2.21 waits twice as long at each loss of a stream, however long it was open")
def test_a_stream_that_is_lost_again_is_open_again_as_soon_as_the_first_time(namespace):
    addresses = [f"127.0.0.1:{free_port()}" for _ in range(2)]  # the same after each start
    with RedisWork() as source, Server(arguments=["--listen", addresses[0], "--http", addresses[1]]) as server:
        def is_open():
            return metric(get(server, "/metrics").text, "backlog_streams", method="StreamIsActive") == 1

        def seconds_until_open():
            began = time.monotonic()
            wait_until(is_open, WAIT_SECONDS, "the stream is open")
            return time.monotonic() - began

        # No poll fails meanwhile, which would end the stream once more.
        namespace.scale("idle", trigger(server, push=True, **source.metadata(5)), pollingInterval=300)
        seconds_until_open()
        took = []
        for _ in range(3):
            server.kill()
            server.start()
            took.append(seconds_until_open())
        assert took[-1] < took[0] + 2, " ".join(f"{seconds:.1f} s" for seconds in took)


@pytest.mark.xfail(raises=AssertionError, reason="KEDA 2.21 writes the error of GetMetricSpec to its log alone")
def test_an_event_says_why_backlog_cannot_be_called(namespace):
    address = f"127.0.0.1:{free_port()}"
    namespace.scale("worker", trigger(address, scaler="redis", address="redis:6379", listName="jobs"))
    namespace.wait(lambda: "no metric specs" in (namespace.value("ScaledObject", "worker", "Ready") or ""), "no metric specs")
    namespace.stays(10, worker=0)
    assert any("connection refused" in event.message for event in namespace.events)


@pytest.mark.xfail(raises=AssertionError, reason="KEDA 2.21 takes a scaler cache that was closed meanwhile as an inactive trigger")
def test_no_workers_are_lost_in_an_outage_that_is_longer_than_the_cooldown():
    """With KEDA's default limits for its calls of the Kubernetes API, which make its polls slow when many fail."""
    with RabbitMQWork() as source, Server() as server, Stack(keda_qps=20) as stack, \
            Namespace(stack.api, "outage", quiet=True) as namespace:
        source.publish(7)
        built_in = {"type": "rabbitmq", "metadata": {**source.metadata("5")}}
        built_in["metadata"].pop("scaler")
        ways = {"built-in": built_in, "hold-0s": trigger(server, **source.metadata(5), hold="0s"),
                "hold-1h": trigger(server, **source.metadata(5), hold="1h")}
        names = {way: [f"{way}-{number}" for number in range(OBJECTS)] for way in ways}
        for way, found in names.items():
            for name in found:
                namespace.scale(name, ways[way], cooldownPeriod=COOLDOWN_SECONDS)
        for name in sum(names.values(), []):
            namespace.wait_for_replicas(name, 2, MANY_SECONDS)
        began = time.monotonic()
        source.broker.kill()
        namespace.stays(OUTAGE_SECONDS)
        lost = {way: [name for name in found if min([2, *namespace.history(name, began)]) < 2]
                for way, found in names.items()}
        counts = {way: f"{len(found)} of {OBJECTS}" for way, found in lost.items()}
        print(f"lost workers: {counts}")
        assert not any(lost.values()), counts


def test_no_workers_are_lost_while_scaling_in_is_paused():
    """All of Backlog is down for longer than the cooldown. With --provoked most of the others are lost."""
    if keda_version() < (2, 20):
        pytest.skip("this KEDA makes an HPA of 80 % CPU of it")
    addresses = [f"127.0.0.1:{free_port()}" for _ in range(2)]  # the same after each start
    with RedisWork() as source, Server(arguments=["--listen", addresses[0], "--http", addresses[1]]) as server, \
            Stack(keda_qps=20) as stack, Namespace(stack.api, "paused-scale-in", quiet=True) as namespace:
        source.publish(7)
        kinds = {"paused": [f"paused-{number}" for number in range(OBJECTS)], "others": [f"other-{number}" for number in range(OBJECTS)]}
        for name in sum(kinds.values(), []):
            namespace.scale(name, trigger(server, **source.metadata(5)), cooldownPeriod=COOLDOWN_SECONDS)
        for name in sum(kinds.values(), []):
            namespace.wait_for_replicas(name, 2, MANY_SECONDS)
        server.kill()
        for name in kinds["paused"]:
            namespace.annotate(name, paused_scale_in="true")
        began = time.monotonic()
        namespace.stays(OUTAGE_SECONDS)
        lost = {kind: [name for name in names if min([2, *namespace.history(name, began)]) < 2] for kind, names in kinds.items()}
        print({kind: f"{len(names)} of {OBJECTS} lost workers" for kind, names in lost.items()})
        assert lost["paused"] == []
        server.start()
        source.publish(13)
        for name in kinds["paused"]:
            namespace.wait_for_replicas(name, 4, MANY_SECONDS)  # the HPA is there, and scales up
        source.clear()
        for name in kinds["paused"]:
            namespace.annotate(name, paused_scale_in=None)
        for name in kinds["paused"]:
            namespace.wait_for_replicas(name, 0, MANY_SECONDS)


@pytest.mark.xfail(raises=AssertionError, reason="KEDA's fallback makes every trigger active, so currentReplicas of none is one")
def test_fallback_to_the_current_replicas_leaves_none(namespace):
    if keda_version() < (2, 18):
        pytest.skip("this KEDA starts no fallback for none")
    with RedisWork() as source, Server() as server:
        namespace.scale("idle", trigger(server, **source.metadata(5)),
                        fallback={"failureThreshold": 2, "replicas": 6, "behavior": "currentReplicas"})
        namespace.wait_until_ready("idle")
        source.broker.kill()
        namespace.wait_for_condition("ScaledObject", "idle", "Fallback", "True")
        namespace.stays(10, idle=0)
