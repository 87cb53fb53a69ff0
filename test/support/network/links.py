"""Links between the server and a broker: long ones, and those that keep some requests from the broker."""

import collections
import re
import socket
import threading
import time

CHUNK = 65536


class Link:
    """Forwards a free loopback port to `target` (a port). A subclass changes what happens to the bytes."""

    def __init__(self, target):
        self.target = target
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:  # closed
                return
            try:
                broker = socket.create_connection(("127.0.0.1", self.target), timeout=5)
            except OSError:
                client.close()
                continue
            broker.settimeout(None)
            for end in (client, broker):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for source, sink, forward in ((client, broker, self.requests), (broker, client, self.replies)):
                threading.Thread(target=self._pump, args=(source, sink, forward), daemon=True).start()

    def _pump(self, source, sink, forward):
        try:
            forward(source, sink)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def requests(self, source, sink):
        """Forwards until the end of one connection, in one direction."""
        while data := source.recv(CHUNK):
            sink.sendall(data)

    replies = requests


class LongLink(Link):
    """Whatever is sent arrives `seconds` later, in both directions; as much as one likes is on its way.

    cut() loses what is sent, and new connections get no reply, until heal(), which resets the connections: as by a
    network that lost its route. `round_trips` is how often a client has sent something after it was sent something, or at
    first.
    """

    def __init__(self, target, seconds=0):
        self.seconds = seconds
        self.round_trips = 0
        self.waiting = set()  # clients that have sent something since
        self.is_cut = False
        self.lock, self.ends = threading.Lock(), set()  # of the connections
        super().__init__(target)

    def cut(self):
        self.is_cut = True

    def heal(self):
        with self.lock:
            ends, self.ends = self.ends, set()
            self.is_cut = False
        for end in ends:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def requests(self, source, sink):
        self._forward(source, sink, lambda: self._count(source))

    def replies(self, source, sink):
        self._forward(source, sink, lambda: self.waiting.discard(sink))

    def _count(self, client):
        self.round_trips += client not in self.waiting
        self.waiting.add(client)

    def _forward(self, source, sink, on_data):
        on_the_way, changed = collections.deque(), threading.Condition()

        def deliver():
            try:
                while True:
                    with changed:
                        changed.wait_for(lambda: on_the_way)
                        arrives, data = on_the_way.popleft()
                    time.sleep(max(0, arrives - time.monotonic()))
                    if not data:
                        sink.shutdown(socket.SHUT_WR)
                        return
                    sink.sendall(data)
            except OSError:
                pass

        def send(data):
            with changed:
                on_the_way.append((time.monotonic() + self.seconds, data))
                changed.notify()

        with self.lock:
            self.ends.add(source)
        deliverer = threading.Thread(target=deliver, daemon=True)
        deliverer.start()
        try:
            while data := source.recv(CHUNK):
                on_data()
                if not self.is_cut:
                    send(data)
        finally:
            with self.lock:
                self.ends.discard(source)
            send(b"")
            deliverer.join()


class KeepingLink(Link):
    """Keeps requests, as long as is_kept() says so of them: the broker does not reply, and the connection lives.

    With `in_order` whatever is sent behind a request that is kept waits, too, and all of it arrives in the end; else
    what is kept is lost. `split` cuts the first request off what was received; None where it is not complete.
    """

    def __init__(self, target, split, in_order):
        super().__init__(target)
        self.split, self.in_order = split, in_order
        self.is_kept = lambda request: False
        self.changed = threading.Condition()

    def keep(self, is_kept):
        with self.changed:
            self.is_kept = is_kept
            self.changed.notify_all()

    def heal(self):
        self.keep(lambda request: False)

    def __exit__(self, *_):
        super().__exit__()
        self.heal()

    def requests(self, source, sink):
        received = b""
        while data := source.recv(CHUNK):
            received += data
            passing = bytearray()
            while length := self.split(received):
                request, received = received[:length], received[length:]
                if not self.is_kept(request):
                    passing += request
                    continue
                if not self.in_order:
                    continue
                sink.sendall(passing)
                with self.changed:
                    self.changed.wait_for(lambda request=request: not self.is_kept(request))
                passing = bytearray(request)
            sink.sendall(passing)


def split_redis(received):
    """The length of the first command: an array of strings."""
    found = re.match(rb"\*(\d+)\r\n", received)
    if not found:
        return None
    end = found.end()
    for _ in range(int(found[1])):
        found = re.compile(rb"\$(\d+)\r\n").match(received, end)
        if not found:
            return None
        end = found.end() + int(found[1]) + 2
    return end if end <= len(received) else None


def split_http(received):
    """The length of the first request, which has no body."""
    return received.find(b"\r\n\r\n") + 4 if b"\r\n\r\n" in received else None


def split_nats(received):
    """The length of the first line, and of the message behind it where it is PUB or HPUB."""
    line, separator, _ = received.partition(b"\r\n")
    if not separator:
        return None
    end = len(line) + 2
    if line[:4].upper().rstrip() in (b"PUB", b"HPUB"):
        end += int(line.rsplit(b" ", 1)[1]) + 2
    return end if end <= len(received) else None
