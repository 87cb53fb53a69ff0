"""A real nats-server with JetStream, and a client for tests that reads like a list of steps."""

import asyncio
import concurrent.futures
import contextlib
import json
import os
import signal
import ssl
import threading
import urllib.request

from ..process import Process, Unavailable, free_port, need, wait_until

CALL_SECONDS = 30


class Nats(Process):
    """nats-server on free loopback ports, its store in its own folder.

    `config` is text in nats-server's own configuration language, appended to what is needed anyway:
    accounts, authorization, a JetStream domain.
    """

    name = "nats"
    start_seconds = 20
    health = "healthz"

    def __init__(self, config="", jetstream="", enabled=True, monitor="http", host="127.0.0.1", monitor_port=None):
        super().__init__()
        self.program = need("nats-server")
        self.host = host
        self.port = free_port()
        self.monitor_port = monitor_port or free_port()
        self.monitor_url = f"{monitor}://{self.monitor_address}"
        store = os.path.join(self.folder, "store")
        self.config_path = os.path.join(self.folder, "nats.conf")
        self.own_config = f'listen: "{self.address}"\n{monitor}: "{self.monitor_address}"\n'
        if enabled:
            self.own_config += f'jetstream {{ store_dir: "{store}", {jetstream} }}\n'
        self._write_config(config)

    def _write_config(self, config):
        with open(self.config_path, "w") as file:
            file.write(self.own_config + config + "\n")

    def reload(self, config):
        """Another `config` for a server that runs; who is connected with what it no longer says is sent away."""
        self._write_config(config)
        logged = len(self.log())
        self.signal(signal.SIGHUP)
        wait_until(lambda: "Reloaded server configuration" in self.log()[logged:], 10, "nats: the other configuration")

    def restart_with_one_replica(self):
        """In a cluster: it opens none of the other replicas that it has."""
        self.kill()
        with open(self.config_path) as file:
            config = file.read()
        with open(self.config_path, "w") as file:
            file.write(config.replace("jetstream {", "jetstream { limits { max_ha_assets: 1 },"))
        self.health = "healthz?js-server-only=true"
        self.start()

    @property
    def address(self):
        return f"{self.host}:{self.port}"

    @property
    def monitor_address(self):
        return f"{self.host}:{self.monitor_port}"

    @property
    def url(self):
        return f"nats://{self.address}"

    def command(self):
        return [self.program, "-c", self.config_path]

    def ready(self):
        return self.monitor(self.health).get("status") == "ok"

    def monitor(self, path):
        anyone = ssl._create_unverified_context()
        with urllib.request.urlopen(f"{self.monitor_url}/{path}", timeout=5, context=anyone) as answer:
            return json.load(answer)

    def connections(self, name="backlog"):
        """The open client connections that call themselves so."""
        return [c for c in self.monitor("connz?limit=4096")["connections"] if c.get("name") == name]

    def connect(self, **options):
        return NatsClient(self.url, **options)


def trigger(broker, stream="orders", consumer="workers", **metadata):
    return {"scaler": "nats-jetstream", "servers": broker.url, "stream": stream, "consumer": consumer, **metadata}


def monitored(broker, stream="orders", consumer="workers", **metadata):
    """With the keys of KEDA's built-in scaler."""
    return {"scaler": "nats-jetstream", "natsServerMonitoringEndpoint": broker.monitor_address,
            "account": "$G", "stream": stream, "consumer": consumer, **metadata}


class NatsCluster:
    """`size` nodes that know each other: node-0, node-1 ...

    As pods, each has an address of its own, and all have the same monitoring port.
    """

    def __init__(self, size, as_pods=False):
        hosts = [f"127.0.0.{i + 1 if as_pods else 1}" for i in range(size)]
        places = [f"{host}:{free_port()}" for host in hosts]
        routes = ", ".join(f'"nats-route://{place}"' for place in places)
        monitor_port = free_port() if as_pods else None
        self.nodes = []
        for i, place in enumerate(places):
            node = Nats(host=hosts[i], monitor_port=monitor_port, config=f"""server_name: node-{i}
                cluster {{ name: backlog, listen: "{place}", routes: [{routes}] }}""")
            node.server_name = f"node-{i}"
            self.nodes.append(node)

    def node(self, server_name):
        return next(node for node in self.nodes if node.server_name == server_name)

    def __enter__(self):
        """A node is ready once it has found the others, so they start side by side."""
        try:
            with concurrent.futures.ThreadPoolExecutor(len(self.nodes)) as pool:
                list(pool.map(Nats.start, self.nodes))
            self._meet()
        except Exception:
            self.__exit__()
            raise
        return self

    def _meet(self):
        """Until the leader of the cluster counts all nodes: streams have places on these only.

        nats-server 2.10 leaves out one of three that start at once in about 4 of 100 clusters, until that starts again.
        """
        for is_last in (False, False, True):
            try:
                wait_until(lambda: len(self._counted()) == len(self.nodes), 5, "nats: a leader that counts all nodes")
                return
            except TimeoutError:
                if is_last:
                    raise
            counted = self._counted()
            for node in self.nodes:
                if counted and node.server_name not in counted:
                    node.kill()
                    node.start()

    def _counted(self):
        """The names of the nodes that the leader counts; none while none leads."""
        for node in self.nodes:
            meta = node.monitor("jsz")["meta_cluster"]
            if meta.get("leader") == node.server_name:
                return {node.server_name, *(replica["name"] for replica in meta.get("replicas") or ())}
        return set()

    def create_stream(self, client, stream):
        """With a replica on each node. That the leader knows how much room each has takes longer on a slow machine."""
        wait_until(lambda: client.create_stream(stream, num_replicas=len(self.nodes)) or True, 30,
                   "nats: room for the stream on each node")

    def __exit__(self, *_):
        for node in self.nodes:
            if node.child is not None:
                node.kill()
            node.remove()


