"""A network that fails: a TCP proxy before a broker that cuts, delays, truncates and garbles what the broker says."""

import socket
import threading
import time

CHUNK = 65536


class Proxy:
    """Forwards a free loopback port to `target` (a port). A fault is set by fail(), and ended by heal().

    The faults: `refuse` new connections and end those that are; `cut` each connection in the middle of the next
    answer; `truncate` the next answer, and the first of each new connection, and say nothing more; `garble` every
    byte of an answer; `delay` what is answered by three seconds; `swallow` what is asked.
    """

    FAULTS = ("refuse", "cut", "truncate", "garble", "delay", "swallow")

    def __init__(self, target=None):
        self.target = target
        self.fault = None
        self.has_truncated = False
        self.older = set()  # connections than the fault
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.pairs = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()
        self.hang_up()

    def fail(self, fault):
        assert fault in self.FAULTS
        with self.lock:
            self.older = {client for client, _ in self.pairs}
            self.has_truncated = False
        self.fault = fault
        if fault == "refuse":
            self.hang_up()

    def heal(self):
        """Connections that a fault has spoilt end with it."""
        self.fault = None
        self.hang_up()

    def hang_up(self):
        with self.lock:
            pairs, self.pairs = self.pairs, set()
        for pair in pairs:
            for end in pair:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:  # closed
                return
            try:
                if self.fault == "refuse":
                    raise OSError("refused")
                broker = socket.create_connection(("127.0.0.1", self.target), timeout=5)
                broker.settimeout(None)
            except OSError:
                client.close()
                continue
            with self.lock:
                self.pairs.add((client, broker))
            threading.Thread(target=self._pump, args=(client, broker, self._fetch), daemon=True).start()
            threading.Thread(target=self._pump, args=(broker, client, self._answer), daemon=True).start()

    def _pump(self, source, sink, forward):
        try:
            while data := source.recv(CHUNK):
                forward(sink, data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _fetch(self, broker, data):
        if self.fault != "swallow":
            broker.sendall(data)

    def _answer(self, client, data):
        if self.fault == "cut":
            client.sendall(data[:len(data) // 2])
            raise OSError("cut")
        if self.fault == "truncate":
            self._send_half(client, data)
            while self.fault == "truncate":
                time.sleep(0.05)
            raise OSError("what was left out cannot be caught up with")
        if self.fault == "garble":  # no byte of it is a digit any more
            data = bytes(byte ^ 0x80 for byte in data)
        if self.fault == "delay":
            time.sleep(3)
        client.sendall(data)

    def _send_half(self, client, data):
        """Half of an answer may be a whole one to one of several queries. Of the connections that were there, only the
        first that answers has it said, or who tries one after the other would go on to learn what is so."""
        with self.lock:
            is_silent = client in self.older and self.has_truncated
            self.has_truncated = self.has_truncated or client in self.older
        if not is_silent:
            client.sendall(data[:len(data) // 2])
