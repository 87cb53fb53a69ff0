"""KEDA's own client of external scalers: in plain text, over TLS and with a certificate of its own."""

import pytest

from support.certificates import Authority
from support.clients.keda import Answer, Refused, Trigger
from support.brokers.redis import Redis
from support.server.server import Server

pytestmark = pytest.mark.nightly  # it is KEDA that asks: in CI the one of test/e2e does
VALUE = Answer("redis-jobs", 5.0, 4.0, True)


@pytest.fixture(scope="module")
def address():
    with Redis() as redis, redis.connect() as client:
        client.call("RPUSH", "jobs", *range(4))
        yield redis.address


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module", params=["nghttp2", "grpc-core"])
def secured(request, authority):
    certificate, key = authority.issue("server")
    with Server(arguments=["--transport", request.param, "--tls-cert", certificate, "--tls-key", key,
                           "--tls-client-ca", authority.certificate, "--tls-client-names", "keda-operator"]) as server:
        yield server


def pem(path):
    with open(path) as file:
        return file.read()


def client_pair(authority, name):
    certificate, key = authority.issue(name, name, ())
    return {"tlsClientCert": pem(certificate), "tlsClientKey": pem(key)}


def trigger(server, address, auth=None, **metadata):
    return Trigger("external", {"scalerAddress": f"127.0.0.1:{server.port}", "scaler": "redis", "address": address,
                                "listName": "jobs", "listLength": "5", **metadata}, auth=auth or {})


@pytest.mark.parametrize("transport", ["nghttp2", "grpc-core"])
def test_keda_asks_in_plain_text(live_keda, address, transport):
    with Server(arguments=["--transport", transport]) as server:
        assert live_keda.fetch(trigger(server, address)) == VALUE


@pytest.mark.parametrize("transport", ["nghttp2", "grpc-core"])
def test_keda_asks_over_tls(live_keda, address, authority, transport):
    certificate, key = authority.issue("server")
    with Server(arguments=["--transport", transport, "--tls-cert", certificate, "--tls-key", key]) as server:
        trusting = {"caCert": pem(authority.certificate)}
        assert live_keda.fetch(trigger(server, address, trusting, enableTLS="true")) == VALUE
        assert live_keda.fetch(trigger(server, address, enableTLS="true", unsafeSsl="true")) == VALUE
        assert isinstance(live_keda.fetch(trigger(server, address, enableTLS="true")), Refused)


def test_keda_shows_a_certificate(live_keda, secured, address, authority):
    trusting = {"caCert": pem(authority.certificate)}
    known = {**trusting, **client_pair(authority, "keda-operator")}
    assert live_keda.fetch(trigger(secured, address, known, enableTLS="true")) == VALUE
    assert isinstance(live_keda.fetch(trigger(secured, address, trusting, enableTLS="true")), Refused)
    stranger = {**trusting, **client_pair(authority, "stranger")}
    assert isinstance(live_keda.fetch(trigger(secured, address, stranger, enableTLS="true")), Refused)
    assert live_keda.fetch(trigger(secured, address, known, enableTLS="true")) == VALUE
