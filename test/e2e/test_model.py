"""The model of `backlog rehearse` beside the real controllers: the same ScaledObjects, the same load, the same replicas."""

import copy
import json
import subprocess
import threading
import time

import pytest
import yaml

from support.kubernetes.namespace import deployment, scaled_object, trigger
from support.server.server import Server, binary
from support.kubernetes.stack import HPA_SECONDS
from support.brokers.work import RedisWork

POLL_SECONDS = 2
WITHIN_SECONDS = POLL_SECONDS + HPA_SECONDS + 2  # two clocks that do not know of each other, and a busy machine
TOLERANCE = 0.1  # of the HPA
LOAD = [(0, 4), (5, 37), (28, 200), (88, 60), (108, 75), (124, 12), (144, 0)]  # from this second on, so many messages
LOAD_SECONDS = 170


def pods(value, seconds):
    return {"type": "Pods", "value": value, "periodSeconds": seconds}


def percent(value, seconds):
    return {"type": "Percent", "value": value, "periodSeconds": seconds}


def rules(window=0, *policies, **more):
    return {"stabilizationWindowSeconds": window, **({"policies": list(policies)} if policies else {}), **more}


QUICK_DOWN = {"scaleDown": rules(0)}
# Name: the target, the behavior, and what else the ScaledObject says.
OBJECTS = {
    "no-behavior": (5, None, {}),
    "no-behavior-from-one": (5, None, {"minReplicaCount": 1, "maxReplicaCount": 50}),
    "quick-down": (5, QUICK_DOWN, {"maxReplicaCount": 50}),
    "one-per-message": (1, QUICK_DOWN, {"maxReplicaCount": 50}),
    "two-pods-up": (5, {**QUICK_DOWN, "scaleUp": rules(0, pods(2, 10))}, {"maxReplicaCount": 9}),
    "double-up": (5, {**QUICK_DOWN, "scaleUp": rules(0, percent(100, 10))}, {"maxReplicaCount": 40}),
    "half-up": (2, {**QUICK_DOWN, "scaleUp": rules(0, percent(50, 10))}, {"minReplicaCount": 4, "maxReplicaCount": 48}),
    "least-up": (2, {**QUICK_DOWN, "scaleUp": rules(0, pods(3, 10), percent(100, 10), selectPolicy="Min")},
                 {"maxReplicaCount": 13}),
    "most-up": (2, {**QUICK_DOWN, "scaleUp": rules(0, pods(3, 10), percent(100, 10), selectPolicy="Max")},
                {"maxReplicaCount": 50}),
    "late-up": (5, {**QUICK_DOWN, "scaleUp": rules(10)}, {"maxReplicaCount": 50}),
    "never-up": (5, {**QUICK_DOWN, "scaleUp": rules(0, selectPolicy="Disabled")}, {"minReplicaCount": 3}),
    "late-down": (5, {"scaleDown": rules(16)}, {"maxReplicaCount": 50}),
    "half-down": (5, {"scaleDown": rules(0, percent(50, 10))}, {"maxReplicaCount": 50}),
    "three-pods-down": (5, {"scaleDown": rules(8, pods(3, 10))}, {"minReplicaCount": 30, "maxReplicaCount": 50}),
    "never-down": (5, {"scaleDown": rules(0, selectPolicy="Disabled")}, {"maxReplicaCount": 50}),
    "value": (50, {**QUICK_DOWN, "scaleUp": rules(0, pods(1, 10))}, {"metric_type": "Value", "maxReplicaCount": 4}),
    "idle": (5, QUICK_DOWN, {"idleReplicaCount": 0, "minReplicaCount": 3, "maxReplicaCount": 50}),
    "late-active": (5, QUICK_DOWN, {"activation": 40, "maxReplicaCount": 50}),
    "long-cooldown": (5, QUICK_DOWN, {"cooldownPeriod": 60, "maxReplicaCount": 50}),
    "two-triggers": (5, QUICK_DOWN, {"second": 3, "maxReplicaCount": 80}),
}


