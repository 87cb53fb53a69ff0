"""Mistakes in a trigger: replicas stay as they are, and an event of the ScaledObject says what is wrong."""

import pytest

from support.kubernetes.client import ApiError
from support.kubernetes.namespace import scaled_object, trigger
from support.server.server import Server
from support.brokers.work import RedisWork


def without(metadata, *keys):
    return {key: value for key, value in metadata.items() if key not in keys}


# What is wrong with a trigger, and words of the event.
MISTAKES = {
    "key": (lambda right: {**without(right, "listLength"), "listLenght": "5"}, ["listLenght", "listLength"]),
    "scaler": (lambda right: {**right, "scaler": "reddis"}, ["reddis"]),
    "value": (lambda right: {**right, "listLength": "five"}, ["listLength"]),
    "address": (lambda right: {**right, "address": "127.0.0.1:1"}, ["127.0.0.1:1"]),
    "variable": (lambda right: {**without(right, "address"), "addressFromEnv": "NOT_SET"}, ["address"]),
}


@pytest.mark.core
@pytest.mark.first
def test_a_mistake_is_an_event_and_the_replicas_stay(namespace):
    with RedisWork() as source, Server() as server:
        source.publish(37)
        right = source.metadata(5)
        for name, (mistake, _) in MISTAKES.items():
            namespace.scale(name, trigger(server, **mistake(right)), replicas=2, cooldownPeriod=600)
        for name, (_, words) in MISTAKES.items():
            event = namespace.wait_for_event(name, *words, reason="KEDAScalerFailed")
            print(f"{name}: {event.message}")
        assert all(namespace.replicas(name) == 2 for name in MISTAKES)
        for name in MISTAKES:
            namespace.scale(name, trigger(server, **right), replicas=2)
        for name in MISTAKES:
            namespace.wait_for_replicas(name, 8)


@pytest.mark.core
def test_kubectl_describe_shows_the_typo(namespace, kubectl):
    with RedisWork() as source, Server() as server:
        metadata = {**without(source.metadata(5), "listLength"), "listLenght": "5"}
        namespace.scale("worker", trigger(server, push=True, **metadata))
        namespace.wait_for_event("worker", "listLenght")
        shown = kubectl("describe", "scaledobject", "worker", "--namespace", namespace.name)
        print(shown[shown.index("Status:"):])
        events = shown[shown.index("\nEvents:"):]
        assert "Warning" in events and "KEDAScalerFailed" in events
        assert "listLenght" in events and "listLength" in events


@pytest.mark.core
def test_kedas_webhook_admits_one_scaled_object_per_deployment(namespace):
    """So the admission webhooks take part in all tests."""
    with RedisWork() as source, Server() as server:
        namespace.scale("worker", trigger(server, **source.metadata(5)))
        namespace.wait_until_ready("worker")
        second = scaled_object("second", trigger(server, **source.metadata(5)), scaleTargetRef={"name": "worker"})
        with pytest.raises(ApiError, match="already managed"):
            namespace.apply(second)
