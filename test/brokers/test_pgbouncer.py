"""PostgreSQL behind PgBouncer, which has fewer server connections than the server has sessions.

A session that gets no server connection is closed; what was to be sent there goes to the others.
"""

import pytest

from support.clients.grpc_client import Client
from support.brokers.pgbouncer import PgBouncer
from support.brokers.postgresql import PASSWORD, USER, PostgreSQL
from support.clients.rounds import fetch_all, errors, rounds
from support.server.server import Server
from support.clients.story import value, wait_for_value

ROUNDS = 4
GRACE_SECONDS = 2.5  # a session that waits for its server connection is given up after one

modes = pytest.mark.parametrize("mode", ["transaction", "session"])


@pytest.fixture(scope="module")
def broker():
    with PostgreSQL() as broker:
        yield broker


def trigger(pooler, query):
    return {"scaler": "postgresql", "host": "127.0.0.1", "port": str(pooler.port), "userName": USER, "dbName": USER,
            "sslmode": "disable", "passwordFromEnv": PASSWORD, "query": query, "targetQueryValue": "5"}


def assert_right(answers):
    """The result of each query is its number."""
    wrong = [(i, answer) for i, answer in enumerate(answers, 1) if (answer.value, answer.active) != (i, True)]
    assert not wrong, f"{len(wrong)} of {len(answers)}: {wrong[:3]} {errors(answers)}"


@modes
@pytest.mark.parametrize("connections", [1, 2])
@pytest.mark.parametrize("count, seconds", [(20, 0.1), (6, 0.4)])
def test_slow_queries_with_fewer_server_connections_than_sessions(broker, mode, connections, count, seconds):
    with PgBouncer(broker, mode, connections) as pooler, Server() as server, Client(server.port) as client:
        triggers = [trigger(pooler, f"SELECT {i} FROM pg_sleep({seconds})") for i in range(1, count + 1)]
        for answers in rounds(client, triggers, ROUNDS, every_seconds=4):
            assert_right(answers)
            assert max(answer.seconds for answer in answers) < count * seconds + GRACE_SECONDS
            assert len(broker.sessions()) <= connections
        assert pooler.logins() > connections


@modes
def test_a_thousand_quick_queries_by_one_server_connection(broker, mode):
    with PgBouncer(broker, mode, 1) as pooler, Server() as server, Client(server.port) as client:
        triggers = [trigger(pooler, f"SELECT {i}") for i in range(1, 1001)]
        for answers in rounds(client, triggers, ROUNDS, every_seconds=2):
            assert_right(answers)


@modes
def test_settings_of_a_query_reach_no_other_session(broker, mode):
    """Server connections pass from one session to another."""
    with PgBouncer(broker, mode, 1) as pooler, Server() as server, Client(server.port) as client:
        setting = trigger(pooler, "SELECT 1 FROM set_config('my.tenant', '7', false)")
        reading = trigger(pooler, "SELECT length(coalesce(current_setting('my.tenant', true), ''))")
        timeout = trigger(pooler, "SELECT count(*) FROM pg_settings WHERE name = 'statement_timeout' AND setting = '0'")
        slow = [trigger(pooler, f"SELECT {i} FROM pg_sleep(0.1)") for i in range(1, 13)]
        for answers in rounds(client, [*slow, setting, reading, timeout], ROUNDS, every_seconds=2):
            assert_right(answers[:12])
            assert [answer.value for answer in answers[12:]] == [1, 0, 0]


@modes
def test_a_pooler_that_is_restarted(broker, mode):
    with PgBouncer(broker, mode, 1) as pooler, Server() as server, Client(server.port) as client:
        requested = trigger(pooler, "SELECT 3")
        assert value(client, requested) == 3
        pooler.kill()
        assert value(client, requested) == 3  # held
        pooler.start()
        wait_for_value(client, trigger(pooler, "SELECT 4"), 4, 30)  # nothing was held of this one
        assert_right(fetch_all(client, [trigger(pooler, f"SELECT {i}") for i in range(1, 31)]))


@modes
def test_a_parameter_of_the_session_that_pgbouncer_takes_is_passed_on(broker, mode):
    """pgx sends it in a place of its own, we in options."""
    with PgBouncer(broker, mode, 1) as pooler, Server() as server, Client(server.port) as client:
        url = f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{pooler.port}/{USER}?sslmode=disable&timezone=Asia%2FTokyo"
        requested = {"scaler": "postgresql", "connectionFromEnv": url, "targetQueryValue": "5",
                     "query": "SELECT EXTRACT(timezone_hour FROM now())"}
        assert value(client, requested) == 9