def manifest(server, source, name):
    target, behavior, more = OBJECTS[name]
    more = dict(more)
    metadata = source.metadata(target)
    if "activation" in more:
        metadata["activationListLength"] = more.pop("activation")
    metric_type, second = more.pop("metric_type", None), more.pop("second", None)
    triggers = [trigger(server, metric_type=metric_type, **metadata)]
    if second:
        triggers.append(trigger(server, **source.metadata(second)))
    hpa = {} if behavior is None else {"behavior": behavior}
    return scaled_object(name, *triggers, advanced={"horizontalPodAutoscalerConfig": hpa},
                         **{"pollingInterval": POLL_SECONDS, **more})


class Model:
    """A dry run of `backlog rehearse`. `changes` are (time, replicas) by the object's name."""

    def __init__(self, path):
        self.changes, self.started = {}, threading.Event()
        self.child = subprocess.Popen([binary(), "rehearse", "-f", path, "--sync-period", f"{HPA_SECONDS}s", "--output", "json"],
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.child.stdout:
            found, now = json.loads(line), time.monotonic()
            if found["type"] == "change":
                self.changes.setdefault(found["object"].split("/")[1], []).append((now, found["to"]))
            self.started.set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.terminate()
        self.child.wait(30)
        self.reader.join(30)


def replicas_at(changes, at, first):
    return next((number for when, number in reversed(changes) if when <= at), first)


def differences(changes, pods, model, first, began):
    """The seconds at which the real number of replicas is none that the model had shortly before or after.

    Each step that a policy allows follows the step before: it may be one more synchronization late.

    One quirk of the HPA is beyond the model. It compares the work with the pods in the Deployment's status, which come and
    go one by one, and within its tolerance it sets their number: 30 replicas may become 31 while 100 are removed.
    """
    found = []
    for second in range(LOAD_SECONDS):
        at = began + second
        load_began = began + max(when for when, _ in LOAD if when <= second)
        steps = sum(load_began < when <= at for when, _ in model)
        earliest = at - WITHIN_SECONDS - steps * HPA_SECONDS
        expected = {replicas_at(model, earliest, first)}
        expected |= {number for when, number in model if earliest <= when <= at + WITHIN_SECONDS}
        number = replicas_at(changes, at, first)
        of_status = number in pods and any(abs(number - other) <= TOLERANCE * other for other in expected)
        if number not in expected and not of_status:
            found.append((second, number, sorted(expected)))
    return found


@pytest.mark.core
@pytest.mark.alone
def test_twenty_objects_have_the_replicas_that_the_model_says(namespace, tmp_path):
    with RedisWork() as source, Server() as server:
        items = {name: manifest(server, source, name) for name in OBJECTS}
        for name, item in items.items():
            namespace.apply(deployment(name, item["spec"].get("idleReplicaCount", item["spec"]["minReplicaCount"])),
                            copy.deepcopy(item))
        namespace.wait_until_ready(*items)
        firsts = {name: namespace.replicas(name) for name in items}
        path = tmp_path / "objects.yaml"
        path.write_text(yaml.safe_dump_all(items.values()))
        with Model(str(path)) as model:
            assert model.started.wait(60)
            time.sleep(3 * HPA_SECONDS)
            began = play(source)
        found = {}
        for name in items:
            real, pods = ([(change.at, change.value) for change in namespace.changes
                           if change[1:4] == ("Deployment", name, what) and change.at >= began - HPA_SECONDS]
                          for what in ("replicas", "pods"))
            model_changes = model.changes.get(name, [])
            print(f"{name}: real {since(began, real)}, model {since(began, model_changes)}")
            found[name] = differences(real, {number for _, number in pods}, model_changes, firsts[name], began)
        assert found == {name: [] for name in items}


def since(began, changes):
    return " ".join(f"{at - began:.1f}={number}" for at, number in changes)


def play(source):
    """Has the queue as long as LOAD says; returns when it began."""
    began = time.monotonic()
    for second, count in [*LOAD, (LOAD_SECONDS, 0)]:
        time.sleep(max(0, began + second - time.monotonic()))
        with source.broker.connect() as client:
            client.call("MULTI")
            client.call("DEL", "jobs")
            if count:
                client.call("RPUSH", "jobs", *range(count))
            client.call("EXEC")
    return began
