"""KEDA's questions about a number in an HTTP API's response, to the server, with a real HTTP server behind it."""

import concurrent.futures
import itertools
import os
import re
import time

import grpc
import pytest
import yaml

from support.brokers.http_api import HttpApi, after, basic, redirect, reset, tls_context, truncated, unfinished
from support.certificates import make_certificates
from support.clients.grpc_client import Client, refusal
from support.clients.story import answers, assert_unavailable, outage, value
from support.process import free_port
from support.server.server import REPOSITORY, Server

INTERVAL_SECONDS = 0.5
OUTAGE_HOLD_SECONDS = 8
JOBS = {"jobs": [{"queue": "mail", "waiting": 37}, {"queue": "none", "waiting": 0}, {"queue": "some", "waiting": "2"}],
        "secret": "sesame"}
ARGUMENTS = ["--allow-local-targets"]


@pytest.fixture
def api():
    with HttpApi({"/jobs": JOBS}) as api:
        yield api


@pytest.fixture(scope="module")
def server():
    with Server(interval=f"{INTERVAL_SECONDS * 1000:.0f}ms", arguments=ARGUMENTS) as server:
        yield server


@pytest.fixture(scope="module")
def client(server):
    with Client(server.port) as client:
        yield client


def trigger(api, location='jobs.#(queue=="mail").waiting', path="/jobs", **keys):
    return {"scaler": "metrics-api", "url": api.url(path), "valueLocation": location, "targetValue": "5", **keys}


@pytest.mark.first
def test_37_is_37_and_active(api, client):
    requested = trigger(api, "jobs.0.waiting")
    spec = client.metric_spec(requested)
    assert (spec.metricName, spec.targetSize, spec.targetSizeFloat) == ("metric-api-jobs-0-waiting", 5, 5)
    assert value(client, requested) == 37
    assert client.is_active(requested)


@pytest.mark.first
def test_0_is_0_and_inactive(api, client):
    requested = trigger(api, "jobs.1.waiting")
    assert value(client, requested) == 0
    assert not client.is_active(requested)


def test_active_is_above_the_activation(api, client):
    assert not client.is_active(trigger(api, "jobs.2.waiting", activationTargetValue="2"))
    assert client.is_active(trigger(api, "jobs.2.waiting", activationTargetValue="1.99"))


def test_each_format_has_its_numbers(api, client):
    api.answers.update({"/yaml": "jobs:\n- {queue: mail, waiting: 12}\n- waiting: 1k\n",
                        "/metrics": "# TYPE jobs gauge\r\njobs{queue=\"none\"} 0\r\njobs{queue=\"mail\"} 4.5\r\n"})
    assert value(client, trigger(api, "jobs.#")) == 3
    assert value(client, trigger(api, "jobs.0.waiting", "/yaml", format="yaml")) == 12
    assert value(client, trigger(api, "jobs.1.waiting", "/yaml", format="yaml")) == 1000
    assert value(client, trigger(api, 'jobs{queue="mail"}', "/metrics", format="prometheus")) == 4.5


@pytest.mark.parametrize("answer, words", [
    ({"waiting": None}, "valueLocation waiting is null"),
    ({"waiting": True}, "is true"),
    ({"waiting": {"secret": "sesame"}}, "is an object"),
    ({"waiting": ["sesame"]}, "is a list"),
    ({"waiting": "sesame"}, "is a text that is no quantity of Kubernetes"),
    ({"waiting": "k"}, "is a text that is no quantity of Kubernetes"),
    ({"secret": "sesame"}, "is not in the response"),
    ('{"waiting": NaN}', "is not JSON"),
    ('{"waiting": 1e999}', "is not JSON"),
    ("<html>sesame</html>", "is not JSON"),
    ("", "is not JSON"),
    ("[" * 100000, "is not JSON, or too large"),
    (b'"' + b"x" * 2000000 + b'"', "more than 1048576 bytes"),
    (truncated, "request to the API at"),
    (unfinished, "is not JSON"),
    (reset, "request to the API at"),
    ((204, ""), "HTTP status 204"),
    ((404, "sesame"), "HTTP status 404"),
    ((503, "sesame"), "HTTP status 503"),
], ids=map(str, itertools.count()))
def test_what_is_no_number_is_an_error_and_fails_alone(api, client, answer, words):
    api.answers["/broken"] = answer
    neighbour = trigger(api, "jobs.1.waiting")
    assert value(client, neighbour) == 0
    code, text = refusal(client.metrics, trigger(api, "waiting", "/broken"))
    assert code != grpc.StatusCode.INVALID_ARGUMENT and words in text and "sesame" not in text
    assert value(client, neighbour) == 0


