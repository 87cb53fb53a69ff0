"""What a hostile Kafka broker can reply, as replies.py has it of other sources. Versions of its protocol are those without
tagged fields, but for ApiVersions."""

import itertools
import socket
import struct
import zlib

from .replies import AGENTS, VALUE, http_bodies, http_transfers, named, source

KAFKA_VERSIONS = {api: (0, highest) for api, highest in {0: 3, 1: 4, 2: 1, 3: 4, 8: 1, 9: 3, 10: 1, 11: 0, 12: 0, 13: 0, 14: 0, 15: 0, 16: 0,
                                                         17: 1, 18: 3, 36: 0}.items()}
EARLIEST = -2  # a time of LIST_OFFSETS
FETCH, LIST_OFFSETS, METADATA, OFFSET_FETCH, FIND_COORDINATOR, SASL_HANDSHAKE, API_VERSIONS, SASL = 1, 2, 3, 9, 10, 17, 18, 36


def kafka_string(text):
    return struct.pack(">h", len(text)) + text


def kafka_array(items):
    return struct.pack(">i", len(items)) + b"".join(items)


def varint(number):
    data = b""
    while number > 127:
        data, number = data + bytes([number & 127 | 128]), number >> 7
    return data + bytes([number])


class KafkaReader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def read(self, count):
        self.at += count
        return self.data[self.at - count:self.at]

    def number(self, form):
        return struct.unpack(">" + form, self.read(struct.calcsize(form)))[0]

    def string(self):
        return self.read(max(0, self.number("h")))

    def array(self, item):
        return [item() for _ in range(self.number("i"))]


def kafka_requests(wire):
    """Each as (API, version, correlation ID, body)."""
    while True:
        request = KafkaReader(wire.read(struct.unpack(">i", wire.read(4))[0]))
        head = request.number("h"), request.number("h"), request.read(4)
        request.string()
        yield *head, request


def kafka_reply(correlation, body):
    return struct.pack(">i", len(body) + 4) + correlation + body


def kafka_api_versions(api_versions=KAFKA_VERSIONS.items()):
    return (b"\0\0" + varint(len(api_versions) + 1)
            + b"".join(struct.pack(">hhhx", api, *versions) for api, versions in api_versions) + bytes(5))


def kafka_broker(number, host, port, rack=b"\xff\xff"):
    return struct.pack(">i", number) + kafka_string(host) + struct.pack(">i", port) + rack


def kafka_partition(number, leader=1, replicas=(1,)):
    nodes = kafka_array([struct.pack(">i", node) for node in replicas])
    return struct.pack(">hii", 0, number, leader) + nodes + nodes


def kafka_topic(name, partitions):
    """A topic without partitions does not exist."""
    return (b"\0\0" if partitions else b"\0\3") + kafka_string(name) + b"\0" + kafka_array(partitions)


def kafka_metadata(brokers, topics):
    return bytes(4) + kafka_array(brokers) + kafka_string(b"cluster") + struct.pack(">i", 1) + kafka_array(topics)


def kafka_self(wire):
    return kafka_broker(1, b"127.0.0.1", wire.connection.getsockname()[1])


def kafka_good(wire, api, request):
    """The right body."""
    if api == API_VERSIONS:
        return kafka_api_versions()
    if api == SASL_HANDSHAKE:
        return b"\0\0" + kafka_array([kafka_string(b"PLAIN"), kafka_string(b"SCRAM-SHA-512"), kafka_string(b"OAUTHBEARER")])
    if api == SASL:
        return b"\0\0" + b"\xff\xff" + bytes(4)
    if api == METADATA:
        count = request.number("i")
        names = [request.string() for _ in range(count)]
        return kafka_metadata([kafka_self(wire)], [kafka_topic(name, [kafka_partition(0)]) for name in names])
    if api == FIND_COORDINATOR:
        return bytes(6) + b"\xff\xff" + kafka_self(wire)[:-2]
    request.string() if api == OFFSET_FETCH else request.read(4)
    if api == OFFSET_FETCH:
        topics = request.array(lambda: (request.string(), request.array(lambda: request.read(4))))
        return bytes(4) + kafka_array([
            kafka_string(name) + kafka_array([number + bytes(8) + b"\xff\xff\0\0" for number in numbers])
            for name, numbers in topics]) + b"\0\0"
    if api == LIST_OFFSETS:
        topics = request.array(lambda: (request.string(), request.array(lambda: (request.read(4), request.number("q")))))
        return kafka_array([
            kafka_string(name) + kafka_array([
                number + b"\0\0" + bytes(8) + struct.pack(">q", 0 if time == EARLIEST else VALUE) for number, time in numbers])
            for name, numbers in topics])
    return bytes(4) + kafka_array([])


def kafka(wire):
    for api, _, correlation, request in kafka_requests(wire):
        wire.send(kafka_reply(correlation, kafka_good(wire, api, request)))


