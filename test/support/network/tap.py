"""A forwarder between the server and a broker that counts what is said to the broker."""

import collections
import socket
import threading


class Tap:
    def __init__(self, port, host="127.0.0.1", address=("127.0.0.1", 0)):
        self.target = (host, port)
        self.listener = socket.create_server(address)
        self.port = self.listener.getsockname()[1]
        self.connections = 0
        self.is_cut = False
        self.open = []
        self.sent = collections.defaultdict(bytearray)  # to the broker, by the thread of a connection
        self.lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if self.is_cut or not (broker := self._connect()):
                client.close()
                continue
            self.connections += 1
            self.open += [client, broker]
            threading.Thread(target=self._forward, args=(client, broker, True), daemon=True).start()
            threading.Thread(target=self._forward, args=(broker, client, False), daemon=True).start()

    def _connect(self):
        """To the broker; None where it is down."""
        try:
            return socket.create_connection(self.target)
        except OSError:
            return None

    def _forward(self, source, sink, to_broker):
        try:
            while data := source.recv(65536):
                self.passes(data, to_broker)
                sink.sendall(data)
        except OSError:
            pass
        self._shut(source, sink)

    def _shut(self, *ends):
        for end in ends:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        """Ends every connection, and every new one until mend()."""
        self.is_cut = True
        self._shut(*self.open)

    def restore(self):
        self.is_cut = False

    def passes(self, data, to_broker):
        """Something is about to be passed on."""
        if to_broker:
            with self.lock:
                self.sent[threading.current_thread()] += data

    def count(self, what):
        """How often these bytes were sent since the last forget()."""
        with self.lock:
            return sum(sent.count(what) for sent in self.sent.values())

    def senders(self, what):
        """How many connections have sent these bytes since the last forget()."""
        with self.lock:
            return sum(what in sent for sent in self.sent.values())

    def forget(self):
        with self.lock:
            self.sent.clear()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()
