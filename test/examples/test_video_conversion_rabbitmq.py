"""examples/video-conversion-rabbitmq: 37 videos make 8 workers, none make 0, and no fault loses one."""

import concurrent.futures
import contextlib
import importlib
import json
import os
import pathlib
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from unittest import mock

import pytest
import requests
import yaml
from prometheus_client import REGISTRY

from support.pages.browser import Browser
from support.pages.dashboard import assert_answered
from support.example import COMMON, Program, Worker, clip, disk_full_of_rabbitmq, load, play_parts
from support.clients.grpc_client import Client
from support.disk import SmallDisk
from support.process import free_port, need, wait_until
from support.brokers.rabbitmq import RabbitMQ
from support.brokers.s3 import S3
from support.server.server import REPOSITORY, Server

NAME = "video-conversion-rabbitmq"
FOLDER = os.path.join(REPOSITORY, "examples", NAME)
SECONDS = 90
DISK_BYTES = 4 << 20  # of a worker


PLAYED = [
    ("timeline,baseline", ["37 videos, 8 workers"]),
    ("worker,service,backlog,slow,disk,network,broker,bursts", ["so no busy worker was removed", "no worker removed while the network is cut", "no job interrupted"]),
    ("storage", ["no false zero while the disk is full"]),
    ("load,cpu", ["20 jobs, 20 succeeded (100.0 %)", "times as long; all complete, none interrupted"])]


@pytest.mark.nightly
@pytest.mark.parametrize("parts, seen", PLAYED)
def test_the_example_shows_what_it_promises(parts, seen):
    play_parts(NAME, parts, seen, "--jobs", "20")  # of the part `load`


class System:
    """All but KEDA: storage, RabbitMQ, API; worker() is a process."""

    def __init__(self, stack, folder):
        self.metrics_port = free_port()
        [configuration] = [item["data"]["20-video.conf"] for item in yaml.safe_load_all(pathlib.Path(FOLDER, "manifests", "rabbitmq.yaml").read_text())
                           if item["kind"] == "ConfigMap"]
        self.broker = stack.enter_context(RabbitMQ("\n".join([
            f"prometheus.tcp.port = {self.metrics_port}", "prometheus.tcp.ip = 127.0.0.1", configuration]), ["rabbitmq_prometheus"]))
        self.storage = stack.enter_context(S3())
        self.video = clip(folder / "clip.mkv", seconds=0.5)
        self.api = stack.enter_context(Program(os.path.join(FOLDER, "api.py"), RABBITMQ_URL=self.broker.amqp_url(),
                                               STATES=folder / "states.sqlite", **self.storage.variables(),
                                               S3_PUBLIC_ENDPOINT=f"http://{{host}}:{self.storage.port}"))

    def worker(self, **variables):
        return Worker(NAME, **{"RABBITMQ_URL": self.broker.amqp_url(), **self.storage.variables(), **variables})

    def call(self, method, path, body=None):
        return requests.request(method, self.api.url + path, json=body, timeout=SECONDS)

    def upload(self, data=None):
        """Returns the job's id."""
        job = self.call("POST", "/upload/request").json()
        assert requests.put(job["upload_url"], data=data or self.video.read_bytes(), timeout=SECONDS).ok
        return job["job_id"]

    def publish(self, data=None):
        job = self.upload(data)
        answer = self.call("POST", "/jobs", {"job_id": job, "output_format": "mp4"})
        assert (answer.status_code, answer.json()["status"]) == (202, "PENDING")
        return job

    def status(self, job):
        return self.call("GET", f"/jobs/{job}").json()["status"]

    def wait_for(self, job, status):
        wait_until(lambda: self.status(job) == status, SECONDS, f"{status} of {job}")


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    with contextlib.ExitStack() as stack:
        yield System(stack, tmp_path_factory.mktemp("video"))


@pytest.fixture(autouse=True)
def empty_queue(request):
    yield
    if "system" in request.fixturenames:
        request.getfixturevalue("system").broker.purge("videos")


