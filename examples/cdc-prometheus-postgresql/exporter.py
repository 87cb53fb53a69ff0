"""What Prometheus knows of the pipeline, measured in PostgreSQL at each scrape.

While PostgreSQL is away a scrape fails, so that Prometheus has no value. It must not have 0.
"""

import os
import signal
import threading

import psycopg
from prometheus_client import start_http_server
from prometheus_client.core import REGISTRY, CounterMetricFamily, GaugeMetricFamily

URL = os.environ["DATABASE_URL"]
BESIDE = 10_000  # orders with ids so much smaller than an applied one may be of a transaction that ended later
# The oldest change is one that is captured, or one of the last orders. It reads what waits, and not all orders that ever were.
SINCE = "SELECT coalesce(max(order_id), 0) - %s FROM order_search"
QUERY = """SELECT
    coalesce(extract(epoch FROM clock_timestamp() - least(
        (SELECT min(changed_at) FROM cdc_buffer JOIN orders ON id = order_id),
        (SELECT min(changed_at) FROM orders WHERE id > %(since)s
            AND NOT EXISTS (SELECT FROM order_search WHERE order_id = id AND order_id > %(since)s)))), 0),
    (SELECT count(*) FROM cdc_buffer),
    (SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM orders_id_seq)"""


class Pipeline:
    def describe(self):
        """Nothing is measured before the first scrape."""
        return []

    def collect(self):
        with psycopg.connect(URL, autocommit=True, connect_timeout=3, application_name="cdc-exporter") as database:
            [since] = database.execute(SINCE, [BESIDE]).fetchone()
            lag, buffered, changes = database.execute(QUERY, {"since": since}).fetchone()
        yield GaugeMetricFamily("cdc_lag_seconds", "Age of the oldest change that is not applied", float(lag))
        yield GaugeMetricFamily("cdc_buffer_changes", "Changes that are captured and not applied", buffered)
        yield CounterMetricFamily("cdc_changes", "Changes that the shop has made", changes)


def main():
    REGISTRY.register(Pipeline())
    server, _thread = start_http_server(int(os.environ.get("METRICS_PORT", "8000")))
    print(f"metrics on port {server.server_port}", flush=True)
    ends = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ends.set())
    ends.wait()


if __name__ == "__main__":
    main()
