"""What is not a proper request is refused, at once and by the right status, and the server lives on."""

import contextlib
import socket
import time

import grpc
import pytest

from support.clients.grpc_client import SERVICE, Client, refusal

INVALID = {"scaler": "no-such-scaler"}
METHODS = ["IsActive", "StreamIsActive", "GetMetricSpec", "GetMetrics", "StreamMetricSpec"]


def field(number, content):
    """A length-delimited field of a protobuf message, shorter than 128 bytes."""
    return bytes([number << 3 | 2, len(content)]) + content


def entry(key, value):
    return field(3, field(1, key) + field(2, value))


def reference(method, content):
    """A ScaledObjectRef as the method takes it."""
    return field(1, content) if method == "GetMetrics" else content


def assert_alive(client):
    assert client.metric_spec(INVALID).metricName == "backlog-invalid"


@pytest.mark.first
@pytest.mark.parametrize("path", [
    SERVICE + "Restart", SERVICE, "/externalscaler.Other/IsActive", "/grpc.unknown.Service/Method", "/", "/a",
])
def test_an_unknown_method_or_service_is_unimplemented_at_once(client, path):
    client.metric_spec(INVALID)  # connected
    began = time.monotonic()
    for requests in ([b""], [b"x" * 1000], []):
        code, _ = refusal(client.raw, path, *requests)
        assert code == grpc.StatusCode.UNIMPLEMENTED
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("what, content", [
    ("a field that ends early", b"\x0a\x7fshort"),
    ("no protobuf at all", b"\xff\xff\xff\xff"),
    ("a name that is not UTF-8", field(1, b"\xff\xfe")),
    ("a key that is not UTF-8", entry(b"\xc3", b"kafka")),
    ("a value that is not UTF-8", entry(b"scaler", b"\xed\xa0\x80")),
    ("a key twice", entry(b"scaler", b"kafka") + entry(b"topic", b"a") + entry(b"scaler", b"rabbitmq")),
    ("a key twice with one value", entry(b"scaler", b"kafka") + entry(b"scaler", b"kafka")),
])
def test_an_undecodable_message_is_an_invalid_argument(client, method, what, content):
    code, text = refusal(client.raw, SERVICE + method, reference(method, content))
    assert (code, bool(text)) == (grpc.StatusCode.INVALID_ARGUMENT, True), what
    assert_alive(client)


@pytest.mark.first
@pytest.mark.parametrize("method", METHODS)
def test_a_call_without_a_message_is_an_invalid_argument(client, method):
    code, _ = refusal(client.raw, SERVICE + method)
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert_alive(client)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_a_message_of_a_mebibyte_exhausts_a_resource(client, method, compression):
    code, _ = refusal(client.raw, SERVICE + method, b"\x00" * (1 << 20), compression=compression)
    assert code == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert_alive(client)


def test_a_compressed_request_is_understood(client):
    name = entry(b"scaler", b"no-such-scaler") + entry(b"padding", b"x" * 100)
    answer = client.raw(SERVICE + "GetMetricSpec", name, compression=grpc.Compression.Gzip)
    assert b"backlog-invalid" in answer


def test_unknown_fields_are_passed_over(client):
    newer = entry(b"scaler", b"no-such-scaler") + field(15, b"of a later KEDA")
    assert b"backlog-invalid" in client.raw(SERVICE + "GetMetricSpec", newer)


@pytest.mark.first
@pytest.mark.parametrize("what, greeting", [
    ("HTTP/1", b"GET / HTTP/1.1\r\nHost: backlog\r\n\r\n"),
    ("TLS", bytes.fromhex("16030100050100000100")),
    ("noise", bytes(range(256)) * 64),
    ("HTTP/2 that goes wrong", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 64),
])
def test_another_protocol_is_disconnected_and_no_other_client_is_affected(server, client, what, greeting):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as stranger:
        stranger.sendall(greeting)
        assert_alive(client)
        with contextlib.suppress(ConnectionResetError):
            while stranger.recv(65536):
                pass


def test_headers_beyond_all_need_are_refused(server, client):
    huge = [("x-padding", "x" * 200000)]
    with Client(server.port) as stranger, pytest.raises(grpc.RpcError) as refused:
        stranger.channel.unary_unary(SERVICE + "GetMetricSpec")(b"", timeout=10, metadata=huge)
    assert refused.value.code() in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE)
    assert_alive(client)
