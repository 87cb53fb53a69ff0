"""`--kubernetes-secrets` where one team's Secret is an attack on the others: an API server of our own, as a real one takes no
such load within a test."""

import base64
import collections
import http.server
import json
import os
import re
import ssl
import threading
import time
import urllib.request

import pytest

from support.certificates import make_certificate, make_root
from support.clients.grpc_client import Client, refusal
from support.kubernetes.pod_server import PodServer
from support.process import wait_until

NAME = "backlog-connections"
DEEP = "[" * 300_000  # libyaml alone takes minutes for it
CONNECTIONS = 'connections:\n  orders: {scaler: redis, address: "127.0.0.1:1"}\n'
TRIGGER = {"scaler": "redis", "connectionName": "orders", "listName": "jobs", "listLength": "1"}
EVENTS = 300
pytestmark = pytest.mark.parametrize("transport", ["nghttp2"], indirect=True)  # that of the callers says nothing here


def secret(namespace, version, text):
    return {"metadata": {"name": NAME, "namespace": namespace, "resourceVersion": str(version)},
            "data": {"orders.yaml": base64.b64encode(text.encode()).decode()}}


class Api(http.server.BaseHTTPRequestHandler):
    """Namespace `noisy` changes its Secret all the time, what it is by the server's `noisy` text."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):  # noqa: N802, the name that http.server calls
        namespace = self.path.split("/")[4]
        text = self.server.noisy if namespace == "noisy" else CONNECTIONS
        if "watch=1" in self.path:
            self.watch(namespace, text)
            return
        self.server.read[namespace] += 1
        body = json.dumps(secret(namespace, 1, text)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def watch(self, namespace, text):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number in range(EVENTS if namespace == "noisy" else 0):
            line = json.dumps({"type": "MODIFIED", "object": secret(namespace, 2 + number, text)}).encode() + b"\n"
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
            time.sleep(0.01)
        self.server.ended.wait(60)

    def log_message(self, *_arguments):
        pass


class Apis(http.server.ThreadingHTTPServer):
    daemon_threads = True
    def __init__(self, folder, noisy):
        super().__init__(("127.0.0.1", 0), Api)
        self.noisy, self.ended, self.read = noisy, threading.Event(), collections.Counter()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "api.pem", folder / "api.key")
        self.socket = context.wrap_socket(self.socket, server_side=True)

    def handle_error(self, *_arguments):  # the server under test ends its connections
        pass

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_arguments):
        self.ended.set()
        self.shutdown()
        self.server_close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("api")
    make_root(found)
    make_certificate(found, "api")
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a service account")
@pytest.mark.parametrize("noisy", [DEEP, CONNECTIONS + "#" * 60_000], ids=["deep", "changing"])
def test_one_teams_secret_does_not_delay_anothers(folder, noisy):
    with Apis(folder, noisy) as api, \
            PodServer(folder / "ca.pem", api.server_port, "a-token", arguments=["--kubernetes-secrets"]) as server, \
            Client(server.port) as client:
        refusal(client.metrics, TRIGGER, namespace="noisy")
        began = time.monotonic()
        _code, details = refusal(client.metrics, TRIGGER, namespace="quiet")
        assert "127.0.0.1:1" in details, details  # its Secret was read; there is no Redis
        assert time.monotonic() - began < 5
        time.sleep(2)  # what changes all the time is read once per second
        assert api.read["noisy"] <= time.monotonic() - began + 2


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a service account")
def test_a_mistake_is_logged_with_its_namespace_and_connection(folder):
    mistakes = "connections:\n" + "".join(f"  wrong-{i}: {{scaler: redis}}\n" for i in range(22))
    with Apis(folder, mistakes) as api, \
            PodServer(folder / "ca.pem", api.server_port, "a-token",
                      arguments=["--kubernetes-secrets", "--log-format", "json"]) as server, \
            Client(server.port) as client:
        refusal(client.metrics, TRIGGER, namespace="noisy")
        lines = wait_until(lambda: lines_of(server, "noisy"), 10, "the mistakes")
        assert [line.get("connection", "").split("-")[0] for line in lines] == ["wrong"] * 20 + [""], lines
        assert "2 further mistakes" in lines[-1]["message"]


def lines_of(server, namespace):
    """What one reading of the Secret logs, once all of it is there."""
    lines = [json.loads(line) for line in server.log().splitlines() if line.startswith("{")]
    lines = [line for line in lines if line.get("namespace") == namespace and line["level"] == "warning"]
    return lines[:21] if len(lines) >= 21 else None


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a service account")
def test_metrics_say_what_is_read_of_the_kubernetes_api(folder):
    with Apis(folder, CONNECTIONS) as api, \
            PodServer(folder / "ca.pem", api.server_port, "a-token", arguments=["--kubernetes-secrets"]) as server, \
            Client(server.port) as client:
        refusal(client.metrics, TRIGGER, namespace="quiet")
        page = urllib.request.urlopen(f"http://127.0.0.1:{server.http_port}/metrics").read().decode()
        assert re.search(r"^backlog_kubernetes_objects [1-9]", page, re.M), page
        assert re.search(r"^backlog_kubernetes_watches [1-9]", page, re.M), page
