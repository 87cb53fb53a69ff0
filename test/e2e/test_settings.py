"""Every setting of a ScaledObject that changes what its triggers' values lead to."""

import time

import pytest

from support.kubernetes.namespace import trigger
from support.server.server import Server
from support.kubernetes.stack import keda_version
from support.brokers.work import RedisWork

POLLS_SECONDS = 8  # four polls of KEDA, four synchronizations of the HPA
OLD = (2, 18)      # what older versions cannot do is in the table of docs/keda.md


@pytest.fixture
def source():
    with RedisWork() as source:
        yield source


@pytest.fixture
def server():
    with Server() as server:
        yield server


def fallback(behavior, replicas=6):
    return {"fallback": {"failureThreshold": 2, "replicas": replicas, "behavior": behavior}}


# What eight replicas and none become. KEDA takes a trigger with a fallback as active, so none becomes at least one.
FALLBACKS = {
    "static": (6, 6),
    "currentReplicas": (8, 1),
    "currentReplicasIfHigher": (8, 6),
    "currentReplicasIfLower": (6, 1),
}


@pytest.mark.parametrize("behavior", [pytest.param(behavior, marks=[pytest.mark.core] if behavior == "static" else [])
                                      for behavior in FALLBACKS])
def test_fallback_takes_the_place_of_a_broker_that_is_away(namespace, source, server, behavior):
    busy, idle = FALLBACKS[behavior]
    metadata = {**source.metadata(5), "hold": "2s"}
    namespace.scale("busy", trigger(server, **metadata), **fallback(behavior))
    namespace.scale("idle", trigger(server, **{**metadata, "listName": "idle"}), **fallback(behavior))
    namespace.wait_until_ready("idle")
    source.publish(37)
    namespace.wait_for_replicas("busy", 8)

    source.broker.kill()
    if keda_version() < OLD:
        idle = 0
    for name in ("busy", *(["idle"] if idle else [])):
        namespace.wait_for_condition("ScaledObject", name, "Fallback", "True")
    namespace.wait_for_replicas("busy", busy)
    namespace.wait_for_replicas("idle", idle)
    namespace.stays(POLLS_SECONDS, busy=busy, idle=idle)

    source.broker.start()
    namespace.wait_for_replicas("busy", 8)
    namespace.wait_for_replicas("idle", 0)
    namespace.wait_for_condition("ScaledObject", "busy", "Fallback", "False")


def test_fallback_by_scaling_modifiers_replaces_the_value_of_the_trigger_that_fails(namespace, source, server):
    """15 for a broker that is away: 3 replicas, and 7 messages of the other one add to it."""
    if keda_version() < OLD:
        pytest.skip("this KEDA has no fallback by scaling modifiers")
    with RedisWork() as other:
        modifiers = {"scalingModifiers": {"formula": "(jobs ?? 15) + more", "target": "5"}}
        namespace.scale("worker", trigger(server, name="jobs", **source.metadata(5), hold="2s"),
                        trigger(server, name="more", **other.metadata(5)), advanced=modifiers, **fallback("scalingModifiers"))
        namespace.wait_until_ready("worker")
        source.publish(30)
        other.publish(7)
        namespace.wait_for_replicas("worker", 8)  # 37 / 5
        source.broker.kill()
        namespace.wait_for_replicas("worker", 5)  # 22 / 5
        source.broker.start()
        namespace.wait_for_replicas("worker", 8)


@pytest.mark.core
@pytest.mark.first
def test_idle_replica_count_is_kept_below_the_least(namespace, source, server):
    namespace.scale("worker", trigger(server, **source.metadata(5)), idleReplicaCount=0, minReplicaCount=3)
    namespace.wait_until_ready("worker")
    source.publish(1)
    namespace.wait_for_replicas("worker", 3)
    source.publish(36)
    namespace.wait_for_replicas("worker", 8)
    source.clear()
    namespace.wait_for_replicas("worker", 0)
    assert set(namespace.history("worker")) <= {0, 3, *range(3, 9)}


@pytest.mark.core
@pytest.mark.first
def test_min_replica_count_is_never_left(namespace, source, server):
    namespace.scale("worker", trigger(server, **source.metadata(5)), minReplicaCount=2)
    namespace.wait_for_replicas("worker", 2)
    began = time.monotonic()
    source.publish(37)
    namespace.wait_for_replicas("worker", 8)
    source.clear()
    namespace.wait_for_replicas("worker", 2)
    source.broker.kill()
    namespace.stays(POLLS_SECONDS, worker=2)
    assert min(namespace.history("worker", began)) == 2