def test_a_video_is_uploaded_converted_and_downloaded_as_with_curl(system, tmp_path):
    def curl(*words):
        return subprocess.run(["curl", "--silent", "--show-error", "--fail-with-body", *words], check=True, stdout=subprocess.PIPE).stdout

    def post(path, body):
        return json.loads(curl("-X", "POST", "-H", "Content-Type: application/json", "-d", json.dumps(body), system.api.url + path))

    job = post("/upload/request", {})
    assert job["expires_in"] == 600 and "X-Amz-Expires=600&" in job["upload_url"]
    assert system.status(job["job_id"]) == "PENDING"
    curl("-T", str(system.video), job["upload_url"])
    assert post("/jobs", {"job_id": job["job_id"], "output_format": "mp4"})["status"] == "PENDING"
    with system.worker():
        system.wait_for(job["job_id"], "DONE")
    done = json.loads(curl(f"{system.api.url}/jobs/{job['job_id']}"))
    (tmp_path / "result.mp4").write_bytes(curl(done["output_url"]))
    found = subprocess.run(["ffprobe", "-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0", tmp_path / "result.mp4"],
                           check=True, stdout=subprocess.PIPE, text=True).stdout
    assert sorted(found.split()) == ["aac", "h264"]


def test_a_video_has_its_filename_and_type(system):
    body = {"filename": "my holiday/\u6d77.mov", "content_type": "video/quicktime"}
    job = system.call("POST", "/upload/request", body).json()
    assert job["presigned_url"] == job["upload_url"]
    assert requests.put(job["presigned_url"], data=system.video.read_bytes(), headers={"Content-Type": body["content_type"]}, timeout=SECONDS).ok
    system.call("POST", "/jobs", {"job_id": job["job_id"], "output_format": "mp4"})
    with system.worker():
        system.wait_for(job["job_id"], "DONE")
    done = system.call("GET", f"/jobs/{job['job_id']}").json()
    assert body.items() <= done.items()
    result = requests.get(done["output_url"], timeout=SECONDS)
    assert result.headers["Content-Disposition"] == f"attachment; filename=\"{job['job_id']}.mp4\"; filename*=UTF-8''%E6%B5%B7.mp4"
    for wrong in ({"filename": 1}, {"filename": "x" * 256}, {"content_type": "text/html"}, []):
        assert system.call("POST", "/upload/request", wrong).status_code == 400


def test_the_states_of_before_get_the_new_columns(programs, tmp_path):
    module = programs("states")
    with contextlib.closing(sqlite3.connect(tmp_path / "states.sqlite")) as database:
        database.execute(module.TABLE.replace(",\n    filename TEXT,\n    content_type TEXT", ""))
    states = module.States(tmp_path / "states.sqlite")
    states.request("job", "a.mov", "video/quicktime")
    assert states.get("job")["filename"] == "a.mov"


def test_only_the_signed_object_can_be_sent_and_only_with_its_signature(system):
    url = system.call("POST", "/upload/request").json()["upload_url"]
    other = system.call("POST", "/upload/request").json()["job_id"]
    path, _, query = url.partition("?")
    for wrong in (path, f"{path.rsplit('/', 1)[0]}/{other}?{query}", url.replace("Expires=600", "Expires=6000")):
        assert requests.put(wrong, data=b"x", timeout=SECONDS).status_code in (400, 403)


def test_a_browser_that_has_another_name_for_the_machine_gets_urls_with_that(system):
    for host, name in (("laptop.local:8000", "laptop.local"), ("localhost", "localhost")):
        url = requests.post(f"{system.api.url}/upload/request", headers={"Host": host}, timeout=SECONDS).json()["upload_url"]
        assert url.startswith(f"http://{name}:{system.storage.port}/input/")


def test_what_is_wrong_with_a_request_is_said(system):
    assert system.call("GET", "/jobs/none").status_code == 404
    job = system.call("POST", "/upload/request").json()["job_id"]
    for body, code, words in (({"job_id": job}, 409, "PUT it to the upload_url"), ({"job_id": "none"}, 404, "/upload/request"),
                              ({"job_id": 7}, 404, "no job"), ([], 400, "JSON object"), ({"job_id": job, "output_format": "exe"}, 400, "mp4, mkv, mov"),
                              ({"job_id": job, "output_format": ["mp4"]}, 400, "mp4, mkv, mov")):
        answer = system.call("POST", "/jobs", body)
        assert answer.status_code == code and words in answer.json()["error"]
    assert requests.post(f"{system.api.url}/jobs", data=b"x" * 20_000, timeout=SECONDS,
                         headers={"Content-Type": "application/json"}).status_code == 413


