"""What each key of the rabbitmq scaler does, with a real broker: modes, patterns, certificates, wrong hosts.

The broker's management API stands behind a path, and its statistics are refreshed each second.
"""

import base64
import json
import re
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from support.certificates import make_certificate, make_root
from support.clients.grpc_client import Client, refusal
from support.brokers.oauth import TokenEndpoint, segment
from support.process import free_port, wait_until
from support.brokers.rabbitmq import RabbitMQ, quoted
from support.server.server import Server
from support.network.tap import Tap

PREFIX = "/some/path"
KEY_PASSWORD = "sesame-key"
PLUGINS = ["rabbitmq_auth_mechanism_ssl", "rabbitmq_auth_backend_oauth2"]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Of the broker and of its clients: a plain one, an encrypted one, a stranger's, another root's."""
    folder = tmp_path_factory.mktemp("certificates")
    for root in ("ca", "elsewhere"):
        make_root(folder, root)
    make_certificate(folder, "server")
    make_certificate(folder, "worker", "worker")
    make_certificate(folder, "encrypted", "worker", password=KEY_PASSWORD)
    make_certificate(folder, "stranger", "stranger")
    make_certificate(folder, "foreign", "worker", root="elsewhere")
    make_certificate(folder, "tokens")
    subprocess.run(["openssl", "pkey", "-in", "tokens.key", "-pubout", "-out", "tokens.pub"], cwd=folder, check=True)
    return folder


@pytest.fixture(scope="module")
def broker(certificates):
    ports = {"amqp": free_port(), "http": free_port()}
    files = {"cacertfile": "ca.pem", "certfile": "server.pem", "keyfile": "server.key"}
    lines = [
        "collect_statistics_interval = 1000",
        f"listeners.ssl.1 = {ports['amqp']}", f"management.ssl.port = {ports['http']}",
        "auth_mechanisms.1 = PLAIN", "auth_mechanisms.2 = AMQPLAIN", "auth_mechanisms.3 = EXTERNAL",
        "ssl_cert_login_from = common_name",
        "auth_backends.1 = internal", "auth_backends.2 = rabbit_auth_backend_oauth2",
        "auth_oauth2.resource_server_id = rabbitmq", "auth_oauth2.default_key = key",
        f"auth_oauth2.signing_keys.key = {certificates / 'tokens.pub'}"]
    for options in ("ssl_options", "management.ssl"):
        lines += [*(f"{options}.{key} = {certificates / name}" for key, name in files.items()),
                  f"{options}.verify = verify_peer", f"{options}.fail_if_no_peer_cert = true"]
    with RabbitMQ("\n".join(lines), plugins=PLUGINS, prefix=PREFIX) as broker:
        broker.tls_ports = ports
        broker.create_user("worker", "not used", tags="")
        yield broker


@pytest.fixture
def server():
    with Server(interval="500ms", hold="3s") as server:
        yield server


@pytest.fixture
def client(server):
    with Client(server.port) as client:
        yield client


def trigger(host, queue, **keys):
    return {"scaler": "rabbitmq", "host": host, "queueName": queue, **keys}


def value(client, requested):
    return client.metrics(requested).metricValueFloat


def wait_for_value(client, requested, expected, seconds=8):
    wait_until(lambda: value(client, requested) == expected, seconds, f"the value {expected}")


def refused(client, requested, *words):
    code, text = refusal(client.metrics, requested)
    assert code == grpc.StatusCode.UNAVAILABLE, text
    for word in words:
        assert word in text
    return text


# Modes: what the management API itself says at the moment is what must be answered.

class Work:
    """Publishes to a queue, and takes from it at half the pace, for as long as it is there."""

    def __init__(self, broker, queue):
        self.broker, self.queue, self.over = broker, queue, threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        with self.broker.connect() as connection:
            channel = connection.channel()
            for turn in range(100000):
                if self.over.wait(0.02):
                    return
                channel.basic_publish("", self.queue, b"work")
                if turn % 2:
                    channel.basic_get(self.queue, auto_ack=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def reported(broker, queue):
    """Messages, and the rates at which they are published and are delivered or got."""
    answer = broker.api("GET", f"/queues/%2F/{quoted(queue)}")
    stats = answer["message_stats"]
    return answer["messages"], stats["publish_details"]["rate"], stats["deliver_get_details"]["rate"]


EXPECTED = {
    "QueueLength": lambda messages, published, delivered: messages,
    "MessageRate": lambda messages, published, delivered: published,
    "DeliverGetRate": lambda messages, published, delivered: delivered,
    "PublishedToDeliveredRatio": lambda messages, published, delivered: published / delivered,
    "ExpectedQueueConsumptionTime":
        lambda messages, published, delivered: (published - delivered) / delivered + messages / delivered,
}


def test_each_mode_answers_what_the_broker_reports(broker, client):
    queue = "in motion"
    broker.declare(queue)
    requested = {mode: trigger(broker.http_url(), queue, mode=mode, value="2.5") for mode in EXPECTED}
    with Work(broker, queue):
        wait_until(lambda: min(reported(broker, queue)) > 0, 20, "rates")

        def matches(mode):
            before = reported(broker, queue)
            answered = client.metrics(requested[mode]).metricValueFloat
            if mode == "QueueLength":  # counted at once, not with the statistics
                return abs(answered - before[0]) < 50
            near = 2 if mode == "ExpectedQueueConsumptionTime" else 0.01  # there are more messages meanwhile
            return before[1:] == reported(broker, queue)[1:] and answered == pytest.approx(EXPECTED[mode](*before), abs=near)

        for mode in EXPECTED:
            wait_until(lambda mode=mode: matches(mode), 20, f"{mode} as the broker tells it")
            assert client.is_active(requested[mode])
            assert client.metric_spec(requested[mode]).targetSizeFloat == 2.5


def test_an_idle_queue_has_rates_of_0(broker, client):
    """One that had no message yet has no rates in the management API, where the broker keeps them."""
    broker.declare("never used")
    for mode in EXPECTED:
        requested = trigger(broker.http_url(), "never used", mode=mode, value="5")
        wait_for_value(client, requested, 0)
        assert not client.is_active(requested)


def test_messages_make_a_queue_without_rates_active(broker, client):
    broker.declare("stuck")
    broker.publish("stuck", 6)
    wait_until(lambda: reported_messages(broker, "stuck") == 6, 10, "statistics")
    time.sleep(5)  # the rate of what was published falls back to 0
    for mode, expected, active in (("MessageRate", 0, True), ("ExpectedQueueConsumptionTime", 3, True),
                                   ("DeliverGetRate", 0, False), ("PublishedToDeliveredRatio", 0, False)):
        requested = trigger(broker.http_url(), "stuck", mode=mode, value="5", activationValue="3")
        wait_for_value(client, requested, expected, 15)
        assert client.is_active(requested) == active


def reported_messages(broker, queue):
    return broker.api("GET", f"/queues/%2F/{quoted(queue)}").get("messages")


def test_rates_that_the_broker_does_not_keep_are_an_error(broker, client):
    broker.declare("unrated")
    broker.publish("unrated")
    change = "application:{}(rabbitmq_management_agent, rates_mode{})."
    broker.ctl("eval", change.format("set_env", ", none"))
    try:
        for queue in ("unrated", "never used by anybody"):
            broker.declare(queue)
            requested = trigger(broker.http_url(), queue, mode="MessageRate", value="5", timeout="2s")
            wait_until(lambda requested=requested: "report its rates" in refusal(client.metrics, requested)[1], 10, "an error")
            assert "rates_mode" in refused(client, requested)
    finally:
        broker.ctl("eval", change.format("set_env", ", basic"))


# Patterns.

@pytest.fixture(scope="module")
def pages(broker):
    """25 queues, page-00 with no message to page-24 with 24, of which each third has 1 unacknowledged."""
    vhost = "pages /%"
    broker.create_vhost(vhost)
    queues = [f"page-{i:02} /%" for i in range(25)]
    broker.declare(*queues, "other", vhost=vhost)
    broker.publish("other", 100, vhost)
    for i, queue in enumerate(queues):
        if i > 0:
            broker.publish(queue, i, vhost)
        if i % 3 == 2:
            broker.consume_without_ack(queue, 1, vhost)
    yield vhost
    broker.release()


@pytest.mark.parametrize("operation, everything, ready", [("sum", 300, 292), ("avg", 12, 292 / 25), ("max", 24, 24)])
def test_every_page_of_a_pattern_counts(broker, client, pages, operation, everything, ready):
    keys = {"useRegex": "true", "pageSize": "10", "operation": operation}
    requested = trigger(broker.http_url(pages), "^page-[0-9]+", **keys)
    wait_for_value(client, requested, everything)
    assert client.metric_spec(requested).metricName == "rabbitmq-%5Epage--5B0-9-5D-2B".replace("%", "-")
    requested = trigger(broker.http_url(pages), "^page-[0-9]+", excludeUnacknowledged="true", **keys)
    assert value(client, requested) == pytest.approx(ready, abs=0.001)


def test_a_pattern_is_one_page_whatever_its_page_size(broker, pages):
    with Tap(broker.management_port) as tap, Server(interval="60s") as server, Client(server.port) as client:
        host = broker.http_url(pages).replace(str(broker.management_port), str(tap.port))
        for size in ("10", "500", "25", "24"):
            tap.forget()
            assert value(client, trigger(host, f"^page-(?#{size})", useRegex="true", pageSize=size)) == 300
            assert tap.count(b"page_size=500&") == tap.count(b"page_size=") == 1


def test_a_pattern_may_match_in_the_middle_and_in_any_case(broker, client, pages):
    assert value(client, trigger(broker.http_url(pages), "AGE-0[1-3]", useRegex="true")) == 6
    assert value(client, trigger(broker.http_url(pages), r"^page-2\d /%$", useRegex="true")) == 110


def test_a_pattern_without_queues_is_0(broker, client, pages):
    for operation in ("sum", "avg", "max"):
        requested = trigger(broker.http_url(pages), "^nothing$", useRegex="true", operation=operation)
        assert value(client, requested) == 0
        assert not client.is_active(requested)


def test_a_wrong_pattern_fails_alone(broker, client, pages):
    wrong = trigger(broker.http_url(pages), "page-(", useRegex="true")
    good = trigger(broker.http_url(pages), "other")
    assert value(client, good) == 100
    code, text = refusal(client.metrics, wrong)
    assert code == grpc.StatusCode.INVALID_ARGUMENT and "queueName is not a regular expression of PCRE: missing closing" in text
    for _ in range(3):
        assert value(client, good) == 100
        time.sleep(0.5)


def test_patterns_have_rates(broker, client, pages):
    for mode in ("MessageRate", "DeliverGetRate"):
        wait_for_value(client, trigger(broker.http_url(pages), "^page-", useRegex="true", mode=mode, value="1"), 0, 20)


def test_a_missing_vhost_is_reported(broker, client):
    for keys in ({}, {"useRegex": "true"}, {"mode": "MessageRate", "value": "1"}):
        refused(client, trigger(broker.http_url("nowhere"), "q", **keys), "vhost 'nowhere'")


def test_several_slashes_of_a_host_are_one(broker, client, pages):
    host = f"http://guest:guest@127.0.0.1:{broker.management_port}/{PREFIX.replace('/', '//')}//"
    assert value(client, trigger(host + quoted(pages), "page-07 /%")) == 7
    assert value(client, trigger(host, "page-07 /%", vhostName=pages)) == 7
    assert value(client, trigger(f"amqp://guest:guest@127.0.0.1:{broker.port}//", "page-07 /%", vhostName=pages)) == 7


# Kinds of queues.

@pytest.mark.parametrize("protocol", ["amqp", "http"])
def test_quorum_queues_and_streams_count(broker, client, protocol):
    """The management API's totals do not have streams; the other queues must be in them nevertheless."""
    vhost = f"kinds-{protocol}"
    broker.create_vhost(vhost)
    for kind in ("quorum", "stream", "classic"):
        broker.declare(kind, vhost=vhost, arguments={"x-queue-type": kind})
        broker.publish(kind, 3, vhost)
    port, host = ((broker.port, broker.amqp_url(vhost)) if protocol == "amqp" else
                  (broker.management_port, broker.http_url(vhost)))
    with Tap(port) as tap:
        host = host.replace(str(port), str(tap.port))
        for kind in ("classic", "quorum", "stream"):
            wait_until(lambda kind=kind: value(client, trigger(host, kind)) == 3, 20, f"3 messages of the {kind} queue")
        tap.forget()
        time.sleep(2)
        if protocol == "http":
            assert tap.count(b"disable_stats=true") >= 2


