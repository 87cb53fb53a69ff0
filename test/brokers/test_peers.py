"""Replicas that start ask the others (`--peers`): what is held outlives each process, and no peer can do harm."""

import concurrent.futures
import contextlib
import socket
import struct

import grpc
import pytest

from support.certificates import Authority
from support.server.dated_server import DatedServer
from support.clients.grpc_client import Client, refusal
from support.process import free_port, wait_until
from support.brokers.redis import Redis
from support.server.server import Server

TARGET = 5


@pytest.fixture
def redis():
    with Redis() as running:
        yield running


def trigger(redis, **keys):
    return {"scaler": "redis", "address": redis.address, "listName": "jobs", "listLength": str(TARGET), **keys}


def fill(redis, count):
    with redis.connect() as client:
        client.call("DEL", "jobs")
        client.call("RPUSH", "jobs", *range(count))


def replica(port, peers, *arguments, **options):
    return Server(arguments=["--listen", f"127.0.0.1:{port}", "--peers", ",".join(f"127.0.0.1:{peer}" for peer in peers),
                             *arguments], **options)


def value(port, metadata, **options):
    with Client(port, **options) as client:
        found = client.metrics(metadata).metricValueFloat
        assert client.is_active(metadata) == (found > 0)
        return found


def error(port, metadata):
    with Client(port) as client:
        return refusal(client.metrics, metadata)[0]


@contextlib.contextmanager
def stopped(*servers):
    try:
        yield
    finally:
        for server in servers:
            if server.child is not None:
                server.stop()
            server.remove()


def again(server, port, peers, die=Server.stop):
    """Another process in its place, as in a rollout, or after it was killed."""
    die(server)
    server.remove()
    return replica(port, peers).start()


def test_both_replicas_are_replaced_in_turn_and_hold_the_largest_value(redis):
    ports = free_port(), free_port()
    metadata = trigger(redis)
    with contextlib.ExitStack() as stack:
        def replace(number, die):
            servers[number] = again(servers[number], ports[number], ports, die)

        def end():
            for server in servers:
                server.stop()
                server.remove()

        servers = [replica(port, ports).start() for port in ports]
        stack.callback(end)
        for count in (37, 21):
            fill(redis, count)
            for port in ports:
                wait_until(lambda port=port, count=count: value(port, metadata) == count, 20, "the length")
        redis.kill()
        for port in ports:
            wait_until(lambda port=port: value(port, metadata) == 37, 20, "held")
        replace(0, Server.stop)
        assert value(ports[0], metadata) == 37
        replace(1, Server.kill)
        replace(0, Server.kill)  # the other one was not called since
        assert value(ports[0], metadata) == 37
        assert value(ports[1], metadata) == 37
        redis.start()
        fill(redis, 8)
        for port in ports:
            wait_until(lambda port=port: value(port, metadata) == 8, 20, "measured again")


def test_only_what_is_active_and_may_be_held_is_taken_over(redis):
    ports = free_port(), free_port()
    idle, never = trigger(redis, activationListLength="50"), trigger(redis, hold="0s")
    another = trigger(redis, interval="7s")
    with replica(ports[0], ports):
        fill(redis, 37)
        with Client(ports[0]) as client:
            for metadata in (idle, never):
                wait_until(lambda metadata=metadata: client.metrics(metadata).metricValueFloat == 37, 20, "the length")
        redis.kill()
        with replica(ports[1], ports):
            for metadata in (idle, never, another):
                assert error(ports[1], metadata) == grpc.StatusCode.UNAVAILABLE


def test_two_that_start_at_once_know_nothing(redis):
    ports = free_port(), free_port()
    servers = [replica(port, ports) for port in ports]
    with stopped(*servers), concurrent.futures.ThreadPoolExecutor() as pool:
        for started in [pool.submit(server.start) for server in servers]:
            started.result()
        redis.kill()
        for port in ports:
            assert error(port, trigger(redis)) == grpc.StatusCode.UNAVAILABLE


def test_a_replica_without_peers_beside_it_is_as_an_older_version(redis):
    ports = free_port(), free_port()
    fill(redis, 37)
    older = Server(arguments=["--listen", f"127.0.0.1:{ports[0]}"])
    newer = replica(ports[1], ports)
    with stopped(older, newer):
        older.start(), newer.start()
        assert [value(port, trigger(redis)) for port in ports] == [37, 37]


