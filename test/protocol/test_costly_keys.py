"""A private key in a trigger's metadata costs the server little, however many triggers have one: what is costly is refused."""

import os
import socket
import subprocess
import threading

import grpc
import pytest

from support.clients.grpc_client import Client
from support.process import Unavailable, wait_until
from support.server.server import Server

CONNECTIONS = 64
pytestmark = pytest.mark.parametrize("transport", ["nghttp2"], indirect=True)  # that of the callers says nothing here


@pytest.fixture
def program():
    path = os.environ.get("BACKLOG_RELEASE")
    if not path or not os.access(path, os.X_OK):
        raise Unavailable("BACKLOG_RELEASE names no release build (./dev build release)")
    return path


class Silent:
    """Accepts connections, and says nothing: TLS begins, and the key is read."""

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self.listener.getsockname()[1]
        self.accepted = []
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.close()
        for connection in self.accepted:
            connection.close()

    def accept(self):
        try:
            while True:
                self.accepted.append(self.listener.accept()[0])
        except OSError:
            pass


def run(*arguments):
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True, text=True).stdout


def new_key(folder):
    """A certificate, and the path of its key."""
    path = f"{folder}/key.pem"
    return run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-subj", "/CN=x", "-keyout", path), path


def encrypted(path, *how):
    return run("pkcs8", "-topk8", *how, "-passout", "pass:x", "-in", path)


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        return sum(int(field) for field in file.read().rpartition(")")[2].split()[11:13]) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("how", [("-v2", "aes-256-cbc", "-iter", "100001"), ("-scrypt",),
                                 ("-scrypt", "-scrypt_N", "32768", "-scrypt_r", "7", "-scrypt_p", "1")], ids=" ".join)
def test_keys_that_take_long_or_much_memory_are_refused_before_they_are_decrypted(program, transport, tmp_path, how):
    certificate, path = new_key(tmp_path)
    key = encrypted(path, *how)
    with Silent() as source, Server(program=program) as server, Client(server.port) as client:
        used = cpu_seconds(server.pid)
        for number in range(CONNECTIONS):
            with pytest.raises(grpc.RpcError) as refused:
                client.metrics({**prometheus(source.port), "serverAddress": f"https://u{number}:p@127.0.0.1:{source.port}",
                                "cert": certificate, "key": key, "keyPassword": "x"}, "")
            assert "openssl pkcs8 -topk8 -iter 100000" in refused.value.details()
        assert not source.accepted
        assert cpu_seconds(server.pid) - used <= 1


def test_a_key_with_as_many_iterations_as_are_allowed_is_used(program, transport, tmp_path):
    certificate, path = new_key(tmp_path)
    key = encrypted(path, "-v2", "aes-256-cbc", "-iter", "100000")
    with Silent() as source, Server(program=program) as server, Client(server.port) as client:
        call = client.stream_is_active({**prometheus(source.port), "cert": certificate, "key": key, "keyPassword": "x"})
        wait_until(lambda: source.accepted, 30, "a connection")
        call.cancel()


# PKCS #8 of DSA with 512 bits: with 44,000, in 15 KB, reading it takes a minute.
DSA = """-----BEGIN PRIVATE KEY-----
MIHTAgEAMIG0BgcqhkjOOAQBMIGoAkEAjVRxHaZh/Q82iSWLEqN1ihsOJLYnAD4vGB76r3Bw4AKY
MeI2eHHQglRxSHHmXqDWXy8dbTn4JXo1QtkrrqcW+QIhAPYPf3TTuuocpt60D94qg/RrmDZqMQ5k
G8/KhxsfU+yFAkB0bCDPpnYyRlbpbCD/eoyTqlYdORcrEqbTmfESr9GHJZWBhz9ha8KaoVmggb3q
BSsM8UYKoV5NArY1JT41E+mNBBcCFQDILVJ/UQhfAkuCNi6LKuP+nk0P3A==
-----END PRIVATE KEY-----
"""


def prometheus(port):
    return {"scaler": "prometheus", "serverAddress": f"https://127.0.0.1:{port}", "query": "1", "threshold": "5", "authModes": "tls"}


def kafka(port):
    """librdkafka reads any key that it gets."""
    return {"scaler": "kafka", "bootstrapServers": f"127.0.0.1:{port}", "topic": "t", "consumerGroup": "g", "lagThreshold": "5",
            "tls": "enable"}


@pytest.mark.parametrize("trigger", [prometheus, kafka])
def test_a_key_of_dsa_is_refused_before_it_is_read(program, transport, tmp_path, trigger):
    certificate, _ = new_key(tmp_path)
    with Silent() as source, Server(program=program) as server, Client(server.port) as client:
        with pytest.raises(grpc.RpcError) as refused:
            client.metrics({**trigger(source.port), "cert": certificate, "key": DSA}, "")
        assert "a PEM private key of RSA (at most 4096 bits), EC or Ed25519" in refused.value.details()
