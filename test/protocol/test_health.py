"""grpc.health.v1: what Kubernetes' probes and watching clients are sent."""

import signal

import grpc
import pytest

from support.clients.grpc_client import Client, refusal
from support.clients.health import NOT_SERVING, SERVICE_UNKNOWN, SERVING, Health, messages, probe
from support.server.server import Server
from support.clients.triggers import UNREACHABLE

READY = ["", "readiness", "externalscaler.ExternalScaler"]
KNOWN = [*READY, "liveness"]
CHECK = "/grpc.health.v1.Health/Check"
UNHEALTHY = {"unknown service": 3, "no connection": 2}  # grpc-health-probe's exit codes


@pytest.fixture
def health(client):
    return Health(client.channel)


@pytest.mark.parametrize("service", KNOWN)
def test_a_server_that_answers_is_healthy(server, health, service):
    assert health.check(service) == SERVING
    watch = health.watch(service)
    assert next(watch).status == SERVING
    watch.cancel()
    assert probe(server.port, f"-service={service}")[0] == 0


@pytest.mark.first
def test_a_dead_source_is_not_the_servers_illness(client, health):
    assert refusal(client.is_active, UNREACHABLE)[0] == grpc.StatusCode.UNAVAILABLE
    assert [health.check(service) for service in KNOWN] == [SERVING] * len(KNOWN)


def test_an_unknown_service_is_refused_once_and_watched_for_ever(server, health):
    assert refusal(health.check, "shop") == (grpc.StatusCode.NOT_FOUND, 'there is no service "shop"')
    assert probe(server.port, "-service=shop")[0] == UNHEALTHY["unknown service"]
    watch = health.watch("shop")
    assert next(watch).status == SERVICE_UNKNOWN
    assert watch.is_active()
    watch.cancel()


@pytest.mark.first
def test_a_call_has_a_request_that_can_be_read(client):
    request = messages.HealthCheckRequest(service="liveness").SerializeToString()
    assert messages.HealthCheckResponse.FromString(client.raw(CHECK, request)).status == SERVING
    for requests in [], [b"\xff"], [b"\x0a\x01\xff"]:
        assert refusal(client.raw, CHECK, *requests)[0] == grpc.StatusCode.INVALID_ARGUMENT


def test_readiness_goes_down_before_the_streams_end():
    with Server() as server, Client(server.port) as client:
        health = Health(client.channel)
        watches = {service: health.watch(service) for service in [*KNOWN, "shop"]}
        first = {service: next(watch).status for service, watch in watches.items()}
        for service in KNOWN:  # the server knows by now that its first answers have left
            assert health.check(service) == SERVING
        server.signal(signal.SIGTERM)
        rest = {service: [answer.status for answer in watch] for service, watch in watches.items()}
        assert server.child.wait(15) == 0
        assert probe(server.port, "-connect-timeout=1s")[0] == UNHEALTHY["no connection"]
    assert first == dict.fromkeys(KNOWN, SERVING) | {"shop": SERVICE_UNKNOWN}
    assert rest == dict.fromkeys(READY, [NOT_SERVING]) | {"liveness": [], "shop": []}
    assert {watch.code() for watch in watches.values()} == {grpc.StatusCode.OK}
