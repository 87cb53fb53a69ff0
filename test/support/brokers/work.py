"""Sources that hold work, one class a scaler: `publish` adds messages, `clear` takes all away."""

import contextlib
import http.server
import threading

from .kafka import Kafka
from .nats import Nats
from .postgresql import PostgreSQL
from .prometheus import Prometheus
from .rabbitmq import RabbitMQ
from .redis import Redis


class Work(contextlib.ExitStack):
    """Started on entry with no work; `metadata` is a trigger's for so many messages per replica."""

    broker_class = None

    def __enter__(self):
        super().__enter__()
        with contextlib.ExitStack() as undo:
            undo.push(self)
            self.broker = self.enter_context(self.broker_class())
            self.prepare()
            undo.pop_all()
        return self

    def prepare(self):
        pass


class RabbitMQWork(Work):
    scaler, broker_class = "rabbitmq", RabbitMQ

    def prepare(self):
        self.broker.declare("videos")

    def metadata(self, target):
        return {"scaler": self.scaler, "host": self.broker.amqp_url(), "queueName": "videos", "mode": "QueueLength",
                "value": target}

    def publish(self, count):
        self.broker.publish("videos", count)

    def clear(self):
        self.broker.purge("videos")


class RedisWork(Work):
    scaler, broker_class = "redis", Redis

    def call(self, *words):
        with self.broker.connect() as client:
            return client.call(*words)

    def metadata(self, target):
        return {"scaler": self.scaler, "address": self.broker.address, "listName": "jobs", "listLength": target}

    def publish(self, count, name="jobs"):
        self.call("RPUSH", name, *range(count))

    def clear(self, name="jobs"):
        self.call("DEL", name)


class RedisStreamsWork(RedisWork):
    scaler = "redis-streams"

    def prepare(self):
        self.call("XGROUP", "CREATE", "orders", "workers", "$", "MKSTREAM")

    def metadata(self, target):
        return {"scaler": self.scaler, "address": self.broker.address, "stream": "orders", "consumerGroup": "workers",
                "lagCount": target}

    def publish(self, count):
        with self.broker.connect() as client:
            client.add("orders", count)

    def clear(self):
        self.call("XREADGROUP", "GROUP", "workers", "one", "NOACK", "STREAMS", "orders", ">")


class NatsWork(Work):
    scaler, broker_class = "nats-jetstream", Nats

    def prepare(self):
        self.client = self.enter_context(self.broker.connect())
        self.client.create_stream("memes")
        self.client.create_consumer("memes", "makers")

    def metadata(self, target):
        return {"scaler": self.scaler, "servers": self.broker.url, "stream": "memes", "consumer": "makers",
                "lagThreshold": target}

    def publish(self, count):
        self.client.publish("memes", count)

    def clear(self):
        self.client.run(self.client.jetstream.purge_stream("memes"))


class KafkaWork(Work):
    """Ten partitions: more replicas than partitions are never asked for."""

    scaler, broker_class = "kafka", Kafka
    PARTITIONS = 10

    def prepare(self):
        self.broker.create_topic("videoJob", partitions=self.PARTITIONS)
        self.broker.commit("renderers", "videoJob", [0] * self.PARTITIONS)

    def metadata(self, target):
        return {"scaler": self.scaler, "bootstrapServers": self.broker.bootstrap, "consumerGroup": "renderers",
                "topic": "videoJob", "lagThreshold": target}

    def publish(self, count):
        self.broker.produce("videoJob", count, self.PARTITIONS)

    def clear(self):
        self.broker.commit_all("renderers", "videoJob", self.PARTITIONS)


class ApacheKafkaWork(KafkaWork):
    scaler = "apache-kafka"


class PostgreSQLWork(Work):
    scaler, broker_class = "postgresql", PostgreSQL

    def prepare(self):
        self.broker.sql("CREATE TABLE jobs (id serial)", "GRANT SELECT ON jobs TO backlog", database="backlog")

    def metadata(self, target):
        return {"scaler": self.scaler, "connection": self.broker.url(), "query": "SELECT count(*) FROM jobs",
                "targetQueryValue": target}

    def publish(self, count):
        self.broker.sql(f"INSERT INTO jobs SELECT generate_series(1, {count})", database="backlog")

    def clear(self):
        self.broker.sql("DELETE FROM jobs", database="backlog")


class ScrapingPrometheus(Prometheus):
    """A Prometheus that scrapes one gauge, `jobs`, each second."""

    def __init__(self):
        super().__init__()
        self.jobs = 0
        prometheus = self

        class Exporter(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(f"jobs {prometheus.jobs}\n".encode())

            def log_message(self, *_):
                pass

        self.exporter = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Exporter)
        threading.Thread(target=self.exporter.serve_forever, daemon=True).start()
        self._write("prometheus.yml", "scrape_configs: [{job_name: work, scrape_interval: 1s, scrape_timeout: 1s, "
                    f"static_configs: [{{targets: ['127.0.0.1:{self.exporter.server_port}']}}]}}]\n")

    def _load(self, samples):
        """Nothing but what is scraped."""

    def __exit__(self, *arguments):
        self.exporter.shutdown()
        super().__exit__(*arguments)


class PrometheusWork(Work):
    scaler, broker_class = "prometheus", ScrapingPrometheus

    def metadata(self, target):
        return {"scaler": self.scaler, "serverAddress": self.broker.url(), "query": "sum(jobs)", "threshold": target}

    def publish(self, count):
        self.broker.jobs += count

    def clear(self):
        self.broker.jobs = 0


SOURCES = [RabbitMQWork, KafkaWork, ApacheKafkaWork, NatsWork, RedisWork, RedisStreamsWork, PostgreSQLWork, PrometheusWork]
