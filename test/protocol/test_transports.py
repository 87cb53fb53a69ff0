"""The same calls to a server of each transport: status, text, trailers and messages are equal, byte by byte."""

import re

import grpc
import pytest

from support.clients.grpc_client import SERVICE, Client, scaled_object
from support.server.server import Server
from support.clients.triggers import UNREACHABLE

GOOD = scaled_object(UNREACHABLE).SerializeToString()
WRONG = scaled_object({"scaler": "none", "näme": "☃ 100%\n"}).SerializeToString()


@pytest.fixture(scope="module")
def transport():
    """Both are started here."""


@pytest.fixture(scope="module")
def servers():
    running = []
    for Server.transport in ("grpc-core", "nghttp2"):
        running.append(Server().start())
    Server.transport = None
    yield running
    for server in running:
        server.stop()
        server.remove()


def message(port, path, requests, seconds=10, **options):
    """All that a client gets to see of a call."""
    with Client(port) as client:
        call = client.channel.stream_stream(SERVICE + path)(iter(requests), timeout=seconds, **options)
        messages = []
        try:
            messages.extend(call)
        except grpc.RpcError:
            pass
        details = re.sub(r"failing since \S+Z", "failing since then", call.details() or "")  # in whole seconds
        return messages, call.code(), details, list(call.trailing_metadata() or [])


@pytest.mark.first
@pytest.mark.parametrize("path", ["GetMetricSpec", "GetMetrics", "IsActive", "StreamIsActive", "None"])
@pytest.mark.parametrize("what, requests", [
    ("good metadata", [GOOD]), ("wrong metadata", [WRONG]), ("no protobuf", [b"\xff\xff"]), ("an empty message", [b""]),
    ("no message", []), ("a large message", [b"x" * 100000]),
])
def test_answers_are_equal(servers, path, what, requests):
    seconds = 2 if path == "StreamIsActive" else 10
    first, second = (message(server.port, path, requests, seconds) for server in servers)
    assert first == second, what


@pytest.mark.first
@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_compressed_requests_are_equal(servers, compression):
    first, second = (message(server.port, "GetMetricSpec", [GOOD], compression=compression) for server in servers)
    assert first == second and first[1] == grpc.StatusCode.OK


def test_a_second_message_is_refused_where_the_call_still_waits(servers):
    for server in servers:
        messages, code, text, _ = message(server.port, "StreamIsActive", [GOOD, GOOD])
        assert (messages, code) == ([], grpc.StatusCode.INVALID_ARGUMENT)
        assert "more than one" in text


def test_metadata_of_clients_changes_nothing(servers):
    metadata = [("x-trace-bin", bytes(range(256))), ("x-padding", "x" * 8000)]
    first, second = (message(server.port, "GetMetricSpec", [GOOD], metadata=metadata) for server in servers)
    assert first == second and first[1] == grpc.StatusCode.OK
