"""redis and redis-streams over TLS: a real Redis, right and wrong certificates, and ports that are confused."""

import concurrent.futures
import os
import time

import pytest

from support.certificates import Authority, make_certificate, make_certificates, make_root
from support.clients.grpc_client import Client, refusal
from support.process import wait_until
from support.brokers.push import Streams
from support.brokers.redis import Redis
from support.server.server import Server
from support.clients.story import answers, unavailable, value

CALL_TIMEOUT_SECONDS = 5
MANY = 500


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("redis-tls")
    make_certificates(folder)
    make_root(folder, "other")
    return folder


@pytest.fixture(scope="module")
def broker(certificates):
    with Redis(certificates=certificates) as broker:
        yield broker


@pytest.fixture
def redis(broker):
    with broker.connect() as redis:
        redis.call("FLUSHALL")
        yield redis


@pytest.fixture
def client():
    with Server(interval="500ms") as server, Client(server.port) as client:
        yield client


def text(certificates, name):
    return (certificates / name).read_text()


def of_list(broker, certificates, name="jobs", **metadata):
    return {"scaler": "redis", "address": broker.tls_address, "listName": name, "brokerTls": "true",
            "ca": text(certificates, "ca.pem"), **metadata}


def refused_in_time(client, metadata, *words):
    began = time.monotonic()
    refused = unavailable(client, metadata)
    assert time.monotonic() - began < 2 * (CALL_TIMEOUT_SECONDS + 1)
    assert refused, "it answered"
    for word in words:
        assert word in refused, refused


def test_lists_and_streams_are_read_over_tls(broker, redis, certificates, client):
    redis.call("RPUSH", "jobs", *range(7))
    redis.add("orders", 3)
    stream = {"scaler": "redis-streams", "address": broker.tls_address, "stream": "orders", "tls": "enable",
              "ca": text(certificates, "ca.pem")}
    answers(client, of_list(broker, certificates), 7, True)
    answers(client, stream, 3, True)
    answers(client, of_list(broker, certificates, tls="enable", brokerTls="false"), 7, True)


def test_many_keys_take_one_connection(broker, redis, certificates, client):
    """Commands and replies that come in many records."""
    names = [f"jobs:{i:0200}" for i in range(MANY)]
    redis.call_all([("RPUSH", name, *range(1 + i % 5)) for i, name in enumerate(names)])
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        triggers = [of_list(broker, certificates, name) for name in names]
        assert list(pool.map(lambda trigger: value(client, trigger), triggers)) == [1 + i % 5 for i in range(MANY)]
    assert len(redis.connections()) == 1


def test_connections_share_the_authorities_of_the_system(broker, redis, certificates, monkeypatch):
    """A hundred and fifty of them take a megabyte: sixty connections had 60 MiB of copies."""
    system = "/etc/ssl/certs/ca-certificates.crt"
    monkeypatch.setenv("SSL_CERT_FILE", system)
    redis.call("RPUSH", "jobs", *range(7))
    with Server(program=os.environ.get("BACKLOG_RELEASE")) as server, Client(server.port) as client:
        before = server.resident_bytes()
        for database in range(60):
            user = {"username": "default", "password": f"p{database}"}  # any will do: a connection each
            assert value(client, of_list(broker, certificates, **user)) == 7
        assert server.resident_bytes() - before < 30 << 20


