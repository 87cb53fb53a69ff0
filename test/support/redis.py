"""A real Redis, and a client for tests: a call is a command of the protocol."""

import os
import re
import socket

from .process import Process, free_port, need

CALL_SECONDS = 10


class RedisError(Exception):
    """The server answered with an error."""


class Redis(Process):
    """redis-server, or the program in $REDIS_SERVER (Valkey), on a free loopback port; what it holds survives a stop.

    `config` is text in Redis's own configuration language. `certificates` is a folder with ca.pem, own.pem and own.key:
    it speaks TLS on a second port, `tls_port`.
    """

    name = "redis"
    start_seconds = 20

    def __init__(self, config="", certificates=None):
        super().__init__()
        self.program = need(os.environ.get("REDIS_SERVER", "redis-server"))
        self.port = free_port()
        self.config_path = os.path.join(self.folder, "redis.conf")
        with open(self.config_path, "w") as file:
            if certificates is not None:
                self.tls_port = free_port()
                config = f"""tls-port {self.tls_port}
                    tls-cert-file {certificates}/own.pem
                    tls-key-file {certificates}/own.key
                    tls-ca-cert-file {certificates}/ca.pem
                    tls-auth-clients no
                    {config}"""
            file.write(f'bind 127.0.0.1\nport {self.port}\ndir {self.folder}\nsave ""\nappendonly yes\nappendfsync no\n{config}\n')

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def tls_address(self):
        return f"127.0.0.1:{self.tls_port}"

    def command(self):
        return [self.program, self.config_path]

    def ready(self):
        """One that wants a password has started, too."""
        try:
            with self.connect() as client:
                return client.call("PING") == "PONG"
        except RedisError as error:
            return str(error).startswith("NOAUTH")

    def connect(self):
        return RedisClient(self.port)


class Sentinel(Redis):
    """One that watches the master `name` at a port of this machine."""

    name = "sentinel"

    def __init__(self, master, port, quorum=2, config="", certificates=None):
        super().__init__(f"""sentinel monitor {master} 127.0.0.1 {port} {quorum}
            sentinel down-after-milliseconds {master} 1500
            sentinel failover-timeout {master} 3000
            {config}""", certificates)

    def command(self):
        return [self.program, self.config_path, "--sentinel"]


class RedisClient:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=CALL_SECONDS)
        self.stream = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()
        self.socket.close()

    def call(self, *words):
        """Text, a number, None, or a list of them."""
        return self.call_all([words])[0]

    def call_all(self, commands):
        """Many commands, pipelined. The first error among the answers is raised."""
        request = bytearray()
        for words in commands:
            request += b"*%d\r\n" % len(words)
            for word in words:
                data = str(word).encode()
                request += b"$%d\r\n%s\r\n" % (len(data), data)
        self.socket.sendall(request)
        answers = [self._read() for _ in commands]
        for answer in answers:
            if isinstance(answer, RedisError):
                raise answer
        return answers

    def _read(self):
        line = self.stream.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError("Redis hung up")
        kind, rest = line[:1], line[1:-2].decode()
        if kind == b"-":
            return RedisError(rest)
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == "-1" else self.stream.read(int(rest) + 2)[:-2].decode()
        return None if rest == "-1" else [self._read() for _ in range(int(rest))]

    def connections(self, name="backlog"):
        """The open client connections that call themselves so."""
        return [line for line in self.call("CLIENT", "LIST").splitlines() if f" name={name} " in line]

    def calls(self, command):
        """How often the command was called since the start."""
        found = re.search(rf"cmdstat_{re.escape(command)}:calls=(\d+)", self.call("INFO", "commandstats"))
        return int(found[1]) if found else 0

    def add(self, stream, count=1):
        """Adds entries and returns their IDs."""
        return self.call_all([("XADD", stream, "*", "job", i) for i in range(count)])

    def read(self, stream, group, count):
        """Delivers entries to a consumer of the group, without acknowledging them; returns their IDs."""
        streams = self.call("XREADGROUP", "GROUP", group, "worker", "COUNT", count, "STREAMS", stream, ">")
        return [entry[0] for entry in streams[0][1]]
