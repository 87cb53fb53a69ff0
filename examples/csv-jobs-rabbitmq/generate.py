#!/usr/bin/env python3
"""Writes a CSV file of orders to upload: python generate.py --rows 150 --seconds 1

`seconds` is how long a worker takes for the row. The same --seed writes the same file.
"""

import argparse
import csv
import random

PRODUCTS = {"tea": 4.5, "coffee": 7.9, "cocoa": 5.25, "sugar": 1.2, "cups": 19.9}


def rows(count, seconds, seed):
    """The columns first."""
    yield "order", "product", "quantity", "price", "seconds"
    chosen = random.Random(seed)
    for order in range(1, count + 1):
        product, price = chosen.choice(list(PRODUCTS.items()))
        yield order, product, chosen.randint(1, 12), price, seconds


def write(file, count, seconds, seed=1):
    csv.writer(file, lineterminator="\n").writerows(rows(count, f"{seconds:g}", seed))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=150, help="default: %(default)s")
    parser.add_argument("--seconds", type=float, default=1, help="of work per row; default: %(default)g")
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    parser.add_argument("file", nargs="?", default="data.csv", help="default: %(default)s")
    options = parser.parse_args()
    with open(options.file, "w", newline="") as file:
        write(file, options.rows, options.seconds, options.seed)
    print(f"{options.file}: {options.rows} rows")


if __name__ == "__main__":
    main()
