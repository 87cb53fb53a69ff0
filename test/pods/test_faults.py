"""37 messages make 8 pods, which stay, whatever happens to Backlog's pods, the broker, KEDA or the kubelet."""

import os
import signal

import pytest

from support.kubernetes.node import SECONDS
from support.process import wait_until

STAYS_SECONDS = 15  # KEDA polls every 5 s, the HPA synchronizes every 2 s and has no window, and the cooldown is 10 s


@pytest.fixture(scope="module", autouse=True)
def eight(shop, cluster, installed):
    """For as long as the tests of this file; then the messages are taken, and no worker is left."""
    shop.broker.send("emails", 37)
    since = shop.wait_for_replicas("emails", 8)
    shop.wait_for_workers("emails", 8)
    assert {pod["status"]["phase"] for pod in cluster.pods("shop", "app=emails")} == {"Running"}
    yield
    assert shop.history("emails", since) == [8]
    shop.broker.purge("emails")
    shop.wait_for_workers("emails", 0)


@pytest.fixture(autouse=True)
def eight_throughout(shop, eight):
    yield
    shop.stays(STAYS_SECONDS, emails=8)


def roll_out(cluster, name="backlog"):
    cluster.kubectl("rollout", "restart", f"deployment/{name}", "--namespace", "keda")
    cluster.rolled_out("keda", f"deployment/{name}")


def delete(cluster, pod):
    cluster.kubectl("delete", "pod", pod["metadata"]["name"], "--namespace", "keda")


def restarts(cluster, pod):
    """Of its container; None while it is not ready."""
    [container] = cluster.get("pod", pod["metadata"]["name"], "--namespace", "keda")["status"]["containerStatuses"]
    return container["restartCount"] if container["ready"] else None


def test_its_pods_are_deleted_one_after_the_other(cluster, shop, backlog):
    for pod in backlog():
        delete(cluster, pod)
        cluster.rolled_out("keda", "deployment/backlog")
        shop.stays(STAYS_SECONDS, emails=8)


def test_it_is_rolled_out(cluster):
    roll_out(cluster)


def test_the_broker_is_stopped_and_backlog_is_rolled_out_meanwhile(cluster, shop):
    shop.broker.stop()
    shop.stays(STAYS_SECONDS, emails=8)
    roll_out(cluster)
    shop.stays(STAYS_SECONDS, emails=8)
    command = ("exec", "--namespace", "keda", "deployment/backlog", "--", "/usr/local/bin/backlog", "explain", "shop/emails")
    assert "8 replicas, held while measuring fails" in cluster.kubectl(*command).stdout
    shop.broker.start()
    assert shop.broker.length("emails") == 37


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
def test_a_process_is_killed_or_frozen_and_its_container_restarted(cluster, backlog, number):
    pod = backlog()[0]
    before = restarts(cluster, pod)
    os.kill(cluster.process(pod), number)
    wait_until(lambda: restarts(cluster, pod) == before + 1, SECONDS, "a restart")


def test_kedas_operator_is_deleted(cluster):
    for pod in cluster.pods("keda", "app=keda-operator"):
        delete(cluster, pod)
    cluster.rolled_out("keda", "deployment/keda-operator")


def test_the_kubelet_is_restarted(cluster, shop, backlog):
    before = [(pod["metadata"]["name"], restarts(cluster, pod)) for pod in backlog()]
    kubelet = cluster.stack.components["kubelet"]
    kubelet.stop()
    shop.stays(STAYS_SECONDS, emails=8)
    kubelet.start()
    shop.stays(STAYS_SECONDS, emails=8)
    assert [(pod["metadata"]["name"], restarts(cluster, pod)) for pod in backlog()] == before
