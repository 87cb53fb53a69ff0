"""A forwarder between the server and a broker that counts what is said to the broker."""

import socket
import threading


class Tap:
    def __init__(self, port):
        self.target = ("127.0.0.1", port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.connections = 0
        self.sent = bytearray()  # to the broker
        self.lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
                broker = socket.create_connection(self.target)
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._forward, args=(client, broker, True), daemon=True).start()
            threading.Thread(target=self._forward, args=(broker, client, False), daemon=True).start()

    def _forward(self, source, sink, to_broker):
        try:
            while data := source.recv(65536):
                self.passes(data, to_broker)
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def passes(self, data, to_broker):
        """Something is about to be passed on."""
        if to_broker:
            with self.lock:
                self.sent += data

    def count(self, what):
        """How often these bytes were sent since the last forget()."""
        with self.lock:
            return self.sent.count(what)

    def forget(self):
        with self.lock:
            self.sent.clear()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()
