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
QUERY = """SELECT
    (SELECT coalesce(extract(epoch FROM clock_timestamp() - min(changed_at)), 0) FROM orders
        WHERE NOT EXISTS (SELECT FROM order_search WHERE order_id = id)),
    (SELECT count(*) FROM cdc_buffer),
    (SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM orders_id_seq)"""


class Pipeline:
    def describe(self):
        """Nothing is measured before the first scrape."""
        return []

    def collect(self):
        with psycopg.connect(URL, autocommit=True, connect_timeout=3, application_name="cdc-exporter") as database:
            lag, buffered, changes = database.execute(QUERY).fetchone()
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
