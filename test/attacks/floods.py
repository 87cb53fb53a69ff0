"""What a hostile source can send without an end, as fast as it can, that says nothing: a library that skips such messages in
a loop of its own never returns. test/protocol/test_floods.py plays each of them to a server."""

import struct
import time

from .replies import (CONSUMER, INFO, OPEN_OK, POSTGRESQL_COLUMN, POSTGRESQL_READY, POSTGRESQL_VALUE, REDIS_COUNTS, amqp_frame,
                      amqp_frames, amqp_method, amqp_trigger, amqp_until_open, http_requests, is_probe, message,
                      nats_lines, nats_trigger, postgresql_authentication, postgresql_message, postgresql_session,
                      postgresql_start, postgresql_trigger, prometheus_trigger, redis_commands, redis_trigger)
from .replies_kafka import kafka_trigger
from .tls import HELLO_REQUEST, SSL_REQUEST, https, over_tls, postgresql_tls

HEARTBEAT = amqp_frame(0, b"", 8)
CLOSE_OK = amqp_method(0, 10, 51)
CHANNEL_CLOSE_OK = amqp_method(1, 20, 41)
UNKNOWN = amqp_frame(0, b"", 99)  # librabbitmq ignores it


class Flood:
    def __init__(self, source, title, trigger, script):
        self.name, self.trigger, self.script = f"{source}: {title}", trigger, script


def at_once(*chunks, before=0):
    def script(wire):
        if before:
            wire.read(before)
            wire.send(b"S")  # PostgreSQL: TLS follows
        wire.flood(*chunks)
    return script


def amqp_header(*chunks):
    def script(wire):
        wire.read(8)
        wire.flood(*chunks)
    return script


def amqp_login(*chunks):
    def script(wire):
        amqp_until_open(wire)
        wire.flood(*chunks)
    return script


def amqp_measured(*chunks):
    """Once it was asked for a queue."""
    def script(wire):
        amqp_until_open(wire)
        wire.send(OPEN_OK)
        for channel, of, method, _ in amqp_frames(wire):
            if (of, method) == (20, 10):
                wire.send(amqp_method(channel, 20, 11, struct.pack(">I", 0)))
            else:
                wire.flood(*chunks)
    return script


def redis_counts(*chunks):
    def script(wire):
        for words in redis_commands(wire):
            if words[0] in REDIS_COUNTS:
                wire.flood(*chunks)
            wire.send(b"+OK\r\n")
    return script


def redis_subscriber(wire):
    """The connection that changes are reported on gets them without end; the other one is right."""
    for words in redis_commands(wire):
        if words[:2] == ["CLIENT", "ID"]:
            wire.send(b":1\r\n")
        elif words[0] == "SUBSCRIBE":
            wire.flood(b"*3\r\n$9\r\nsubscribe\r\n$20\r\n__redis__:invalidate\r\n:1\r\n",
                       b"*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*1\r\n$2\r\nl0\r\n")
        else:
            wire.send(b":0\r\n" if words[0] in REDIS_COUNTS else b"+OK\r\n")


def redis_sentinel(wire):
    """That, and the master; each connection is told of another master at once, and again and again."""
    port = b"%d" % wire.connection.getsockname()[1]
    for words in redis_commands(wire):
        if words[:2] == ["SENTINEL", "MASTER"]:
            wire.send(b"*2\r\n$12\r\nconfig-epoch\r\n$1\r\n1\r\n")
        elif words[0] == "SENTINEL":
            wire.send(b"*2\r\n$9\r\n127.0.0.1\r\n$%d\r\n%s\r\n" % (len(port), port))
        elif words[0] == "SUBSCRIBE":
            wire.send(b"*3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n")
            time.sleep(0.01)  # it is a reply, and what follows are messages
            wire.flood(b"*3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$8\r\nm a 1 b \r\n")
        else:
            wire.send({"ROLE": b"*1\r\n$6\r\nmaster\r\n", **REDIS_COUNTS}.get(words[0], b"+OK\r\n"))


def sentinel_trigger(port, number, user="a"):
    return {"scaler": "redis-sentinel", "addresses": f"127.0.0.1:{port}", "sentinelMaster": "m", "username": user, "password": "x",
            "listName": f"l{number}", "listLength": "5"}


def http_replies(*chunks):
    def script(wire):
        for path in http_requests(wire):
            if is_probe(path):
                body = b'{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}'
                wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            else:
                wire.flood(*chunks)
    return script


