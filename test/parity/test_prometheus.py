"""prometheus, beside KEDA's."""

import base64
import json

import pytest

from support.certificates import make_certificates
from support.clients.keda import Refused, Trigger
from support.process import free_port
from support.brokers.prometheus import Prometheus, Relay
from support.clients.side_by_side import REFUSED, alike, both_refuse, compare, differs, each

SAMPLES = ['jobs{queue="mail"} 37', 'jobs{queue="none"} 0', 'jobs{queue="some"} 2', 'jobs{queue="few"} 0.4',
           'jobs{queue="third"} 0.33333', 'jobs{queue="many"} 12345678901', 'jobs{queue="debt"} -3',
           'odd NaN', 'endless +Inf', 'bottomless -Inf']

USER, PASSWORD = "keda", "the-right-word"
PASSWORD_HASH = "$2b$04$backlogbacklogbacklogOgf5cS6r7Ab2RWmlu6YPGaio2sWvXZjG"  # bcrypt

INFINITY = "Infinity is an error, not 0: what would need endless replicas must not lose its last one."
NULL = "A value that is null is an error, not 0, and so are a range and an answer without a result."
WARNING = "No data, or 0, about which the server warns (a part of it failed) is an error, not 0."


def of(query, at="$prometheus", threshold="5", auth=(), **keys):
    metadata = {"serverAddress": at, "query": query, "threshold": threshold, **keys}
    return Trigger("prometheus", metadata, auth=dict(auth))


def of_jobs(queue, **keys):
    return of(f'jobs{{queue="{queue}"}}', **keys)


def without(trigger, key):
    return Trigger(trigger.type, {name: text for name, text in trigger.metadata.items() if name != key})


QUERIES = [
    alike("one series", of_jobs("mail"), 37),
    alike("0", of_jobs("none"), 0),
    alike("a decimal", of_jobs("few"), 0.4),
    alike("three decimals are kept", of_jobs("third"), 0.333),
    alike("more than 32 bits", of_jobs("many"), 12345678901),
    alike("below 0", of_jobs("debt"), 0),
    alike("below 0, and more than the activation", of_jobs("debt", activationThreshold="-5"), 0, active=True),
    alike("a decimal target", of_jobs("mail", threshold="2.5"), 37),
    alike("a target with an exponent", of_jobs("mail", threshold="1e1"), 37),
    alike("a target of a thousandth", of_jobs("few", threshold="0.001"), 0.4),
    alike("as much as the activation", of_jobs("some", activationThreshold="2"), 2, active=False),
    alike("a little more than the activation", of_jobs("some", activationThreshold="1.999"), 2, active=True),
    alike("active by less than a metric can say", of("vector(0.0001)"), 0, active=True),
    alike("an aggregation", of("sum(jobs > 1)"), 12345678940),
    alike("characters that a URL may not have", of('sum(jobs{queue=~"m.+l|s&me%|nøne#?"}) + 0'), 37),
    alike("no series", of("nothing"), 0),
    alike("NaN", of("odd"), 0),
    alike("0 by 0", of('jobs{queue="none"} / 0'), 0),
    alike("a value where null values count", of_jobs("mail", ignoreNullValues="false"), 37),
    alike("a bool in Go's words", of("nothing", ignoreNullValues="T"), 0),
    both_refuse("no series where null values count", of("nothing", ignoreNullValues="false"), "the result is empty"),
    both_refuse("NaN where null values count", of("odd", ignoreNullValues="0"), "returns NaN"),
    both_refuse("infinity where null values count", of("endless", ignoreNullValues="FALSE"), "returns +Inf"),
    both_refuse("several series", of("jobs"), "returned multiple elements"),
    both_refuse("a string", of('"words"'), "cannot unmarshal"),
    both_refuse("no PromQL", of("sum("), "status: 400"),
    alike("more parameters", of_jobs("mail", queryParameters="timeout=5s, dedup=true", namespace="shop"), 37),
    alike("headers", of_jobs("mail", customHeaders="X-Scope-OrgID=shop,X-Other=1"), 37),
    alike("a timeout", of_jobs("mail", timeout="2s"), 37),
    both_refuse("nobody listens", of_jobs("mail", at="http://127.0.0.1:$nobody"), "connection refused"),
    both_refuse("no query", without(of_jobs("mail"), "query"), "missing required parameter"),
    both_refuse("no threshold", without(of_jobs("mail"), "threshold"), "missing required parameter"),
    both_refuse("no serverAddress", without(of_jobs("mail"), "serverAddress"), "missing required parameter"),
    both_refuse("a threshold with a comma", of_jobs("mail", threshold="1,5"), "unable to set param"),
    both_refuse("a bool in other words", of_jobs("mail", ignoreNullValues="yes"), "unable to parse boolean"),
    both_refuse("a parameter without =", of_jobs("mail", queryParameters="timeout"), "expected format key=value"),
    both_refuse("a timeout in days", of_jobs("mail", timeout="1d"), "unable to parse duration"),
    differs("infinity", of("endless"), keda=(0, False), ours=REFUSED, because=INFINITY),
    differs("minus infinity", of("bottomless"), keda=(0, False), ours=REFUSED, because=INFINITY),
    differs("a range", of("jobs{queue=\"mail\"}[5m]"), keda=(0, False), ours=REFUSED, because=NULL),
    differs("a target below 0", of_jobs("mail", threshold="-4"), keda=(37, True), ours=REFUSED,
            because="a number such as 2.5, at least 0.001"),
    differs("a target of less than a metric can say", of_jobs("mail", threshold="0.0004"), keda=(37, True),
            ours=REFUSED, because="a number such as 2.5, at least 0.001"),
    differs("an apiKey", of_jobs("mail", authModes="apiKey", auth={"apiKey": "Sesame"}), keda=(37, True),
            ours=REFUSED, because="`apiKey`, which the built-in takes and does not apply, is refused"),
    differs("a user, and no mode", of_jobs("mail", auth={"username": "keda"}), keda=(37, True), ours=REFUSED,
            because="a key that no mode uses is a mistake"),
    differs("a scalar", of("scalar(jobs{queue=\"mail\"})"), keda=Refused("cannot unmarshal"), ours=(37, True),
            because="A scalar is a result."),
]

