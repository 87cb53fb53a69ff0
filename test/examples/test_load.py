"""examples/common: what a load's report says, and what the faults do."""

import asyncio
import functools
import http.server
import json
import os
import pathlib
import socket
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree

import pytest

from support.example import COMMON, Program, Worker, command, load
from support.network.links import LongLink
from support.brokers.nats import Nats
from support.brokers.postgresql import USER, PostgreSQL
from support.brokers.rabbitmq import RabbitMQ
from support.disk import SmallDisk
from support.process import free_port
from support.server.server import REPOSITORY

from common import faults  # examples/common, which support.example puts on the path
from common.load import Load, Samples, module_of, names, replicas_by_dashboard
from common.report import Report

PRODUCER = os.path.join(REPOSITORY, "examples", "csv-jobs-rabbitmq", "producer.py")


def test_the_report_has_success_percentiles_peak_and_replica_hours():
    submitted = {number: 1000.0 for number in range(100)}
    ended = {number: (1001.0 + number, number < 98) for number in range(99)}  # 98 succeed after 1 to 98 s, one fails, one never ends
    replicas = [(900, 5), (990, 2), (1010, 10), (1046, 0)]
    report = Report("test", submitted, ended, replicas, refused=1, concurrency=7)
    assert report.values() == {
        "name": "test", "jobs": 101, "concurrency": 7, "succeeded": 98, "failed": 2, "unfinished": 1, "successRate": pytest.approx(98 / 101),
        "seconds": 99.0, "speed": 1, "jobSeconds": {"mean": 49.5, "p50": 49.0, "p95": 94.0, "p99": 98.0},
        "peakReplicas": 10, "replicaHours": round((10 * 2 + 36 * 10) / 3600, 4)}
    assert json.loads(report.json()) == report.values()
    text = report.text()
    assert "101 jobs, 98 succeeded (97.0 %), 2 failed, 1 not finished" in text and "p95 94.00 s" in text and "peak 10" in text
    assert text.splitlines()[0].endswith("in 99.0 s; concurrency 7")
    picture = xml.etree.ElementTree.fromstring(report.svg())
    assert picture.tag.endswith("svg") and picture[0].text == text.splitlines()[0] and json.loads(picture[1].text)["concurrency"] == 7


def test_a_load_without_any_success_has_a_report_too():
    for submitted, ended in (({}, {}), ({1: 5.0}, {}), ({1: 5.0}, {1: (6.0, False)})):
        report = Report("test", submitted, ended, refused=1)
        assert report.values()["successRate"] == 0 and "jobSeconds" not in report.values()
        xml.etree.ElementTree.fromstring(report.svg())
        assert "0 succeeded" in report.text()


def test_a_refused_job_counts_as_failed_and_a_broker_that_is_away_is_waited_for():
    class Jobs:
        number, calls = 0, 0

        def submit(self):
            self.number += 1
            if self.number == 2:
                raise OSError("503")
            return self.number

        def finished(self):
            self.calls += 1
            if self.calls == 1:
                raise ConnectionError("away")
            return {1: (time.time(), True), 3: (time.time(), True)}

    load = Load("test", Jobs(), 3, 1)
    deadline = time.monotonic() + 30
    while not load.is_over() and time.monotonic() < deadline:
        time.sleep(0.01)
    found = load.report().values()
    assert (found["jobs"], found["succeeded"], found["failed"], found["unfinished"]) == (3, 2, 1, 0)


@pytest.mark.parametrize("name", names())
def test_the_load_program_knows_the_options_of_each_example(name):
    assert hasattr(module_of(name), "arguments") and hasattr(module_of(name).Jobs, "finished")
    printed = subprocess.run([sys.executable, f"{COMMON}/load.py", name, "--help"], check=True, stdout=subprocess.PIPE, text=True).stdout
    assert "--concurrency" in printed and "--url" in printed and "--dashboard" in printed


def test_stolen_cpu_is_taken_from_a_process_and_its_children_and_given_back():
    shell = subprocess.Popen(["sh", "-c", f"{sys.executable} -c 'while True: pass'; true"])
    try:
        while len(faults.descendants(shell.pid)) < 2:
            time.sleep(0.01)
        child = faults.descendants(shell.pid)[1]
        with faults.stolen_cpu(lambda: [shell.pid], 1.0):
            time.sleep(0.2)
            before = faults.cpu_seconds(child)
            time.sleep(0.5)
            assert faults.cpu_seconds(child) - before <= 0.1, "of half a second"
        deadline = time.monotonic() + 30
        while faults.cpu_seconds(child) < before + 0.3 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert faults.cpu_seconds(child) >= before + 0.3, "it runs again"
    finally:
        for pid in reversed(faults.descendants(shell.pid)):
            subprocess.run(["kill", "-KILL", str(pid)], check=False)
        shell.wait()


@pytest.mark.nightly
def test_busy_processors_leave_others_a_part_of_them_and_end():
    with faults.busy_cpu(0.8) as others:
        time.sleep(0.3)
        own = subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True)
        try:
            time.sleep(0.2)
            before, began = faults.cpu_seconds(own.pid), time.monotonic()
            time.sleep(2)
            share = (faults.cpu_seconds(own.pid) - before) / (time.monotonic() - began)
            assert 0.25 <= others() <= 0.85, "the share of the processors that is wanted, or what others leave of it"
        finally:
            own.kill()
            own.wait()
    assert share < 0.6, "others have the processors"
    assert not [pid for pid in faults.descendants(os.getpid()) if b"sched_setaffinity" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()]


