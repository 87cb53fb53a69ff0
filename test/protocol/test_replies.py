"""No source can bring the server down, nor take much of its memory, nor keep others from being measured.

Memory is measured, so that the server is the release build: a sanitizer keeps what was freed.
"""

import contextlib
import itertools
import os
import socket
import ssl
import threading
import time
from concurrent import futures

import grpc
import pytest

from attacks.replies import (HELD, REDIS_NODES, VALUE, cluster_trigger, http_reply, http_requests, postgresql_iterations,
                             postgresql_trigger, prometheus_body, prometheus_trigger, redis_failing_over, redis_node, sentinel_trigger)
from attacks.replies import SOURCES as OTHER_SOURCES
from attacks.replies_kafka import (KAFKA_SOURCES, OFFSET_FETCH, kafka_half_silent, kafka_large, kafka_listed, kafka_silent, kafka_trigger,
                                   kafka_wide)
from attacks.suffering import MIB, PATIENCE_SECONDS, Memory, Peer, attacked, held, own_peak, played, silenced
from attacks.tls import TLS_SOURCES
from support.certificates import Authority
from support.clients.grpc_client import Client, refusal
from support.clients.rounds import fetch_all, rounds
from support.process import Unavailable, wait_until
from support.server.server import Server

SECONDS = 0.5
SILENT_SECONDS = 2
GROWTH_MIB = 32
TOGETHER_MIB = 56  # 48 for replies, and a little for each connection
CLUSTERS = 12
FAILOVERS, FAILOVER_SECONDS = 16, 8
SOURCES = OTHER_SOURCES + KAFKA_SOURCES + TLS_SOURCES
worst = {}
pytestmark = pytest.mark.parametrize("transport", ["nghttp2"], indirect=True)  # that of the callers says nothing here


@pytest.fixture(scope="module")
def program():
    path = os.environ.get("BACKLOG_RELEASE")
    if not path or not os.access(path, os.X_OK):
        raise Unavailable("BACKLOG_RELEASE names no release build (./dev build release)")
    yield path
    for source, (growth, reply) in worst.items():
        print(f"{source}: {growth:.1f} MiB ({reply})")


def check(source, reply, outcome):
    worst[source.name] = max(worst.get(source.name, (0, "")), (outcome.growth_mib, reply))
    assert outcome.connections > 0 and outcome.sent_mib > 0, reply
    assert outcome.growth_mib <= GROWTH_MIB, reply
    assert outcome.calls > 0 and not outcome.failures, reply


@pytest.mark.parametrize("source", [source for source in SOURCES if source.silences != 0], ids=lambda source: source.name)
def test_a_source_that_falls_silent_after_any_byte_affects_no_other(program, transport, source):
    count, outcome = silenced(program, source, SILENT_SECONDS)
    check(source, "silence", outcome)
    assert outcome.connections >= count


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_hostile_replies_cost_little_and_affect_no_other(program, transport, source):
    for reply, outcome in attacked(program, source, SECONDS):
        check(source, reply.title, outcome)


@pytest.mark.parametrize("name,trigger,script,triggers", HELD, ids=[row[0] for row in HELD])
def test_many_connections_take_little_together(program, transport, name, trigger, script, triggers):
    outcome = held(program, trigger, script, 64, triggers, SILENT_SECONDS)
    print(f"{name}: {outcome.growth_mib:.1f} MiB")
    assert outcome.growth_mib <= TOGETHER_MIB
    assert outcome.calls > 0 and not outcome.failures


def test_the_nodes_of_redis_clusters_take_little_together(program, transport, tmp_path):
    """A cluster says how many nodes it has: up to 256, each with channels of its own."""
    certificate, key = Authority(tmp_path).issue("node")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    outcome = played(program, redis_node,
                     lambda port: [cluster_trigger(port, node, f"u{number}") for number in range(CLUSTERS) for node in range(REDIS_NODES)],
                     SILENT_SECONDS, until=lambda peer: peer.accepted.value >= 2 * REDIS_NODES, tls=context, hosts=REDIS_NODES)
    print(f"{CLUSTERS} Redis Clusters of {REDIS_NODES} nodes: {outcome.growth_mib:.1f} MiB")
    assert outcome.growth_mib <= TOGETHER_MIB
    assert outcome.calls > 0 and not outcome.failures


