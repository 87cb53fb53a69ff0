"""KEDA's questions about what a query answers, to the server, with a real PostgreSQL behind it."""

import concurrent.futures
import contextlib
import os
import signal
import time
import urllib.parse

import grpc
import pytest

from support.certificates import make_certificate, make_certificates, make_intermediate, make_root
from support.clients.grpc_client import Client, refusal
from support.brokers.postgresql import PASSWORD, USER, PostgreSQL
from support.clients.rounds import Answer, errors, rounds, wait_for_readings
from support.process import wait_until
from support.server.server import Server
from support.clients.story import assert_unavailable, outage, value, wait_for_value
from support.network.tap import Tap

INTERVAL_SECONDS = 0.5
HOLD_SECONDS = 3
OUTAGE_HOLD_SECONDS = 8  # a call waits for 5 s, and a reading is held from the first that nothing answered


@pytest.fixture(scope="module")
def broker():
    with PostgreSQL() as broker:
        yield broker


@pytest.fixture
def jobs(broker):
    """An empty table of jobs."""
    broker.sql("DROP TABLE IF EXISTS jobs", "CREATE TABLE jobs (id serial, state text)",
               f"GRANT ALL ON jobs TO {USER}", database=USER)
    return broker


@pytest.fixture
def server():
    with Server(interval=f"{INTERVAL_SECONDS * 1000:.0f}ms", hold=f"{HOLD_SECONDS}s") as server:
        yield server


@pytest.fixture
def client(server):
    with Client(server.port) as client:
        yield client


COUNT = "SELECT count(*) FROM jobs WHERE state = 'queued'"


def trigger(broker, query=COUNT, **keys):
    return {"scaler": "postgresql", "connectionFromEnv": broker.url(), "query": query, "targetQueryValue": "5", **keys}


def parts(broker, query=COUNT, **keys):
    return {"scaler": "postgresql", "host": "127.0.0.1", "port": str(broker.port), "userName": USER, "dbName": USER,
            "sslmode": "disable", "passwordFromEnv": PASSWORD, "query": query, "targetQueryValue": "5", **keys}


def enqueue(broker, count):
    broker.sql(f"INSERT INTO jobs (state) SELECT 'queued' FROM generate_series(1, {count})", database=USER)


@pytest.mark.first
def test_37_rows_are_37_and_active(jobs, client):
    enqueue(jobs, 37)
    for requested in (trigger(jobs), parts(jobs)):
        spec = client.metric_spec(requested)
        assert (spec.metricName, spec.targetSize, spec.targetSizeFloat) == ("postgresql", 5, 5)
        assert value(client, requested) == 37
        assert client.is_active(requested)


@pytest.mark.first
def test_a_count_of_none_is_0_and_inactive(jobs, client):
    assert value(client, trigger(jobs)) == 0
    assert not client.is_active(trigger(jobs))


def test_active_is_above_the_activation_value(jobs, client):
    requested = trigger(jobs, activationTargetQueryValue="2")
    enqueue(jobs, 2)
    wait_for_value(client, requested, 2)
    assert not client.is_active(requested)
    enqueue(jobs, 1)
    wait_for_value(client, requested, 3)
    assert client.is_active(requested)


@pytest.mark.parametrize("query, expected", [
    ("SELECT 3::int", 3),
    ("SELECT 9000000000::bigint", 9e9),
    ("SELECT 2.25::numeric", 2.25),
    ("SELECT 1.5e3::float8", 1500),
    ("SELECT '12.5'::text", 12.5),
    ("SELECT 4 AS lag UNION ALL SELECT 9 ORDER BY lag", 4),  # the first row, as KEDA takes it
    ("SELECT generate_series(1, 300000)", 1),
    ("VALUES (7)", 7),
    ("WITH waiting AS (SELECT 8 AS n) SELECT n FROM waiting;  -- done", 8),
])
def test_numeric_texts_are_numbers(broker, client, query, expected):
    assert value(client, trigger(broker, query)) == expected


