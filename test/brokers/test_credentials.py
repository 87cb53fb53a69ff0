"""A password is changed, at the broker and in the connections file's secret: nobody restarts anything. Every source is
put through it at the same time."""

import concurrent.futures
import json
import os
import traceback

import grpc
import pytest

from support.clients.grpc_client import Client, refusal
from support.process import wait_until
from support.server.server import Server
from support.brokers.sources import BUSY, IDLE, NEW_PASSWORD, PASSWORD, WAITING
from support.clients.story import answers, unavailable, value

WRONG_PASSWORD = "mistaken"
SECONDS = 15


@pytest.fixture
def server(sources):
    config = {source.name: {"scaler": source.scaler, **source.connect_to("127.0.0.1"),
                            "passwordFile": f"{source.name}.password"} for source in sources}
    server = Server(interval="500ms", hold="60s", config=json.dumps({"connections": config}))
    for source in sources:
        write_secret(server, source, PASSWORD)
    with server:
        yield server
        for secret in (PASSWORD, NEW_PASSWORD, WRONG_PASSWORD):
            assert secret not in server.log()


@pytest.fixture
def client(server):
    with Client(server.port) as client:
        yield client


def write_secret(server, source, password):
    """At once, as a mounted Secret changes; with the line's end that editors leave."""
    path = os.path.join(server.folder, f"{source.name}.password")
    with open(path + ".new", "w") as file:
        file.write(password + "\n")
    os.rename(path + ".new", path)


def side_by_side(story, sources):
    with concurrent.futures.ThreadPoolExecutor(len(sources)) as pool:
        stories = {source.name: pool.submit(story, source) for source in sources}
    failures = {name: story.exception() for name, story in stories.items() if story.exception()}
    for failure in failures.values():
        traceback.print_exception(failure)
    assert not failures


def assert_refused(client, metadata):
    why = wait_until(lambda: unavailable(client, metadata), SECONDS, "the refusal")
    for secret in (PASSWORD, NEW_PASSWORD, WRONG_PASSWORD):
        assert secret not in why


@pytest.mark.first
def test_a_wrong_new_password_holds_what_is_active_and_the_right_one_mends_it(sources, server, client):
    def story(source):
        busy, idle = source.named(BUSY), source.named(IDLE)
        answers(client, busy, WAITING[BUSY], True, SECONDS)
        answers(client, idle, 0, False, SECONDS)
        write_secret(server, source, WRONG_PASSWORD)
        assert_refused(client, idle)
        assert value(client, busy) == WAITING[BUSY]
        assert refusal(client.metrics, source.named("unknown"))[0] == grpc.StatusCode.UNAVAILABLE
        write_secret(server, source, PASSWORD)
        wait_until(lambda: client.is_active(idle) is False, SECONDS, "the recovery")
        assert value(client, idle) == 0
        assert value(client, busy) == WAITING[BUSY]

    side_by_side(story, sources)


@pytest.mark.first
def test_readings_survive_a_changed_password_and_recover_without_a_restart(sources, server, client):
    def story(source):
        busy, idle = source.named(BUSY), source.named(IDLE)
        count = 9 if source.add else WAITING[BUSY]
        stream = client.stream_is_active(idle, seconds=4 * SECONDS)
        answers(client, busy, WAITING[BUSY], True, SECONDS)
        answers(client, idle, 0, False, SECONDS)

        source.change_password(NEW_PASSWORD)
        assert_refused(client, idle)
        if source.add:
            source.add(BUSY, 2)
            source.add(IDLE, 1)
        assert value(client, busy) == WAITING[BUSY]  # held
        assert client.is_active(busy) is True

        write_secret(server, source, NEW_PASSWORD)
        values = set()

        def recovered():
            try:
                values.add(value(client, busy))
            except grpc.RpcError as error:
                values.add(error.details())
            client.is_active(idle)
            return count in values

        wait_until(recovered, SECONDS, "a reading with the new password")
        assert values <= {WAITING[BUSY], count}
        assert not source.add or next(stream).result is True
        stream.cancel()

    side_by_side(story, sources)