# A thousand queues.

@pytest.fixture(scope="module")
def thousand(broker):
    """990 queues, each tenth with messages, and the names of ten more that do not exist."""
    vhost = "thousand"
    broker.create_vhost(vhost)
    queues = [f"q{i}" for i in range(1000)]
    missing = set(queues[7::100])
    broker.declare(*(queue for queue in queues if queue not in missing), vhost=vhost)
    counts = {}
    with broker.connect(vhost) as connection:
        channel = connection.channel()
        for i, queue in enumerate(queues):
            counts[queue] = None if queue in missing else i % 10
            for _ in range(counts[queue] or 0):
                channel.basic_publish("", queue, b"work")
    wait_until(lambda: reported_in_all(broker, vhost) == sum(filter(None, counts.values())), 20, "statistics")
    return vhost, counts


def reported_in_all(broker, vhost):
    queues = broker.api("GET", f"/queues/{vhost}?columns=messages")
    assert len(queues) == 990
    return sum(queue["messages"] for queue in queues)


def answers(client, requested):
    """By queue: the value, or None where the error is that there is no such queue. All are requested at once."""
    def answer(queue):
        metadata = requested[queue]
        try:
            return client.metrics(metadata, metric_name=f"rabbitmq-{queue}").metricValueFloat
        except grpc.RpcError as error:
            assert f"no queue '{queue}' in vhost 'thousand'" in error.details(), error.details()
            return None
    with ThreadPoolExecutor(50) as pool:
        return dict(zip(requested, pool.map(answer, requested)))


