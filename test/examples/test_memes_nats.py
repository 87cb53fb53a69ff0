"""examples/memes-nats: the first meme starts a worker at once, 1,000 start ten, none is lost and none is stored twice."""

import asyncio
import contextlib
import http.server
import json
import os
import re
import subprocess
import threading
import time

import pytest

from support.pages.dashboard import assert_answered
from support.example import Worker, command, full, play_parts
from support.clients.grpc_client import Client
from support.brokers.nats import Nats
from support.process import Process, need, wait_until
from support.brokers.redis import Redis
from support.server.server import REPOSITORY, Server

NAME = "memes-nats"
FOLDER = os.path.join(REPOSITORY, "examples", NAME)
SECONDS = 60


PLAYED = [
    ("first", ["1 meme, 1 worker", "all 1 memes so far are stored, each once"]),  # the one that CI plays, too
    pytest.param("", ["10 pictures of the image API, then 10 of the cache", "37 memes, 8 workers and never more", "1,000 memes, 10 workers",
                      "no worker removed", "all 1058 memes so far are stored, each once"], marks=pytest.mark.nightly),
    full("backlog", "while memes are in work, no worker removed", "all 80 memes so far are stored, each once"),
    full("network", "the network cut for", "no worker removed", "all 80 memes so far are stored, each once"),
    full("bursts", "all 120 memes so far are stored, each once", "the replicas went up and down at most once for each"),
    full("service", "the image API and Redis are away, for", "no worker removed", "no meme was answered with an error"),
    full("slow", "slow network: all 80 memes so far are stored, each once", "no meme was answered with an error"),
    full("cpu", "CPU stolen: all 80 memes so far are stored, each once", "no meme was answered with an error")]


@pytest.mark.parametrize("parts, seen", PLAYED)
def test_the_example_shows_what_it_promises(parts, seen):
    play_parts(NAME, parts, seen)


class ImageApi(Process):
    name = "image API"

    def command(self):
        return ["python", os.path.join(FOLDER, "image_api.py")]

    def environment(self):
        return {**os.environ, "PORT": "0", "HOST": "127.0.0.1"}

    def ready(self):
        found = re.search(r"listening on port (\d+)", self.log())
        self.url = found and f"http://127.0.0.1:{found[1]}/models/memes"
        return found


@pytest.fixture(scope="module")
def api():
    with ImageApi() as api:
        yield api


@pytest.fixture(autouse=True)
def image_api(monkeypatch, api):
    """What workers find in their environment; without a Redis they go on."""
    monkeypatch.setenv("IMAGE_API_URL", api.url)
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")


def responses(broker):
    with broker.connect() as client:
        count = client.run(client.jetstream.stream_info("MEMES_DONE")).state.messages
        found = [client.run(client.jetstream.get_msg("MEMES_DONE", seq=number + 1)) for number in range(count)]
    return [(message.subject, json.loads(message.data)) for message in found]


def request(broker, text, **more):
    with broker.connect() as client:
        client.run(client.jetstream.publish("meme.request", json.dumps({"id": text, "text": text, **more}).encode()))


def test_the_same_text_comes_from_the_cache_the_second_time(broker, monkeypatch):
    with Redis() as redis:
        monkeypatch.setenv("REDIS_URL", f"redis://{redis.address}")
        with Worker(NAME, NATS_URL=broker.url):
            for number in (1, 2):
                request(broker, "much cache", id=str(number))
                wait_until(lambda number=number: state(broker) == (0, 0, number), SECONDS, "a response")
        [first, second] = [response for _subject, response in responses(broker)]
        assert (first["cached"], second["cached"], second["delivered"]) == (False, True, 1)
        assert first["image"] == second["image"] and first["image"].startswith("data:image/svg+xml;base64,")
        with redis.connect() as client:
            assert len(client.call("KEYS", "meme:*")) == 1


def test_what_the_image_api_refuses_is_an_error_with_the_id(broker):
    with Worker(NAME, NATS_URL=broker.url):
        request(broker, "???")
        wait_until(lambda: state(broker) == (0, 0, 1), SECONDS, "a response")
    [(subject, response)] = responses(broker)
    assert subject == "meme.response.error" and response["id"] == "???" and "at least one letter" in response["error"]


