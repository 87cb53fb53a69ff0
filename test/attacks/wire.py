"""HTTP/2 by hand: frames and header blocks that no library would send."""

import socket
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM = ACK = 0x1
END_HEADERS = 0x4
ENABLE_PUSH = 2
INITIAL_WINDOW_SIZE = 4
CANCEL = 8
LARGEST_WINDOW = (1 << 31) - 1

SERVICE = "/externalscaler.ExternalScaler/"
HEALTH = "/grpc.health.v1.Health/"


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def settings(**values):
    return frame(SETTINGS, payload=b"".join(struct.pack(">HI", globals()[key], value)
                                            for key, value in values.items()))


def window_update(stream, increment):
    return frame(WINDOW_UPDATE, stream=stream, payload=struct.pack(">I", increment))


def length(number):
    """Of a string that is not Huffman-coded: HPACK's integer with a prefix of seven bits."""
    if number < 127:
        return bytes([number])
    encoded, number = bytearray([127]), number - 127
    while number >= 128:
        encoded.append(number & 127 | 128)
        number >>= 7
    return bytes(encoded) + bytes([number])


def literal(name, value, indexed=False):
    """A header field; `indexed` has the decoder keep it in its table."""
    return bytes([0x40 if indexed else 0]) + length(len(name)) + name + length(len(value)) + value


def request_block(method, service=SERVICE):
    fields = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", (service + method).encode()),
              (b":authority", b"backlog"), (b"content-type", b"application/grpc"), (b"te", b"trailers")]
    return b"".join(literal(name, value) for name, value in fields)


def entry(key, value):
    """Of scalerMetadata; both are short."""
    pair = bytes([0x0a, len(key)]) + key + bytes([0x12, len(value)]) + value
    return bytes([0x1a, len(pair)]) + pair


def framed(message):
    return struct.pack(">BI", 0, len(message)) + message


# A trigger that is answered without a broker, and in the same way each time.
TRIGGER = entry(b"scaler", b"no-such-scaler")
MESSAGE = framed(TRIGGER)
EMPTY = framed(b"")


def request(stream, block, message=MESSAGE):
    """A whole call."""
    return frame(HEADERS, END_HEADERS, stream, block) + frame(DATA, END_STREAM, stream, message)


def connect(port, greeting=PREFACE + settings(), seconds=5, source="127.0.0.1"):
    connection = socket.create_connection(("127.0.0.1", port), timeout=seconds, source_address=(source, 0))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(greeting)
    return connection


class Caller:
    """A well-behaved client, one call at a time."""

    def __init__(self, port, seconds=5):
        self.socket = connect(port, PREFACE + settings() + window_update(0, 1 << 30), seconds)
        self.stream = -1
        self.block = request_block("GetMetricSpec")
        self.buffer = b""

    def call(self):
        """Raises OSError where no answer comes."""
        self.stream += 2
        self.socket.sendall(request(self.stream, self.block))
        answered = False
        while True:
            kind, flags, stream, _ = self.next_frame()
            if kind == SETTINGS and not flags & ACK:
                self.socket.sendall(frame(SETTINGS, ACK))
            elif kind == PING and not flags & ACK:
                self.socket.sendall(frame(PING, ACK, payload=bytes(8)))
            elif kind == GOAWAY or (kind == RST_STREAM and stream == self.stream):
                raise ConnectionError("refused")
            elif stream == self.stream:
                answered = answered or kind == DATA
                if flags & END_STREAM and kind in (DATA, HEADERS):
                    if not answered:
                        raise ConnectionError("no message in the answer")
                    return

    def next_frame(self):
        size, kind, flags, stream = struct.unpack(">IBBI", b"\0" + self.take(9))
        return kind, flags, stream, self.take(size)

    def take(self, size):
        while len(self.buffer) < size:
            more = self.socket.recv(65536)
            if not more:
                raise ConnectionError("hung up on")
            self.buffer += more
        taken, self.buffer = self.buffer[:size], self.buffer[size:]
        return taken

    def close(self):
        self.socket.close()