def test_a_wrong_location_fails_alone(api, client):
    good = trigger(api)
    assert value(client, good) == 37
    assert_unavailable(client.metrics, trigger(api, "jobs.7.waiting"), "is not in the response")
    assert value(client, good) == 37


def test_no_redirection_is_followed(api, client):
    with HttpApi({"/jobs": JOBS}) as other:
        api.answers["/moved"] = redirect(other.url("/jobs"))
        requested = trigger(api, path="/moved", authMode="bearer", token="Sesame")
        assert_unavailable(client.metrics, requested, "HTTP status 302, a redirection, which is not followed")
        assert not other.requests


def test_thirty_at_once(api, client):
    api.answers["/slow"] = after(0.3, JOBS)
    requested = [trigger(api, path=f"/slow?tenant={i}") for i in range(30)]
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(30) as pool:
        assert list(pool.map(lambda one: value(client, one), requested)) == [37] * 30
    assert time.monotonic() - began < 3
    assert len(api.requests) == 30


def test_1000_triggers_on_20_urls_are_20_requests_a_round(api, client):
    api.answers["/many"] = {"jobs": list(range(50))}
    requested = [trigger(api, f"jobs.{i % 50}", f"/many?tenant={i // 50}") for i in range(1000)]
    assert [value(client, one) for one in requested] == [i % 50 for i in range(1000)]
    time.sleep(2 * INTERVAL_SECONDS)
    api.forget()
    began = time.monotonic()
    time.sleep(4 * INTERVAL_SECONDS)
    rounds = (time.monotonic() - began) / INTERVAL_SECONDS
    assert len(api.requests) <= 20
    assert sum(api.requests.values()) <= 20 * (rounds + 2), api.requests
    assert [value(client, one) for one in requested] == [i % 50 for i in range(1000)]


def test_a_slow_api_does_not_disturb_its_neighbours(api, client):
    api.answers["/slow"] = after(30, JOBS)
    neighbours = [trigger(api, "jobs.1.waiting", f"/jobs?tenant={i}") for i in range(10)]
    assert [value(client, one) for one in neighbours] == [0] * 10
    slow = trigger(api, path="/slow", timeout="200")
    began = time.monotonic()
    assert_unavailable(client.metrics, slow, "no answer within 200 ms")
    assert time.monotonic() - began < 1.5
    for _ in range(5):
        assert [value(client, one) for one in neighbours] == [0] * 10
        time.sleep(INTERVAL_SECONDS)


def test_an_api_key(api, client):
    key = {"authMode": "apiKey", "apiKeyFromEnv": "Se&same"}
    assert value(client, trigger(api, **key)) == 37
    assert api.headers[-1]["X-API-KEY"] == "Se&same"
    assert value(client, trigger(api, **key, keyParamName="X-Mine")) == 37
    assert api.headers[-1]["X-Mine"] == "Se&same"
    assert value(client, trigger(api, **key, method="query")) == 37
    assert api.requests["/jobs?api_key=Se%26same"]
    assert value(client, trigger(api, path="/jobs?state=new", **key, method="query", keyParamName="key")) == 37
    assert api.requests["/jobs?state=new&key=Se%26same"]


@pytest.mark.parametrize("sent, keys, wrong", [
    ("Bearer Sesame", {"authMode": "bearer", "tokenFromEnv": "Sesame"}, {"tokenFromEnv": "wrong-word"}),
    (basic("keda", "Sesame"), {"authMode": "basic", "username": "keda", "passwordFromEnv": "Sesame"},
     {"passwordFromEnv": "wrong-word"}),
])
def test_credentials(server, client, sent, keys, wrong):
    with HttpApi({"/jobs": JOBS}, "Authorization", sent) as api:
        assert value(client, trigger(api, **keys)) == 37
        for requested in (trigger(api), trigger(api, **{**keys, **wrong})):
            assert "wrong-word" not in assert_unavailable(client.metrics, requested, "HTTP status 401")
        if "username" in keys:
            requested = {**trigger(api), "url": api.url("/jobs").replace("://", "://keda:Sesame@")}
            assert value(client, requested) == 37
    assert "Sesame" not in server.log() and "wrong-word" not in server.log()


