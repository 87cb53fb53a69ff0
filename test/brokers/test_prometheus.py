"""KEDA's questions about what a PromQL query answers, to the server, with a real Prometheus behind it."""

import time

import grpc
import pytest

from support.certificates import Authority, make_certificates
from support.clients.grpc_client import Client, refusal
from support.brokers.prometheus import Prometheus, Relay
from support.server.server import Server
from support.clients.story import assert_unavailable, outage, value
from support.network.tap import Tap

INTERVAL_SECONDS = 0.5
HOLD_SECONDS = 3
OUTAGE_HOLD_SECONDS = 8  # a call waits for 5 s, and a reading is held from the first that nothing answered
MAX_WINDOW = 32  # requests in flight
SAMPLES = ['jobs{queue="mail"} 37', 'jobs{queue="none"} 0', 'jobs{queue="some"} 2', 'odd NaN', 'endless +Inf']


@pytest.fixture(scope="module")
def broker():
    with Prometheus(*SAMPLES) as broker:
        yield broker


@pytest.fixture
def server():
    with Server(interval=f"{INTERVAL_SECONDS * 1000:.0f}ms", hold=f"{HOLD_SECONDS}s") as server:
        yield server


@pytest.fixture
def client(server):
    with Client(server.port) as client:
        yield client


def trigger(broker, query='jobs{queue="mail"}', **keys):
    return {"scaler": "prometheus", "serverAddress": broker.url(), "query": query, "threshold": "5", **keys}


@pytest.mark.first
def test_37_is_37_and_active(broker, client):
    requested = trigger(broker)
    spec = client.metric_spec(requested)
    assert (spec.metricName, spec.targetSize, spec.targetSizeFloat) == ("prometheus", 5, 5)
    assert value(client, requested) == 37
    assert client.is_active(requested)


@pytest.mark.first
def test_0_is_0_and_inactive(broker, client):
    requested = trigger(broker, 'jobs{queue="none"}')
    assert value(client, requested) == 0
    assert not client.is_active(requested)


def test_active_is_above_the_activation_threshold(broker, client):
    assert not client.is_active(trigger(broker, 'jobs{queue="some"}', activationThreshold="2"))
    assert client.is_active(trigger(broker, 'jobs{queue="some"}', activationThreshold="1.99"))


@pytest.mark.parametrize("query, expected", [
    ("sum(jobs)", 39),
    ("sum(jobs) / 4", 9.75),
    ("1 + 2", 3),  # a scalar
    ("scalar(sum(jobs))", 39),
    ('sum(jobs{queue=~"ma.l|a&b=c?#"} > bool 36) + 1e3', 1001),
])
def test_a_number_is_one(broker, client, query, expected):
    for strict in ("true", "false"):
        assert value(client, trigger(broker, query, ignoreNullValues=strict)) == expected


@pytest.mark.parametrize("query", ["sum(nothing)", "odd", "0 / 0", "rate(jobs[1m]) > 5"])  # 2.53 warns of the last one
def test_no_data_and_nan_are_as_the_trigger_says(broker, client, query):
    assert value(client, trigger(broker, query)) == 0
    assert not client.is_active(trigger(broker, query))
    for call in (client.metrics, client.is_active):
        assert_unavailable(call, trigger(broker, query, ignoreNullValues="false"), "no data or NaN")


@pytest.mark.parametrize("query, words", [
    ("jobs", "returned 3 series"),
    ("jobs[5m]", "returned a matrix"),
    ('"37"', "returned a string"),
    ("endless", "returned +Inf"),
    ("-1 / 0", "returned -Inf"),
    ("sum(", "bad_data: invalid parameter"),
])
def test_a_value_that_is_no_number_is_an_error(broker, client, query, words):
    for strict in ("true", "false"):
        assert_unavailable(client.metrics, trigger(broker, query, ignoreNullValues=strict), words)


