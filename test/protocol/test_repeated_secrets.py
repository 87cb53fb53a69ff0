"""What a source, or a proxy before it, says of a request may repeat the credentials: nothing of ours repeats them."""

import base64
import http.server
import json
import threading

import pytest

from support.clients.grpc_client import Client, refusal
from support.pages.page import get
from support.server.server import Server

pytestmark = pytest.mark.parametrize("transport", ["nghttp2"], indirect=True)  # that of the callers says nothing here

SECRETS = ("a-bearer-token-of-it", "a-password-of-it", "another-password", "value-of-a-header")


class Echo(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        sent = self.headers.get("Authorization", "")
        plain = base64.b64decode(sent[6:]).decode() if sent.startswith("Basic ") else sent
        texts = f"you sent {sent}, or {plain}, and {self.headers.get('X-Key')}"
        body = json.dumps({"status": "error", "errorType": "bad_data", "error": texts, "reason": texts}).encode()
        self.send_response(400)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def port():
    echo = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=echo.serve_forever, daemon=True).start()
    yield echo.server_address[1]
    echo.shutdown()
    echo.server_close()


def test_credentials_that_a_source_repeats_are_hidden(port):
    config = f"""connections:
  bearer: {{scaler: prometheus, serverAddress: "http://127.0.0.1:{port}", authModes: bearer, bearerToken: {SECRETS[0]}}}
  basic: {{scaler: prometheus, serverAddress: "http://127.0.0.1:{port}", authModes: basic, username: user, password: {SECRETS[1]}}}
  rabbit: {{scaler: rabbitmq, host: "http://user:{SECRETS[2]}@127.0.0.1:{port}"}}
  headers: {{scaler: prometheus, serverAddress: "http://127.0.0.1:{port}", customHeaders: "X-Key={SECRETS[3]}"}}
"""
    prometheus = {"scaler": "prometheus", "query": "up", "threshold": "5"}
    triggers = [{**prometheus, "connectionName": name} for name in ("bearer", "basic", "headers")]
    triggers.append({"scaler": "rabbitmq", "connectionName": "rabbit", "queueName": "q", "mode": "QueueLength", "value": "5"})
    with Server(config=config, http=True) as server, Client(server.port) as client:
        texts = [refusal(client.is_active, trigger)[1] for trigger in triggers]
        texts += [get(server, path).text for path in ("/api/triggers", "/api/triggers/shop/orders", "/api/log", "/api/connections")]
        texts.append(server.log())
    hidden = "".join(texts)
    assert hidden.count("you sent") >= 4 and "(hidden)" in hidden
    for secret in SECRETS:
        assert secret not in hidden
        assert base64.b64encode(f"user:{secret}".encode()).decode() not in hidden


def test_secrets_that_are_pieces_of_hidden_do_not_make_the_text_longer(port):
    """Of 64 pieces each would make it 1.6 times as long, where it were searched for in what has taken the place of another."""
    headers = ["a=sent"] + [f"h{number}={'(hid' if number % 2 else 'den)'}" for number in range(63)]
    trigger = {"scaler": "prometheus", "serverAddress": f"http://127.0.0.1:{port}", "query": "up", "threshold": "5",
               "customHeaders": ",".join(headers)}
    with Server() as server, Client(server.port) as client:
        before = server.resident_bytes()
        code, text = refusal(client.is_active, trigger)
        assert "you (hidden)" in text and len(text) < 1000
        assert server.resident_bytes() - before < 16 << 20


def test_a_key_in_the_file_of_its_certificate_is_not_shown():
    """Such files are common (tls-combined.pem)."""
    pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM\n-----END PRIVATE KEY-----\n"
    files = {"ca": pem, "cert": pem, "key": pem}
    triggers = {
        "redis": {"address": "127.0.0.1:1", "listName": "jobs", "tls": "enable"},
        "kafka": {"bootstrapServers": "127.0.0.1:1", "consumerGroup": "workers", "topic": "jobs", "tls": "enable"},
        "rabbitmq": {"host": "amqps://127.0.0.1:1", "queueName": "jobs", "mode": "QueueLength", "value": "5"},
        "nats-jetstream": {"servers": "tls://127.0.0.1:1", "stream": "jobs", "consumer": "workers"},
        "prometheus": {"serverAddress": "https://127.0.0.1:1", "query": "up", "threshold": "5", "authModes": "tls"},
    }
    with Server(http=True) as server, Client(server.port) as client:
        for scaler, metadata in triggers.items():
            assert "MIGHAgEA" not in refusal(client.is_active, {"scaler": scaler, **metadata, **files}, name=scaler)[1]
            page = get(server, f"/api/triggers/shop/{scaler}").text
            assert '"(hidden)"' in page and "MIGHAgEA" not in page, page
        pages = [get(server, path).text for path in ("/api/connections", "/api/triggers", "/api/log")]
        assert "MIGHAgEA" not in "".join(pages) + server.log()
