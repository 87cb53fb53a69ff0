"""No source keeps a thread or a process of ours: whatever it sends without an end, its connection ends with its trigger, others
are measured meanwhile, and SIGTERM ends the server in time."""

import os
import pathlib
import socket
import time

import pytest

from attacks import wire
from attacks.floods import FLOODS, redis_sentinel, sentinel_trigger
from attacks.replies import REDIS_COUNTS, redis_commands, redis_trigger
from attacks.suffering import HEALTHY, MIB, PATIENCE_SECONDS, Peer, Witness, descendants
from support.clients.grpc_client import Client
from support.process import wait_until
from support.server.server import Server

CONNECTIONS = 3
ENOUGH_BYTES = 4 * MIB  # that somebody must have taken
PATIENCE_FOR_THEM = 5
FORGET_SECONDS = 1  # a trigger that nobody calls for
# A connection may have begun just before: it has --measure-timeout, and its agent a second more until it is killed. A thread that is
# kept stays for as long as the flood, which outlasts the test.
CONNECTS_SECONDS, GRACE_SECONDS, BUSY_MACHINE_SECONDS = 2, 1, 5
LEAVES_SECONDS = CONNECTS_SECONDS + GRACE_SECONDS + BUSY_MACHINE_SECONDS
IDLE_SECONDS = 1
IDLE_CPU_SECONDS = 0.4  # of ourselves and the witness
ENDS_SECONDS = 5
pytestmark = pytest.mark.parametrize("transport", ["nghttp2"], indirect=True)  # that of the callers says nothing here


def threads(server):
    return len(os.listdir(f"/proc/{server.pid}/task"))


def cpu_seconds(server):
    total = 0
    for pid in (server.pid, *descendants(server.pid)):
        try:
            with open(f"/proc/{pid}/stat") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(int(field) for field in fields[11:13])
    return total / os.sysconf("SC_CLK_TCK")


def take(client, trigger, number):
    """As the trigger of the ScaledObject of this number, whatever that had before."""
    return client.stream_is_active(trigger, name=f"o{number}")


def call_for(witness, seconds, until=lambda: False):
    end = time.monotonic() + seconds
    while time.monotonic() < end and not until():
        witness.call()
        time.sleep(0.02)


@pytest.mark.parametrize("flood", FLOODS, ids=lambda flood: flood.name)
def test_a_flood_ends_with_its_trigger(transport, flood):
    server = Server(interval="100ms", arguments=["--forget", f"{FORGET_SECONDS}s"])
    with server, Peer(HEALTHY.good) as healthy, Peer(flood.script) as peer, Client(server.port) as client:
        witness = Witness(client, HEALTHY.trigger(healthy.port, 0))
        witness.call()
        call_for(witness, 0.3)
        before = threads(server)
        streams = [take(client, flood.trigger(peer.port, 0, user=f"u{number}"), number) for number in range(CONNECTIONS)]
        call_for(witness, PATIENCE_FOR_THEM, lambda: peer.bytes_sent.value > ENOUGH_BYTES)
        assert peer.bytes_sent.value > 0
        call_for(witness, 0.5)
        for stream in streams:
            stream.cancel()
        call_for(witness, FORGET_SECONDS)

        began = time.monotonic()
        wait_until(lambda: threads(server) <= before and not descendants(server.pid), PATIENCE_SECONDS, "the threads' end")
        left = time.monotonic() - began
        used = cpu_seconds(server)
        call_for(witness, IDLE_SECONDS)
        used = cpu_seconds(server) - used
        again = take(client, flood.trigger(peer.port, 0, user="again"), 0)
        call_for(witness, 0.5)
        began = time.monotonic()
        again.cancel()
        server.stop()
        ended = time.monotonic() - began
        print(f"{flood.name}: threads left after {left:.1f} s, {used:.2f} s of CPU then, SIGTERM took {ended:.1f} s")
        assert left <= LEAVES_SECONDS and used <= IDLE_CPU_SECONDS and ended <= ENDS_SECONDS
        assert witness.calls > 0 and not witness.failures


