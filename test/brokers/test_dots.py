"""Names that end in a dot, as broker.shop.svc.cluster.local.: in TLS they are those without it, as in Go."""

import concurrent.futures
import os
import socket
import ssl

import pytest

from support.certificates import make_certificate, make_root
from support.clients.grpc_client import Client, refusal
from support.server.server import Server

NAME = "broker.shop.test"
INFO = b'INFO {"server_id":"a","version":"2.10.0","max_payload":1048576,"tls_required":true,"headers":true}\r\n'


class NamingServer(Server):
    """In a mount namespace where the name is in a file of the test's, as it is and with a dot."""

    def __init__(self, **options):
        super().__init__(**options)
        self.hosts = os.path.join(self.folder, "hosts")
        with open(self.hosts, "w") as file:
            file.writelines(f"127.0.0.1 {name}\n" for name in ("localhost", NAME, NAME + "."))

    def command(self):
        own_users = [] if os.geteuid() == 0 else ["--map-root-user"]
        script = 'mount --bind "$0" /etc/hosts && exec "$@"'
        return ["unshare", "--mount", "--propagation", "private", *own_users, "sh", "-c", script, self.hosts, *super().command()]


@pytest.fixture(scope="module")
def client():
    with NamingServer() as server, Client(server.port) as client:
        yield client


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dots")
    make_root(folder)
    make_certificate(folder, "own", names=f"DNS:{NAME}")
    return folder


KAFKA = {"scaler": "kafka", "consumerGroup": "a", "topic": "b", "lagThreshold": "5", "tls": "enable"}
NATS = {"scaler": "nats-jetstream", "stream": "a", "consumer": "b"}
POSTGRESQL = {"scaler": "postgresql", "query": "SELECT 1", "targetQueryValue": "5"}


def trigger(source, port):
    return {
        "kafka": {**KAFKA, "bootstrapServers": f"{NAME}.:{port}"},
        "kafka-url": {**KAFKA, "bootstrapServers": f"SSL://{NAME}.:{port}/"},
        "nats": {**NATS, "servers": f"tls://worker:a.b@{NAME}.:{port}"},
        "nats-plain": {**NATS, "servers": f"nats://{NAME}.:{port}"},  # the server asks for TLS
        "nats-user": {**NATS, "servers": f"{NAME}.:{port}", "tls": "enable", "user": "worker", "passwordFromEnv": "a"},
        "postgresql": {**POSTGRESQL, "connection": f"postgresql://a:b@{NAME}.:{port}/c?sslmode=verify-full"},
        "postgresql-second": {**POSTGRESQL, "host": f"127.0.0.1,{NAME}.", "port": f"1,{port}", "userName": "a", "dbName": "b",
                              "sslmode": "verify-full", "passwordFromEnv": "a"},
        "prometheus": {"scaler": "prometheus", "serverAddress": f"https://{NAME}.:{port}", "query": "a", "threshold": "5"},
        "rabbitmq": {"scaler": "rabbitmq", "host": f"amqps://a:b@{NAME}.:{port}/", "queueName": "a", "mode": "QueueLength", "value": "5"},
        "redis": {"scaler": "redis", "address": f"{NAME}.:{port}", "tls": "enable", "listName": "a", "listLength": "5"},
    }[source]


def begin_tls(source, connection):
    if source.startswith("nats"):
        connection.sendall(INFO)
    if source.startswith("postgresql"):
        assert connection.recv(8).endswith(b"\x04\xd2\x16\x2f")  # SSLRequest
        connection.sendall(b"S")


@pytest.mark.parametrize("source", ["kafka", "kafka-url", "nats", "nats-plain", "nats-user", "postgresql", "postgresql-second", "prometheus",
                                    "rabbitmq", "redis"])
def test_the_certificate_is_for_the_name_without_the_dot(source, client, certificates):
    names = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "own.pem", certificates / "own.key")
    context.sni_callback = lambda _, name, __: names.append(name)
    ca = (certificates / "ca.pem").read_text()
    with socket.create_server(("127.0.0.1", 0)) as listener, concurrent.futures.ThreadPoolExecutor() as pool:
        listener.settimeout(10)
        call = pool.submit(refusal, client.metrics, {**trigger(source, listener.getsockname()[1]), "ca": ca})
        connection = listener.accept()[0]
        if source == "postgresql-second":  # libpq has connected before the name is known without its dot
            connection.close()
            connection = listener.accept()[0]
        connection.settimeout(10)
        begin_tls(source, connection)
        with context.wrap_socket(connection, server_side=True) as trusted:
            assert trusted.recv(1) != b""
        listener.close()
        call.result()
    assert names in ([NAME], [None])  # older versions of nats.c send none