@contextlib.contextmanager
def image_api_of_our_own(monkeypatch, kind="image/png", body=b"png"):
    """Gives this body; yields the list of the requests that it has got."""
    requested = []

    class Recorder(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            requested.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # who has seen enough goes
                self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("IMAGE_API_URL", f"http://127.0.0.1:{server.server_port}/models/real")
    yield requested
    server.shutdown()
    server.server_close()


def test_only_the_stand_in_is_told_how_long_a_picture_takes(broker, monkeypatch):
    """A real image API refuses parameters that it does not know."""
    with image_api_of_our_own(monkeypatch) as bodies, Worker(NAME, NATS_URL=broker.url):
        request(broker, "one")
        request(broker, "two", seconds=0.1)
        wait_until(lambda: state(broker) == (0, 0, 2), SECONDS, "both responses")
    assert bodies == [{"inputs": "one"}, {"inputs": "two", "parameters": {"seconds": 0.1}}]


@pytest.mark.parametrize("kind, size, words", [("text/html", 10, "sent text/html, and no image"), ("image/png", 9_000_000, "more than 6 MB"),
                                               ("image/png", 2_000_000, "max_payload")])  # 1 MB is the default of NATS
def test_what_is_no_image_or_too_large_is_an_error_and_is_not_tried_again(broker, monkeypatch, kind, size, words):
    with image_api_of_our_own(monkeypatch, kind, b"x" * size) as requested, Worker(NAME, NATS_URL=broker.url):
        request(broker, "one")
        wait_until(lambda: state(broker) == (0, 0, 1), SECONDS, "a response")
    [(subject, response)] = responses(broker)
    assert subject == "meme.response.error" and words in response["error"] and len(requested) == 1


def test_a_text_that_no_response_has_room_for_is_an_error(broker, monkeypatch):
    """JSON has 6 bytes for each of these letters, and the request has 2."""
    with image_api_of_our_own(monkeypatch) as requested, Worker(NAME, NATS_URL=broker.url):
        with broker.connect() as client:
            client.run(client.jetstream.publish("meme.request", json.dumps({"id": "a", "text": "é" * 300_000}, ensure_ascii=False).encode()))
        wait_until(lambda: state(broker) == (0, 0, 1), SECONDS, "a response")
    [(subject, response)] = responses(broker)
    assert subject == "meme.response.error" and response["id"] == "a" and not requested
    assert response["error"] == "the text has 300000 letters, at most 10000 are possible"


def test_a_worker_may_end_later_than_the_image_api_takes():
    with open(os.path.join(FOLDER, "manifests", "worker.yaml")) as manifest, open(os.path.join(FOLDER, "worker.py")) as worker:
        grace = re.search(r"terminationGracePeriodSeconds: (\d+)", manifest.read())[1]
        assert int(grace) > int(re.search(r"^API_SECONDS = (\d+)", worker.read(), re.MULTILINE)[1])


def test_while_the_image_api_is_away_a_request_is_tried_again(broker, api, monkeypatch):
    monkeypatch.setenv("IMAGE_API_URL", "http://127.0.0.1:1/models/memes")
    with Worker(NAME, NATS_URL=broker.url):
        request(broker, "again")
        wait_until(lambda: state(broker)[1] == 1, SECONDS, "a request that is tried")
        assert state(broker)[2] == 0
    monkeypatch.setenv("IMAGE_API_URL", api.url)
    with Worker(NAME, NATS_URL=broker.url):
        wait_until(lambda: state(broker) == (0, 0, 1), SECONDS, "a response")
    [(subject, response)] = responses(broker)
    assert subject == "meme.response" and response["delivered"] > 1


@pytest.fixture
def broker():
    with Nats() as broker:
        command(NAME, "streams.py", NATS_URL=broker.url, ACK_WAIT_SECONDS=5)
        yield broker


def state(broker):
    """Jobs that wait, that are worked on, and memes."""
    with broker.connect() as client:
        makers = client.run(client.jetstream.consumer_info("MEMES", "makers"))
        return makers.num_pending, makers.num_ack_pending, client.run(client.jetstream.stream_info("MEMES_DONE")).state.messages


def test_a_worker_ends_after_the_job_that_it_has(broker):
    command(NAME, "stress.py", "--jobs", 2, "--seconds", 3, NATS_URL=broker.url)
    with Worker(NAME, NATS_URL=broker.url, ACK_WAIT_SECONDS=5) as worker:
        wait_until(lambda: state(broker) == (1, 1, 0), SECONDS, "a job in work")
        assert worker.terminate() == 0
    assert state(broker) == (1, 0, 1)


def test_a_worker_waits_for_a_broker_that_is_away():
    with Worker(NAME, NATS_URL="nats://127.0.0.1:1") as worker:
        assert any(line.startswith("NATS: ") for line in iter(worker.child.stdout.readline, ""))
        assert worker.terminate(20) == 0


def test_a_job_longer_than_the_ack_wait_is_done_by_one_worker(broker):
    command(NAME, "stress.py", "--jobs", 1, "--seconds", 8, NATS_URL=broker.url)
    with Worker(NAME, NATS_URL=broker.url, ACK_WAIT_SECONDS=5), Worker(NAME, NATS_URL=broker.url, ACK_WAIT_SECONDS=5):
        wait_until(lambda: state(broker) == (0, 0, 1), SECONDS, "the meme")
    with broker.connect() as client:
        assert client.run(client.jetstream.consumer_info("MEMES", "makers")).delivered.consumer_seq == 1


def test_what_is_no_job_is_dropped_and_the_next_one_is_done(broker):
    with broker.connect() as client:
        for data in (b"", b"{", b"[]", b'{"id": 1}', b'{"id": 1, "text": "a", "seconds": "long"}', b'{"id": "a", "text": "\\ud83d"}',
                     b'{"id": "\\ud83d", "text": "a"}', b'{"id": 1, "text": "a", "seconds": 1%s}' % (b"0" * 400), b"[" * 100000,
                     b'{"id": "%s", "text": "a"}' % (b"x" * 1001)):
            client.run(client.jetstream.publish("meme.request", data))
    command(NAME, "stress.py", "--jobs", 1, "--seconds", 0, NATS_URL=broker.url)
    with Worker(NAME, NATS_URL=broker.url):
        wait_until(lambda: state(broker) == (0, 0, 1), SECONDS, "the meme")


def test_making_the_streams_again_keeps_what_is_in_them(broker):
    command(NAME, "stress.py", "--jobs", 3, NATS_URL=broker.url)
    command(NAME, "streams.py", NATS_URL=broker.url, ACK_WAIT_SECONDS=5)
    assert state(broker) == (3, 0, 0)


def deployment(name, replicas):
    return {"kind": "Deployment", "metadata": {"name": name}, "spec": {"replicas": replicas}}


def vpa(cpu, memory):
    return {"kind": "VerticalPodAutoscaler", "metadata": {"name": "redis"}, "status": {
        "recommendation": {"containerRecommendations": [{"containerName": "redis", "target": {"cpu": cpu, "memory": memory}}]}}}


def test_the_load_of_all_three_says_what_each_had_before_and_at_most(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    from load import Autoscalers, figures
    seen = Autoscalers.__new__(Autoscalers)  # without kubectl, which samples
    seen.before, seen.peaks = {}, {}
    for objects in ([deployment("meme-worker", 0), deployment("frontend", 1), deployment("image-api", 9), {**vpa("1", "1"), "status": {}}],
                    [deployment("meme-worker", 10), deployment("frontend", 4), vpa("100m", "512Mi")],
                    [deployment("memes-backend", 2), deployment("memes-frontend", 3), vpa("1", "786432k")]):
        seen.take(figures(objects))
    lines = [line.split() for line in seen.report().splitlines()]
    assert lines == [["before", "->", "peak"], ["HPA", "pods", "of", "the", "page", "1", "->", "4"], ["KEDA", "workers", "0", "->", "10"],
                     ["VPA", "CPU", "for", "Redis,", "in", "m", "100", "->", "1000"],
                     ["VPA", "memory", "for", "Redis,", "in", "Mi", "512", "->", "750"]]


def test_the_load_of_all_three_runs_without_kubectl(broker, tmp_path):
    printed = command(NAME, "load.py", "--seconds", 1, "--jobs", 1, "--nats", broker.url, "--clients", 0, "--megabytes", 0, PATH=tmp_path)
    assert "kubectl is missing" in printed


def test_the_load_goes_on_when_nats_and_redis_are_back(monkeypatch, capsys):
    monkeypatch.syspath_prepend(FOLDER)
    import load
    import nats
    import stress
    monkeypatch.setattr(stress, "TRY_AGAIN_SECONDS", 0)
    published = []

    class JetStream:
        async def publish(self, _subject, data, **_more):
            published.append(data)
            if len(published) < 3:
                raise [nats.errors.NoRespondersError, nats.errors.TimeoutError][len(published) - 1]

    asyncio.run(stress.order(JetStream(), asyncio.Semaphore(), "text", 1))
    assert len(published) == 3 and len(set(published)) == 1  # of one id

    with Redis() as redis:
        redis.stop()
        loading = threading.Thread(target=load.load_redis, args=(f"redis://{redis.address}", 3, time.monotonic() + SECONDS))
        loading.start()
        wait_until(lambda: "trying again" in capsys.readouterr().out, SECONDS, "a value that is tried again")
        redis.start()
        loading.join(SECONDS)
        with redis.connect() as client:
            assert len(client.call("KEYS", "load:*")) == 3


def query_of(panel, legend):
    with open(os.path.join(FOLDER, "dashboard.json")) as file:
        [query] = [target["expr"] for found in json.load(file)["panels"] if found["title"] == panel
                   for target in found["targets"] if target["legendFormat"] == legend]
    return query.replace("$namespace", "memes").replace("$__range", "1h").replace("$__rate_interval", "1m")


def test_cpu_and_memory_of_redis_have_an_axis_each():
    """On one, 0.1 cores beside 512 MiB are a line at 0."""
    with open(os.path.join(FOLDER, "dashboard.json")) as file:
        [panel] = [panel for panel in json.load(file)["panels"] if "requests of Redis" in panel["title"]]
    units = {override["matcher"]["options"]: {each["id"]: each["value"] for each in override["properties"]}
             for override in panel["fieldConfig"]["overrides"] if override["matcher"]["id"] == "byFrameRefID"}
    cpu, memory = panel["targets"]
    assert 'resource="cpu"' in cpu["expr"] and 'resource="memory"' in memory["expr"]
    assert cpu["refId"] not in units and units[memory["refId"]] == {"unit": "bytes", "custom.axisPlacement": "right"}


def test_the_counts_of_the_dashboard_do_not_fall_when_workers_go(tmp_path):
    """Two workers, of which one ends at 2 and the other at 4 minutes; 3 of their 16 responses are errors."""
    def series(pod, name, values):
        return {"series": f'{name}{{namespace="memes",pod="{pod}"}}', "values": values}

    expected = {"requests": {1: 6, 3: 15, 5: 17, 30: 17}, "responses": {1: 4, 3: 11, 5: 13, 30: 13}, "errors": {1: 1, 3: 2, 5: 3, 30: 3}}
    (tmp_path / "none.yaml").write_text("groups: []")
    (tmp_path / "test.yaml").write_text(json.dumps({"rule_files": ["none.yaml"], "evaluation_interval": "1m", "tests": [{
        "interval": "1m",
        "input_series": [series("a", "worker_requests_total", "0 4 8 stale"), series("b", "worker_requests_total", "0 2 5 7 9 stale"),
                         series("a", "worker_jobs_total", "0 3 7 stale"), series("a", "worker_jobs_failed_total", "0 1 1 stale"),
                         series("b", "worker_jobs_total", "0 2 4 6 9 stale"), series("b", "worker_jobs_failed_total", "0 0 0 1 2 stale")],
        "promql_expr_test": [{"expr": query_of("Messages in all", legend), "eval_time": f"{minute}m", "exp_samples": [{"labels": "{}", "value": value}]}
                             for legend, values in expected.items() for minute, value in values.items()]}]}))
    done = subprocess.run([need("promtool"), "test", "rules", "test.yaml"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout


class Exporter(http.server.BaseHTTPRequestHandler):
    """Stands for the sidecar of NATS: of its metrics those that the dashboard reads."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'jetstream_stream_last_seq{stream_name="MEMES"} 200\n'
                         b'jetstream_consumer_num_pending{stream_name="MEMES",consumer_name="makers"} 190\n'
                         b'jetstream_consumer_num_ack_pending{stream_name="MEMES",consumer_name="makers"} 1\n')

    def log_message(self, *_):
        pass


@pytest.fixture
def exporter():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Exporter) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_every_query_of_the_dashboard_finds_what_it_shows(broker, exporter):
    command(NAME, "stress.py", "--jobs", 200, "--seconds", 0.2, NATS_URL=broker.url)
    trigger = {"scaler": "nats-jetstream", "servers": broker.url, "stream": "MEMES", "consumer": "makers", "lagThreshold": "5"}
    with Worker(NAME, NATS_URL=broker.url) as worker, Server(http=True) as server, Client(server.port) as client:
        assert client.metrics(trigger).metricValue > 0
        assert_answered(FOLDER, "memes",
                        meme_worker_1=worker.metrics_port, backlog_0=server.http_port, nats_0=exporter)
