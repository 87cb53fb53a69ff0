"""What the runs of all examples share: their options, and what they say of mistakes."""

import argparse
import importlib
import json
import os
import pathlib
import re
import shlex
import socket
import subprocess
import sys
import time

import pytest
import requests

from support.example import COMMON, Program
from support.process import free_port
from support.server.server import REPOSITORY

RUNS = sorted(pathlib.Path(REPOSITORY, "examples").glob("*/run"))
SECONDS = 60


def run(path, *arguments):
    """Exit code and output."""
    done = subprocess.run([sys.executable, path, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60)
    return done.returncode, done.stdout


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.parent.name)
def test_wrong_options_are_refused_before_anything_starts(path):
    for arguments, words in ((["--only", "nonsense"], "no part nonsense; there are"), (["--speed", "0"], "--speed: must be above 0"),
                             (["--sped", "2"], "unrecognized")):
        code, text = run(path, *arguments)
        assert code == 2 and words in text, text
        assert "Starting" not in text


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.parent.name)
def test_every_part_is_played_by_a_test(path):
    _, text = run(path, "--help")
    usual, by_name = re.search(r" --only PART,... of ([a-z, ]+)(?:; not played otherwise: ([a-z, ]+))?(?: --|$)", " ".join(text.split())).groups()
    tests = importlib.import_module(f"test_{path.parent.name.replace('-', '_')}")
    played = {part for entry in tests.PLAYED for part in (getattr(entry, "values", entry)[0] or usual).replace(" ", "").split(",")}
    assert played == set(f"{usual},{by_name or ''}".replace(" ", "").strip(",").split(","))


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.parent.name)
def test_an_example_is_executable_and_in_the_index(path):
    name = path.parent.name
    assert os.access(path, os.X_OK)
    assert f"(../examples/{name}/README.md)" in pathlib.Path(REPOSITORY, "docs", "examples.md").read_text()
    readme = (path.parent / "README.md").read_text()
    assert f"./dev example {name}" in readme and f"examples/{name}/manifests" in readme


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.parent.name)
def test_the_image_has_the_versions_that_are_tested(path):
    tested = pathlib.Path(REPOSITORY, "test", "requirements.txt").read_text().split()
    for line in (path.parent / "requirements.txt").read_text().split():
        assert line in tested
    assert re.search(r"COPY .*worker\.py", (path.parent / "Dockerfile").read_text())


ADDRESSES = {"csv-jobs-rabbitmq": [r"file=@data.csv\" http://localhost:(\d+)/upload"],
             "memes-nats": [r"The page: http://localhost:(\d+)/", r"nats=ws://localhost:(\d+)"],
             "video-conversion-rabbitmq": [r"the page to upload videos: http://localhost:(\d+)/"],
             "video-rendering-kafka": [r"the page to ask for videos: http://localhost:(\d+)/"],
             "cdc-prometheus-postgresql": []}  # which has no page


@pytest.mark.nightly
@pytest.mark.parametrize("name", ADDRESSES)
def test_a_live_run_stays_with_pages_and_dashboard_on_the_address_to_bind_and_says_how_to_load_it(name, tmp_path):
    """On another address they could not be published from a container."""
    live = subprocess.Popen([sys.executable, "-u", RUNS[0].parents[1] / name / "run", "--live", "--bind", "127.0.0.2"], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        printed = ""
        for line in live.stdout:
            printed += line
            if "stays as it is" in line:
                break
        dashboard = re.search(r"Dashboard and API: http://127\.0\.0\.2:(\d+)/", printed)[1]
        assert requests.get(f"http://127.0.0.2:{dashboard}/", headers={"Host": f"localhost:{dashboard}"}, timeout=SECONDS).ok
        for pattern in ADDRESSES[name]:
            socket.create_connection(("127.0.0.2", int(re.search(pattern, printed)[1])), timeout=SECONDS).close()
        command = shlex.split(re.search(rf"\./dev load {name} .*", printed)[0])[2:]
        jobs = [] if "--jobs=" in " ".join(command) else ["--jobs=3"]
        subprocess.run([sys.executable, os.path.join(COMMON, "load.py"), *command, *jobs, "--json", tmp_path / "load.json"], check=True, timeout=180)
        report = json.loads((tmp_path / "load.json").read_text())
        assert report["successRate"] == 1 and report["speed"] >= 10
        assert 1 <= report["peakReplicas"] <= 10 and "replicaHours" in report, "by the dashboard"
    finally:
        live.terminate()
        live.communicate(timeout=SECONDS)
    assert live.returncode == 130


def test_dev_lists_the_examples():
    done = subprocess.run([os.path.join(REPOSITORY, "dev"), "example"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0
    for path in RUNS:
        assert path.parent.name in done.stdout
    done = subprocess.run([os.path.join(REPOSITORY, "dev"), "example", "nonsense"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True)
    assert done.returncode == 1 and "no example nonsense" in done.stdout


HEALTHY = """
import http.server, os

class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

http.server.HTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Healthy).serve_forever()
"""


@pytest.mark.parametrize("host", ["127.0.0.2", "0.0.0.0"])
def test_a_program_is_reached_where_it_listens(tmp_path, host):
    path = tmp_path / "healthy.py"
    path.write_text(HEALTHY)
    program = Program(str(path), host=host)
    program.start_seconds = 20
    with program:
        assert program.ready()


@pytest.mark.parametrize("cluster, http, shown", [
    (None, "0.0.0.0:9092", ["http://localhost:9092/", "http://127.0.0.1:9099/"]), (object(), "127.0.0.1:9099", ["http://127.0.0.1:9099/"]),
    (object(), None, ["http://127.0.0.1:9099/"])])
def test_a_run_says_where_the_pages_are(tmp_path, capsys, cluster, http, shown):
    from common.play import Play
    with Play(str(tmp_path), argparse.Namespace(speed=1, e2e=cluster is not None, http=http)) as play:
        play.cluster, play.server = cluster, argparse.Namespace(http_port=9099)
        play._announce()
    assert re.findall(r"http://\S+", capsys.readouterr().out) == shown


def test_two_runs_that_begin_together_choose_different_ports():
    """Nobody listens on them yet."""
    from common.play import claims, options_port
    live, port = argparse.Namespace(live=True, bind="127.0.0.1"), free_port()
    assert options_port(live, port) == port != options_port(live, port)
    claims.pop().close()  # as when the first one has ended
    assert options_port(live, port) == port


def test_a_value_has_the_unit_of_its_trigger_and_no_time_before_the_run_has_begun(tmp_path, capsys):
    sys.path.insert(0, os.path.join(REPOSITORY, "examples"))
    from common.play import Play
    with Play(str(tmp_path), argparse.Namespace(speed=10)) as play:
        play.event("topics are there")
        assert capsys.readouterr().out == "            --> topics are there\n"
        play.began, play.units = time.time(), {300: "seconds", 1000000: "bytes"}
        line = {"ready": 1, "error": None}
        play.replicas = 1
        play._state({**line, "value": 541.806412, "target": 300.0})
        play._state({**line, "value": 318800.0, "target": 1000000.0})
        assert capsys.readouterr().out.splitlines() == ["  0:00    541.8 seconds    1  #", "  0:00   318800 bytes      1  #"]
