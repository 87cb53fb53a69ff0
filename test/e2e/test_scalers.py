"""Every scaler, polled and pushed: from 0 to as many replicas as the work needs, and back to 0."""

import pytest

from support.kubernetes.namespace import trigger
from support.server.server import Server
from support.brokers.work import SOURCES

MESSAGES, TARGET, REPLICAS = 37, 5, 8


def scale_up_and_down(namespace, source, triggers):
    """All at once, on the same work. KEDA scales from 0 by its poll, and at once where it was notified."""
    for name, found in triggers.items():
        namespace.scale(name, found)
    namespace.wait_until_ready(*triggers)
    source.publish(MESSAGES)
    for name in triggers:
        namespace.wait_for_replicas(name, REPLICAS)
    source.clear()
    for name in triggers:
        namespace.wait_for_replicas(name, 0)
        history = namespace.history(name)
        highest = history.index(REPLICAS)
        assert history == sorted(history[:highest + 1]) + sorted(history[highest + 1:], reverse=True), history
        assert max(history) == REPLICAS
    assert not namespace.warnings()


def both_ways(server, metadata):
    return {"poll": trigger(server, **metadata), "push": trigger(server, push=True, **metadata)}


@pytest.mark.parametrize("kind", [
    pytest.param(kind, id=kind.scaler, marks=[pytest.mark.core, pytest.mark.first] if kind.scaler in ("rabbitmq", "redis") else [])
    for kind in SOURCES])
def test_37_messages_make_8_replicas_and_none_make_0(namespace, kind):
    with kind() as source, Server() as server:
        scale_up_and_down(namespace, source, both_ways(server, source.metadata(TARGET)))
