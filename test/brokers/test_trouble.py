"""Hosts that are unknown, closed, dead, silent, or talk rubbish: for every source a clear error in time, without
the password, and while it lasts the other connections are measured as ever."""

import concurrent.futures
import contextlib
import random
import re
import socket
import threading
import time

import grpc
import pytest

from support.clients.grpc_client import Client, refusal
from support.process import free_port, wait_until
from support.brokers.redis import Redis
from support.server.server import Server

SECRET = "open-sesame"
CALL_SECONDS = 5  # the server's own deadline of a call, by default
NOISE_SECONDS = 3  # of a busy machine
PATIENCE_SECONDS = 30  # where it is too busy to find out the reason in a measurement's deadline


@contextlib.contextmanager
def listener(behave, backlog=64):
    """Someone who is called at a port of this host, and behaves so with each caller."""
    with socket.create_server(("127.0.0.1", 0), backlog=backlog) as server:
        calls = []

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    calls.append(server.accept()[0])
                    threading.Thread(target=attend, args=(calls[-1],), daemon=True).start()

        def attend(call):
            with contextlib.suppress(OSError):
                behave(call)

        if behave is not None:
            threading.Thread(target=accept, daemon=True).start()
        yield "127.0.0.1", server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        for call in calls:
            call.close()


def listen_forever(call):
    while call.recv(65536):
        pass


def talk(rubbish):
    def behave(call):
        call.sendall(rubbish)
        listen_forever(call)
    return behave


@contextlib.contextmanager
def somewhere(host, port):
    yield host, port


@contextlib.contextmanager
def dead():
    """The queue of those who call is full, so the kernel drops who calls then, as a host that is gone does."""
    with listener(None, backlog=0) as address, contextlib.ExitStack() as stack:
        for _ in range(4):
            call = stack.enter_context(socket.socket())
            call.setblocking(False)
            call.connect_ex(address)
        yield address


RUBBISH = random.Random(5).randbytes(5000)