# What a proxy answers to a query of this name.
PROXY = {
    "null": (200, {"data": {"resultType": "vector", "result": [{"value": [1, None]}]}}),
    "short": (200, {"data": {"resultType": "vector", "result": [{"value": [1]}]}}),
    "empty": (200, {"data": {"resultType": "vector", "result": [{"value": []}]}}),
    "unfinished": (200, {"data": {"resultType": "vector", "result": None}}),
    "words": (200, {"data": {"resultType": "vector", "result": [{"value": [1, "many"]}]}}),
    "torn": (200, {"data": {"resultType": "vector", "result": []}, "warnings": ["a store is down"]}),
    "partial": (200, {"data": {"resultType": "vector", "result": [{"value": [1, "3"]}]},
                      "warnings": ["a store is down"]}),
    "created": (201, {"data": {"resultType": "vector", "result": [{"value": [1, "3"]}]}}),
    "broken": (500, {"data": {"resultType": "vector", "result": [{"value": [1, "3"]}]}}),
}

PROXIED = [
    differs("a value that is null", of("null", at="$proxy"), keda=(0, False), ours=REFUSED, because=NULL),
    differs("a sample without time and value", of("empty", at="$proxy"), keda=(0, False), ours=REFUSED, because=NULL),
    differs("a result that is null", of("unfinished", at="$proxy"), keda=(0, False), ours=REFUSED, because=NULL),
    differs("no data, and a warning", of("torn", at="$proxy"), keda=(0, False), ours=REFUSED, because=WARNING),
    alike("data, and a warning", of("partial", at="$proxy"), 3),
    alike("any status of success", of("created", at="$proxy"), 3),
    both_refuse("a sample without a value", of("short", at="$proxy"), "didn't return enough values"),
    both_refuse("a value that is no number", of("words", at="$proxy"), "ParseFloat"),
    both_refuse("HTTP 500", of("broken", at="$proxy"), "status: 500"),
]


def of_guarded(auth=(), **keys):
    return of_jobs("mail", at="$guarded", auth=dict(auth), **keys)


CA, OWN = {"ca": "$ca"}, {"cert": "$cert", "key": "$key"}
LOGIN = {"username": USER, "password": PASSWORD}
HEADER = {"customAuthHeader": "Authorization",
          "customAuthValue": "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}

GUARDED = [
    alike("tls and basic", of_guarded({**CA, **OWN, **LOGIN}, authModes="tls,basic"), 37),
    alike("tls and a header", of_guarded({**CA, **OWN, **HEADER}, authModes="tls, custom"), 37),
    both_refuse("tls and a wrong password",
                of_guarded({**CA, **OWN, "username": USER, "password": "wrong"}, authModes="tls,basic"), "status: 401"),
    both_refuse("basic, and an unknown authority", of_guarded({**OWN, **LOGIN}, authModes="tls,basic"),
                "failed to verify certificate"),
    both_refuse("tls without a key", of_guarded({**CA, **LOGIN, "cert": "$cert"}, authModes="tls,basic"),
                "key=<empty>"),
    both_refuse("basic without a user", of_guarded({**CA, **OWN}, authModes="tls,basic"), "username=<empty>"),
    both_refuse("custom without a header", of_guarded({**CA, **OWN}, authModes="tls,custom"),
                "customAuthHeader=<empty>"),
    both_refuse("bearer without a token", of_guarded({**CA, **OWN}, authModes="tls,bearer"), "token=<empty>"),
    both_refuse("bearer and basic", of_guarded({**CA, **OWN, **LOGIN, "bearerToken": "x"}, authModes="bearer,basic"),
                "must contain only one of"),
    both_refuse("a mode that is none", of_guarded({**CA, **LOGIN}, authModes="digest"), "must be one of"),
]


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    make_certificates(folder)
    web = (f"tls_server_config:\n  cert_file: {folder}/own.pem\n  key_file: {folder}/own.key\n"
           f"  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: {folder}/ca.pem\n"
           f"basic_auth_users: {{{USER}: '{PASSWORD_HASH}'}}\n")
    with Prometheus(*SAMPLES) as broker, Prometheus(*SAMPLES, web=web) as guarded, Relay(broker) as relay:
        relay.answers = {query: (status, json.dumps({"status": "success", **body}).encode())
                         for query, (status, body) in PROXY.items()}
        yield {"prometheus": broker.url(), "guarded": guarded.url(), "proxy": relay.url(), "nobody": str(free_port()),
               **{name: (folder / file).read_text()
                  for name, file in {"ca": "ca.pem", "cert": "own.pem", "key": "own.key"}.items()}}


@each(QUERIES)
def test_queries(case, keda, client, places):
    compare(case, keda, client, places)


@each(PROXIED)
def test_answers_of_a_proxy(case, keda, client, places):
    compare(case, keda, client, places)


@each(GUARDED)
def test_authentication(case, keda, client, places):
    compare(case, keda, client, places)
