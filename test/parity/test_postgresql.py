"""postgresql, beside KEDA's."""

import pytest

from support.clients.keda import Refused, Trigger
from support.brokers.postgresql import PASSWORD, USER, PostgreSQL
from support.process import free_port
from support.clients.side_by_side import REFUSED, alike, both_refuse, compare, differs, each

JOBS = "SELECT count(*) FROM jobs"

IGNORED = "`connection` and `password` can be in the trigger itself; KEDA ignores them there (#6913)."
NO_NUMBER = "NaN and infinity are errors."
READ_ONLY = "A query runs in a read-only transaction, so that a trigger cannot write."


def of(query, target="5", **keys):
    return Trigger("postgresql", {"query": query, "targetQueryValue": target, **keys}, env={"connection": "$url"})


def by(query=JOBS, metadata=(), env=(), auth=()):
    return Trigger("postgresql", {"query": query, "targetQueryValue": "5", **dict(metadata)}, dict(env), dict(auth))


PARTS = {"host": "127.0.0.1", "port": "$port", "userName": USER, "dbName": USER, "sslmode": "disable"}

QUERIES = [
    alike("a count", of(JOBS), 12),
    alike("nothing to count", of(f"{JOBS} WHERE state = 'stuck'"), 0),
    alike("smallint", of("SELECT 7::smallint"), 7),
    alike("integer", of("SELECT 7"), 7),
    alike("bigint", of("SELECT 12345678901"), 12345678901),
    alike("real", of("SELECT 2.5::real"), 2.5),
    alike("double precision", of("SELECT 0.125::double precision"), 0.125),
    alike("numeric", of("SELECT 2.75::numeric"), 2.75),
    alike("numeric with many places", of("SELECT 1.00049999999999999999999"), 1),
    alike("an average", of("SELECT avg(size) FROM jobs"), 6.5),
    alike("text that is a number", of("SELECT '42'::text"), 42),
    alike("text with an exponent", of("SELECT '4.2e1'::text"), 42),
    alike("varchar", of("SELECT '42'::varchar"), 42),
    alike("three decimals are kept", of("SELECT 1.0 / 3"), 0.333),
    alike("below 0", of("SELECT -3"), 0),
    alike("below 0, and more than the activation", of("SELECT -3", activationTargetQueryValue="-4"), 0, active=True),
    alike("active by less than a metric can say", of("SELECT 0.0001"), 0, active=True),
    alike("as much as the activation", of(JOBS, activationTargetQueryValue="12"), 12, active=False),
    alike("a little more than the activation", of(JOBS, activationTargetQueryValue="11.999"), 12, active=True),
    alike("a decimal target", of(JOBS, target="2.5"), 12),
    alike("the first of several rows", of("SELECT n FROM generate_series(3, 9) n ORDER BY n"), 3),
    alike("a common table expression", of(f"WITH n AS ({JOBS}) SELECT * FROM n"), 12),
    alike("a closing semicolon", of(f"{JOBS};"), 12),
    alike("lines", of(f"\n  {JOBS} -- all of them\n"), 12),
    alike("a per cent sign and a quote", of(f"{JOBS} WHERE name LIKE 'o''c%'"), 1),
    both_refuse("NULL", of("SELECT NULL::integer"), "converting NULL"),
    both_refuse("a sum of nothing", of("SELECT sum(size) FROM jobs WHERE state = 'stuck'"), "converting NULL"),
    both_refuse("no row", of("SELECT size FROM jobs WHERE state = 'stuck'"), "no rows"),
    both_refuse("two columns", of("SELECT 1, 2"), "expected 2 destination arguments"),
    both_refuse("words", of("SELECT 'many'"), "invalid syntax"),
    both_refuse("empty text", of("SELECT ''"), "invalid syntax"),
    both_refuse("a time", of("SELECT now()"), "invalid syntax"),
    both_refuse("an interval", of("SELECT interval '1 hour'"), "invalid syntax"),
    both_refuse("a bool", of("SELECT true"), "invalid syntax"),
    both_refuse("text with a blank before its number", of("SELECT ' 42'"), "invalid syntax"),
    both_refuse("text with a unit", of("SELECT '42MB'"), "invalid syntax"),
    both_refuse("text with a hexadecimal number", of("SELECT '0x10'"), "invalid syntax"),
    both_refuse("no such table", of("SELECT count(*) FROM nothing"), "does not exist"),
    both_refuse("no SQL", of("SELEKT 1"), "syntax error"),
    both_refuse("division by 0", of("SELECT 1 / 0"), "division by zero"),
    both_refuse("two statements", of("SELECT 1; SELECT 2"), "cannot insert multiple commands"),
    both_refuse("no right to the table", of("SELECT count(*) FROM secrets"), "permission denied"),
    differs("NaN", of("SELECT 'NaN'::double precision"), keda=(0, False), ours=REFUSED, because=NO_NUMBER),
    differs("infinity", of("SELECT 'Infinity'::double precision"), keda=(0, True), ours=REFUSED, because=NO_NUMBER),
    differs("a write", of("INSERT INTO written VALUES (1) RETURNING 1"), keda=(1, True), ours=REFUSED,
            because=READ_ONLY),
]

