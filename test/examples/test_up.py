"""examples/up and down: which charts of the user's Helm repositories are installed, and what becomes of a user's own things where
Helm or the cluster fails. With a real cluster: test/e2e/test_examples_cluster.py."""

import json
import os
import pathlib
import subprocess
import sys

import pytest
import yaml

from support.process import need
from support.server.server import REPOSITORY

UP = pathlib.Path(REPOSITORY, "examples", "up")
CHARTS = {  # as the four repositories of docs/examples.md have them, beside others of similar names
    "kedacore": {"keda": "Event-based autoscaler for workloads on Kubernetes", "keda-add-ons-http": "HTTP for keda", "external-keda": "Not keda"},
    "metrics-server": {"metrics-server": "A source of container resource metrics"},
    "prometheus-community": {"kube-state-metrics": "Installs kube-state-metrics", "kube-prometheus-stack": "With kube-state-metrics"},
    "fairwinds-stable": {"vpa": "A chart for Kubernetes Vertical Pod Autoscaler", "goldilocks": "Makes a vpa"}}


@pytest.fixture
def repositories(tmp_path):
    """What `helm repo add` has written: the repositories, and the index of each. Yields the variables that say where."""
    cache = tmp_path / "cache"
    cache.mkdir()
    for name, charts in CHARTS.items():
        entries = {chart: [{"apiVersion": "v2", "name": chart, "version": "1.0.0", "description": description, "keywords": ["keda", "vpa"],
                            "urls": [f"{chart}.tgz"]}] for chart, description in charts.items()}
        (cache / f"{name}-index.yaml").write_text(yaml.safe_dump({"apiVersion": "v1", "entries": entries}))
    config = tmp_path / "repositories.yaml"
    config.write_text(yaml.safe_dump({"apiVersion": "", "repositories": [{"name": name, "url": "http://127.0.0.1:1/"} for name in CHARTS]}))
    return {"HELM_REPOSITORY_CONFIG": str(config), "HELM_REPOSITORY_CACHE": str(cache)}


@pytest.fixture
def empty_cluster(tmp_path):
    """A cluster that has nothing, and accepts all: Helm only searches. Yields the variables for it."""
    kubectl, helm = tmp_path / "kubectl", tmp_path / "helm"
    kubectl.write_text('#!/bin/sh\ncase " $* " in *" get "*) ;; *" -f - "*) cat ;; esac\n')
    helm.write_text(f'#!/bin/sh\n[ "$3" != search ] || exec {need("helm")} "$@"\n')
    for program in (kubectl, helm):
        program.chmod(0o755)
    return {"KUBECTL": str(kubectl), "HELM": str(helm)}