def test_the_systems_authorities_are_trusted_and_read_again(broker, redis, certificates, monkeypatch, tmp_path):
    system = tmp_path / "system.pem"
    system.write_text(text(certificates, "other.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(system))
    redis.call("RPUSH", "jobs", *range(7))
    metadata = of_list(broker, certificates)
    del metadata["ca"]
    with Server() as server, Client(server.port) as client:
        refused_in_time(client, metadata, "TLS handshake failed")
        assert value(client, of_list(broker, certificates)) == 7
        refused_in_time(client, metadata, "TLS handshake failed")  # what another trusts besides is its own
        new = tmp_path / "new.pem"
        new.write_text(text(certificates, "ca.pem"))
        new.rename(system)
        wait_until(lambda: value(client, metadata) == 7, 2 * CALL_TIMEOUT_SECONDS, "the authorities are read again")


def test_a_message_starts_the_first_replica_over_tls(broker, redis, certificates):
    with Server(interval="30s") as server:
        with Streams(server, [of_list(broker, certificates)]) as streams:
            wait_until(lambda: redis.calls("client|caching") > 0, 10, "the subscription")
            redis.call("RPUSH", "jobs", "a")
            streams.wait_for_pushes([0])


@pytest.mark.parametrize("ca, extra, words", [
    ("other.pem", {}, "self-signed certificate in certificate chain"),
    (None, {}, "self-signed certificate in certificate chain"),
    ("ca.pem", {"host": "localhost"}, "hostname mismatch"),
])
def test_a_certificate_that_does_not_fit_is_named(broker, redis, certificates, client, ca, extra, words):
    redis.call("RPUSH", "jobs", *range(7))
    metadata = of_list(broker, certificates)
    metadata.pop("ca")
    if ca is not None:
        metadata["ca"] = text(certificates, ca)
    if extra:
        metadata |= {"address": f"localhost:{broker.tls_port}"}
    refused_in_time(client, metadata, "TLS handshake failed", words, "set ca to the certificates of its authority",
                    'brokerUnsafeSsl: "true" verifies nothing')
    answers(client, metadata | {"brokerUnsafeSsl": "true"}, 7, True)
    answers(client, of_list(broker, certificates), 7, True)


def test_an_expired_certificate_is_named(tmp_path, client):
    authority = Authority(tmp_path, "ca")
    authority.issue("own", days=-1)
    with Redis(certificates=tmp_path) as broker:
        refused_in_time(client, of_list(broker, tmp_path), "certificate has expired")


def test_plain_and_tls_confused_is_said(broker, certificates, client):
    refused_in_time(client, of_list(broker, certificates, address=broker.address), "does this port speak TLS?")
    plain = {"scaler": "redis", "address": broker.tls_address, "listName": "jobs"}
    refused_in_time(client, plain, "set brokerTls: enable")


def test_a_server_that_wants_a_certificate_gets_one(certificates, client):
    make_certificate(certificates, "worker", "worker", password="sesame")
    shown = {"cert": text(certificates, "worker.pem"), "key": text(certificates, "worker.key"), "keyPassword": "sesame"}
    with Redis("tls-auth-clients yes", certificates) as broker:
        answers(client, of_list(broker, certificates, **shown), 0, False)
        refused_in_time(client, of_list(broker, certificates), "set cert and key")
        wrong = of_list(broker, certificates, **shown | {"keyPassword": "no"})
        assert "key cannot be decrypted by keyPassword" in refusal(client.metrics, wrong)[1]


def test_the_next_connection_uses_a_new_certificate(tmp_path):
    """As cert-manager does it: the server has a certificate of a new authority, and then the file has it, too."""
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        folder.mkdir()
        make_certificates(folder)
    trusted = tmp_path / "ca.pem"
    trusted.write_text(text(old, "ca.pem"))
    with Redis(certificates=old) as broker, broker.connect() as redis:
        redis.call("RPUSH", "jobs", *range(3))
        config = f"""connections:
  shop:
    scaler: redis
    address: {broker.tls_address}
    enableTLS: "true"
    caFile: {trusted}
"""
        with Server(interval="500ms", hold="1s", config=config) as server, Client(server.port) as client:
            metadata = {"scaler": "redis", "connectionName": "shop", "listName": "jobs"}
            answers(client, metadata, 3, True)
            redis.call("CONFIG", "SET", "tls-cert-file", f"{new}/own.pem", "tls-key-file", f"{new}/own.key")
            redis.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            wait_until(lambda: "TLS handshake failed" in (unavailable(client, metadata) or ""), 20, "a refusal")
            (tmp_path / "next").write_text(text(new, "ca.pem"))
            (tmp_path / "next").rename(trusted)
            answers(client, metadata, 3, True, seconds=20)
