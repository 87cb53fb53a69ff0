"""A server whose source is hostile: what the source costs it, and whether other sources are still measured."""

import itertools
import multiprocessing
import os
import socket
import threading
import time

import grpc

from support.clients.grpc_client import Client
from support.server.server import Server

from . import replies

MIB = 1 << 20
PATIENCE_SECONDS = 30
HEALTHY = replies.SOURCES[0]

fork = multiprocessing.get_context("fork")


class Outcome:
    def __init__(self, growth, calls, failures, connections, sent):
        self.growth_mib = growth / MIB
        self.calls, self.failures = calls, failures  # of the healthy source
        self.connections, self.sent_mib = connections, sent / MIB


class Peer:
    """A source, in a process of its own. With `cuts`, each connection is sent as many bytes as the next of these says, and
    then nothing. With `tls` (an ssl.SSLContext) it speaks that first. `hosts`: it is 127.0.0.1, 127.0.0.2 and so on."""

    def __init__(self, script, cuts=None, tls=None, hosts=1):
        self.script, self.cuts, self.tls = script, cuts, tls
        self.listeners = [socket.create_server(("127.0.0.1", 0), backlog=1024)]
        self.port = self.listeners[0].getsockname()[1]
        self.listeners += [socket.create_server((f"127.0.0.{host + 1}", self.port), backlog=1024) for host in range(1, hosts)]
        self.bytes_sent, self.accepted, self.ended = (fork.Value("q", 0) for _ in range(3))
        self.child = fork.Process(target=self.serve, daemon=True)

    def __enter__(self):
        self.child.start()
        for listener in self.listeners:
            listener.close()
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.join()

    def serve(self):
        getattr(self.script, "prepare", int)()
        for listener in self.listeners[1:]:
            threading.Thread(target=self.accept, args=(listener,), daemon=True).start()
        self.accept(self.listeners[0])

    def accept(self, listener):
        for number in itertools.count():
            connection, _ = listener.accept()
            budget = None if self.cuts is None else self.cuts[number % len(self.cuts)]
            add(self.accepted, 1)
            threading.Thread(target=self.talk, args=(connection, budget), daemon=True).start()

    def talk(self, connection, budget):
        try:
            if self.tls is not None:
                connection = self.tls.wrap_socket(connection, server_side=True)
            self.script(replies.Wire(connection, lambda count: add(self.bytes_sent, count), budget))
        except (OSError, EOFError, ValueError, IndexError):
            pass
        finally:
            add(self.ended, 1)
            connection.close()


def add(value, count):
    with value.get_lock():
        value.value += count


def descendants(pid):
    """None of one that ends meanwhile."""
    children = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children") as file:
                children += [int(child) for child in file.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []
    return children + [below for child in children for below in descendants(child)]


def status(pid):
    with open(f"/proc/{pid}/status") as file:
        return {name: int(value.split()[0]) * 1024 for name, _, value in (line.partition(":") for line in file)
                if name in ("VmHWM", "RssFile", "RssShmem", "VmRSS")}


def own_peak(pid):
    """The most that a process ever had to itself."""
    now = status(pid)
    return now["VmHWM"] - now["RssFile"] - now["RssShmem"]


class Memory:
    """The server's, and that of its agent processes."""

    def __init__(self, server):
        self.server = server
        self.agents = {}
        self.start = own_peak(server.pid)

    def sample(self):
        try:
            for pid in descendants(self.server.pid):
                self.agents[pid] = own_peak(pid)
        except (OSError, KeyError):
            pass  # one has ended meanwhile

    def children_cpu_seconds(self):
        """Of those that have ended."""
        with open(f"/proc/{self.server.pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return sum(int(field) for field in fields[13:15]) / os.sysconf("SC_CLK_TCK")

    def growth(self):
        self.sample()
        return own_peak(self.server.pid) + max(self.agents.values(), default=0) - self.start


class Witness:
    """Calls for a trigger of a healthy source, all the time."""

    def __init__(self, client, trigger):
        self.client, self.trigger = client, trigger
        self.name = client.metric_spec(self.trigger).metricName
        self.calls, self.failures = 0, []

    def call(self):
        self.calls += 1
        try:
            value = self.client.metrics(self.trigger, self.name).metricValueFloat
            if value != replies.VALUE:
                self.failures.append(f"{value:g}")
        except grpc.RpcError as error:
            self.failures.append(error.details())


def watch(client, triggers):
    """Streams: the server then measures without calls."""
    return [client.stream_is_active(trigger) for trigger in triggers]


def played(program, script, triggers, seconds, cuts=None, until=None, **peer_options):
    """`triggers(port)` are those of the source. It plays for so long, or, on a busy machine, until it has had its chance:
    `until(peer)`."""
    with Server(program=program, interval="100ms", arguments=["--max-agents", "1000"]) as server, \
            Peer(HEALTHY.good) as healthy, Peer(script, cuts, **peer_options) as peer, Client(server.port) as client:
        return suffered(server, client, peer, Witness(client, HEALTHY.trigger(healthy.port, 0)),
                        lambda: watch(client, triggers(peer.port)), seconds, until)


def suffered(server, client, peer, witness, begin, seconds, until, memory=None):
    """`begin()` opens the streams by which the server needs the peer."""
    witness.call()
    memory = memory or Memory(server)
    calls = witness.calls
    streams = begin()
    start = time.monotonic()
    while (now := time.monotonic()) < start + seconds or (not until(peer) and now < start + PATIENCE_SECONDS):
        witness.call()
        memory.sample()
        time.sleep(0.02)
    outcome = Outcome(memory.growth(), witness.calls - calls, witness.failures, peer.accepted.value, peer.bytes_sent.value)
    for stream in streams:
        stream.cancel()
    return outcome


def attacked(program, source, seconds):
    """All hostile replies of a source, one after another, to one server: yields each with its outcome. Growth is since the
    beginning."""
    with Server(program=program, interval="100ms", arguments=["--max-agents", "1000"]) as server, \
            Peer(HEALTHY.good) as healthy, Client(server.port) as client:
        witness = Witness(client, HEALTHY.trigger(healthy.port, 0))
        witness.call()
        memory = Memory(server)
        for reply in source.hostile:
            memory.agents.clear()
            with Peer(reply) as peer:
                triggers = [source.trigger(peer.port, number) for number in range(source.triggers)]
                yield reply, suffered(server, client, peer, witness, lambda: watch(client, triggers), seconds,
                                      lambda peer: peer.bytes_sent.value > 0, memory)


def held(program, trigger, script, connections, triggers, seconds):
    """Many connections at a time, with so many triggers each."""
    return played(program, script,
                  lambda port: [trigger(port, number, user=f"u{connection}") for connection in range(connections) for number in range(triggers)],
                  seconds, until=lambda peer: peer.accepted.value >= connections)


def length_of(program, source):
    """The bytes of the right script with one trigger; it must lead to the right value."""
    with Server(program=program) as server, Peer(source.good) as peer, Client(server.port) as client:
        assert client.metrics(source.separate(peer.port, 0)).metricValueFloat == replies.VALUE
        return peer.bytes_sent.value


def silenced(program, source, seconds):
    """As many connections at a time as the right script has bytes: one falls silent after each. Returns how many there
    should be, too."""
    length = length_of(program, source)
    count = min(length, source.silences or length)
    cuts = [1 + number * length // count for number in range(count)]
    return count, played(program, source.good, lambda port: [source.separate(port, number) for number in range(count)],
                         seconds, cuts, until=lambda peer: peer.accepted.value >= count)
