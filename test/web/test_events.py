"""Server-sent events: what readers are sent, and what slow ones cost."""

import contextlib
import json
import socket
import time

import pytest

from support.clients.grpc_client import Client
from support.pages.page import get
from support.process import wait_until
from support.brokers.redis import Redis
from support.server.server import Server

SECONDS = 60  # of patience
READERS = 200
SLOW_BYTES_PER_SECOND = 1000
MIB = 1 << 20


class Reader:
    """A reader of /api/events, by hand. `receive_bytes`: of the kernel's buffer, small for one that is to be slow."""

    def __init__(self, server, receive_bytes=None, address="127.0.0.1"):
        self.socket = socket.socket()
        self.socket.bind((address, 0))
        if receive_bytes is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(SECONDS)
        self.socket.connect(("127.0.0.1", server.http_port))
        self.socket.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.data = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def read(self, size=65536):
        """False: the server has closed the connection."""
        data = self.socket.recv(size)
        self.data += data
        return bool(data)

    def status(self):
        while b"\r\n" not in self.data:
            assert self.read()
        return int(self.data.split()[1])

    def events(self):
        """What came so far, as (name, content). Chunks of HTTP have lines of their own, which are no events."""
        body, rest = b"", self.data.partition(b"\r\n\r\n")[2]
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            length = int(size or b"0", 16)
            if len(rest) < length:
                break
            body, rest = body + rest[:length], rest[length + 2:]
        for block in body.decode().split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
            if "event" in fields and "data" in fields:
                yield fields["event"], json.loads(fields["data"])

    def wait(self, condition):
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            events = list(self.events())
            if condition(events):
                return events
            assert self.read(), "the server closed the connection"
        raise TimeoutError(self.data[-1000:])


def rows_of(events, table="triggers"):
    """The table as it is after these events."""
    rows = {}
    for name, content in events:
        if name == "hello":
            rows = {}
        if name != "rows" or content["table"] != table:
            continue
        for row in content["rows"]:
            rows[row["id"]] = {**rows.get(row["id"], {}), **row.get("fixed", {}), **row["live"]}
        for gone in content["gone"]:
            rows.pop(gone, None)
    return {row["name"]: row for row in rows.values()}


@pytest.fixture
def broker():
    with Redis() as broker:
        yield broker


def queue(broker, name, **metadata):
    return {"scaler": "redis", "address": broker.address, "listName": name, "listLength": "5", "interval": "1s", **metadata}


def test_a_reader_gets_everything_and_then_what_changes(broker):
    with broker.connect() as redis, Server(http=True, arguments=["--forget", "10s"]) as server, Client(server.port) as client:
        client.metrics(queue(broker, "jobs"), metric_name="", name="orders")
        with Reader(server) as reader:
            events = reader.wait(lambda events: any(name == "ready" for name, _ in events))
            assert [name for name, _ in events][0] == "hello"
            assert rows_of(events)["orders"]["waiting"] == 0 and rows_of(events)["orders"]["state"] == "answered"
            (connection,) = rows_of(events, "connections").values()
            assert connection["state"] == "connected"
            (server_figures,) = [content for name, content in events if name == "server"][:1]
            assert server_figures["triggers"] == 1 and server_figures["memory"] > MIB
            assert server_figures["time"] - 0.01 <= server_figures["sent"] <= time.time() + 0.01
            log = reader.wait(lambda events: any(name == "log" for name, _ in events))
            lines = [line["text"] for name, content in log if name == "log" for line in content]
            assert any("listening on" in line for line in lines)

            redis.call_all([("RPUSH", "jobs", i) for i in range(12)])
            rows = rows_of(reader.wait(lambda events: rows_of(events)["orders"].get("waiting") == 12))
            assert rows["orders"]["replicas"] == 3 and rows["orders"]["active"] is True
            reader.wait(lambda events: rows_of(events) == {})  # forgotten
    assert sum(name == "ready" for name, _ in reader.events()) == 1


def test_a_connection_of_the_file_has_its_name(broker):
    """And is not that of a trigger with the same values."""
    config = f"connections:\n  orders: {{scaler: redis, address: \"{broker.address}\"}}\n"
    with Server(http=True, config=config) as server, Client(server.port) as client:
        client.metrics(queue(broker, "jobs"), metric_name="", name="inline")
        with Reader(server) as reader:
            reader.wait(lambda events: list(rows_of(events, "connections")) == [f"redis at {broker.address}"])
            client.metrics({"scaler": "redis", "connectionName": "orders", "listName": "jobs"}, metric_name="", name="named")
            names = {f"redis at {broker.address}", 'connection "orders"'}
            rows = rows_of(reader.wait(lambda events: set(rows_of(events, "connections")) == names), "connections")
            assert rows['connection "orders"']["scaler"] == "redis"


def test_users_at_one_host_have_connections_of_their_own(broker):
    """Both have the same name."""
    with broker.connect() as redis, Server(http=True) as server, Client(server.port) as client:
        for user in ("jobs", "mails"):
            redis.call("ACL", "SETUSER", user, "on", ">pass-phrase", "~*", "+@all")
            client.metrics(queue(broker, user, username=user, password="pass-phrase"), metric_name="", name=user)
        with Reader(server) as reader:
            def connections(events):
                ids = {row["id"] for name, content in events if name == "rows" and content["table"] == "connections" for row in content["rows"]}
                return ids, {row.get("connectionId") for row in rows_of(events).values()}
            reader.wait(lambda events: connections(events)[0] == connections(events)[1] and len(connections(events)[0]) == 2)