def test_tls(tmp_path, client):
    make_certificates(tmp_path)
    own = {"authMode": "tls", "cert": (tmp_path / "own.pem").read_text(), "key": (tmp_path / "own.key").read_text()}
    ca = (tmp_path / "ca.pem").read_text()
    with HttpApi({"/jobs": JOBS}, tls=tls_context(tmp_path, tmp_path / "ca.pem")) as api:
        assert value(client, trigger(api, ca=ca, **own)) == 37
        assert value(client, trigger(api, brokerUnsafeSsl="true", **own)) == 37
        assert_unavailable(client.metrics, trigger(api, **own), "set ca to the certificates of its authority")
        assert_unavailable(client.metrics, trigger(api, ca=ca))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "[::ffff:127.0.0.1]"])
def test_a_trigger_cannot_ask_the_servers_own_machine(api, host):
    """What listens there is this pod's, or the node's; and link-local is where clouds have their credentials."""
    url = f"http://{host}:{api.port}/jobs"
    config = f"connections:\n  own: {{scaler: metrics-api, url: '{api.url('/jobs')}'}}\n"
    with Server(config=config) as server, Client(server.port) as client:
        assert_unavailable(client.metrics, {**trigger(api), "url": url}, "a local address", "--allow-local-targets")
        assert not api.requests
        named = {"scaler": "metrics-api", "connectionName": "own", "valueLocation": "jobs.0.waiting", "targetValue": "5"}
        assert value(client, named) == 37


class Switch:
    """What outage() does to a broker."""

    def __init__(self, api):
        self.api = api

    def kill(self):
        self.api.answers["/jobs"] = reset

    def pause(self):
        self.api.answers["/jobs"] = after(10, JOBS)

    def start(self):
        self.api.answers["/jobs"] = JOBS

    resume = start


@pytest.mark.parametrize("how", ["stop", "freeze"])
def test_an_outage_is_never_zero_and_ends_by_itself(api, how):
    with Server(interval="500ms", hold=f"{OUTAGE_HOLD_SECONDS}s", arguments=ARGUMENTS) as server, \
            Client(server.port) as client:
        outage(client, Switch(api), how, OUTAGE_HOLD_SECONDS, busy=[trigger(api)], idle=[trigger(api, "jobs.1.waiting")])


VLLM = """# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="Qwen/Qwen3-8B"} 16.0
# HELP vllm:num_requests_waiting Number of requests waiting to be processed.
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="Qwen/Qwen3-8B"} 9.0
"""


def test_the_example_of_vllm(api, client):
    with open(os.path.join(REPOSITORY, "docs", "triggers.md")) as page:
        example, = [block for block in re.findall(r"```yaml\n(.*?)```", page.read(), re.DOTALL) if "vllm" in block]
    trigger, = yaml.safe_load(example)["triggers"]
    metadata = {key: text for key, text in trigger["metadata"].items() if key != "scalerAddress"}
    address, path = re.fullmatch(r"(http://[^/]+)(/.*)", metadata["url"]).groups()
    api.answers[path] = VLLM
    metadata["url"] = api.url(path)
    assert value(client, metadata) == 9
    assert client.is_active(metadata)
    assert client.metric_spec(metadata).targetSize == 4
    api.answers[path] = VLLM.replace(" 9.0", " 0.0")
    answers(client, metadata, 0, False)


def test_nobody_listens(client):
    requested = {"scaler": "metrics-api", "url": f"http://127.0.0.1:{free_port()}/", "valueLocation": "a", "targetValue": "5"}
    assert_unavailable(client.metrics, requested, "request to the API at 127.0.0.1")


def test_every_mistake_is_reported(client):
    code, text = refusal(client.metrics, {
        "scaler": "metrics-api", "url": "api:8080", "targetvalue": "5", "authMode": "basic,oauth", "format": "xml",
        "valueLocation": "jobs.*", "aggregateFromKubeServiceEndpoints": "true"})
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    for word in ("url must be an http:// or https:// URL", "targetValue is missing", "authMode basic needs username",
                 "authMode number 2", "format xml is not supported", "aggregateFromKubeServiceEndpoints is not supported"):
        assert word in text