@pytest.mark.parametrize("query, words", [
    ("SELECT NULL::int", "NULL"),
    ("SELECT sum(n) FROM (SELECT 1 AS n WHERE false) AS none", "NULL"),
    ("SELECT 1 WHERE false", "no row"),
    ("SELECT 1, 2", "exactly one column: it returned 2"),
    ("SELECT", "exactly one column: it returned 0"),
    ("SELECT 'many'", '"many"'),
    ("SELECT ''", '""'),
    ("SELECT ' 1'", '" 1"'),
    ("SELECT true", '"t"'),
    ("SELECT 'NaN'::float8", '"NaN"'),
    ("SELECT 'Infinity'::numeric", '"Infinity"'),
    ("SELECT '-Infinity'::float8", '"-Infinity"'),
    ("SELECT 1; SELECT 2", "multiple commands"),
    ("SELECT n FROM nowhere", 'relation "nowhere" does not exist'),
    ("SELECT 1 FORM jobs", "syntax error"),
    ("SELECT 1 / 0", "division by zero"),
    ("SELECT $1::int", "parameter"),
    ("CALL nothing()", "must be a SELECT"),
])
def test_a_value_that_is_no_number_is_an_error(broker, client, query, words):
    broker.sql("CREATE OR REPLACE PROCEDURE nothing() LANGUAGE sql AS ''", database=USER)
    for call in (client.metrics, client.is_active):
        assert_unavailable(call, trigger(broker, query), words)


@pytest.mark.parametrize("query", [
    "WITH gone AS (DELETE FROM jobs RETURNING 1) SELECT count(*) FROM gone",
    "SELECT set_config('transaction_read_only', 'off', true)",
    "SELECT write()",
    "SELECT write() FROM set_config('transaction_read_only', 'off', false)",
    "CALL commit_and_write()",
])
def test_a_query_cannot_write(jobs, client, query):
    write = "INSERT INTO jobs (state) VALUES ('queued')"
    jobs.sql(f"CREATE OR REPLACE FUNCTION write() RETURNS int LANGUAGE sql AS $$ {write} RETURNING 1 $$",
             "CREATE OR REPLACE PROCEDURE commit_and_write() LANGUAGE plpgsql AS "
             f"$$ BEGIN COMMIT; SET TRANSACTION READ WRITE; {write}; END $$", database=USER)
    assert refusal(client.metrics, trigger(jobs, query))[0] == grpc.StatusCode.UNAVAILABLE
    assert_unavailable(client.metrics, trigger(jobs, "SELECT write()"), "read-only transaction")
    assert value(client, trigger(jobs)) == 0


@pytest.mark.parametrize("query", [
    "INSERT INTO jobs (state) VALUES ('queued') RETURNING 1",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
    "DO $$ BEGIN COMMIT; INSERT INTO jobs (state) VALUES ('queued'); END $$",
    "/* */ COPY (SELECT 1) TO STDOUT",
    "PREPARE TRANSACTION 'mine'",
])
def test_statements_other_than_select_are_refused(jobs, client, query):
    code, text = refusal(client.metrics, trigger(jobs, query))
    assert code == grpc.StatusCode.INVALID_ARGUMENT and "query must begin with SELECT" in text
    assert value(client, trigger(jobs)) == 0
    assert len(jobs.sessions()) == 1


def test_strings_are_read_as_the_rules_for_queries_read_them(jobs, client):
    """Where a backslash may hide the end of a string, it hides calls that are refused."""
    jobs.sql(f"ALTER ROLE {USER} SET standard_conforming_strings = off")
    try:
        jobs.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'backlog'")
        wait_for_value(client, trigger(jobs, r"SELECT length('\')"), 1)
    finally:
        jobs.sql(f"ALTER ROLE {USER} RESET standard_conforming_strings")


@pytest.mark.parametrize("query", [
    "SELECT 3 + count(*) FROM pg_catalog.pg_replication_slots",
    "SELECT count(j.http) FROM jobs j",
    "SELECT 2 + count(*) FROM audit.crosstab_runs",
    "WITH RECURSIVE crosstab(n) AS (SELECT 3) SELECT n FROM crosstab",
    "SELECT count(http.dblink) FROM generate_series(1, 3) AS http(dblink)",
])
def test_what_is_named_like_a_refused_function_is_read(jobs, client, query):
    jobs.sql("ALTER TABLE jobs ADD http text DEFAULT 'x'", "DROP SCHEMA IF EXISTS audit CASCADE", "CREATE SCHEMA audit",
             "CREATE TABLE audit.crosstab_runs AS SELECT 1 AS id", f"GRANT USAGE ON SCHEMA audit TO {USER}",
             f"GRANT SELECT ON audit.crosstab_runs TO {USER}", database=USER)
    enqueue(jobs, 3)
    assert value(client, trigger(jobs, query)) == 3


