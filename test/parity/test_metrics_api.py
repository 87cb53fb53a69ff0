"""metrics-api, beside KEDA's."""

import pytest

from support.brokers.http_api import HttpApi, basic, redirect, reset, tls_context, truncated
from support.certificates import make_certificates
from support.clients.grpc_client import Client
from support.clients.keda import Refused, Trigger
from support.clients.side_by_side import ANSWERED, REFUSED, alike, both_refuse, compare, differs, each
from support.process import free_port
from support.server.server import Server

JSON = ('{"components": [{"id": "82328e93e", "tasks": 32, "str": "64", "k": "1k", "wrong": "NaN", "unit": "k"}, {"id": 7, "tasks": 5, '
        '"on": true}], "count": 2.43, "zero": 0, "few": 0.4, "debt": -3, "third": 0.33333, "large": 12345678901, "none": null, '
        '"off": false, "a.b": 3, "a*|#": 4, "empty": [], "words": ["x", 5], "blank": "", "binary": "1.5Ki", "milli": "1500m", '
        '"exponent": "1e3", "signed": "+5", "sign": "-", "cased": "1K", "digits": "12n"}')
YAML = ("{components: [{id: 82328e93e, tasks: 32, str: '64', k: 1k, wrong: NaN}], count: 2.43, none: ~, off: false, octal: 017, "
        "text: '017', hex: 0x10, nan: .nan, inf: .inf, minus: -5, exponent: 1e3, map: {1: 6, deep: {x: 7}}, "
        "same: &same {a: 5}, alias: *same, merged: {<<: *same}, thousand: 1_000, date: 2026-01-01}")
PROMETHEUS = """# HELP backend_queue_size Total number of items
# TYPE backend_queue_size counter
backend_queue_size{queueName="zero"} 0
backend_queue_size{queueName="one"} 1 1700000000000
backend_queue_size{queueName="two", instance="random"} 2
backend_queue_size{queueName="two", instance="zero"} 20
# TYPE random_metric gauge
random_metric 10
untyped_metric{path="a\\\\b\\"{}"} 4
# TYPE latency histogram
latency_bucket{le="1"} 3
latency_bucket{le="+Inf"} 5
latency_sum 7.5
latency_count 5
nothing NaN
endless +Inf
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="org/model"} 6.0
"""
TLS_KEYS = {"ca": "$ca", "cert": "$cert", "key": "$key"}

NO_NUMBER = "What is no number is an error, and never 0: NaN, infinity, a text without a digit (`k`), a part of the path that is missing."
PATHS = "Of GJSON there are names, indices, `\\`, `#` and `#(name==value)`; the rest is refused when the trigger is read."
LABELS = "A label with `!=`, `=~` or `!~`, which the built-in takes for `=`, is refused, too."
WHOLE = "A response that is no JSON as a whole, or has a key twice, is an error."
OF_YAML = "YAML: an alias is not followed, and an integer that is not written with decimal digits alone is an error."
SAMPLES = "The samples of histograms and summaries are found by their names, such as `x_count`."
MODES = "`ca` counts without `authMode`; a key that no mode uses is a mistake."
XML = "`format: xml` and `aggregateFromKubeServiceEndpoints` are refused."
REDIRECTION = "No redirection is followed: it could take credentials elsewhere."


def of(location, at="$api/json", target="5", auth=(), **keys):
    return Trigger("metrics-api", {"url": at, "valueLocation": location, "targetValue": target, **keys}, auth=dict(auth))


def of_yaml(location, **keys):
    return of(location, "$api/yaml", format="yaml", **keys)


def of_samples(location, **keys):
    return of(location, "$api/metrics", format="prometheus", **keys)


def without(trigger, key):
    return Trigger(trigger.type, {name: text for name, text in trigger.metadata.items() if name != key})


