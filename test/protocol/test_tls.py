"""TLS and mTLS: who is let in, and certificates that are exchanged while the server runs."""

import contextlib
import os
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time

import grpc
import pytest

from attacks import wire
from support.certificates import Authority
from support.clients.grpc_client import Client, grpcurl_call, refusal, scaled_object
from support.pages.page import await_metric, get, metric
from support.process import need, wait_until
from support.server.server import Server, binary

TRIGGER = {"scaler": "no-such-scaler"}  # which has a spec, as every trigger has
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
DENIED = grpc.StatusCode.PERMISSION_DENIED


def read(path):
    with open(path, "rb") as file:
        return file.read()


class Certificates:
    """An authority, and where the server's certificate is as Kubernetes mounts a Secret: behind ..data."""

    def __init__(self, folder):
        self.authority = Authority(folder)
        self.mount = os.path.join(folder, "mount")
        os.mkdir(self.mount)
        for name in "tls.crt", "tls.key":
            os.symlink(f"..data/{name}", os.path.join(self.mount, name))
        self.generation = 0
        self.swap(*self.authority.issue("first"))

    def swap(self, certificate, key):
        """Puts another pair in place, both files at once. None: the file is gone."""
        self.generation += 1
        data = os.path.join(self.mount, f"..{self.generation}")
        os.mkdir(data)
        for source, name in (certificate, "tls.crt"), (key, "tls.key"):
            if source is not None:
                shutil.copy(source, os.path.join(data, name))
        os.symlink(f"..{self.generation}", os.path.join(self.mount, "..next"))
        os.rename(os.path.join(self.mount, "..next"), os.path.join(self.mount, "..data"))

    @property
    def flags(self):
        return ["--tls-cert", os.path.join(self.mount, "tls.crt"), "--tls-key", os.path.join(self.mount, "tls.key")]

    def connect(self, port, pair=None, roots=None):
        """A client that trusts the authority, and shows a pair where it has one."""
        certificate, key = map(read, pair) if pair else (None, None)
        return Client(port, credentials=grpc.ssl_channel_credentials(
            read(roots or self.authority.certificate), private_key=key, certificate_chain=certificate))


def shown_to(port):
    """The certificate that a new handshake sees, as DER."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        with context.wrap_socket(plain) as connection:
            return connection.getpeercert(binary_form=True)


def der(path):
    return ssl.PEM_cert_to_DER_cert(read(path).decode())


def assert_served(client):
    assert client.metric_spec(TRIGGER).metricName == "backlog-invalid"


def assert_refused(client, code=UNAVAILABLE):
    found, text = refusal(client.metric_spec, TRIGGER, seconds=5)
    assert found == code, text
    return text


@pytest.fixture
def certificates(tmp_path):
    return Certificates(tmp_path)


@pytest.fixture
def server(certificates):
    with Server(arguments=certificates.flags) as running:
        yield running


# ---- TLS ----

def test_clients_are_served_and_see_the_certificate(certificates, server):
    with certificates.connect(server.port) as client:
        assert_served(client)
    code, answer, complaints = grpcurl_call(server.port, "GetMetricSpec", {"scalerMetadata": TRIGGER},
                                            flags=["-cacert", certificates.authority.certificate])
    assert code == 0, complaints
    assert answer["metricSpecs"][0]["metricName"] == "backlog-invalid"
    assert shown_to(server.port) == der(certificates.flags[1])


@pytest.mark.first
def test_a_large_request_and_many_at_once_pass_through_tls(certificates, server):
    with certificates.connect(server.port) as client:
        padded = {**TRIGGER, "padding": "x" * 60000}
        calls = [client.stub.GetMetricSpec.future(scaled_object(padded), timeout=30) for _ in range(100)]
        for call in calls:
            assert call.result().metricSpecs[0].metricName == "backlog-invalid"


@pytest.mark.parametrize("version, works", [("-tls1_1", False), ("-tls1_2", True), ("-tls1_3", True)])
def test_tls_1_2_is_the_least(server, version, works):
    command = [need("openssl"), "s_client", "-connect", f"127.0.0.1:{server.port}", "-alpn", "h2", version,
               "-cipher", "DEFAULT:@SECLEVEL=0"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
    assert (b"ALPN protocol: h2" in done.stdout) == works, done.stdout + done.stderr


@pytest.mark.parametrize("protocols", [["http/1.1"], None])
def test_a_client_without_http2_is_disconnected(server, protocols):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if protocols:
        context.set_alpn_protocols(protocols)
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as plain:
        with contextlib.suppress(ConnectionError, ssl.SSLError), context.wrap_socket(plain) as connection:  # but no time-out
            assert connection.recv(1) == b""


@pytest.mark.first
def test_plain_text_is_disconnected_and_no_other_client_is_affected(certificates, server):
    with certificates.connect(server.port) as beside, Client(server.port) as plain:
        assert_served(beside)
        assert_refused(plain)
        assert_served(beside)
    wait_until(lambda: "wrong version number" in server.log(), 5, "the log says so")


@pytest.mark.parametrize("transport", ["nghttp2"], indirect=True)  # gRPC's C core logs its own text, or none
def test_a_client_without_tls_is_logged_with_what_to_do_and_once(certificates, transport):
    with Server(arguments=certificates.flags) as running:
        for _ in range(3):
            with Client(running.port) as plain:
                assert_refused(plain)
        words = 'connects without TLS (wrong version number): set enableTLS: "true" in the metadata of its triggers'
        wait_until(lambda: words in running.log().replace('\\"', '"'), 5, "the log says so")
        assert running.log().count("connects without TLS") == 1
        assert "TLS handshake with" not in running.log()


@pytest.mark.parametrize("transport", ["nghttp2"], indirect=True)
def test_a_client_with_tls_of_a_server_without_is_logged_with_what_to_do_and_once(certificates, transport):
    """enableTLS, pasted from a trigger of KEDA's own scaler, where it is for the source."""
    with Server() as running:
        for _ in range(3):
            with certificates.connect(running.port) as client:
                assert_refused(client)
        wait_until(lambda: "connects with TLS, which this server does not have: remove enableTLS" in running.log(), 5,
                   "the log says so")
        assert running.log().count("connects with TLS") == 1
        with Client(running.port) as plain:
            assert_served(plain)


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9)


