"""The recorded readings of a server that measures a real Redis, and `backlog simulate` with them."""

import collections
import csv
import io
import json
import os
import re
import socket
import subprocess
import threading
import time

import pytest

from support.clients.grpc_client import Client
from support.pages.page import get
from support.process import wait_until
from support.brokers.redis import Redis
from support.server.server import Server, binary

SECONDS = 60  # of patience


def jobs(broker, **metadata):
    return {"scaler": "redis", "address": broker.address, "listName": "jobs", "listLength": "5", "interval": "1s", **metadata}


@pytest.fixture
def broker():
    with Redis() as broker:
        yield broker


def rows_of(server, index=0):
    trigger = get(server, "/api/history/shop/orders").json()["triggers"][index]
    return [dict(zip(trigger["columns"], row, strict=True)) for row in trigger["rows"]]


def test_the_history_has_no_decisions_of_a_policy(broker):
    with broker.connect() as redis, Server(http=True) as server, Client(server.port) as client:
        redis.call_all([("RPUSH", "jobs", i) for i in range(12)])
        assert client.metrics(jobs(broker, maxReplicaCount="5")).metricValue == 3
        wait_until(lambda: rows_of(server), SECONDS, "a reading")
        row = rows_of(server)[-1]
        assert row["waiting"] == 12 and (row["value"], row["active"], row["replicas"]) == (None, None, None), row


def test_the_history_has_what_was_measured_and_what_it_meant(broker):
    with broker.connect() as redis, Server(http=True) as server, Client(server.port) as client:
        redis.call_all([("RPUSH", "jobs", i) for i in range(12)])
        assert client.metrics(jobs(broker)).metricValue == 12
        wait_until(lambda: len(rows_of(server)) >= 3, SECONDS, "readings at the interval")
        redis.call_all([("RPUSH", "jobs", i) for i in range(8)])
        wait_until(lambda: rows_of(server)[-1]["waiting"] == 20, SECONDS, "the growth is recorded")
        rows = rows_of(server)
        assert rows[0]["waiting"] == 12 and rows[0]["value"] == 12 and rows[0]["replicas"] == 3
        assert rows[0]["active"] is True and rows[0]["state"] == "answered" and rows[0]["inFlight"] is None
        assert abs(rows[0]["time"] - time.time()) < SECONDS
        seconds = [row["time"] for row in rows]
        assert seconds == sorted(seconds)
        arrived = sum(row["arrivals"] * (after["time"] - row["time"]) for row, after in zip(rows, rows[1:]))
        assert arrived == pytest.approx(8)

        broker.stop()
        wait_until(lambda: rows_of(server)[-1]["state"] == "failed", SECONDS, "the outage is recorded")
        last = rows_of(server)[-1]
        assert last["waiting"] is None and last["value"] is None and last["active"] is None


def test_every_page_has_the_same_number_of_a_trigger(broker):
    with Server(http=True) as server, Client(server.port) as client:
        for length in ("5", "6", "7"):
            client.metrics(jobs(broker, listName=f"jobs-{length}", listLength=length))
        explained = {trigger["id"]: trigger["target"] for trigger in get(server, "/api/triggers/shop/orders").json()}
        recorded = {trigger["id"]: trigger["target"] for trigger in get(server, "/api/history/shop/orders").json()["triggers"]}
        assert explained == recorded and sorted(explained.values()) == [5, 6, 7]


