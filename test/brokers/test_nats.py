"""nats-jetstream against a real nats-server, through the server and KEDA's calls."""

import concurrent.futures
import contextlib
import http.server
import json
import os
import queue
import subprocess
import threading
import time
import urllib.request

import grpc
import pytest

from support.certificates import make_certificate, make_intermediate
from support.clients.grpc_client import Client, refusal
from support.brokers.nats import Nats, monitored, trigger
from support.brokers.nats_jwt import Operator
from support.clients.rounds import fetch_all
from support.pages.page import get
from support.process import need, wait_until
from support.server.server import Server
from support.clients.story import answers, outage, unavailable, value

INTERVAL_SECONDS = 1
HOLD_SECONDS = 3
MANY = 1000


@pytest.fixture(scope="module")
def nats():
    with Nats() as server:
        yield server


@pytest.fixture
def client():
    with Server(interval=f"{INTERVAL_SECONDS}s", hold=f"{HOLD_SECONDS}s") as server, Client(server.port) as client:
        yield client


@pytest.fixture
def many(nats):
    """Who fills a stream with MANY consumers; they are its `names`."""
    with nats.connect() as jetstream:
        try:
            jetstream.names = jetstream.create_many(MANY)
            yield jetstream
        finally:
            jetstream.delete_stream("many")


@pytest.fixture
def patient(nats):
    """A client of a server that waits long for MANY answers: how fast they come is not what is tested."""
    with Server(interval=f"{INTERVAL_SECONDS}s", arguments=["--measure-timeout", "9s", "--call-timeout", "9s"]) as server:
        with Client(server.port) as client:
            yield client


@pytest.fixture
def work(nats):
    """A stream with one consumer, and who fills it."""
    with nats.connect() as jetstream:
        jetstream.create_stream("orders")
        jetstream.create_consumer("orders", "workers")
        yield jetstream
        jetstream.delete_stream("orders")


@pytest.mark.first
def test_lag_target_and_strict_activation(nats, work, client):
    requested = trigger(nats, lagThreshold="5", activationLagThreshold="1")
    spec = client.metric_spec(requested)
    assert (spec.metricName, spec.targetSize, spec.targetSizeFloat) == ("nats-jetstream-orders", 5, 5)

    answers(client, requested, 0, False)
    work.publish("orders")
    answers(client, requested, 1, False)
    work.publish("orders")
    answers(client, requested, 2, True)
    work.publish("orders", 5)
    answers(client, requested, 7, True)


@pytest.mark.first
def test_delivered_but_unacknowledged_messages_count(nats, work, client):
    work.publish("orders", 7)
    messages = work.fetch("orders", "workers", 7)
    answers(client, trigger(nats), 7, True)
    work.acknowledge(messages[:4])
    answers(client, trigger(nats), 3, True)
    work.acknowledge(messages[4:])
    answers(client, trigger(nats), 0, False)


@pytest.mark.parametrize("requested", [trigger, monitored])
def test_a_paused_consumer_has_nothing_to_do_but_what_was_delivered(nats, work, requested):
    """Nobody gets what is pending. nats-server has pauses since 2.11."""
    if tuple(int(part) for part in nats.monitor("varz")["version"].split(".")[:2]) < (2, 11):
        pytest.skip("nats-server before 2.11 has no pauses")
    with Server(interval=f"{INTERVAL_SECONDS}s", http=True) as server, Client(server.port) as client:
        work.publish("orders", 10)
        messages = work.fetch("orders", "workers", 3)
        answers(client, requested(nats), 10, True)
        assert work.pause_consumer("orders", "workers", "2100-01-01T00:00:00Z")
        answers(client, requested(nats), 3, True)
        work.acknowledge(messages)
        answers(client, requested(nats), 0, False)
        (why,) = [trigger["why"] for trigger in get(server, "/api/triggers/shop/orders").json()]
        assert "the consumer is paused for " in why and "count 0" in why
        assert not work.pause_consumer("orders", "workers", "2000-01-01T00:00:00Z")
        answers(client, requested(nats), 7, True)
        (why,) = [trigger["why"] for trigger in get(server, "/api/triggers/shop/orders").json()]
        assert "paused" not in why


