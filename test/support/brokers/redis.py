"""A real Redis, and a client for tests: a call is a command of the protocol."""

import contextlib
import os
import re
import socket
import subprocess

from ..process import Process, free_port, need, wait_until

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

    def connect(self, **options):
        return RedisClient(self.port, **options)


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


@contextlib.contextmanager
def single_node_cluster(certificates=None, config=""):
    """One node that has all slots."""
    secure = "tls-cluster yes\n" if certificates else ""
    config = f"cluster-enabled yes\ncluster-announce-ip 127.0.0.1\ncluster-port {free_port()}\n{secure}{config}"
    with Redis(config, certificates) as node, node.connect() as client:
        client.call("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        wait_until(lambda: "cluster_state:ok" in client.call("CLUSTER", "INFO"), 10, "a cluster of one")
        yield node


class RedisCluster:
    """A Redis Cluster: so many masters, and replicas of each. With certificates nodes speak TLS to each other, too."""

    def __init__(self, masters=3, config="", certificates=None, replicas=1):
        self.stack = contextlib.ExitStack()
        self.certificates = certificates
        self.masters_count = masters
        self.replicas_count = replicas
        secure = "tls-cluster yes\ntls-replication yes\n" if certificates else ""
        self.config = f"""cluster-enabled yes
            cluster-node-timeout 2000
            cluster-replica-validity-factor 0
            cluster-require-full-coverage no
            repl-diskless-sync-delay 0
            repl-timeout 3
            {secure}{config}"""

    def __enter__(self):
        with self.stack as stack:
            self.nodes = []
            for _ in range(self.masters_count * (1 + self.replicas_count)):
                bus = f"cluster-port {free_port()}\n"
                self.nodes.append(stack.enter_context(Redis(bus + self.config, self.certificates)))
            self.redis_cli("--cluster", "create", *map(self.address, self.nodes), "--cluster-replicas", self.replicas_count,
                           "--cluster-yes")
            self.settle()
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        for node in self.nodes:
            with contextlib.suppress(Exception):
                node.resume()
        self.stack.close()

    def address(self, node):
        return node.tls_address if self.certificates else node.address

    def redis_cli(self, *words):
        tls = ["--tls", "--cacert", f"{self.certificates}/ca.pem"] if self.certificates else []
        run = subprocess.run([need("redis-cli"), *tls, *map(str, words)], capture_output=True, text=True, timeout=60)
        assert run.returncode == 0, run.stdout + run.stderr

    def answering(self):
        """The nodes that answer, each with its own rows of CLUSTER NODES: id, address, flags, ..., slots."""
        for node in self.nodes:
            with contextlib.suppress(OSError, EOFError), node.connect(seconds=0.3) as client:
                yield node, [row.split() for row in client.call("CLUSTER", "NODES").splitlines()]

    def settle(self, nodes=None):
        """Until all of the nodes, or these, agree on who is alive, and each master has a replica that follows it."""
        wanted = self.nodes if nodes is None else nodes

        def agree():
            views = [rows for node, rows in self.answering() if node in wanted]
            owners = {tuple(sorted((row[0], *row[8:]) for row in rows if len(row) > 8)) for rows in views}
            flags = {flag for rows in views for row in rows for flag in row[2].split(",")}
            return len(views) == len(wanted) and len(owners) == 1 and flags <= {"myself", "master", "slave"} and \
                all(self.is_whole(node) for node in wanted)

        wait_until(agree, 40, "a cluster that agrees")

    def is_whole(self, node):
        with node.connect() as client:
            role = client.call("ROLE")
            if "cluster_state:ok" not in client.call("CLUSTER", "INFO"):
                return False
            return role[0] == "master" and len(role[2]) >= self.replicas_count or role[0] == "slave" and role[3] == "connected"

    def slot(self, key):
        with self.nodes[0].connect() as client:
            return client.call("CLUSTER", "KEYSLOT", key)

    def id(self, node):
        with node.connect() as client:
            return client.call("CLUSTER", "MYID")

    def owner(self, key):
        """The master that says itself that it serves the key; None: there is none."""
        for node in self.nodes:
            with contextlib.suppress(OSError, EOFError, RedisError), node.connect(seconds=0.3) as client:
                client.call("EXISTS", key)
                return node
        return None

    def connect(self, key):
        return self.owner(key).connect()

    def call(self, command, key, *words):
        """At the key's owner."""
        with self.connect(key) as client:
            return client.call(command, key, *words)

    def owners(self, keys):
        """The master of each key; nothing moves meanwhile."""
        with self.nodes[0].connect() as client:
            slots = client.call_all([("CLUSTER", "KEYSLOT", key) for key in keys])
            ranges = [(first, last, master[2]) for first, last, master, *_ in client.call("CLUSTER", "SLOTS")]
        nodes = {self.id(node): node for node in self.nodes}
        return [next(nodes[owner] for first, last, owner in ranges if first <= slot <= last) for slot in slots]

    def call_all(self, commands):
        """Each at the owner of its key, which is its second word; pipelined."""
        owners = self.owners([words[1] for words in commands])
        for node in set(owners):
            with node.connect() as client:
                client.call_all([words for words, owner in zip(commands, owners) if owner is node])

    def announce(self, ports):
        """From here on nodes are named by these ports."""
        for node, port in zip(self.nodes, ports):
            with node.connect() as client:
                client.call("CONFIG", "SET", "cluster-announce-port", port)

        def all_know():
            for node in self.nodes:
                with node.connect() as client:
                    if {master[1] for _, _, master, *_ in client.call("CLUSTER", "SLOTS")} != set(ports):
                        return False
            return True

        wait_until(all_know, 20, "the new ports")

    def begin_move(self, slot, source, target):
        """From here on the source redirects those keys of the slot that it has not got (ASK)."""
        for node, state, other in ((target, "IMPORTING", source), (source, "MIGRATING", target)):
            with node.connect() as client:
                client.call("CLUSTER", "SETSLOT", slot, state, self.id(other))

    def move_keys(self, slot, source, target):
        port = target.tls_port if self.certificates else target.port
        with source.connect() as client:
            for key in client.call("CLUSTER", "GETKEYSINSLOT", slot, 1000):
                client.call("MIGRATE", "127.0.0.1", port, key, 0, 5000)

    def end_move(self, slot, target):
        """From here on all masters say that it is the target's (MOVED)."""
        for node in (target, *(node for node in self.masters() if node is not target)):
            with node.connect() as client:
                client.call("CLUSTER", "SETSLOT", slot, "NODE", self.id(target))

    def masters(self):
        return [node for node, rows in self.answering() for row in rows if row[2] == "myself,master" and len(row) > 8]

    def flush(self):
        for node in self.masters():
            with node.connect() as client:
                client.call("FLUSHALL")


class RedisClient:
    def __init__(self, port, seconds=CALL_SECONDS):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=seconds)
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
