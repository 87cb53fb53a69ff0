"""docs/reference.md names the metrics that a server has, and no others."""

import os
import pathlib
import re

import pytest

from support.certificates import Authority, make_certificate, make_root
from support.kubernetes.fake_kubernetes import FakeKubernetes
from support.kubernetes.pod_server import PodServer
from support.pages.page import get
from support.server.server import REPOSITORY, Server


def documented(note=""):
    """Of the lines with this note."""
    section = re.search(r"\n## Metrics\n(.*?)\n## ", pathlib.Path(REPOSITORY, "docs/reference.md").read_text(), re.DOTALL)[1]
    lines = [line for line in section.splitlines() if line.startswith("- ") and note in line]
    return {name for line in lines for name in re.findall(r"`(backlog_\w+)", line.split("`: ")[0].split("**: ")[0])}


def printed(server):
    return set(re.findall(r"^# TYPE (backlog_\w+) ", get(server, "/metrics").text, re.M))


@pytest.mark.first
@pytest.mark.parametrize("transport", ["nghttp2"], indirect=True)
def test_a_server_has_no_undocumented_metrics():
    with Server(http=True) as server:
        assert printed(server) <= documented()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a service account")
def test_a_server_with_all_parts_has_all_documented_metrics(transport, tmp_path):
    make_root(tmp_path)
    make_certificate(tmp_path, "api")
    (tmp_path / "token").write_text("a-token-for-the-http-port\n")
    (tmp_path / "tls").mkdir()
    certificate, key = Authority(tmp_path / "tls").issue("server")
    arguments = ["--kubernetes", "--metrics-per-trigger", "10", "--http-token-file", tmp_path / "token",
                 "--tls-cert", certificate, "--tls-key", key]
    with FakeKubernetes(tmp_path) as api, \
            PodServer(tmp_path / "ca.pem", api.server_port, api.token, config="connections: {}\n",
                      arguments=list(map(str, arguments))) as server:
        others = documented("(nghttp2 only)") if transport == "grpc-core" else set()
        assert printed(server) | others == documented()