@pytest.mark.parametrize("protocol", [pytest.param("amqp", marks=pytest.mark.nightly), "http",
                                      pytest.param("http, one by one", marks=pytest.mark.nightly)])
def test_of_1000_queues_10_are_missing_every_time(broker, client, thousand, protocol):
    vhost, counts = thousand
    port, host = ((broker.port, broker.amqp_url(vhost)) if protocol == "amqp" else
                  (broker.management_port, broker.http_url(vhost)))
    keys, expected = {}, counts
    if protocol == "http, one by one":  # from statistics, a few of which are asked for by name
        keys = {"mode": "DeliverGetRate", "value": "5"}
        expected = {queue: None if count is None else 0 for queue, count in counts.items()}
    with Tap(port) as tap:
        host = host.replace(str(port), str(tap.port))
        requested = {queue: trigger(host, queue, **keys) for queue in counts}
        for _ in range(4):
            assert answers(client, requested) == expected
            time.sleep(0.6)
        assert tap.connections <= (1 if protocol == "amqp" else 16)
        tap.forget()
        began = time.monotonic()
        time.sleep(2)
        if protocol != "amqp":  # each half second: a listing; of statistics, twenty by name as well (eight beside
            # the listing, those that it does not have) and the 57 that a listing would cost more than, where they come late
            made = tap.count(b"GET ")
            assert made <= ((time.monotonic() - began) / 0.5 + 1) * (1 if protocol == "http" else 21 + 57)