def test_the_same_job_published_again_is_converted_once(system):
    job = system.publish()
    assert system.call("POST", "/jobs", {"job_id": job}).status_code == 202
    assert "videos\t1\n" in system.broker.ctl("list_queues", "name", "messages", "--no-table-headers")
    assert system.call("POST", "/jobs", {"job_id": job}).json()["output_format"] == "mp4"


def test_the_states_survive_a_killed_api_which_catches_up(system):
    job = system.publish()
    system.api.kill()
    with system.worker() as worker:
        lines = iter(worker.child.stdout.readline, "")
        assert any(f"{job} converted" in line for line in lines)
        system.api.start()
        system.wait_for(job, "DONE")


def test_a_file_that_is_no_video_fails_with_ffmpegs_words_and_stops_no_worker(system):
    for body in (b"convert this", b"{}", b"7", b'{"job_id": "../x", "output_format": "mp4"}'):
        system.broker.publish("videos", body=body)
    bad, good = system.publish(b"this is no video"), system.publish()
    with system.worker() as worker:
        system.wait_for(bad, "FAILED")
        system.wait_for(good, "DONE")
        printed = [worker.child.stdout.readline() for _ in range(6)]
        assert printed[:2] == ["storage: connected\n", "RabbitMQ: connected\n"]
        assert all(line.startswith("refused: ") for line in printed[2:])
    assert "Invalid data" in system.call("GET", f"/jobs/{bad}").json()["error"]


def test_odd_sizes_rgb_and_subtitles_become_what_every_browser_plays(system, tmp_path):
    (tmp_path / "words.srt").write_text("1\n00:00:00,000 --> 00:00:00,400\nwords\n")
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=161x121:duration=0.5", "-i", tmp_path / "words.srt",
                    "-c:v", "libx264rgb", "-pix_fmt", "rgb24", "-c:s", "srt", tmp_path / "odd.mkv"], check=True)
    job = system.publish((tmp_path / "odd.mkv").read_bytes())
    with system.worker():
        wait_until(lambda: system.status(job) in ("DONE", "FAILED"), SECONDS, "the end")
    done = system.call("GET", f"/jobs/{job}").json()
    assert done["status"] == "DONE", done
    (tmp_path / "result.mp4").write_bytes(requests.get(done["output_url"], timeout=SECONDS).content)
    found = subprocess.run(["ffprobe", "-v", "error", "-show_entries", "stream=codec_name,width,height,pix_fmt", "-of", "csv=p=0", tmp_path / "result.mp4"],
                           check=True, stdout=subprocess.PIPE, text=True).stdout
    assert found == "h264,160,120,yuv420p\n"


def test_a_video_that_takes_too_long_fails_before_rabbitmq_gives_it_to_another_worker(system, programs):
    job = system.publish(clip(system.video.parent / "slow.mkv", seconds=3).read_bytes())
    with system.worker(FFMPEG_INPUT_OPTIONS="-re", MAX_SECONDS=0.5):
        system.wait_for(job, "FAILED")
    assert system.call("GET", f"/jobs/{job}").json()["error"] == "longer than 0.5 seconds"
    timeout = system.broker.ctl("eval", "{ok, T} = application:get_env(rabbit, consumer_timeout), T.")
    with open(os.path.join(FOLDER, "manifests", "worker.yaml"), encoding="utf-8") as file:
        grace = re.search(r"terminationGracePeriodSeconds: (\d+)", file.read())[1]
    longest = programs("worker").MAX_SECONDS
    assert longest < int(grace) and int(timeout) >= 2 * 1000 * longest


