"""Streams by the thousand, beside unary calls, and what is left of them."""

import time

import grpc
import pytest

from support.clients.grpc_client import Client
from support.process import wait_until
from support.server.server import Server
from support.clients.triggers import UNREACHABLE

MIB = 1 << 20


def queue(number):
    return {**UNREACHABLE, "queueName": f"orders-{number}"}


@pytest.fixture
def own_server():
    with Server() as running:
        yield running


def assert_open(streams):
    """A stream without a message neither ends nor says `false`."""
    ended = [stream.code() for stream in streams if not stream.is_active()]
    assert ended == []


def test_two_thousand_streams_share_a_connection_with_unary_calls(own_server):
    with Client(own_server.port) as client:
        streams = [client.stream_is_active(queue(number % 100)) for number in range(2000)]
        slowest = 0
        for number in range(300):
            began = time.monotonic()
            assert client.metric_spec(queue(number)).metricName == f"rabbitmq-orders-{number}"
            slowest = max(slowest, time.monotonic() - began)
        assert slowest < 5
        assert_open(streams)
        for stream in streams:
            stream.cancel()
        assert client.metric_spec(UNREACHABLE).targetSize == 5


def open_and_cancel(client, count):
    """Some are cancelled before the server has seen them, some after."""
    for start in range(0, count, 100):
        streams = [client.stream_is_active(queue(number % 10)) for number in range(100)]
        if start % 200:
            client.metric_spec(UNREACHABLE)
        for stream in streams:
            stream.cancel()
    client.metric_spec(UNREACHABLE)


@pytest.mark.timeout(300)
def test_ten_thousand_opens_and_cancels_leave_nothing_behind(own_server):
    with Client(own_server.port) as client:
        open_and_cancel(client, 10000)
        time.sleep(2)  # memory is given back a while after the last call
        before = own_server.resident_bytes()
        open_and_cancel(client, 10000)
        assert client.metric_spec(UNREACHABLE).targetSize == 5
        if not own_server.is_sanitized():
            wait_until(lambda: own_server.resident_bytes() < before + 8 * MIB, 10, "memory given back")


@pytest.mark.first
def test_a_stream_whose_deadline_passes_ends(own_server):
    with Client(own_server.port) as client:
        stream = client.stream_is_active(UNREACHABLE, seconds=0.3)
        with pytest.raises(grpc.RpcError) as ended:
            next(stream)
        assert ended.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        assert client.metric_spec(UNREACHABLE).targetSize == 5


@pytest.mark.first
def test_a_stream_of_wrong_metadata_ends_with_the_mistakes(own_server):
    with Client(own_server.port) as client:
        stream = client.stream_is_active({"scaler": "none"}, seconds=10)
        with pytest.raises(grpc.RpcError) as ended:
            next(stream)
        assert ended.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert "rabbitmq" in ended.value.details()