# Certificates.

def tls_host(broker, protocol, login="guest:guest@"):
    prefix = PREFIX if protocol == "http" else ""
    return f"{protocol}s://{login}127.0.0.1:{broker.tls_ports[protocol]}{prefix}/"


def own(certificates, name, **keys):
    return {"tls": "enable", "ca": (certificates / "ca.pem").read_text(),
            "cert": (certificates / f"{name}.pem").read_text(),
            "key": (certificates / f"{name}.key").read_text(), **keys}


@pytest.fixture(scope="module")
def sealed(broker):
    broker.declare("sealed")
    broker.publish("sealed", 3)
    return "sealed"


@pytest.mark.parametrize("protocol", ["amqp", "http"])
def test_a_certificate_is_shown_and_wanted(broker, client, certificates, sealed, protocol):
    good = trigger(tls_host(broker, protocol), sealed, **own(certificates, "worker"))
    assert value(client, good) == 3
    encrypted = own(certificates, "encrypted", keyPassword=KEY_PASSWORD)
    assert value(client, trigger(tls_host(broker, protocol), sealed, **encrypted)) == 3
    assert value(client, {**good, "ca": "", "brokerUnsafeSsl": "true"}) == 3

    words = {"amqp": "TLS handshake failed", "http": "SSL"}[protocol]
    refused(client, {**good, "ca": ""}, words, "set ca to the certificates of its authority", 'brokerUnsafeSsl: "true"')
    refused(client, {**good, "host": good["host"].replace("127.0.0.1", "localhost")}, words)
    refused(client, trigger(tls_host(broker, protocol), sealed, **own(certificates, "foreign")))
    refused(client, {**good, "cert": "", "key": ""})
    assert value(client, good) == 3


