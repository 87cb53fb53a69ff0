"""A real RabbitMQ with the management plugin, apart from every other one on this machine.

Nothing of it is shared: its node has a name, a cookie, a folder, ports and a port mapper (epmd) of its own.
"""

import base64
import json
import os
import shutil
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request

from ..process import Process, Unavailable, free_port, need, wait_until

try:
    import pika
except ImportError:
    pika = None


def quoted(name):
    return urllib.parse.quote(name, safe="")


class RabbitMQ(Process):
    name = "rabbitmq"
    start_seconds = 150  # it takes four by itself, and a minute on a machine that is busy enough
    user = "guest"
    password = "guest"

    def __init__(self, configuration="", plugins=(), prefix="", first=None):
        """`prefix` is the path that the management API stands behind, as behind a proxy; `first` a broker that runs and
        outlives this one, whose cluster it joins when it has started."""
        if pika is None:
            raise Unavailable("pika, the Python client of RabbitMQ, is not installed")
        super().__init__()
        self.server = need("/usr/lib/rabbitmq/bin/rabbitmq-server", "rabbitmq-server")
        self.port, self.management_port = free_port(), free_port()
        self.distribution_port = free_port()
        self.first = first
        self.epmd_port = free_port() if first is None else first.epmd_port
        self.node = f"backlog-{self.port}@localhost"
        self.prefix = prefix
        self.epmd = None
        self.consumers = []
        self._write("enabled_plugins", f"[{', '.join(['rabbitmq_management', *plugins])}].\n")
        self._write("rabbitmq.conf", "\n".join([
            f"listeners.tcp.1 = 127.0.0.1:{self.port}",
            "management.tcp.ip = 127.0.0.1",
            f"management.tcp.port = {self.management_port}",
            *([f"management.path_prefix = {prefix}"] if prefix else []),
            configuration, ""]))

    def _write(self, name, content):
        with open(os.path.join(self.folder, name), "w") as file:
            file.write(content)

    def command(self):
        return [self.server]

    def environment(self):
        return dict(
            os.environ,
            HOME=self.folder,
            ERL_EPMD_ADDRESS="127.0.0.1",
            ERL_EPMD_PORT=str(self.epmd_port),
            RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-start_epmd false",  # a daemon, which would stay behind
            RABBITMQ_CTL_ERL_ARGS="-start_epmd false",
            RABBITMQ_NODENAME=self.node,
            RABBITMQ_DIST_PORT=str(self.distribution_port),
            RABBITMQ_CONF_ENV_FILE="/dev/null",
            RABBITMQ_CONFIG_FILE=os.path.join(self.folder, "rabbitmq.conf"),
            RABBITMQ_ENABLED_PLUGINS_FILE=os.path.join(self.folder, "enabled_plugins"),
            RABBITMQ_MNESIA_BASE=os.path.join(self.folder, "mnesia"),
            RABBITMQ_LOG_BASE=self.folder,
            RABBITMQ_LOGS="-")

    def ready(self):
        return self.api("GET", "/whoami") and self._accepts()

    def _accepts(self):
        with self.connect():
            return True

    def start(self):
        if self.first is None:
            self._start_epmd()
            return super().start()
        shutil.copy(os.path.join(self.first.folder, ".erlang.cookie"), self.folder)
        super().start()
        for command in (["stop_app"], ["join_cluster", self.first.node], ["start_app"]):
            self.ctl(*command)
        wait_until(self.ready, self.start_seconds, "RabbitMQ: in the cluster")
        return self

    def start_again(self):
        """After kill(): its cluster knows it."""
        return super().start()

    def _start_epmd(self):
        """Or the node would start one by itself, and leave it behind. This one ends with us, however we end: it is
        killed when its end of our pipe is closed."""
        if self.epmd is None:
            self.epmd = subprocess.Popen(
                ["sh", "-c", '"$@" & cat >/dev/null; kill $!', "sh",
                 need("epmd"), "-address", "127.0.0.1", "-port", str(self.epmd_port)],
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
                env=self.environment())
            wait_until(self._has_epmd, 60, "epmd: ready")

    def _has_epmd(self):
        with socket.create_connection(("127.0.0.1", self.epmd_port), timeout=5):
            return True

    def remove(self):
        self.release()
        super().remove()
        if self.epmd is not None:
            self.epmd.stdin.close()
            self.epmd.wait()

    def __exit__(self, *_):
        """Killed: it takes seconds to end in order, and nothing of it is kept."""
        self.kill()
        self.remove()

    # What a trigger's `host` says.

    def amqp_url(self, vhost="/", user=None, password=None):
        return self._url("amqp", self.port, vhost, user, password)

    def http_url(self, vhost="/", user=None, password=None):
        return self._url("http", self.management_port, vhost, user, password, self.prefix)

    def _url(self, scheme, port, vhost, user, password, prefix=""):
        user, password = quoted(user or self.user), quoted(password or self.password)
        return f"{scheme}://{user}:{password}@127.0.0.1:{port}{prefix}/{quoted(vhost)}"

    # The management API.

    def api(self, method, path, body=None):
        token = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.management_port}{self.prefix}/api{path}", method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Basic {token}", "Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as response:
            content = response.read()
        return json.loads(content) if content else None

    def create_vhost(self, vhost):
        self.api("PUT", f"/vhosts/{quoted(vhost)}", {})
        self.allow(self.user, vhost)

    def create_user(self, user, password, vhost="/", tags="management", rights=".*"):
        self.api("PUT", f"/users/{quoted(user)}", {"password": password, "tags": tags})
        self.allow(user, vhost, rights)

    def allow(self, user, vhost, rights=".*"):
        self.api("PUT", f"/permissions/{quoted(vhost)}/{quoted(user)}",
                 {"configure": rights, "write": rights, "read": rights})

    def declare(self, *queues, vhost="/", arguments=None):
        """A thousand at once are one request: an import of definitions."""
        for begin in range(0, len(queues), 1000):
            self.api("POST", f"/definitions/{quoted(vhost)}", {"queues": [
                {"name": queue, "durable": True, "auto_delete": False, "arguments": arguments or {}}
                for queue in queues[begin:begin + 1000]]})

    def delete(self, queue, vhost="/"):
        self.api("DELETE", f"/queues/{quoted(vhost)}/{quoted(queue)}")

    def purge(self, queue, vhost="/"):
        self.api("DELETE", f"/queues/{quoted(vhost)}/{quoted(queue)}/contents")

    def connections(self):
        """The AMQP connections that the broker has now, as a dictionary each."""
        lines = self.ctl("list_connections", "name", "client_properties", "vhost", "--formatter", "json")
        return json.loads(lines)

    def ctl(self, *arguments):
        """What rabbitmqctl prints: it asks the node, not the management plugin's statistics."""
        program = os.path.join(os.path.dirname(self.server), "rabbitmqctl")
        return subprocess.run(
            [program, "--quiet", *arguments], env=self.environment(), check=True, timeout=240,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True).stdout

    # Messages, by an AMQP client that is not ours.

    def connect(self, vhost="/"):
        return pika.BlockingConnection(pika.ConnectionParameters(
            "127.0.0.1", self.port, vhost, pika.PlainCredentials(self.user, self.password), heartbeat=0))

    def publish(self, queue, count=1, vhost="/", body=b"work"):
        """Returns once the queue has them; they survive a restart."""
        with self.connect(vhost) as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            for _ in range(count):
                channel.basic_publish("", queue, body, pika.BasicProperties(delivery_mode=2), mandatory=True)

    def wait_for_statistics(self, queue, count):
        """What /api/queues says without `disable_stats` is up to ten seconds old: queues tell it every five, and it is read
        every five."""
        wait_until(lambda: self.api("GET", f"/queues/%2F/{queue}").get("messages") == count, 20, f"{count} messages in {queue}")

    def consume_without_ack(self, queue, count, vhost="/"):
        """Takes messages and keeps them unacknowledged until release()."""
        connection = self.connect(vhost)
        self.consumers.append(connection)
        channel = connection.channel()
        for _ in range(count):
            method, _properties, _body = channel.basic_get(queue)
            if method is None:
                raise RuntimeError(f"{queue} has fewer than {count} messages")

    def release(self):
        """Gives back what consume_without_ack() took: the queues have it again."""
        for connection in self.consumers:
            try:
                connection.close()
            except Exception:  # the broker may have gone before
                pass
        self.consumers = []

    def move_leader(self, queue, to, vhost="/"):
        """Of a quorum queue, to another node of the cluster, as a rebalance or a drain does it."""
        lookup = f'{{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"{vhost}">>, queue, <<"{queue}">>))'
        self.ctl("eval", f"{lookup}, {{Name, Node}} = amqqueue:get_pid(Q), "
                         f"ok = ra:transfer_leadership({{Name, Node}}, {{Name, '{to.node}'}}).")

    def hang(self, *queues, vhost="/"):
        """Suspends the queues' processes: they take messages and requests, and answer none."""
        self._eval_on_queues("sys:suspend", queues, vhost)

    def unhang(self, *queues, vhost="/"):
        self._eval_on_queues("sys:resume", queues, vhost)

    def _eval_on_queues(self, function, queues, vhost):
        names = ", ".join(f'<<"{queue}">>' for queue in queues)
        lookup = f'{{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"{vhost}">>, queue, Name))'
        process = "case amqqueue:get_pid(Q) of {Leader, _} -> whereis(Leader); Pid -> Pid end"  # of a quorum queue
        self.ctl("eval", f"lists:foreach(fun(Name) -> {lookup}, {function}({process}) end, [{names}]).")
