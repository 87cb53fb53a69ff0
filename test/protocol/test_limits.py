"""What one may not do, or not so often, is refused in words that say what to do."""

import grpc
import pytest

from support.clients.grpc_client import Client, refusal
from support.pages.page import await_metric
from support.process import wait_until
from support.server.server import Server
from support.clients.triggers import UNREACHABLE


def of_host(number):
    """Each is a connection of its own."""
    return {**UNREACHABLE, "host": f"amqp://guest:guest@127.0.0.1:1/{number}"}


def named(number):
    return {"scaler": "rabbitmq", "connectionName": f"c{number}", "queueName": "orders", "mode": "QueueLength",
            "value": "5"}


CONNECTIONS = "connections:\n" + "".join(
    f"  c{number}: {{scaler: rabbitmq, host: \"amqp://guest:guest@127.0.0.1:1/named-{number}\"}}\n"
    for number in range(4))


@pytest.fixture(scope="module")
def small(transport):
    limits = {"--max-connections": 9, "--max-streams": 3}
    arguments = [str(word) for limit in limits.items() for word in limit]
    with Server(config=CONNECTIONS, arguments=arguments) as running, Client(running.port) as connected:
        yield connected


@pytest.fixture(scope="module")
def denying(transport):
    with Server(config=CONNECTIONS, arguments=["--deny-inline-connections"]) as running:
        with Client(running.port) as connected:
            yield connected


@pytest.mark.first
def test_connections_are_limited_and_those_of_the_file_have_their_places(small):
    for number in range(5):
        assert refusal(small.is_active, of_host(number))[0] == grpc.StatusCode.UNAVAILABLE
    code, text = refusal(small.is_active, of_host(5), namespace="late")
    assert code == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert text.startswith("all 9 connections are in use, or kept for the connections file (--max-connections)")
    assert small.metric_spec(of_host(5)).metricName == "rabbitmq-orders"
    assert refusal(small.is_active, of_host(1), namespace="other")[0] == grpc.StatusCode.UNAVAILABLE  # which they share
    for number in range(4):
        assert refusal(small.is_active, named(number))[0] == grpc.StatusCode.UNAVAILABLE


@pytest.mark.first
def test_streams_are_limited(small):
    streams = [small.stream_is_active(of_host(0)) for _ in range(4)]  # they may overtake each other
    refused = wait_until(lambda: [stream for stream in streams if not stream.is_active()], 10, "the refusal")
    assert [stream.code() for stream in refused] == [grpc.StatusCode.RESOURCE_EXHAUSTED]
    assert refused[0].details() == "all 3 streams are in use (--max-streams)"
    for stream in streams:
        stream.cancel()


@pytest.mark.first
def test_triggers_that_are_in_use_are_limited():
    with Server(arguments=["--max-triggers", "2"]) as server, Client(server.port) as client:
        name = "rabbitmq-orders"
        assert [client.metric_spec(of_host(number)).metricName for number in range(3)] == [name, name, "backlog-invalid"]
        code, text = refusal(client.metrics, of_host(2), name)
        assert code == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert text == "all 2 triggers are in use (--max-triggers)"
        assert refusal(client.is_active, of_host(1))[0] == grpc.StatusCode.UNAVAILABLE  # which stays


def of_broker(port):
    return {"scaler": "kafka", "bootstrapServers": f"127.0.0.1:{port}", "consumerGroup": "workers", "topic": "orders",
            "lagThreshold": "5"}


@pytest.mark.parametrize("transport", ["nghttp2"], indirect=True)
def test_connections_with_a_process_of_their_own_are_limited():
    with Server(arguments=["--max-agents", "1"]) as server, Client(server.port) as client:
        assert refusal(client.is_active, of_broker(1))[0] == grpc.StatusCode.UNAVAILABLE
        code, text = refusal(client.is_active, of_broker(2))
        assert code == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "all 1 connections with an agent process are in use (--max-agents)" in text
        assert refusal(client.is_active, of_host(0))[0] == grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("transport", ["nghttp2"], indirect=True)
def test_nobody_takes_the_processes_of_the_file():
    named = "connections:\n  events: {scaler: kafka, bootstrapServers: \"127.0.0.1:1\"}\n"
    of_file = {"scaler": "kafka", "connectionName": "events", "consumerGroup": "workers", "topic": "orders", "lagThreshold": "5"}
    with Server(config=named, arguments=["--max-agents", "3"]) as server, Client(server.port) as client:
        outcomes = [refusal(client.is_active, of_broker(port))[0] for port in range(2, 6)]
        assert outcomes == [grpc.StatusCode.UNAVAILABLE] * 2 + [grpc.StatusCode.RESOURCE_EXHAUSTED] * 2
        assert refusal(client.is_active, of_file)[0] == grpc.StatusCode.UNAVAILABLE  # it is measured


@pytest.mark.parametrize("transport", ["nghttp2"], indirect=True)
def test_many_namespaces_share_a_few_connections():
    """300 namespaces with three brokers, one login each: three connections, three agents, and nobody is refused."""
    arguments = ["--max-connections", "3", "--max-agents", "3"]
    with Server(http=True, arguments=arguments) as server, Client(server.port) as client:
        for number in range(300):
            for port in range(2, 5):
                assert refusal(client.is_active, of_broker(port), namespace=f"n{number}")[0] == grpc.StatusCode.UNAVAILABLE
        await_metric(server, 3, "backlog_connections", scaler="kafka", state="failed")


@pytest.mark.first
def test_inline_connections_can_be_denied(denying):
    code, text = refusal(denying.metrics, UNREACHABLE)
    assert code == grpc.StatusCode.PERMISSION_DENIED
    assert text == ("only connections of the connections file may be used (--deny-inline-connections): name one in "
                    "connectionName, in place of host")
    assert refusal(denying.is_active, UNREACHABLE) == (code, text)
    assert refusal(next, denying.stream_is_active(UNREACHABLE, seconds=10)) == (code, text)
    assert denying.metric_spec(UNREACHABLE).targetSize == 5
    assert refusal(denying.is_active, named(0))[0] == grpc.StatusCode.UNAVAILABLE
