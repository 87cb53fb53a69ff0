"""As test_replies.py, of clients of the gRPC port that never end their handshake with it, and of sources that speak HTTP/2.
(Of handshakes with sources it has rows.)"""

import os
import re
import socket
import ssl
import time

import grpc
import pytest

from attacks.replies import VALUE
from attacks.suffering import HEALTHY, MIB, Peer, Witness, own_peak
from attacks.replies_kubernetes import HTTP2_HOSTILE
from attacks.tls import CLIENT_HELLOS
from support.certificates import Authority
from support.clients.grpc_client import Client, refusal
from support.process import Unavailable, wait_until
from support.server.server import Server

CONNECTIONS = 250
SECONDS = 0.5
GROWTH_MIB = 32
pytestmark = pytest.mark.parametrize("transport", ["nghttp2"], indirect=True)


@pytest.fixture(scope="module")
def program():
    path = os.environ.get("BACKLOG_RELEASE")
    if not path or not os.access(path, os.X_OK):
        raise Unavailable("BACKLOG_RELEASE names no release build (./dev build release)")
    return path


def begin_handshakes(port, data):
    """As many connections as one address may have, all silent after it."""
    found = []
    for _ in range(CONNECTIONS):
        connection = socket.create_connection(("127.0.0.1", port), timeout=5, source_address=("127.0.0.2", 0))
        found.append(connection)
        try:
            connection.sendall(data)
        except OSError:
            pass  # refused meanwhile
    return found


def test_handshakes_of_clients_cost_little_and_keep_no_other_from_its_answers(program, transport, tmp_path):
    authority = Authority(tmp_path)
    certificate, key = authority.issue("own")
    credentials = grpc.ssl_channel_credentials(open(authority.certificate, "rb").read())
    with Peer(HEALTHY.good) as healthy, \
            Server(program=program, arguments=["--tls-cert", certificate, "--tls-key", key, "--max-peer-clients", "256"]) as server, \
            Client(server.port, credentials=credentials) as client:
        witness = Witness(client, HEALTHY.trigger(healthy.port, 0))
        witness.call()
        start = own_peak(server.pid)
        for name, data in CLIENT_HELLOS.items():
            connections = begin_handshakes(server.port, data)
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                witness.call()
            growth = (own_peak(server.pid) - start) / MIB
            print(f"clients, {name}: {growth:.1f} MiB")
            assert growth <= GROWTH_MIB, name
            for connection in connections:
                connection.close()
        assert witness.calls > 0 and not witness.failures
        assert client.metrics(witness.trigger, witness.name).metricValueFloat == VALUE


def test_a_client_is_asked_for_few_certificates(program, transport, tmp_path):
    """OpenSSL decodes all that a client shows before it looks for their authority: 32 KiB took the loop 22 ms."""
    authority, stranger = Authority(tmp_path, "own"), Authority(tmp_path, "strangers")
    certificate, key = authority.issue("server")
    shown, shown_key = stranger.issue("stranger")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(authority.certificate)
    context.set_alpn_protocols(["h2"])
    arguments = ["--tls-cert", certificate, "--tls-key", key, "--tls-client-ca", authority.certificate]
    for count, reason in (1, "self-signed certificate|unable to get"), (40, "excessive message size"):
        chain = tmp_path / f"chain-{count}.pem"
        chain.write_bytes(open(shown, "rb").read() + open(stranger.certificate, "rb").read() * count)
        context.load_cert_chain(chain, shown_key)
        with Server(program=program, arguments=arguments) as server:  # which logs one failure for many
            with pytest.raises(OSError), socket.create_connection(("127.0.0.1", server.port), timeout=5) as plain, \
                    context.wrap_socket(plain, server_hostname="127.0.0.1") as client:
                client.recv(1)
                client.recv(1)
                raise ConnectionError("disconnected")
            wait_until(lambda: re.search(reason, server.log()), 10, reason)


def test_a_source_that_sends_frames_without_end_does_not_hold_its_connection(program, transport, tmp_path):
    """libcurl reads HTTP/2 frames that are no news as long as there are some, past any deadline: one core for each source."""
    certificate, key = Authority(tmp_path).issue("own")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["h2", "http/1.1"])
    frames = next(script for script in HTTP2_HOSTILE if "empty data" in script.title)
    with Peer(frames, tls=context) as peer:
        with Server(program=program) as server, Client(server.port) as client:
            trigger = {"scaler": "prometheus", "serverAddress": f"https://127.0.0.1:{peer.port}", "query": "1", "threshold": "5",
                       "brokerUnsafeSsl": "true"}
            _, why = refusal(client.metrics, trigger, "")
            assert "failed" in why
            wait_until(lambda: peer.accepted.value > 1, SECONDS * 60, "another attempt")
            server.stop()
            assert "has not returned" not in server.log()