@pytest.mark.first
def test_a_missing_consumer_fails_alone_until_it_is_there(nats, work, client):
    work.publish("orders", 3)
    late = trigger(nats, consumer="late")
    answers(client, trigger(nats), 3, True)
    assert 'consumer "late" of stream "orders" does not exist' in unavailable(client, late)
    assert 'stream "none"' in unavailable(client, trigger(nats, stream="none"))
    answers(client, trigger(nats), 3, True)

    work.create_consumer("orders", "late")
    answers(client, late, 3, True)


def test_a_thousand_triggers_share_one_connection_and_equal_questions(nats, many, patient):
    for i in range(0, MANY, 100):
        many.publish("many", i // 100 + 1, subject=str(i))
    expected = [i // 100 + 1 if i % 100 == 0 else 0 for i in range(MANY)]
    # Twice as many triggers as questions: two targets for each consumer.
    requested = [trigger(nats, "many", consumer, lagThreshold=target) for target in "57" for consumer in many.names]
    assert len(requested) == 2 * MANY

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert list(pool.map(lambda metadata: value(patient, metadata), requested)) == 2 * expected

    def requests():
        [connection] = nats.connections()
        return connection["in_msgs"]

    before, began = requests(), time.monotonic()
    time.sleep(5 * INTERVAL_SECONDS)
    wait_until(lambda: requests() >= before + MANY, 30, "a measurement of all")
    measurements = (requests() - before) / MANY
    seconds = time.monotonic() - began
    print(f"{len(requested)} triggers: one connection, {MANY} requests a measurement, "
          f"{measurements:.1f} measurements in {seconds:.1f} s")
    assert measurements <= seconds / INTERVAL_SECONDS + 1


@pytest.mark.parametrize("how", ["stop", "freeze"])
@pytest.mark.parametrize("requested", [trigger, monitored])
def test_an_outage_is_never_zero_and_ends_by_itself(client, requested, how):
    with Nats() as nats:
        with nats.connect() as jetstream:
            for stream in ("busy", "idle"):
                jetstream.create_stream(stream)
                jetstream.create_consumer(stream, "workers")
            jetstream.publish("busy", 7)
        outage(client, nats, how, HOLD_SECONDS, busy=[requested(nats, "busy")], idle=[requested(nats, "idle")])


def test_a_busy_server_is_not_taken_for_a_dead_one(nats, work):
    work.publish("orders", 3)
    with Server(interval="1s", arguments=["--measure-timeout", "4s"]) as server, Client(server.port) as client:
        answers(client, trigger(nats), 3, True)
        before = [connection["cid"] for connection in nats.connections()]
        for _ in range(3):
            nats.pause()
            time.sleep(2.8)
            nats.resume()
            time.sleep(0.5)
            assert value(client, trigger(nats)) == 3
        assert [connection["cid"] for connection in nats.connections()] == before


@pytest.mark.first
@pytest.mark.parametrize("requested, seconds", [(trigger, 1), (monitored, 2.5)])  # the latter is asked each second
def test_a_message_in_an_idle_stream_is_pushed(nats, work, client, requested, seconds):
    pushed = queue.Queue()
    stream = client.stream_is_active(requested(nats))

    def read():
        try:
            for answer in stream:
                pushed.put(answer.result)
        except grpc.RpcError as error:
            pushed.put(error.code())

    threading.Thread(target=read, daemon=True).start()
    with pytest.raises(queue.Empty):
        pushed.get(timeout=2)  # `false` is never pushed

    work.publish("orders")
    began = time.monotonic()
    assert pushed.get(timeout=5) is True
    print(f"pushed after {1000 * (time.monotonic() - began):.0f} ms")
    assert time.monotonic() - began < seconds
    stream.cancel()


@pytest.mark.nightly
def test_subscriptions_beyond_the_memory_of_an_agent_are_polled(nats):
    """Each has 64 subjects: with nats.c 3.10 all would take 62 MB, and the agent may map 26 MiB."""
    subjects, count = 64, 700

    def subscriptions():
        return sum(connection["subscriptions"] for connection in nats.connections())

    with nats.connect() as jetstream, Server(interval="30s") as server, Client(server.port) as client:
        streams = []
        names = jetstream.create_many(count, "wide", filtered=False, subjects=[f"wide.{i}" for i in range(subjects)])
        try:
            streams += [client.stream_is_active(trigger(nats, "wide", name)) for name in names]
            wait_until(lambda: subscriptions() > 100 * subjects, 30, "subscriptions")
            time.sleep(1)
            assert subscriptions() < 130 * subjects
            assert value(client, trigger(nats, "wide", names[-1])) == 0
            jetstream.publish("wide", subject="0")
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                for stream in (streams[0], streams[-1]):
                    assert pool.submit(next, stream).result(timeout=10).result
            assert "agent process died" not in server.log()
        finally:
            for stream in streams:
                stream.cancel()
            jetstream.delete_stream("wide")


@pytest.mark.nightly
def test_ten_thousand_consumers_are_subscribed_to_or_polled(nats):
    """All are due together. One subject each takes 16 MB with nats.c 3.10, of the 26 MiB that the agent may map."""
    count, subscribed = 10_000, 6_400

    def subscriptions():
        return sum(connection["subscriptions"] for connection in nats.connections())

    with nats.connect() as jetstream, Server(interval="30s") as server, Client(server.port) as client:
        streams = []
        names = jetstream.create_many(count)
        try:
            streams += [client.stream_is_active(trigger(nats, "many", name)) for name in names]
            wait_until(lambda: subscriptions() > subscribed * 0.9, 60, "subscriptions")
            for i in (0, count - 1):
                jetstream.publish("many", subject=str(i))
                with concurrent.futures.ThreadPoolExecutor(1) as pool:
                    assert pool.submit(next, streams[i]).result(timeout=30).result
                assert value(client, trigger(nats, "many", names[i])) == 1
            assert subscribed * 0.9 < subscriptions() < subscribed * 1.1
            assert "agent process died" not in server.log()
        finally:
            for stream in streams:
                stream.cancel()
            jetstream.delete_stream("many")


ACCOUNTS = """
accounts {
  SHOP {
    jetstream: enabled
    users: [{user: shop, password: "shop-secret"}]
    exports: [{service: "$JS.API.CONSUMER.INFO.>"}]
  }
  BILLING {
    jetstream: enabled
    users: [
      {user: billing, password: "billing-secret"}
      {user: limited, password: "limited-secret", permissions: {publish: "$JS.API.CONSUMER.INFO.orders.*"}}
      {user: deaf, password: "deaf-secret", permissions: {subscribe: "elsewhere"}}
    ]
    imports: [{service: {account: SHOP, subject: "$JS.API.CONSUMER.INFO.>"}, to: "JS.shop.API.CONSUMER.INFO.>"}]
  }
}
"""


@pytest.fixture(scope="module")
def accounts():
    """Each account has a stream of the same name: three messages for SHOP, five for BILLING."""
    with Nats(config=ACCOUNTS) as nats:
        for user, count in (("shop", 3), ("billing", 5)):
            with nats.connect(user=user, password=f"{user}-secret") as jetstream:
                jetstream.create_stream("orders")
                jetstream.create_consumer("orders", "workers")
                jetstream.publish("orders", count)
        yield nats


def test_each_account_has_its_own_streams(accounts, client):
    answers(client, trigger(accounts, user="shop", password="shop-secret"), 3, True)
    answers(client, trigger(accounts, user="billing", password="billing-secret"), 5, True)
    in_url = trigger(accounts, servers=f"nats://shop:shop-secret@{accounts.address}")
    answers(client, in_url, 3, True)


@pytest.mark.parametrize("user", ["shop:shop-secret", "shop:old", "old-token"])
def test_the_keys_override_the_user_in_servers(accounts, client, user):
    servers = f"nats://{user}@{accounts.address}"
    answers(client, trigger(accounts, servers=servers, user="billing", password="billing-secret"), 5, True)


def test_an_api_prefix_reaches_into_another_account(accounts, client):
    billing = {"user": "billing", "password": "billing-secret"}
    answers(client, trigger(accounts, apiPrefix="JS.shop.API", **billing), 3, True)
    assert 'check apiPrefix "JS.none.API"' in unavailable(client, trigger(accounts, apiPrefix="JS.none.API", **billing))


@pytest.mark.parametrize("where", ["keys", "url", "token"])
def test_wrong_credentials_are_reported_without_them(accounts, client, where):
    requested = {
        "keys": trigger(accounts, user="shop", password="open-sesame"),
        "url": trigger(accounts, servers=f"nats://shop:open-sesame@{accounts.address}"),
        "token": trigger(accounts, token="open-sesame"),
    }[where]
    text = unavailable(client, requested)
    assert accounts.address in text and "Authorization Violation" in text
    assert "sesame" not in text


def test_a_credentials_file(client, tmp_path):
    operator = Operator()
    with Nats(config=operator.config) as nats:
        with nats.connect(**operator.sign_in) as jetstream:
            jetstream.create_stream("orders")
            jetstream.create_consumer("orders", "workers")
            jetstream.publish("orders", 3)
        answers(client, trigger(nats, credentials=operator.credentials), 3, True)
        assert "Authorization Violation" in unavailable(
            client, trigger(nats, credentials=operator.credentials_with_another_seed))

        (tmp_path / "backlog.creds").write_text(operator.credentials)
        config = f"""
connections:
  shop:
    scaler: nats-jetstream
    servers: {nats.url}
    credentialsFile: {tmp_path}/backlog.creds
"""
        with Server(config=config) as server, Client(server.port) as named:
            answers(named, {"scaler": "nats-jetstream", "connectionName": "shop", "stream": "orders",
                            "consumer": "workers"}, 3, True)


def test_missing_permissions_are_named(accounts, client):
    limited = {"user": "limited", "password": "limited-secret"}
    answers(client, trigger(accounts, **limited), 5, True)
    hidden = trigger(accounts, stream="hidden", **limited)
    wait_until(lambda: "$JS.API.CONSUMER.INFO.hidden.workers" in unavailable(client, hidden), 20, "the missing right")
    answers(client, trigger(accounts, **limited), 5, True)

    text = unavailable(client, trigger(accounts, user="deaf", password="deaf-secret"))
    assert "must be allowed to subscribe to _INBOX.>" in text


def test_a_jetstream_domain(client):
    with Nats(jetstream="domain: hub") as nats:
        with nats.connect(domain="hub") as jetstream:
            jetstream.create_stream("orders")
            jetstream.create_consumer("orders", "workers")
            jetstream.publish("orders", 4)
        answers(client, trigger(nats), 4, True)
        answers(client, trigger(nats, domain="hub"), 4, True)
        assert 'check domain "leaf"' in unavailable(client, trigger(nats, domain="leaf"))
        answers(client, trigger(nats), 4, True)


def test_a_server_without_jetstream(client):
    with Nats(enabled=False) as nats:
        assert "no JetStream answers" in unavailable(client, trigger(nats))


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """The folder of an authority and what it signed: server (for localhost) and client, as .pem and .key."""
    folder = tmp_path_factory.mktemp("nats-tls")
    openssl = need("openssl")

    def run(*arguments):
        subprocess.run([openssl, *arguments], cwd=folder, check=True, capture_output=True)

    run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca")
    (folder / "extensions").write_text("subjectAltName=DNS:localhost")
    for name in ("server", "client"):
        run("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr",
            "-subj", f"/CN={name}")
        run("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-out", f"{name}.pem", "-extfile", "extensions")
    return folder


def test_tls_and_client_certificates(certificates, client):
    config = f"""tls {{ cert_file: "{certificates}/server.pem", key_file: "{certificates}/server.key",
                        ca_file: "{certificates}/ca.pem", verify: true }}"""
    ca, cert, key = ((certificates / name).read_text() for name in ("ca.pem", "client.pem", "client.key"))
    with Nats(config=config) as nats:
        here = f"tls://localhost:{nats.port}"
        whole = {"servers": here, "ca": ca, "cert": cert, "key": key}
        missing = 'stream "orders" (of consumer "workers") does not exist'
        assert missing in unavailable(client, trigger(nats, **whole))
        assert missing in unavailable(client, trigger(nats, **{
            "servers": nats.url, "brokerUnsafeSsl": "true", "cert": cert, "key": key}))

        assert "unable to get local issuer" in unavailable(client, trigger(nats, servers=here))
        assert "IP address mismatch" in unavailable(client, trigger(nats, **{**whole, "servers": nats.url}))
        assert "client certificate" in unavailable(client, trigger(nats, servers=here, ca=ca))


def test_a_client_certificate_is_shown_with_its_chain(certificates, client):
    config = f"""tls {{ cert_file: "{certificates}/server.pem", key_file: "{certificates}/server.key",
                        ca_file: "{certificates}/ca.pem", verify: true }}"""
    make_intermediate(certificates, "team")
    make_certificate(certificates, "worker", root="team")
    ca, cert, team, key = ((certificates / name).read_text() for name in ("ca.pem", "worker.pem", "team.pem", "worker.key"))
    with Nats(config=config) as nats:
        message = unavailable(client, trigger(nats, servers=f"tls://localhost:{nats.port}", ca=ca, cert=cert + team, key=key))
        assert 'stream "orders" (of consumer "workers") does not exist' in message


def test_an_authority_needs_no_root(certificates, client):
    make_intermediate(certificates, "team")
    make_certificate(certificates, "node", root="team")
    config = f"""tls {{ cert_file: "{certificates}/node.pem", key_file: "{certificates}/node.key" }}"""
    with Nats(config=config) as nats:
        message = unavailable(client, trigger(nats, servers=nats.url.replace("nats:", "tls:"),
                                              ca=(certificates / "team.pem").read_text()))
        assert 'stream "orders" (of consumer "workers") does not exist' in message


def test_a_server_without_tls_is_refused_where_tls_is_required(nats, client):
    assert "Secure Connection not available" in unavailable(client, trigger(nats, tls="enable"))


def mistakes(client, metadata):
    code, text = refusal(client.metrics, metadata)
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    return text


def test_all_mistakes_are_reported_at_once(nats, client):
    requested = trigger(nats, lagThreshhold="5", activationLagThreshold="-1", consumer="")
    text = mistakes(client, requested)
    for part in ("lagThreshold", "activationLagThreshold", "consumer"):
        assert part in text
    assert client.metric_spec(requested).targetSize == 10

    text = mistakes(client, trigger(nats, stream="or.ders", domain="hub", apiPrefix="JS..API", user="shop"))
    for part in ("stream is not a name", "domain excludes apiPrefix", "apiPrefix is not a subject", "password is missing"):
        assert part in text


def test_a_trigger_of_keda_reports_the_same_as_the_client_protocol(nats, work, client):
    requested = monitored(nats, lagThreshold="5", activationLagThreshold="1")
    answers(client, requested, 0, False)
    for step, count in ((lambda: work.publish("orders"), 1), (lambda: work.publish("orders", 6), 7)):
        step()
        answers(client, requested, count, count > 1)
        answers(client, trigger(nats), count, True)
    messages = work.fetch("orders", "workers", 5)
    answers(client, requested, 7, True)
    work.acknowledge(messages)
    answers(client, requested, 2, True)
    answers(client, trigger(nats), 2, True)
    assert 'consumer "late" of stream "orders" does not exist' in unavailable(client, monitored(nats, consumer="late"))
    assert 'stream "none"' in unavailable(client, monitored(nats, "none"))


def test_a_monitoring_port_reports_one_account(accounts, client):
    answers(client, monitored(accounts, account="SHOP"), 3, True)
    answers(client, monitored(accounts, account="BILLING"), 5, True)
    answers(client, monitored(accounts, account="x", accountID="SHOP"), 3, True)
    assert 'knows no streams of account "NONE"' in unavailable(client, monitored(accounts, account="NONE"))


def test_a_thousand_consumers_are_one_request_to_a_monitoring_port(nats, many, patient):
    many.publish("many", 3, subject="7")
    requested = [monitored(nats, "many", consumer) for consumer in many.names]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert list(pool.map(lambda metadata: value(patient, metadata), requested)) == [
            3 if i == 7 else 0 for i in range(MANY)]
    requests, began = nats.monitor("varz")["http_req_stats"]["/jsz"], time.monotonic()
    time.sleep(3 * INTERVAL_SECONDS)
    made = nats.monitor("varz")["http_req_stats"]["/jsz"] - requests
    assert made <= (time.monotonic() - began) / INTERVAL_SECONDS + 1


def test_a_monitoring_port_that_is_none_or_has_no_jetstream(nats, client):
    with Nats(enabled=False) as plain:
        assert "JetStream is disabled on this server" in unavailable(client, monitored(plain))
    wrong = monitored(nats, natsServerMonitoringEndpoint=nats.address)  # greets, and hangs up
    assert f"NATS monitoring at {nats.address}" in unavailable(client, wrong)
    deep = monitored(nats, natsServerMonitoringEndpoint=f"127.0.0.1:{nats.monitor_port}/deep")
    assert "answered with status 404" in unavailable(client, deep)


class Refusing(http.server.BaseHTTPRequestHandler):
    """As a proxy in front of a monitoring port, which lets only its users in."""

    def do_GET(self):
        self.send_response(401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def test_a_monitoring_port_that_refuses_the_user_says_so(nats, client):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        refused = monitored(nats, natsServerMonitoringEndpoint=f"127.0.0.1:{proxy.server_port}")
        assert "authentication failed: check user and password" in unavailable(client, refused)
        proxy.shutdown()


class Listing(http.server.BaseHTTPRequestHandler):
    """A monitoring port whose server has an account with consumers c0, c1 ... of 5 pending messages each."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        is_listing = "consumers=true" in self.path
        body = self.server.listing if is_listing else b'{"account_details":[]}'
        if is_listing:
            self.server.count += 1
        with contextlib.suppress(OSError):  # the client may give up
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if is_listing:
                self.wfile.write(body[:-1])
                self.server.before_end()
                body = body[-1:]
            self.wfile.write(body)

    def log_message(self, *_):
        pass


def consumer_of_five(name, padding):
    counts = {"consumer_seq": 0, "stream_seq": 0}
    return json.dumps({"stream_name": "s", "name": name, "num_pending": 5, "num_ack_pending": 0, "delivered": counts,
                       "ack_floor": counts, "description": "x" * padding})


@contextlib.contextmanager
def listing_port(consumers, padding=0, size=None):
    """It has these many consumers, as far as the reply is not longer than `size`; then it is as long."""
    begin = '{"account_details":[{"name":"$G","id":"$G","stream_detail":[{"name":"s","consumer_detail":['
    end = "]}]}]}"
    if size is not None:
        consumers = (size - len(begin) - len(end)) // (len(consumer_of_five(f"c{consumers}", padding)) + 1)
    listing = begin + ",".join(consumer_of_five(f"c{i}", padding) for i in range(consumers)) + end
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Listing) as port:
        port.listing = listing.ljust(size or 0).encode()
        port.count = 0
        port.before_end = lambda: None
        threading.Thread(target=port.serve_forever, daemon=True).start()
        yield port
        port.shutdown()


def of_listing(port, number):
    return {"scaler": "nats-jetstream", "natsServerMonitoringEndpoint": f"127.0.0.1:{port.server_port}", "account": "$G",
            "stream": "s", "consumer": f"c{number}"}


@pytest.mark.nightly
def test_once_a_monitoring_port_answers_again_one_listing_is_for_all():
    isolated = 125  # as many requests to a server may time out at a time; a listing is one

    def failing(server):
        with urllib.request.urlopen(f"http://127.0.0.1:{server.http_port}/api/connections") as page:
            [connection] = json.load(page)["connections"]
            return connection["failing"]

    with listing_port(16 * isolated) as port, Server(interval="1s", hold="0s", http=True) as server, Client(server.port) as client:
        requested = [of_listing(port, i) for i in range(16 * isolated)]
        assert {answer.value for answer in fetch_all(client, requested, 60)} == {5}
        answers_again = threading.Event()
        port.before_end = lambda: answers_again.wait(120)
        time.sleep(3)  # no reading is fresh any more
        assert {answer.value for answer in fetch_all(client, requested, 60)} == {None}
        wait_until(lambda: failing(server) == len(requested), 30, "time-outs of all")
        before = port.count
        answers_again.set()
        wait_until(lambda: failing(server) == 0, 60, "readings of all")
        assert port.count - before < 16  # of 125 each; some timed out later than others


@pytest.mark.nightly
def test_the_largest_listings_of_a_monitoring_port_fit_an_agent():
    """In a release: with a sanitizer memory has no limit."""
    largest = 8 << 20  # of each of two
    program = os.environ.get("BACKLOG_RELEASE")
    patience = ["--measure-timeout", "9s", "--call-timeout", "9s"]

    with listing_port(50000, 300, largest) as port:
        with Server(program=program, interval="1s", arguments=patience) as server, Client(server.port) as client:
            for i in range(4):
                wait_until(lambda: value(client, of_listing(port, i)) == 5, 20, "a reading")
            assert "process died" not in server.log()

    with listing_port(50000, 300, largest) as port:
        with Server(program=program, interval="1s", arguments=patience) as server, Client(server.port) as client:
            first_is_there, both_are_there = threading.Event(), threading.Barrier(2)

            def meet():
                first_is_there.set()
                both_are_there.wait(30)

            port.before_end = meet
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                first = pool.submit(value, client, of_listing(port, 1))
                assert first_is_there.wait(10)
                second = pool.submit(value, client, of_listing(port, 2))
                assert (first.result(), second.result()) == (5, 5)
            assert "process died" not in server.log()


def test_a_monitoring_port_with_tls(certificates, client):
    config = f"""tls {{ cert_file: "{certificates}/server.pem", key_file: "{certificates}/server.key" }}"""
    with Nats(config=config, monitor="https") as nats:
        here = monitored(nats, natsServerMonitoringEndpoint=f"localhost:{nats.monitor_port}", useHttps="true")
        ca = (certificates / "ca.pem").read_text()
        for trusting in ({"ca": ca}, {"brokerUnsafeSsl": "true"}):
            assert 'stream "orders" (of consumer "workers") does not exist' in unavailable(client, {**here, **trusting})
        assert "certificate" in (text := unavailable(client, here))
        assert "set ca to the certificates of its authority" in text and 'brokerUnsafeSsl: "true"' in text


NKEY_SEED = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY"
NKEY = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4"


def test_a_user_known_by_an_nkey(client, tmp_path):
    (tmp_path / "seed").write_text(NKEY_SEED + "\n")
    with Nats(config=f"authorization {{ users: [{{nkey: {NKEY}}}] }}") as nats:
        missing = 'stream "orders" (of consumer "workers") does not exist'
        assert missing in unavailable(client, trigger(nats, nkeySeedFromEnv=NKEY_SEED))
        assert "Authorization Violation" in unavailable(client, trigger(nats))
        config = f"""
connections:
  shop:
    scaler: nats-jetstream
    servers: {nats.url}
    nkeySeedFile: {tmp_path}/seed
"""
        with Server(config=config) as server, Client(server.port) as named:
            assert missing in unavailable(named, {"scaler": "nats-jetstream", "connectionName": "shop",
                                                  "stream": "orders", "consumer": "workers"})