IN_JSON = [
    alike("a number", of("count"), 2.43),
    alike("0", of("zero"), 0),
    alike("below 1", of("few"), 0.4),
    alike("three decimals are kept", of("third"), 0.333),
    alike("more than 32 bits", of("large"), 12345678901),
    alike("below 0", of("debt"), 0),
    alike("below 0, and more than the activation", of("debt", activationTargetValue="-5"), 0, active=True),
    alike("as much as the activation", of("components.0.tasks", activationTargetValue="32"), 32, active=False),
    alike("a little more than the activation", of("components.0.tasks", activationTargetValue="31.9"), 32),
    alike("a decimal target", of("components.0.tasks", target="2.5"), 32),
    alike("an index", of("components.1.tasks"), 5),
    alike("an index with a zero before it", of("components.01.tasks"), 5),
    alike("a text", of("components.0.str"), 64),
    alike("a quantity", of("components.0.k"), 1000),
    alike("a binary quantity", of("binary"), 1536),
    alike("a quantity in thousandths", of("milli"), 1.5),
    alike("a quantity in billionths", of("digits"), 0, active=True),
    alike("a quantity with an exponent", of("exponent"), 1000),
    alike("a quantity with a sign", of("signed"), 5),
    alike("a name with a dot", of("a\\.b"), 3),
    alike("a name with other special characters", of("a\\*\\|#"), 4),
    alike("the length of a list", of("components.#"), 2),
    alike("the length of an empty list", of("empty.#"), 0),
    alike("an element with a text", of('components.#(id=="82328e93e").tasks'), 32),
    alike("an element with a text without quotes", of("components.#(id==82328e93e).tasks"), 32),
    alike("an element with a number", of("components.#(id==7).tasks"), 5),
    alike("an element with a number in quotes", of('components.#( id = "7" ).tasks'), 5),
    alike("an element with true", of("components.#(on==true).tasks"), 5),
    alike("an element itself", of("words.#(==5)"), 5),
    both_refuse("no element with this", of("components.#(id==8).tasks"), "must point to a numeric value"),
    both_refuse("an escaped index", of("components.\\0.tasks"), "must point to a numeric value"),
    both_refuse("nothing there", of("missing"), "must point to a numeric value"),
    both_refuse("nothing there behind a number", of("count.more"), "must point to a numeric value"),
    both_refuse("an index too large", of("components.2.tasks"), "must point to a numeric value"),
    both_refuse("null", of("none"), "got Null"),
    both_refuse("false", of("off"), "got False"),
    both_refuse("a list", of("components"), "got JSON"),
    both_refuse("an object", of("components.0"), "got JSON"),
    both_refuse("words", of("components.0.wrong"), "not parseable as a Quantity"),
    both_refuse("an empty text", of("blank"), "not parseable as a Quantity"),
    both_refuse("a suffix in the wrong case", of("cased"), "not parseable as a Quantity"),
    both_refuse("a list of values", of("components.#.tasks"), "got JSON"),
    both_refuse("no valueLocation", without(of("count"), "valueLocation"), "missing required parameter"),
    both_refuse("no url", without(of("count"), "url"), "missing required parameter"),
    both_refuse("no targetValue", without(of("count"), "targetValue"), "no targetValue given"),
    both_refuse("a target of 0", of("count", target="0"), "no targetValue given"),
    both_refuse("a target with a comma", of("count", target="1,5"), "unable to set param"),
    both_refuse("a timeout below 0", of("count", timeout="-1"), "timeout"),
    both_refuse("a format that is none", of("count", format="toml"), "must be one of"),
    alike("a timeout in milliseconds", of("count", timeout="1000"), 2.43),
    alike("a timeout with a unit", of("count", timeout="1m"), 2.43),
    differs("a unit without a number", of("components.0.unit"), keda=(0, False), ours=REFUSED, because=NO_NUMBER),
    differs("a sign without a number", of("sign"), keda=(0, False), ours=REFUSED, because=NO_NUMBER),
    differs("a wildcard", of("cou*"), keda=(2.43, True), ours=REFUSED, because=PATHS),
    differs("a pipe", of("components|1|tasks"), keda=(5, True), ours=REFUSED, because=PATHS),
    differs("a modifier", of("components.@reverse.0.tasks"), keda=(5, True), ours=REFUSED, because=PATHS),
    differs("another query", of("components.#(tasks<10).tasks"), keda=(5, True), ours=REFUSED, because=PATHS),
    differs("a key that is there twice", of("count", at="$api/twice"), keda=(1, True), ours=REFUSED, because=WHOLE),
    differs("what is no JSON behind the number", of("count", at="$api/torn"), keda=(1, True), ours=REFUSED, because=WHOLE),
    differs("a target below 0", of("count", target="-4"), keda=(2.43, True), ours=REFUSED,
            because="a number such as 2.5, at least 0.001"),
    differs("aggregation", of("count", aggregationType="sum"), keda=(2.43, True), ours=REFUSED, because=XML),
]