@pytest.mark.parametrize("protocol", ["amqp", "http"])
def test_a_key_that_cannot_be_used_is_reported_without_it(broker, server, client, certificates, sealed, protocol):
    host = tls_host(broker, protocol)
    encrypted = own(certificates, "encrypted")
    for keys, words in ((encrypted, "needs keyPassword"),
                        ({**encrypted, "keyPassword": "sesame-wrong"}, "cannot be decrypted by keyPassword"),
                        ({**own(certificates, "worker"), "key": encrypted["key"], "keyPassword": KEY_PASSWORD},
                         "must be the private key of cert"),
                        ({**encrypted, "key": "sesame"}, "must hold a PEM private key")):
        code, text = refusal(client.metrics, trigger(host, sealed, **keys))
        assert words in text and code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNAVAILABLE)
        assert "sesame" not in text and "PRIVATE KEY-" not in text
    assert "sesame" not in server.log() and "PRIVATE KEY-" not in server.log()


def test_a_certificate_names_the_user(broker, client, certificates, sealed):
    """SASL EXTERNAL: over amqps, with tls enable, and without a password anywhere."""
    host = tls_host(broker, "amqp", login="")
    requested = trigger(host, sealed, **own(certificates, "worker"))
    assert value(client, requested) == 3
    wait_until(lambda: users_of(broker) == {"worker"}, 10, "only the certificate's user is connected")  # others' are closing
    refused(client, trigger(host, sealed, **own(certificates, "stranger")), "ACCESS_REFUSED")
    assert value(client, requested) == 3

    assert value(client, trigger(host, sealed, **own(certificates, "worker", tls="disable"))) == 3
    wait_until(lambda: users_of(broker) == {"worker", "guest"}, 10, "AMQP's default user is connected, too")


@pytest.mark.parametrize("asked, user, mechanism", [
    ("", "guest", "PLAIN"), ("?auth_mechanism=external", "worker", "EXTERNAL"),
    ("?auth_mechanism=AMQPLAIN&auth_mechanism=PLAIN", "guest", "AMQPLAIN")])
def test_a_host_chooses_how_to_log_in(broker, certificates, sealed, asked, user, mechanism):
    """A password of the host leaves EXTERNAL to its query."""
    requested = trigger(tls_host(broker, "amqp") + asked, sealed, **own(certificates, "worker"))
    with Server() as server, Client(server.port) as client:
        assert value(client, requested) == 3
        wait_until(lambda: logins_of(broker) == {(user, mechanism)}, 10, "this login alone")


def logins_of(broker):
    listed = broker.ctl("list_connections", "user", "auth_mechanism", "ssl", "--formatter", "json")
    return {(one["user"], one["auth_mechanism"]) for one in json.loads(listed) if one["ssl"]}


def users_of(broker):
    """Of our connections that TLS is spoken on."""
    listed = broker.ctl("list_connections", "user", "ssl", "--formatter", "json")
    return {one["user"] for one in json.loads(listed) if one["ssl"]}


# Tokens.