@pytest.mark.parametrize("query", [
    "SELECT pg_terminate_backend(pid)::int FROM pg_stat_activity",
    "SELECT pg_catalog . PG_Terminate_Backend /* soon */ -- now\n (pid)::int FROM pg_stat_activity",
    'SELECT pg_catalog."pg_terminate_backend"\n(pid)::int FROM pg_stat_activity',
    "SELECT (a.pid).pg_terminate_backend::int FROM pg_stat_activity a",
])
def test_a_call_that_ends_other_sessions_is_refused(broker, client, query):
    code, text = refusal(client.metrics, trigger(broker, query))
    assert code == grpc.StatusCode.INVALID_ARGUMENT and "query must not call pg_terminate_backend()" in text


# What a session usually remembers; some of it is refused, and some takes effect and fails then.
DISTURBING = [
    "SELECT 1 FROM set_config('search_path', 'elsewhere', false)",
    "SELECT 1 FROM set_config('role', 'nobody_else', false)",
    "SELECT 1 FROM set_config('my.tenant', '7', false)",
    "SELECT 1 FROM pg_advisory_lock(7)",
    "SELECT 1 / length(pg_advisory_lock(8)::text)",
    "SELECT 1 FROM pg_notify('news', 'work')",
    *(f"SELECT done('{statement}')" for statement in (
        "SET ROLE nobody_else", "SET search_path TO elsewhere", "SET TIME ZONE 5", "LISTEN news",
        "DECLARE mine CURSOR WITH HOLD FOR SELECT 1", "CREATE TEMP TABLE jobs (state text)", "RESET ALL")),
]

LEFT_BEHIND = """SELECT
    (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')
    + (SELECT count(*) FROM pg_listening_channels())
    + (SELECT count(*) FROM pg_prepared_statements WHERE name <> '')
    + (SELECT count(*) FROM pg_cursors WHERE name <> '')
    + (SELECT count(*) FROM pg_class WHERE relpersistence = 't')
    + (SELECT count(*) FROM pg_settings WHERE source = 'session'
       AND name NOT IN ('statement_timeout', 'transaction_read_only', 'transaction_isolation',
                        'client_connection_check_interval', 'standard_conforming_strings'))
    + (current_user <> session_user)::int + (coalesce(current_setting('my.tenant', true), '') <> '')::int"""


def test_no_query_changes_what_another_reads(jobs, client):
    """All of them share a session: a count that another's search_path makes is a wrong number, or a false zero."""
    jobs.sql("CREATE OR REPLACE FUNCTION done(statement text) RETURNS int LANGUAGE plpgsql AS "
             "$$ BEGIN EXECUTE statement; RETURN 1; END $$",
             "DROP SCHEMA IF EXISTS elsewhere CASCADE", "CREATE SCHEMA elsewhere", "CREATE TABLE elsewhere.jobs (state text)",
             "DROP ROLE IF EXISTS nobody_else", "CREATE ROLE nobody_else",
             f"GRANT nobody_else TO {USER}", f"GRANT USAGE ON SCHEMA elsewhere TO {USER}",
             f"GRANT SELECT ON elsewhere.jobs TO {USER}, nobody_else", database=USER)
    enqueue(jobs, 3)
    neighbours = {COUNT: 3, LEFT_BEHIND: 0, "SELECT pg_try_advisory_lock(9)::int": 1}
    for query in DISTURBING:
        with contextlib.suppress(grpc.RpcError):
            client.metrics(trigger(jobs, query))
        for neighbour, expected in neighbours.items():
            assert value(client, trigger(jobs, neighbour)) == expected
    for _ in range(4):  # all together, in whatever order
        time.sleep(INTERVAL_SECONDS)
        for neighbour, expected in neighbours.items():
            assert value(client, trigger(jobs, neighbour)) == expected
    assert len(jobs.sessions()) == 1
    assert jobs.sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == [["0"]]