def test_a_worker_ends_after_the_job_that_it_has_even_if_its_process_group_is_signalled(system):
    first, second = system.publish(clip(system.video.parent / "long.mkv", seconds=3).read_bytes()), system.publish()
    with system.worker(FFMPEG_INPUT_OPTIONS="-re") as worker:
        system.wait_for(first, "PROCESSING")
        os.killpg(worker.child.pid, signal.SIGTERM)
        assert worker.child.wait(SECONDS) == 0
    system.wait_for(first, "DONE")
    assert system.status(second) == "PENDING"
    assert "error" not in system.call("GET", f"/jobs/{second}").json()
    with system.worker() as worker:
        system.wait_for(second, "DONE")
        page = requests.get(f"http://127.0.0.1:{worker.metrics_port}/metrics", timeout=SECONDS).text
    assert "worker_jobs_redelivered_total 0.0" in page, "a worker that ends takes no further job"


def test_a_storage_that_is_away_delays_a_job_and_fails_none(system):
    with system.worker(S3_ENDPOINT="http://127.0.0.1:1") as worker:
        job = system.publish()
        assert worker.child.stdout.readline().startswith("storage: ")
        assert any("is given back" in line for line in iter(worker.child.stdout.readline, ""))
        wait_until(lambda: "the storage cannot be reached" in system.call("GET", f"/jobs/{job}").json().get("error", ""), SECONDS, "the reason")
    with system.worker():
        system.wait_for(job, "DONE")
    assert "error" not in system.call("GET", f"/jobs/{job}").json()


@pytest.fixture
def path_of(tmp_path):
    """A PATH with this script as FFmpeg."""
    def make(script):
        (tmp_path / "ffmpeg").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "ffmpeg").chmod(0o755)
        return f"{tmp_path}:{os.environ['PATH']}"
    return make


def test_a_video_that_ends_each_ffmpeg_fails_after_some_tries(system, path_of):
    """As one that needs more memory than there is."""
    starts = system.call("GET", "/jobs").json()["starts"]
    with system.worker(PATH=path_of("kill -9 $$")):
        job = system.publish()
        wait_until(lambda: "trying again" in system.call("GET", f"/jobs/{job}").json().get("error", ""), SECONDS, "the reason")
        system.wait_for(job, "FAILED")
    assert system.call("GET", f"/jobs/{job}").json()["error"] == "given up after 5 tries: FFmpeg was ended by a signal"
    assert system.call("GET", "/jobs").json()["starts"] == starts + 5


def test_a_video_that_ends_each_worker_fails_after_some_tries(system, path_of):
    """The kernel ends all processes of a container that needs too much memory."""
    job, path = system.publish(), path_of("kill -9 $PPID $$")
    for _ in range(5):
        with system.worker(PATH=path) as worker:
            assert worker.child.wait(SECONDS) == -signal.SIGKILL
    with system.worker():
        system.wait_for(job, "FAILED")
    assert system.call("GET", f"/jobs/{job}").json()["error"] == "given up after 5 tries: its worker ended"


def test_a_job_that_waits_after_its_worker_was_killed_is_pending_with_the_reason(system):
    job = system.publish(clip(system.video.parent / "long.mkv", seconds=3).read_bytes())
    with system.worker(FFMPEG_INPUT_OPTIONS="-re") as worker:
        system.wait_for(job, "PROCESSING")
        worker.child.kill()
    others = [system.publish(clip(system.video.parent / "long.mkv", seconds=3).read_bytes()) for _ in range(2)]
    with system.worker(FFMPEG_INPUT_OPTIONS="-re"):
        wait_until(lambda: system.call("GET", f"/jobs/{job}").json().get("error") == "trying again: its worker ended", SECONDS, "the reason")
        assert system.status(job) == "PENDING"
        for each in (job, *others):
            system.wait_for(each, "DONE")


@pytest.fixture
def disk(monkeypatch):
    """For the worker's files."""
    with SmallDisk(DISK_BYTES) as disk:
        monkeypatch.setattr(tempfile, "tempdir", disk.outside(disk.path))
        yield pathlib.Path(disk.outside(disk.path))


class Videos:
    """A storage that gives this file, and keeps the result."""

    def __init__(self, file):
        self.file, self.result = file, None

    def fget_object(self, file_path, **_):
        shutil.copy(self.file, file_path)

    def fput_object(self, file_path, **_):
        self.result = pathlib.Path(file_path).read_bytes()


