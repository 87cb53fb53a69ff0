"""What a client without credentials can do to the triggers in use of others: namespace, name and metadata of its calls are its
claim, each call another. test/protocol/test_strangers.py plays each flood briefly, test/attacks/run prints the figures."""

import itertools
import multiprocessing
import re
import socket
import struct
import threading
import time

from support.clients.callers import Callers, percentile
from support.clients.grpc_client import Client, scaled_object
from support.pages.page import get
from support.server.server import Server

from .attacks import ELSEWHERE, flood, in_chunks
from .replies import (POSTGRESQL_COLUMN, REDIS_COUNTS, postgresql_message, postgresql_session, postgresql_trigger, prometheus_trigger,
                      redis_commands, redis_trigger)
from .replies_kafka import kafka_trigger
from .suffering import MIB, Peer, descendants, status
from .wire import LARGEST_WINDOW, PREFACE, framed, request, request_block, settings, window_update

IN_USE = 200
INLINE_REDIS, NAMED_REDIS = 100, 60  # the others are of PostgreSQL, inline
SELDOM = 40  # of them: called before the flood and after it, as with a pollingInterval that is longer
NAMESPACES = 4
# Connections of the file that are first needed during the flood, and the number of the first trigger of theirs, which is known before.
LATE, LATE_REDIS, LATE_POSTGRESQL = 2000, 8, 2
EDITED, EDITS = 3000, 10  # so many others, from this number on, are edited during the flood
SMALL_TABLE = 2000
SILENT_PORTS = 32
CONNECTIONS = 8  # of the attacker

fork = multiprocessing.get_context("fork")


# ---- the sources of the triggers in use: a value is the time when it was measured ----

def clock():
    """Of all processes."""
    return int(1000 * time.monotonic())


def redis_clock(wire):
    for words in redis_commands(wire):
        wire.send(b":%d\r\n" % clock() if words[0] == "LLEN" else REDIS_COUNTS.get(words[0], b"+OK\r\n"))


def postgresql_clock(wire):
    def row(wire):
        value = b"%d" % clock()
        wire.send(POSTGRESQL_COLUMN + postgresql_message(b"D", struct.pack("!HI", 1, len(value)) + value) + postgresql_message(b"C", b"\0"))
    postgresql_session(wire, row)


def connections_file(redis, postgresql):
    """The first one is in use before the flood."""
    lines = [f"  redis-{number}: {{scaler: redis, address: \"127.0.0.1:{redis}\", username: named-{number}, password: x}}\n"
             for number in range(1 + LATE_REDIS)]
    lines += [f"  postgresql-{number}: {{scaler: postgresql, connection: \"host=127.0.0.1 port={postgresql} user=named-{number} "
              f"password=x dbname=d sslmode=disable\"}}\n" for number in range(LATE_POSTGRESQL)]
    return "connections:\n" + "".join(lines)


def named_redis(connection, number):
    return {"scaler": "redis", "connectionName": f"redis-{connection}", "listName": f"l{number}", "listLength": "5"}


def named_postgresql(connection):
    return {"scaler": "postgresql", "connectionName": f"postgresql-{connection}", "query": "SELECT 1", "targetQueryValue": "5"}


def triggers_in_use(redis, postgresql):
    for number in range(IN_USE):
        if number < INLINE_REDIS:
            yield redis_trigger(redis, number)
        elif number < INLINE_REDIS + NAMED_REDIS:
            yield named_redis(0, number)
        else:
            yield postgresql_trigger(postgresql, number)


def late_triggers():
    return {LATE + number: named_redis(1 + number, number) if number < LATE_REDIS else named_postgresql(number - LATE_REDIS)
            for number in range(LATE_REDIS + LATE_POSTGRESQL)}


# ---- the attackers ----

def calls_of(triggers, number, block):
    """Of one of the attacker's connections: each call is of a new ScaledObject of a new namespace."""
    for call, stream in enumerate(range(1, 1 << 31, 2)):
        serial = call * CONNECTIONS + number
        message = scaled_object(triggers(serial), name=f"o{serial}", namespace=f"claimed-{serial}").SerializeToString()
        yield request(stream, block, framed(message))