IN_YAML = [
    alike("a number", of_yaml("count"), 2.43),
    alike("an index", of_yaml("components.0.tasks"), 32),
    alike("a text", of_yaml("components.0.str"), 64),
    alike("a text that begins with 0", of_yaml("text"), 17),
    alike("a quantity", of_yaml("components.0.k"), 1000),
    alike("below 0", of_yaml("minus"), 0),
    alike("an exponent", of_yaml("exponent"), 1000),
    alike("a key that is a number", of_yaml("map.1"), 6),
    alike("three keys", of_yaml("map.deep.x"), 7),
    both_refuse("words", of_yaml("components.0.wrong"), "not parseable as a Quantity"),
    both_refuse("nothing there", of_yaml("missing"), "not found in path"),
    both_refuse("an index too large", of_yaml("components.1.tasks"), "not found in path"),
    both_refuse("a list", of_yaml("components"), "does not lead to a value"),
    both_refuse("null", of_yaml("none"), "must point to a numeric value"),
    both_refuse("false", of_yaml("off"), "must point to a numeric value"),
    both_refuse("a date", of_yaml("date"), "must point to a numeric value"),
    both_refuse("no YAML", of("a", "$api/broken", format="yaml"), "yaml:"),
    differs("a path that goes on", of_yaml("count.more"), keda=(2.43, True), ours=REFUSED, because=NO_NUMBER),
    differs("an octal number", of_yaml("octal"), keda=(15, True), ours=REFUSED, because=OF_YAML),
    differs("a hexadecimal number", of_yaml("hex"), keda=(16, True), ours=REFUSED, because=OF_YAML),
    differs("a number with _", of_yaml("thousand"), keda=(1000, True), ours=REFUSED, because=OF_YAML),
    differs("an alias", of_yaml("alias.a"), keda=(5, True), ours=REFUSED, because=OF_YAML),
    differs("what is merged", of_yaml("merged.a"), keda=(5, True), ours=REFUSED, because=OF_YAML),
    differs("NaN", of_yaml("nan"), keda=ANSWERED, ours=REFUSED, because=NO_NUMBER),
    differs("infinity", of_yaml("inf"), keda=ANSWERED, ours=REFUSED, because=NO_NUMBER),
    both_refuse("XML, which the built-in cannot read, either", of("a", "$api/xml", format="xml"), "map[string]interface"),
]

IN_SAMPLES = [
    alike("a gauge", of_samples("random_metric"), 10),
    alike("the first series", of_samples("backend_queue_size"), 0),
    alike("a label", of_samples('backend_queue_size{queueName="one"}'), 1),
    alike("the first series with a label", of_samples('backend_queue_size{queueName="two"}'), 2),
    alike("two labels", of_samples('backend_queue_size{queueName="two", instance="zero"}'), 20),
    alike("single quotes", of_samples("backend_queue_size{queueName='two',instance='zero',}"), 20),
    alike("a metric without a type", of_samples('untyped_metric{path="a\\\\b\\"{}"}'), 4),
    alike("vLLM", of_samples('vllm:num_requests_waiting{model_name="org/model"}'), 6),
    both_refuse("no metric", of_samples("queue"), "not found"),
    both_refuse("no series", of_samples('backend_queue_size{queueName="three"}'), "not found"),
    both_refuse("an unknown label that is empty", of_samples('random_metric{a=""}'), "not found"),
    both_refuse("no selector", of_samples("sum(random_metric)"), "parse error"),
    both_refuse("a label without quotes", of_samples("random_metric{a=b}"), "parse error"),
    differs("a label that is not this", of_samples('backend_queue_size{queueName!="one"}'), keda=(1, True), ours=REFUSED,
            because=LABELS),
    differs("the number of a histogram", of_samples("latency_count"), keda=Refused("not found"), ours=(5, True), because=SAMPLES),
    differs("NaN", of_samples("nothing"), keda=ANSWERED, ours=REFUSED, because=NO_NUMBER),
    differs("infinity", of_samples("endless"), keda=ANSWERED, ours=REFUSED, because=NO_NUMBER),
]

OVER_HTTP = [
    alike("parameters", of("count", at="$api/json?state=new&tenant=a%20b"), 2.43),
    alike("a slash at the end", of("count", at="$api/slash/"), 4),
    both_refuse("another status of success", of("count", at="$api/created"), "api returned 201"),
    both_refuse("404", of("count", at="$api/nowhere"), "api returned 404"),
    both_refuse("503", of("count", at="$api/down"), "api returned 503"),
    both_refuse("a response that is cut", of("count", at="$api/cut"), "unexpected EOF"),
    both_refuse("a connection that breaks", of("count", at="$api/reset"), ("EOF", "reset")),
    both_refuse("nobody listens", of("count", at="http://127.0.0.1:$nobody"), "connection refused"),
    differs("a redirection", of("count", at="$api/moved"), keda=(2.43, True), ours=REFUSED, because=REDIRECTION),
]

LOGIN = {"username": "keda", "password": "Sesame"}


def of_login(at, auth=(), **keys):
    return of("count", f"${at}/json", auth=auth, **keys)


