"""A broker is down, and meanwhile everything else that leads to it changes: what is held stays with the trigger that counts the same."""

import json
import os
import signal

import grpc
import pytest

from support.brokers.redis import Redis
from support.certificates import make_certificate, make_root
from support.clients.grpc_client import Client, refusal
from support.kubernetes.fake_kubernetes import FakeKubernetes
from support.kubernetes.pod_server import PodServer
from support.process import wait_until
from support.server.server import Server

WAITING, SECONDS, PASSWORD = 37, 20, "word"


@pytest.fixture
def redis():
    with Redis() as running:
        with running.connect() as client:
            client.call("RPUSH", "jobs", *range(WAITING))
        yield running


def value(client, metadata, **options):
    """Or the code of the error."""
    try:
        return client.metrics(metadata, "", **options).metricValueFloat
    except grpc.RpcError as error:
        return error.code()


def is_held(client, metadata, **options):
    return value(client, metadata, **options) == WAITING and client.is_active(metadata, **options)


def test_what_is_held_outlives_edits_renamed_connections_and_reloads(redis):
    def connections(name):
        return json.dumps({"connections": {name: {"scaler": "redis", "address": redis.address}}})

    trigger = {"scaler": "redis", "connectionName": "orders", "listName": "jobs", "listLength": "5"}
    with Server(config=connections("orders")) as server, Client(server.port) as client:
        wait_until(lambda: is_held(client, trigger), SECONDS, "the first reading")
        redis.kill()
        assert is_held(client, trigger)
        for _ in range(3):
            server.signal(signal.SIGHUP)
            assert is_held(client, trigger)
        for edit in ({"listLength": "9"}, {"hold": "2h"}, {"activationListLength": "1"}):
            trigger = {**trigger, **edit}
            assert is_held(client, trigger), edit
        server.write_config(connections("renamed"))
        wait_until(lambda: isinstance(value(client, trigger), grpc.StatusCode), SECONDS, "the connection is gone")
        trigger = {**trigger, "connectionName": "renamed"}
        assert is_held(client, trigger)
        assert refusal(client.metrics, {**trigger, "listName": "others"})[0] == grpc.StatusCode.UNAVAILABLE  # another queue
        redis.start()
        with redis.connect() as commands:
            commands.call("DEL", "jobs")
        wait_until(lambda: value(client, trigger) == 0, SECONDS, "measured again")


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a service account")
def test_what_is_held_outlives_a_secret_that_is_deleted_and_made_again(redis, tmp_path):
    make_root(tmp_path)
    make_certificate(tmp_path, "api")
    metadata = {"scalerAddress": "backlog:9090", "scaler": "redis", "address": redis.address, "listName": "jobs", "listLength": "5"}
    with redis.connect() as commands:
        commands.call("CONFIG", "SET", "requirepass", PASSWORD)
    with FakeKubernetes(tmp_path) as api:
        api.secret("orders", password=PASSWORD)
        api.authentication("orders", "orders", "password")
        api.scaled((metadata, {"name": "orders"}), name="orders")
        with PodServer(tmp_path / "ca.pem", api.server_port, api.token, arguments=["--kubernetes"]) as server, Client(server.port) as client:
            wait_until(lambda: value(client, metadata, name="orders") == WAITING, SECONDS, "the first reading")
            redis.kill()
            assert is_held(client, metadata, name="orders")
            api.delete("Secret", "orders")
            wait_until(lambda: value(client, metadata, name="orders") != WAITING, SECONDS, "its Secret is missing")
            assert "orders" in refusal(client.metrics, metadata, "", name="orders")[1]
            api.secret("orders", password=PASSWORD)
            wait_until(lambda: is_held(client, metadata, name="orders"), SECONDS, "held again")
