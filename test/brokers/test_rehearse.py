"""`backlog rehearse` against the server and a real Redis: what the model makes of real answers."""

import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from support.certificates import Authority
from support.process import free_port, wait_until
from support.brokers.redis import Redis
from support.server.server import Server, binary
from support.network.tap import Tap

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


# What the group has not read is waiting; what it has not acknowledged is in flight.
STREAM = 'scaler: redis-streams, address: "{redis}", stream: {name}, consumerGroup: workers, lagCount: "5"}}'
LIST = 'scaler: redis, address: "{redis}", listName: {name}, listLength: "5"}}'
WAITING, IN_FLIGHT = 5, 7


@pytest.fixture
def broker():
    with Redis() as broker:
        yield broker


@pytest.fixture
def server():
    with Server(interval="200ms") as server:
        yield server


@pytest.fixture
def http_server():
    with Server(interval="200ms", http=True) as server:
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


def scaled_object(broker, server, name="jobs", type="external-push", source=LIST):
    return OBJECT.replace(LIST, source).format(name=name, type=type, server=f"127.0.0.1:{server.port}", redis=broker.address)


def test_a_dry_run_follows_the_answers_and_changes_nothing(broker, server, tmp_path):
    pushed = scaled_object(broker, server).replace("pollingInterval: 10", "pollingInterval: 60")  # no poll before it
    with Rehearsal(tmp_path, pushed) as rehearsal:
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


AUTHENTICATION = """\
---
kind: TriggerAuthentication
metadata: {{name: redis, namespace: shop}}
spec: {spec}
"""


def with_authentication(broker, server, spec):
    text = scaled_object(broker, server, type="redis").replace("scaler: redis, ", "").replace(f'address: "{broker.address}", ', "")
    return text + "      authenticationRef: {name: redis}\n" + AUTHENTICATION.format(spec=spec)


def test_variables_of_the_worker_come_from_the_environment(broker, server, tmp_path, monkeypatch):
    """As KEDA sends them: resolved. They stand in the trigger, or in its TriggerAuthentication."""
    push_jobs(broker)
    monkeypatch.setenv("REDIS_ADDRESS", broker.address)
    of_trigger = scaled_object(broker, server).replace(f'address: "{broker.address}"', "addressFromEnv: REDIS_ADDRESS")
    of_authentication = with_authentication(broker, server, "{env: [{parameter: address, name: REDIS_ADDRESS}]}")
    for text in (of_trigger, of_authentication):
        with Rehearsal(tmp_path, text, "--server", f"127.0.0.1:{server.port}", "--env", "REDIS_ADDRESS") as rehearsal:
            rehearsal.until(changes_to(WANTED))


def test_a_config_map_of_an_authentication_is_taken(broker, server, tmp_path):
    push_jobs(broker)
    text = with_authentication(broker, server, "{configMapTargetRef: [{parameter: address, name: redis, key: address}]}")
    text += f"---\nkind: ConfigMap\nmetadata: {{name: redis, namespace: shop}}\ndata: {{address: '{broker.address}'}}\n"
    with Rehearsal(tmp_path, text, "--server", f"127.0.0.1:{server.port}") as rehearsal:
        rehearsal.until(changes_to(WANTED))


def test_a_folder_and_standard_input_are_read(broker, server, tmp_path):
    """As `kustomize build` and a repository give them: the TriggerAuthentication beside its ScaledObject."""
    text = with_authentication(broker, server, "{env: [{parameter: address, name: REDIS_ADDRESS}]}")
    for name, part in zip(("object", "authentication"), text.split("---\n")):
        (tmp_path / f"{name}.yaml").write_text(part)
    for path in (str(tmp_path), "-"):
        done = subprocess.run([binary(), "rehearse", "-f", path, "--server", f"127.0.0.1:{server.port}", "--output", "json",
                               "--duration", "1s", "--env", "REDIS_ADDRESS"], input=text, capture_output=True, text=True, timeout=SECONDS,
                              env={**os.environ, "REDIS_ADDRESS": broker.address})
        assert (done.returncode, done.stderr) == (0, "")
        assert [line["object"] for line in map(json.loads, done.stdout.splitlines()) if line["type"] == "summary"] == ["shop/jobs"]


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


# ---- in flight ----

def read_some(broker, name="jobs"):
    """A group that has read a part of the stream and acknowledged nothing."""
    with broker.connect() as redis:
        redis.call("XGROUP", "CREATE", name, "workers", "0", "MKSTREAM")
        redis.add(name, WAITING + IN_FLIGHT)
        return redis.read(name, "workers", IN_FLIGHT)