def test_an_older_version_beside_it_hides_no_other(redis):
    """It does not know the service, and says so."""
    fill(redis, 37)
    ports = free_port(), free_port()
    older = grpc.server(concurrent.futures.ThreadPoolExecutor())
    unknown = older.add_insecure_port("127.0.0.1:0")
    older.start()
    one, two = replica(ports[0], [unknown]), replica(ports[1], [unknown, ports[0]])
    with stopped(one, two):
        one.start()
        wait_until(lambda: value(ports[0], trigger(redis)) == 37, 20, "the length")
        redis.kill()
        two.start()
        assert value(ports[1], trigger(redis)) == 37
        assert "UNIMPLEMENTED" not in two.log() and "answered" not in two.log(), two.log()
    older.stop(0)


@pytest.mark.parametrize("offset", ["+1h", "-1h"])
def test_a_peer_with_a_wrong_clock_is_believed_as_any_other(redis, offset):
    """Ages are said, and no times: neither is this too old for a hold of a minute, nor to come. And it ends as any other."""
    metadata = trigger(redis, hold="6s")
    fill(redis, 37)
    ports = free_port(), free_port()
    one = DatedServer(monotonic=True, arguments=["--listen", f"127.0.0.1:{ports[0]}", "--peers", f"127.0.0.1:{ports[1]}"])
    one.jump(offset)
    two = replica(ports[1], [ports[0]])
    with stopped(one, two):
        one.start()
        wait_until(lambda: value(ports[0], metadata) == 37, 20, "the length")
        redis.kill()
        wait_until(lambda: value(ports[0], metadata) == 37, 20, "held")
        two.start()
        assert value(ports[1], metadata) == 37
        wait_until(lambda: error(ports[1], metadata) == grpc.StatusCode.UNAVAILABLE, 20, "the end of its hold")


def test_a_peer_that_hangs_costs_no_start_and_hides_no_other(redis):
    fill(redis, 37)
    ports = free_port(), free_port()
    with socket.create_server(("127.0.0.1", 0)) as silent:  # the kernel accepts, and nobody says anything
        hanging = silent.getsockname()[1]
        one, two = replica(ports[0], [ports[1]]), replica(ports[1], [hanging, ports[0]])
        with stopped(one, two):
            one.start()
            wait_until(lambda: value(ports[0], trigger(redis)) == 37, 20, "the length")
            redis.kill()
            two.start()
            assert value(ports[1], trigger(redis)) == 37


# ---- peers that are forged ----

def varint(number):
    found = bytearray()
    while number > 0x7f:
        found.append(number & 0x7f | 0x80)
        number >>= 7
    return bytes([*found, number])


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def peaks(number, pairs):
    """Values and ages, the largest first."""
    return b"".join(field(number, b"\x09" + struct.pack("<d", value) + b"\x10" + varint(age)) for value, age in pairs)


def held(digest, number, age_ms=1000, earlier=(), wanted=()):
    lists = peaks(4, earlier) + peaks(7, wanted)
    return field(1, field(1, digest) + b"\x11" + struct.pack("<d", number) + b"\x18" + varint(age_ms % 2**64) + lists)


@contextlib.contextmanager
def forger(reply):
    """Says this to whoever asks."""
    handler = grpc.method_handlers_generic_handler(
        "backlog.peers.Peers", {"Held": grpc.unary_unary_rpc_method_handler(lambda request, context: reply)})
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(), handlers=[handler])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(0)


