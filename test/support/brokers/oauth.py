"""A token endpoint (RFC 6749, client credentials): its tokens are unsigned, as Kafka's own test validator takes them."""

import base64
import http.server
import json
import ssl
import threading
import time
import urllib.parse


def segment(claims):
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()


class TokenEndpoint:
    """
    /token takes the credentials in the header, /body only in the body; /hang answers never, /huge too much,
    /garbage no JSON. `seconds` is how long a token is good.
    """

    client_id, client_secret = "backlog", "s3cret & more"

    def __init__(self, folder=None, seconds=3600):
        self.requests, self.seconds, self.ended = [], seconds, threading.Event()
        endpoint = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                endpoint.answer(self, dict(urllib.parse.parse_qsl(body)))

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if folder is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(folder / "own.pem", folder / "own.key")
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"{'https' if folder else 'http'}://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def knows(self, handler, form):
        kind, _, words = handler.headers.get("Authorization", " ").partition(" ")
        name, _, secret = base64.b64decode(words).decode().partition(":") if kind == "Basic" else ("", "", "")
        given = (urllib.parse.unquote_plus(name), urllib.parse.unquote_plus(secret))
        if handler.path == "/body":
            given = (form.get("client_id"), form.get("client_secret"))
        return given == (self.client_id, self.client_secret)

    def answer(self, handler, form):
        self.requests.append((handler.path, form))
        status, body = 200, b"{}"
        if handler.path == "/hang":
            self.ended.wait(30)
        elif handler.path == "/huge":
            body = json.dumps({"access_token": "x" * 100_000}).encode()
        elif handler.path == "/garbage":
            body = b"<html>s3cret</html>"
        elif not self.knows(handler, form):
            status, body = 401, b'{"error": "invalid_client", "error_description": "no s3cret"}'
        else:
            body = json.dumps({"access_token": self.token(form), "expires_in": self.seconds}).encode()
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def token(self, form):
        now = time.time()
        claims = {"sub": self.client_id, "iat": now, "exp": now + self.seconds, "scope": form.get("scope", "").split()}
        return f"{segment({'alg': 'none'})}.{segment(claims)}."