def test_paused_scaled_objects_follow_their_annotations(namespace, source, server):
    namespace.scale("worker", trigger(server, push=True, **source.metadata(5)))
    namespace.wait_until_ready("worker")
    namespace.annotate("worker", paused="true")
    namespace.wait_for_condition("ScaledObject", "worker", "Paused", "True")
    source.publish(37)
    namespace.stays(POLLS_SECONDS, worker=0)
    namespace.annotate("worker", paused=None)
    namespace.wait_for_replicas("worker", 8)

    namespace.annotate("worker", paused_replicas="3")
    namespace.wait_for_replicas("worker", 3)
    namespace.annotate("worker", paused_replicas=None)
    namespace.wait_for_replicas("worker", 8)


def test_scaling_in_can_be_paused(namespace, source, server):
    if keda_version() < OLD:
        pytest.skip("this KEDA has no paused-scale-in")
    namespace.scale("worker", trigger(server, push=True, **source.metadata(5)), annotations={
        "autoscaling.keda.sh/paused-scale-in": "true"})
    namespace.wait_until_ready("worker")
    source.publish(37)
    namespace.wait_for_replicas("worker", 8)
    source.clear()
    namespace.stays(2 * POLLS_SECONDS, worker=8)
    namespace.annotate("worker", paused_scale_in=None)
    namespace.wait_for_replicas("worker", 0)


def test_scaling_modifiers_compute_with_two_triggers(namespace, source, server):
    modifiers = {"scalingModifiers": {"formula": "videos + photos / 2", "target": "5", "activationTarget": "2"}}
    first, second = ({**source.metadata(5), "listName": name} for name in ("videos", "photos"))
    namespace.scale("worker", trigger(server, name="videos", **first), trigger(server, push=True, name="photos", **second),
                    advanced=modifiers)
    namespace.wait_until_ready("worker")
    source.publish(10, "videos")
    namespace.wait_for_replicas("worker", 2)
    source.publish(50, "photos")
    namespace.wait_for_replicas("worker", 7)
    source.clear("videos")
    namespace.wait_for_replicas("worker", 5)
    source.clear("photos")
    namespace.wait_for_replicas("worker", 0)


@pytest.mark.core
@pytest.mark.first
def test_the_largest_of_several_triggers_counts(namespace, source, server):
    videos, photos = ({**source.metadata(5), "listName": name} for name in ("videos", "photos"))
    namespace.scale("worker", trigger(server, **videos), trigger(server, push=True, **photos))
    namespace.wait_until_ready("worker")
    source.publish(37, "videos")
    source.publish(12, "photos")
    namespace.wait_for_replicas("worker", 8)
    source.clear("videos")
    namespace.wait_for_replicas("worker", 3)
    source.clear("photos")
    namespace.wait_for_replicas("worker", 0)


def test_a_trigger_that_fails_holds_the_replicas_and_the_other_one_may_still_add(namespace, source, server):
    with RedisWork() as other:
        namespace.scale("worker", trigger(server, **source.metadata(5), hold="2s"), trigger(server, **other.metadata(5)),
                        cooldownPeriod=600)
        namespace.wait_until_ready("worker")
        source.publish(22)
        namespace.wait_for_replicas("worker", 5)
        source.broker.kill()
        namespace.stays(2 * POLLS_SECONDS, worker=5)
        other.publish(37)
        namespace.wait_for_replicas("worker", 8)
        other.clear()
        namespace.stays(2 * POLLS_SECONDS, worker=8)  # Kubernetes scales down only if it has all metrics


def test_use_cached_metrics_scales_by_the_values_of_keda_polls(namespace, source, server):
    namespace.scale("worker", trigger(server, cached=True, **source.metadata(5)), pollingInterval=5)
    namespace.wait_until_ready("worker")
    source.publish(37)
    namespace.wait_for_replicas("worker", 8)
    source.publish(13)
    namespace.wait_for_replicas("worker", 10)
    source.clear()
    namespace.wait_for_replicas("worker", 0)


def test_metric_type_value_multiplies_the_replicas_until_the_value_is_the_target(namespace, source, server):
    namespace.scale("worker", trigger(server, metric_type="Value", **source.metadata(5)))
    namespace.wait_until_ready("worker")
    source.publish(5)
    namespace.wait_for_replicas("worker", 1)
    namespace.stays(POLLS_SECONDS, worker=1)
    source.publish(5)  # twice the target: 1, 2, 4, 8, and the maximum
    namespace.wait_for_replicas("worker", 10)
    source.clear()
    namespace.wait_for_replicas("worker", 0)