def nats_first(*chunks):
    def script(wire):
        for reply, inbox in nats_lines(wire):
            wire.send(b"MSG %s %s %d\r\n%s\r\n" % (reply, inbox, len(CONSUMER), CONSUMER))
            wire.flood(*[chunk.replace(b"{reply}", reply).replace(b"{inbox}", inbox) for chunk in chunks])
    return script


def postgresql_row(*chunks):
    return lambda wire: postgresql_session(wire, lambda wire: wire.flood(POSTGRESQL_COLUMN, *chunks))


def postgresql_connecting(*chunks):
    def script(wire):
        postgresql_start(wire)
        wire.flood(postgresql_authentication(0), *chunks)
    return script


def postgresql_idle(*chunks):
    """With a row first, and then when nobody asks."""
    def row(wire):
        wire.flood(POSTGRESQL_COLUMN + POSTGRESQL_VALUE + postgresql_message(b"C", b"\0") + POSTGRESQL_READY, *chunks)
    return lambda wire: postgresql_session(wire, row)


NOTICE = postgresql_message(b"N", b"MX\0\0")
PARAMETER = postgresql_message(b"S", b"a\0b\0")
KAFKA_REPLY = struct.pack(">II", 4, 0)  # to request 0

FLOODS = [
    *[Flood("rabbitmq (AMQP)", title, amqp_trigger, script(chunk))
      for title, script in (("at first", amqp_header), ("during login", amqp_login), ("once it is open", amqp_measured))
      for title, chunk in ((f"heartbeats {title}", HEARTBEAT), (f"close-ok {title}", CLOSE_OK), (f"unknown frames {title}", UNKNOWN))],
    Flood("rabbitmq (AMQP)", "close-ok of a channel", amqp_trigger, amqp_measured(CHANNEL_CLOSE_OK)),
    Flood("rabbitmq (AMQP)", "half a frame, and heartbeats", amqp_trigger, amqp_measured(struct.pack(">BHI", 1, 1, 8000) + bytes(8000), HEARTBEAT)),
    Flood("redis", "replies", redis_trigger, redis_counts(b":1\r\n")),
    Flood("redis", "messages", redis_trigger, redis_counts(b"*3\r\n$7\r\nmessage\r\n$1\r\nx\r\n$1\r\nx\r\n")),
    Flood("redis", "changes of keys", redis_trigger, redis_subscriber),
    Flood("redis-sentinel", "other masters", sentinel_trigger, redis_sentinel),
    Flood("prometheus", "1xx", prometheus_trigger, http_replies(b"HTTP/1.1 100 Continue\r\n\r\n")),
    Flood("prometheus", "headers", prometheus_trigger, http_replies(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n")),
    Flood("prometheus", "empty lines", prometheus_trigger, http_replies(b"\r\n")),
    Flood("prometheus", "chunks", prometheus_trigger, http_replies(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n")),
    Flood("prometheus", "trailers", prometheus_trigger,
          http_replies(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"A: b\r\n")),
    Flood("nats-jetstream", "pings", nats_trigger, nats_first(b"PING\r\n")),
    Flood("nats-jetstream", "pongs", nats_trigger, nats_first(b"PONG\r\n")),
    Flood("nats-jetstream", "INFO", nats_trigger, nats_first(INFO)),
    Flood("nats-jetstream", "empty messages", nats_trigger, nats_first(message(b""))),
    Flood("nats-jetstream", "INFO at first", nats_trigger, at_once(INFO)),
    Flood("postgresql", "notices while connecting", postgresql_trigger, postgresql_connecting(NOTICE)),
    Flood("postgresql", "parameters while connecting", postgresql_trigger, postgresql_connecting(PARAMETER)),
    Flood("postgresql", "notices in a row's place", postgresql_trigger, postgresql_row(NOTICE)),
    Flood("postgresql", "parameters in a row's place", postgresql_trigger, postgresql_row(PARAMETER)),
    Flood("postgresql", "notices to an idle session", postgresql_trigger, postgresql_idle(NOTICE)),
    Flood("kafka", "replies", kafka_trigger, at_once(KAFKA_REPLY)),
    *[Flood(f"{source} (TLS)", "hello requests", trigger, at_once(HELLO_REQUEST, before=before))
      for source, trigger, before in (("rabbitmq, AMQP", https(amqp_trigger), 0), ("redis", over_tls(redis_trigger), 0),
                                      ("prometheus", https(prometheus_trigger), 0), ("nats-jetstream", over_tls(nats_trigger), 0),
                                      ("kafka", over_tls(kafka_trigger), 0), ("postgresql", postgresql_tls, SSL_REQUEST))],
]