@pytest.mark.parametrize("highest", [None, *(pytest.param(highest, marks=pytest.mark.nightly) for highest in (1, 2))])
def test_1000_triggers_are_a_few_sessions(broker, highest):
    """One, and more only while queries wait."""
    config = f"""
connections:
  jobs: {{scaler: postgresql, host: 127.0.0.1, port: "{broker.port}", userName: {USER}, dbName: {USER}, sslmode: disable,
         password: {PASSWORD}{f", maxSessions: {highest}" if highest else ""}}}
"""
    with Server(interval="500ms", config=config) as server, Client(server.port) as client:
        requested = [{"scaler": "postgresql", "connectionName": "jobs", "query": f"SELECT {i}", "targetQueryValue": "5"}
                     for i in range(1000)]
        seen = set()
        wait_for_readings(client, requested)
        for answers in (*rounds(client, requested, 2, every_seconds=1), [value(client, one) for one in requested]):
            assert not errors(answer for answer in answers if isinstance(answer, Answer))
            assert [getattr(answer, "value", answer) for answer in answers] == list(range(1000))
            sessions = broker.sessions()
            assert 1 <= len(sessions) <= (highest or 4)
            seen.update(sessions)
        if highest == 1:
            assert len(seen) == 1  # and it was never replaced


@pytest.mark.nightly
@pytest.mark.parametrize("connection", ["named", "inline"])
def test_long_queries_of_a_large_connection_fit_its_agent(broker, connection):
    """Of a release build, where the agent has its limit: more than the 27 MiB of a trigger's own connection. That one has some of
    them at a time, and gets others again for each measurement."""
    config = f"""
connections:
  jobs: {{scaler: postgresql, host: 127.0.0.1, port: "{broker.port}", userName: {USER}, dbName: {USER}, sslmode: disable,
         password: {PASSWORD}}}
"""
    comment = "-" * 12000
    where = {"connectionName": "jobs"} if connection == "named" else parts(broker)
    with Server(program=os.environ.get("BACKLOG_RELEASE"), interval="2s", config=config,
                arguments=["--max-triggers", "50000"]) as server, Client(server.port) as client:
        requested = [{"scaler": "postgresql", **where, "query": f"SELECT {i} --{comment}", "targetQueryValue": "5"}
                     for i in range(2500)]
        wait_for_readings(client, requested)
        for answers in rounds(client, requested, 2, every_seconds=3):
            assert not errors(answers)
            assert [answer.value for answer in answers] == list(range(len(requested)))
        assert "agent process died" not in server.log()
        assert "connection failed" not in server.log()


@pytest.mark.first
def test_failing_queries_fail_alone(broker, client):
    requested = [trigger(broker, f"SELECT {100 / (i % 10) if i % 10 else 'nothing'}") for i in range(100)]
    for i, one in enumerate(requested):
        if i % 10:
            assert value(client, one) == pytest.approx(100 / (i % 10))
        else:
            assert_unavailable(client.metrics, one, 'column "nothing" does not exist')


def test_equal_questions_are_measured_once(jobs, client):
    with Tap(jobs.port) as tap:
        requested = [trigger(jobs, activationTargetQueryValue=str(i)) for i in range(50)]
        for one in requested:
            one["connectionFromEnv"] = jobs.url(port=tap.port)
            assert value(client, one) == 0
        tap.forget()
        start = time.monotonic()
        while time.monotonic() - start < 4 * INTERVAL_SECONDS:
            for one in requested:
                assert value(client, one) == 0
                assert not client.is_active(one)
        assert 1 <= tap.count(COUNT.encode()) <= (time.monotonic() - start) / INTERVAL_SECONDS + 2
        assert tap.connections == 1


def test_a_slow_query_does_not_disturb_its_neighbours(broker, client):
    requested = [trigger(broker, f"SELECT {i} * 0") for i in range(100)]
    assert [value(client, one) for one in requested] == [0] * 100
    slow = trigger(broker, "SELECT 1 FROM pg_sleep(30)")
    assert_unavailable(client.metrics, slow)
    for _ in range(10):  # no measurement of theirs has failed, or their zeros were refused
        assert [value(client, one) for one in requested] == [0] * 100
        time.sleep(INTERVAL_SECONDS)
    assert_unavailable(client.metrics, slow, "no answer within")
    # The server has stopped it, each time that it was asked.
    sleeping = ("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(30)' "
                "AND now() - query_start > '4 s'")
    wait_until(lambda: broker.sql(sleeping) == [["0"]], 10, "the end of the slow query")