def kafka_large(partitions):
    """Right, and large."""
    def script(wire):
        for api, _, correlation, request in kafka_requests(wire):
            body = kafka_good(wire, api, request)
            if api == METADATA:
                body = kafka_metadata([kafka_self(wire)], [kafka_topic(b"t0", [kafka_partition(number) for number in range(partitions)])])
            wire.send(kafka_reply(correlation, body))
    return script


def kafka_topics_of(partitions):
    """kafka_good(), but each topic has so many partitions."""
    def body(wire, api, request):
        if api != METADATA:
            return kafka_good(wire, api, request)
        topics = [kafka_topic(name, [kafka_partition(number) for number in range(partitions)])
                  for name in request.array(request.string)]
        return kafka_metadata([kafka_self(wire)], topics)
    return body


def kafka_wide(partitions):
    """Right; each topic has so many partitions."""
    return kafka_half_silent(partitions, lambda group: False)


def kafka_listed(topics):
    """Right; the cluster has so many topics of one partition. Of shorter names librdkafka 2.8 takes none in this version of the reply:
    it has four times its bytes for what it makes of it."""
    listed = [kafka_topic(f"topic-{number:06}".encode(), [kafka_partition(0)]) for number in range(topics)]

    def script(wire):
        for api, _, correlation, request in kafka_requests(wire):
            is_listing = api == METADATA and KafkaReader(request.data[request.at:]).number("i") <= 0
            body = kafka_metadata([kafka_self(wire)], listed) if is_listing else kafka_good(wire, api, request)
            wire.send(kafka_reply(correlation, body))
    return script


def kafka_half_silent(partitions, is_silent):
    """As kafka_wide(), but it never says what some groups have committed."""
    def script(wire):
        wide = kafka_topics_of(partitions)
        for api, _, correlation, request in kafka_requests(wire):
            group = KafkaReader(request.data[request.at:]).string() if api == OFFSET_FETCH else None
            body = wide(wire, api, request)
            if group is None or not is_silent(group):
                wire.send(kafka_reply(correlation, body))
    return script


def kafka_silent(silent):
    """Right, but never to one API."""
    def script(wire):
        for api, _, correlation, request in kafka_requests(wire):
            body = kafka_good(wire, api, request)
            if api != silent:
                wire.send(kafka_reply(correlation, body))
    return script


def kafka_hostile(title, api, *chunks):
    """In place of the first reply to one API. {id} is the request's."""
    def script(wire):
        for requested, _, correlation, request in kafka_requests(wire):
            if requested == api:
                wire.pour(*[chunk.replace(b"{id}", correlation) for chunk in chunks])
            wire.send(kafka_reply(correlation, kafka_good(wire, requested, request)))
    return named(title, script)


def kafka_bomb(title, api, make):
    """Whole replies to one API, of `make(wire, right, count)`: each is below the limit of one, and they differ."""
    def script(wire):
        counts = itertools.count()
        for requested, _, correlation, request in kafka_requests(wire):
            body = kafka_good(wire, requested, request)
            wire.send(kafka_reply(correlation, make(wire, body, next(counts)) if requested == api else body))
    return named(title, script)


def kafka_many_brokers(wire, _, count):
    return kafka_metadata([kafka_self(wire)] + [kafka_broker(2 + count * 9000 + number, b"127.1.%d.%d" % (number >> 8, number & 255), 1)
                                                for number in range(9000)], [])


def kafka_many_names(wire, _, count):
    return kafka_metadata([kafka_self(wire)] + [kafka_broker(2 + count * 100 + number, b"%d" % number + b"x" * 30000, 1)
                                                for number in range(100)], [])


def kafka_many_topics(wire, _, count):
    return kafka_metadata([kafka_self(wire)], [kafka_topic(b"%d-%d" % (count, number), []) for number in range(200000)])


def kafka_many_partitions(wire, _, count):
    topics = [kafka_topic(b"t%d" % number, [kafka_partition(partition) for partition in range(3000)]) for number in range(40)]
    return kafka_metadata([kafka_self(wire)], topics)


def kafka_many_replicas(wire, _, count):
    return kafka_metadata([kafka_self(wire)], [kafka_topic(b"t0", [kafka_partition(number, 1, range(9000)) for number in range(50)])])


def kafka_many_commits(wire, _, count):
    return bytes(4) + kafka_array([kafka_string(b"t%d" % number) + kafka_array([struct.pack(">iq", partition, 0) + b"\xff\xff\0\0"
                                                                              for partition in range(2000)])
                                   for number in range(100)]) + b"\0\0"


def kafka_many_offsets(wire, _, count):
    return kafka_array([kafka_string(b"t%d" % number) + kafka_array([struct.pack(">ihqq", partition, 0, 0, 0)
                                                                     for partition in range(1500)]) for number in range(100)])


def kafka_coordinators(wire, _, count):
    return bytes(6) + b"\xff\xff" + struct.pack(">i", 100 + count) + kafka_string(b"%d" % count + b"x" * 30000) + struct.pack(">i", 1)