@pytest.fixture
def short(tmp_path):
    return clip(tmp_path / "short.mkv", seconds=10)


def size_of_result(worker, file):
    videos = Videos(file)
    worker.convert(videos, "job", "mp4")
    return len(videos.result)


@pytest.mark.parametrize("where", ["trailer", "result", "video"])
def test_a_job_is_given_back_where_others_fill_the_workers_disk(programs, disk, short, where):
    """FFmpeg 5.1 of Debian 12 ends with 0 if it cannot write the end of the result."""
    worker = programs("worker")
    result, source = size_of_result(worker, short), os.path.getsize(short)
    room = {"trailer": source + result - 1, "result": source + result // 2, "video": source // 2}[where]
    (disk / "others").write_bytes(bytes(DISK_BYTES - room // 4096 * 4096))
    videos = Videos(short)
    with pytest.raises(OSError, match="disk is full") as raised:
        worker.convert(videos, "job", "mp4")
    assert videos.result is None and not isinstance(raised.value, worker.Unfinished) and worker.storage.may_pass(raised.value)


@pytest.mark.parametrize("size", [DISK_BYTES + 1, DISK_BYTES - 8192])
def test_a_video_that_fills_the_disk_by_itself_fails(programs, disk, short, size):
    worker = programs("worker")
    with short.open("ab") as file:
        file.truncate(size)
    with pytest.raises(worker.Refused, match="disk is too small"):
        worker.convert(Videos(short), "job", "mp4")


def test_a_result_whose_end_is_missing_is_not_stored(programs, path_of, monkeypatch, short):
    monkeypatch.setenv("PATH", path_of("for result; do :; done; echo video >$result; echo 'Error writing trailer of output.mp4: Input/output error' >&2"))
    worker, videos = programs("worker"), Videos(short)
    with pytest.raises(worker.Unfinished, match="Input/output error"):
        worker.convert(videos, "job", "mp4")
    assert videos.result is None


def test_cpu_time_and_memory_of_a_video_are_shown_while_it_converts(system):
    video = system.video.parent / "large.mkv"
    subprocess.run([sys.executable, os.path.join(COMMON, "clip.py"), video, "--seconds=4", "--size=1280x720"], check=True)
    with system.worker(FFMPEG_INPUT_OPTIONS="-re") as worker:
        def figures():
            page = requests.get(f"http://127.0.0.1:{worker.metrics_port}/metrics", timeout=SECONDS).text
            return tuple(float(re.search(rf"^{name} (.*)$", page, re.MULTILINE)[1])
                         for name in ("worker_jobs_total", "worker_cpu_seconds", "worker_ffmpeg_memory_bytes"))

        found = [figures()]
        system.publish(video.read_bytes())
        while found[-1][0] == 0:
            found.append(figures())
            time.sleep(0.05)
    [_, cpu_before, memory_before], [_, cpu, memory] = found[0], found[len(found) * 3 // 4]
    assert cpu > cpu_before + 0.1 and memory > memory_before + 10e6, "long before the job has ended"
    assert [cpu for _, cpu, _ in found] == sorted(cpu for _, cpu, _ in found)


def test_a_worker_waits_for_a_broker_that_is_away(system):
    with system.worker(RABBITMQ_URL="amqp://guest:guest@127.0.0.1:1/%2F") as worker:
        assert any(line.startswith("RabbitMQ: ") and "trying again" in line for line in iter(worker.child.stdout.readline, ""))
        assert worker.terminate() == 0


@pytest.fixture
def programs(monkeypatch, tmp_path):
    """Imports a module of the example here."""
    monkeypatch.syspath_prepend(FOLDER)
    for name, value in {"RABBITMQ_URL": "amqp://127.0.0.1:1/", "S3_ENDPOINT": "http://127.0.0.1:1", "S3_ACCESS_KEY": "a", "S3_SECRET_KEY": "b",
                        "STATES": str(tmp_path / "states.sqlite")}.items():
        monkeypatch.setenv(name, value)
    before, metrics = set(sys.modules), set(REGISTRY._collector_to_names)
    yield importlib.import_module
    for metric in set(REGISTRY._collector_to_names) - metrics:
        REGISTRY.unregister(metric)
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(FOLDER):
            del sys.modules[name]


def test_a_report_that_comes_again_changes_nothing_after_another_worker_has_begun(programs, tmp_path):
    states = programs("states").States(tmp_path / "states.sqlite")
    states.request("job")
    assert (states.counts()["pending"], states.counts()["queued"]) == (1, 0)  # a page that counts it shows less than none otherwise
    states.choose("job", "mp4")
    states.publish("job")
    states.start("job", "one")
    states.wait("job", "trying again", "one")
    assert (states.get("job")["status"], states.counts()["queued"]) == ("PENDING", 1)
    states.start("job", "two")
    states.wait("job", "trying again", "one")
    assert (states.get("job")["status"], states.get("job")["starts"]) == ("PROCESSING", 2)
    states.wait("job", "trying again: its worker ended", None)  # it could not report which start was its own
    assert states.get("job")["status"] == "PENDING"
    states.start("job", "three")
    states.finish("job", "DONE")
    states.finish("job", "FAILED", "given up")  # a worker whose acknowledgement was lost has done it
    assert (states.get("job")["status"], states.get("job")["error"]) == ("DONE", None)


@pytest.fixture
def api(programs, monkeypatch):
    """Each video is there, and what is published is in `published`."""
    api = programs("api")
    api.published = []
    monkeypatch.setattr(api.publisher, "publish", lambda _queue, body: api.published.append(json.loads(body)))
    monkeypatch.setattr(api.storage, "exists", lambda *_: time.sleep(0.1) or True)
    return api


def test_two_requests_at_once_publish_a_job_once(api):
    job = api.app.test_client().post("/upload/request").json["job_id"]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda name: api.app.test_client().post("/jobs", json={"job_id": job, "output_format": name}).json, ("mp4", "mkv")))
    assert len(api.published) == 1
    assert {answer["output_format"] for answer in (*answers, *api.published, api.states.get(job))} == {api.published[0]["output_format"]}


def test_a_job_whose_publication_could_not_be_recorded_has_its_result(api, monkeypatch):
    client = api.app.test_client()
    job = client.post("/upload/request").json["job_id"]
    with monkeypatch.context() as patch:
        patch.setattr(api.states, "publish", mock.Mock(side_effect=sqlite3.OperationalError("database or disk is full")))
        assert client.post("/jobs", json={"job_id": job, "output_format": "mkv"}).status_code == 500
    assert client.post("/jobs", json={"job_id": job, "output_format": "mp4"}).json["output_format"] == "mkv", "as what was published first"
    assert [one["output_format"] for one in api.published] == ["mkv", "mkv"]


def test_a_worker_that_begins_a_job_has_seen_it_published(api, monkeypatch):
    client = api.app.test_client()
    job = client.post("/upload/request").json["job_id"]
    monkeypatch.setattr(api.states, "publish", mock.Mock(side_effect=sqlite3.OperationalError("database or disk is full")))
    client.post("/jobs", json={"job_id": job, "output_format": "mkv"})
    for report in ({"status": "PROCESSING", "start": "one"}, {"status": "DONE"}):
        api.record(json.dumps({"job_id": job, **report}).encode())
        assert api.states.counts()["published"] == 1
    answer = client.post("/jobs", json={"job_id": job, "output_format": "mkv"}).json
    assert len(api.published) == 1 and answer["status"] == "DONE" and f"{job}.mkv?" in answer["output_url"]


def test_a_job_that_sqlite_does_not_take_is_not_published(api, monkeypatch):
    client = api.app.test_client()
    job = client.post("/upload/request").json["job_id"]
    monkeypatch.setattr(api.states, "_change", mock.Mock(side_effect=sqlite3.OperationalError("database or disk is full")))
    assert client.post("/jobs", json={"job_id": job}).status_code == 500 and api.published == []


def test_odd_reports_are_passed_over_and_a_full_disk_is_not(programs, monkeypatch):
    api = programs("api")
    for odd in (b"", b"7", b"[]", b"{}", b'{"job_id": {}, "status": "DONE"}', b'{"job_id": "a", "status": "FAILED", "error": []}',
                b'{"job_id": "a", "status": "PROCESSING", "start": {}}', b'{"job_id": "a", "status": "GONE"}'):
        api.record(odd)
    report = b'{"job_id": "a", "status": "DONE"}'
    channel, connection = mock.Mock(), mock.Mock(is_open=True)
    channel.consume.side_effect = lambda queue: iter([(mock.Mock(delivery_tag=7), None, report)])
    monkeypatch.setattr(api, "connect", lambda url: (connection, channel))
    monkeypatch.setattr(api.states, "finish", mock.Mock(side_effect=[sqlite3.OperationalError("database or disk is full"), None]))
    monkeypatch.setattr(api.time, "sleep", mock.Mock())
    channel.basic_ack.side_effect = KeyboardInterrupt  # ends the thread
    with pytest.raises(KeyboardInterrupt):
        api.follow_states()
    assert connection.close.call_count == 1 and api.states.finish.call_count == 2 and channel.basic_ack.call_count == 1


def test_what_the_storage_refuses_for_good_is_not_tried_again(programs):
    storage = programs("storage")
    error = programs("minio.error")

    def refused(code, status):
        return error.S3Error(response=mock.Mock(status=status), code=code, message="words", resource=None, request_id=None, host_id=None)

    for one, may_pass, words in (
            (refused("AccessDenied", 403), False, "the storage refused it: AccessDenied: words"),
            (refused("SlowDown", 503), True, "SlowDown"), (refused("XMinioStorageFull", 507), True, "XMinioStorageFull"),
            (error.ServerError("server error at http://10.0.0.1", 502), True, "the storage failed with HTTP 502"),
            (error.InvalidResponseError(502, "text/html", "10.0.0.1"), True, "the storage gave no valid answer"),
            (OSError("FFmpeg was ended by a signal"), True, "FFmpeg was ended by a signal")):
        assert isinstance(one, storage.FAILURES) and storage.may_pass(one) == may_pass
        assert words in storage.reason(one) and "10.0.0.1" not in storage.reason(one)


def alert_rules():
    items = yaml.safe_load_all(pathlib.Path(FOLDER, "alerts.yaml").read_text())
    return next(item["spec"] for item in items if item["kind"] == "PrometheusRule")


def test_the_alert_fires_above_50_and_has_the_namespace_that_its_receiver_has(tmp_path):
    """AlertmanagerConfig takes the alerts of its namespace only."""
    def firing(*values):
        """The labels of the alerts after 5 minutes with so many videos in two queues of the same name."""
        (tmp_path / "rules.yaml").write_text(yaml.safe_dump(alert_rules()))
        labels = 'namespace="video",queue="videos"'
        (tmp_path / "test.yaml").write_text(yaml.safe_dump({
            "rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [{
                "interval": "1m", "input_series": [{"series": f'rabbitmq_queue_messages_ready{{{labels},vhost="{number}"}}', "values": f"{value}x10"}
                                                   for number, value in enumerate(values)],
                "promql_expr_test": [{"expr": 'count by (namespace, severity) (ALERTS{alertstate="firing"})', "eval_time": "5m",
                                      "exp_samples": [{"labels": '{namespace="video", severity="warning"}', "value": 1}]}]}]}))
        return subprocess.run([need("promtool"), "test", "rules", "test.yaml"], cwd=tmp_path, capture_output=True, text=True).returncode == 0

    assert firing(51) and firing(26, 25) and not firing(50)


