"""A private key in a trigger's metadata costs the server little, however many triggers have one.

Memory is measured, so that the server is the release build: a sanitizer keeps what was freed.
"""

import os
import socket
import subprocess
import threading
import time

import grpc
import pytest

from attacks.suffering import MIB, own_peak
from support.clients.grpc_client import Client
from support.pages.page import get, metric
from support.process import Unavailable, wait_until
from support.server.server import Server

CONNECTIONS = 64
GROWTH_MIB = 128  # one key at a time takes up to 32 MiB; a connection has the public authorities, about 1 MiB
PATIENCE_SECONDS = 120
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


def large_key(folder):
    """A certificate, and its key, which takes 28 MiB to decrypt: as much as is allowed."""
    certificate = run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-subj", "/CN=x",
                      "-keyout", f"{folder}/key.pem")
    key = run("pkcs8", "-topk8", "-scrypt", "-scrypt_N", "32768", "-scrypt_r", "7", "-scrypt_p", "1", "-passout", "pass:x",
              "-in", f"{folder}/key.pem")
    return certificate, key


def password(number):
    """The wrong one takes as long as the right one does, and each makes it another key."""
    return f"x{number}" if number > 0 else "x"


def test_keys_that_take_much_memory_to_decrypt_do_so_one_at_a_time(program, transport, tmp_path):
    certificate, key = large_key(tmp_path)
    with Silent() as source, Server(program=program) as server, Client(server.port) as client:
        before = own_peak(server.pid)
        calls = [client.stream_is_active({"scaler": "prometheus", "serverAddress": f"https://u{number}:p@127.0.0.1:{source.port}",
                                          "query": "1", "threshold": "5", "authModes": "tls", "cert": certificate, "key": key,
                                          "keyPassword": password(number)}) for number in range(CONNECTIONS)]
        wait_until(lambda: len(source.accepted) >= CONNECTIONS, PATIENCE_SECONDS, "all connections")
        end = time.monotonic() + 5
        while time.monotonic() < end:
            assert (own_peak(server.pid) - before) / MIB <= GROWTH_MIB
            time.sleep(0.1)
        for call in calls:
            call.cancel()


def wait_for_the_first_key(source, server):
    """The only right one of CONNECTIONS may be the last of them: then no other is left to decrypt."""
    wait_until(lambda: source.accepted or "key cannot" in server.log(), PATIENCE_SECONDS, "the first key")


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        return sum(int(field) for field in file.read().rpartition(")")[2].split()[11:13]) / os.sysconf("SC_CLK_TCK")


def test_keys_with_many_iterations_take_one_core_together(program, transport, tmp_path):
    certificate, _ = large_key(tmp_path)
    key = run("pkcs8", "-topk8", "-v2", "aes-256-cbc", "-iter", "1000000", "-passout", "pass:x", "-in", f"{tmp_path}/key.pem")
    with Silent() as source, Server(program=program) as server, Client(server.port) as client:
        calls = [client.stream_is_active({**prometheus(source.port), "serverAddress": f"https://u{number}:p@127.0.0.1:{source.port}",
                                          "cert": certificate, "key": key, "keyPassword": password(number)}) for number in range(CONNECTIONS)]
        wait_for_the_first_key(source, server)
        began, used = time.monotonic(), cpu_seconds(server.pid)
        time.sleep(3)
        used = (cpu_seconds(server.pid) - used) / (time.monotonic() - began)
        print(f"keys with 1,000,000 iterations: {used:.2f} of a core")
        assert used <= 1.3  # of a core; a busy machine gives less
        for call in calls:
            call.cancel()


def test_a_key_is_not_decrypted_again_for_each_attempt_to_connect(program, transport, tmp_path):
    certificate, _ = large_key(tmp_path)
    key = run("pkcs8", "-topk8", "-v2", "aes-256-cbc", "-iter", "1000000", "-passout", "pass:x", "-in", f"{tmp_path}/key.pem")
    with Server(program=program, http=True) as server, Client(server.port) as client:
        calls = [client.stream_is_active({"scaler": "redis", "address": "127.0.0.1:1", "listName": f"l{number}", "listLength": "5",
                                          "username": f"u{number}", "password": "p", "tls": "enable", "cert": certificate, "key": key,
                                          "keyPassword": "x"}) for number in range(CONNECTIONS)]
        def attempts():
            return metric(get(server, "/metrics").text, "backlog_connection_attempts_total", scaler="redis", result="failure") or 0
        wait_until(lambda: attempts() >= CONNECTIONS, PATIENCE_SECONDS, "all attempts")
        used = cpu_seconds(server.pid)
        print(f"{CONNECTIONS} attempts to connect with a key of 1,000,000 iterations: {used:.1f} s of CPU")
        assert used <= 10  # 64 times it takes half a minute
        for call in calls:
            call.cancel()


def test_keys_that_are_decrypted_do_not_delay_the_end(program, transport, tmp_path):
    certificate, _ = large_key(tmp_path)
    key = run("pkcs8", "-topk8", "-v2", "aes-256-cbc", "-iter", "1000000", "-passout", "pass:x", "-in", f"{tmp_path}/key.pem")
    with Silent() as source, Server(program=program) as server, Client(server.port) as client:
        calls = [client.stream_is_active({**prometheus(source.port), "serverAddress": f"https://u{number}:p@127.0.0.1:{source.port}",
                                          "cert": certificate, "key": key, "keyPassword": password(number)}) for number in range(CONNECTIONS)]
        wait_for_the_first_key(source, server)
        began = time.monotonic()
        server.stop()
        print(f"ended after {time.monotonic() - began:.1f} s")
        assert time.monotonic() - began < 4
        assert "ending without it" in server.log()
        for call in calls:
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
    certificate, _ = large_key(tmp_path)
    with Silent() as source, Server(program=program) as server, Client(server.port) as client:
        with pytest.raises(grpc.RpcError) as refused:
            client.metrics({**trigger(source.port), "cert": certificate, "key": DSA}, "")
        assert "a PEM private key of RSA (at most 4096 bits), EC or Ed25519" in refused.value.details()
