"""All sources, each with a password and behind a proxy of its own: jobs wait in one of its queues, and none in another.

What a source calls a queue is a list, a stream, a topic, rows of a table or a time series.
"""

import concurrent.futures
import contextlib
import os

from .kafka import SecureKafka
from .nats import Nats
from .postgresql import PostgreSQL
from ..process import Unavailable
from .prometheus import Prometheus
from ..network.proxy import Proxy
from .rabbitmq import RabbitMQ
from .redis import Redis

BUSY, IDLE = "busy", "idle"
WAITING = {BUSY: 7, IDLE: 0}
USER = "backlog"
TIMEOUT = "2s"  # of SQL and HTTP, which have 10 s by default: a fault is noticed as soon as with the others
PASSWORD, NEW_PASSWORD = "s3cret-of-yesterday", "s3cret-of-today"


class Source:
    """`connection` are the keys of one, without the password and with a place for the host's name; `work` says the
    others for a queue; `set_password` changes the broker's; `add` puts jobs into a queue, where that can be done;
    `wait_for_statistics` waits until the broker's statistics say how many are in it, where these are late."""

    def __init__(self, name, proxy, scaler, connection, work, set_password, add=None, wait_for_statistics=None):
        self.name, self.proxy, self.scaler = name, proxy, scaler
        self.connection, self.work = connection, work
        self.set_password, self.add = set_password, add
        self.wait_for_statistics = wait_for_statistics

    def connect_to(self, host):
        return {key: value.replace("{host}", host) for key, value in self.connection.items()}

    def metadata(self, queue, host="127.0.0.1"):
        """A trigger that says all by itself."""
        return {"scaler": self.scaler, **self.connect_to(host), "password": PASSWORD, **self.work(queue)}

    def named(self, queue):
        """A trigger that leaves the connection to the connections file."""
        return {"scaler": self.scaler, "connectionName": self.name, **self.work(queue)}

    def change_password(self, password):
        """And hang up on everybody, as a broker does that is restarted with it."""
        self.set_password(password)
        self.proxy.hang_up()


@contextlib.contextmanager
def redis():
    users = "\n".join(f"user {scaler} on >{PASSWORD} ~* &* +@all" for scaler in ("redis", "redis-streams"))
    with Redis(users) as broker, Proxy(broker.port) as lists, Proxy(broker.port) as streams:
        def source(scaler, proxy, work, add):
            def set_password(password):
                with broker.connect() as client:
                    client.call("ACL", "SETUSER", scaler, "resetpass", f">{password}")

            return Source(scaler, proxy, scaler, {"address": f"{{host}}:{proxy.port}", "username": scaler}, work,
                          set_password, add)

        def push(queue, count):
            with broker.connect() as client:
                client.call("RPUSH", queue, *range(count))

        def add(queue, count):
            with broker.connect() as client:
                client.add(f"{queue}-stream", count)

        with broker.connect() as client:
            for queue in WAITING:
                client.call("XGROUP", "CREATE", f"{queue}-stream", "workers", "0", "MKSTREAM")
        push(BUSY, WAITING[BUSY])
        add(BUSY, WAITING[BUSY])
        yield [source("redis", lists, lambda queue: {"listName": queue}, push),
               source("redis-streams", streams, lambda queue: {
                   "stream": f"{queue}-stream", "consumerGroup": "workers", "lagCount": "5"}, add)]


@contextlib.contextmanager
def nats_jetstream():
    def users(password):
        return (f"authorization {{ users: [{{user: admin, password: admin}}, {{user: {USER}, "
                f"password: \"{password}\"}}] }}")

    with Nats(users(PASSWORD)) as broker, broker.connect(user="admin", password="admin") as client, \
            Proxy(broker.port) as proxy:
        for queue in WAITING:
            client.create_stream(queue)
            client.create_consumer(queue, "workers")
        client.publish(BUSY, WAITING[BUSY])
        source = Source("nats-jetstream", proxy, "nats-jetstream",
                        {"servers": f"nats://{{host}}:{proxy.port}", "user": USER},
                        lambda queue: {"stream": queue, "consumer": "workers"},
                        lambda password: broker.reload(users(password)), client.publish)
        source.monitor = broker.monitor_address
        yield [source]