def test_the_csv_is_a_trace_for_simulate(broker, tmp_path):
    with broker.connect() as redis, Server(http=True) as server, Client(server.port) as client:
        client.metrics(jobs(broker))
        # Of two readings in one second the later is kept: here both are of an empty list.
        wait_until(lambda: len(rows_of(server)) > 1, SECONDS, "the empty list is recorded")
        for _ in range(4):
            redis.call_all([("RPUSH", "jobs", i) for i in range(10)])
            time.sleep(1)  # so much per second arrives
        wait_until(lambda: rows_of(server)[-1]["waiting"] == 40 and len(rows_of(server)) > 4, SECONDS, "all are recorded")
        answer = get(server, "/api/history/shop/orders?format=csv")
        assert answer.headers["Content-Type"].startswith("text/csv")
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        assert rows[-1]["waiting"] == "40" and rows[-1]["arrivals"] == "" and rows[-1]["state"] == "answered"

        path = os.path.join(tmp_path, "history.csv")
        with open(path, "w") as file:
            file.write(answer.text)
        output = subprocess.run([binary(), "simulate", path, "--rate", "1", "--set", "threshold=5", "--output", "json"],
                                check=True, stdout=subprocess.PIPE, text=True).stdout
        assert json.loads(output)["seconds"] >= 4
        printed = subprocess.run([binary(), "simulate", path, "--rate", "1", "--set", "threshold=5"], check=True,
                                 stdout=subprocess.PIPE, text=True)
        arrived = re.search(r"([0-9.]+) arrived", printed.stdout)[1]
        assert float(arrived) == pytest.approx(40, abs=0.001)  # times are dates with milliseconds


def test_unknown_triggers_are_reported(broker):
    with Server(http=True) as server, Client(server.port) as client:
        client.metrics(jobs(broker))
        client.metrics(jobs(broker, listName="others"))
        assert "KEDA has not called" in get(server, "/api/history/shop/nobody", 404).json()["error"]
        second, first = [trigger["id"] for trigger in get(server, "/api/triggers/shop/orders").json()]  # the last call's first
        assert f"add &trigger={second} or {first}" in get(server, "/api/history/shop/orders?format=csv", 400).json()["error"]
        for wrong in (0, second + 1, "x"):
            for form in ("csv", "json"):
                refused = get(server, f"/api/history/shop/orders?format={form}&trigger={wrong}", 400).json()["error"]
                assert f"add &trigger={second} or {first}" in refused
        assert [part["id"] for part in get(server, f"/api/history/shop/orders?trigger={second}").json()["triggers"]] == [second]
        assert "json or csv" in get(server, "/api/history/shop/orders?format=xml", 400).json()["error"]
        assert get(server, f"/api/history/shop/orders?format=csv&trigger={second}").text.count("\n") >= 2
        get(server, "/api/history/shop", 404)


class Flapping:
    """A Redis whose every other answer is an error: the history keeps each change."""

    INFO = b"redis_version:7.0.0\r\n"

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.answers = collections.Counter()
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.close()

    def accept(self):
        try:
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()
        except OSError:
            pass

    def serve(self, connection):
        file = connection.makefile("rb")
        try:
            while head := file.readline():
                words = [file.read(int(file.readline()[1:]) + 2)[:-2] for _ in range(int(head[1:]))]
                connection.sendall(self.answer(words))
        except (OSError, ValueError):
            pass

    def answer(self, words):
        command = words[0].upper()
        if command == b"LLEN":
            self.answers[words[1]] += 1
            return b":7\r\n" if self.answers[words[1]] % 2 else b"-ERR no\r\n"
        if command == b"INFO":
            return b"$%d\r\n%s\r\n" % (len(self.INFO), self.INFO)
        if command in (b"HELLO", b"EVAL", b"EVALSHA"):
            return b"-ERR unknown command\r\n"
        return b"+list\r\n" if command == b"TYPE" else b"+OK\r\n"


def test_a_source_that_flaps_makes_no_page_that_takes_all_the_memory():
    """A row takes 700 bytes of the server's memory until it is sent."""
    with Flapping() as source, Server(http=True, interval="100ms") as server, Client(server.port) as client:
        streams = [client.stream_is_active({"scaler": "redis", "address": source.address, "listName": f"q{number}",
                                            "listLength": "5"}) for number in range(100)]
        wait_until(lambda: len(source.answers) == 100 and min(source.answers.values()) > 330, SECONDS * 3, "thousands of readings")
        triggers = get(server, "/api/history/shop/orders").json()["triggers"]
        assert len(triggers) == 100
        assert sum(len(trigger["rows"]) for trigger in triggers) == 4000
        assert all(len(trigger["rows"]) <= 720 for trigger in triggers)
        assert all(trigger["hasMore"] for trigger in triggers if not trigger["rows"])
        cut = [trigger["hasMore"] for trigger in triggers]
        assert cut == sorted(cut) and 80 < sum(cut) < 95
        for stream in streams:
            stream.cancel()
