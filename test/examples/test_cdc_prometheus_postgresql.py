"""examples/cdc-prometheus-postgresql: workers by delay, buffer, throughput and WAL; each change is applied exactly once."""

import os
import pathlib
import signal
import subprocess

import grpc
import pytest
import requests
import yaml

from support.pages.dashboard import assert_answered
from support.charts.chart import by_kind, render_all
from support.example import Worker, command, full, play_parts
from support.clients.grpc_client import Client
from support.kubernetes.kubernetes_schemas import mistakes
from support.brokers.postgresql import USER, PostgreSQL
from support.process import wait_until
from support.server.server import REPOSITORY, Server, binary
from support.charts.worker_chart import build_umbrella, notes_of, render

NAME = "cdc-prometheus-postgresql"
FOLDER = pathlib.Path(REPOSITORY, "examples", NAME)
SECONDS = 90
WAL = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn) FROM pg_replication_slots WHERE slot_name = 'orders_cdc'"


PLAYED = [
    ("late", ["delay below 60 s: no worker", "delay of 9 minutes, 2 workers", "all 2020 changes so far are applied, each once"]),
    ("worker,broker", ["no worker removed", "all 24000 changes so far are applied, each once", "the slot has confirmed them"]),
    ("bursts", ["zero replicas once: after the last one", "up once, and down once"]),
    ("buffer,throughput", ["800 changes in the buffer: no worker", "3 workers because of HPA: 20000 / 8000 wants 3", "20,000 changes in the buffer, 3 workers",
                           "/ 1000 wants 3", "all 51500 changes so far are applied, each once"]),
    full("backlog", "while changes wait, no worker removed", "all 24000 changes so far are applied, each once"),
    full("network", "the network cut for", "while changes wait, no worker removed", "all 24000 changes so far are applied, each once"),
    full("service", "the exporter is away, for", "no worker removed", "all 24000 changes so far are applied, each once"),
    full("slow", "slow network: all 24000 changes so far are applied, each once"),
    full("cpu", "CPU stolen: all 24000 changes so far are applied, each once"),
    full("disk", "the shop's orders are refused", "the disk is full, for", "no worker removed", "are applied, each once")]


@pytest.mark.nightly
@pytest.mark.parametrize("parts, seen", PLAYED)
def test_the_example_shows_what_it_promises(parts, seen):
    printed = play_parts(NAME, parts, ("Shortened, too:", *seen))
    assert "e+0" not in printed  # bytes of WAL


@pytest.fixture
def database():
    with PostgreSQL(configuration="wal_level = logical") as database:
        database.sql(f"ALTER ROLE {USER} REPLICATION")
        command(NAME, "schema.py", DATABASE_URL=database.url())
        yield database


def worker(database, **variables):
    return Worker(NAME, DATABASE_URL=database.url(), **variables)


def order(database, orders, age=0):
    command(NAME, "load.py", "--orders", orders, "--age", age, DATABASE_URL=database.url())


def number(database, query):
    [[found]] = database.sql(query, database=USER)
    return int(float(found))


def applied(database):
    return number(database, "SELECT count(*) FROM order_search")


def twice(database):
    return number(database, "SELECT count(*) FROM order_search WHERE applied <> 1")


def test_a_job_ends_when_nothing_is_left_and_the_slot_has_confirmed(database):
    order(database, 3000)
    assert number(database, WAL) > 100_000
    with worker(database, CHANGE_SECONDS=0, UNTIL_IDLE=1) as job:
        assert job.child.wait(SECONDS) == 0
    assert (applied(database), twice(database)) == (3000, 0)
    with worker(database, CHANGE_SECONDS=0, UNTIL_IDLE=1) as job:  # what the first one wrote is WAL, too
        assert job.child.wait(SECONDS) == 0
    assert number(database, WAL) < 100_000


def test_a_worker_ends_after_the_changes_that_it_has(database):
    order(database, 1000)
    with worker(database, CHANGE_SECONDS=0.02) as one:
        wait_until(lambda: applied(database) > 0, SECONDS, "changes")
        assert one.terminate() == 0
    done = applied(database)
    assert done % 100 == 0 and done < 1000
    assert done + number(database, "SELECT count(*) FROM cdc_buffer") == 1000


def test_killed_workers_lose_nothing_and_apply_nothing_twice(database):
    """In capturing and in applying, again and again."""
    order(database, 10_000)
    for _ in range(8):
        before = applied(database)
        with worker(database, CHANGE_SECONDS=0.001) as one, worker(database, CHANGE_SECONDS=0.001) as other:
            wait_until(lambda: applied(database) > before, SECONDS, "changes")
            for each in (one, other):
                each.child.send_signal(signal.SIGKILL)
                each.child.wait(SECONDS)
    with worker(database, CHANGE_SECONDS=0):
        wait_until(lambda: applied(database) == 10_000, SECONDS, "all changes")
    assert (twice(database), number(database, "SELECT count(*) FROM cdc_buffer")) == (0, 0)