def test_failovers_without_end_affect_no_other(program, transport):
    """A master that hangs up while its Sentinel is asked again: nothing may be sent to it then."""
    outcome = played(program, redis_failing_over, lambda port: [sentinel_trigger(port, 0, f"u{number}") for number in range(FAILOVERS)],
                     FAILOVER_SECONDS, until=lambda peer: peer.accepted.value >= 4 * FAILOVERS)
    assert outcome.calls > 0 and not outcome.failures


def test_a_costly_login_is_not_repeated_soon(program, transport):
    """libpq computes as many iterations of SCRAM as a server wants: seconds of one core, and then nothing for minutes."""
    with Peer(postgresql_iterations) as peer, Server(program=program) as server, Client(server.port) as client:
        stream = client.stream_is_active(postgresql_trigger(peer.port, 0))
        end = time.monotonic() + PATIENCE_SECONDS / 2
        is_known = False
        while not is_known and time.monotonic() < end:
            is_known = "too much CPU time" in refusal(client.metrics, postgresql_trigger(peer.port, 0), "")[1]
        logins, used = peer.accepted.value, Memory(server).children_cpu_seconds()
        assert used <= 3 * logins
        time.sleep(2)  # others are tried again at once
        assert peer.accepted.value == logins or not is_known
        assert is_known or used <= logins  # on a busy machine no login had the time to cost much
        stream.cancel()


# Of two bytes each, which decode to a hundred.
PEER_PAGES = {"empty values": b"\x0a\x00" * 2_000_000, "empty earlier values": b"\x0a\x80\x92\xf4\x01" + b"\x22\x00" * 2_000_000,
              "unknown fields": b"\x78\x00" * 2_000_000}


@pytest.mark.parametrize("page", PEER_PAGES)
def test_a_hostile_peer_takes_little(program, transport, page):
    calls = []

    def held(_request, _context):
        calls.append(page)
        return PEER_PAGES[page]

    with grpc_server({"Held": grpc.unary_unary_rpc_method_handler(held)}) as port:
        with Server(program=program, arguments=["--peers", f"127.0.0.1:{port}"]) as server:
            wait_until(lambda: len(calls) > 1 or "values that it would hold" in server.log(), PATIENCE_SECONDS, "the reply's end")
            peak = own_peak(server.pid) / MIB
            print(f"a peer's page of {page}: {peak:.1f} MiB in all")
            assert peak <= GROWTH_MIB