class SignedTokenEndpoint(TokenEndpoint):
    """Its tokens are signed, so that RabbitMQ can verify them."""

    def __init__(self, key, seconds=3600):
        super().__init__(seconds=seconds)
        self.key = key

    def token(self, form):
        text = ".".join([segment({"alg": "RS256", "kid": "key"}), segment({
            "aud": ["rabbitmq"], "exp": int(time.time()) + self.seconds, "client_id": self.client_id,
            "scope": ["rabbitmq.read:*/*", "rabbitmq.tag:management"]})])
        signed = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.key], input=text.encode(), check=True,
                                capture_output=True).stdout
        return f"{text}.{base64.urlsafe_b64encode(signed).rstrip(b'=').decode()}"


def with_token(broker, endpoint, path="/token", **keys):
    host = f"http://127.0.0.1:{broker.management_port}{PREFIX}/"
    return trigger(host, "sealed", oauthTokenURI=endpoint.url + path, **{
        "clientID": endpoint.client_id, "clientSecret": endpoint.client_secret, **keys})


def test_a_token_lets_us_in(broker, server, client, certificates, sealed):
    with SignedTokenEndpoint(certificates / "tokens.key") as endpoint:
        requested = with_token(broker, endpoint, scopes="read, tag", endpointParams="audience=a%2Fb")
        assert value(client, requested) == 3
        assert value(client, with_token(broker, endpoint, "/body")) == 3
        assert endpoint.requests[0] == (
            "/token", {"grant_type": "client_credentials", "scope": "read tag", "audience": "a/b"})
        count = len(endpoint.requests)
        time.sleep(1.2)
        assert value(client, requested) == 3
        assert len(endpoint.requests) == count  # it is kept

        for path, keys, words in (("/token", {"clientSecret": "s3cret"}, "answered with status 401, invalid_client"),
                                  ("/hang", {}, "request to the token endpoint"),
                                  ("/garbage", {}, "without an access_token")):
            text = refused(client, with_token(broker, endpoint, path, **keys), words)
            assert "s3cret" not in text
        assert "s3cret" not in server.log()


def test_a_token_is_renewed_in_time(broker, client, certificates, sealed):
    with SignedTokenEndpoint(certificates / "tokens.key", seconds=3) as endpoint:
        requested = with_token(broker, endpoint)
        start = time.monotonic()
        while time.monotonic() - start < 6:
            assert value(client, requested) == 3
            time.sleep(0.2)
        assert 2 <= len(endpoint.requests) <= 6


# Hosts that are none.

class Garbage:
    """Takes connections and answers everything with the same bytes, or with nothing."""

    def __init__(self, answer):
        self.answer = answer
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.open = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
                self.open.append(connection)
                if self.answer:
                    connection.recv(4096)
                    connection.sendall(self.answer)
            except OSError:
                return

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()
        for connection in self.open:
            connection.close()


PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n<welcome>"
DESERT = b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n" + b"[" * 100000


@pytest.mark.parametrize("protocol", ["amqp", "http"])
def test_a_host_that_is_no_broker_is_reported_in_time_and_affects_no_other(broker, server, client, sealed, protocol):
    good = trigger(broker.amqp_url() if protocol == "amqp" else broker.http_url(), sealed)
    assert value(client, good) == 3
    with Garbage(PAGE) as page, Garbage(DESERT) as desert, Garbage(b"\x01\x00" * 9999) as noise, Garbage(b"") as mute:
        addresses = [f"127.0.0.1:{port}" for port in (page.port, desert.port, noise.port, mute.port, free_port())]
        for address in [*addresses, "no-such-host.invalid:5672"]:
            for tls in ("", "s"):
                start = time.monotonic()
                text = refused(client, trigger(f"{protocol}{tls}://u:sesame@{address}/", sealed), "RabbitMQ")
                assert time.monotonic() - start < 4.5
                assert "sesame" not in text
                assert value(client, good) == 3
    assert "sesame" not in server.log()


def test_a_timeout_of_ones_own_is_kept(client):
    with Garbage(b"") as mute:
        requested = trigger(f"http://127.0.0.1:{mute.port}/", "q", timeout="300ms")

        def is_kept():
            start = time.monotonic()
            kept = re.search(r" after 3\d\d milliseconds", refused(client, requested, "timed out"))
            return kept and time.monotonic() - start < 1.8

        # It is when libcurl woke up that counts: on a busy machine not always in the same tenth of a second.
        wait_until(is_kept, 20, "300 ms")
