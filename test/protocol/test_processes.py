"""What the server and its agent processes are to the system."""

import os
import pathlib
import resource
import subprocess

import pytest

from attacks.replies import SOURCES, VALUE
from attacks.suffering import Peer
from support.clients.grpc_client import Client
from support.brokers.postgresql import unprivileged
from support.process import wait_until
from support.server.server import Server

pytestmark = pytest.mark.parametrize("transport", ["nghttp2"], indirect=True)  # that of the callers says nothing here


class Unprivileged(Server):
    def command(self):
        return [*unprivileged()[1], *super().command()]


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as own:
        found = own.read().split()
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], stdout=subprocess.PIPE, text=True).stdout.split()
    return sorted({int(child) for child in found + listed})


def as_the_same_user(*words):
    return subprocess.run([*unprivileged()[1], *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.fixture(scope="module")
def server():
    """With an agent that stays, as its source is there."""
    source = next(source for source in SOURCES if source.name == "postgresql")
    with Peer(source.good) as peer, Unprivileged() as running, Client(running.port) as client:
        assert client.metrics(source.trigger(peer.port, 0)).metricValueFloat == VALUE
        yield running


@pytest.fixture(scope="module")
def agent(server):
    return wait_until(lambda: children(server.pid), 10, "an agent process")[0]


def test_no_process_of_the_same_user_reads_secrets_from_memory(server, agent):
    for pid in (server.pid, agent):
        seen = as_the_same_user("cat", f"/proc/{pid}/environ")
        assert seen.returncode != 0 and "Permission denied" in seen.stdout
    assert as_the_same_user("cat", "/proc/self/environ").returncode == 0  # elsewhere it is allowed


def test_an_agent_dies_before_the_server_where_memory_ends(server, agent):
    def score(pid):
        with open(f"/proc/{pid}/oom_score_adj") as file:
            return int(file.read())
    assert score(agent) == 1000
    assert score(server.pid) < 1000


def test_the_memory_of_an_agent_is_limited(server, agent):
    def of_addresses(pid):
        with open(f"/proc/{pid}/limits") as limits:
            return next(line.split()[3] for line in limits if line.startswith("Max address space"))
    if server.is_sanitized():
        assert of_addresses(agent) == "unlimited"  # a sanitizer maps terabytes
    else:
        assert int(of_addresses(agent)) < 256 << 20
    assert of_addresses(server.pid) == "unlimited"


def test_it_has_as_many_descriptors_as_it_may_have():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        with Server() as server:
            assert resource.prlimit(server.pid, resource.RLIMIT_NOFILE) == (hard, hard)
            assert ("descriptors may be open" in server.log()) == (hard < 40000)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_few_descriptors_are_a_warning():
    class Poor(Server):
        def command(self):
            return ["prlimit", "--nofile=4096:4096", *super().command()]

    with Poor() as server:
        assert "warning at most 4096 descriptors may be open" in server.log()


class InContainer(Server):
    """Its control group is a folder of ours."""

    def __init__(self):
        super().__init__()
        self.group = pathlib.Path(self.folder, "group")
        self.group.mkdir()
        self.limit("max")

    def limit(self, text):
        (self.group / "memory.max").write_text(f"{text}\n")

    def command(self):
        script = 'mount --bind "$0" /sys/fs/cgroup && exec "$@"'
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, str(self.group), *super().command()]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a control group")
def test_the_memory_limit_of_a_pod_that_is_resized_counts():
    """`kubectl patch pod --subresource resize`, or a VPA with `InPlaceOrRecreate`: the container goes on."""
    with InContainer() as server:
        assert "MiB" not in server.log()
        server.limit(8 << 20)
        wait_until(lambda: "of the container's 8 MiB" in server.log(), 10, "the new limit")
