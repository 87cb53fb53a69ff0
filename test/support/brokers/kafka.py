"""A real Kafka (KRaft) for tests: one combined broker and controller, or three."""

import base64
import collections
import glob
import os
import pathlib
import re
import socket
import struct
import subprocess
import time
import uuid

from ..certificates import make_certificates
from ..process import Process, Unavailable, free_port, need, wait_until

try:
    import confluent_kafka
    from confluent_kafka import admin
except ImportError:  # a test that needs it is skipped aloud
    confluent_kafka = None

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

JAVA = ["-Xss512k", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
        "-Xshare:auto", "-Djava.net.preferIPv4Stack=true",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]

MEMORY = ("-Xms128m", "-Xmx256m")

# A line for each request that a broker has answered.
REQUEST_LOG = ("-Dorg.slf4j.simpleLogger.log.kafka.request.logger=debug",)


def jars():
    folder = os.environ.get("BACKLOG_KAFKA_JARS") or os.path.join(REPOSITORY, "build", "kafka")
    if not glob.glob(os.path.join(folder, "kafka_2*.jar")):
        raise Unavailable(f"Kafka's jars are not in {folder} (./dev test brokers fetches them)")
    return os.path.join(folder, "*")


def java_hash(text):
    """String.hashCode() without its sign, by which a group finds its partition of __consumer_offsets."""
    value = 0
    for character in text:
        value = (31 * value + ord(character)) & 0xFFFFFFFF
    return min(value, (1 << 32) - value)


class KafkaNode(Process):
    name = "kafka"

    def __init__(self, number, ports, controllers, cluster_id, settings, log_requests=False, memory=MEMORY):
        super().__init__()
        self.memory = memory
        self.variables = {}  # more of its environment
        self.log_requests = log_requests
        self.number = number
        self.port, self.controller_port = ports
        self.cluster_id = cluster_id
        self.settings_path = os.path.join(self.folder, "server.properties")
        nodes = len(controllers)
        properties = {
            "process.roles": "broker,controller",
            "node.id": number,
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self.controller_port}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.voters": ",".join(controllers),
            "log.dirs": os.path.join(self.folder, "data"),
            # The tests prove that we create nothing, so the broker would.
            "auto.create.topics.enable": "true",
            "group.initial.rebalance.delay.ms": 0,
            "offsets.topic.num.partitions": 3 * nodes,
            "offsets.topic.replication.factor": nodes,
            "default.replication.factor": nodes,
            "transaction.state.log.replication.factor": nodes,
            "transaction.state.log.min.isr": 1,
            "min.insync.replicas": 1,
            # A broker that was killed is found out soon.
            "broker.session.timeout.ms": 3000,
            "broker.heartbeat.interval.ms": 500,
            "controller.quorum.election.timeout.ms": 500,
            "controller.quorum.fetch.timeout.ms": 1000,
            "num.network.threads": 2,
            "num.io.threads": 2,
            "log.segment.bytes": 1 << 20,
            "log.cleaner.enable": "false",
            "log.index.size.max.bytes": 4096,
        }
        self.set({**properties, **settings})

    def java(self, *arguments):
        return [need("java"), *self.memory, *JAVA, "-cp", jars(), *arguments]

    def format(self, *arguments):
        subprocess.run(self.java("kafka.tools.StorageTool", "format", "-t", self.cluster_id,
                                 "-c", self.settings_path, *arguments),
                       check=True, stdout=subprocess.DEVNULL, cwd=self.folder)

    def set(self, properties):
        with open(self.settings_path, "a") as file:
            file.writelines(f"{key}={value}\n" for key, value in properties.items())

    def environment(self):
        return {**super().environment(), **self.variables}

    def answers(self):
        """It starts to only once the controllers have let it in."""
        client = admin.AdminClient({"bootstrap.servers": f"127.0.0.1:{self.port}", "log_level": 0})
        return self.number in client.list_topics(timeout=2).brokers

    def command(self):
        return self.java(*REQUEST_LOG if self.log_requests else (), "kafka.Kafka", self.settings_path)