def test_a_sentinel_is_not_asked_more_than_once_per_second(transport):
    """Each +switch-master has it asked again, on a new connection; this one sends them without an end."""
    with Server(interval="100ms") as server, Peer(redis_sentinel) as peer, Client(server.port) as client:
        stream = client.stream_is_active(sentinel_trigger(peer.port, 0))
        wait_until(lambda: peer.bytes_sent.value > ENOUGH_BYTES, PATIENCE_SECONDS, "the first flood")
        before, began = peer.accepted.value, time.monotonic()
        time.sleep(3)
        connections, seconds = peer.accepted.value - before, time.monotonic() - began
        print(f"{connections} connections in {seconds:.1f} s")
        assert connections <= 2 * seconds + 1
        stream.cancel()


def kept_by_kernel(port, of_server):
    """Bytes that the kernel keeps of the server's connections: of its clients at its own port, or to a source."""
    place, total = (1, 0) if of_server else (2, 0)
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if int(fields[place].partition(":")[2], 16) == port:
            total += sum(int(queue, 16) for queue in fields[4].split(":"))
    return total


def kept_at_most(port, of_server, connections):
    """In both directions: twice 32 KiB of a client, or 64 KiB of a source."""
    kept = [(time.sleep(0.1), kept_by_kernel(port, of_server))[1] for _ in range(20)]
    print(f"{connections} connections: the kernel keeps {max(kept) / MIB:.1f} MiB")
    return 0 < max(kept) <= connections * (128 if of_server else 256) * 1024


def test_a_client_that_reads_nothing_takes_little_of_the_kernels_memory(transport):
    """One of 4 MiB each otherwise, which are charged to the container."""
    message = wire.framed(bytes([4 << 3 | 2]) + wire_length(60000) + b"x" * 60000)  # a symbol, which is repeated
    block = wire.request_block("ServerReflectionInfo", "/grpc.reflection.v1.ServerReflection/")
    parts = [message[at:at + 16384] for at in range(0, len(message), 16384)]
    calls = b"".join(wire.frame(wire.HEADERS, wire.END_HEADERS, stream, block) +
                     b"".join(wire.frame(wire.DATA, wire.END_STREAM if part is parts[-1] else 0, stream, part) for part in parts)
                     for stream in range(1, 200, 2))
    greeting = wire.PREFACE + wire.settings(INITIAL_WINDOW_SIZE=wire.LARGEST_WINDOW) + wire.window_update(0, 1 << 30)
    with Server() as server:
        clients = []
        for _ in range(10):
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", server.port))
            client.settimeout(1)
            clients.append(client)
            try:
                client.sendall(greeting + calls)
            except TimeoutError:
                pass  # nobody reads it any more
        assert kept_at_most(server.port, True, len(clients))
        for client in clients:
            client.close()


def wire_length(number):
    return bytes([number & 127 | 128, number >> 7 & 127 | 128, number >> 14])


def redis_that_goes_on(script_wire):
    """Its first replies are so long that a kernel gives the connection more room; then it sends what nobody waits for."""
    long = b"$1900000\r\n" + b"x" * 1900000 + b"\r\n"
    for words in redis_commands(script_wire):
        if words[0] in REDIS_COUNTS:
            script_wire.send(REDIS_COUNTS[words[0]])
            time.sleep(0.3)
            script_wire.flood(b"+x\r\n" * 10000)
        script_wire.send(long if words[0] in ("CLIENT", "INFO", "PING") else b"+OK\r\n")


def test_a_source_that_nobody_reads_takes_little_of_the_kernels_memory(transport):
    with Server() as server, Peer(redis_that_goes_on) as peer, Client(server.port) as client:
        for number in range(8):
            assert client.is_active(redis_trigger(peer.port, number, user=f"u{number}"))
        assert kept_at_most(peer.port, False, 8)