CONNECTIONS = [
    alike("parts, and a password from the environment", by(metadata=PARTS, env={"password": PASSWORD}), 12),
    alike("parts and a password of a TriggerAuthentication", by(auth={**PARTS, "password": PASSWORD}), 12),
    alike("a connection of a TriggerAuthentication", by(auth={"connection": "$url"}), 12),
    alike("a connection in words", by(env={"connection": f"host=127.0.0.1 port=$port user={USER} dbname={USER} "
                                                         f"sslmode=disable password={PASSWORD}"}), 12),
    alike("a connection before its parts", by(metadata={**PARTS, "host": "nowhere.invalid"},
                                              env={"connection": "$url"}), 12),
    alike("a password with quotes and a blank",
          by(metadata={**PARTS, "userName": "odd"}, env={"password": "it's a \\ word"}), 12),
    differs("a file of passwords",
            by(env={"connection": f"host=127.0.0.1 port=$port user={USER} dbname={USER} sslmode=disable "
                                  f"password={PASSWORD} passfile=/nowhere"}), keda=(12, True), ours=REFUSED,
            because="`connection` may name no file of the server: no `passfile`"),
    alike("a parameter of the session", by(env={"connection": "$url&search_path=public"}), 12),
    alike("a parameter of the session in options", by(env={"connection": "$url&options=-csearch_path%3Dpublic"}), 12),
    both_refuse("a wrong password", by(metadata=PARTS, env={"password": "wrong"}), "password authentication failed"),
    both_refuse("no password", by(metadata=PARTS), "password authentication failed"),
    both_refuse("no such database", by(metadata={**PARTS, "dbName": "nothing"}, env={"password": PASSWORD}),
                "does not exist"),
    both_refuse("TLS that the server does not speak", by(metadata={**PARTS, "sslmode": "require"},
                                                         env={"password": PASSWORD}), "refused TLS"),
    both_refuse("nobody listens", by(metadata={**PARTS, "port": "$nobody"}, env={"password": PASSWORD}),
                "connection refused"),
    *[both_refuse(f"no {key}", by(metadata={name: text for name, text in PARTS.items() if name != key},
                                  env={"password": PASSWORD}), f"no {key} given") for key in PARTS],
    both_refuse("no query", Trigger("postgresql", {"targetQueryValue": "5"}, env={"connection": "$url"}),
                "missing required parameter"),
    both_refuse("no target", Trigger("postgresql", {"query": JOBS}, env={"connection": "$url"}),
                "no targetQueryValue given"),
    both_refuse("a target of 0", of(JOBS, target="0"), "no targetQueryValue given"),
    differs("a connection in the trigger", by(metadata={"connection": "$url"}), keda=Refused("no host given"),
            ours=(12, True), because=IGNORED),
    differs("a password in the trigger", by(metadata={**PARTS, "password": PASSWORD}),
            keda=Refused("password authentication failed"), ours=(12, True), because=IGNORED),
]


@pytest.fixture(scope="module")
def places():
    with PostgreSQL() as broker:
        broker.sql("CREATE ROLE odd LOGIN PASSWORD 'it''s a \\ word'")
        broker.sql("CREATE TABLE jobs (state text, name text, size integer)",
                   "INSERT INTO jobs SELECT 'queued', 'job', n FROM generate_series(1, 11) n",
                   "INSERT INTO jobs VALUES ('queued', 'o''clock', 12)",
                   "CREATE TABLE written (n integer)", "CREATE TABLE secrets (n integer)",
                   f"GRANT ALL ON jobs, written TO {USER}, odd", database=USER)
        yield {"url": broker.url(), "port": str(broker.port), "nobody": str(free_port())}


@each(QUERIES)
def test_queries(case, keda, client, places):
    compare(case, keda, client, places)


@each(CONNECTIONS)
def test_connections(case, keda, client, places):
    compare(case, keda, client, places)
