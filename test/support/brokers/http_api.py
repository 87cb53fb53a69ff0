"""An HTTP API that answers what a test says, and counts its requests; with TLS and credentials, if these are given."""

import base64
import collections
import http.server
import json
import socket
import ssl
import threading
import time
import urllib.parse


class HttpApi:
    """`answers` has an answer per path: (status, body), a body, an object for JSON, or a function of the handler, which
    sends it. `header` and `value` are what each request must have; `tls` is an ssl.SSLContext."""

    def __init__(self, answers=None, header=None, value=None, tls=None):
        self.answers = dict(answers or {})
        self.requests = collections.Counter()  # by path and parameters
        self.headers = []  # of the requests, in their order
        self.connections = 0
        self.in_flight = self.max_in_flight = 0
        self.lock = threading.Lock()
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # head and body are two writes

            def do_GET(self):
                with api.lock:
                    api.requests[self.path] += 1
                    api.headers.append(self.headers)
                    api.in_flight += 1
                    api.max_in_flight = max(api.max_in_flight, api.in_flight)
                try:
                    self.give(api.answers.get(urllib.parse.urlsplit(self.path).path, (404, "")))
                finally:
                    with api.lock:
                        api.in_flight -= 1

            def give(self, answer):
                if header is not None and self.headers.get(header) != value:
                    answer = 401, "who is this? sesame"
                if callable(answer):
                    answer(self)
                    return
                status, body = answer if isinstance(answer, tuple) else (200, answer)
                self.send(status, body)

            def send(self, status, body, **headers):
                data = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
                self.send_response(status)
                for name, text in {"Content-Length": str(len(data)), **headers}.items():
                    self.send_header(name, text)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        class Listener(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def process_request(self, request, address):
                with api.lock:
                    api.connections += 1
                super().process_request(request, address)

            def handle_error(self, *_):
                """A client that does not wait for its answer is what some tests are about."""

        self.listener = Listener(("127.0.0.1", 0), Handler)
        self.port = self.listener.server_port
        self.scheme = "http" if tls is None else "https"
        if tls is not None:
            self.listener.socket = tls.wrap_socket(self.listener.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.listener.serve_forever, daemon=True).start()

    def url(self, path="/", port=None):
        return f"{self.scheme}://127.0.0.1:{port or self.port}{path}"

    def forget(self):
        with self.lock:
            self.requests.clear()
            self.headers.clear()
            self.max_in_flight = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown()
        self.listener.server_close()


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def tls_context(folder, client_ca=None):
    """With own.pem of the folder; `client_ca`: clients need a certificate of it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "own.pem", folder / "own.key")
    if client_ca is not None:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


# Answers that are none, or come late.

def after(seconds, answer):
    def give(handler):
        time.sleep(seconds)
        handler.give(answer)
    return give


def truncated(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"waiting": 1')
    handler.close_connection = True


def unfinished(handler):
    """Nothing says how long it was to be."""
    handler.protocol_version = "HTTP/1.0"
    handler.close_connection = True
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(b'{"waiting": 1')


def reset(handler):
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    handler.connection.close()
    handler.close_connection = True


def redirect(to):
    return lambda handler: handler.send(302, "sesame", Location=to)