def first_page(port):
    """The bytes of the first page."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        return channel.unary_unary("/backlog.peers.Peers/Held")(b"")


def digest_of(redis, metadata):
    """Under which a replica gives it away: the first field of the first value."""
    port = free_port()
    with replica(port, [free_port()]) as server:
        fill(redis, 37)
        wait_until(lambda: value(server.port, metadata) == 37, 20, "the length")
        page = first_page(server.port)
    at = page.index(b"\x0a\x10")
    return page[at + 2:at + 18]


def test_a_forged_peer_can_raise_what_is_held_and_nothing_else(redis):
    metadata = trigger(redis)
    digest = digest_of(redis, metadata)
    fill(redis, 21)
    with forger(held(digest, 50, earlier=[(70, 5000)])) as peer, replica(free_port(), [peer]) as server:
        wait_until(lambda: value(server.port, metadata) == 21, 20, "measured, whatever it says")
        redis.kill()
        wait_until(lambda: value(server.port, metadata) == 70, 20, "held: the largest of its window")
        redis.start()
    fill(redis, 21)
    with forger(held(digest, 1, earlier=[(2, 5000)])) as peer, replica(free_port(), [peer]) as server:
        wait_until(lambda: value(server.port, metadata) == 21, 20, "measured")
        redis.kill()
        assert value(server.port, metadata) == 21  # never less
        redis.start()


@pytest.mark.parametrize("name", ["NaN", "infinity", "too large", "negative", "too old", "to come", "short digest", "no message", "another page"])
def test_what_a_peer_cannot_mean_is_passed_over(redis, name):
    metadata = trigger(redis)
    digest = digest_of(redis, metadata)
    reply = {"NaN": held(digest, float("nan")), "infinity": held(digest, float("inf")), "too large": held(digest, 1e16), "negative": held(digest, -1),
             "too old": held(digest, 50, age_ms=2 * 3600 * 1000), "to come": held(digest, 50, age_ms=-1000),
             "short digest": held(digest[:8], 50), "no message": b"\xff\xff\xff", "another page": b"\x10\x01"}[name]
    redis.kill()
    with forger(reply) as peer, replica(free_port(), [peer]) as server:
        assert error(server.port, metadata) == grpc.StatusCode.UNAVAILABLE


def test_what_policies_wanted_is_told_as_a_list(redis):
    """The largest first; an age of 0 takes no bytes."""
    metadata = {"scaler": "redis-streams", "address": redis.address, "stream": "orders", "consumerGroup": "workers", "lagCount": "5",
                "scaleDownWhenIdle": "1m", "interval": "1s"}
    with redis.connect() as client:
        client.call("XGROUP", "CREATE", "orders", "workers", "$", "MKSTREAM")
        client.call("XADD", "orders", "*", "n", "1")
        client.call("XREADGROUP", "GROUP", "workers", "one", "STREAMS", "orders", ">")
    port = free_port()
    with replica(port, [free_port()]) as server:
        wait_until(lambda: value(server.port, metadata) == 1, 20, "one job in flight")
        page = first_page(server.port)
    own = b"\x09" + struct.pack("<d", 1)
    assert field(7, own) in page
    digest = page[page.index(b"\x0a\x10") + 2:][:16]
    with forger(held(digest, 1, wanted=[(9, 5000), (2, 1000)])) as peer, replica(free_port(), [peer]) as server:
        wait_until(lambda: value(server.port, metadata) == 9, 20, "what the other one wanted")
        page = first_page(server.port)
    places = [page.rindex(b"\x09" + struct.pack("<d", each)) for each in (9, 2, 1)]
    assert places == sorted(places)


def test_secrets_are_no_part_of_what_is_given_away(redis):
    metadata = trigger(redis, passwordFromEnv="one")
    with redis.connect() as client:
        client.call("CONFIG", "SET", "requirepass", "one")
    port = free_port()
    with replica(port, [free_port()]) as server:
        with redis.connect() as client:
            client.call("AUTH", "one")
            client.call("RPUSH", "jobs", *range(37))
        wait_until(lambda: value(server.port, metadata) == 37, 20, "the length")
        page = first_page(server.port)
        assert b"one" not in page and b"jobs" not in page
        digest = page[page.index(b"\x0a\x10") + 2:][:16]
        redis.kill()
    with forger(held(digest, 50)) as peer, replica(free_port(), [peer]) as server:
        assert value(server.port, {**metadata, "passwordFromEnv": "two"}) == 50  # it was no part of the digest


def test_mtls(redis, tmp_path):
    (tmp_path / "other").mkdir()
    authority = Authority(tmp_path)
    peer = authority.issue("peer", alternative=("DNS:localhost",))
    keda = authority.issue("keda", alternative=("DNS:keda-operator",))
    stranger = Authority(tmp_path / "other").issue("peer", alternative=("DNS:localhost",))
    ports = [free_port() for _ in range(3)]
    servers = [Server(arguments=["--listen", f"127.0.0.1:{port}", "--peers", f"localhost:{ports[0]}", "--tls-cert", certificate,
                                 "--tls-key", key, "--tls-client-ca", authority.certificate,
                                 "--tls-client-names", "keda-operator,localhost"])
               for port, (certificate, key) in zip(ports, (peer, peer, stranger))]

    def read(path):
        with open(path, "rb") as file:
            return file.read()

    credentials = grpc.ssl_channel_credentials(read(authority.certificate), read(keda[1]), read(keda[0]))
    options = [("grpc.ssl_target_name_override", "localhost")]
    fill(redis, 37)
    with stopped(*servers):
        servers[0].start()
        wait_until(lambda: value(ports[0], trigger(redis), credentials=credentials, options=options) == 37, 20, "the length")
        redis.kill()
        servers[1].start()
        assert value(ports[1], trigger(redis), credentials=credentials, options=options) == 37
        servers[2].start()
        assert "values that it would hold" not in servers[2].log()
