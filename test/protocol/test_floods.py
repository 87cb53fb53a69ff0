"""No source keeps a thread or a process of ours: whatever it sends without an end, its connection ends with its trigger, others
are measured meanwhile, and SIGTERM ends the server in time."""

import os
import time

import pytest

from attacks.floods import FLOODS, redis_sentinel, sentinel_trigger
from attacks.suffering import HEALTHY, MIB, PATIENCE_SECONDS, Peer, Witness, descendants
from support.clients.grpc_client import Client
from support.process import wait_until
from support.server.server import Server

CONNECTIONS = 3
ENOUGH_BYTES = 4 * MIB  # that somebody must have taken
PATIENCE_FOR_THEM = 5
FORGET_SECONDS = 1  # a trigger that nobody calls for
LEAVES_SECONDS = 3
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
