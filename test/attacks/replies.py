"""What a hostile source can reply. A row of SOURCES is a source: how a trigger names it, a script that is right, and
hostile ones. test/protocol/test_replies.py plays each of them to a server, and the right one cut off after each byte.

A script is a function of a Wire, and has one connection to itself: it ends when it returns, or the client hangs up.
"""

import binascii
import itertools
import json
import struct
import threading
import time

VALUE = 7  # what each right script says
ENOUGH = 256 << 20  # bytes of one reply, that nobody should have taken


class Wire:
    """The source's side of a connection. After `budget` bytes it falls silent."""

    def __init__(self, connection, sent, budget=None):
        self.connection, self.sent, self.budget = connection, sent, budget
        self.input = connection.makefile("rb")

    def line(self):
        line = self.input.readline(1 << 16)
        if not line:
            raise EOFError
        return line.rstrip(b"\r\n")

    def read(self, count):
        data = self.input.read(count)
        if len(data) < count:
            raise EOFError
        return data

    def send(self, data):
        if self.budget is not None:
            data, self.budget = data[:self.budget], self.budget - len(data)
        self.connection.sendall(data)
        self.sent(len(data))
        if self.budget is not None and self.budget <= 0:
            self.hang()

    def hang(self):
        while self.connection.recv(1 << 16):
            pass
        raise EOFError

    def pour(self, *chunks):
        """All of them but the last one once, and the last one again and again."""
        for chunk in chunks[:-1]:
            self.send(chunk)
        times = max(1, (1 << 16) // len(chunks[-1]))
        chunk = chunks[-1] * times
        for _ in range(ENOUGH // len(chunk)):
            self.send(chunk)
        self.hang()


    def flood(self, *chunks):
        """The same, without an end, and as fast as it can."""
        for chunk in chunks[:-1]:
            self.send(chunk)
        chunk = chunks[-1] * max(1, (1 << 16) // len(chunks[-1]))
        while True:
            self.send(chunk)


class Source:
    """`trigger(port, number)` are the keys of trigger `number`, on one connection with the others; `separate(port,
    number)` of one with a connection of its own; `triggers` is how many of one connection are watched at a time, and
    `silences` after how many bytes of the right script it falls silent (None: after each)."""

    def __init__(self, name, trigger, separate, good, hostile, triggers=40, silences=None):
        self.name, self.trigger, self.separate = name, trigger, separate
        self.good, self.hostile, self.triggers, self.silences = good, hostile, triggers, silences


def named(title, script):
    script.title = title
    return script


# ---- Redis ----

def redis_commands(wire):
    while True:
        count = int(wire.line()[1:])
        yield [(wire.line(), wire.line())[1].decode() for _ in range(count)]


REDIS_COUNTS = {"LLEN": b":7\r\n", "XLEN": b":7\r\n", "XINFO": b"*0\r\n", "XPENDING": b"*4\r\n:7\r\n$-1\r\n$-1\r\n*-1\r\n"}


def redis(wire):
    for words in redis_commands(wire):
        wire.send(REDIS_COUNTS.get(words[0], b"+OK\r\n"))


def redis_hostile(title, *chunks):
    """In place of the first count."""
    def script(wire):
        for words in redis_commands(wire):
            if words[0] in REDIS_COUNTS:
                wire.pour(*chunks)
            wire.send(b"+OK\r\n")
    return named(title, script)


REDIS_HOSTILE = [
    redis_hostile("a string of 512 MiB", b"$536870911\r\n", b"x" * 65536),
    redis_hostile("an endless line", b"+", b"x" * 65536),
    redis_hostile("an endless number", b":", b"1" * 65536),
    redis_hostile("an array of two thousand million", b"*2147483647\r\n", b":1\r\n"),
    redis_hostile("a large array of nothing", b"*131072\r\n", b":1\r\n"),
    redis_hostile("arrays of arrays", b"*131072\r\n*131072\r\n*131072\r\n*131072\r\n*131072\r\n*131072\r\n", b"*0\r\n"),
    redis_hostile("wide arrays in an array", b"*131072\r\n", b"*1000\r\n" + b":1\r\n" * 1000),
    redis_hostile("endless depth", b"*1\r\n"),
    redis_hostile("replies without end", b":1\r\n"),
    redis_hostile("messages without end", b"*3\r\n$7\r\nmessage\r\n$1\r\nx\r\n$1\r\nx\r\n"),
]


REDIS_NODES = 64


def redis_node_range(node):
    return range(node * 16384 // REDIS_NODES, (node + 1) * 16384 // REDIS_NODES)


def redis_node_slots(node, port):
    slots, host = redis_node_range(node), b"127.0.0.%d" % (node + 1)
    return b"*3\r\n:%d\r\n:%d\r\n*2\r\n$%d\r\n%s\r\n:%d\r\n" % (slots[0], slots[-1], len(host), host, port)


def redis_node(wire):
    """One of a Redis Cluster of REDIS_NODES masters, which have the same port."""
    port = wire.connection.getsockname()[1]
    replies = {"CLUSTER": b"*%d\r\n" % REDIS_NODES + b"".join(redis_node_slots(node, port) for node in range(REDIS_NODES)),
               "ROLE": b"*1\r\n$6\r\nmaster\r\n", **REDIS_COUNTS}
    for words in redis_commands(wire):
        wire.send(replies.get(words[0], b"+OK\r\n"))


def redis_bulk(*texts):
    return b"*%d\r\n" % len(texts) + b"".join(b"$%d\r\n%s\r\n" % (len(text), text) for text in texts)


def redis_slots(hosts, port, first=0, last=16383):
    return b"*%d\r\n" % len(hosts) + b"".join(b"*3\r\n:%d\r\n:%d\r\n*2\r\n$%d\r\n%s\r\n:%d\r\n" % (first, last, len(host), host, port)
                                              for host in hosts)


def redis_finding(found):
    """A server that is also where it is found: `found(port, words)` is the reply to CLUSTER and SENTINEL."""
    def script(wire):
        port = wire.connection.getsockname()[1]
        for words in redis_commands(wire):
            if words[0] in ("CLUSTER", "SENTINEL"):
                wire.send(found(port, words))
            else:
                wire.send(b"*1\r\n$6\r\nmaster\r\n" if words[0] == "ROLE" else REDIS_COUNTS.get(words[0], b"+OK\r\n"))
    return script


def redis_found(port, words):
    if words[0] == "CLUSTER":
        return redis_slots([b"127.0.0.1"], port)
    if words[1] == "MASTER":
        return redis_bulk(b"name", b"shop", b"config-epoch", b"1")
    return redis_bulk(b"127.0.0.1", b"%d" % port)


def redis_lost(title, *chunks):
    """In place of where the data is."""
    def script(wire):
        for words in redis_commands(wire):
            if words[0] in ("CLUSTER", "SENTINEL"):
                wire.pour(*chunks)
            wire.send(b"+OK\r\n")
    return named(title, script)


def redis_moved(title, error):
    """In place of each count; `error(number)` is another one each time."""
    def script(wire):
        port, numbers = wire.connection.getsockname()[1], itertools.count()
        for words in redis_commands(wire):
            if words[0] in REDIS_COUNTS:
                wire.send(error(port, next(numbers)))
            else:
                wire.send(redis_found(port, words) if words[0] == "CLUSTER" else b"+OK\r\n")
    return named(title, script)


REDIS_LOST = [
    redis_lost("a string of 512 MiB", b"$536870911\r\n", b"x" * 65536),
    redis_lost("a large array of nothing", b"*131072\r\n", b":1\r\n"),
    redis_lost("endless depth", b"*1\r\n"),
    redis_lost("replies without end", b"*0\r\n"),
]

REDIS_CLUSTER_HOSTILE = [
    *REDIS_LOST,
    named("5,000 ranges of one node", redis_finding(lambda port, _: redis_slots([b"127.0.0.1"] * 5000, port))),
    named("5,000 nodes", redis_finding(lambda port, _: redis_slots([b"node%d" % number for number in range(5000)], port))),
    named("a node with a name of 1 MiB", redis_finding(lambda port, _: redis_slots([b"x" * (1 << 20)], port))),
    named("ranges beyond all slots", redis_finding(lambda port, _: redis_slots([b"127.0.0.1"], port, -(1 << 62), 1 << 62))),
    redis_moved("moved to and fro", lambda port, number: b"-MOVED %d 127.0.0.1:%d\r\n" % (number % 16384, port)),
    redis_moved("moved to another node each time", lambda port, number: b"-MOVED 1 127.0.%d.%d:%d\r\n" % (number // 250 % 250, number % 250, port)),
    redis_moved("asked of itself", lambda port, number: b"-ASK 1 127.0.0.1:%d\r\n" % port),
]

REDIS_SENTINEL_HOSTILE = [
    *REDIS_LOST,
    named("a master with a name of 1 MiB", redis_finding(
        lambda port, words: redis_found(port, words) if words[1] == "MASTER" else redis_bulk(b"x" * (1 << 20), b"%d" % port))),
    named("a master with 60,000 fields", redis_finding(
        lambda port, words: redis_bulk(*[b"config-epoch"] * 60000) if words[1] == "MASTER" else redis_found(port, words))),
    named("a port that is none", redis_finding(
        lambda port, words: redis_found(port, words) if words[1] == "MASTER" else redis_bulk(b"127.0.0.1", b"9" * 1000))),
]


REDIS_SWITCH = b"*3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$32\r\nshop 127.0.0.1 6379 127.0.0.1 81\r\n"


def redis_failing_over(wire):
    """A Sentinel that reports failovers without end, and a master that hangs up once it is set up (only a master's links send
    ROLE). When they do so depends on the client's port, so that each may come before the other."""
    port, client_port = (address[1] for address in (wire.connection.getsockname(), wire.connection.getpeername()))
    seconds = 0.05 * (1 + client_port % 8)
    is_master = False
    for words in redis_commands(wire):
        is_master = is_master or words[0] == "ROLE"
        is_last = is_master and words[0] == "PING"
        if is_last:
            time.sleep(seconds)
        wire.send(redis_found(port, words) if words[0] == "SENTINEL" else
                  b"*1\r\n$6\r\nmaster\r\n" if words[0] == "ROLE" else b"+OK\r\n")
        if is_last:
            return
        while words[0] == "SUBSCRIBE":
            time.sleep(seconds)
            wire.send(REDIS_SWITCH)


def redis_key_of(node):
    return next(key for key in map(str, itertools.count()) if binascii.crc_hqx(key.encode(), 0) % 16384 in redis_node_range(node))


# ---- HTTP ----

def http_requests(wire):
    while True:
        path = wire.line().split()[1].decode()
        length = 0
        while line := wire.line():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        wire.read(length)
        yield path


def http_reply(body):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    status = b"404 Not Found" if b'"reason": "NotFound"' in body[:100] else b"200 OK"
    return b"HTTP/1.1 " + status + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def http_good(bodies):
    """`bodies(path)`: what is right there."""
    def script(wire):
        for path in http_requests(wire):
            wire.send(http_reply(bodies(path)))
    return script


ENDLESS = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
BOMB_BYTES = 8 << 20


def http_hostile(title, setup, *chunks):
    """`setup(path)`: the right body of what is not attacked, or None."""
    def script(wire):
        for path in http_requests(wire):
            body = setup(path)
            if body is None:
                wire.pour(*chunks)
            wire.send(http_reply(body))
    return named(title, script)


def http_bomb(title, setup, bodies):
    """Whole replies, each just below the limit of one: of two sizes, as the limits differ."""
    def script(wire):
        for path in http_requests(wire):
            body = setup(path)
            wire.send(http_reply(next(bodies) if body is None else body))
    script.prepare = bodies.prepare
    return named(title, script)


class Bodies:
    """Bodies in turns, made when the first one is needed: in the process of the peer."""

    def __init__(self, make):
        self.make, self.lock, self.bodies = make, threading.Lock(), None

    def prepare(self):
        self.bodies = itertools.cycle(list(self.make()))

    def __next__(self):
        with self.lock:
            return next(self.bodies)


def repeated(piece, before=b"[", after=b"]", sizes=(8 << 20, 1 << 20, 250 << 10, 60 << 10)):
    """JSON of about these sizes, in turns."""
    return Bodies(lambda: (before + b",".join([piece] * ((size - 2) // (len(piece) + 1))) + after for size in sizes))


def http_transfers(setup):
    """What concerns HTTP alone: one source is enough."""
    return [
        http_hostile("headers without end", setup, b"HTTP/1.1 200 OK\r\n", b"X-Header: " + b"y" * 1000 + b"\r\n"),
        http_hostile("headers of four bytes", setup, b"HTTP/1.1 200 OK\r\n", b"a:\r\n" * 4096),
        http_hostile("trailers of four bytes", setup, CHUNKED + b"1\r\nx\r\n0\r\n", b"a:\r\n" * 4096),
        http_hostile("one endless header", setup, b"HTTP/1.1 200 OK\r\nX-Header: ", b"y" * 65536),
        http_hostile("one endless chunk", setup, CHUNKED + b"7fffffff\r\n", b"x" * 65536),
        http_hostile("chunks without end", setup, CHUNKED, b"1\r\nx\r\n"),
        http_hostile("a body of 2^62 bytes", setup, b"HTTP/1.1 200 OK\r\nContent-Length: 4611686018427387904\r\n\r\n", b"[" * 65536),
        http_hostile("1xx without end", setup, b"HTTP/1.1 100 Continue\r\nX: " + b"y" * 1000 + b"\r\n\r\n"),
    ]


def http_bodies(setup, *more):
    return [
        http_hostile("a body without end", setup, ENDLESS, b'"x",' * 16384),
        http_bomb("JSON of {},", setup, repeated(b"{}")),
        http_bomb("JSON of [],", setup, repeated(b"[]")),
        http_bomb('JSON of {"":{}},', setup, repeated(b'{"":{}}')),
        http_bomb("JSON of 1,", setup, repeated(b"1")),
        http_bomb("JSON of depth 2,000", setup, repeated(b"[" * 2000 + b"]" * 2000)),
        http_bomb("one string", setup, Bodies(lambda: (b'["' + b"\\u0041" * (size // 6) + b'"]' for size in (8 << 20, 1 << 20, 60 << 10)))),
        *more]


def prometheus_body(path):
    return {"status": "success", "data": {"resultType": "scalar", "result": [1, str(VALUE)]}}


def is_probe(path):
    return path.endswith("query=1") or "query=1&" in path


def prometheus_setup(path):
    return prometheus_body(path) if is_probe(path) else None


def prometheus_trigger(port, number, user="a"):
    return {"scaler": "prometheus", "serverAddress": f"http://{user}:x@127.0.0.1:{port}", "query": f"up{{n=\"{number}\"}}",
            "threshold": "5"}


# ---- RabbitMQ's management API ----

def management_body(path):
    if path.startswith("/api/overview"):
        return {"rates_mode": "basic", "object_totals": {"queues": 100000}}
    queue = {"name": "q0", "messages": VALUE, "messages_ready": VALUE, "messages_unacknowledged": 0}
    if "pagination" in path:
        return {"items": [queue], "filtered_count": 1, "page_count": 1, "page": 1}
    name = path.partition("?")[0].partition("/api/queues/%2F")[2]
    if name:
        return {**queue, "name": name[1:]}
    return [queue]


def management_setup(path):
    return management_body(path) if path.startswith("/api/overview") else None


def management_trigger(port, number, user="a"):
    return {"scaler": "rabbitmq", "host": f"http://{user}:x@127.0.0.1:{port}/", "queueName": f"q{number}",
            "mode": "QueueLength", "value": "5"}


def management_pages_trigger(port, number, user="a"):
    return {**management_trigger(port, number, user), "useRegex": "true"}


QUEUE = b'{"name":"q%d","messages":7,"messages_ready":7,"messages_unacknowledged":0}'
FAT_QUEUE = b'{"name":"q1","messages":7,"messages_ready":7,"messages_unacknowledged":0,"x":[' + b",".join([b"{}"] * 3000) + b"]}"

MANAGEMENT_MORE = [
    http_bomb("a listing of 100,000 queues", management_setup,
              Bodies(lambda: [b"[" + b",".join(QUEUE % number for number in range(100000)) + b"]"])),
    http_bomb("queues with objects in them", management_setup, repeated(FAT_QUEUE)),
]


def token_body(path):
    return {"access_token": "t", "token_type": "bearer", "expires_in": 300} if path.startswith("/token") else management_body(path)


def token_setup(path):
    return None if path.startswith("/token") else management_body(path)


def token_trigger(port, number, user="a"):
    return {"scaler": "rabbitmq", "host": f"http://127.0.0.1:{port}/", "queueName": f"q{number}", "mode": "QueueLength",
            "value": "5", "oauthTokenURI": f"http://127.0.0.1:{port}/token", "clientID": user, "clientSecret": "s"}


# ---- AMQP ----

def amqp_frame(channel, payload, kind=1):
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + b"\xce"


def amqp_method(channel, of, method, fields=b""):
    return amqp_frame(channel, struct.pack(">HH", of, method) + fields)


def long_string(text):
    return struct.pack(">I", len(text)) + text


def short_string(text):
    return struct.pack("B", len(text)) + text


def amqp_frames(wire):
    while True:
        kind, channel, length = struct.unpack(">BHI", wire.read(7))
        payload = wire.read(length + 1)[:-1]
        if kind == 1:
            yield (channel, *struct.unpack(">HH", payload[:4]), payload[4:])


def amqp_start(table=b""):
    return amqp_method(0, 10, 10, b"\x00\x09" + long_string(table) + long_string(b"PLAIN") + long_string(b"en_US"))


OPEN_OK = amqp_method(0, 10, 41, b"\x00")


def amqp_tune(frame_max=131072, channel_max=2047):
    return amqp_method(0, 10, 30, struct.pack(">HIH", channel_max, frame_max, 60))


def declare_ok(channel, fields):
    return amqp_method(channel, 50, 11, fields[2:3 + fields[2]] + struct.pack(">II", VALUE, 0))


def amqp_until_open(wire, tune=None):
    wire.read(8)
    wire.send(amqp_start())
    for _, of, method, _ in amqp_frames(wire):
        if (of, method) == (10, 11):
            wire.send(tune or amqp_tune())
        elif (of, method) == (10, 40):
            return


def amqp(wire, tune=None, hangs=lambda queue: False):
    """A queue that hangs holds up its channel, also the closing of it."""
    amqp_until_open(wire, tune)
    wire.send(OPEN_OK)
    hanging = set()
    for channel, of, method, fields in amqp_frames(wire):
        if (of, method) == (20, 10):
            wire.send(amqp_method(channel, 20, 11, long_string(b"")))
        elif (of, method) == (50, 10) and hangs(fields[3:3 + fields[2]]):
            hanging.add(channel)
        elif channel in hanging:
            continue
        elif (of, method) == (50, 10):
            wire.send(declare_ok(channel, fields))
        elif (of, method) == (20, 40):
            wire.send(amqp_method(channel, 20, 41))


def amqp_from_start(title, *chunks):
    def script(wire):
        wire.read(8)
        wire.pour(*chunks)
    return named(title, script)


def amqp_before_open(title, *chunks, tune=None):
    def script(wire):
        amqp_until_open(wire, tune)
        wire.pour(*chunks)
    return named(title, script)


def amqp_opened(title, *chunks, tune=None):
    def script(wire):
        amqp_until_open(wire, tune)
        wire.pour(OPEN_OK, *chunks)
    return named(title, script)


def in_tables(depth):
    """A table in a table in a table."""
    table = b""
    for _ in range(depth):
        table = b"\x01aF" + long_string(table)
    return table


VOIDS = b"\x00V" * 60000  # the smallest entries
DELIVER = amqp_method(1, 60, 60, short_string(b"t") + bytes(9) + short_string(b"") + short_string(b""))
CONTENT = DELIVER + amqp_frame(1, struct.pack(">HHQH", 60, 0, 1 << 62, 0), 2) + amqp_frame(1, b"x" * 100000, 3)
ALL_CHANNELS = b"".join(amqp_method(channel, 20, 11, long_string(b"")) for channel in range(1, 65536))

AMQP_HOSTILE = [
    amqp_from_start("a frame of 2 GiB", struct.pack(">BHI", 1, 0, 0x7ffffff0), b"x" * 65536),
    amqp_from_start("a table of many", amqp_start(VOIDS)),
    amqp_from_start("tables in tables", amqp_start(in_tables(8000))),
    amqp_from_start("another protocol", b"HTTP/1.1 200 OK\r\n"),
    amqp_before_open("frames without end before it is open", amqp_start(VOIDS)),
    amqp_before_open("large frames of other channels", amqp_frame(5, b"x" * 131000, 3)),
    amqp_before_open("all channels before it is open", ALL_CHANNELS),
    amqp_before_open("messages before it is open", CONTENT),
    amqp_before_open("heartbeats without end", amqp_frame(0, b"", 8)),
    amqp_opened("a frame above frame_max", struct.pack(">BHI", 1, 0, 0x1000000), b"x" * 65536, tune=amqp_tune(0x10000000)),
    amqp_opened("all channels", ALL_CHANNELS),
    amqp_opened("messages without end", CONTENT),
    amqp_opened("tables without end", amqp_start(VOIDS)),
    amqp_opened("channel.open-ok without end", amqp_method(1, 20, 11, long_string(b"x" * 130000))),
    named("queues that hang, on as many channels as wanted", lambda wire: amqp(wire, amqp_tune(channel_max=0), lambda queue: queue != b"q0")),
]


def amqp_trigger(port, number, user="a"):
    return {"scaler": "rabbitmq", "host": f"amqp://{user}:x@127.0.0.1:{port}/", "queueName": f"q{number}",
            "mode": "QueueLength", "value": "5"}


# ---- NATS ----

INFO = b'INFO {"server_id":"x","version":"2.9.0","proto":1,"headers":true,"max_payload":1048576}\r\n'
CONSUMER = json.dumps({"num_pending": VALUE, "num_ack_pending": 0, "config": {"subjects": ["a"]},
                       "cluster": {"leader": "a"}}).encode()


def nats_lines(wire):
    """Each request, as (subject of the reply, the subscription's number)."""
    inbox = b"1"
    wire.send(INFO)
    while True:
        words = wire.line().split()
        if not words:
            continue
        if words[0] == b"PING":
            wire.send(b"PONG\r\n")
        elif words[0] == b"SUB":
            inbox = words[-1]
        elif words[0] == b"PUB":
            wire.read(int(words[-1]) + 2)
            yield words[2], inbox


def nats(wire):
    for reply, inbox in nats_lines(wire):
        wire.send(b"MSG %s %s %d\r\n%s\r\n" % (reply, inbox, len(CONSUMER), CONSUMER))


def nats_hostile(title, *chunks):
    """In place of the first reply; {reply} and {inbox} are those of the request."""
    def script(wire):
        for reply, inbox in nats_lines(wire):
            wire.pour(*[chunk.replace(b"{reply}", reply).replace(b"{inbox}", inbox) for chunk in chunks])
    return named(title, script)


def nats_from_start(title, *chunks):
    return named(title, lambda wire: wire.pour(*chunks))


def message(body):
    return b"MSG {reply} {inbox} %d\r\n%s\r\n" % (len(body), body)


NATS_HOSTILE = [
    nats_from_start("an endless INFO at first", b"INFO {", b'"a":{},' * 10000),
    nats_from_start("an INFO of objects", b'INFO {"x":[' + b",".join([b"{}"] * 8000) + b"]}\r\n"),
    nats_hostile("a message of 2 GiB", b"MSG {reply} {inbox} 2147483647\r\n", b"x" * 65536),
    nats_hostile("a message of 512 MiB", b"MSG {reply} {inbox} 536870912\r\n", b"x" * 65536),
    nats_hostile("headers of 1 GiB", b"HMSG {reply} {inbox} 1073741824 1073741824\r\nNATS/1.0\r\n", b"a: b\r\n" * 10000),
    nats_hostile("an endless line", b"MSG ", b"x" * 65536),
    nats_hostile("an endless INFO", b"INFO {", b'"a":{},' * 10000),
    nats_hostile("an INFO of objects, again and again", b'INFO {"x":[' + b",".join([b"{}"] * 80000) + b"]}\r\n"),
    nats_hostile("an INFO of numbers", b'INFO {"x":[' + b",".join([b"1"] * 120000) + b"]}\r\n"),
    nats_hostile("an endless error", b"-ERR '", b"x" * 65536),
    nats_hostile("errors without end", b"-ERR 'Permissions Violation for Publish to \"x\"'\r\n"),
    nats_hostile("messages without end", message(b"x" * 100)),
    nats_hostile("empty messages without end", message(b"")),
    nats_hostile("messages on short subjects without end", b"MSG x {inbox} 1\r\nx\r\n"),
    nats_hostile("refusals of made-up subjects without end",
                 b"".join(b"-ERR 'Permissions Violation for Subscription to \"x%d\"'\r\n" % number for number in range(20000))),
    nats_hostile("large messages without end", message(b"[" + b",".join([b"{}"] * 300000) + b"]")),
    nats_hostile("JSON of {}, as a reply", message(b"[" + b",".join([b"{}"] * 60000) + b"]")),
    nats_hostile("messages with headers without end", b"HMSG {reply} {inbox} 60012 60012\r\nNATS/1.0\r\n" + b"a:\r\n" * 15000 + b"\r\n\r\n"),
    nats_hostile("pings without end", b"PING\r\n"),
    nats_hostile("pongs without end", b"PONG\r\n"),
]


def nats_trigger(port, number, user="a"):
    return {"scaler": "nats-jetstream", "servers": f"nats://127.0.0.1:{port}", "user": user, "password": "x",
            "stream": "orders", "consumer": f"c{number}", "lagThreshold": "5"}


# ---- a monitoring port of NATS ----

def jsz_body(path):
    if "consumers" not in path:
        return {"config": {}}
    stream = {"name": "orders", "consumer_detail": [{"name": "c0", "num_pending": VALUE, "num_ack_pending": 0}]}
    return {"account_details": [{"name": "$G", "id": "$G", "stream_detail": [stream]}]}


def jsz_setup(path):
    return None if "consumers" in path else jsz_body(path)


def jsz_trigger(port, number, user="a"):
    return {"scaler": "nats-jetstream", "natsServerMonitoringEndpoint": f"127.0.0.1:{port}", "account": "$G",
            "stream": "orders", "consumer": f"c{number}", "lagThreshold": "5", "user": user, "password": "x"}


JSZ_BEFORE = b'{"account_details":[{"name":"$G","id":"$G","stream_detail":['
JSZ_ORDERS = JSZ_BEFORE + b'{"name":"orders","consumer_detail":['


def consumers():
    yield JSZ_ORDERS + b",".join(b'{"name":"c%d","num_pending":7,"num_ack_pending":0,"x":"%s"}' % (number, b"y" * 900)
                                 for number in range(16000)) + b"]}]}]}"


JSZ_MORE = [
    http_bomb("16,000 consumers", jsz_setup, Bodies(consumers)),
    http_bomb("streams without consumers", jsz_setup, repeated(b'{"name":"a"}', JSZ_BEFORE, b"]}]}", sizes=(16000000,))),
    http_bomb("accounts of objects", jsz_setup, repeated(b"{}", b'{"account_details":[', b"]}", sizes=(16000000,))),
    http_bomb("consumers of objects", jsz_setup, repeated(b'{"name":"c1","x":[{},{},{},{}]}', JSZ_ORDERS, b"]}]}]}", sizes=(16000000,))),
]


# ---- PostgreSQL ----

def postgresql_message(kind, body=b"", length=None):
    return kind + struct.pack("!I", (len(body) if length is None else length) + 4) + body


def postgresql_authentication(code, body=b""):
    return postgresql_message(b"R", struct.pack("!I", code) + body)


GIBIBYTE = 1 << 30
POSTGRESQL_PARSED = postgresql_message(b"1") + postgresql_message(b"2")
POSTGRESQL_NO_ROW = postgresql_message(b"n") + postgresql_message(b"C", b"\0")
POSTGRESQL_COLUMN = postgresql_message(b"T", struct.pack("!H", 1) + bytes(19))
POSTGRESQL_VALUE = postgresql_message(b"D", struct.pack("!HI", 1, 1) + b"%d" % VALUE)
POSTGRESQL_READY = postgresql_message(b"Z", b"I")


def postgresql_start(wire):
    wire.read(struct.unpack("!I", wire.read(4))[0] - 4)


def postgresql_messages(wire):
    while True:
        kind, length = struct.unpack("!cI", wire.read(5))
        yield kind, wire.read(length - 4)


def postgresql_session(wire, row):
    """Runs statements; only `SELECT n` has a `row`."""
    postgresql_start(wire)
    wire.send(postgresql_authentication(0) + POSTGRESQL_READY)
    statement = b""
    for kind, body in postgresql_messages(wire):
        if kind == b"P":
            statement = body.split(b"\0")[1]
        elif kind == b"E":
            wire.send(POSTGRESQL_PARSED)
            if statement.removeprefix(b"SELECT ").isdigit():
                row(wire)
            else:
                wire.send(POSTGRESQL_NO_ROW)
        elif kind == b"S":
            wire.send(POSTGRESQL_READY)


def postgresql(wire):
    postgresql_session(wire, lambda wire: wire.send(POSTGRESQL_COLUMN + POSTGRESQL_VALUE + postgresql_message(b"C", b"\0")))


def postgresql_hostile(title, *chunks):
    """In place of a row."""
    return named(title, lambda wire: postgresql_session(wire, lambda wire: wire.pour(*chunks)))


def postgresql_early(title, *chunks):
    """Before the first statement."""
    def script(wire):
        postgresql_start(wire)
        wire.pour(postgresql_authentication(0), *chunks)
    return named(title, script)


def postgresql_parameters(wire):
    """A client keeps all of them."""
    postgresql_start(wire)
    wire.send(postgresql_authentication(0))
    for number in range(ENOUGH // 20000):
        wire.send(postgresql_message(b"S", b"p%d\0" % number + b"x" * 20000 + b"\0"))


def postgresql_iterations(wire):
    """SCRAM with a key that takes hours."""
    postgresql_start(wire)
    wire.send(postgresql_authentication(10, b"SCRAM-SHA-256\0\0"))
    nonce = next(postgresql_messages(wire))[1].split(b"r=")[-1]
    wire.send(postgresql_authentication(11, b"r=" + nonce + b"x,s=AAAAAAAAAAAAAAAAAAAAAA==,i=2147483647"))
    wire.hang()


def postgresql_columns(count):
    return (postgresql_message(b"T", struct.pack("!H", count) + bytes(19) * count),
            postgresql_message(b"D", struct.pack("!H", count) + (struct.pack("!I", 100) + bytes(100)) * count))


POSTGRESQL_HOSTILE = [
    *[postgresql_hostile(f"a message {kind.decode()} of a gibibyte", postgresql_message(kind, length=GIBIBYTE), bytes(65536))
      for kind in (b"T", b"D", b"E", b"N", b"A")],
    postgresql_early("a notice of a gibibyte while connecting", postgresql_message(b"N", length=GIBIBYTE), bytes(65536)),
    postgresql_early("notices without end while connecting", postgresql_message(b"N", b"MX\0\0")),
    postgresql_hostile("rows of 65,535 columns", *postgresql_columns(65535)),
    postgresql_hostile("rows without end", POSTGRESQL_COLUMN, POSTGRESQL_VALUE),
    postgresql_hostile("notifications without end", postgresql_message(b"A", bytes(4) + b"a\0" + b"x" * 8000 + b"\0")),
    named("parameters without end", postgresql_parameters),
    named("2,147,483,647 iterations of SCRAM", postgresql_iterations),
]


def postgresql_trigger(port, number, user="a"):
    return {"scaler": "postgresql", "connection": f"host=127.0.0.1 port={port} user={user} password=x dbname=d sslmode=disable",
            "query": f"SELECT {number + 1}", "targetQueryValue": "5"}


def separate(trigger):
    return lambda port, number: trigger(port, 0, user=f"u{number}")


def source(name, trigger, good, hostile, **others):
    return Source(name, trigger, separate(trigger), good, hostile, **others)


def redis_trigger(port, number, user="a"):
    return {"scaler": "redis", "address": f"127.0.0.1:{port}", "username": user, "password": "x", "listName": f"l{number}",
            "listLength": "5"}


def cluster_trigger(port, number, user="a"):
    """Of a list that node `number` has."""
    return {"scaler": "redis-cluster", "addresses": f"127.0.0.1:{port}", "username": user, "password": "x",
            "listName": redis_key_of(number), "listLength": "5", "brokerTls": "enable", "brokerUnsafeSsl": "true"}


def one_node_trigger(port, number, user="a"):
    return {"scaler": "redis-cluster", "addresses": f"127.0.0.1:{port}", "username": user, "password": "x",
            "listName": f"l{number}", "listLength": "5"}


def sentinel_trigger(port, number, user="a"):
    return {"scaler": "redis-sentinel", "addresses": f"127.0.0.1:{port}", "sentinelMaster": "shop", "username": user,
            "password": "x", "listName": f"l{number}", "listLength": "5"}


def stream_trigger(port, number, user="a"):
    return {"scaler": "redis-streams", "address": f"127.0.0.1:{port}", "username": user, "password": "x",
            "stream": f"s{number}", "streamLength": "5"}


# ---- many connections ----

def http_head_held(bodies):
    """The head of each body that `bodies(path)` does not say: many lines, and one that does not end."""
    head = b"HTTP/1.1 200 OK\r\n" + b"".join(b"a%d: %s\r\n" % (i, b"x" * 230) for i in range(60)) + b"b: " + b"y" * 99000

    def script(wire):
        for path in http_requests(wire):
            body = bodies(path)
            if body is None:
                wire.send(head)
                wire.hang()
            wire.send(http_reply(body))
    return script


def redis_held(data):
    def script(wire):
        for words in redis_commands(wire):
            if words[0] in REDIS_COUNTS:
                wire.send(data)
                wire.hang()
            wire.send(b"+OK\r\n")
    return script


def redis_depth(wire):
    """A whole reply, which nobody cares for, on each connection: as many arrays in arrays as one may have elements."""
    for words in redis_commands(wire):
        wire.send(b"*1\r\n" * 65535 + b":1\r\n" if words[0] == "INFO" else REDIS_COUNTS.get(words[0], b"+OK\r\n"))


# Almost the largest reply that a connection accepts, which does not end: (name, trigger, script, triggers a connection)
HELD = [
    ("prometheus, heads", prometheus_trigger, http_head_held(prometheus_setup), 6),
    ("rabbitmq (HTTP), heads", management_trigger, http_head_held(management_setup), 6),
    ("redis, a long reply", redis_trigger, redis_held(b"$1900000\r\n" + b"x" * 1900000 + b"\r\n"), 1),
    ("redis, strings", redis_trigger, redis_held(b"$2000000\r\n" + b"x" * 1999000), 1),
    ("rabbitmq (AMQP)", amqp_trigger, amqp_before_open("all channels before it is open", ALL_CHANNELS), 1),
    ("rabbitmq (AMQP), tables", amqp_trigger, amqp_from_start("a table of many", amqp_start(VOIDS)), 1),
    ("redis, arrays", redis_trigger, redis_held(b"*60000\r\n" + b":1\r\n" * 59000), 1),
    ("redis, arrays in arrays", redis_trigger, redis_depth, 1),
]

AGENTS = 6  # a process for each connection: not after each byte, but after some

SOURCES = [
    source("redis", redis_trigger, redis, REDIS_HOSTILE),
    source("redis-streams", stream_trigger, redis, REDIS_HOSTILE[:1] + REDIS_HOSTILE[5:7]),
    source("redis-cluster", one_node_trigger, redis_finding(redis_found), REDIS_CLUSTER_HOSTILE),
    source("redis-sentinel", sentinel_trigger, redis_finding(redis_found), REDIS_SENTINEL_HOSTILE),
    source("prometheus", prometheus_trigger, http_good(prometheus_body), http_transfers(prometheus_setup) + http_bodies(prometheus_setup)),
    source("rabbitmq (HTTP)", management_trigger, http_good(management_body), http_bodies(management_setup, *MANAGEMENT_MORE)),
    source("rabbitmq (HTTP, useRegex)", management_pages_trigger, http_good(management_body), http_bodies(management_setup)),
    source("rabbitmq (OAuth)", token_trigger, http_good(token_body), http_bodies(token_setup), triggers=4),
    source("rabbitmq (AMQP)", amqp_trigger, amqp, AMQP_HOSTILE),
    source("nats-jetstream", nats_trigger, nats, NATS_HOSTILE, silences=AGENTS),
    source("nats-jetstream (monitoring)", jsz_trigger, http_good(jsz_body), http_bodies(jsz_setup, *JSZ_MORE),
           silences=AGENTS),
    source("postgresql", postgresql_trigger, postgresql, POSTGRESQL_HOSTILE, silences=AGENTS),
]