def test_the_prometheus_of_all_examples_has_the_alert():
    [config] = [item for item in yaml.safe_load_all(pathlib.Path(COMMON, "monitoring", "prometheus.yaml").read_text())
                if item["kind"] == "ConfigMap"]
    assert yaml.safe_load(config["data"]["video.rules.yml"]) == alert_rules()
    assert yaml.safe_load(config["data"]["prometheus.yml"])["rule_files"] == ["/etc/prometheus/*.rules.yml"]


def test_the_page_uploads_a_video_and_shows_its_result(system, tmp_path):
    with Browser() as browser, system.worker():
        browser.call("open", url=system.api.url)
        browser.call("files", selector="input[type=file]", paths=[str(system.video)])
        browser.click("button")
        browser.wait_for_text("download mp4", seconds=SECONDS)
        browser.screenshot("video-conversion")
        answer = requests.get(browser.evaluate("document.querySelector('td a').href"), timeout=SECONDS)
        assert answer.headers["Content-Type"] == "video/mp4" and answer.headers["Content-Disposition"].startswith("attachment; filename=")
        browser.call("files", selector="input[type=file]", paths=[__file__])
        browser.click("button")
        browser.wait_for_text("content_type must be a video", seconds=SECONDS)
        (tmp_path / "none.mp4").write_text("this is no video")
        browser.call("files", selector="input[type=file]", paths=[str(tmp_path / "none.mp4")])
        browser.click("button")
        browser.wait_for_text("Invalid data", seconds=SECONDS)
        (tmp_path / "empty.mp4").touch()
        browser.call("files", selector="input[type=file]", paths=[str(tmp_path / "empty.mp4")])
        browser.click("button")
        browser.wait_for_text("the file is empty")
        assert browser.problems() == [] and browser.axe() == []


