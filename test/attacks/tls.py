"""TLS by hand: what a hostile peer can send before a handshake is over, and tickets without end after it."""

import functools
import pathlib
import ssl
import struct
import tempfile

from support.certificates import Authority

from .replies import (Source, amqp_trigger, management_trigger, named, nats_trigger, postgresql_trigger, redis_trigger, separate)
from .replies_kafka import kafka_trigger

ALERT, HANDSHAKE = 21, 22
CLIENT_HELLO, SERVER_HELLO, CERTIFICATE = 1, 2, 11
MIB_16 = (1 << 24) - 1
RECORD = 1 << 14  # the most of one


def record(kind, payload):
    return struct.pack(">BHH", kind, 0x0303, len(payload)) + payload


def message(kind, body=b"", length=None):
    return bytes([kind]) + struct.pack(">I", len(body) if length is None else length)[1:] + body


# TLS 1.2, ECDHE-RSA-AES128-GCM-SHA256, secure renegotiation
HELLO = message(SERVER_HELLO, b"\x03\x03" + bytes(32) + b"\x00" + b"\xc0\x2f\x00" + b"\x00\x05\xff\x01\x00\x01\x00")
ZEROS = record(HANDSHAKE, bytes(RECORD))


HELLO_REQUEST = record(HANDSHAKE, bytes(4))  # a client skips each


def raw(title, *chunks, before=0):
    def script(wire):
        if before:
            wire.read(before)
            wire.send(b"S")  # PostgreSQL: TLS follows
        wire.pour(*chunks)
    return named(title, script)


def handshakes(before=0):
    return [
        raw("TLS: a message of 16 MiB", record(HANDSHAKE, message(SERVER_HELLO, length=MIB_16)), ZEROS, before=before),
        raw("TLS: a certificate of 16 MiB", record(HANDSHAKE, HELLO), record(HANDSHAKE, message(CERTIFICATE, length=MIB_16)), ZEROS,
            before=before),
        raw("TLS: a certificate of 100 KiB", record(HANDSHAKE, HELLO), record(HANDSHAKE, message(CERTIFICATE, length=100 << 10)),
            record(HANDSHAKE, b"x"), before=before),
        raw("TLS: hello requests without end", HELLO_REQUEST, before=before),
        raw("TLS: warnings without end", record(ALERT, b"\x01\x00"), before=before),
        raw("TLS: empty records without end", record(HANDSHAKE, b""), before=before),
        raw("TLS: a record of 64 KiB", struct.pack(">BHH", HANDSHAKE, 0x0303, 0xffff), bytes(65536), before=before),
    ]


@functools.cache
def tickets_context():
    """Far more session tickets than anybody wants."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        context.load_cert_chain(*Authority(pathlib.Path(folder)).issue("own"))
    context.num_tickets = 1_000_000
    return context


def tickets(wire):
    wire.sent(1)
    tickets_context().wrap_socket(wire.connection, server_side=True).recv(1)


def https(trigger):
    def made(port, number, user="a"):
        found = trigger(port, number, user)
        key = "serverAddress" if "serverAddress" in found else "host"
        return {**found, key: found[key].replace("http://", "https://").replace("amqp://", "amqps://"), "brokerUnsafeSsl": "true"}
    return made


def over_tls(trigger):
    return lambda port, number, user="a": {**trigger(port, number, user), "tls": "enable", "brokerUnsafeSsl": "true"}


def postgresql_tls(port, number, user="a"):
    found = postgresql_trigger(port, number, user)
    return {**found, "connection": found["connection"].replace("sslmode=disable", "sslmode=require")}


def row(name, trigger, *more, triggers=40, before=0):
    return Source(f"{name} (TLS)", trigger, separate(trigger), None, [*handshakes(before), *more], triggers, 0)


TICKETS = named("TLS: session tickets without end", tickets)
SSL_REQUEST = 8  # bytes
TLS_SOURCES = [
    row("redis", over_tls(redis_trigger), TICKETS),
    row("rabbitmq, HTTP", https(management_trigger), TICKETS),
    row("rabbitmq, AMQP", https(amqp_trigger), TICKETS),
    row("nats-jetstream", over_tls(nats_trigger), triggers=4),
    row("kafka", over_tls(kafka_trigger), TICKETS, triggers=4),
    row("postgresql", postgresql_tls, triggers=4, before=SSL_REQUEST),
]


def hello_of_tls_13():
    """Without a key share: the server wants a second one."""
    extensions = [(0x002b, b"\x02\x03\x04"), (0x000a, b"\x00\x02\x00\x1d"), (0x000d, b"\x00\x04\x04\x03\x08\x04"), (0x0033, b"\x00\x00")]
    packed = b"".join(struct.pack(">HH", kind, len(body)) + body for kind, body in extensions)
    return message(CLIENT_HELLO, b"\x03\x03" + bytes(32) + b"\x00" + b"\x00\x02\x13\x01" + b"\x01\x00" +
                   struct.pack(">H", len(packed)) + packed)


BIG_HELLO = message(CLIENT_HELLO, length=131000)

# What a client can begin with. Each is sent once, and then nothing.
CLIENT_HELLOS = {
    "a message of 16 MiB": record(HANDSHAKE, message(CLIENT_HELLO, length=MIB_16)) + ZEROS * 4,
    "a hello of 128 KiB, but its end": record(HANDSHAKE, BIG_HELLO) + ZEROS * 7,
    "the beginning of a hello of 128 KiB": record(HANDSHAKE, BIG_HELLO),
    "the same, a byte in each record": b"".join(record(HANDSHAKE, bytes([byte])) for byte in BIG_HELLO) + ZEROS * 7,
    "a second hello of 128 KiB, but its end": record(HANDSHAKE, hello_of_tls_13()) + record(HANDSHAKE, BIG_HELLO) + ZEROS * 7,
    "the largest hello that is read, but its end": record(HANDSHAKE, message(CLIENT_HELLO, length=8 << 10)) + record(HANDSHAKE, bytes((8 << 10) - 1)),
    "a record of 16 KiB, but its end": struct.pack(">BHH", HANDSHAKE, 0x0301, RECORD) + bytes(RECORD - 1),
    "empty records": record(HANDSHAKE, b"") * 10000,
    "warnings": record(ALERT, b"\x01\x00") * 10000,
}