def test_a_disk_gets_full_though_somebody_writes_meanwhile(monkeypatch):
    with SmallDisk(16 << 20) as disk:
        file, statvfs = pathlib.Path(disk.outside(disk.path), "file"), os.statvfs
        file.with_name("first").write_bytes(b"a tmpfs of size 0 has no limit")

        def measure_and_write(path):
            found = statvfs(path)
            if not file.exists():
                file.write_bytes(bytes(1 << 20))
            return found

        monkeypatch.setattr(os, "statvfs", measure_and_write)
        with disk.full(), pytest.raises(OSError, match="No space left"):
            file.with_name("more").write_bytes(bytes(1 << 20))
        file.with_name("more").write_bytes(bytes(1 << 20))


@pytest.mark.nightly
def test_a_database_has_its_data_on_the_disk():
    with SmallDisk(128 << 20) as disk, PostgreSQL(disk=disk) as database:
        assert os.path.exists(disk.outside(database.data)) and not os.path.exists(database.data)
        assert database.sql("SHOW data_directory") == [[database.data]]


def test_a_link_that_is_cut_loses_what_is_sent_and_resets_afterwards():
    with socket.create_server(("127.0.0.1", 0)) as server, LongLink(server.getsockname()[1]) as link, \
            socket.create_connection(("127.0.0.1", link.port)) as client:
        accepted, _ = server.accept()
        client.sendall(b"before")
        assert accepted.recv(100) == b"before"
        with faults.cut(link):
            client.sendall(b"lost")
            accepted.settimeout(0.3)
            with pytest.raises(TimeoutError):
                accepted.recv(100)
        accepted.settimeout(30)
        client.settimeout(30)
        assert accepted.recv(100) == b"" and client.recv(100) == b"", "both ends learn that the connection is over"
        with socket.create_connection(("127.0.0.1", link.port)) as again:
            accepted, _ = server.accept()
            again.sendall(b"after")
            assert accepted.recv(100) == b"after"
            accepted.close()


@pytest.mark.nightly
def test_the_load_program_loads_postgresql():
    with PostgreSQL(configuration="wal_level = logical") as database:
        database.sql(f"ALTER ROLE {USER} REPLICATION")
        command("cdc-prometheus-postgresql", "schema.py", DATABASE_URL=database.url())
        with load("cdc-prometheus-postgresql", 50, url=database.url()) as report, \
                Worker("cdc-prometheus-postgresql", DATABASE_URL=database.url(), CHANGE_SECONDS=0.001):
            assert report()["successRate"] == 1


@pytest.mark.nightly
def test_the_load_program_loads_the_csv_jobs():
    """By its producer, and finds the results in RabbitMQ."""
    with RabbitMQ() as broker, Program(PRODUCER, RABBITMQ_URL=broker.amqp_url()) as producer, \
            Worker("csv-jobs-rabbitmq", RABBITMQ_URL=broker.amqp_url()), \
            load("csv-jobs-rabbitmq", 50, url=producer.url, rabbitmq=broker.amqp_url(), seconds=0, concurrency=5) as report:
        found = report()
    assert (found["successRate"], found["succeeded"], found["concurrency"]) == (1, 50, 5)


def test_the_workers_on_a_dashboard_are_the_replicas_without_those_that_stop(tmp_path):
    states = [["Running", "Terminating"], [], ["Pending", "Running"]]
    (tmp_path / "api").mkdir()
    (tmp_path / "api" / "workers").write_text(json.dumps({"objects": [{"workers": [{"state": state} for state in each]} for each in states]}))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        samples = Samples(lambda: replicas_by_dashboard(f"http://127.0.0.1:{server.server_port}/"))
        found = samples.end()
        server.shutdown()
    assert len(found) >= 2 and {replicas for _when, replicas in found} == {3}


def test_a_dashboard_that_cannot_be_reached_is_a_mistake_before_the_first_job():
    url = f"http://127.0.0.1:{free_port()}"
    done = subprocess.run([sys.executable, f"{COMMON}/load.py", "csv-jobs-rabbitmq", "--dashboard", url], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 2 and f"--dashboard {url}: the replicas cannot be counted: " in done.stdout


@pytest.mark.nightly
def test_the_load_program_loads_nats():
    """With a worker that only responds."""
    async def respond(jetstream, jobs):
        subject = (await jetstream.stream_info("MEMES_DONE")).config.subjects[0]
        workers = await jetstream.pull_subscribe_bind("makers", "MEMES")
        for _ in range(jobs):
            [message] = await workers.fetch(1, timeout=60)
            await jetstream.publish(subject, json.dumps({"id": json.loads(message.data)["id"]}).encode())
            await message.ack()

    with Nats() as broker, broker.connect() as client:
        command("memes-nats", "streams.py", NATS_URL=broker.url)
        with load("memes-nats", 50, url=broker.url, seconds=0) as report:
            asyncio.run_coroutine_threadsafe(respond(client.jetstream, 50), client.loop).result(180)
            assert report()["successRate"] == 1