def test_a_query_that_takes_its_time_is_answered(broker, client):
    """More than its share beside others, less than the deadline."""
    neighbours = [trigger(broker, f"SELECT {i}") for i in range(1, 20)]
    thoughtful = trigger(broker, "SELECT 5 FROM pg_sleep(0.8)")
    for one in neighbours:
        value(client, one)
    for _ in range(5):
        assert value(client, thoughtful) == 5
        assert [value(client, one) for one in neighbours] == list(range(1, 20))
        time.sleep(INTERVAL_SECONDS)


@pytest.mark.parametrize("how", ["stop", "freeze"])
def test_an_outage_is_never_zero_and_ends_by_itself(how):
    with PostgreSQL() as broker, Server(interval="500ms", hold=f"{OUTAGE_HOLD_SECONDS}s") as server, \
            Client(server.port) as client:
        outage(client, broker, how, OUTAGE_HOLD_SECONDS, busy=[trigger(broker, "SELECT 12")], idle=[trigger(broker, "SELECT 0")])


def test_a_session_that_an_administrator_ends_is_replaced(broker, client):
    requested = trigger(broker, "SELECT 21")
    assert value(client, requested) == 21
    broker.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'backlog'")
    for _ in range(4):
        assert value(client, requested) == 21  # held, and then measured again
        time.sleep(INTERVAL_SECONDS)
    assert len(broker.sessions()) == 1


def test_a_server_that_ends_the_only_session_shuts_down_at_once():
    """Another is opened when it is needed: PostgreSQL waits up to a minute for one that sends nothing."""
    sleeping = ("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep%' "
                "AND application_name = 'backlog'")
    with PostgreSQL() as broker, Server() as server, Client(server.port) as client, \
            concurrent.futures.ThreadPoolExecutor(1) as pool:
        slow = trigger(broker, "SELECT 7 FROM pg_sleep(2)", timeout="10s")
        call = pool.submit(client.metrics, slow)
        wait_until(lambda: broker.sql(sleeping) == [["1"]], 10, "the query")
        broker.signal(signal.SIGINT)
        broker.child.wait(20)
        concurrent.futures.wait([call])
        broker.start()
        wait_for_value(client, slow, 7, 20)
        assert "no answer in time" not in server.log()


def test_a_wrong_password_is_reported_without_it(broker, server, client):
    for requested in (trigger(broker, connectionFromEnv=broker.url("not-the-word")),
                  parts(broker, passwordFromEnv="not-the-word")):
        text = assert_unavailable(client.metrics, requested, "password authentication failed")
        assert "not-the-word" not in text
    assert "not-the-word" not in server.log()


def test_nothing_of_the_servers_own_environment_lets_a_trigger_in(broker, tmp_path, monkeypatch):
    (tmp_path / ".pgpass").write_text(f"*:*:*:*:{PASSWORD}\n")
    (tmp_path / ".pgpass").chmod(0o600)
    (tmp_path / ".pg_service.conf").write_text(f"[ours]\npassword={PASSWORD}\n")
    for name, word in {"HOME": tmp_path, "PGPASSWORD": PASSWORD, "PGSERVICE": "ours", "PGHOST": "127.0.0.2",
                       "PGPORT": "1", "PGSSLMODE": "verify-full", "PGOPTIONS": "-c statement_timeout=1"}.items():
        monkeypatch.setenv(name, str(word))
    with Server() as server, Client(server.port) as client:
        bare = f"host=127.0.0.1 port={broker.port} user={USER} dbname={USER}"
        query = "SELECT 3 FROM pg_sleep(0.1)"
        assert_unavailable(client.metrics, trigger(broker, query, connectionFromEnv=bare), "no password supplied")
        assert value(client, trigger(broker, query, connectionFromEnv=f"{bare} password={PASSWORD}")) == 3


