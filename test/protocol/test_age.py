"""What ends by age. --max-connection-age: clients are sent away in order; and what a transport cannot hold it refuses to start with."""

import subprocess
import time

import grpc
import pytest

from support.clients.grpc_client import Client
from support.pages.page import get
from support.process import wait_until
from support.server.server import Server, binary
from support.network.tap import Tap
from support.clients.triggers import UNREACHABLE


def test_no_call_is_lost_when_connections_come_of_age():
    with Server(arguments=("--max-connection-age", "500ms")) as server, Tap(server.port) as tap, Client(tap.port) as client:
        until = time.monotonic() + 4
        while time.monotonic() < until:
            assert client.metric_spec(UNREACHABLE).metricName == "rabbitmq-orders"
        assert tap.connections > 2


@pytest.mark.parametrize("transport", ["nghttp2"], indirect=True)
def test_a_stream_ends_with_ok_when_its_connection_comes_of_age():
    with Server(arguments=("--max-connection-age", "500ms")) as server, Client(server.port) as client:
        began = time.monotonic()
        stream = client.stream_is_active(UNREACHABLE)
        assert list(stream) == [] and stream.code() == grpc.StatusCode.OK
        assert 0.3 < time.monotonic() - began < 5


@pytest.mark.parametrize("transport", ["grpc-core"], indirect=True)
@pytest.mark.parametrize("flag, value", [("--max-clients", "10"), ("--max-peer-clients", "10"),
                                         ("--client-limits", "resets=10")])
def test_a_flag_that_the_transport_cannot_hold_is_refused_at_start(flag, value):
    done = subprocess.run([binary(), "serve", "--transport", "grpc-core", "--listen", "127.0.0.1:0", flag, value],
                          capture_output=True, text=True, timeout=20)
    assert done.returncode == 2
    assert f"{flag} needs --transport nghttp2" in done.stderr


@pytest.mark.parametrize("transport", ["nghttp2"], indirect=True)
def test_a_pause_of_the_server_ages_no_trigger():
    """As its host sleeps: KEDA calls again within its interval."""
    with Server(http=True, arguments=("--forget", "2s")) as server, Client(server.port) as client:
        def triggers():
            return get(server, "/api/server").json()["triggers"]
        client.metric_spec(UNREACHABLE)
        server.pause()
        time.sleep(15)
        server.resume()
        assert triggers() == 1
        wait_until(lambda: triggers() == 0, 20, "the end of its time")