def test_a_trigger_with_a_policy_has_the_replicas_that_it_answered(broker):
    with broker.connect() as redis, Server(http=True) as server, Client(server.port) as client:
        redis.call("RPUSH", "jobs", 1)
        jobs = queue(broker, "jobs", steps="1=7")
        assert client.metrics(jobs, metric_name="", name="orders").metricValue == 7
        with Reader(server) as reader:
            events = reader.wait(lambda events: any(name == "ready" for name, _ in events))
            row = rows_of(events)["orders"]
            assert row["replicas"] == 7 and row["value"] == 7 and row["waiting"] == 1 and row["active"] is True
            assert {content["replicas"] for name, content in events if name == "server"} == {7}


def test_a_reader_that_never_reads_is_closed_and_costs_a_bounded_memory(broker):
    """Its connection buffers little; 500 triggers change each second. A slow one stays, though a piece takes it a minute."""
    with broker.connect() as redis, Server(http=True) as server, Client(server.port) as client:
        for number in range(500):
            client.metrics(queue(broker, f"queue-{number}"), metric_name="", name=f"worker-{number}")
        before = server.resident_bytes()
        with contextlib.ExitStack() as stack, Reader(server) as reader, Reader(server, receive_bytes=4096) as slow:
            assert reader.status() == 200 and slow.status() == 200
            descriptors = server.open_descriptors()
            silent = [stack.enter_context(Reader(server, receive_bytes=4096)) for _ in range(20)]
            wait_until(lambda: server.open_descriptors() == descriptors + len(silent), SECONDS, "20 more connections")
            count = 0
            began = time.monotonic()
            # One that is read again while it is open is silent no more, so the server's end is looked at.
            while server.open_descriptors() > descriptors or time.monotonic() - began < 45:
                assert time.monotonic() - began < 45 + SECONDS, "some are still open"
                count += 1
                redis.call_all([("RPUSH", f"queue-{number}", count) for number in range(500)])
                assert reader.read(1 << 20)
                assert slow.read(max(1, int((time.monotonic() - began) * SLOW_BYTES_PER_SECOND) - len(slow.data)))
                reader.data = b""
                time.sleep(0.2)
            assert not any(name == "ready" for name, _ in slow.events())  # it was in the middle of what there is
            if not server.is_sanitized():
                assert server.resident_bytes() - before < 20 * 0.5 * MIB + 8 * MIB
            for one in silent:
                with contextlib.suppress(ConnectionResetError):
                    while one.read(1 << 20):
                        pass
            slow.wait(lambda events: any(name == "ready" for name, _ in events))
        assert client.metrics(queue(broker, "queue-1"), metric_name="", name="worker-1").metricValue > 0


def test_a_slow_reader_gets_the_newest_state_and_not_all_of_the_old_ones(broker):
    with broker.connect() as redis, Server(http=True) as server, Client(server.port) as client:
        for number in range(300):
            client.metrics(queue(broker, f"queue-{number}"), metric_name="", name=f"worker-{number}")
        with Reader(server, receive_bytes=4096) as slow:
            for count in range(1, 11):
                redis.call_all([("RPUSH", f"queue-{number}", count) for number in range(300)])
                for _ in range(8):
                    assert slow.read(2048)
                    time.sleep(0.1)
            events = slow.wait(lambda events: all(row.get("waiting") == 10 for row in rows_of(events).values()) and len(rows_of(events)) == 300)
            assert rows_of(events)["worker-299"]["waiting"] == 10


def test_two_hundred_readers_are_served_and_the_next_is_refused(broker):
    with Server(http=True) as server, Client(server.port) as client, contextlib.ExitStack() as stack:
        assert client.metrics(queue(broker, "jobs")).metricValue == 0
        readers = [stack.enter_context(Reader(server)) for _ in range(READERS)]
        for reader in readers:
            assert reader.status() == 200
            assert "orders" in rows_of(reader.wait(lambda events: any(name == "ready" for name, _ in events)))
        with Reader(server) as refused:
            assert refused.status() == 503
        with Reader(server, address="127.0.0.2") as other:  # gets the place of one of those
            assert other.status() == 200
        # Probes, scrapers and KEDA do not notice.
        assert get(server, "/healthz").text == "ok\n"
        began = time.monotonic()
        for _ in range(200):
            client.metrics(queue(broker, "jobs"))
        assert (time.monotonic() - began) / 200 < 0.5
        readers[0].socket.close()
        def is_served():
            with Reader(server) as another:
                return another.status() == 200
        wait_until(is_served, SECONDS, "a place is free again")


def test_readers_do_not_hinder_the_end(broker):
    with Server(http=True) as server, Client(server.port) as client, Reader(server) as reader:
        client.metrics(queue(broker, "jobs"))
        reader.wait(lambda events: any(name == "ready" for name, _ in events))
        assert server.stop() == 0
        while reader.read():
            pass
