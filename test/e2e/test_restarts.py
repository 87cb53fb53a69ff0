"""Backlog itself goes away: no replica is lost, and it is used again once it is back."""

import contextlib
import re
import time

import pytest

from support.network.dns import HeadlessName
from support.kubernetes.namespace import trigger
from support.process import free_port
from support.server.server import Server
from support.brokers.work import RedisWork

# KEDA's gRPC client resolves a name again when a connection is lost, but at most every 30 s. So a rollout finds it able
# to where the last one was longer ago, and two rollouts in a row need this long for each pod (docs/keda.md).
RESOLVE_SECONDS = 31


class Replica(Server):
    """At an address of its own, as a pod."""

    def __init__(self, address, port):
        super().__init__(arguments=["--listen", f"{address}:{port}"])
        self.address = address

    def ready(self):
        return re.search(r"listening on ", self.log())


def work_in_all(namespace, source, target):
    """`poll` and `push` have eight replicas, `idle` has none and is polled so rarely that only a push can wake it."""
    source.publish(37)
    metadata = source.metadata(5)
    # A poll that meets the clearing of KEDA's cache is inactive (docs/keda.md 1): not for as long as the cooldown lasts.
    namespace.scale("poll", trigger(target, **metadata), cooldownPeriod=600)
    namespace.scale("push", trigger(target, push=True, **metadata), cooldownPeriod=600)
    namespace.scale("idle", trigger(target, push=True, **{**metadata, "listName": "idle"}), pollingInterval=300)
    for name in ("poll", "push"):
        namespace.wait_for_replicas(name, 8)
    namespace.wait_until_ready("idle")


def first_message(namespace, source):
    """Seconds until the first message of an idle list made a replica; then it is idle again."""
    began = time.monotonic()
    source.publish(1, "idle")
    took = namespace.wait_for_replicas("idle", lambda number: number >= 1) - began
    source.clear("idle")
    return took


@pytest.mark.core
@pytest.mark.first
@pytest.mark.parametrize("how", ["killed", "restarted"])
def test_no_replica_is_lost_while_backlog_is_away(namespace, how):
    port = free_port()
    with RedisWork() as source, Server(arguments=["--listen", f"127.0.0.1:{port}"]) as server:
        work_in_all(namespace, source, server)
        began = time.monotonic()
        server.kill() if how == "killed" else server.stop()
        namespace.stays(15, poll=8, push=8)
        server.start()
        source.publish(13)
        for name in ("poll", "push"):
            namespace.wait_for_replicas(name, 10)
            assert namespace.history(name, began) in ([10], [9, 10]), namespace.history(name, began)
        # KEDA opens the streams again after 2, 4, 8 ... 60 s; a message that came before is pushed then.
        print(f"the first message after it: {first_message(namespace, source):.1f} s")


def roll(namespace, source, name, replicas, stack, port, seconds):
    """As a rolling update: a new pod takes the place of each, so many seconds after the one before."""
    for number, old in enumerate(replicas):
        new = stack.enter_context(Replica(f"127.0.0.{number + 3}", port))
        name.addresses.append(new.address)
        name.addresses.remove(old.address)  # Kubernetes takes a pod out of the name as it sends SIGTERM
        old.stop()
        namespace.stays(seconds, poll=8, push=8)
        source.publish(1)  # 38 and 39 messages are 8 replicas, too


@pytest.mark.parametrize("first,each", [pytest.param(RESOLVE_SECONDS, 3, id="quickly", marks=pytest.mark.core),
                                        pytest.param(0, RESOLVE_SECONDS + 4, id="slowly")])
def test_two_replicas_behind_a_headless_name_are_rolled_under_load_without_a_warning(namespace, first, each):
    port = free_port()
    with RedisWork() as source, HeadlessName() as name, contextlib.ExitStack() as stack:
        replicas = [stack.enter_context(Replica(f"127.0.0.{number}", port)) for number in (1, 2)]
        name.addresses = [replica.address for replica in replicas]
        work_in_all(namespace, source, name.target(port))
        began = time.monotonic()
        namespace.stays(first, poll=8, push=8)
        roll(namespace, source, name, replicas, stack, port, each)
        print(f"the first message after it: {1000 * first_message(namespace, source):.0f} ms")
        assert not namespace.warnings(began)


def test_one_of_two_replicas_is_killed_without_a_warning(namespace):
    port = free_port()
    with RedisWork() as source, HeadlessName() as name, contextlib.ExitStack() as stack:
        replicas = [stack.enter_context(Replica(f"127.0.0.{number}", port)) for number in (1, 2)]
        name.addresses = [replica.address for replica in replicas]
        work_in_all(namespace, source, name.target(port))
        began = time.monotonic()
        for replica in replicas:
            replica.kill()
            namespace.stays(10, poll=8, push=8)
            replica.start()
            namespace.stays(RESOLVE_SECONDS, poll=8, push=8)
        print(f"the first message after it: {1000 * first_message(namespace, source):.0f} ms")
        assert not namespace.warnings(began)
