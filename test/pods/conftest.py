"""One node for all tests, which run one after the other, on the Backlog that docs/install.md installs."""

import contextlib
import os
import shutil

import pytest

from support.kubernetes.engine import PODS, Engine, NodeRegistry
from support.kubernetes.node import MANIFESTS, NodeCluster, NodeStack
from support.kubernetes.shop import Shop, blocks, clone
from support.process import Unavailable


def keep_logs(cluster):
    """For the reader of a failed test; the node keeps those of the control plane itself."""
    logs = PODS / "logs"
    shutil.rmtree(logs, ignore_errors=True)
    shutil.copytree("/var/log/pods", logs / "pods")
    (logs / "events").write_text(cluster.kubectl("get", "events", "--all-namespaces", wrong=True).stdout)


@pytest.fixture(scope="session")
def cluster():
    """With KEDA."""
    reason = os.environ.get("BACKLOG_PODS", "they need a machine of their own: ./dev pods")
    if reason != "here":
        raise Unavailable(reason)
    with contextlib.ExitStack() as stack:
        stack.enter_context(Engine())
        stack.enter_context(NodeRegistry())
        cluster = NodeCluster(stack.enter_context(NodeStack()))
        stack.callback(keep_logs, cluster)
        cluster.manifest("system")
        cluster.install_keda()
        yield cluster


@pytest.fixture(scope="session")
def shop(cluster):
    with Shop(cluster) as shop:
        yield shop


@pytest.fixture(scope="session")
def checkout(tmp_path_factory):
    """The clone of the page's reader, with the ScaledObject that is to move."""
    folder = clone(tmp_path_factory.mktemp("backlog"))
    shutil.copy(MANIFESTS / "scaledobject.yaml", folder)
    return folder


@pytest.fixture(scope="session")
def installed(cluster, shop, checkout):
    """What the commands of docs/install.md printed, apart from the last one, which goes on until Ctrl-C."""
    commands, _, last = "".join(blocks("docs/install.md", "Install on a cluster for tests")).strip().rpartition("\n")
    assert "port-forward" in last
    printed = cluster.shell(commands, checkout)
    shop.wait_until_ready("emails")
    shop.wait_for_workers("emails", 0)
    return printed, last


@pytest.fixture
def backlog(cluster, installed):
    """Its pods, as they are when it is called."""
    return lambda: cluster.pods("keda", "app.kubernetes.io/instance=backlog,app.kubernetes.io/name=backlog")
