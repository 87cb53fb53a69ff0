"""`backlog rehearse` against the server and a real Redis: what the model makes of real answers."""

import json
import os
import signal
import subprocess

import pytest

from support.certificates import Authority
from support.process import free_port, wait_until
from support.redis import Redis
from support.server import Server, binary

JOBS = 37
LIST_LENGTH = 5
WANTED = 8
SECONDS = 60  # of patience

OBJECT = """\
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {{name: {name}, namespace: shop}}
spec:
  pollingInterval: 10
  cooldownPeriod: 30
  advanced: {{horizontalPodAutoscalerConfig: {{behavior: {{scaleDown: {{stabilizationWindowSeconds: 0}}}}}}}}
  triggers:
    - type: {type}
      metadata: {{scalerAddress: "{server}", scaler: redis, address: "{redis}", listName: {name}, listLength: "5"}}
"""


@pytest.fixture
def broker():
    with Redis() as broker:
        yield broker


@pytest.fixture
def server():
    with Server(interval="200ms") as server:
        yield server


class Rehearsal:
    """A rehearsal ten times as fast; `lines` are what it printed so far."""

    def __init__(self, folder, text, *arguments):
        path = os.path.join(folder, "objects.yaml")
        with open(path, "w") as file:
            file.write(text)
        self.lines = []
        self.child = subprocess.Popen([binary(), "rehearse", "-f", path, "--speed", "10", "--output", "json", *arguments],
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        self.child.stdout.close()

    def until(self, condition):
        """Reads lines until one fulfils the condition, and returns it. What hangs is ended by the test's time-out."""
        for line in self.child.stdout:
            self.lines.append(json.loads(line))
            if condition(self.lines[-1]):
                return self.lines[-1]
        raise AssertionError(f"it ended before; the last lines: {self.lines[-5:]}")

    def end(self):
        """As Ctrl-C; returns the summaries."""
        self.child.send_signal(signal.SIGINT)
        rest = [json.loads(line) for line in self.child.stdout]
        assert self.child.wait(SECONDS) == 0
        return [line for line in rest if line["type"] == "summary"]


def changes_to(replicas):
    return lambda line: line["type"] == "change" and line["to"] == replicas


def is_state(line):
    return line["type"] == "state"


def push_jobs(broker, name="jobs", count=JOBS):
    with broker.connect() as redis:
        redis.call("RPUSH", name, *map(str, range(count)))


def length(broker, name="jobs"):
    with broker.connect() as redis:
        return redis.call("LLEN", name)


def scaled_object(broker, server, name="jobs", type="external-push"):
    return OBJECT.format(name=name, type=type, server=f"127.0.0.1:{server.port}", redis=broker.address)


def test_a_dry_run_follows_the_answers_and_changes_nothing(broker, server, tmp_path):
    with Rehearsal(tmp_path, scaled_object(broker, server)) as rehearsal:
        assert rehearsal.until(is_state)["replicas"] == 0
        push_jobs(broker)
        assert rehearsal.until(changes_to(1))["why"] == "KEDA: activated by push"
        rehearsal.until(changes_to(WANTED))
        state = rehearsal.until(is_state)
        assert (state["value"], state["target"], state["active"], state["wanted"]) == (JOBS, LIST_LENGTH, True, WANTED)
        assert length(broker) == JOBS
        with broker.connect() as redis:
            redis.call("DEL", "jobs")
        assert rehearsal.until(changes_to(0))["why"] == "KEDA: cooldown over"
        summary, = rehearsal.end()
        assert (summary["maxReplicas"], summary["pushes"] >= 1, summary["failedReadings"]) == (WANTED, True, 0)


def test_workers_are_started_and_stopped_as_replicas(broker, server, tmp_path):
    worker = f"exec sh -c 'touch {tmp_path}/worker-$BACKLOG_REPLICA; exec sleep 1000'"
    with Rehearsal(tmp_path, scaled_object(broker, server), "--worker", worker) as rehearsal:
        push_jobs(broker)
        rehearsal.until(changes_to(WANTED))
        rehearsal.until(lambda line: is_state(line) and line["ready"] == WANTED)
        wait_until(lambda: len(list(tmp_path.glob("worker-*"))) == WANTED, SECONDS, "a file of each worker")
        workers = children(rehearsal.child.pid)
        assert len(workers) == WANTED
        rehearsal.end()
        assert not any(os.path.exists(f"/proc/{pid}") for pid in workers)


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return file.read().split()


def test_several_objects_do_not_disturb_each_other(broker, server, tmp_path):
    objects = "---\n".join([scaled_object(broker, server, "jobs", "external"),
                            scaled_object(broker, server, "bills", "external").replace("listLength", "listLenght")])
    push_jobs(broker)
    with Rehearsal(tmp_path, objects) as rehearsal:
        rehearsal.until(lambda line: changes_to(WANTED)(line) and line["object"] == "shop/jobs")
        state = rehearsal.until(lambda line: is_state(line) and line["object"] == "shop/bills")
        assert state["replicas"] == 0
        assert "INVALID_ARGUMENT" in state["error"] and "listLength" in state["error"]


def test_replicas_are_held_while_the_server_is_away(broker, server, tmp_path):
    push_jobs(broker)
    with Rehearsal(tmp_path, scaled_object(broker, server)) as rehearsal:
        rehearsal.until(changes_to(WANTED))
        server.stop()
        rehearsal.until(lambda line: is_state(line) and line["error"] and line["replicas"] == WANTED)
        server.arguments = ["--listen", f"127.0.0.1:{server.port}", "--interval", "200ms"]
        server.start()
        state = rehearsal.until(lambda line: is_state(line) and line["error"] is None)
        assert (state["replicas"], state["value"]) == (WANTED, JOBS)


def test_a_built_in_trigger_is_rehearsed_as_it_would_be_after_a_migration(broker, server, tmp_path):
    push_jobs(broker)
    text = scaled_object(broker, server, type="redis").replace("scaler: redis, ", "")
    with Rehearsal(tmp_path, text, "--server", f"127.0.0.1:{server.port}", "--replicas", "4") as rehearsal:
        assert rehearsal.until(changes_to(WANTED))["from"] == 4


def test_over_mtls(broker, tmp_path):
    authority = Authority(tmp_path)
    (certificate, key), (own, own_key) = authority.issue("backlog"), authority.issue("keda")
    arguments = ["--tls-cert", certificate, "--tls-key", key, "--tls-client-ca", authority.certificate]
    with Server(interval="200ms", arguments=arguments) as server:
        push_jobs(broker)
        with Rehearsal(tmp_path, scaled_object(broker, server), "--tls-ca", authority.certificate, "--tls-cert", own,
                       "--tls-key", own_key) as rehearsal:
            rehearsal.until(changes_to(WANTED))
        with Rehearsal(tmp_path, scaled_object(broker, server), "--tls-ca", authority.certificate) as rehearsal:
            assert rehearsal.until(is_state)["error"]


def test_the_plot_has_both_curves(broker, server, tmp_path):
    plot = tmp_path / "out.svg"
    with Rehearsal(tmp_path, scaled_object(broker, server), "--plot", str(plot)) as rehearsal:
        rehearsal.until(is_state)
        rehearsal.end()
    assert plot.read_text().count("<polyline") == 2


def test_mistakes_are_told(tmp_path):
    def run(text, *arguments):
        path = tmp_path / "so.yaml"
        path.write_text(text)
        return subprocess.run([binary(), "rehearse", "-f", str(path), *arguments], capture_output=True, text=True)

    assert "no ScaledObject in it" in run("kind: Deployment\n").stderr
    lacking = run("kind: ScaledObject\nmetadata: {name: a}\nspec: {triggers: [{type: kafka}]}\n")
    assert (lacking.returncode, "give --server" in lacking.stderr) == (1, True)
    nowhere = run(OBJECT.format(name="a", type="external", server="x", redis="x"), "--server",
                  f"127.0.0.1:{free_port()}", "--duration", "100ms")
    assert (nowhere.returncode, "Connection refused" in nowhere.stdout) == (0, True)