async def _passed_over(error):
    """Tests stop servers: nats-py would print a stack for each."""


class NatsClient:
    """nats-py on a loop of its own, so that tests need no async."""

    def __init__(self, url, domain=None, **options):
        try:
            import nats
        except ImportError:
            raise Unavailable("the Python package nats-py is not installed") from None
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.connection = self.run(nats.connect(url, error_cb=_passed_over, **options))
        self.jetstream = self.connection.jetstream(domain=domain, timeout=CALL_SECONDS)
        self.pulls = {}

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(CALL_SECONDS)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        try:
            self.run(self.connection.close())
        finally:
            self.loop.call_soon_threadsafe(self.loop.stop)
            self.thread.join(5)
            self.loop.close()

    def create_stream(self, stream, **config):
        """Its messages come on the subject STREAM.>"""
        config.setdefault("subjects", [f"{stream}.>"])
        self.run(self.jetstream.add_stream(name=stream, **config))

    def copy_stream(self, stream, name):
        """One that mirrors it."""
        from nats.js.api import StreamSource

        self.run(self.jetstream.add_stream(name=name, mirror=StreamSource(name=stream)))

    def delete_stream(self, stream):
        self.run(self.jetstream.delete_stream(stream))

    def create_consumer(self, stream, consumer, **config):
        from nats.js.api import AckPolicy, ConsumerConfig

        config.setdefault("ack_policy", AckPolicy.EXPLICIT)
        self.run(self.jetstream.add_consumer(stream, ConsumerConfig(durable_name=consumer, **config)))

    def pause_consumer(self, stream, consumer, until):
        """Until a time, as in "2030-01-01T00:00:00Z"; one that has passed ends a pause. nats-server 2.11 and later."""
        wanted = json.dumps({"pause_until": until}).encode()
        reply = self.run(self.connection.request(f"$JS.API.CONSUMER.PAUSE.{stream}.{consumer}", wanted, timeout=5))
        return json.loads(reply.data)["paused"]

    def leader(self, stream, consumer):
        """The name of the server that leads a consumer, once there is one: one that is elected may reply without its name."""
        return wait_until(lambda: self.consumer_cluster(stream, consumer).get("leader"), CALL_SECONDS, "a leader")

    def consumer_cluster(self, stream, consumer):
        reply = self.run(self.connection.request(f"$JS.API.CONSUMER.INFO.{stream}.{consumer}", timeout=1))
        return json.loads(reply.data)["cluster"]

    def has_all_replicas(self, stream, consumer):
        """A node that came back has what the leader of the consumer has."""
        return all(replica["current"] for replica in self.consumer_cluster(stream, consumer)["replicas"])

    def step_down(self, stream, consumer):
        """The leader of a consumer; another is elected."""
        self.run(self.connection.request(f"$JS.API.CONSUMER.LEADER.STEPDOWN.{stream}.{consumer}", timeout=CALL_SECONDS))

    def create_many(self, count, stream="many", filtered=True, **config):
        """A stream with `count` consumers, consumer-I of the subject many.I, or of all; returns their names."""
        self.create_stream(stream, max_consumers=count + 1000, **config)  # those are the default of NATS 2.15
        names = [f"consumer-{i}" for i in range(count)]

        async def create():
            from nats.js.api import AckPolicy, ConsumerConfig

            for first in range(0, count, 100):
                await asyncio.gather(*(
                    self.jetstream.add_consumer(stream, ConsumerConfig(
                        durable_name=names[i], ack_policy=AckPolicy.EXPLICIT,
                        filter_subject=f"{stream}.{i}" if filtered else None))
                    for i in range(first, min(first + 100, count))))

        asyncio.run_coroutine_threadsafe(create(), self.loop).result(10 * CALL_SECONDS)
        return names

    def publish(self, stream, count=1, subject="work"):
        async def publish():
            for i in range(count):
                await self.jetstream.publish(f"{stream}.{subject}", b"job %d" % i)

        self.run(publish())

    def fetch(self, stream, consumer, count):
        """Takes messages without acknowledging them. A consumer is made before the node that leads it listens."""
        from nats.js.errors import ServiceUnavailableError

        key = (stream, consumer)
        if key not in self.pulls:
            self.pulls[key] = self.run(self.jetstream.pull_subscribe_bind(consumer, stream))

        def fetched():
            with contextlib.suppress(ServiceUnavailableError):  # nobody got the request
                return self.run(self.pulls[key].fetch(count, timeout=5))

        return wait_until(fetched, CALL_SECONDS, f"a node that leads consumer {consumer}")

    def acknowledge(self, messages):
        """Returns once the server has taken note."""

        async def acknowledge():
            for message in messages:
                await message.ack_sync(timeout=5)

        self.run(acknowledge())

    def take(self, stream, consumer, count):
        messages = self.fetch(stream, consumer, count)
        self.acknowledge(messages)
        return messages
