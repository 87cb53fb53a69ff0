"""A namespace of a test, and everything that KEDA, the HPA and the Job controller change in it, with the time."""

import contextlib
import threading
import time
import typing

import requests

from .client import ApiError

WAIT_SECONDS = 180  # generous: a busy machine is no failure
RECONCILED_SECONDS = 2
QUICK_BEHAVIOR = {
    "scaleDown": {"stabilizationWindowSeconds": 2, "policies": [{"type": "Percent", "value": 100, "periodSeconds": 2}]},
    "scaleUp": {"stabilizationWindowSeconds": 0, "policies": [{"type": "Pods", "value": 100, "periodSeconds": 1}]}}
WATCHED = {
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "HorizontalPodAutoscaler": "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers",
    "ScaledObject": "/apis/keda.sh/v1alpha1/namespaces/{}/scaledobjects",
    "ScaledJob": "/apis/keda.sh/v1alpha1/namespaces/{}/scaledjobs",
    "Job": "/apis/batch/v1/namespaces/{}/jobs",
    "Event": "/api/v1/namespaces/{}/events"}


class Change(typing.NamedTuple):
    """At `at` (of time.monotonic()) the field `what` of the object became `value`."""

    at: float
    kind: str
    name: str
    what: str
    value: object


class Event(typing.NamedTuple):
    at: float
    name: str     # of the object
    type: str     # Normal or Warning
    reason: str
    message: str


class Namespace:
    """Created on entry; what it holds is deleted on exit, and the timeline is printed. Waiting raises TimeoutError."""

    def __init__(self, api, name, quiet=False):
        self.api, self.name, self.quiet = api, name, quiet
        self.changes, self.events, self.jobs = [], [], {}
        self.state = {}
        self.changed = threading.Condition()
        self.stopping = threading.Event()
        self.threads = []

    def __enter__(self):
        self.begin = time.monotonic()
        self.api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.name}})
        see = {"Deployment": self._see_deployment, "HorizontalPodAutoscaler": self._see_hpa, "Job": self._see_job,
               "ScaledObject": self._see_conditions, "ScaledJob": self._see_conditions, "Event": self._see_event}
        for kind, path in WATCHED.items():
            thread = threading.Thread(target=self.api.watch, args=(path.format(self.name), see[kind], self.stopping),
                                      daemon=True)
            thread.start()
            self.threads.append(thread)
        return self

    def __exit__(self, *_):
        self.stopping.set()
        if not self.quiet:
            print(self.timeline())
        for path in (*(WATCHED[kind].format(self.name) for kind in ("ScaledObject", "ScaledJob", "Deployment")),
                     f"/api/v1/namespaces/{self.name}"):
            with contextlib.suppress(ApiError, requests.RequestException):  # the stack goes away with all of it
                self.api.delete(path)

    # What is seen. A watch also has events in which nothing changed for us: only another value is recorded.

    def _record(self, kind, name, what, value):
        now = time.monotonic()
        with self.changed:
            if value is not None and self.state.get((kind, name, what)) != value:
                self.state[kind, name, what] = value
                self.changes.append(Change(now, kind, name, what, value))
                self.changed.notify_all()

    def _see_deployment(self, change, item):
        if change != "DELETED":
            self._record("Deployment", item["metadata"]["name"], "replicas", item["spec"].get("replicas"))
            self._record("Deployment", item["metadata"]["name"], "ready", item["status"].get("readyReplicas", 0))
            self._record("Deployment", item["metadata"]["name"], "pods", item["status"].get("replicas", 0))

    def _see_hpa(self, change, item):
        name = item["metadata"]["name"].removeprefix("keda-hpa-")
        for metric in item.get("status", {}).get("currentMetrics") or []:
            external = metric.get("external") or {}
            self._record("HPA", name, (external.get("metric") or {}).get("name", ""), str(external.get("current")))
        self._see_conditions(change, item, "HPA", name)

    def _see_conditions(self, change, item, kind=None, name=None):
        for condition in (item.get("status") or {}).get("conditions") or []:
            self._record(kind or item["kind"], name or item["metadata"]["name"], condition["type"],
                         f"{condition['status']} {condition.get('reason', '')}: {condition.get('message', '')}")

    def _see_job(self, change, item):
        if change == "ADDED":
            owner = item["metadata"]["labels"]["scaledjob.keda.sh/name"]
            with self.changed:
                self.jobs.setdefault(item["metadata"]["uid"], (time.monotonic(), owner))
                self.changed.notify_all()

    def _see_event(self, change, item):
        about = item["involvedObject"]
        if change == "DELETED" or about["kind"] in ("Pod", "ReplicaSet", "Job"):
            return
        with self.changed:
            self.events.append(Event(time.monotonic(), about["name"], item["type"], item["reason"], item["message"]))
            self.changed.notify_all()

    def timeline(self):
        """A line per change, for the reader of a failed test."""
        seen = [(change.at, f"{change.kind} {change.name}: {change.what} {change.value}") for change in self.changes]
        seen += [(event.at, f"event of {event.name}: {event.type} {event.reason} {event.message}") for event in self.events]
        seen += [(at, f"job of {owner}") for at, owner in self.jobs.values()]
        return "\n".join(f"{at - self.begin:8.2f} {text}" for at, text in sorted(seen))

    # What is waited for, and what was.

    def wait(self, find, what, seconds=WAIT_SECONDS):
        """Until find() returns something that is true; returns it. It is called at every change."""
        deadline = time.monotonic() + seconds
        with self.changed:
            while True:
                found = find()
                if found:
                    return found
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"{what} did not happen in {seconds} s")
                self.changed.wait(left)

    def value(self, kind, name, what):
        return self.state.get((kind, name, what))

    def replicas(self, name):
        return self.value("Deployment", name, "replicas")

    def wait_for_replicas(self, name, wanted, seconds=WAIT_SECONDS):
        """`wanted` is a number or a condition on it. Returns since when it is so."""
        fits = wanted if callable(wanted) else lambda number: number == wanted

        def find():
            number = self.replicas(name)
            return number is not None and fits(number) and self._changed_at("Deployment", name, "replicas")
        return self.wait(find, f"{self.name}/{name}: {'other' if callable(wanted) else wanted} replicas", seconds)

    def _changed_at(self, *key):
        return next(change.at for change in reversed(self.changes) if change[1:4] == key)

    def wait_for_condition(self, kind, name, condition, start, seconds=WAIT_SECONDS):
        """Until the condition's status, reason and message begin so."""
        self.wait(lambda: (self.value(kind, name, condition) or "").startswith(start),
                  f"{kind} {name}: {condition} {start}", seconds)

    def wait_until_ready(self, *names):
        """KEDA has made an HPA of each ScaledObject, and it may scale."""
        for name in names:
            self.wait_for_condition("ScaledObject", name, "Ready", "True")

    def wait_for_scaled_job(self, name):
        """KEDA reconciles a new ScaledJob twice within a second. The second time ends the loop of the first, which may be about
        to make jobs, and begins another one, which does not see them yet and makes more."""
        self.wait_for_condition("ScaledJob", name, "Ready", "True")
        time.sleep(RECONCILED_SECONDS)

    def wait_for_event(self, name, *words, since=0, reason=None, seconds=WAIT_SECONDS):
        """The first event of the object whose message has all these words. KEDA repeats an event's first text."""
        return self.wait(lambda: next((event for event in self.events if event.name == name and event.at >= since
                                       and reason in (None, event.reason)
                                       and all(word in event.message for word in words)), None),
                         f"an event of {self.name}/{name} with {words}", seconds)

    def history(self, name, since=0):
        """The numbers of replicas that were set since then."""
        return [change.value for change in self.changes
                if change[1:4] == ("Deployment", name, "replicas") and change.at >= since]

    def stays(self, seconds, **replicas):
        """For so long, in which KEDA polls and the HPA synchronizes every 2 s, these have as many replicas."""
        began = time.monotonic()
        time.sleep(seconds)
        for name, number in replicas.items():
            assert self.replicas(name) == number and not self.history(name, began), \
                f"{name} had {number} replicas, then {self.history(name, began)}"

    def warnings(self, since=0):
        """Without conflicts of two writers, and without calls that KEDA cancels when an object has changed."""
        harmless = ("the object has been modified", "context canceled")
        return [event for event in self.events if event.type == "Warning" and event.at >= since
                and not any(words in event.message for words in harmless)]

    def jobs_of(self, name):
        return [at for at, owner in self.jobs.values() if owner == name]

    # What is put into it.

    def apply(self, *items):
        for item in items:
            item["metadata"].setdefault("namespace", self.name)
        self.api.apply(*items)

    def annotate(self, name, **annotations):
        """Of a ScaledObject; None removes one. Annotations are KEDA's: paused is autoscaling.keda.sh/paused."""
        self.api.patch(f"{WATCHED['ScaledObject'].format(self.name)}/{name}", {"metadata": {"annotations": {
            f"autoscaling.keda.sh/{key.replace('_', '-')}": value for key, value in annotations.items()}}})

    def scale(self, name, *triggers, replicas=0, variables=None, **spec):
        """A Deployment, and a ScaledObject of it. Times are short; `advanced` is merged, `spec` replaces."""
        self.apply(deployment(name, replicas, variables), scaled_object(name, *triggers, **spec))