def test_the_charts_are_found_in_the_repositories_of_the_user(repositories, empty_cluster):
    done = subprocess.run([UP, "memes-nats", "--context", "none", "--no-images"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env={**os.environ, **repositories, **empty_cluster})
    assert done.returncode == 0, done.stdout
    assert [line for line in done.stdout.splitlines() if ": installing " in line and not line.startswith("backlog")] == [
        "keda: installing kedacore/keda ...", "metrics-server: installing metrics-server/metrics-server ...",
        "vpa: installing fairwinds-stable/vpa ...", "kube-state-metrics: installing prometheus-community/kube-state-metrics ..."]


def test_the_routes_of_istio_are_applied_on_request(repositories, empty_cluster, tmp_path):
    """Only where Istio is, and for the example that has some."""
    log, kubectl = tmp_path / "log", tmp_path / "kubectl"
    def up(name, has_istio):
        crd = "*virtualservices.networking.istio.io*) echo crd ;; " if has_istio else ""
        kubectl.write_text(f'#!/bin/sh\necho "$*" >>{log}\ncase " $* " in {crd}*" get "*) ;; *" -f - "*) cat ;; esac\n')
        return subprocess.run([UP, name, "--context", "none", "--no-images", "--istio"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              env={**os.environ, **repositories, **empty_cluster})

    assert "csv-jobs-rabbitmq has no routes of Istio" in up("csv-jobs-rabbitmq", has_istio=True).stdout
    assert "the cluster has no Istio" in up("video-rendering-kafka", has_istio=False).stdout
    assert "create namespace" not in log.read_text()
    done = up("video-rendering-kafka", has_istio=True)
    assert done.returncode == 0 and "apply -f" in log.read_text() and "video-rendering-kafka/routes/istio" in log.read_text(), done.stdout


# kubectl and helm on a cluster that is a file: namespaces with their label, the ConfigMap of the examples, Helm's releases and
# the definitions. The call number FAILS_AT of those that FAILS matches fails, with HALF after its release was stored.
CLUSTER = r"""#!PYTHON -SE
import fcntl, json, os, re, sys

program, words = os.path.basename(sys.argv[0]), sys.argv[3:]  # without the context
line = " ".join([program, *words])
given = sys.stdin.read() if "-f - " in line + " " else ""  # before the lock: who writes it needs that, too
file = open(os.environ["STATE"], "r+")
fcntl.flock(file, fcntl.LOCK_EX)
state = json.load(file)
namespaces, releases, definitions = state["namespaces"], state["releases"], state["definitions"]
failing = False
if re.search(os.environ.get("FAILS", "(?!)"), line):
    state["matched"] += 1
    failing = state["matched"] == int(os.environ["FAILS_AT"])


def end(text="", code=0):
    file.seek(0)
    file.truncate()
    json.dump(state, file)
    file.close()
    print(text, file=sys.stderr if code else sys.stdout)
    sys.exit(code)


def value(flag):
    return words[words.index(flag) + 1] if flag in words else None


def found(words):
    kind, _, name = words[0].partition("/")
    if kind == "namespace":
        return name in namespaces
    if kind == "crd":
        return name in definitions
    if kind == "configmap":
        return state["records"] is not None and "backlog-examples" in namespaces
    return any("name=" + name.split("/")[1] in line for name, release in releases.items() if release["status"] == "deployed")


def kubectl():
    verb = next(word for word in words if word in ("get", "create", "patch", "label", "delete", "apply"))
    rest = [word for word in words[words.index(verb) + 1:] if not word.startswith("-")]
    if verb == "get":
        if not found([word for word in words[words.index("get") + 1:] if word.count("/") == 1 or word == "configmap"] or ["other"]):
            return end() if "--ignore-not-found" in words else end("NotFound", 1)
        output = value("-o") or ""
        if output.startswith("go-template"):
            return end("\n".join(state["records"]))
        if output.startswith("jsonpath={.data."):
            return end(state["records"].get(output[16:-1], ""))
        if output.startswith("jsonpath"):
            return end(namespaces[rest[0].split("/")[1]] or "")
        return end("found")
    if verb == "create" and "-f" in words:
        name, label = re.search(r"name: ([-a-z]+), labels: {backlog-example: ([-a-z]+)}", given).groups()
        namespaces[name] = label
    elif verb == "create" and rest[0] == "namespace":
        namespaces[rest[1]] = None
    elif verb == "create" and rest[-1] == "backlog-examples":
        state["records"] = {}
    elif verb == "patch":
        for name, text in json.loads(value("-p"))["data"].items():
            state["records"].pop(name, None) if text is None else state["records"].update({name: text})
    elif verb == "label" and rest[0].startswith("namespace/"):
        namespaces[rest[0].split("/")[1]] = rest[1].split("=")[1]
    elif verb == "delete" and rest[0].startswith("namespace/"):
        name = rest[0].split("/")[1]
        namespaces.pop(name, None)
        if name == "backlog-examples":
            state["records"] = None
    elif verb == "delete" and rest[0] == "crd":
        definitions[:] = [name for name in definitions if name not in rest]
    end(given)


def helm():
    if words[0] == "list":
        shown = {flag[2:] for flag in words if flag in ("--deployed", "--failed", "--pending", "--superseded", "--uninstalling")}
        return end("\n".join(
            name.split("/")[1] for name, release in releases.items()
            if name.split("/")[0] == value("--namespace") and re.search(value("--filter"), name.split("/")[1])
            and release["status"] in (shown or {"deployed", "failed"}) and (value("--selector") or "") in release["labels"]))
    name = f"{value('--namespace')}/{words[2 if words[1] == '--install' else 1]}" if len(words) > 1 else ""
    if words[0] == "uninstall":
        releases.pop(name, None)
        definitions[:] = [found for found in definitions if name != "keda/keda" or "keda" not in found]  # but those of crds/ stay
    elif words[0] == "upgrade":
        release = releases.setdefault(name, {"labels": value("--labels") or "", "status": "failed", "sets": []})
        if release["status"] == "pending":
            return end("another operation (install/upgrade/rollback) is in progress", 1)
        release["sets"] += [word for word in words if word.startswith(("workers.", "networkPolicy."))]
        definitions.extend({"keda": ["scaledobjects.keda.sh"], "vpa": ["verticalpodautoscalers.autoscaling.k8s.io"]}.get(name.split("/")[1], []))
        for namespace in json.loads(next((word.split("=", 1)[1] for word in words if word.startswith("workers.namespaces=")), "[]")):
            if namespace not in namespaces:
                return end(f'namespaces "{namespace}" not found', 1)
        if failing:
            return end("timed out waiting for the condition", 1)
        release["status"] = "deployed"
    end()


if failing and not os.environ.get("HALF"):
    end("net/http: TLS handshake timeout", 1)
kubectl() if program == "kubectl" else helm()
"""


class Examples:
    """The scripts on such a cluster."""

    def __init__(self, folder):
        self.path = folder / "state"
        for name in ("kubectl", "helm"):
            (folder / name).write_text(CLUSTER.replace("PYTHON", sys.executable))
            (folder / name).chmod(0o755)
        charts = {f"{part}_CHART": "chart" for part in ("KEDA", "METRICS_SERVER", "VPA", "KUBE_STATE_METRICS")}
        self.environment = {**os.environ, **charts, "KUBECTL": str(folder / "kubectl"), "HELM": str(folder / "helm"), "STATE": str(self.path)}
        self.state = {"namespaces": {"kube-system": None}, "records": None, "releases": {}, "definitions": [], "matched": 0}

    @property
    def state(self):
        return json.loads(self.path.read_text())

    @state.setter
    def state(self, state):
        self.path.write_text(json.dumps({**state, "matched": 0}))

    def release(self, name, **fields):
        """Helm's release with these fields changed, or a new one of somebody."""
        state = self.state
        state["releases"].setdefault(name, {"labels": "", "status": "deployed", "sets": []}).update(fields)
        self.state = state

    def run(self, which, name, fails=None, at=1, half=False):
        """Returns the exit code and what was printed."""
        self.state = self.state  # none has matched
        images = ["--no-images"] if which == "up" else []
        done = subprocess.run([UP.parent / which, name, "--context", "none", *images], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              env={**self.environment, **({"FAILS": fails, "FAILS_AT": str(at)} if fails else {}), **({"HALF": "1"} if half else {})})
        return done.returncode, done.stdout

    def succeeds(self, which, name):
        code, printed = self.run(which, name)
        assert code == 0, printed
        return printed

    def things(self):
        """What a user would miss or have left. Which definitions there are twice is no matter."""
        state = self.state
        return state["namespaces"], state["records"], sorted(set(state["definitions"])), {
            name: (release["status"], release["labels"]) for name, release in state["releases"].items()}


@pytest.fixture
def examples(tmp_path):
    return Examples(tmp_path)


CSV, MEMES = "csv-jobs-rabbitmq", "memes-nats"


def test_up_and_down_leave_nothing(examples):
    before = examples.things()
    for name in (CSV, MEMES, CSV):
        examples.succeeds("up", name)
    assert examples.state["records"] == {f"example-{CSV}": "up", f"example-{MEMES}": "up"}
    assert examples.state["releases"].keys() == {"keda/keda", "keda/backlog", "kube-system/metrics-server", "kube-system/vpa", "kube-system/kube-state-metrics"}
    assert "removed" not in examples.succeeds("down", CSV)
    examples.succeeds("down", MEMES)
    namespaces, *others = examples.things()
    assert namespaces == {**before[0], "keda": None} and others == list(before[1:])
    assert "is not up" in examples.run("down", MEMES)[1]


def test_a_backlog_of_somebody_whose_upgrade_was_killed_stays_theirs(examples):
    """Helm has it as pending, which `helm list` does not show by itself."""
    examples.release("keda/backlog", status="pending")
    code, printed = examples.run("up", CSV)
    assert code != 0 and "another operation" in printed
    examples.release("keda/backlog", status="deployed")  # helm rollback
    assert "add csv to its workers.namespaces" in examples.succeeds("up", CSV)
    assert "backlog: removed" not in examples.succeeds("down", CSV)
    assert examples.state["releases"] == {"keda/backlog": {"labels": "", "status": "deployed", "sets": []}}


@pytest.mark.parametrize("part", [pytest.param("keda/keda", marks=pytest.mark.nightly), "keda/backlog",
                                  pytest.param("kube-system/vpa", marks=pytest.mark.nightly)])
def test_what_failed_half_way_is_completed_or_removed(examples, part):
    namespace, name = part.split("/")
    helm = f"^helm upgrade --install {name} "
    for half, again in ((False, True), (True, True), (True, False)):
        code, printed = examples.run("up", MEMES, fails=helm, half=half)
        assert code != 0 and f"{name}: installing" in printed
        assert (part in examples.state["releases"]) == half
        if again:
            printed = examples.succeeds("up", MEMES)
            assert f"{name}: there already" not in printed or name == "backlog"
            assert examples.state["releases"][part]["status"] == "deployed"
        examples.succeeds("down", MEMES)
        namespaces, *others = examples.things()
        assert namespaces.keys() <= {"kube-system", "keda"} and others == [None, [], {}]


def test_a_release_of_somebody_is_not_taken_for_a_missing_part(examples):
    examples.release("kube-system/kube-state-metrics", status="failed")
    before = examples.things()
    code, printed = examples.run("up", CSV)
    assert code != 0 and "Helm has a release kube-state-metrics in namespace kube-system, which is not of the examples" in printed
    assert examples.things() == before


READS = "^(kubectl .*get|helm list) "


@pytest.mark.nightly
def test_a_namespace_of_somebody_stays_whatever_read_fails(examples):
    examples.succeeds("up", MEMES)
    state = examples.state
    state["namespaces"]["csv"] = None
    examples.state = state
    before = examples.things()
    for at in range(1, 100):
        code, printed = examples.run("up", CSV, fails=READS, at=at)
        assert code != 0 and examples.things() == before, printed
        if examples.state["matched"] < at:
            break
    assert at > 1


@pytest.mark.nightly
def test_nothing_is_removed_for_a_read_that_failed(examples):
    """With another example up: each read of `down` in turn. Repeated, it removes what it should, and no more."""
    for name in (CSV, MEMES):
        examples.succeeds("up", name)
    before = examples.state
    examples.succeeds("down", CSV)
    after = examples.things()
    for at in range(1, 100):
        examples.state = before
        code, printed = examples.run("down", CSV, fails=READS, at=at)
        if examples.state["matched"] < at:
            break
        assert code != 0 and examples.state["releases"].keys() == before["releases"].keys(), printed
        examples.succeeds("down", CSV)
        assert examples.things() == after
    assert at > 3


@pytest.mark.nightly
def test_down_can_be_repeated_after_any_failure(examples):
    """Of the last example: it stays recorded until all that was installed for it is removed."""
    examples.succeeds("up", MEMES)
    before = examples.state
    examples.succeeds("down", MEMES)
    after = examples.things()
    for at in range(1, 100):
        examples.state = before
        code, printed = examples.run("down", MEMES, fails="^(helm (upgrade|uninstall)|kubectl .*(delete|patch)) ", at=at)
        if examples.state["matched"] < at:
            break
        if code != 0:
            examples.succeeds("down", MEMES)
        assert examples.things() == after, printed
    assert at > 10


def test_an_example_that_came_up_half_does_not_block_another(examples):
    code, _ = examples.run("up", MEMES, fails="^helm upgrade --install kube-state-metrics ")
    assert code != 0
    examples.succeeds("up", CSV)
    state = examples.state
    del state["namespaces"]["memes"]  # as `down` leaves it that ends after this
    examples.state = state
    examples.succeeds("up", CSV)
