"""The shop: `load.py --orders 24000` inserts orders. `--age 540` are those of a shop that was offline for nine minutes.

`--import` inserts all of them in one transaction.
"""

import argparse
import os
import sys

import psycopg

AT_ONCE = 500  # orders per transaction


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--url", default=os.environ.get("DATABASE_URL"))
    parser.add_argument("--orders", type=int, default=1000)
    parser.add_argument("--age", type=float, default=0, help="seconds since the orders were made (default: %(default)g)")
    parser.add_argument("--import", dest="at_once", action="store_const", const=sys.maxsize, default=AT_ONCE,
                        help=f"in one transaction, in place of one per {AT_ONCE} orders")
    options = parser.parse_args()
    if not options.url:
        parser.error("--url or the variable DATABASE_URL is missing")
    if options.orders < 1 or options.age < 0:
        parser.error("--orders must be at least 1, --age at least 0")
    with psycopg.connect(options.url, autocommit=True) as database:
        for first in range(0, options.orders, options.at_once):
            database.execute("INSERT INTO orders (customer, changed_at) SELECT 'customer ' || number, now() - %s * interval '1 s' "
                             "FROM generate_series(%s::int, %s::int) AS number",
                             [options.age, first + 1, min(first + options.at_once, options.orders)])
    print(f"{options.orders} orders, {options.age:g} s old")


if __name__ == "__main__":
    main()