class Kafka:
    """A cluster. Its helpers ask the brokers with a client of their own, not with ours."""

    def __init__(self, nodes=1, log_requests=False, memory=MEMORY, **settings):
        if confluent_kafka is None:
            raise Unavailable("the Python package confluent-kafka is not installed")
        ports = [(free_port(), free_port()) for _ in range(nodes)]
        controllers = [f"{number + 1}@127.0.0.1:{controller}"
                       for number, (_, controller) in enumerate(ports)]
        cluster_id = uuid.uuid4().hex[:22]
        settings = {key.replace("_", "."): value for key, value in settings.items()}
        self.nodes = [KafkaNode(number + 1, pair, controllers, cluster_id, settings, log_requests, memory)
                      for number, pair in enumerate(ports)]
        self.bootstrap = ",".join(f"127.0.0.1:{port}" for port, _ in ports)

    def format(self):
        for node in self.nodes:
            node.format()

    def __enter__(self):
        try:
            self.format()
            return self.start()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        for node in self.nodes:
            node.remove()

    def start(self):
        for node in self.nodes:
            if node.child is None or node.child.poll() is not None:
                node.start()
        self.wait()
        return self

    def wait(self, seconds=150):  # on a machine that is busy enough a minute was too little
        """Till every broker answers for itself, and leads again what it should."""
        for node in self.nodes:
            wait_until(node.answers, seconds, f"kafka: broker {node.number}")
        wait_until(self._is_whole, seconds, "kafka: all replicas in sync")

    def _is_whole(self):
        metadata = self.admin().list_topics(timeout=5)
        return len(metadata.brokers) == len(self.nodes) and all(
            len(partition.isrs) == len(partition.replicas) and partition.leader >= 0
            for topic in metadata.topics.values() for partition in topic.partitions.values())

    def stop(self):
        for node in self.nodes:
            node.kill()

    def admin(self):
        return admin.AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})

    def groups(self):
        """The consumer groups. A client may wait for its first answer in vain, so another one asks again."""
        groups = wait_until(lambda: self.admin().list_consumer_groups(request_timeout=10).result(15), 60, "the consumer groups")
        return {group.group_id for group in groups.valid}

    def create_topic(self, *names, partitions=3):
        client = self.admin()

        def create():
            topics = [admin.NewTopic(name, partitions, len(self.nodes)) for name in names]
            for future in client.create_topics(topics, operation_timeout=30).values():
                try:
                    future.result(60)
                except confluent_kafka.KafkaException as error:
                    if error.args[0].code() != confluent_kafka.KafkaError.TOPIC_ALREADY_EXISTS:
                        raise
            return True

        wait_until(create, 60, "topics: created")
        wait_until(lambda: self._all_led(client, names, partitions), 30, "topics: leaders")

    def add_partitions(self, topic, partitions):
        """So that it has so many."""
        client = self.admin()
        for future in client.create_partitions([admin.NewPartitions(topic, partitions)]).values():
            future.result(30)

    def create_topic_at(self, name, node):
        """One partition, whose only replica is there."""
        client = self.admin()
        topic = admin.NewTopic(name, 1, replica_assignment=[[node.number]])
        client.create_topics([topic], operation_timeout=30)[name].result(60)
        wait_until(lambda: self._all_led(client, [name], 1), 30, f"{name}: a leader")

    @staticmethod
    def _all_led(client, names, partitions):
        topics = client.list_topics(timeout=5).topics
        return all(name in topics and len(topics[name].partitions) == partitions
                   and all(partition.leader >= 0 for partition in topics[name].partitions.values())
                   for name in names)

    def leaders(self, topic):
        """The numbers of the nodes that lead a partition."""
        partitions = self.admin().list_topics(topic, timeout=10).topics[topic].partitions
        return {partition.leader for partition in partitions.values()}

    def delete_topic(self, *names):
        client = self.admin()
        for future in client.delete_topics(list(names), operation_timeout=30).values():
            future.result(60)

    def topics(self):
        return {name for name in self.admin().list_topics(timeout=10).topics
                if not name.startswith("__")}

    def produce(self, topic, count, partitions=3):
        """Spread evenly, and acknowledged."""
        producer = confluent_kafka.Producer({"bootstrap.servers": self.bootstrap, "linger.ms": 5,
                                             "log_level": 0})
        for number in range(count):
            producer.produce(topic, b"work", partition=number % partitions)
        if producer.flush(30):
            raise RuntimeError(f"could not produce to {topic}")

    def expire(self, topic, offsets):
        """Removes what is before these offsets, one for each partition."""
        client = self.admin()
        wanted = [confluent_kafka.TopicPartition(topic, number, offset)
                  for number, offset in enumerate(offsets)]
        for future in client.delete_records(wanted, operation_timeout=10).values():
            future.result(30)

    def commit(self, group, topic, offsets):
        """offsets: a list, one for each partition; None leaves one out. No member may be alive."""
        self.commit_topics(group, {topic: offsets})

    def commit_topics(self, group, topics):
        """topics: {topic: offsets}. By a consumer: librdkafka's admin call can abort, as ours could."""
        consumer = confluent_kafka.Consumer({"bootstrap.servers": self.bootstrap, "group.id": group,
                                             "enable.auto.commit": False, "log_level": 0})
        wanted = [confluent_kafka.TopicPartition(topic, number, offset)
                  for topic, offsets in topics.items()
                  for number, offset in enumerate(offsets) if offset is not None]
        try:  # a coordinator may only just have been found
            wait_until(lambda: not any(partition.error for partition in
                                       consumer.commit(offsets=wanted, asynchronous=False)),
                       60, f"commit of {group}")
        finally:
            consumer.close()

    def allow(self, user, **rights):
        """rights: {kind: {name: right}}, such as topic={"videoJob": "READ"}."""
        bindings = [admin.AclBinding(admin.ResourceType[kind.upper()], name, admin.ResourcePatternType.LITERAL,
                                     f"User:{user}", "*", admin.AclOperation[right], admin.AclPermissionType.ALLOW)
                    for kind, named in rights.items() for name, right in named.items()]
        client = self.admin()
        for future in client.create_acls(bindings).values():
            future.result(10)

    def committed(self, group, topic, partitions=3):
        """The group's offsets; None where there is none."""
        consumer = confluent_kafka.Consumer({"bootstrap.servers": self.bootstrap, "group.id": group, "log_level": 0})
        try:
            reported = consumer.committed([confluent_kafka.TopicPartition(topic, number) for number in range(partitions)], 10)
        finally:
            consumer.close()
        return [partition.offset if partition.offset >= 0 else None for partition in reported]

    def end_offsets(self, topic, partitions=3):
        client = self.admin()
        wanted = {confluent_kafka.TopicPartition(topic, number): admin.OffsetSpec.latest()
                  for number in range(partitions)}
        futures = client.list_offsets(wanted, request_timeout=10)
        ends = {partition.partition: future.result(15).offset
                for partition, future in futures.items()}
        return [ends[number] for number in range(partitions)]

    def commit_all(self, group, topic, partitions=3):
        self.commit(group, topic, self.end_offsets(topic, partitions))

    def join_share_group(self, group, topic):
        """Makes a share group (Kafka 4) of one member, by a ShareGroupHeartbeat: no client here knows them. The broker must have
        coordinated a group before."""
        def text(words):
            return bytes([len(words) + 1]) + words.encode()

        member = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        request = (struct.pack(">hhih", 76, 1, 1, 4) + b"test\0" +
                   text(group) + text(member) + struct.pack(">i", 0) + b"\0\2" + text(topic) + b"\0")

        def join():
            with socket.create_connection(("127.0.0.1", self.nodes[0].port), 10) as connection:
                connection.sendall(struct.pack(">i", len(request)) + request)
                reply = connection.makefile("rb").read(4 + 11)
                return reply[-2:] == b"\0\0"  # no error

        wait_until(join, 30, f"the share group {group}")

    def coordinator(self, group):
        """The node that coordinates the group. Metadata of a topic that has just been created may know no partitions."""
        def find():
            offsets = self.admin().list_topics("__consumer_offsets", timeout=10).topics["__consumer_offsets"]
            leader = offsets.partitions[java_hash(group) % len(offsets.partitions)].leader
            return next(node for node in self.nodes if node.number == leader)

        return wait_until(find, 30, f"{group}: a coordinator")

    def requests(self, client_id):
        """How many requests of which kind this client has made, where they are logged."""
        found = collections.Counter()
        for node in self.nodes:
            for line in node.log().splitlines():
                if f'"clientId":"{client_id}"' in line:
                    found[re.search(r'"requestApiKeyName":"(\w+)"', line)[1]] += 1
        return found

    def count_requests(self):
        """How many requests clients have made, where they are logged."""
        return sum(node.log().count('"listener":"PLAINTEXT"') for node in self.nodes)

    def connections(self, pid):
        """How many TCP connections this process has to the brokers."""
        ports = {node.port for node in self.nodes}
        inodes = set()
        for link in glob.glob(f"/proc/{pid}/fd/*"):
            try:
                target = os.readlink(link)
            except OSError:
                continue
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
        count = 0
        with open("/proc/net/tcp") as table:
            for line in list(table)[1:]:
                fields = line.split()
                count += int(fields[2].split(":")[1], 16) in ports and fields[9] in inodes
        return count

    def restart(self, node, down_seconds=0.0):
        node.kill()
        time.sleep(down_seconds)
        node.start()
        self.wait()