def answer_to_plain_text(port):
    with socket.create_connection(("127.0.0.1", port), timeout=30) as plain:
        received = b""
        with contextlib.suppress(ConnectionError):
            plain.sendall(PREFACE)
            while (more := plain.recv(4096)):
                received += more
    return received


def test_plain_text_gets_a_tls_alert_or_nothing(server):
    assert answer_to_plain_text(server.port)[:1] in (b"", b"\x15")


@pytest.mark.parametrize("transport", ["nghttp2"], indirect=True)  # gRPC's C core has no such limit
def test_a_full_server_refuses_in_tls(certificates, transport):
    with Server(arguments=[*certificates.flags, "--max-clients", "1"]) as server, \
            certificates.connect(server.port) as client:
        client.metric_spec(TRIGGER)
        assert answer_to_plain_text(server.port) in (b"", b"\x15\x03\x01\x00\x02\x02\x50")  # never a frame of HTTP/2
        client.metric_spec(TRIGGER)


def test_a_client_that_trusts_another_authority_turns_away(certificates, server, tmp_path):
    other = Authority(tmp_path, "other")
    with certificates.connect(server.port, roots=other.certificate) as client:
        assert_refused(client)


# ---- mTLS ----

@pytest.fixture(scope="module")
def mutual(transport, tmp_path_factory):
    """A server that asks for certificates, and lets in some names; with it the authority of its clients."""
    certificates = Certificates(tmp_path_factory.mktemp("mutual"))
    clients = Authority(certificates.mount, "clients")
    arguments = [*certificates.flags, "--tls-client-ca", clients.certificate,
                 "--tls-client-names", "keda-operator, *.keda.svc, spiffe://cluster.local/ns/keda/*"]
    with Server(arguments=arguments) as server:
        yield certificates, clients, server


@pytest.fixture(scope="module", autouse=True)
def stalled(mutual):
    """Connections that never finish their handshake, from the first test on; and when they began."""
    _, _, server = mutual
    silent, half = (socket.create_connection(("127.0.0.1", server.port)) for _ in range(2))
    half.sendall(bytes.fromhex("1603010200010001fc0303"))
    yield time.monotonic(), silent, half
    silent.close()
    half.close()


