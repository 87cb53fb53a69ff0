"""What the load program does for one job: inserts an order, and finds it in order_search."""

import threading

import psycopg


def arguments(parser):
    parser.add_argument("--url", default="postgresql://cdc:change-me@localhost:5432/shop", help="of PostgreSQL (default: %(default)s)")


class Jobs:
    def __init__(self, options):
        """Needs url."""
        self.url, self.threads, self.lock = options.url, threading.local(), threading.Lock()
        self.open, self.ended = set(), {}

    def execute(self, sql, *values):
        """A connection for each thread, opened again after a failure."""
        try:
            if getattr(self.threads, "database", None) is None:
                self.threads.database = psycopg.connect(self.url, autocommit=True, connect_timeout=10)
            return self.threads.database.execute(sql, values).fetchall()
        except psycopg.Error:
            self.threads.database = None
            raise

    def submit(self):
        [[order]] = self.execute("INSERT INTO orders (customer) VALUES ('load') RETURNING id")
        with self.lock:
            self.open.add(order)
        return order

    def finished(self):
        """{id: (when, succeeded)} of all that have ended."""
        with self.lock:
            still_open = list(self.open)
        for order, when in self.execute("SELECT order_id, extract(epoch FROM applied_at)::float FROM order_search WHERE order_id = ANY(%s)",
                                        still_open):
            self.ended[order] = when, True
            with self.lock:
                self.open.discard(order)
        return self.ended