@contextlib.contextmanager
def grpc_server(methods):
    server = grpc.server(futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("backlog.peers.Peers", methods)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(None)


def first_that(expected, client, trigger):
    """The value of the trigger, or the error, as soon as it is as expected."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            answer = client.metrics(trigger, "kafka-t0").metricValueFloat
        except grpc.RpcError as error:
            answer = error.details()
        if expected(answer) or time.monotonic() > deadline:
            return answer


def test_a_large_kafka_cluster_needs_a_connection_of_the_file(program, transport):
    with Peer(kafka_large(25000)) as peer:
        trigger = {**kafka_trigger(peer.port, 0), "partitionLimitation": "0"}  # the library keeps all of them
        connection = [key for key in trigger if key in ("bootstrapServers", "sasl", "username", "password")]
        config = "connections:\n  large:\n    scaler: kafka\n" + "".join(f"    {key}: {trigger[key]}\n" for key in connection)
        named = {"connectionName": "large", **{key: trigger[key] for key in trigger if key not in connection}}
        with Server(program=program, config=config) as server, Client(server.port) as client:
            assert first_that(lambda answer: answer == VALUE, client, named) == VALUE
            other = {**trigger, "username": "b", "hold": "0s"}  # not the same connection; and an edit, which would hold the value
            answer = first_that(lambda answer: "MiB" in str(answer), client, other)
            assert ("the kafka agent process died: Aborted (out of its 28 MiB of memory, or an error in its client library): in the "
                    "connections file its connection may use 96 MiB") in str(answer)


def deaths(texts, server):
    """What calls were answered, and what the server logged, of agents that died."""
    return [line for line in [*texts, *server.log().splitlines()] if "died" in line]


def test_topics_of_hundreds_of_triggers_end_no_kafka_agent(program, transport):
    """All of a connection take its memory, though none of the triggers has many: those that do not fit fail alone."""
    with Peer(kafka_wide(40)) as peer, Server(program=program) as server, Client(server.port) as client:
        triggers = [{**kafka_trigger(peer.port, number), "consumerGroup": "g", "partitionLimitation": "0"} for number in range(600)]
        answers = fetch_all(client, triggers)
        texts = {answer.error for answer in answers}
        assert sum(answer.value == VALUE for answer in answers) > 100, texts
        assert any("no memory for Kafka topic" in text and "connections file has memory for more" in text for text in texts), texts
        assert deaths(texts, server) == []


def test_a_coordinator_that_hangs_for_thousands_of_groups_ends_no_kafka_agent(program, transport):
    """Each request takes memory until it is answered, or the connection ends."""
    with Peer(kafka_silent(OFFSET_FETCH)) as peer, Server(program=program) as server, Client(server.port) as client:
        triggers = [{**kafka_trigger(peer.port, 0), "consumerGroup": f"group-{number}"} for number in range(8000)]
        texts = {answer.error for answer in fetch_all(client, triggers)}
        assert any("its coordinator did not answer" in text for text in texts), texts
        assert deaths(texts, server) == []


def test_clocks_of_hundreds_of_groups_end_no_kafka_agent(program, transport):
    """excludePersistentLag remembers each partition of each group: those that do not fit fail alone."""
    with Peer(kafka_wide(500)) as peer, Server(program=program) as server, Client(server.port) as client:
        triggers = [{**kafka_trigger(peer.port, 0), "consumerGroup": f"group-{number}", "excludePersistentLag": "true"}
                    for number in range(1800)]
        for answers in rounds(client, triggers, 3, 0):
            texts = {answer.error for answer in answers}
            assert deaths(texts, server) == []
        assert sum(answer.value is not None for answer in answers) > 500, texts
        assert any("no memory for excludePersistentLag of Kafka group" in text for text in texts), texts


def small_topics(port, topics, groups):
    """Triggers: of each topic so many groups. The topics' names are as long as usual ones."""
    return [{**kafka_trigger(port, 0), "topic": f"orders-of-a-shop-in-the-region-{topic}", "consumerGroup": f"workers-{topic}-{group}"}
            for group in range(groups) for topic in range(topics)]


def test_a_topic_of_one_partition_takes_memory_for_itself(program, transport):
    """Those that do not fit fail alone, and where all fit none fails at first."""
    with Peer(kafka_wide(1)) as peer, Server(program=program) as server, Client(server.port) as client:
        texts = {answer.error for answer in fetch_all(client, small_topics(peer.port, 1500, 1))}
        assert not any("memory" in text for text in texts), texts
    with Peer(kafka_wide(1)) as peer, Server(program=program) as server, Client(server.port) as client:
        for answers in rounds(client, small_topics(peer.port, 9000, 1), 3, 0):
            texts = {answer.error for answer in answers}
            assert deaths(texts, server) == []
        assert sum(answer.value == VALUE for answer in answers) > 1500, texts
        assert any("no memory for Kafka topic" in text for text in texts), texts


def test_topics_that_do_not_exist_end_no_kafka_agent(program, transport):
    """The library keeps each name that it was given, also without partitions."""
    with Peer(kafka_wide(0)) as peer, Server(program=program) as server, Client(server.port) as client:
        for answers in rounds(client, small_topics(peer.port, 9000, 1), 3, 0):
            texts = {answer.error for answer in answers}
            assert deaths(texts, server) == []
        assert any("does not exist" in text for text in texts), texts
        assert any("no memory for Kafka topic" in text for text in texts), texts


def test_patterns_of_hundreds_of_triggers_end_no_kafka_agent(program, transport):
    """Each trigger has a list of the topics that match."""
    with Peer(kafka_listed(2400)) as peer, Server(program=program) as server, Client(server.port) as client:
        triggers = [{**kafka_trigger(peer.port, 0), "topic": "^t", "partitionLimitation": f"0,{number}"} for number in range(1, 600)]
        for answers in rounds(client, triggers, 3, 0):
            texts = {answer.error for answer in answers}
            assert deaths(texts, server) == []
        assert all(answer.value == 2400 * VALUE for answer in answers), texts


def test_coordinators_that_hang_beside_many_topics_end_no_kafka_agent(program, transport):
    """There is no memory to renew the connection, on which requests that nobody waits for take more and more."""
    with Peer(kafka_half_silent(10, lambda group: group[-1:] in b"13579")) as peer:
        with Server(program=program) as server, Client(server.port) as client:
            for answers in rounds(client, small_topics(peer.port, 900, 8), 2, 0):
                texts = {answer.error for answer in answers}
                assert deaths(texts, server) == []
            assert sum(answer.value is not None for answer in answers) > 500, texts
            assert any("its coordinator did not answer" in text for text in texts), texts


def test_a_reply_may_begin_with_a_blank(program, transport):
    """libcurl 7.88 crashed at the second reply of a handle."""
    def script(wire):
        for path in http_requests(wire):
            status, _, rest = http_reply(prometheus_body(path)).partition(b"\r\n")
            wire.send(status + b"\r\n" + next(firsts) + rest)

    firsts = itertools.chain([b"X-A: " + b"b" * 900 + b"\r\n"], itertools.repeat(b" :AAAAAAAAAA\r\n"))
    with Peer(script) as peer, Server(program=program) as server, Client(server.port) as client:
        for number in range(10):
            with contextlib.suppress(grpc.RpcError):  # a reply that is refused
                client.metrics(prometheus_trigger(peer.port, number % 2), name=f"o{number % 2}")
            assert server.child.poll() is None
        assert peer.accepted.value > 0


def test_a_redis_cluster_may_name_a_node_that_nobody_can_look_up(program, transport):
    """While measuring goes on, its map is requested of that node."""
    maps = []

    def talk(connection):
        with connection, connection.makefile("rb") as lines, contextlib.suppress(OSError, ValueError):
            port = connection.getsockname()[1]
            while True:
                words = [(lines.readline(), lines.readline().strip())[1] for _ in range(int(lines.readline()[1:]))]
                if words[0] == b"CLUSTER" and not maps:
                    maps.append(b"*2\r\n*3\r\n:0\r\n:16382\r\n*2\r\n$9\r\n127.0.0.1\r\n:%d\r\n"
                                b"*3\r\n:16383\r\n:16383\r\n*2\r\n$14\r\nnohost.invalid\r\n:1\r\n" % port)
                    connection.sendall(maps[0])
                else:
                    connection.sendall({b"CLUSTER": b"-ERR later\r\n", b"LLEN": b"-CLUSTERDOWN it is\r\n",
                                        b"ROLE": b"*1\r\n$6\r\nmaster\r\n"}.get(words[0], b"+OK\r\n"))

    with socket.create_server(("127.0.0.1", 0)) as listener, Server(program=program) as server, Client(server.port) as client:
        def accept():
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=talk, args=(listener.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        trigger = {"scaler": "redis-cluster", "address": f"127.0.0.1:{listener.getsockname()[1]}", "listName": "l", "listLength": "5",
                   "interval": "1s"}
        stream = client.stream_is_active(trigger)
        for _ in range(10):
            assert refusal(client.metrics, trigger)[0] == grpc.StatusCode.UNAVAILABLE
            time.sleep(0.3)
        stream.cancel()
        listener.shutdown(socket.SHUT_RDWR)