LOGINS = [
    alike("an API key", of_login("keyed", {"apiKey": "Sesame"}, authMode="apiKey"), 2.43),
    alike("an API key in the metadata", of_login("keyed", authMode="apiKey", apiKey="Sesame"), 2.43),
    alike("an API key in another header", of_login("basic", {"apiKey": "$word"}, authMode="apiKey", keyParamName="Authorization"), 2.43),
    alike("an API key as a parameter", of_login("api", {"apiKey": "Se&same", "method": "query"}, authMode="apiKey"), 2.43),
    alike("a user", of_login("basic", LOGIN, authMode="basic"), 2.43),
    alike("a user in the URL", of("count", "$user/json"), 2.43),
    alike("a token", of_login("bearer", {"token": "Sesame"}, authMode="bearer"), 2.43),
    alike("a token by its other name", of_login("bearer", {"bearerToken": "Sesame"}, authModes="bearer"), 2.43),
    alike("TLS", of_login("sealed", TLS_KEYS, authMode="tls"), 2.43),
    alike("TLS that is not verified", of_login("sealed", {"cert": "$cert", "key": "$key"}, authMode="tls", unsafeSsl="true"), 2.43,
          server=of_login("sealed", {"cert": "$cert", "key": "$key"}, authMode="tls", brokerUnsafeSsl="true")),
    both_refuse("an unknown authority", of_login("sealed", {"cert": "$cert", "key": "$key"}, authMode="tls"), "failed to verify certificate"),
    both_refuse("no certificate", of_login("sealed", {"ca": "$ca"}), ("certificate", "tls")),
    both_refuse("a wrong key", of_login("keyed", {"apiKey": "wrong"}, authMode="apiKey"), "api returned 401"),
    both_refuse("a wrong password", of_login("basic", {**LOGIN, "password": "wrong"}, authMode="basic"), "api returned 401"),
    both_refuse("no login", of_login("bearer"), "api returned 401"),
    both_refuse("no key", of_login("keyed", authMode="apiKey"), "apiKey is required"),
    both_refuse("no user", of_login("basic", authMode="basic"), "username=<empty>"),
    both_refuse("no token", of_login("bearer", authMode="bearer"), "bearer token=<empty>"),
    both_refuse("no key of a certificate", of_login("sealed", {"cert": "$cert"}, authMode="tls"), "key=<empty>"),
    both_refuse("two modes that exclude each other", of_login("basic", {**LOGIN, "token": "x"}, authMode="basic,bearer"),
                "must contain only one of"),
    both_refuse("custom", of_login("keyed", {"customAuthHeader": "X-API-KEY", "customAuthValue": "Sesame"}, authMode="custom"),
                "is not supported by this scaler"),
    both_refuse("a mode that is none", of_login("basic", LOGIN, authMode="digest"), "must be one of"),
    differs("a user, and no mode", of_login("api", {"username": "keda"}), keda=(2.43, True), ours=REFUSED, because=MODES),
]


@pytest.fixture(scope="module")
def client():
    with Server(arguments=["--allow-local-targets"]) as server, Client(server.port) as client:
        yield client


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    make_certificates(folder)
    answers = {"/json": JSON, "/yaml": YAML, "/metrics": PROMETHEUS, "/twice": '{"count": 1, "count": 2}', "/torn": '{"count": 1} x}',
               "/broken": "a: [1", "/xml": "<a>5</a>", "/slash/": {"count": 4}, "/created": (201, {"count": 3}), "/down": (503, "down"),
               "/cut": truncated, "/reset": reset}
    word = basic(*LOGIN.values())
    with HttpApi(answers) as api, HttpApi(answers, "X-API-KEY", "Sesame") as keyed, HttpApi(answers, "Authorization", word) as guarded, \
            HttpApi(answers, "Authorization", "Bearer Sesame") as bearer, \
            HttpApi(answers, tls=tls_context(folder, folder / "ca.pem")) as sealed:
        api.answers["/moved"] = redirect(api.url("/json"))
        yield {"api": api.url(""), "keyed": keyed.url(""), "basic": guarded.url(""), "bearer": bearer.url(""), "sealed": sealed.url(""),
               "user": guarded.url("").replace("://", "://keda:Sesame@"), "word": word, "nobody": str(free_port()),
               **{name: (folder / file).read_text() for name, file in {"ca": "ca.pem", "cert": "own.pem", "key": "own.key"}.items()}}


@each(IN_JSON)
def test_json(case, keda, client, places):
    compare(case, keda, client, places)


@each(IN_YAML)
def test_yaml(case, keda, client, places):
    compare(case, keda, client, places)


@each(IN_SAMPLES)
def test_samples(case, keda, client, places):
    compare(case, keda, client, places)


@each(OVER_HTTP)
def test_responses(case, keda, client, places):
    compare(case, keda, client, places)


@each(LOGINS)
def test_logins(case, keda, client, places):
    compare(case, keda, client, places)