def http_of(server):
    return ["--server-http", f"127.0.0.1:{server.http_port}"]


def in_flight_is(count, name="jobs"):
    return lambda line: is_state(line) and line["inFlight"] == count and line["object"] == f"shop/{name}"


def in_flight_is_unknown(line):
    return is_state(line) and line["value"] is not None and line["inFlight"] is None


def test_what_is_in_flight_comes_from_the_http_port(broker, http_server, tmp_path):
    entries = read_some(broker)
    plot = tmp_path / "out.svg"
    with Rehearsal(tmp_path, scaled_object(broker, http_server, source=STREAM), "--plot", str(plot),
                   *http_of(http_server)) as rehearsal:
        assert rehearsal.until(in_flight_is(IN_FLIGHT))["value"] == WAITING
        with broker.connect() as redis:
            redis.call("XACK", "jobs", "workers", *entries)
        assert rehearsal.until(in_flight_is(0))["value"] == WAITING
        broker.stop()
        assert rehearsal.until(in_flight_is_unknown)["value"] == WAITING  # which is held
        rehearsal.end()
    assert ">in flight<" in plot.read_text()


def test_what_is_in_flight_is_unknown_where_nobody_reports(broker, http_server, tmp_path):
    read_some(broker)
    push_jobs(broker, "bills")
    text = scaled_object(broker, http_server, source=STREAM)
    objects = f"{text}---\n{scaled_object(broker, http_server, 'bills')}"
    with Rehearsal(tmp_path, objects, *http_of(http_server)) as rehearsal:
        rehearsal.until(in_flight_is(IN_FLIGHT))
        assert rehearsal.until(lambda line: is_state(line) and line["object"] == "shop/bills")["inFlight"] is None
    with Rehearsal(tmp_path, text) as rehearsal:  # without the flag
        for _ in range(3):
            assert rehearsal.until(is_state)["inFlight"] is None


def test_two_triggers_of_one_metric_are_not_confused(broker, http_server, tmp_path):
    with broker.connect() as redis:
        redis.call("SELECT", "1")
        redis.call("XGROUP", "CREATE", "jobs", "workers", "0", "MKSTREAM")
    read_some(broker)
    text = scaled_object(broker, http_server, source=STREAM)
    trigger = text[text.index("    - type"):]
    with Rehearsal(tmp_path, text + trigger.replace("stream: jobs", 'stream: jobs, databaseIndex: "1"'),
                   *http_of(http_server)) as rehearsal:
        for _ in range(4):
            assert rehearsal.until(is_state)["inFlight"] is None


def table(tmp_path, text, *arguments):
    """The text of a dry run of four seconds."""
    path = tmp_path / "so.yaml"
    path.write_text(text)
    return subprocess.run([binary(), "rehearse", "-f", str(path), "--duration", "4s", *arguments], capture_output=True,
                          text=True, check=True, timeout=SECONDS)


def columns(done):
    """(value, in flight) of each line."""
    return re.findall(r"^ +\d+:\d\d\.\d +(\d+) +([-\d]+) +\d", done.stdout, re.MULTILINE)


def test_the_table_has_what_is_in_flight(broker, http_server, tmp_path):
    read_some(broker)
    text = scaled_object(broker, http_server, source=STREAM)
    assert (f"{WAITING}", f"{IN_FLIGHT}") in columns(table(tmp_path, text, *http_of(http_server)))
    without = table(tmp_path, text)
    assert "value  in flight  wanted" in without.stdout
    assert set(columns(without)) == {(f"{WAITING}", "-")}


def test_an_http_port_that_is_away_is_reported_once(broker, http_server, tmp_path):
    read_some(broker)
    text = scaled_object(broker, http_server, source=STREAM)
    away = free_port()
    done = table(tmp_path, text, "--server-http", f"127.0.0.1:{away}")
    assert set(columns(done)) == {(f"{WAITING}", "-")} and len(columns(done)) > 2
    assert (done.stderr.count("--server-http"), f"127.0.0.1:{away}" in done.stderr) == (1, True)
    other = table(tmp_path, text, "--server-http", f"127.0.0.1:{broker.port}")  # no HTTP at all
    assert (set(columns(other)), other.stderr.count("--server-http")) == ({(f"{WAITING}", "-")}, 1)


def test_an_http_port_that_hangs_delays_nothing(broker, http_server, tmp_path):
    read_some(broker)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begun = time.monotonic()
        done = table(tmp_path, scaled_object(broker, http_server, source=STREAM), "--timeout", "60s",
                     "--server-http", f"127.0.0.1:{silent.getsockname()[1]}")
        assert time.monotonic() - begun < SECONDS / 2
    assert set(columns(done)) == {(f"{WAITING}", "-")} and len(columns(done)) > 2