def call_for(triggers, port, until, specs=0):
    """So many of the connections ask for specs, which are answered at once; the others wait for measurements."""
    blocks = [request_block("GetMetricSpec" if number < specs else "IsActive") for number in range(CONNECTIONS)]
    greeting = PREFACE + settings(INITIAL_WINDOW_SIZE=LARGEST_WINDOW) + window_update(0, LARGEST_WINDOW - 65535)
    threads = [threading.Thread(target=flood, daemon=True, kwargs={"source": ELSEWHERE, "greeting": greeting}, args=(
        port, until, lambda number=number: in_chunks(calls_of(triggers, number, blocks[number]), 20))) for number in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def silent_ports():
    """The kernel accepts what nobody ever answers."""
    listeners = [socket.create_server(("127.0.0.1", 0), backlog=4096) for _ in range(SILENT_PORTS)]
    return listeners, [listener.getsockname()[1] for listener in listeners]


def new_triggers(port, until):
    """All of one source, which refuses: only the triggers are new."""
    call_for(lambda serial: {"scaler": "redis", "address": "127.0.0.1:1", "listName": f"l{serial}", "listLength": "5"},
             port, until, specs=CONNECTIONS - 1)


def new_triggers_for_a_small_table(port, until):
    new_triggers(port, until)


def elsewhere(trigger, serial, key, ports):
    """Every other source refuses, each at an address of its own; the others accept, and never answer."""
    address = f"127.{1 + serial // 65025 % 254}.{serial // 255 % 255}.{1 + serial % 254}:1"
    keys = trigger(ports[serial % len(ports)], serial, user=f"u{serial}")
    if serial // 3 % 2:
        keys[key] = re.sub(r"127\.0\.0\.1:\d+", address, keys[key])
    return keys


def new_hosts(port, until):
    def amqp_trigger(port, number, user):
        return {"scaler": "rabbitmq", "host": f"amqp://{user}:x@127.0.0.1:{port}/", "queueName": "q", "mode": "QueueLength", "value": "5"}

    listeners, ports = silent_ports()
    kinds = [(redis_trigger, "address"), (amqp_trigger, "host"), (prometheus_trigger, "serverAddress")]
    call_for(lambda serial: elsewhere(kinds[serial % 3][0], serial, kinds[serial % 3][1], ports), port, until)
    del listeners


def new_agents(port, until):
    def nats_trigger(port, number, user):
        return {"scaler": "nats-jetstream", "servers": f"nats://127.0.0.1:{port}", "user": user, "password": "x",
                "stream": "orders", "consumer": "c", "lagThreshold": "5"}

    def sql_trigger(port, number, user):
        return {"scaler": "postgresql", "host": "127.0.0.1", "port": str(port if number // 3 % 2 else 1), "userName": user,
                "password": "x", "dbName": "d", "sslmode": "disable", "query": "SELECT 1", "targetQueryValue": "5"}

    listeners, ports = silent_ports()
    kinds = [(kafka_trigger, "bootstrapServers"), (nats_trigger, "servers"), (sql_trigger, None)]

    def trigger(serial):
        kind, key = kinds[serial % 3]
        return sql_trigger(ports[serial % len(ports)], serial, f"u{serial}") if key is None else elsewhere(kind, serial, key, ports)

    call_for(trigger, port, until)
    del listeners


STRANGERS = [new_triggers, new_triggers_for_a_small_table, new_hosts, new_agents]


# ---- the triggers in use ----

def place(number):
    return f"o{number}", f"shop-{number % NAMESPACES}"


class Clocks(Callers):
    """A value is right if it was measured since they began; how old it is is kept."""

    def __init__(self, client, triggers):
        super().__init__(client, triggers, self.judge, place)
        self.began, self.ages = clock(), []

    def judge(self, _number, value):
        age = clock() - value
        self.ages.append(age)
        return None if -1 <= age <= clock() - self.began else f"{value:g}"


def ids(server):
    """Of the triggers in use. Another id is another trigger: what was known of it was lost."""
    found = {}
    for number in range(NAMESPACES):
        for row in get(server, f"/api/triggers?namespace=shop-{number}&limit=1000").json()["triggers"]:
            if int(row["name"][1:]) < IN_USE:
                found[(row["namespace"], row["name"])] = row["id"]
    return found


def total(page, name, **labels):
    lines = re.findall(rf"^{name}(?:{{(.*)}})? (\S+)$", page, re.M)
    return sum(float(value) for has, value in lines if all(f'{label}="{wanted}"' in has for label, wanted in labels.items()))


class Outcome:
    def __init__(self):
        self.pages_lost = []
        self.memory = self.agent_memory = self.agents = self.descriptors = self.connections = self.triggers = 0

    def sample(self, server):
        children = descendants(server.pid)
        self.memory = max(self.memory, server.resident_bytes())
        own = 0
        for child in children:
            try:
                seen = status(child)
                own += seen["VmRSS"] - seen["RssFile"]
            except (OSError, KeyError):
                pass  # it ended meanwhile
        self.agent_memory = max(self.agent_memory, own)
        self.agents = max(self.agents, len(children))
        self.descriptors = max(self.descriptors, server.open_descriptors())

    def count(self, server):
        try:
            page = get(server, "/metrics").text
        except OSError as error:
            self.pages_lost.append(str(error))
            return ""
        self.connections = max(self.connections, total(page, "backlog_connections"))
        self.triggers = max(self.triggers, total(page, "backlog_triggers"))
        return page


def beside(attack, seconds, program=None):
    """The server, its triggers in use, and the attack on it."""
    arguments = ["--max-triggers", str(SMALL_TABLE)] if attack is new_triggers_for_a_small_table else []
    with Peer(redis_clock) as redis, Peer(postgresql_clock) as postgresql:
        with Server(interval="1s", arguments=arguments, config=connections_file(redis.port, postgresql.port), http=True,
                    program=program) as server, Client(server.port) as client:
            callers = Clocks(client, list(triggers_in_use(redis.port, postgresql.port)))
            return suffered(server, callers, attack, seconds)


def warm_up(callers):
    """What is known before the flood."""
    for number, metadata in late_triggers().items():
        callers.client.stub.GetMetricSpec(callers.ref(number, metadata))
    for number in range(EDITED, EDITED + EDITS):
        callers.wait([callers.call(number, named_redis(0, number))])
    callers.call_all()
    assert not callers.failures and not callers.wrong, (callers.failures + callers.wrong)[:3]
    callers.forget()
    callers.ages = []


def suffered(server, callers, attack, seconds):
    warm_up(callers)
    known = ids(server)
    outcome = Outcome()
    outcome.sample(server)
    outcome.is_sanitized = server.is_sanitized()
    start, start_of_agents = outcome.memory, outcome.agent_memory
    answered_before = total(outcome.count(server), "backlog_calls_total")
    attacker = fork.Process(target=attack, args=(server.port, time.monotonic() + seconds), daemon=True)
    attacker.start()
    try:
        others = Others(server, callers.client, outcome, seconds)
        callers.run(seconds, IN_USE - SELDOM, others.look)
        callers.wait(others.calls)
        page = outcome.count(server)
        assert not attacker.exitcode, "the attack itself failed"
    finally:
        attacker.kill()
        attacker.join()
    callers.call_all()
    now = ids(server)
    outcome.evicted = sum(now.get(key) != known[key] for key in known)
    outcome.calls, outcome.failures = len(callers.latencies) + len(callers.failures), callers.failures
    outcome.wrong = callers.wrong + others.late.wrong + others.edited.wrong
    outcome.late, outcome.edits = others.late.failures, others.edited.failures
    outcome.late_calls = len(outcome.late) + len(others.late.latencies)
    outcome.p99_ms, outcome.max_ms = 1000 * percentile(callers.latencies, 99), 1000 * max(callers.latencies, default=float("nan"))
    outcome.oldest_ms = max(callers.ages, default=float("nan"))
    outcome.attacker_calls = total(page, "backlog_calls_total") - answered_before - outcome.calls
    outcome.growth_mib = (outcome.memory - start) / MIB
    outcome.agents_growth_mib = (outcome.agent_memory - start_of_agents) / MIB
    return outcome


class Others:
    """What happens beside the calls for the triggers in use: what the server needs is looked at; connections of the file are needed for
    the first time, and triggers in use are edited."""

    def __init__(self, server, client, outcome, seconds):
        self.server, self.outcome = server, outcome
        self.late, self.edited = Clocks(client, []), Clocks(client, [])
        began = time.monotonic()
        late = [(self.late, number, metadata) for number, metadata in late_triggers().items()]
        edits = [(self.edited, EDITED + number, {**named_redis(0, EDITED + number), "listLength": "6"}) for number in range(EDITS)]
        steps = [step for pair in itertools.zip_longest(late, edits) for step in pair if step]
        self.plan = [(began + seconds * (0.2 + 0.7 * at / len(steps)), step) for at, step in enumerate(steps)]
        self.calls, self.sample_at, self.count_at = [], began, began

    def look(self):
        now = time.monotonic()
        if self.plan and now >= self.plan[0][0]:
            _, (callers, number, metadata) = self.plan.pop(0)
            self.calls.append(callers.call(number, metadata))
        if now >= self.sample_at:
            self.outcome.sample(self.server)
            self.sample_at = now + 0.2
        if now >= self.count_at:
            self.outcome.count(self.server)
            self.count_at = now + 2
