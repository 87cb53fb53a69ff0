"""examples/video-rendering-kafka: renderers double each minute up to ten, every viewer sees the progress, no job is lost."""

import concurrent.futures
import contextlib
import http.server
import importlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time

import pytest
import requests
import yaml
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from support.pages.browser import Browser
from support.pages.dashboard import assert_answered
from support.example import Program, Worker, command, full, load, play_parts
from support.clients.grpc_client import Client
from support.brokers.kafka import Kafka
from support.kubernetes.kubernetes_schemas import mistakes
from support.process import wait_until
from support.server.server import REPOSITORY, Server

NAME = "video-rendering-kafka"
FOLDER = os.path.join(REPOSITORY, "examples", NAME)
SECONDS = 90


PLAYED = [
    ("render", ["1, 2, 4, 8, 10 replicas, at most twice as many each minute", "saw all 100 jobs done", "0 jobs were done twice", "each viewer saw the progress"]),
    ("worker,service,backlog,broker", ["no renderer removed", "viewers at the other replica were notified, and no renderer was removed", "at most the double each minute", "saw all 40 jobs done",
                "the group has no lag"]),
    full("network", "what is sent is lost, for", "no worker removed", "saw all 40 jobs done", "the group has no lag"),
    full("bursts", "saw all 30 jobs done", "3 bursts, and zero replicas once", "at most the double each minute"),
    full("slow", "slow network: viewers at both replicas", "0 jobs were done twice"),
    full("cpu", "CPU stolen: viewers at both replicas", "0 jobs were done twice")]


@pytest.mark.nightly
@pytest.mark.parametrize("parts, seen", PLAYED)
def test_the_example_shows_what_it_promises(parts, seen):
    assert "%3|" not in play_parts(NAME, parts, seen)


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    with Kafka(group_min_session_timeout_ms=1000) as broker:
        command(NAME, "topics.py", KAFKA_BOOTSTRAP=broker.bootstrap)
        broker.videos = tmp_path_factory.mktemp("videos")
        yield broker


@pytest.fixture(scope="module")
def api(broker):
    with Program(os.path.join(FOLDER, "api.py"), KAFKA_BOOTSTRAP=broker.bootstrap, VIDEOS=broker.videos) as program:
        yield program


class Status(Program):
    """A replica of the status service."""

    def __init__(self, broker):
        super().__init__(os.path.join(FOLDER, "status.py"), KAFKA_BOOTSTRAP=broker.bootstrap)

    def viewer(self, job):
        return connect(f"ws://127.0.0.1:{self.port}/ws?jobId={job}", open_timeout=SECONDS)


def worker(broker, **variables):
    return Worker(NAME, KAFKA_BOOTSTRAP=broker.bootstrap, SESSION_SECONDS=4, VIDEOS=broker.videos, FFMPEG_INPUT_OPTIONS="-re", **variables)


def request_videos(api, jobs, seconds=0.2):
    return [requests.post(f"{api.url}/videos", json={"seconds": seconds}, timeout=SECONDS).json()["jobId"] for _ in range(jobs)]


def lag(broker):
    return sum(broker.end_offsets("videoJob", 10)) - sum(offset or 0 for offset in broker.committed("renderers", "videoJob", 10))


def steps(socket):
    """Of all events until the connection's end."""
    return [json.loads(message) for message in socket]


def test_either_replica_reports_each_step_and_a_later_client_gets_the_last_one(broker, api):
    with Status(broker) as one, Status(broker) as other:
        [job] = request_videos(api, 1, 1.5)
        with one.viewer(job) as first, other.viewer(job) as second, worker(broker):
            reported = [steps(socket) for socket in (first, second)]
        assert reported[0] == reported[1]
        assert list(dict.fromkeys(event["step"] for event in reported[0])) == ["queued", "started", "percent", "done"]
        percents = [event["percent"] for event in reported[0] if event["step"] == "percent"]
        assert percents == sorted(percents) and all(0 < percent < 100 for percent in percents)
        with other.viewer(job) as late:
            assert steps(late) == reported[0][-1:]
        with Status(broker) as new, new.viewer(job) as later:  # it may not have read all events yet
            assert steps(later)[-1] == reported[0][-1]
        assert requests.get(api.url + reported[0][-1]["url"], timeout=SECONDS).headers["Content-Type"] == "video/mp4"
        assert one.stop() == 0