@pytest.mark.first
@pytest.mark.parametrize("common_name, alternative", [
    ("keda-operator", ()),
    ("whoever", ("DNS:other.example", "DNS:operator.keda.svc")),
    ("", ("URI:spiffe://cluster.local/ns/keda/sa/keda-operator",)),
])
def test_a_client_of_a_name_that_is_allowed_is_served(mutual, common_name, alternative):
    certificates, clients, server = mutual
    with certificates.connect(server.port, clients.issue("good", common_name, alternative)) as client:
        assert_served(client)


@pytest.mark.first
@pytest.mark.parametrize("common_name, alternative, reported", [
    ("stranger", (), "stranger"),
    ("keda-operator", ("DNS:stranger.example",), "stranger.example"),  # the alternative name is what counts
    ("", ("DNS:keda.svc",), "keda.svc"),
    ("", ("URI:spiffe://cluster.local/ns/shop/sa/keda-operator", "DNS:x"), "other names"),
    ("", ("IP:127.0.0.1",), "no name"),
])
def test_a_client_of_another_name_is_denied_with_the_reason(mutual, common_name, alternative, reported):
    certificates, clients, server = mutual
    with certificates.connect(server.port, clients.issue("bad", common_name, alternative)) as client:
        assert reported in assert_refused(client, DENIED)
        code, text = refusal(next, client.stream_is_active(TRIGGER, seconds=5))
        assert code == DENIED and reported in text


@pytest.mark.parametrize("transport", ["nghttp2"], indirect=True)  # gRPC's C core closes no connection by itself
def test_a_client_of_another_name_does_not_keep_its_connection(mutual, transport):
    """It could take the places of all others with connections that it may not use."""
    certificates, clients, server = mutual
    pair = clients.issue("bad", "stranger", ())
    with certificates.connect(server.port, pair) as client:
        assert_refused(client, DENIED)
        states = []
        client.channel.subscribe(states.append)
        wait_until(lambda: states and states[-1] == grpc.ChannelConnectivity.IDLE, 10, "the connection ends")


@pytest.mark.parametrize("transport", ["nghttp2"], indirect=True)
def test_a_client_of_another_name_is_disconnected_whatever_it_requests(mutual, transport):
    """Also by a request that would be refused for another reason."""
    _, clients, server = mutual
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(*clients.issue("bad", "stranger", ()))
    context.set_alpn_protocols(["h2"])
    get = wire.frame(wire.HEADERS, wire.END_HEADERS | wire.END_STREAM, 1, b"\x82\x87\x84\x41\x01a")
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as plain, context.wrap_socket(plain) as connection:
        connection.sendall(wire.PREFACE + wire.settings() + get)
        while connection.recv(65536):
            pass


@pytest.mark.first
def test_clients_without_a_valid_certificate_are_refused(mutual, tmp_path):
    certificates, clients, server = mutual
    pairs = {
        "none": None,
        "of the server's own authority": certificates.authority.issue("own", "keda-operator", ()),
        "of a stranger": Authority(tmp_path, "clients").issue("forged", "keda-operator", ()),
        "expired": clients.issue("expired", "keda-operator", (), days=-1),
    }
    for what, pair in pairs.items():
        with certificates.connect(server.port, pair) as client:
            assert assert_refused(client), what
    with certificates.connect(server.port, clients.issue("good", "keda-operator", ())) as client:
        assert_served(client)


def test_strangers_failed_handshakes_and_the_end_of_the_certificate_are_on_the_page(certificates, transport):
    arguments = [*certificates.flags, "--tls-client-ca", certificates.authority.certificate,
                 "--tls-client-names", "keda-operator"]
    with Server(arguments=arguments, http=True) as server:
        with certificates.connect(server.port, certificates.authority.issue("bad", "stranger", ())) as client:
            assert_refused(client, DENIED)
        await_metric(server, 1, "backlog_calls_total", service="externalscaler.ExternalScaler", method="GetMetricSpec",
                     code="PERMISSION_DENIED")
        page = get(server, "/metrics").text
        ends = subprocess.run([need("openssl"), "x509", "-enddate", "-noout", "-in", certificates.flags[1]],
                              capture_output=True, text=True, check=True).stdout.strip().removeprefix("notAfter=")
        assert metric(page, "backlog_certificate_expiry_timestamp_seconds") == ssl.cert_time_to_seconds(ends)
        failed = metric(page, "backlog_tls_handshake_failures_total")
        assert failed == (None if transport == "grpc-core" else 0)
        socket.create_connection(("127.0.0.1", server.port)).close()  # a probe is no failure
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
            with contextlib.suppress(ConnectionResetError):
                while plain.recv(100):
                    pass
        if transport == "nghttp2":
            await_metric(server, 1, "backlog_tls_handshake_failures_total")