def deployment(name, replicas=0, variables=None, **container):
    variables = [{"name": key, "value": value} for key, value in (variables or {}).items()]
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {
        "replicas": replicas, "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "worker", "image": "none", "env": variables, **container}]}}}}


def scaled_object(name, *triggers, annotations=None, advanced=None, **spec):
    return {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
            "metadata": {"name": name, "annotations": annotations or {}},
            "spec": {"scaleTargetRef": {"name": name}, "pollingInterval": 2, "cooldownPeriod": 5,
                     "minReplicaCount": 0, "maxReplicaCount": 10, "triggers": list(triggers),
                     "advanced": {"horizontalPodAutoscalerConfig": {"behavior": QUICK_BEHAVIOR}, **(advanced or {})},
                     **spec}}


def scaled_job(name, *triggers, job_seconds=1, **spec):
    """Its pods end after so many seconds."""
    return {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledJob", "metadata": {"name": name}, "spec": {
        "jobTargetRef": {"backoffLimit": 0, "template": {
            "metadata": {"annotations": {"e2e/exit-after": f"{job_seconds}s"}},
            "spec": {"restartPolicy": "Never", "containers": [{"name": "worker", "image": "none"}]}}},
        "pollingInterval": 2, "maxReplicaCount": 100, "successfulJobsHistoryLimit": 1000,
        "triggers": list(triggers), **spec}}


def trigger(server, push=False, name=None, metric_type=None, cached=False, auth=None, **metadata):
    """Of Backlog at `server`, which has a port, or is a scalerAddress."""
    address = server if isinstance(server, str) else f"127.0.0.1:{server.port}"
    found = {"type": "external-push" if push else "external",
             "metadata": {"scalerAddress": address, **{key: str(value) for key, value in metadata.items()}}}
    for key, value in (("name", name), ("metricType", metric_type), ("useCachedMetrics", cached),
                       ("authenticationRef", auth)):
        if value:
            found[key] = value
    return found
