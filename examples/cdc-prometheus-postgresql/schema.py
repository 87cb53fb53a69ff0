"""Makes what the workers need in PostgreSQL: tables and a replication slot. Again does no harm.

orders        what the shop writes
orders_cdc    the logical replication slot: PostgreSQL keeps all WAL that it has not confirmed
cdc_buffer    changes that were captured from the slot and not applied yet
cdc_position  how far the slot was captured
order_search  the target, say a search index; `applied` counts how often a change arrived there
"""

import os

import psycopg

STATEMENTS = """
    CREATE TABLE IF NOT EXISTS orders (
        id bigserial PRIMARY KEY, customer text NOT NULL, changed_at timestamptz NOT NULL DEFAULT now());
    CREATE TABLE IF NOT EXISTS cdc_buffer (
        commit_lsn pg_lsn, number int, order_id bigint NOT NULL, change text NOT NULL, PRIMARY KEY (commit_lsn, number));
    CREATE TABLE IF NOT EXISTS cdc_position (captured pg_lsn NOT NULL);
    INSERT INTO cdc_position SELECT '0/0' WHERE NOT EXISTS (SELECT FROM cdc_position);
    CREATE TABLE IF NOT EXISTS order_search (
        order_id bigint PRIMARY KEY, document text NOT NULL, applied int NOT NULL DEFAULT 1, applied_at timestamptz NOT NULL)
"""
# test_decoding comes with PostgreSQL; wal2json or pgoutput would do as well.
SLOT = """SELECT pg_create_logical_replication_slot('orders_cdc', 'test_decoding')
          WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = 'orders_cdc')"""


def main():
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as database:
        database.execute(STATEMENTS)
        database.execute(SLOT)
    print("tables and replication slot are there")


if __name__ == "__main__":
    main()