def test_a_transaction_that_is_captured_again_is_not_applied_again(database):
    """A slot may go back after a crash of PostgreSQL: here it is confirmed by nobody."""
    order(database, 50)
    database.sql("CREATE FUNCTION public.pg_replication_slot_advance(name, pg_lsn) RETURNS void LANGUAGE sql AS ''", database=USER)
    database.sql(f"ALTER ROLE {USER} SET search_path = public, pg_catalog")
    with worker(database, CHANGE_SECONDS=0):
        wait_until(lambda: applied(database) == 50, SECONDS, "all changes")
        order(database, 50)
        wait_until(lambda: applied(database) == 100, SECONDS, "all changes")
    assert number(database, WAL) > 0 and twice(database) == 0


def measured(exporter):
    page = requests.get(f"http://127.0.0.1:{exporter.metrics_port}/metrics", timeout=SECONDS).text
    values = dict(line.rsplit(" ", 1) for line in page.splitlines() if line.startswith("cdc_"))
    return [float(values[name]) for name in ("cdc_lag_seconds", "cdc_buffer_changes", "cdc_changes_total")]


def test_the_delay_is_of_the_oldest_change_that_waits(database):
    """Captured, though many later ones are applied; or not even captured."""
    order(database, 1, age=900)
    order(database, 12_000)
    database.sql("INSERT INTO order_search SELECT id, '', 1, now() FROM orders WHERE id > 1", database=USER)
    database.sql("INSERT INTO cdc_buffer VALUES ('0/1', 0, 1, '')", database=USER)
    with Worker(NAME, "exporter.py", DATABASE_URL=database.url()) as exporter:
        assert 900 <= measured(exporter)[0] < 900 + SECONDS
        database.sql("DELETE FROM cdc_buffer; INSERT INTO order_search VALUES (1, '', 1, now())", database=USER)
        assert measured(exporter) == [0, 0, 12_001]
        order(database, 1, age=300)
        assert 300 <= measured(exporter)[0] < 300 + SECONDS


def test_while_postgresql_is_away_the_exporter_has_no_value(database):
    with Worker(NAME, "exporter.py", DATABASE_URL=database.url()) as exporter:
        url = f"http://127.0.0.1:{exporter.metrics_port}/metrics"
        order(database, 10, age=300)
        lag, *others = measured(exporter)
        assert 300 <= lag < 300 + SECONDS and others == [0, 10]
        database.kill()
        assert requests.get(url, timeout=SECONDS).status_code == 500
        database.start()
        assert "cdc_lag_seconds 3" in requests.get(url, timeout=SECONDS).text


def test_a_missing_slot_is_an_error_not_zero(database):
    trigger = {"scaler": "postgresql", "connection": database.url(), "query": WAL, "targetQueryValue": "1000000"}
    with Server() as server, Client(server.port) as client:
        assert client.metrics(trigger).metricValue >= 0
        database.sql("SELECT pg_drop_replication_slot('orders_cdc')")

        def error():
            try:
                return client.metrics(trigger) and ""
            except grpc.RpcError as failed:
                return failed.details()

        wait_until(lambda: "no row" in error(), SECONDS, "an error")


def test_every_query_of_the_dashboard_finds_what_it_shows(database):
    order(database, 5000)
    trigger = {"scaler": "postgresql", "connection": database.url(), "query": WAL, "targetQueryValue": "1000000"}
    with worker(database, CHANGE_SECONDS=0.01) as one, Worker(NAME, "exporter.py", DATABASE_URL=database.url()) as exporter, \
            Server(http=True) as server, Client(server.port) as client:
        assert client.metrics(trigger).metricValue > 0
        assert_answered(FOLDER, "cdc", cdc_worker_1=one.metrics_port, cdc_exporter_1=exporter.metrics_port,
                        backlog_0=server.http_port)


