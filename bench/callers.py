"""Thousands of StreamIsActive on one connection, by hand: no client library stands between clock and wire."""

import select
import struct
import time

from attacks.wire import (ACK, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PREFACE, RST_STREAM, SETTINGS,
                          WINDOW_UPDATE, connect, frame, request_block, settings, window_update)

WINDOW = 65535  # of a connection, before the server says otherwise


class Callers:
    def __init__(self, port, messages):
        """A stream for each message; returns when the server has read all that opens them."""
        self.socket = connect(port, PREFACE + settings(ENABLE_PUSH=0) + window_update(0, 1 << 30))
        self.unparsed = b""
        self.window = WINDOW
        block = request_block("StreamIsActive")
        for number, message in enumerate(messages):
            stream = 2 * number + 1
            body = struct.pack(">BI", 0, len(message)) + message
            while self.window < len(body):
                self.parse(self.socket.recv(1 << 20))
            self.window -= len(body)
            self.socket.sendall(frame(HEADERS, END_HEADERS, stream, block) + frame(DATA, END_STREAM, stream, body))
        self.socket.sendall(frame(PING, payload=bytes(8)))
        self.pinged = False
        while not self.pinged:
            self.parse(self.socket.recv(1 << 20))

    def parse(self, data):
        """Takes note of what opens the way; returns how many messages there were."""
        if not data:
            raise ConnectionError("hung up on")
        messages, at, data = 0, 0, self.unparsed + data
        while len(data) - at >= 9:
            size, kind, flags, stream = struct.unpack_from(">IBBI", b"\0" + data[at:at + 9])
            if len(data) - at < 9 + size:
                break
            payload, at = data[at + 9:at + 9 + size], at + 9 + size
            if kind in (RST_STREAM, GOAWAY) or (kind == HEADERS and flags & END_STREAM):
                raise ConnectionError("a stream was ended")
            if kind == WINDOW_UPDATE and stream == 0:
                self.window += struct.unpack(">I", payload)[0]
            elif kind == SETTINGS and not flags & ACK:
                self.socket.sendall(frame(SETTINGS, ACK))
            elif kind == PING and flags & ACK:
                self.pinged = True
            elif kind == PING:
                self.socket.sendall(frame(PING, ACK, payload=payload))
            elif kind == DATA and size > 0:
                messages += 1
        self.unparsed = data[at:]
        return messages

    def receive(self, count, seconds):
        """When the last message came. What came is looked at when no more comes."""
        received, times, end = 0, [], time.monotonic() + seconds
        while received < count:
            if time.monotonic() > end:
                raise TimeoutError(f"{received} of {count} messages came within {seconds} s")
            for data, came in self.burst():
                messages = self.parse(data)
                received += messages
                if messages:
                    times.append(came)
        return times[-1]

    def burst(self):
        chunks = []
        while select.select([self.socket], [], [], 0.3)[0]:
            data = self.socket.recv(1 << 20)
            chunks.append((data, time.monotonic()))
            if not data:
                break
        return chunks

    def close(self):
        self.socket.close()
