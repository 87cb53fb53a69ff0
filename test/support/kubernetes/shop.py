"""The shop of the README in real pods: its broker, from this machine, and what the pages tell its owner to type."""

import contextlib
import pathlib
import re
import subprocess

import pika

from ..process import wait_until
from ..server.server import REPOSITORY
from .namespace import Namespace
from .node import SECONDS


def blocks(page, heading):
    """The commands of a section, block by block."""
    text = pathlib.Path(REPOSITORY, page).read_text()
    section = re.search(rf"^(#+) {heading}\n(.*?)(?=^(?!\1#)#+ |\Z)", text, re.MULTILINE | re.DOTALL)[2]
    return re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)


def clone(folder):
    """What Git has, or would have, as it is now."""
    git = ["git", "-c", f"safe.directory={REPOSITORY}", "-C", REPOSITORY, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(git, check=True, capture_output=True).stdout
    subprocess.run(["cp", "--parents", "--no-dereference", "--preserve=mode", "--target-directory", folder,
                    *(name for name in names.decode().split("\0") if name and pathlib.Path(REPOSITORY, name).exists())],
                   check=True, cwd=REPOSITORY)
    return folder


class Broker:
    """A RabbitMQ in a pod, by the address of its Service."""

    def __init__(self, cluster, namespace="shop", user="shop", vhost="shop", password="first-secret"):
        self.cluster, self.namespace = cluster, namespace
        self.user, self.vhost, self.password = user, vhost, password

    @contextlib.contextmanager
    def channel(self):
        address = self.cluster.get("service", "rabbitmq", "--namespace", self.namespace)["spec"]["clusterIP"]
        connection = pika.BlockingConnection(pika.ConnectionParameters(
            address, virtual_host=self.vhost, credentials=pika.PlainCredentials(self.user, self.password)))
        try:
            yield connection.channel()
        finally:
            connection.close()

    def send(self, queue, number):
        """Which survive a restart of the broker."""
        with self.channel() as channel:
            channel.queue_declare(queue, durable=True)
            channel.confirm_delivery()
            for _ in range(number):
                channel.basic_publish("", queue, b"job", pika.BasicProperties(delivery_mode=2))

    def length(self, queue):
        with self.channel() as channel:
            return channel.queue_declare(queue, passive=True).method.message_count

    def purge(self, queue):
        with self.channel() as channel:
            channel.queue_purge(queue)

    def stop(self):
        self._scale(0)
        self.cluster.kubectl("wait", "--for=delete", "pod/rabbitmq-0", "--namespace", self.namespace, f"--timeout={SECONDS}s")

    def start(self):
        self._scale(1)
        self.cluster.rolled_out(self.namespace, "statefulset/rabbitmq")

    def _scale(self, replicas):
        self.cluster.kubectl("scale", "statefulset", "rabbitmq", "--namespace", self.namespace, "--replicas", str(replicas))

    def control(self, *words):
        self.cluster.kubectl("exec", "--namespace", self.namespace, "rabbitmq-0", "--", "rabbitmqctl", "--quiet", *words)

    def change_password(self, password):
        """And ends the connections that knew the old one."""
        self.control("change_password", self.user, password)
        self.control("close_all_connections", "--vhost", self.vhost, "the password has changed")
        self.password = password


class Workers(Namespace):
    """A namespace on the node: workers that are ready are pods whose containers run."""

    def __init__(self, cluster, name, broker):
        super().__init__(cluster.api, name)
        self.cluster, self.broker = cluster, broker

    def wait_for_workers(self, name, number):
        self.wait(lambda: (self.replicas(name), self.value("Deployment", name, "ready")) == (number, number),
                  f"{self.name}/{name}: {number} workers", SECONDS)

    def scales(self, name, messages, workers):
        """Of the queue of that name, up, and down when it is empty."""
        self.broker.send(name, messages)
        self.wait_for_workers(name, workers)
        self.broker.purge(name)
        self.wait_for_workers(name, 0)


class Shop(Workers):
    """With its broker."""

    def __init__(self, cluster):
        super().__init__(cluster, "shop", Broker(cluster))

    def __enter__(self):
        super().__enter__()
        self.cluster.manifest("shop")
        self.cluster.rolled_out(self.name, "statefulset/rabbitmq")
        wait_until(lambda: self.broker.send("emails", 0) or True, SECONDS, "the broker: ready")
        return self