@pytest.mark.parametrize("password", ["a b", "it's", r"back\slash", "a=b host=elsewhere", "@/?#%"])
def test_any_password_works_in_parts(broker, client, password):
    quoted = password.replace("'", "''")
    broker.sql("DROP ROLE IF EXISTS odd", f"CREATE ROLE odd LOGIN PASSWORD '{quoted}'")
    requested = parts(broker, "SELECT 3", userName="odd", passwordFromEnv=password)
    assert value(client, requested) == 3


def test_a_user_and_a_password_may_have_an_at_sign(broker, client):
    """Users of Azure do (worker@shop). In a URL the last one counts, as in Go, and so in KEDA."""
    user, password = "worker@shop", "a@b"
    broker.sql(f'DROP ROLE IF EXISTS "{user}"', f"CREATE ROLE \"{user}\" LOGIN PASSWORD '{password}'")
    query = "SELECT 3 WHERE current_user = 'worker@shop'"
    place = f"127.0.0.1:{broker.port}/{USER}?sslmode=disable"
    assert value(client, parts(broker, query, userName=user, passwordFromEnv=password)) == 3
    for written in (f"{user}:{password}", "worker%40shop:a%40b", "worker@shop:a%40b"):
        assert value(client, trigger(broker, query, connectionFromEnv=f"postgresql://{written}@{place}")) == 3
    words = f"host=127.0.0.1 port={broker.port} dbname={USER} sslmode=disable user={user} password={password}"
    assert value(client, trigger(broker, query, connectionFromEnv=words)) == 3
    wrong = assert_unavailable(client.metrics, trigger(broker, query, connectionFromEnv=f"postgresql://{user}:se@same@{place}"),
                               "password authentication failed", f"PostgreSQL at 127.0.0.1:{broker.port}")
    assert "same" not in wrong


@pytest.mark.parametrize("query, keywords, expected", [
    ("SELECT 3", {"default_query_exec_mode": "simple_protocol", "pool_max_conns": "4"}, 3),
    ("SELECT 3", {"statement_cache_capacity": "0", "description_cache_capacity": "0"}, 3),
    ("SELECT EXTRACT(timezone_hour FROM now())", {"timezone": "Asia/Tokyo"}, 9),
    ("SELECT n FROM here", {"search_path": '"a b",public'}, 7),
    ("SELECT current_setting('my.tenant')", {"my.tenant": "5", "options": "-cmy.other=8"}, 5),
    ("SELECT current_setting('my.other')", {"my.tenant": "5", "options": "-cmy.other=8"}, 8),
])
def test_keywords_of_pgx_and_parameters_of_the_session_are_taken(broker, client, query, keywords, expected):
    """As KEDA takes them."""
    broker.sql('DROP SCHEMA IF EXISTS "a b" CASCADE', 'CREATE SCHEMA "a b"', 'CREATE TABLE "a b".here AS SELECT 7 AS n',
               f'GRANT USAGE ON SCHEMA "a b" TO {USER}', f'GRANT SELECT ON "a b".here TO {USER}', database=USER)
    url = f"{broker.url()}&{urllib.parse.urlencode(keywords, quote_via=urllib.parse.quote)}"
    assert value(client, trigger(broker, query, connectionFromEnv=url)) == expected
    words = " ".join(f"{name}='{text}'" for name, text in keywords.items())
    pairs = f"host=127.0.0.1 port={broker.port} dbname={USER} sslmode=disable user={USER} password={PASSWORD} {words}"
    assert value(client, trigger(broker, query, connectionFromEnv=pairs)) == expected


@pytest.mark.parametrize("host", ["::ffff:127.0.0.1", "[::ffff:127.0.0.1]", "[::1],[::ffff:127.0.0.1]"])
def test_an_ipv6_address_may_have_brackets(broker, client, host):
    assert value(client, parts(broker, "SELECT 3", host=host)) == 3


def test_a_host_of_several_without_a_port_has_the_usual_one(broker, client):
    """As libpq, and pgx 5.11 in KEDA 2.21, read it; nobody listens there."""
    query = "SELECT 3"
    for hosts in (f"127.0.0.2,127.0.0.1:{broker.port}", f"127.0.0.1:{broker.port},127.0.0.2"):
        url = f"postgresql://{USER}:{PASSWORD}@{hosts}/{USER}?sslmode=disable"
        assert value(client, trigger(broker, query, connectionFromEnv=url)) == 3
    url = f"postgresql://{USER}:{PASSWORD}@127.0.0.2,127.0.0.3:1/{USER}?sslmode=disable"
    assert_unavailable(client.metrics, trigger(broker, query, connectionFromEnv=url), "PostgreSQL at 127.0.0.2,127.0.0.3:5432,1")