class Stall(Tap):
    """Passes nothing on while `is_open` is not set."""

    def __init__(self, port):
        self.is_open = threading.Event()
        self.is_open.set()
        super().__init__(port)

    def passes(self, data, to_broker):
        self.is_open.wait()


def test_what_was_in_flight_before_the_port_hung_is_not_shown_for_long(broker, http_server, tmp_path):
    read_some(broker)
    with Stall(http_server.http_port) as port:
        with Rehearsal(tmp_path, scaled_object(broker, http_server, source=STREAM), "--timeout", "60s",
                       "--server-http", f"127.0.0.1:{port.port}") as rehearsal:
            rehearsal.until(in_flight_is(IN_FLIGHT))
            port.is_open.clear()
            rehearsal.until(in_flight_is_unknown)
            port.is_open.set()
            rehearsal.until(in_flight_is(IN_FLIGHT))


def test_what_is_in_flight_is_known_again_after_an_outage(broker, http_server, tmp_path):
    read_some(broker)
    with Rehearsal(tmp_path, scaled_object(broker, http_server, source=STREAM), *http_of(http_server)) as rehearsal:
        rehearsal.until(in_flight_is(IN_FLIGHT))
        http_server.stop()
        rehearsal.until(lambda line: is_state(line) and line["inFlight"] is None)
        http_server.arguments = ["--listen", f"127.0.0.1:{http_server.port}", "--http", f"127.0.0.1:{http_server.http_port}"]
        http_server.start()
        rehearsal.until(in_flight_is(IN_FLIGHT))


def test_several_objects_have_their_own_in_flight(broker, http_server, tmp_path):
    names = [f"jobs-{i}" for i in range(30)]
    for name in names:
        read_some(broker, name)
    with broker.connect() as redis:
        redis.read(names[-1], "workers", 1)
    objects = "---\n".join(scaled_object(broker, http_server, name, source=STREAM) for name in names)
    with Rehearsal(tmp_path, objects, *http_of(http_server)) as rehearsal:
        rehearsal.until(in_flight_is(IN_FLIGHT, names[0]))
        rehearsal.until(in_flight_is(IN_FLIGHT + 1, names[-1]))
        rehearsal.until(in_flight_is(IN_FLIGHT, names[-2]))


# ---- mistakes ----


def test_mistakes_are_reported(tmp_path):
    def run(text, *arguments):
        path = tmp_path / "so.yaml"
        path.write_text(text)
        return subprocess.run([binary(), "rehearse", "-f", str(path), *arguments], capture_output=True, text=True)

    assert "no ScaledObject in it" in run("kind: Deployment\n").stderr
    lacking = run("kind: ScaledObject\nmetadata: {name: a}\nspec: {triggers: [{type: kafka, metadata: {topic: t}}]}\n")
    assert (lacking.returncode, "give --server" in lacking.stderr) == (1, True)
    secret = run(OBJECT.format(name="a", type="redis", server="x", redis="x") + "      authenticationRef: {name: r}\n" +
                 AUTHENTICATION.replace("name: redis", "name: r").format(
                     spec="{secretTargetRef: [{parameter: password, name: s, key: k}]}"))
    assert secret.returncode == 1 and "so.yaml:9: shop/a: trigger 0 (redis): password is in a Secret of r" in secret.stderr
    absent = run(OBJECT.format(name="a", type="redis", server="x", redis="x") + "      authenticationRef: {name: r}\n")
    assert absent.returncode == 1 and "TriggerAuthentication r is in none of the files" in absent.stderr
    unset = run(OBJECT.replace("listName: {name}", "listName: a, passwordFromEnv: NOBODY_SETS_IT").format(
        name="a", type="external", server="x", redis="x"), "--env", "NOBODY_SETS_IT")
    assert unset.returncode == 1 and "set the variable NOBODY_SETS_IT" in unset.stderr
    none = run("kind: ScaledObject\nmetadata: {name: a}\nspec: {}\n")
    assert none.returncode == 1 and "triggers must be a list" in none.stderr
    nowhere = run(OBJECT.format(name="a", type="external", server="x", redis="x"), "--server",
                  f"127.0.0.1:{free_port()}", "--duration", "100ms")
    assert (nowhere.returncode, "Connection refused" in nowhere.stdout) == (0, True)
    untrusted = run(OBJECT.format(name="a", type="external", server="x", redis="x"), "--tls-ca", "/nowhere/ca.crt")
    assert untrusted.returncode == 1 and "/nowhere/ca.crt: No such file" in untrusted.stderr
