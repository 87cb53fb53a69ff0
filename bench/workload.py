"""What benchmarks share: 1,000 triggers, one queue each of a real RabbitMQ, ScaledObjects, and how a process is looked at."""

import concurrent.futures
import contextlib
import glob
import os
import platform
import re
import subprocess
import sys
import time
import urllib.request

REPOSITORY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(REPOSITORY, "test"))

from support.clients.grpc_client import Client, messages, scaled_object  # noqa: E402
from support.kubernetes.namespace import deployment  # noqa: E402
from support.process import wait_until  # noqa: E402
from support.server.server import binary  # noqa: E402

TRIGGERS = 1000
OPERATORS = ("natural", "provoked", "provoked-patched")  # KEDA's, as it is, and as ./dev builds it for e2e
READY_SECONDS = 900  # hundreds of ScaledObjects on a busy machine
WRITERS = 16         # of the Kubernetes API, at once
MIB, KIB = 1 << 20, 1 << 10


def queue(number):
    return f"queue-{number:04}"


def jobs(number):
    """So many wait in this queue, from the beginning to the end."""
    return number % 3


def fill(rabbitmq):
    rabbitmq.declare(*map(queue, range(TRIGGERS)))
    with rabbitmq.connect() as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for number in range(TRIGGERS):
            for _ in range(jobs(number)):
                channel.basic_publish("", queue(number), b"job")


def trigger(number, port):
    return {"scaler": "rabbitmq", "host": f"amqp://guest:guest@127.0.0.1:{port}/%2F", "queueName": queue(number),
            "mode": "QueueLength", "value": "5"}


def reference(number, metadata):
    return scaled_object(metadata, name=f"worker-{number}")


def request(number, metadata):
    return messages.GetMetricsRequest(
        scaledObjectRef=reference(number, metadata), metricName=f"rabbitmq-{queue(number)}")


def fetch_all(server, triggers):
    """Every trigger once, each answer compared with what is in its queue; returns the seconds it took."""
    with Client(server.port, credentials=getattr(server, "credentials", None)) as client:
        began = time.monotonic()
        calls = [client.stub.GetMetrics.future(request(number, metadata))
                 for number, metadata in enumerate(triggers)]
        for number, call in enumerate(calls):
            value = call.result(timeout=30).metricValues[0].metricValueFloat
            if value != jobs(number):
                sys.exit(f"{queue(number)} has {jobs(number)} jobs, the server answers {value:g}")
        return time.monotonic() - began


def in_parallel(make, items):
    """Each of them again until it succeeds: the API server of a busy machine runs out of time."""
    def made(item):
        make(item)
        return True
    pool = concurrent.futures.ThreadPoolExecutor(WRITERS)
    try:
        list(pool.map(lambda item: wait_until(lambda: made(item), READY_SECONDS, str(item)[:100]), items))
    finally:
        pool.shutdown(cancel_futures=True)


def apply_deployment(namespace, name, replicas):
    """A paused one has no pods, which nobody looks at here."""
    found = deployment(name, replicas)
    found["spec"]["paused"] = True
    namespace.apply(found)


def built_in(source, target):
    """The trigger of KEDA's own scaler."""
    metadata = {key: str(value) for key, value in source.metadata(target).items()}
    return {"type": metadata.pop("scaler"), "metadata": metadata}


def apply_scaled_objects(namespace, items, replicas):
    """With a Deployment each."""
    def apply(item):
        apply_deployment(namespace, item["metadata"]["name"], replicas)
        namespace.apply(item)
    in_parallel(apply, items)
    for item in items:
        namespace.wait_for_condition("ScaledObject", item["metadata"]["name"], "Ready", "True", READY_SECONDS)


def stat_fields(pid):
    """Those behind the name: its parent is 1, its session 3, its CPU times 11 to 14."""
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()


def session(pid):
    """All processes of its session: some brokers are started by a script, and Kafka has a child of ours."""
    for other in map(int, filter(str.isdigit, os.listdir("/proc"))):
        with contextlib.suppress(OSError):  # it has ended
            if os.getsid(other) == pid:
                yield other


def cpu_seconds(pid):
    return sum(map(int, stat_fields(pid)[11:13])) / os.sysconf("SC_CLK_TCK")


def exact_cpu_seconds(pid, fields):
    """A process that did little has no whole tick; threads that have ended are in the ticks only."""
    ticks = sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")
    nanoseconds = 0
    for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
        with contextlib.suppress(OSError), open(path) as file:  # it has ended
            nanoseconds += int(file.read().split()[0])
    return max(ticks, nanoseconds / 1e9)


def session_cpu_seconds(pid):
    """Of its session and of the children of that, with those that have ended: PostgreSQL's have sessions of their own."""
    fields = {}
    for other in map(int, filter(str.isdigit, os.listdir("/proc"))):
        with contextlib.suppress(OSError):  # it has ended
            fields[other] = stat_fields(other)
    inside = {other for other, found in fields.items() if int(found[3]) == pid}
    while more := {other for other, found in fields.items() if int(found[1]) in inside} - inside:
        inside |= more
    ended = sum(sum(map(int, fields[other][13:15])) for other in inside) / os.sysconf("SC_CLK_TCK")
    return ended + sum(exact_cpu_seconds(other, fields[other]) for other in inside)


def metric(server, name):
    """What the server's page of metrics says, over all labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.http_port}/metrics", timeout=10) as page:
        values = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", page.read().decode(), re.MULTILINE)
    return sum(map(float, values))


def print_machine(busy, shares, versions):
    with open("/proc/cpuinfo") as info:
        model = next((line.partition(":")[2].strip() for line in info if line.startswith("model name")), "?")
    version = subprocess.run([binary(), "--version"], stdout=subprocess.PIPE, text=True).stdout.strip() or "?"
    linux = platform.release().split("-")[0]  # without what names a build of it
    print(f"{os.cpu_count()} CPUs ({model}), Linux {linux}; {shares}")
    print(f"load average before: {busy:.1f}; other work than this makes times too high")
    print(", ".join([version, *versions]))