def kafka_compressed(wire):
    """Nobody waits, so that it is subscribed to; and then there is a batch."""
    packed = zlib.compressobj(1, wbits=31)
    data = packed.compress(bytes(64 << 20)) + packed.flush()
    batch = struct.pack(">ibihiqqqhii", 0, 2, 0, 1, 999, 0, 0, -1, -1, -1, 1000) + data
    records = struct.pack(">qi", 0, len(batch)) + batch
    for api, _, correlation, request in kafka_requests(wire):
        body = kafka_good(wire, api, request)
        if api == LIST_OFFSETS:
            body = body.replace(struct.pack(">q", VALUE), bytes(8))
        if api == FETCH:
            body = bytes(4) + kafka_array([kafka_string(b"t0") + kafka_array([
                struct.pack(">ihqqii", 0, 0, 1000, 1000, 0, len(records)) + records])])
        wire.send(kafka_reply(correlation, body))


def kafka_scram(title, message):
    """`message(nonce)`: the server's first."""
    def script(wire):
        for api, _, correlation, request in kafka_requests(wire):
            body = kafka_good(wire, api, request)
            if api == SASL:
                sent = request.read(request.number("i"))
                first = message(sent.split(b"r=")[-1])
                body = b"\0\0\xff\xff" + struct.pack(">i", len(first)) + first
            wire.send(kafka_reply(correlation, body))
    return named(title, script)


def kafka_token(http):
    """A broker whose token endpoint, at the same port, is hostile."""
    def script(wire):
        (http if wire.connection.recv(1, socket.MSG_PEEK) == b"P" else kafka)(wire)
    if hasattr(http, "prepare"):
        script.prepare = http.prepare
    return named(f"a token: {http.title}", script)


def kafka_versions(api_versions):
    return kafka_bomb(f"{len(api_versions)} API versions", API_VERSIONS, lambda *_: kafka_api_versions(api_versions))


KAFKA_HOSTILE = [
    kafka_hostile("a frame of 2 GiB", API_VERSIONS, b"\x7f\xff\xff\xf0{id}", bytes(65536)),
    kafka_hostile("a frame of 4 MiB", METADATA, b"\0\x3f\xff\xf0{id}", bytes(65536)),
    kafka_hostile("replies to nothing without end", METADATA, kafka_reply(b"\x7f\0\0\0", bytes(65536))),
    kafka_versions([(number, (0, 1)) for number in range(30000)]),
    kafka_bomb("9,000 brokers, others each time", METADATA, kafka_many_brokers),
    kafka_bomb("100 brokers with long names", METADATA, kafka_many_names),
    kafka_bomb("200,000 topics", METADATA, kafka_many_topics),
    kafka_bomb("120,000 partitions", METADATA, kafka_many_partitions),
    kafka_bomb("9,000 replicas of each partition", METADATA, kafka_many_replicas),
    kafka_bomb("another coordinator each time", FIND_COORDINATOR, kafka_coordinators),
    kafka_bomb("commits of 200,000 partitions", OFFSET_FETCH, kafka_many_commits),
    named("a batch of 64 MiB, compressed", kafka_compressed),
    kafka_bomb("offsets of 150,000 partitions", LIST_OFFSETS, kafka_many_offsets),
]

KAFKA_SCRAM_HOSTILE = [
    kafka_scram("1,000,000 iterations of SCRAM", lambda nonce: b"r=" + nonce + b"x,s=AAAAAAAAAAAAAAAAAAAAAA==,i=1000000"),
    kafka_scram("2,147,483,647 iterations of SCRAM", lambda nonce: b"r=" + nonce + b"x,s=AAAAAAAAAAAAAAAAAAAAAA==,i=2147483647"),
    kafka_scram("a salt of 3 MiB", lambda nonce: b"r=" + nonce + b"x,s=" + b"A" * (4 * ((1 << 20) - 100)) + b",i=4096"),
]


def kafka_trigger(port, number, user="a"):
    return {"scaler": "kafka", "bootstrapServers": f"127.0.0.1:{port}", "topic": f"t{number}", "consumerGroup": f"g{number}",
            "lagThreshold": "5", "allowIdleConsumers": "true", "sasl": "plaintext", "username": user, "password": "x"}


def kafka_scram_trigger(port, number, user="a"):
    return {**kafka_trigger(port, number, user), "sasl": "scram_sha512"}


def kafka_token_trigger(port, number, user="a"):
    return {**kafka_trigger(port, number, user), "sasl": "oauthbearer", "oauthTokenEndpointUri": f"http://127.0.0.1:{port}/token"}


KAFKA_TOKEN_HOSTILE = [kafka_token(http) for make in (http_transfers, http_bodies) for http in make(lambda path: None)]

KAFKA_SOURCES = [
    source("kafka", kafka_trigger, kafka, KAFKA_HOSTILE, triggers=4, silences=AGENTS),
    source("kafka (OAuth)", kafka_token_trigger, kafka, KAFKA_TOKEN_HOSTILE, triggers=4, silences=0),
    source("kafka (SCRAM)", kafka_scram_trigger, kafka, KAFKA_SCRAM_HOSTILE, triggers=4, silences=0),
]