def test_a_client_of_a_killed_replica_comes_back_and_misses_no_end(broker, api):
    with Status(broker) as replica:
        [job] = request_videos(api, 1)
        with replica.viewer(job) as viewer:
            assert json.loads(viewer.recv(timeout=SECONDS))["step"] == "queued"
            replica.kill()
        with worker(broker):
            wait_until(lambda: lag(broker) == 0, SECONDS, "no lag")
        replica.start()
        with replica.viewer(job) as viewer:
            assert steps(viewer)[-1]["step"] == "done"


def test_a_client_that_goes_is_forgotten_and_mistakes_are_reported(broker, api):
    with Status(broker) as status:
        for path in ("/ws", "/ws?jobId=", "/other?jobId=1", "/ws?jobId=1&jobId=2", "/ws?jobId=" + "x" * 101):
            with pytest.raises(InvalidStatus, match="400"), connect(f"ws://127.0.0.1:{status.port}{path}"):
                pass

        def clients():
            page = requests.get(f"http://127.0.0.1:{status.metrics_port}/metrics", timeout=SECONDS).text
            return next(line for line in page.splitlines() if line.startswith("status_clients "))

        with contextlib.ExitStack() as stack:
            for number in range(50):
                stack.enter_context(status.viewer(f"never-{number}"))
            wait_until(lambda: clients() == "status_clients 50.0", SECONDS, "50 clients")
        wait_until(lambda: clients() == "status_clients 0.0", SECONDS, "no client")
    for body in ({"seconds": 0}, {"seconds": "5"}, {"seconds": 601}, {"seconds": True}, []):
        answer = requests.post(f"{api.url}/videos", json=body, timeout=SECONDS)
        assert body == [] or (answer.status_code == 400 and "at most 600" in answer.json()["error"])


def test_a_worker_ends_after_the_job_that_it_has(broker, api):
    request_videos(api, 10, 1)
    with worker(broker) as renderer:
        wait_until(lambda: lag(broker) < 10, SECONDS, "a result")
        assert renderer.terminate() == 0
    assert 0 < lag(broker) < 10, "what it has done is committed, and nothing else"
    with worker(broker):
        wait_until(lambda: lag(broker) == 0, SECONDS, "the other jobs")


def test_what_is_no_job_is_passed_over_and_the_next_one_is_done(broker, api):
    broker.produce("videoJob", 10, 10)  # "work" is no JSON
    broker.produce("videoEvents", 3, 1)
    [job] = request_videos(api, 1)
    with Status(broker) as status, worker(broker), status.viewer(job) as viewer:
        assert steps(viewer)[-1]["step"] == "done"
        wait_until(lambda: lag(broker) == 0, SECONDS, "no lag")


def test_a_job_that_ffmpeg_refuses_fails_with_its_words(broker, api):
    [job] = request_videos(api, 1)
    with Status(broker) as status, worker(broker, FFMPEG_ENCODER="no_such_encoder"), status.viewer(job) as viewer:
        last = steps(viewer)[-1]
    assert last["step"] == "failed" and "no_such_encoder" in last["error"]


def test_a_video_that_fails_leaves_no_part(broker, api, tmp_path):
    """Its file is there before FFmpeg finds that the container cannot have this codec."""
    [job] = request_videos(api, 1)
    with Status(broker) as status, worker(broker, FFMPEG_ENCODER="flv"), status.viewer(job) as viewer:
        assert steps(viewer)[-1]["step"] == "failed"
    assert list(broker.videos.glob(f"{job}*")) == []