def test_after_a_refresh_the_page_has_its_rows_and_each_click_gets_a_new_url(system):
    with Browser() as browser, system.worker():
        browser.call("open", url=system.api.url)
        browser.call("files", selector="input[type=file]", paths=[str(system.video)])
        browser.click("button")
        browser.wait_for_text("download mp4", seconds=SECONDS)
        browser.evaluate("localStorage.setItem('video-conversion none', JSON.stringify("
                         "{ job_id: 'none', output_format: 'mp4', name: 'lost.mkv', at: Date.now() }))")
        browser.evaluate("window.isOld = true; location.reload()")
        browser.wait("!window.isOld && document.querySelector('td a')", seconds=SECONDS)
        browser.wait_for_text("no job with this job_id", seconds=SECONDS)
        assert browser.evaluate("localStorage.getItem('video-conversion none')") is None
        asked = "performance.getEntriesByType('resource').filter((one) => /jobs.[0-9a-f-]{36}$/.test(one.name)).length"
        assert browser.evaluate(asked) == 0
        browser.evaluate("document.querySelector('td a').href = '#expired'")
        browser.click("td a")
        browser.wait(f"{asked} === 1")
        assert browser.evaluate("location.hash") == ""


def test_the_page_publishes_an_uploaded_video_once_rabbitmq_takes_it(system):
    with Browser() as browser, system.worker():
        browser.call("open", url=system.api.url)
        with disk_full_of_rabbitmq(system.broker):
            browser.call("files", selector="input[type=file]", paths=[str(system.video)])
            browser.click("button")
            browser.wait_for_text("RabbitMQ does not take jobs, trying again", seconds=SECONDS)
        browser.wait_for_text("download mp4", seconds=SECONDS)
        browser.evaluate("window.fetch = () => Promise.resolve(new Response('<html>', { status: 502 }))")
        browser.call("files", selector="input[type=file]", paths=[str(system.video)])
        browser.click("button")
        browser.wait_for_text("the API cannot be reached")


def test_every_query_of_the_dashboard_finds_what_it_shows(system):
    for _ in range(2):
        system.publish(b"this is no video")
    trigger = {"scaler": "rabbitmq", "host": system.broker.http_url(), "queueName": "videos", "mode": "QueueLength", "value": "5"}
    with Server(http=True) as server, Client(server.port) as client, load(NAME, 40, url=system.api.url, video=system.video) as report:
        assert client.metrics(trigger).metricValue > 0
        with system.worker(FFMPEG_INPUT_OPTIONS="-re") as worker:
            assert_answered(FOLDER, "video", video_worker_1=worker.metrics_port, backlog_0=server.http_port,
                            rabbitmq_0=system.metrics_port, api_0=system.api.metrics_port)
            found = report()
    assert found["succeeded"] == found["jobs"] == 40 and 0 < found["jobSeconds"]["p50"] <= found["jobSeconds"]["p99"]
