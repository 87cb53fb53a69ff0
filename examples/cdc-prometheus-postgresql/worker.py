"""Brings changes of the table orders to order_search, exactly once.

A slot has one position, so one worker at a time captures: it moves changes from the slot into cdc_buffer, then confirms them, and
PostgreSQL may drop their WAL. All workers apply: each takes changes out of the buffer in the transaction that applies them. A
worker that is killed has committed neither, so another one takes the same changes. On SIGTERM the worker ends after the
changes that it has. With CAPTURE_ONLY=1 it applies nothing.
"""

import itertools
import os
import re
import signal
import time

import psycopg
from prometheus_client import Counter, Histogram, start_http_server

URL = os.environ["DATABASE_URL"]
CHANGE_SECONDS = float(os.environ.get("CHANGE_SECONDS", "0.02"))  # how long it takes to apply one
UNTIL_IDLE = os.environ.get("UNTIL_IDLE") == "1"                  # of a ScaledJob: end when nothing is left
CAPTURE_ONLY = os.environ.get("CAPTURE_ONLY") == "1"              # of capture/: the workers apply
CAPTURED_AT_ONCE, APPLIED_AT_ONCE = 2000, 100
PASSED_AT_ONCE = 20_000  # of what the workers write, which is in the WAL, too
BUFFER_LIMIT = 10_000  # then changes wait in the WAL, and the others are applied first
CAPTURE_LOCK = 1847    # any number, the same for all
ORDER = re.compile(r"table public\.orders: INSERT: id\[bigint\]:(\d+) ")

done = Counter("worker_jobs_total", "Changes that this worker has applied")
duration = Histogram("worker_job_duration_seconds", "From taking changes out of the buffer to their commit, at most 100 at once",
                     buckets=(.05, .1, .25, .5, 1, 2.5, 5, 10, 30))
stopping = False


def stop(*_):
    global stopping
    stopping = True


def peek(database, at_once):
    """Whole transactions from the slot: (position of the commit, changes of orders) each, and up to where the slot was read."""
    [end] = database.execute("SELECT pg_current_wal_flush_lsn()").fetchone()
    rows = database.execute("SELECT lsn, data FROM pg_logical_slot_peek_changes('orders_cdc', NULL, %s, 'include-xids', '0')",
                            [at_once]).fetchall()
    transactions, changes = [], []
    for lsn, data in rows:
        if found := ORDER.match(data):
            changes.append((int(found[1]), data))
        elif data == "COMMIT":
            transactions.append((lsn, changes))
            changes = []
    return transactions, transactions[-1][0] if len(rows) >= at_once else end


def capture(database):
    """A change may come from the slot again, as it is confirmed after its commit: cdc_position knows."""
    if database.execute("SELECT count(*) >= %s FROM cdc_buffer", [BUFFER_LIMIT]).fetchone()[0]:
        return
    transactions, end = peek(database, CAPTURED_AT_ONCE)
    if transactions and not any(changes for _, changes in transactions):
        transactions, end = peek(database, PASSED_AT_ONCE)
        if any(changes for _, changes in transactions):
            transactions = list(itertools.takewhile(lambda transaction: not transaction[1], transactions))
            end = transactions[-1][0]
    with database.transaction(), database.cursor() as cursor:
        for lsn, changes in transactions:
            if changes and cursor.execute("UPDATE cdc_position SET captured = %s WHERE captured < %s", [lsn, lsn]).rowcount:
                cursor.executemany("INSERT INTO cdc_buffer VALUES (%s, %s, %s, %s)",
                                   [(lsn, number, *change) for number, change in enumerate(changes)])
    database.execute("SELECT pg_replication_slot_advance(slot_name, %s::pg_lsn) FROM pg_replication_slots "
                     "WHERE slot_name = 'orders_cdc' AND confirmed_flush_lsn < %s::pg_lsn", [end, end])


def capture_alone(database):
    """Unless another worker is at it."""
    if database.execute("SELECT pg_try_advisory_lock(%s)", [CAPTURE_LOCK]).fetchone()[0]:
        try:
            capture(database)
        finally:
            database.execute("SELECT pg_advisory_unlock(%s)", [CAPTURE_LOCK])


def apply(database):
    """Returns how many changes it has applied. They are inserts alone: changes of one order would have to stay in order."""
    began = time.monotonic()
    with database.transaction(), database.cursor() as cursor:
        changes = cursor.execute("""
            DELETE FROM cdc_buffer WHERE (commit_lsn, number) IN (
                SELECT commit_lsn, number FROM cdc_buffer ORDER BY commit_lsn, number LIMIT %s FOR UPDATE SKIP LOCKED)
            RETURNING order_id, change""", [APPLIED_AT_ONCE]).fetchall()
        time.sleep(len(changes) * CHANGE_SECONDS)  # stands for the work
        cursor.executemany("""
            INSERT INTO order_search (order_id, document, applied_at) VALUES (%s, %s, clock_timestamp())
            ON CONFLICT (order_id) DO UPDATE SET applied = order_search.applied + 1""", changes)
    if changes:
        duration.observe(time.monotonic() - began)
    return len(changes)


def work(database):
    """Until SIGTERM, or until nothing is left."""
    while not stopping:
        capture_alone(database)
        applied = 0 if CAPTURE_ONLY else apply(database)
        done.inc(applied)
        if applied:
            print(f"backlog: done {int(done._value.get())}", flush=True)
        elif UNTIL_IDLE:
            return
        else:
            time.sleep(0.3)


def main():
    signal.signal(signal.SIGTERM, stop)
    server, _thread = start_http_server(int(os.environ.get("METRICS_PORT", "8000")))
    print(f"backlog: done 0\nmetrics on port {server.server_port}", flush=True)
    while not stopping:
        try:
            with psycopg.connect(URL, autocommit=True, connect_timeout=5, application_name="cdc-worker") as database:
                work(database)
            return
        except psycopg.OperationalError as error:
            print(f"PostgreSQL: {error}; trying again", flush=True)
            time.sleep(1)


if __name__ == "__main__":
    main()