@pytest.fixture
def render(monkeypatch, tmp_path):
    """render.py, as a module."""
    monkeypatch.syspath_prepend(FOLDER)
    for name, value in {"KAFKA_BOOTSTRAP": "127.0.0.1:1", "VIDEOS": str(tmp_path), "FFMPEG_INPUT_OPTIONS": "-re"}.items():
        monkeypatch.setenv(name, value)
    yield importlib.import_module("render")
    for name in ("render", "events"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("seconds", [(2, 2), (2, 0.2)], ids=["first ends first", "second ends first"])
def test_two_renderers_of_a_job_do_not_disturb_each_other(render, tmp_path, seconds):
    """Kafka gives a partition to another one after 45 s without network, and the first goes on."""
    def is_a_video():
        return subprocess.run(["ffprobe", "-v", "error", tmp_path / "job.mp4"]).returncode == 0

    (tmp_path / "job.mp4.lost.part").write_bytes(b"of a renderer that was killed")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        renderers = [pool.submit(render.render, "job", seconds[0])]
        wait_until(lambda: len(list(tmp_path.glob("*.part"))) == 2, SECONDS, "the first")
        time.sleep(0.5)
        renderers.append(pool.submit(render.render, "job", seconds[1]))
        for renderer in concurrent.futures.as_completed(renderers):
            renderer.result()
            assert is_a_video()
    assert [path.name for path in tmp_path.iterdir()] == ["job.mp4"]


def test_making_the_topics_again_keeps_the_offsets(broker, api):
    request_videos(api, 3)
    with worker(broker):
        wait_until(lambda: lag(broker) == 0, SECONDS, "no lag")
    command(NAME, "topics.py", KAFKA_BOOTSTRAP=broker.bootstrap)
    assert lag(broker) == 0


class Argo(http.server.BaseHTTPRequestHandler):
    """The part of a Kubernetes API that the worker needs: `workflows` are what it made."""

    workflows = {}
    is_deleted = False
    status = 201  # of a POST

    def reply(self, code, body):
        self.send_response(code)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.path == "/apis/argoproj.io/v1alpha1/namespaces/rendering/workflows" and self.headers["Authorization"] == "Bearer token"
        is_new = self.workflows.setdefault(body["metadata"]["name"], body) is body
        self.reply(self.status if is_new else 409, body)

    def do_GET(self):
        if self.is_deleted:
            self.reply(404, {})
        else:
            self.reply(200, {"status": {"phase": "Succeeded"}} if self.path.rpartition("/")[2] in self.workflows else {})

    def log_message(self, *_):
        pass


@pytest.fixture
def argo(tmp_path):
    """The variables of a worker that makes workflows."""
    for file, text in (("namespace", "rendering"), ("token", "token"), ("ca.crt", "")):
        (tmp_path / file).write_text(text)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Argo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield {"RENDERER": "argo", "KUBERNETES_API": f"http://127.0.0.1:{server.server_port}", "SERVICE_ACCOUNT": tmp_path}
        server.shutdown()


def test_the_viewer_of_a_workflow_that_was_deleted_is_told(broker, api, argo, monkeypatch):
    monkeypatch.setattr(Argo, "is_deleted", True)
    [job] = request_videos(api, 1)
    with Status(broker) as status, worker(broker, **argo), status.viewer(job) as viewer:
        last = {"step": "queued"}
        while last["step"] == "queued":
            last = json.loads(viewer.recv(timeout=SECONDS))
    assert (last["step"], last["error"]) == ("failed", "the workflow was deleted")


@pytest.mark.parametrize("status", [403, 422])
def test_the_viewer_of_a_workflow_that_may_not_be_made_is_told(broker, api, argo, monkeypatch, status):
    monkeypatch.setattr(Argo, "status", status)
    [job] = request_videos(api, 1)
    with Status(broker) as viewers, worker(broker, **argo), viewers.viewer(job) as viewer:
        last = {"step": "queued"}
        while last["step"] == "queued":
            last = json.loads(viewer.recv(timeout=SECONDS))
    assert (last["step"], last["error"]) == ("failed", f"the API server refuses the workflow: {status}")


def test_with_argo_a_workflow_of_the_template_does_the_job(broker, api, argo):
    [job] = request_videos(api, 1, 3)
    with worker(broker, **argo):
        wait_until(lambda: lag(broker) == 0, SECONDS, "no lag")
    made = Argo.workflows[f"render-{job}"]
    assert mistakes(made) == []
    template = pathlib.Path(REPOSITORY, "examples", "overlays", "video-rendering-argo", "workflowtemplate.yaml").read_text()
    assert f"name: {made['spec']['workflowTemplateRef']['name']}\n" in template
    assert {one["name"]: one["value"] for one in made["spec"]["arguments"]["parameters"]} == {"job": job, "seconds": "3"}


def run_step(broker, values, template, **arguments):
    """The command of a template of the workflow, as its pod would run it, with what Argo puts into it."""
    path = pathlib.Path(REPOSITORY, "examples", "overlays", "video-rendering-argo", "workflowtemplate.yaml")
    templates = {item["name"]: item for item in yaml.safe_load(path.read_text())["spec"]["templates"]}
    inputs = {one["name"]: one.get("value") for one in templates[template].get("inputs", {}).get("parameters", [])}
    assert arguments.keys() <= inputs.keys()
    values = {**values, **{f"inputs.parameters.{name}": value for name, value in {**inputs, **arguments}.items()}}

    def substituted(text):
        return re.sub(r"{{(.*?)}}", lambda found: substituted(values[found[1]]), text)

    python, *words = [substituted(word) for word in templates[template]["container"]["command"]]
    assert python == "python"
    return subprocess.run([sys.executable, *words], cwd=FOLDER, env={**os.environ, "KAFKA_BOOTSTRAP": broker.bootstrap, "VIDEOS": str(broker.videos)},
                          stderr=subprocess.PIPE, text=True).returncode


def steps_of(name):
    """(template, when, its arguments) of the steps of a template of the workflow."""
    path = pathlib.Path(REPOSITORY, "examples", "overlays", "video-rendering-argo", "workflowtemplate.yaml")
    [steps] = [item["steps"] for item in yaml.safe_load(path.read_text())["spec"]["templates"] if item["name"] == name]
    return [(step["template"], step.get("when", ""), {one["name"]: one["value"] for one in step.get("arguments", {}).get("parameters", [])})
            for group in steps for step in group]


def test_a_viewer_of_a_workflow_sees_its_steps_and_gets_its_video(broker, api):
    job = "by-argo"
    values = {"workflow.parameters.job": job, "workflow.parameters.seconds": "0.5"}
    with Status(broker) as status, status.viewer(job) as viewer:
        for template, _when, arguments in steps_of("render"):
            assert run_step(broker, values, template, **arguments) == 0
        [done] = [step for step in steps_of("report") if "== Succeeded" in step[1]]
        assert run_step(broker, values, done[0], **done[2]) == 0
        found = steps(viewer)
    assert [event["step"] for event in found if event["step"] != "percent"] == ["started", "done"] and "error" not in found[-1]
    assert requests.get(api.url + found[-1]["url"], timeout=SECONDS).headers["Content-Type"] == "video/mp4"


@pytest.mark.parametrize("failures", [
    lambda text: text, json.dumps  # Argo quotes it as a text
], ids=["plain", "quoted"])
def test_a_viewer_of_a_workflow_that_failed_gets_its_reason(broker, failures):
    job = f"failed-{failures.__name__.strip('<>')}"
    nodes = json.dumps([{"displayName": "frames", "templateName": "frames", "phase": "Failed", "message": "Error (exit code 1): main"}])
    [failed] = [step for step in steps_of("report") if "!= Succeeded" in step[1]]
    with Status(broker) as status, status.viewer(job) as viewer:
        assert run_step(broker, {"workflow.parameters.job": job, "workflow.failures": failures(nodes)}, failed[0], **failed[2]) == 0
        [event] = steps(viewer)
    assert event["step"] == "failed" and event["error"] == "frames: Error (exit code 1): main" and "url" not in event


def test_only_a_page_at_localhost_gets_addresses_of_replicas(broker):
    """Behind a route /ws is at the page's own address, by wss."""
    with Program(os.path.join(FOLDER, "api.py"), KAFKA_BOOTSTRAP=broker.bootstrap, VIDEOS=broker.videos, STATUS_URLS="ws://localhost:8081") as api:
        def urls(host):
            return requests.get(f"{api.url}/status-urls", headers={"Host": host}, timeout=SECONDS).json()

        for host in ("localhost:8000", "127.0.0.1", "[::1]:8000"):
            assert urls(host) == ["ws://localhost:8081"]
        for host in ("video.example.com", "localhost.example.com:443"):
            assert urls(host) == []


def test_a_page_of_a_laptop_finds_the_replicas_by_the_name_it_was_opened_with(broker):
    with Program(os.path.join(FOLDER, "api.py"), KAFKA_BOOTSTRAP=broker.bootstrap, VIDEOS=broker.videos, STATUS_URLS="ws://{host}:8081") as api:
        for host, url in (("laptop.local:8000", "ws://laptop.local:8081"), ("[::1]:8000", "ws://[::1]:8081")):
            assert requests.get(f"{api.url}/status-urls", headers={"Host": host}, timeout=SECONDS).json() == [url]


def test_the_page_shows_the_progress_even_when_a_replica_dies(broker):
    with Status(broker) as one, Status(broker) as other:
        addresses = ",".join(f"ws://127.0.0.1:{status.port}" for status in (one, other))
        with Program(os.path.join(FOLDER, "api.py"), KAFKA_BOOTSTRAP=broker.bootstrap, VIDEOS=broker.videos, STATUS_URLS=addresses) as api, \
                Browser() as browser:
            browser.call("open", url=api.url)
            browser.fill("input", "6")
            browser.click("button")
            browser.wait_for_text("queued", seconds=SECONDS)
            with worker(broker):
                browser.wait("document.querySelector('progress').value >= 10")
                browser.screenshot("video-rendering")
                one.kill()
                browser.wait_for_text("watch", seconds=SECONDS)
            assert browser.evaluate("document.querySelector('progress').value") == 100
            assert browser.evaluate("document.querySelector('td a').target") == "_blank"
            assert browser.axe() == []
            browser.evaluate("location.reload()")
            browser.wait("document.querySelector('td a')?.textContent === 'watch'", seconds=SECONDS)


def test_the_page_says_so_while_a_service_is_away_and_goes_on_when_it_is_back(broker):
    with Status(broker) as status, Program(os.path.join(FOLDER, "api.py"), KAFKA_BOOTSTRAP=broker.bootstrap, VIDEOS=broker.videos,
                                           STATUS_URLS=f"ws://{{host}}:{status.port}") as api, Browser() as browser:
        status.kill()
        browser.call("open", url=api.url)
        browser.fill("input", "1")
        browser.click("button")
        browser.wait_for_text("no connection, trying again", seconds=SECONDS)
        assert "queued" in browser.text("tbody")
        status.start()
        with worker(broker):
            browser.wait_for_text("watch", seconds=SECONDS)
        api.kill()
        browser.click("button")
        browser.wait_for_text("The API cannot be reached.", seconds=SECONDS)


def test_the_page_renders_even_if_the_addresses_of_the_replicas_do_not_come(broker, api):
    """The form was sent by the browser itself otherwise, by GET."""
    with Browser() as browser:
        browser.call("open", url=api.url)
        browser.evaluate("""const real = fetch;
            window.fetch = (path, ...more) => path === "/status-urls" ? Promise.reject(new TypeError()) : path === "/videos" && window.isProxy
                ? Promise.resolve(new Response("<html>", { status: 502 })) : real(path, ...more)""")
        browser.click("button")
        browser.wait_for_text("no connection, trying again", seconds=SECONDS)
        assert browser.evaluate("location.search") == ""
        browser.evaluate("window.isProxy = true")
        browser.click("button")
        browser.wait_for_text("The API cannot be reached.", seconds=SECONDS)


def test_every_query_of_the_dashboard_finds_what_it_shows(broker, api):
    trigger = {"scaler": "kafka", "bootstrapServers": broker.bootstrap, "topic": "videoJob", "consumerGroup": "renderers"}
    with Status(broker) as status, Server(http=True) as server, Client(server.port) as client, \
            load(NAME, 30, url=api.url, status=f"ws://127.0.0.1:{status.port}", seconds=0.5) as report:
        wait_until(lambda: client.metrics(trigger).metricValue > 0, SECONDS, "a value")
        with worker(broker) as renderer:
            assert_answered(FOLDER, "rendering", video_renderer_1=renderer.metrics_port,
                            status_1=status.metrics_port, api_1=api.metrics_port, backlog_0=server.http_port)
            assert report()["successRate"] == 1


def test_the_job_of_a_killed_worker_is_done_by_another_one(broker, api):
    jobs = request_videos(api, 5, 1)
    with Status(broker) as status:
        with worker(broker) as renderer, status.viewer(jobs[0]) as viewer:
            steps(viewer)
            renderer.child.send_signal(signal.SIGKILL)
        with worker(broker), contextlib.ExitStack() as stack:
            viewers = [stack.enter_context(status.viewer(job)) for job in jobs]
            assert all(steps(viewer)[-1]["step"] == "done" for viewer in viewers)
            wait_until(lambda: lag(broker) == 0, SECONDS, "all jobs")
