"""One Kubernetes with KEDA for all tests, which run side by side, each in a namespace of its own; a few run alone."""

import fcntl
import json
import os
import re
import zlib

import pytest

from support.kubernetes.cluster import Cluster
from support.kubernetes.client import Api
from support.kubernetes.namespace import Namespace
from support.process import Unavailable
from support.kubernetes.stack import Restarter, Stack, kubectl as run_kubectl

CONNECTION = "BACKLOG_E2E_API"  # how pytest's workers reach the stack of the process that started them


def pytest_configure(config):
    config.addinivalue_line("markers", "core: what CI may run; those of them that are `first`, too, always, the others until they have passed "
                                       "with the same contents (test_e2e in tools/dev/tests.sh); what is not core is nightly")
    config.addinivalue_line("markers", "alone: bounds the delay of KEDA and the HPA, so that no other test runs meanwhile")


def is_worker(config):
    return hasattr(config, "workerinput")


def pytest_collection_modifyitems(items):
    """Those that run alone come last: most of them then wait for nobody."""
    items.sort(key=lambda item: item.get_closest_marker("alone") is not None)


@pytest.hookimpl(tryfirst=True)
def pytest_itemcollected(item):
    if not item.get_closest_marker("core"):
        item.add_marker("nightly")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session):
    """Before the workers are started, which inherit the environment."""
    if is_worker(session.config) or session.config.option.collectonly:
        return
    try:
        stack = session.config.stack = Stack().__enter__()
        session.config.restarter = Restarter(stack.components["operator"])
        session.config.restarter.start()
        found = {"server": stack.api.server, "folder": stack.folder, "authority": stack.authority.certificate, "kube": stack.kube,
                 "metrics": stack.operator_metrics}
    except Unavailable as error:
        found = {"unavailable": str(error)}
    except (Exception, SystemExit) as error:
        found = {"failed": f"Kubernetes and KEDA did not start: {error}"}
    os.environ[CONNECTION] = json.dumps(found)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    stack = getattr(session.config, "stack", None)
    if stack is not None:
        session.config.restarter.stop()
        stack.__exit__()


@pytest.fixture(scope="session")
def connection():
    found = json.loads(os.environ[CONNECTION])
    if "unavailable" in found:
        raise Unavailable(found["unavailable"])
    if "failed" in found:
        pytest.fail(found["failed"])
    return found


@pytest.fixture(scope="session")
def api(connection):
    folder = connection["folder"]
    return Api(connection["server"], connection["authority"], os.path.join(folder, "admin.pem"),
               os.path.join(folder, "admin.key"))


@pytest.fixture(autouse=True)
def place(connection, request):
    """One of many beside each other, or the only one."""
    alone = request.node.get_closest_marker("alone")
    with open(os.path.join(connection["folder"], "tests.lock"), "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield


@pytest.fixture
def namespace(api, request):
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())
    name = f"{words[:40].strip('-')}-{zlib.crc32(request.node.nodeid.encode()):08x}"  # at most 63 characters
    with Namespace(api, name) as namespace:
        yield namespace


@pytest.fixture
def kubectl(connection):
    return lambda *arguments: run_kubectl(connection["kube"], connection["folder"], *arguments)


@pytest.fixture(scope="session")
def cluster(connection):
    """With the custom resources that the charts may have, and the namespaces of their tests."""
    cluster = Cluster(connection)
    cluster.install_definitions("monitoring.coreos.com_servicemonitors", "monitoring.coreos.com_podmonitors",
                                "monitoring.coreos.com_prometheusrules", "cert-manager.io_certificates", "cert-manager.io_issuers")
    for name in ("scaling", "elsewhere", "monitoring", "autoscaling"):
        cluster.create_namespace(name)
    return cluster