@pytest.mark.parametrize("status, body, words", [
    (200, b'{"status":"success","data":{"resultType":"vector","result":[{"value":[1,null]}]}}', "without a value"),
    (200, b'{"status":"success","data":{"resultType":"vector","result":[{"value":[1]}]}}', "without a value"),
    (200, b'{"status":"success","data":{"resultType":"vector","result":[{"value":[]}]}}', "without a value"),
    (200, b'{"status":"success","data":{"resultType":"vector","result":[{}]}}', "without a value"),
    (200, b'{"status":"success","data":{"resultType":"vector"}}', "without a result"),
    (200, b'{"status":"success"}', "without type"),
    (200, b'{"status":"success","warnings":["a store is down"],"data":{"resultType":"vector","result":[]}}',
     "a store is down"),
    (200, b'{"status":"error","errorType":"execution","error":"many"}', "execution: many"),
    (200, b"<html>Please log in</html>", "no JSON object"),
    (200, b"", "no JSON object"),
    (200, b"[" * 100000, "too many values"),
    (200, b'"' + b"x" * 2000000 + b'"', "more than 524288 bytes"),
    (302, b"elsewhere", "HTTP status 302"),
    (404, b"not here", "HTTP status 404"),
    (422, b'{"status":"error","errorType":"execution","error":"too many samples"}', "execution: too many samples"),
    (503, b"down", "HTTP status 503"),
])
def test_errors_of_a_proxy_fail_alone(broker, client, status, body, words):
    with Relay(broker) as relay:
        relay.answers["broken"] = (status, body)
        neighbour = trigger(relay, 'jobs{queue="none"}')
        assert value(client, neighbour) == 0
        assert words in refusal(client.metrics, trigger(relay, "broken"))[1]
        for _ in range(2):
            assert value(client, neighbour) == 0
            time.sleep(INTERVAL_SECONDS)


@pytest.mark.first
def test_a_proxy_that_hangs_up_on_a_query_fails_it_alone(broker, client):
    with Relay(broker) as relay:
        relay.answers.update({f"broken{i}": "hang up" for i in range(3)})
        neighbour = trigger(relay, 'jobs{queue="none"}')
        assert value(client, neighbour) == 0
        for i in range(3):
            assert_unavailable(client.metrics, trigger(relay, f"broken{i}"), "request to Prometheus")
        for _ in range(5):
            assert value(client, neighbour) == 0
            time.sleep(INTERVAL_SECONDS)


def test_1000_triggers_are_a_few_connections(broker, client):
    with Tap(broker.port) as tap:
        requested = [{**trigger(broker, f"sum(jobs) * 0 + {i}"), "serverAddress": broker.url(tap.port)} for i in range(1000)]
        assert [value(client, one) for one in requested] == list(range(1000))
        time.sleep(3 * INTERVAL_SECONDS)
        assert [value(client, one) for one in requested] == list(range(1000))
        assert tap.connections <= MAX_WINDOW + 1  # and one that pings


def test_equal_questions_are_measured_once(broker, client):
    with Tap(broker.port) as tap:
        requested = [trigger(broker, "sum(nothing)", activationThreshold=str(i)) for i in range(50)]
        for one in requested:
            one["serverAddress"] = broker.url(tap.port)
            assert value(client, one) == 0
        tap.forget()
        start = time.monotonic()
        while time.monotonic() - start < 4 * INTERVAL_SECONDS:
            for one in requested:
                assert value(client, one) == 0
                assert not client.is_active(one)
        assert 1 <= tap.count(b"GET /api/v1/query?query=sum%28nothing%29 ") <= (time.monotonic() - start) / INTERVAL_SECONDS + 2


def test_headers_and_parameters_of_a_request(broker, client):
    with Tap(broker.port) as tap:
        requested = trigger(broker, "1", namespace="shop & co", queryParameters="dedup=true, partial_response = false",
                        customHeaders="X-Scope-OrgID=shop, X-Empty=", authModes="bearer,custom",
                        bearerToken="the-token", customAuthHeader="X-Key", customAuthValue="a key")
        requested["serverAddress"] = f"http://127.0.0.1:{tap.port}//"
        assert value(client, requested) == 1
        for words in ("GET /api/v1/query?query=1&namespace=shop%20%26%20co&dedup=true&partial_response=false HTTP/",
                      "X-Scope-OrgID: shop\r\n", "X-Empty:\r\n", "Authorization: Bearer the-token\r\n",
                      "X-Key: a key\r\n"):
            assert tap.count(words.encode()), words


def test_a_slow_query_does_not_disturb_its_neighbours(broker, client):
    with Relay(broker) as relay:
        relay.answers["slow()"] = 30
        requested = [trigger(relay, f"0 * {i}") for i in range(1, 50)]
        assert [value(client, one) for one in requested] == [0] * 49
        slow = trigger(relay, "slow()")
        assert_unavailable(client.metrics, slow)
        for _ in range(10):  # no measurement of theirs has failed, or their zeros were refused
            assert [value(client, one) for one in requested] == [0] * 49
            time.sleep(INTERVAL_SECONDS)
        assert_unavailable(client.metrics, slow, "no answer within")


