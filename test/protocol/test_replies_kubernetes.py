"""As test_replies.py, of a Kubernetes API that is hostile, or has objects of users who are."""

import os
import ssl
import time

import grpc
import pytest
import requests

from attacks import replies_kubernetes as kubernetes
from attacks.replies import VALUE
from attacks.suffering import HEALTHY, MIB, Peer, Witness, own_peak, suffered
from support.certificates import Authority
from support.clients.grpc_client import Client, refusal
from support.kubernetes.pod_server import PodServer
from support.process import Unavailable

SECONDS = 0.5
MANY_BYTES = 4 << 20
CHANCE_SECONDS = 3  # to send as many
GROWTH_MIB = 32
TOKEN = "a-token"
PLACES, PLACES_EACH = 700, 7  # of --max-triggers
worst = {}
pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="mounts a service account"),
              pytest.mark.parametrize("transport", ["nghttp2"], indirect=True)]


@pytest.fixture(scope="module")
def program():
    path = os.environ.get("BACKLOG_RELEASE")
    if not path or not os.access(path, os.X_OK):
        raise Unavailable("BACKLOG_RELEASE names no release build (./dev build release)")
    yield path
    for name, (growth, reply) in worst.items():
        print(f"the Kubernetes API, {name}: {growth:.1f} MiB ({reply})")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("api")
    Authority(found, "ca").issue("api")
    return found


def watch_objects(client, _server, port):
    return [client.stream_is_active(kubernetes.list_trigger(f"127.0.0.1:{port}", number), namespace=kubernetes.NAMESPACE,
                                    name=f"o{number}-{port}") for number in range(kubernetes.OBJECTS)]


class Page:
    """Somebody looks at workers."""

    def __init__(self, server):
        self.response = requests.get(f"http://127.0.0.1:{server.http_port}/api/workers", timeout=20)

    def cancel(self):
        self.response.close()


def watch_workers(client, server, port):
    for number in range(4):
        client.is_active(witness_trigger(), namespace=kubernetes.NAMESPACE, name=f"o{number}")
    return [Page(server)]


def witness_trigger():
    return {"scaler": "redis", "connectionName": "witness", "listName": "l0", "listLength": "5"}


def play(program, folder, flags, script, begin, alpn=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "api.pem", folder / "api.key")
    if alpn is not None:
        context.set_alpn_protocols([alpn])
    with Peer(HEALTHY.good) as healthy, Peer(script, tls=context) as api:
        config = f'connections:\n  witness: {{scaler: redis, address: "127.0.0.1:{healthy.port}"}}\n'
        with PodServer(folder / "ca.pem", api.port, TOKEN, program=program, config=config, arguments=flags) as server, \
                Client(server.port) as client:
            end = time.monotonic() + CHANCE_SECONDS
            outcome = suffered(server, client, api, Witness(client, witness_trigger()),
                               lambda: begin(client, server, healthy.port), SECONDS,
                               until=lambda peer: peer.bytes_sent.value >= MANY_BYTES or
                               (peer.bytes_sent.value > 0 and time.monotonic() > end))
            began = time.monotonic()
            server.stop()
            assert time.monotonic() - began < 5  # whatever still arrives
            return outcome


ROWS = [(name, flags, begin, script)
        for name, flags, begin, scripts in (
            ("objects", ["--kubernetes", "--interval", "100ms"], watch_objects, kubernetes.OBJECTS_HOSTILE + kubernetes.HTTP2_HOSTILE),
            ("watches", ["--kubernetes"], watch_objects, kubernetes.WATCHES_HOSTILE),
            ("workers", ["--workers", kubernetes.NAMESPACE], watch_workers, kubernetes.WORKERS_HOSTILE))
        for script in scripts]


@pytest.mark.parametrize("name,flags,begin,script", ROWS, ids=[f"{row[0]}, {row[3].title}" for row in ROWS])
def test_a_hostile_kubernetes_api_costs_little_and_affects_no_source(program, folder, transport, name, flags, begin, script):
    outcome = play(program, folder, flags, script, begin, "h2" if script.title.startswith("HTTP/2") else None)
    worst[name] = max(worst.get(name, (0, "")), (outcome.growth_mib, script.title))
    assert outcome.connections > 0 and outcome.sent_mib > 0
    assert outcome.growth_mib <= GROWTH_MIB
    assert outcome.calls > 0 and not outcome.failures


def absent(wire):
    for path in kubernetes.http_requests(wire):
        is_list = "limit=1" in path
        body = b'{"metadata":{"resourceVersion":"1"},"items":[]}' if is_list else b"{}"
        wire.send(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (b"200 OK" if is_list else b"404 Not Found", len(body), body))


def test_triggers_of_names_that_do_not_exist_take_little(program, folder, transport):
    """What is kept to find their credentials is a multiple of their metadata, where they have many short keys."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "api.pem", folder / "api.key")
    keys = {f"k{number}": "y" for number in range(200)}
    with Peer(HEALTHY.good) as healthy, Peer(absent, tls=context) as api:
        with PodServer(folder / "ca.pem", api.port, TOKEN, program=program, arguments=["--kubernetes", "--max-triggers", str(PLACES)]) as server, \
                Client(server.port) as client:
            def code_of(number, namespace=kubernetes.NAMESPACE):
                trigger = {**kubernetes.list_trigger(f"127.0.0.1:{healthy.port}", number), **keys}
                return refusal(client.is_active, trigger, namespace=namespace, name=f"o{number}")[0]

            for number in range(10):
                code_of(number, "another")  # what only the first ones take
            start = own_peak(server.pid)
            refused = next(number for number in range(10_000) if code_of(number) == grpc.StatusCode.RESOURCE_EXHAUSTED)
            growth = (own_peak(server.pid) - start) / MIB
            print(f"{refused} triggers of 200 keys each: {growth:.1f} MiB")
            assert (refused + 10) * PLACES_EACH <= PLACES and growth <= PLACES * 6 / 1024


def test_what_is_attacked_is_what_works_otherwise(program, folder, transport):
    """The right script leads to the right value."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "api.pem", folder / "api.key")
    with Peer(HEALTHY.good) as healthy, Peer(kubernetes.objects_good, tls=context) as api:
        with PodServer(folder / "ca.pem", api.port, TOKEN, program=program, arguments=["--kubernetes"]) as server, \
                Client(server.port) as client:
            trigger = kubernetes.list_trigger(f"127.0.0.1:{healthy.port}", 3)
            assert client.metrics(trigger, "", namespace=kubernetes.NAMESPACE, name=f"o3-{healthy.port}").metricValueFloat == VALUE