class SecureKafka(Kafka):
    """One broker that is also asked with TLS, a client certificate, passwords and tokens, each at a port of its own.

    `advertised_ports` are those that clients get instead, by a listener's name: a proxy's.
    """

    user, password = "backlog", "correct horse"

    def __init__(self, advertised_ports=None, **settings):
        super().__init__(**settings)
        node = self.nodes[0]
        folder = pathlib.Path(node.folder)
        make_certificates(folder, "IP:127.0.0.1,DNS:localhost")
        self.ca, self.cert, self.key = ((folder / name).read_text() for name in ("ca.pem", "own.pem", "own.key"))
        (folder / "keystore.pem").write_text(self.key + self.cert)
        self.ports = {"SASL_SSL": free_port(), "SASL_PLAINTEXT": free_port(), "SSL": free_port()}
        self.sasl_ssl, self.sasl_plaintext, self.ssl = (f"localhost:{port}" for port in self.ports.values())
        plain = f"PLAINTEXT://127.0.0.1:{node.port}"

        def places(ports):
            return [plain, *(f"{name}://localhost:{port}" for name, port in ports.items())]

        node.set({
            "listeners": ",".join([*places(self.ports), f"CONTROLLER://127.0.0.1:{node.controller_port}"]),
            "advertised.listeners": ",".join(places({**self.ports, **(advertised_ports or {})})),
            "listener.security.protocol.map":
                "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT," + ",".join(f"{name}:{name}" for name in self.ports),
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": folder / "keystore.pem",
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": folder / "ca.pem",
            "listener.name.ssl.ssl.client.auth": "required",
            **self._sasl("sasl_ssl"), **self._sasl("sasl_plaintext"),
        })

    def _sasl(self, listener):
        """Tokens are not signed: the broker believes them if their scope has `kafka`."""
        modules = {
            "plain": f'plain.PlainLoginModule required user_{self.user}="{self.password}";',
            "scram-sha-256": "scram.ScramLoginModule required;",
            "scram-sha-512": "scram.ScramLoginModule required;",
            "oauthbearer": "oauthbearer.OAuthBearerLoginModule required "
                           'unsecuredLoginStringClaim_sub="broker" unsecuredValidatorRequiredScope="kafka";',
        }
        return {
            f"listener.name.{listener}.sasl.enabled.mechanisms": ",".join(modules).upper(),
            **{f"listener.name.{listener}.{mechanism}.sasl.jaas.config": f"org.apache.kafka.common.security.{module}"
               for mechanism, module in modules.items()},
        }

    def format(self):
        scram = [f"SCRAM-SHA-{bits}=[name={self.user},password={self.password}]" for bits in (256, 512)]
        self.nodes[0].format(*(word for one in scram for word in ("--add-scram", one)))

    def set_password(self, password):
        """Of SCRAM-SHA-256; who is connected stays."""
        reported = admin.ScramCredentialInfo(admin.ScramMechanism.SCRAM_SHA_256, 4096)
        change = admin.UserScramCredentialUpsertion(self.user, reported, password.encode())
        client = self.admin()
        for future in client.alter_user_scram_credentials([change]).values():
            future.result(30)