# ---- certificates that are exchanged ----

def test_files_that_could_not_be_read_for_a_while_are_read_again(certificates):
    """So is the connections file. No file changes again once there are descriptors."""
    with Server(config="connections: {}\n", arguments=certificates.flags) as server:
        usual = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (3, usual[1]))
        second = certificates.authority.issue("second")
        certificates.swap(*second)
        server.write_config("connections: {} # the second\n")
        wait_until(lambda: server.log().count("Too many open files") == 2, 10, "both complaints")
        assert " reloaded: " not in server.log()
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, usual)
        wait_until(lambda: " reloaded: " in server.log(), 20, "the file is read")
        wait_until(lambda: shown_to(server.port) == der(second[0]), 20, "the new certificate")
        assert server.log().count("Too many open files") == 2


def await_shown(server, path):
    wait_until(lambda: shown_to(server.port) == der(path), 10, "the new certificate is shown")


@pytest.mark.first
def test_a_new_certificate_is_shown_and_open_connections_stay(certificates, server):
    with certificates.connect(server.port) as client:
        stream = client.stream_metric_spec(TRIGGER)
        assert next(stream).metricSpecs[0].metricName == "backlog-invalid"
        second = certificates.authority.issue("second")
        certificates.swap(*second)
        await_shown(server, second[0])
        assert_served(client)
        assert stream.is_active()
        stream.cancel()


def test_a_sighup_is_enough_where_nothing_seems_to_have_changed(certificates, server):
    os.kill(server.pid, signal.SIGHUP)
    wait_until(lambda: server.log().count("using the certificate") == 2, 5, "it is read again")
    with certificates.connect(server.port) as client:
        assert_served(client)


def test_files_that_are_written_one_after_the_other_are_taken_as_a_pair(certificates, server):
    certificate, key = certificates.authority.issue("second")
    data = os.path.join(certificates.mount, "..data")
    shutil.copy(certificate, os.path.join(data, "tls.crt"))
    time.sleep(0.3)
    shutil.copy(key, os.path.join(data, "tls.key"))
    await_shown(server, certificate)


def test_a_broken_pair_changes_nothing_and_says_why_until_a_good_one_comes(certificates, server, tmp_path):
    """SIGHUP has it look at once; the last one it finds by itself."""
    first = der(certificates.flags[1])
    good = certificates.authority.issue("good")
    other = certificates.authority.issue("other")
    garbage = tmp_path / "garbage"
    garbage.write_bytes(bytes(range(256)))
    half = tmp_path / "half"
    half.write_bytes(read(good[0])[:300])
    for pair, reported in (((good[0], other[1]), "is not the private key of"), ((garbage, good[1]), "PEM certificate"),
                       ((half, good[1]), "PEM certificate"), ((good[0], garbage), "PEM private key"),
                       ((good[0], None), "cannot open"), ((None, good[1]), "cannot open")):
        before = len(server.log())
        certificates.swap(*pair)
        os.kill(server.pid, signal.SIGHUP)
        wait_until(lambda: reported in server.log()[before:], 10, reported)
        assert "the former certificate stays in use" in server.log()[before:]
        assert shown_to(server.port) == first
    certificates.swap(*good)
    await_shown(server, good[0])
    with certificates.connect(server.port) as client:
        assert_served(client)