def test_a_timeout_is_the_triggers(broker, client):
    with Relay(broker) as relay:
        relay.answers["slow()"] = 5
        start = time.monotonic()
        assert_unavailable(client.metrics, trigger(relay, "slow()", timeout="200"), "no answer within 200 ms")
        assert time.monotonic() - start < 1.5


@pytest.mark.parametrize("how", ["stop", "freeze"])
def test_an_outage_is_never_zero_and_ends_by_itself(how):
    with Prometheus(*SAMPLES) as broker, Server(interval="500ms", hold=f"{OUTAGE_HOLD_SECONDS}s") as server, \
            Client(server.port) as client:
        outage(client, broker, how, OUTAGE_HOLD_SECONDS, busy=[trigger(broker)],
               idle=[trigger(broker, 'jobs{queue="none"}')])


PASSWORD = "the-right-word"
PASSWORD_HASH = "$2b$04$backlogbacklogbacklogOgf5cS6r7Ab2RWmlu6YPGaio2sWvXZjG"  # bcrypt


def test_basic_authentication(server, client):
    with Prometheus(*SAMPLES, web=f"basic_auth_users: {{keda: '{PASSWORD_HASH}'}}\n") as broker:
        good = trigger(broker, authModes="basic", username="keda", passwordFromEnv=PASSWORD)
        assert value(client, good) == 37
        in_address = broker.url().replace("://", f"://keda:{PASSWORD}@")
        assert value(client, {**trigger(broker), "serverAddress": in_address}) == 37
        wrong = [{**good, "passwordFromEnv": "not-the-word"}, trigger(broker),
                 {**trigger(broker), "serverAddress": in_address.replace(PASSWORD, "not-the-word")},
                 trigger(broker, authModes="bearer", bearerToken="not-the-word")]
        for requested in wrong:
            assert "not-the-word" not in assert_unavailable(client.metrics, requested, "401")
    assert "not-the-word" not in server.log() and PASSWORD not in server.log()


def test_tls(tmp_path, client):
    make_certificates(tmp_path)
    web = (f"tls_server_config:\n  cert_file: {tmp_path}/own.pem\n  key_file: {tmp_path}/own.key\n"
           f"  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: {tmp_path}/ca.pem\n")
    with Prometheus(*SAMPLES, web=web) as broker:
        own = {"authModes": "tls", "cert": (tmp_path / "own.pem").read_text(), "key": (tmp_path / "own.key").read_text()}
        ca = (tmp_path / "ca.pem").read_text()
        assert value(client, trigger(broker, ca=ca, **own)) == 37
        assert value(client, trigger(broker, brokerUnsafeSsl="true", **own)) == 37
        assert_unavailable(client.metrics, trigger(broker, **own), "SSL", "set ca to the certificates of its authority",
                           'brokerUnsafeSsl: "true"')
        assert_unavailable(client.metrics, trigger(broker, ca=ca))
        other_name = broker.url().replace("127.0.0.1", "localhost")
        assert_unavailable(client.metrics, {**trigger(broker, ca=ca, **own), "serverAddress": other_name}, "SSL")


@pytest.mark.parametrize("authority", ["ca.pem", "other.pem"])
def test_the_systems_authorities_are_trusted(tmp_path, monkeypatch, authority):
    make_certificates(tmp_path)
    Authority(tmp_path, "other")
    assert (tmp_path / authority).exists()
    web = f"tls_server_config:\n  cert_file: {tmp_path}/own.pem\n  key_file: {tmp_path}/own.key\n"
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / authority))
    with Prometheus(*SAMPLES, web=web) as broker, Server() as server, Client(server.port) as client:
        if authority == "ca.pem":
            assert value(client, trigger(broker)) == 37
        else:
            assert_unavailable(client.metrics, trigger(broker), "SSL")


def test_every_mistake_is_reported(client):
    code, text = refusal(client.metrics, {
        "scaler": "prometheus", "serverAddress": "prometheus:9090", "treshold": "5", "authModes": "basic,oauth",
        "customHeaders": "X-Key", "ignoreNullValues": "yes"})
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    for word in ("serverAddress must be a URL", "query is missing", "threshold is missing", 'did you mean "threshold"',
                 "authModes basic needs username", "oauth is not supported", "customHeaders: number 1",
                 "ignoreNullValues"):
        assert word in text