def test_tls(tmp_path, client):
    """The server is known by the authorities in `ca`, or else by the system's."""
    make_certificates(tmp_path)
    with PostgreSQL(files={name: (tmp_path / name).read_bytes() for name in ("own.pem", "own.key")},
                    configuration="ssl = on\nssl_cert_file = '../own.pem'\nssl_key_file = '../own.key'") as broker:
        def requested(sslmode, host="127.0.0.1", **keys):
            url = f"postgresql://{USER}:{PASSWORD}@{host}:{broker.port}/{USER}?sslmode={sslmode}"
            return trigger(broker, "SELECT ssl::int FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
                           connectionFromEnv=url, **keys)

        ca = (tmp_path / "ca.pem").read_text()
        assert value(client, requested(sslmode="disable")) == 0
        assert value(client, requested(sslmode="require")) == 1
        assert value(client, parts(broker, requested("require")["query"], sslmode="require")) == 1
        assert value(client, requested(sslmode="verify-full", ca=ca)) == 1
        advice = "set ca to the certificates of its authority, and name the host as its certificate does; sslmode: require"
        assert_unavailable(client.metrics, requested(sslmode="verify-full"), "certificate verify failed", advice)
        assert_unavailable(client.metrics, requested(host="localhost", sslmode="verify-full", ca=ca), "localhost", advice)
        assert value(client, requested(host="localhost", sslmode="verify-ca", ca=ca)) == 1
        assert value(client, parts(broker, requested("require")["query"], sslmode="verify-full", ca=ca)) == 1


def test_tls_with_an_authority_without_its_root(tmp_path, client):
    make_root(tmp_path)
    make_intermediate(tmp_path, "team")
    make_certificate(tmp_path, "own", root="team")
    with PostgreSQL(files={name: (tmp_path / name).read_bytes() for name in ("own.pem", "own.key")},
                    configuration="ssl = on\nssl_cert_file = '../own.pem'\nssl_key_file = '../own.key'") as broker:
        team, ca = ((tmp_path / name).read_text() for name in ("team.pem", "ca.pem"))
        assert value(client, parts(broker, "SELECT 3", sslmode="verify-full", ca=team)) == 3
        assert_unavailable(client.metrics, parts(broker, "SELECT 3", sslmode="verify-full", ca=ca),
                           "certificate verify failed")


def test_a_closed_port_is_an_error(client):
    requested = {"scaler": "postgresql", "connection": "host=127.0.0.1 port=1 user=u password=hidden-word", "query": "SELECT 1",
             "targetQueryValue": "5"}
    text = assert_unavailable(client.metrics, requested, "PostgreSQL at 127.0.0.1:1", "Connection refused")
    assert "hidden-word" not in text


@pytest.mark.first
def test_a_new_row_is_pushed(jobs, client):
    requested = trigger(jobs)
    assert not client.is_active(requested)
    stream = client.stream_is_active(requested, seconds=20)
    time.sleep(1)
    start = time.monotonic()
    enqueue(jobs, 1)
    assert next(iter(stream)).result
    assert time.monotonic() - start < 2.5
    stream.cancel()


def test_notices_stay_out_of_the_log(broker, server, client):
    broker.sql("CREATE OR REPLACE FUNCTION loud() RETURNS int LANGUAGE plpgsql AS "
               "$$ BEGIN RAISE WARNING 'forged line'; RETURN 2; END $$", database=USER)
    assert value(client, trigger(broker, "SELECT loud()")) == 2
    assert "forged line" not in server.log()


def test_every_mistake_is_reported(client):
    code, text = refusal(client.metrics, {
        "scaler": "postgresql", "host": "db", "targetQueryValue": "0", "activationTargetQueryValue": "x", "qery": "1"})
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    for word in ("port, userName, dbName, sslmode missing", "targetQueryValue", "activationTargetQueryValue",
                 'did you mean "query"', "query is missing"):
        assert word in text