def test_files_that_are_refused_are_on_the_page_until_they_are_mended(certificates):
    def await_both(value):
        for file in "connections", "certificate":
            await_metric(server, value, "backlog_last_reload_successful", file=file)

    good, other = certificates.authority.issue("good"), certificates.authority.issue("other")
    with Server(config="connections: {}\n", arguments=certificates.flags, http=True) as server:
        await_both(1)
        began = get(server, "/metrics").text
        certificates.swap(good[0], other[1])
        server.write_config("connections: [nonsense\n")
        server.signal(signal.SIGHUP)
        await_both(0)
        certificates.swap(*good)
        server.write_config("connections: {}\n")
        server.signal(signal.SIGHUP)
        await_both(1)
        ended = get(server, "/metrics").text
        for file in "connections", "certificate":
            assert metric(began, "backlog_reload_failures_total", file=file) == 0
            assert metric(ended, "backlog_reload_failures_total", file=file) >= 1
            name = "backlog_last_reload_success_timestamp_seconds"
            assert time.time() - 60 < metric(began, name, file=file) <= metric(ended, name, file=file) <= time.time()
    with Server(http=True) as server:
        assert metric(get(server, "/metrics").text, "backlog_last_reload_successful") is None


def test_no_handshake_fails_while_certificates_are_exchanged(certificates, server):
    pairs = [certificates.authority.issue(f"pair{number}") for number in range(2)]
    failures, served, is_over = [], [], threading.Event()

    def call():
        while not is_over.is_set():
            try:
                with certificates.connect(server.port) as client:
                    assert_served(client)
                served.append(1)
            except grpc.RpcError as error:
                failures.append(error)

    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    end, exchanges = time.monotonic() + 20, 0
    while exchanges < 6 or len(served) <= 20 and time.monotonic() < end:
        pair = pairs[exchanges % 2]
        certificates.swap(*pair)
        os.kill(server.pid, signal.SIGHUP)
        await_shown(server, pair[0])
        exchanges += 1
    is_over.set()
    for caller in callers:
        caller.join()
    assert failures == []
    assert len(served) > 20


def test_another_authority_of_clients_counts_from_the_next_handshake_on(certificates, tmp_path):
    old, new = Authority(tmp_path, "old"), Authority(tmp_path, "new")
    trusted = str(tmp_path / "trusted.pem")
    shutil.copy(old.certificate, trusted)
    with Server(arguments=[*certificates.flags, "--tls-client-ca", trusted]) as server:
        with certificates.connect(server.port, old.issue("first-client", "a", ())) as client:
            assert_served(client)
            shutil.copy(new.certificate, trusted)
            renewed = new.issue("second-client", "b", ())

            def is_let_in():
                with certificates.connect(server.port, renewed) as other:
                    return other.metric_spec(TRIGGER, seconds=2)

            wait_until(is_let_in, 10, "the new authority counts")
            assert_served(client)
        with certificates.connect(server.port, old.issue("third-client", "c", ())) as client:
            assert_refused(client)


# ---- the start ----

@pytest.mark.first
@pytest.mark.parametrize("arguments, code, reported", [
    (["--tls-cert", "{cert}"], 2, "--tls-cert needs --tls-key"),
    (["--tls-key", "{key}"], 2, "--tls-key needs --tls-cert"),
    (["--tls-client-ca", "{cert}"], 2, "--tls-client-ca needs"),
    (["--tls-cert", "{cert}", "--tls-key", "{key}", "--tls-client-names", "x"], 2, "needs --tls-client-ca"),
    (["--tls-cert", "{cert}", "--tls-key", "{other}"], 1, "is not the private key of"),
    (["--tls-cert", "{key}", "--tls-key", "{key}"], 1, "must hold a PEM certificate"),
    (["--tls-cert", "{cert}", "--tls-key", "/nowhere"], 1, "cannot open /nowhere"),
    (["--tls-cert", "{cert}", "--tls-key", "{key}", "--tls-client-ca", "{key}"], 1, "must hold PEM certificates"),
])
def test_settings_that_cannot_work_end_it_at_once(certificates, transport, arguments, code, reported):
    other = certificates.authority.issue("other")
    paths = {"cert": certificates.flags[1], "key": certificates.flags[3], "other": other[1]}
    command = [binary(), "serve", "--transport", transport, "--listen", "127.0.0.1:0",
               *(argument.format(**paths) for argument in arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert done.returncode == code and reported in done.stderr, done.stderr
    assert "PRIVATE KEY-----" not in done.stderr


# ---- the end, when time has passed ----

def test_a_handshake_has_its_time_and_no_more(stalled):
    began, *connections = stalled
    for connection in connections:
        connection.settimeout(max(1, began + 40 - time.monotonic()))
        with contextlib.suppress(ConnectionResetError):
            while connection.recv(4096):
                pass
