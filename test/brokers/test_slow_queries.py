"""Queries that take time, many of them at once: KEDA's own scalers answer them, and so does the server.

With default settings. The first round may find a source that cannot answer all in the time that a call waits;
from the second on all are right.
"""

import contextlib
import subprocess
import sys

import pytest

from support.clients.grpc_client import Client
from support.brokers.postgresql import PASSWORD, USER, PostgreSQL
from support.process import free_port, wait_until
from support.clients.rounds import fetch_all, errors, rounds
from support.server.server import REPOSITORY, Server


@pytest.fixture(scope="module")
def broker():
    with PostgreSQL() as broker:
        yield broker


@contextlib.contextmanager
def served():
    with Server() as server, Client(server.port) as client:
        yield client


def sleeping(broker, number, seconds, **keys):
    """Its result is its number."""
    query = f"SELECT {number} FROM pg_sleep({seconds})" if seconds else f"SELECT {number}"
    return {"scaler": "postgresql", "host": "127.0.0.1", "port": str(broker.port), "userName": USER, "dbName": USER,
            "sslmode": "disable", "passwordFromEnv": PASSWORD, "query": query, "targetQueryValue": "5", **keys}


def assert_right(answers, first=1):
    wrong = [(i, answer) for i, answer in enumerate(answers, first)
             if answer.value != i or answer.active is not True]
    assert not wrong, f"{len(wrong)} of {len(answers)}: {wrong[:3]} {errors(answers)}"


def sessions(broker):
    """How many sessions the server has open there, and how many of them are idle in a transaction."""
    listing = broker.sql("SELECT count(*), count(*) FILTER (WHERE state LIKE 'idle in transaction%') "
                         f"FROM pg_stat_activity WHERE usename = '{USER}'")
    found = listing[0]
    return int(found[0]), int(found[1])


@pytest.mark.parametrize("count, seconds", [(12, 0.3), (30, 0.1), (100, 0.05), pytest.param(1000, 0.005, marks=pytest.mark.nightly)])
def test_slow_sql_queries_are_right_from_the_second_round_on(broker, count, seconds):
    triggers = [sleeping(broker, i, seconds) for i in range(1, count + 1)]
    with served() as client:
        first, *others = rounds(client, triggers, 3)
        for answers in others:
            assert_right(answers)
            assert sessions(broker)[0] <= 4
            wait_until(lambda: sessions(broker)[1] == 0, 5, "no session is left in a transaction")  # the last one may just end
    # In 5 s four sessions have time for all of these.
    assert not errors(first), errors(first)


def test_one_query_that_hangs_fails_alone(broker):
    triggers = [sleeping(broker, i, 0) for i in range(1, 31)]
    hanging = sleeping(broker, 31, 60)
    with served() as client:
        for answers in rounds(client, [*triggers, hanging], 4, every_seconds=4):
            assert_right(answers[:-1])
            assert max(answer.seconds for answer in answers[:-1]) < 4
        assert answers[-1].value is None


def test_a_query_of_two_and_a_half_seconds_works(broker):
    with served() as client:
        for answers in rounds(client, [sleeping(broker, 1, 2.5)], 3):
            assert_right(answers)


@pytest.mark.nightly
def test_ten_thousand_cheap_queries_of_one_database(broker):
    triggers = [sleeping(broker, i, 0) for i in range(1, 10001)]
    with served() as client:
        for answers in rounds(client, triggers, 2):
            pass
        assert_right(answers)
        assert sessions(broker)[0] <= 4


SLOW_API = """
import asyncio, re, sys, urllib.parse

async def answer(reader, writer):
    with open("/dev/null"):
        while True:
            try:
                head = await reader.readuntil(b"\\r\\n\\r\\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                break
            query = urllib.parse.unquote_plus(re.search(rb"query=([^& ]*)", head)[1].decode())
            await asyncio.sleep(float(sys.argv[2]))
            body = ('{"status":"success","data":{"resultType":"vector","result":'
                    '[{"metric":{},"value":[0,"%s"]}]}}' % query).encode()
            writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body)
                         + body)
    writer.close()

async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", int(sys.argv[1]), backlog=100)
    print("ready", flush=True)
    await server.serve_forever()

asyncio.run(main())
"""


@contextlib.contextmanager
def slow_prometheus(seconds):
    """What speaks Prometheus' API and takes its time: the result of a query is the query."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-c", SLOW_API, str(port), str(seconds)], stdout=subprocess.PIPE,
                               cwd=REPOSITORY)
    try:
        assert process.stdout.readline() == b"ready\n"
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("count, seconds", [(600, 0.05), (1500, 0.02)])
def test_slow_promql_queries_are_right_from_the_second_round_on(count, seconds):
    with slow_prometheus(seconds) as address, served() as client:
        triggers = [{"scaler": "prometheus", "serverAddress": address, "query": str(i), "threshold": "5"}
                    for i in range(1, count + 1)]
        first, *others = rounds(client, triggers, 3)
        for answers in others:
            assert_right(answers)
    assert not errors(first), errors(first)


def test_a_round_of_a_thousand_is_one_measurement_each(broker):
    """GetMetrics and the IsActive after it, of any number of triggers, are answered from one."""
    broker.sql("DROP SEQUENCE IF EXISTS calls", "CREATE SEQUENCE calls", f"GRANT ALL ON SEQUENCE calls TO {USER}",
               database=USER)
    counting = sleeping(broker, 0, 0) | {"query": "SELECT count(*) FROM pg_stat_activity"}
    with served() as client:
        answers = fetch_all(client, [counting] * 1000)
        assert not errors(answers)
        assert len({answer.value for answer in answers}) == 1
