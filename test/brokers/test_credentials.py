"""A password is changed, at the broker and then in the connections file's secret: nobody restarts anything."""

import os

import grpc
import pytest

from support.grpc_client import Client, refusal
from support.process import wait_until
from support.redis import Redis
from support.server import Server

OLD, NEW = "s3cret-of-yesterday", "s3cret-of-today"
SECONDS = 15


@pytest.fixture
def broker():
    with Redis(f"requirepass {OLD}") as running:
        yield running


@pytest.fixture
def server(broker):
    """Not started; the broker has seven messages in one queue and none in another."""
    with broker.connect() as redis:
        redis.call("AUTH", OLD)
        redis.call("RPUSH", "full", *range(7))
    server = Server(interval="500ms", hold="60s", config=(
        f"connections:\n  jobs: {{scaler: redis, address: \"{broker.address}\", passwordFile: password}}\n"))
    write_secret(server, OLD)
    return server


def write_secret(server, password):
    """At once, as a mounted Secret changes; with the line's end that editors leave."""
    path = os.path.join(server.folder, "password")
    with open(path + ".new", "w") as file:
        file.write(password + "\n")
    os.rename(path + ".new", path)


def trigger(queue):
    return {"scaler": "redis", "connectionName": "jobs", "listName": queue}


def change_password(broker):
    """And hang up on everybody, as a broker does that is restarted with it."""
    with broker.connect() as redis:
        redis.call("AUTH", OLD)
        redis.call("CONFIG", "SET", "requirepass", NEW)
        redis.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


def push(broker, queue, count):
    with broker.connect() as redis:
        redis.call("AUTH", NEW)
        redis.call("RPUSH", queue, *range(count))


def unavailable(client, metadata):
    """What the call is refused with; None while it is answered."""
    try:
        assert client.is_active(metadata) is False
        return None
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNAVAILABLE
        return error.details()


def test_readings_survive_a_changed_password_and_recover_without_a_restart(broker, server):
    with server, Client(server.port) as client:
        stream = client.stream_is_active(trigger("empty"))
        assert client.metrics(trigger("full")).metricValueFloat == 7
        assert client.is_active(trigger("empty")) is False

        change_password(broker)
        why = wait_until(lambda: unavailable(client, trigger("empty")), SECONDS, "the refusal")
        assert client.metrics(trigger("full")).metricValueFloat == 7  # held
        push(broker, "full", 2)
        push(broker, "empty", 1)
        assert client.metrics(trigger("full")).metricValueFloat == 7

        write_secret(server, NEW)
        values = []

        def recovered():
            values.append(client.metrics(trigger("full")).metricValueFloat)
            return values[-1] == 9

        wait_until(recovered, SECONDS, "a reading with the new password")
        assert set(values) == {7, 9}
        assert next(stream).result is True
        for text in (why, server.log()):
            assert OLD not in text and NEW not in text


def test_a_wrong_new_password_holds_what_is_active_and_the_right_one_mends_it(server):
    with server, Client(server.port) as client:
        assert client.metrics(trigger("full")).metricValueFloat == 7
        assert client.is_active(trigger("empty")) is False
        write_secret(server, "mistaken")
        why = wait_until(lambda: unavailable(client, trigger("empty")), SECONDS, "the refusal")
        assert "mistaken" not in why and client.metrics(trigger("full")).metricValueFloat == 7
        assert refusal(client.metrics, trigger("unknown"))[0] == grpc.StatusCode.UNAVAILABLE
        write_secret(server, OLD)
        wait_until(lambda: unavailable(client, trigger("empty")) is None, SECONDS, "the recovery")
        assert client.metrics(trigger("full")).metricValueFloat == 7