@pytest.mark.parametrize("path", ["scaledjob/scaledjob.yaml", "builtin/scaledobject.yaml", "capture/capture.yaml", "capture/scaledobject.yaml"])
def test_the_other_manifests_are_accepted(path, tmp_path):
    for item in yaml.safe_load_all((FOLDER / path).read_text()):
        assert mistakes(item) == [] and item["metadata"]["namespace"] == "cdc"
    text = (FOLDER / path).read_text()
    if "builtin" in path:
        done = subprocess.run([binary(), "migrate", "-"], input=text, stdout=subprocess.PIPE, text=True)
        assert "scaler: postgresql" in done.stdout, done.stdout
    elif "scaled" in path:
        done = subprocess.run([binary(), "check", "--strict", FOLDER / path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0 and "0 errors" in done.stdout, done.stdout


def test_beside_a_process_that_captures_the_triggers_of_prometheus_are_the_same():
    by_all, alone = (yaml.safe_load((FOLDER / folder / "scaledobject.yaml").read_text()) for folder in ("manifests", "capture"))
    assert [trigger["metadata"]["scaler"] for trigger in alone["spec"]["triggers"]] == ["prometheus"] * 3
    by_all["spec"]["triggers"] = by_all["spec"]["triggers"][:3]
    assert alone == by_all


def test_a_process_that_captures_applies_nothing(database):
    with worker(database, CAPTURE_ONLY=1):
        order(database, 3000)
        wait_until(lambda: number(database, "SELECT count(*) FROM cdc_buffer") == 3000, SECONDS, "captured changes")
        wait_until(lambda: number(database, WAL) < 100_000, SECONDS, "a slot that is confirmed")
    assert applied(database) == 0


def test_an_import_is_captured_as_a_whole(database):
    """So it may be more than the buffer's limit."""
    with worker(database, CAPTURE_ONLY=1):
        command(NAME, "load.py", "--orders", 12_000, "--import", DATABASE_URL=database.url())
        wait_until(lambda: number(database, "SELECT count(*) FROM cdc_buffer") > 0, SECONDS, "captured changes")
        assert number(database, "SELECT count(*) FROM cdc_buffer") == 12_000
        order(database, 500)
        with worker(database, CHANGE_SECONDS=0):
            wait_until(lambda: applied(database) == 12_500, SECONDS, "all changes")
    assert twice(database) == 0


def test_the_chart_makes_the_same_triggers_and_an_hpa_where_there_is_no_keda():
    by_chart = render(None, "--values", FOLDER / "values.yaml")["ScaledObject"]["spec"]
    by_hand = yaml.safe_load((FOLDER / "manifests" / "scaledobject.yaml").read_text())["spec"]
    thresholds = {"query", "threshold", "activationThreshold", "targetQueryValue", "activationTargetQueryValue", "ignoreNullValues"}
    found, written = ({trigger["name"]: {key: value for key, value in trigger["metadata"].items() if key in thresholds}
                       for trigger in spec["triggers"]} for spec in (by_chart, by_hand))
    assert found == written and len(found) == 4
    for numbers in ("pollingInterval", "cooldownPeriod", "minReplicaCount", "maxReplicaCount"):
        assert by_chart[numbers] == by_hand[numbers]
    assert by_chart["advanced"]["horizontalPodAutoscalerConfig"]["behavior"] == by_hand["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    without = render(None, "--values", FOLDER / "values.yaml", "--values", FOLDER / "values-hpa.yaml")
    assert "ScaledObject" not in without and without["HorizontalPodAutoscaler"]["spec"]["maxReplicas"] == 10


@pytest.fixture(scope="module")
def umbrella(tmp_path_factory):
    return build_umbrella(tmp_path_factory.mktemp("repository"), FOLDER / "umbrella")


def test_the_umbrella_has_the_worker_and_the_thresholds_of_the_manifests(umbrella):
    objects = by_kind(render_all(None, chart=umbrella))
    assert [mistake for item in objects.values() for mistake in mistakes(item)] == []
    by_hand = yaml.safe_load((FOLDER / "manifests" / "scaledobject.yaml").read_text())["spec"]
    spec = objects["ScaledObject"]["spec"]
    keys = {"query", "threshold", "activationThreshold", "targetQueryValue", "activationTargetQueryValue", "ignoreNullValues"}
    found, written = ([{key: value for key, value in trigger["metadata"].items() if key in keys}
                       for trigger in sorted(each["triggers"], key=lambda trigger: trigger["metadata"]["query"])] for each in (spec, by_hand))
    assert found == written and len(found) == 4
    for numbers in ("pollingInterval", "cooldownPeriod", "minReplicaCount", "maxReplicaCount", "advanced"):
        assert spec[numbers] == by_hand[numbers]
    [container] = objects["Deployment"]["spec"]["template"]["spec"]["containers"]
    [worker] = yaml.safe_load_all((FOLDER / "manifests" / "worker.yaml").read_text())
    by_hand = worker["spec"]["template"]["spec"]["containers"][0]
    assert by_hand["env"][0] in container["env"] and container["image"] == by_hand["image"] and container["resources"] == by_hand["resources"]


def test_a_note_says_where_keda_is_not_installed_and_what_is_left_out(tmp_path):
    on = ("--set", "keda.enabled=true", "--set", "keda.idleReplicaCount=0")
    notes = notes_of(tmp_path, *on)
    assert "KEDA is not installed in this cluster" in notes and "keda.idleReplicaCount is left out" in notes
    assert "image.repository is missing" in notes
    assert "is not installed" not in notes_of(tmp_path, *on, "--api-versions", "keda.sh/v1alpha1")