@contextlib.contextmanager
def rabbitmq():
    with RabbitMQ() as broker, Proxy(broker.port) as amqp, Proxy(broker.management_port) as http:
        def source(scheme, proxy):
            """Each has queues and a user of its own."""
            def name(queue):
                return f"{queue}-{scheme}"

            def set_password(password):
                broker.create_user(scheme, password)

            def publish(queue, count):
                broker.publish(name(queue), count)

            set_password(PASSWORD)
            broker.declare(*map(name, WAITING))
            publish(BUSY, WAITING[BUSY])
            timeout = {"timeout": TIMEOUT} if scheme == "http" else {}
            return Source(f"rabbitmq-{scheme}", proxy, "rabbitmq",
                          {"host": f"{scheme}://{{host}}:{proxy.port}/", "vhostName": "/", "username": scheme, **timeout},
                          lambda queue: {"queueName": name(queue), "mode": "QueueLength", "value": "5"},
                          set_password, publish, lambda queue, count: broker.wait_for_statistics(name(queue), count))

        yield [source("amqp", amqp), source("http", http)]


@contextlib.contextmanager
def postgresql():
    with PostgreSQL() as broker, Proxy(broker.port) as proxy:
        def set_password(password):
            broker.sql(f"ALTER ROLE {USER} PASSWORD '{password}'")

        def add(queue, count):
            broker.sql(f"INSERT INTO jobs SELECT '{queue}' FROM generate_series(1, {count})", database=USER)

        set_password(PASSWORD)
        broker.sql("CREATE TABLE jobs (queue text)", f"GRANT SELECT ON jobs TO {USER}", database=USER)
        add(BUSY, WAITING[BUSY])
        yield [Source("postgresql", proxy, "postgresql",
                      {"host": "{host}", "port": str(proxy.port), "userName": USER, "dbName": USER,
                       "sslmode": "disable"},
                      lambda queue: {"query": f"SELECT count(*) FROM jobs WHERE queue = '{queue}'",
                                     "targetQueryValue": "5", "timeout": TIMEOUT},
                      set_password, add)]


HASHES = {PASSWORD: "$2b$04$backlogbacklogbacklogOzcPdrzUpIyFNc0R9.6hghp.wOBJIXTG",
          NEW_PASSWORD: "$2b$04$backlogbacklogbacklogOyPxOXtQgFOdJ6MkM4HHXGsdMk4LT73m"}  # by bcrypt


@contextlib.contextmanager
def prometheus():
    """Its samples are all there before it starts, so none are added. It reads its users at each request."""
    def users(password):
        return f"basic_auth_users: {{{USER}: '{HASHES[password]}'}}\n"

    samples = [f'jobs{{queue="{queue}"}} {count}' for queue, count in WAITING.items()]
    with Prometheus(*samples, web=users(PASSWORD)) as broker, Proxy(broker.port) as proxy:
        yield [Source("prometheus", proxy, "prometheus",
                      {"serverAddress": f"http://{{host}}:{proxy.port}", "authModes": "basic", "username": USER,
                       "timeout": TIMEOUT},
                      lambda queue: {"query": f'jobs{{queue="{queue}"}}', "threshold": "5"},
                      lambda password: broker.write_web(users(password)))]


@contextlib.contextmanager
def kafka():
    """It advertises the proxy's address, at localhost."""
    with Proxy() as proxy, SecureKafka(advertised_ports={"SASL_PLAINTEXT": proxy.port}) as broker:
        proxy.target = broker.ports["SASL_PLAINTEXT"]
        broker.set_password(PASSWORD)
        broker.create_topic(*WAITING)
        broker.produce(BUSY, WAITING[BUSY])
        broker.commit_topics("workers", {queue: [0, 0, 0] for queue in WAITING})
        yield [Source("kafka", proxy, "kafka",
                      {"bootstrapServers": f"{{host}}:{proxy.port}", "sasl": "scram_sha256", "username": USER},
                      lambda queue: {"topic": queue, "consumerGroup": "workers", "lagThreshold": "5"},
                      broker.set_password, broker.produce)]


@contextlib.contextmanager
def all_sources():
    """Their brokers start side by side; the slowest first. ./dev test has no Kafka; in CI that is a failure."""
    makers = (kafka, rabbitmq, postgresql, prometheus, nats_jetstream, redis)
    with contextlib.ExitStack() as stack:
        def start(make):
            try:
                return stack.enter_context(make())
            except Unavailable:
                if make is not kafka or os.environ.get("CI"):
                    raise
                return []

        with concurrent.futures.ThreadPoolExecutor(len(makers)) as pool:
            started = list(pool.map(start, makers))
        yield [source for sources in started for source in sources]