TROUBLES = {
    "an unknown host": lambda: somewhere("no-such-host-" + 60 * "x", 1234),  # no resolver takes so long a name
    "a closed port": lambda: somewhere("127.0.0.1", free_port()),
    "a dead host": dead,
    "a silent host": lambda: listener(listen_forever),
    "who hangs up": lambda: listener(socket.socket.close),
    "rubbish": lambda: listener(talk(RUBBISH)),
    "lines of rubbish": lambda: listener(talk(b"".join(b"%d rubbish\r\n" % i for i in range(1000)))),
    "rubbish over HTTP": lambda: listener(talk(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n" + RUBBISH)),
}

CLOSED = "refused|refuses|nothing listens|Couldn't connect|Could not connect"

SOURCES = {
    "redis": lambda host, port: {
        "scaler": "redis", "address": f"{host}:{port}", "listName": "jobs", "password": SECRET},
    "redis-streams": lambda host, port: {
        "scaler": "redis-streams", "host": host, "port": str(port), "stream": "jobs", "username": "u",
        "password": SECRET},
    "nats": lambda host, port: {
        "scaler": "nats-jetstream", "servers": f"nats://u:{SECRET}@{host}:{port}", "stream": "s", "consumer": "c"},
    "nats over TLS": lambda host, port: {
        "scaler": "nats-jetstream", "servers": f"{host}:{port}", "token": SECRET, "tls": "enable", "stream": "s",
        "consumer": "c"},
    "a monitoring port of nats": lambda host, port: {
        "scaler": "nats-jetstream", "natsServerMonitoringEndpoint": f"{host}:{port}", "account": "$G", "user": "u",
        "password": SECRET, "stream": "s", "consumer": "c"},
    "prometheus": lambda host, port: {
        "scaler": "prometheus", "serverAddress": f"http://u:{SECRET}@{host}:{port}", "query": "1", "threshold": "5"},
    "prometheus over TLS": lambda host, port: {
        "scaler": "prometheus", "serverAddress": f"https://{host}:{port}", "authModes": "bearer",
        "bearerToken": SECRET, "query": "1", "threshold": "5"},
    "postgresql": lambda host, port: {
        "scaler": "postgresql", "connection": f"postgresql://u:{SECRET}@{host}:{port}/d", "query": "SELECT 1",
        "targetQueryValue": "5"},
    "postgresql over TLS": lambda host, port: {
        "scaler": "postgresql", "host": host, "port": str(port), "userName": "u", "dbName": "d",
        "sslmode": "require", "password": SECRET, "query": "SELECT 1", "targetQueryValue": "5"},
    "rabbitmq": lambda host, port: {
        "scaler": "rabbitmq", "host": f"amqp://u:{SECRET}@{host}:{port}/", "queueName": "jobs", "queueLength": "5"},
    "rabbitmq over TLS": lambda host, port: {
        "scaler": "rabbitmq", "host": f"amqps://u:{SECRET}@{host}:{port}/", "queueName": "jobs", "queueLength": "5"},
    "kafka": lambda host, port: {
        "scaler": "kafka", "bootstrapServers": f"{host}:{port}", "consumerGroup": "g", "topic": "t",
        "sasl": "plaintext", "username": "u", "password": SECRET},
    "kafka over TLS": lambda host, port: {
        "scaler": "kafka", "bootstrapServers": f"{host}:{port}", "consumerGroup": "g", "topic": "t", "tls": "enable",
        "sasl": "scram_sha256", "username": "u", "password": SECRET},
    "the management API of rabbitmq": lambda host, port: {
        "scaler": "rabbitmq", "host": f"http://u:{SECRET}@{host}:{port}/", "queueName": "jobs", "queueLength": "5"},
}


@pytest.fixture(scope="module")
def neighbour():
    with Redis() as redis:
        yield redis


def timed_refusal(call, metadata):
    began = time.monotonic()
    code, text = refusal(call, metadata)
    return code, text, time.monotonic() - began


def reason(client, metadata, host, trouble):
    """What is wrong and where; None while the error is only that nothing is known yet."""
    text = refusal(client.metrics, metadata)[1]
    assert SECRET not in text
    known = host in text or "no answer within" in text
    return text if known and (trouble != "a closed port" or re.search(CLOSED, text)) else None


@pytest.mark.parametrize("trouble", TROUBLES)
def test_every_source_says_so_in_time_and_disturbs_no_other(neighbour, trouble):
    fine = {"scaler": "redis", "address": neighbour.address, "listName": f"fine {trouble}"}
    with (Server(interval="200ms") as server, Client(server.port) as client, neighbour.connect() as redis,
          TROUBLES[trouble]() as (host, port), concurrent.futures.ThreadPoolExecutor(2 * len(SOURCES)) as pool):
        assert client.metrics(fine).metricValue == 0
        requested = [make(host, port) for make in SOURCES.values()]
        for highest in (CALL_SECONDS + NOISE_SECONDS, NOISE_SECONDS):  # a source that is known to fail is refused at once
            calls = [pool.submit(timed_refusal, call, metadata) for metadata in requested
                     for call in (client.metrics, client.is_active)]
            length = redis.call("RPUSH", fine["listName"], "job")
            wait_until(lambda: client.metrics(fine).metricValue == length, 2, "a neighbour's job")
            for source, done in zip([name for name in SOURCES for _ in range(2)], calls):
                code, text, seconds = done.result()
                assert code == grpc.StatusCode.UNAVAILABLE, f"{source}: {text}"
                assert seconds < highest, f"{source}: {text}"
                assert SECRET not in text
        for source, metadata in zip(SOURCES, requested):
            text = wait_until(lambda: reason(client, metadata, host, trouble), PATIENCE_SECONDS, f"{source}: the reason")
            print(f"\n{source}: {text}")
            assert trouble != "a silent host" or not re.search("auth|login|password", text), f"{source}: {text}"
        assert SECRET not in server.log()
