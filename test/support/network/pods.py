"""A proxy before the pods of a Service, which takes another pod for each request."""

import collections
import socket
import threading

CHUNK = 65536


class PodProxy:
    """Forwards HTTP to `ports`: pages and their stream to the first one, and of each path of the API the requests to
    one after the other. With `is_sticky` all goes to the first one. A connection carries one request, as the server's do.
    sign_out(): it has sessions of its own, which have ended. `authorization` is a header that it adds to each request, as a
    proxy that knows the server's token."""

    def __init__(self, *ports, authorization=None):
        self.ports = ports
        self.authorization = authorization
        self.is_sticky = False
        self.response = None  # in place of any pod's
        self.requests = collections.Counter()
        self.open = set()
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.http_port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()

    def move(self, *ports):
        """As where the first pod has gone: what is under way ends."""
        with self.lock:
            self.ports = ports
            for end in self.open:
                end.shutdown(socket.SHUT_RDWR)

    def sign_out(self, status, *headers):
        """From now on it responds itself, with a page to sign in."""
        page = "<html><form>Sign in</form></html>"
        self.response = "\r\n".join((f"HTTP/1.1 {status}", *headers, "Content-Type: text/html", f"Content-Length: {len(page)}",
                                     "Connection: close", "", page)).encode()
        self.move(*self.ports)

    def sign_in(self):
        self.response = None

    def _port_of(self, target):
        path = target.partition("?")[0]
        with self.lock:
            if self.is_sticky or not path.startswith("/api/") or path == "/api/events":
                return self.ports[0]
            self.requests[path] += 1
            return self.ports[self.requests[path] % len(self.ports)]

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._forward, args=(client,), daemon=True).start()

    def _forward(self, client):
        with client:
            try:
                head = b""
                while b"\r\n\r\n" not in head:
                    data = client.recv(CHUNK)
                    if not data:
                        return
                    head += data
                if self.authorization is not None:
                    head = head.replace(b"\r\n", f"\r\nAuthorization: {self.authorization}\r\n".encode(), 1)
                if self.response is not None:
                    client.sendall(self.response)
                    return
                with socket.create_connection(("127.0.0.1", self._port_of(head.split()[1].decode()))) as pod:
                    with self.lock:
                        self.open.add(pod)
                    try:
                        pod.sendall(head)
                        while data := pod.recv(CHUNK):
                            client.sendall(data)
                    finally:
                        with self.lock:
                            self.open.remove(pod)
            except OSError:  # either end has gone
                pass
