"""The HTTP port: what it says of a server that measures a real Redis."""

import signal
import socket
import subprocess
import time

import grpc
import pytest

from support.clients.grpc_client import Client, grpcurl, scaled_object
from support.clients.health import SERVING, Health
from support.pages.page import await_metric, get, metric
from support.process import need, wait_until
from support.brokers.redis import Redis
from support.server.server import Server, binary
from support.clients.transports import transport  # noqa: F401

SECONDS = 10


@pytest.fixture(scope="module")
def broker():
    with Redis(config="requirepass pass-phrase") as broker:
        yield broker


@pytest.fixture(scope="module")
def redis(broker):
    with broker.connect() as redis:
        redis.call("AUTH", "pass-phrase")
        redis.call_all([("RPUSH", "videos", i) for i in range(37)])
        yield redis


@pytest.fixture
def server():
    with Server(interval="500ms", hold="3s", http=True) as server:
        yield server


@pytest.fixture
def client(server):
    with Client(server.port) as client:
        yield client


def videos(broker, **metadata):
    return {"scaler": "redis", "address": broker.address, "passwordFromEnv": "pass-phrase",
            "listName": "videos", "listLength": "5", **metadata}


def test_explain_says_what_was_understood_measured_and_answered(server, client, broker, redis):
    assert client.metrics(videos(broker)).metricValue == 37
    (trigger,) = get(server, "/api/triggers/shop/orders").json()
    assert trigger["scaler"] == "redis"
    assert trigger["metricName"] == "redis-videos"
    assert trigger["target"] == 5
    assert trigger["reading"]["waiting"] == 37
    assert trigger["reading"]["ageSeconds"] < SECONDS
    assert trigger["now"]["replicas"] == 8
    assert trigger["lastAnswer"]["call"] == "GetMetrics"
    assert trigger["lastAnswer"]["value"] == 37
    assert trigger["source"]["state"] == "connected"
    assert trigger["metadata"]["query"]["listName"] == "videos"
    assert "8 replicas" in trigger["why"]


def test_explain_hides_what_is_secret(server, client, broker, redis):
    client.metrics(videos(broker))
    page = get(server, "/api/triggers/shop/orders")
    assert "pass-phrase" not in page.text
    assert page.json()[0]["metadata"]["connection"]["password"] == "(hidden)"
    assert "pass-phrase" not in get(server, "/metrics").text + get(server, "/api/triggers").text


def test_explain_says_what_is_wrong(server, client, broker, redis):
    with pytest.raises(grpc.RpcError):
        client.metrics(videos(broker, listLength="many"), metric_name="")
    (trigger,) = get(server, "/api/triggers/shop/orders").json()
    assert trigger["now"]["state"] == "refused"
    assert 'listLength "many"' in trigger["now"]["error"]
    assert trigger["why"].startswith("KEDA gets an error: ")


def test_explain_shows_every_refusal_as_the_last_answer(broker, redis):
    config = f"connections:\n  other: {{scaler: redis, address: \"{broker.address}\", namespaces: [kitchen]}}\n"
    arguments = ["--max-connections", "2"]  # one is kept for that of the file
    with Server(http=True, config=config, arguments=arguments) as server, Client(server.port) as client:
        def refused(call, metadata, *more):
            with pytest.raises(grpc.RpcError) as caught:
                call(metadata, *more)
            trigger = get(server, "/api/triggers/shop/orders").json()[0]  # the newest first
            assert trigger["lastAnswer"]["state"] == "refused" and trigger["lastAnswer"]["agoSeconds"] < SECONDS
            assert trigger["lastAnswer"]["error"] == caught.value.details()
            return trigger

        assert client.metrics(videos(broker)).metricValue == 37
        trigger = refused(client.metrics, videos(broker), "another")
        assert trigger["lastAnswer"]["call"] == "GetMetrics" and 'metricName "another"' in trigger["lastAnswer"]["error"]
        assert trigger["now"]["state"] == "answered"

        for metadata, words in (({"connectionName": "none"}, '"none" is not in the connections file'),
                                ({"connectionName": "other"}, 'cannot be used in namespace "shop"'),
                                ({"address": broker.address, "listLength": "many"}, 'listLength "many"')):
            trigger = refused(client.is_active, {"scaler": "redis", "listName": "videos", **metadata})
            assert trigger["lastAnswer"]["call"] == "IsActive" and words in trigger["lastAnswer"]["error"]
            assert trigger["now"]["error"] == trigger["lastAnswer"]["error"]

        beyond = videos(broker, databaseIndex="1")
        client.metric_spec(beyond)
        assert any("waits" in found["why"] for found in get(server, "/api/triggers/shop/orders").json())
        trigger = refused(lambda metadata: next(client.stream_is_active(metadata, seconds=SECONDS)), beyond)
        assert trigger["lastAnswer"]["call"] == "StreamIsActive" and "--max-connections" in trigger["lastAnswer"]["error"]
        assert trigger["now"]["state"] == "refused" and trigger["now"]["error"] == trigger["lastAnswer"]["error"]
        assert trigger["why"].startswith("KEDA gets an error: all 2 connections")


def test_explain_shows_whether_an_answer_is_held(server, client):
    with Redis() as own:
        metadata = {"scaler": "redis", "address": own.address, "listName": "videos"}
        with own.connect() as redis:
            redis.call("RPUSH", "videos", "one")
        client.metrics(metadata)
        own.stop()
        state = wait_until(lambda: [trigger for trigger in get(server, "/api/triggers/shop/orders").json()
                                    if trigger["now"]["state"] == "held"], SECONDS, "a held answer")[0]
        assert state["failing"]["error"]
        assert get(server, "/api/triggers").json()["triggers"][0]["now"]["error"] == state["failing"]["error"]
        assert state["why"].startswith("held: 1, at a target of 5 per replica: 1 replicas; active; measured last "), state["why"]
        assert "held for at most 3 s" in state["why"]
        assert client.metrics(metadata).metricValue == 1
        explained = subprocess.run([binary(), "explain", "shop/orders", "--server-http", f"127.0.0.1:{server.http_port}"],
                                   capture_output=True, text=True, timeout=SECONDS).stdout
        assert "1 replicas, held while measuring fails: 1 / 5 per replica makes 1." in explained, explained
        page = get(server, "/metrics").text
        assert metric(page, "backlog_answers_total", result="held") >= 1


def test_the_list_has_pages_and_a_namespace(server, client, broker, redis):
    for i in range(5):
        client.metric_spec(videos(broker, listName=f"videos-{i}"))
    whole = get(server, "/api/triggers").json()
    assert whole["count"] == 5
    assert [trigger["metricName"] for trigger in whole["triggers"]] == [f"redis-videos-{i}" for i in range(5)]
    page = get(server, f"/api/triggers?after={whole['triggers'][2]['id']}&limit=1").json()
    assert [trigger["metricName"] for trigger in page["triggers"]] == ["redis-videos-3"] and page["hasMore"]
    assert get(server, "/api/triggers?namespace=else").json() == {"triggers": [], "count": 0, "hasMore": False}
    assert "limit" in get(server, "/api/triggers?limit=all", code=400).json()["error"]
    assert "from 1" in get(server, "/api/triggers?limit=0", code=400).json()["error"]
    get(server, "/api/triggers/shop/nobody", code=404)
    get(server, "/api/triggers/shop", code=404)


def test_metrics_are_what_promtool_wants(server, client, broker, redis):
    client.metrics(videos(broker))
    page = get(server, "/metrics")
    assert page.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    check = subprocess.run([need("promtool"), "check", "metrics"], input=page.text, text=True,
                           capture_output=True, timeout=SECONDS)
    assert check.returncode == 0 and not check.stderr, check.stderr + check.stdout


def test_metrics_count_calls_measurements_and_answers(server, client, broker, redis):
    assert client.metrics(videos(broker)).metricValue == 37
    assert client.is_active(videos(broker))
    with pytest.raises(grpc.RpcError):
        client.is_active(videos(broker, listName=""))
    await_metric(server, 1, "backlog_calls_total", method="GetMetrics", code="OK")
    await_metric(server, 1, "backlog_calls_total", method="IsActive", code="OK")
    await_metric(server, 1, "backlog_calls_total", method="IsActive", code="INVALID_ARGUMENT")
    page = get(server, "/metrics").text
    assert metric(page, "backlog_call_duration_seconds_count", method="GetMetrics") == 1
    assert metric(page, "backlog_call_duration_seconds_count", method="IsActive") == 2
    assert 0 < metric(page, "backlog_call_duration_seconds_sum", method="GetMetrics") < SECONDS
    assert metric(page, "backlog_call_duration_seconds_count", method="StreamIsActive") is None
    assert metric(page, "backlog_measurements_total", scaler="redis", result="success") >= 1
    assert metric(page, "backlog_measurement_duration_seconds_count", scaler="redis") >= 1
    assert metric(page, "backlog_triggers") == 2
    assert metric(page, "backlog_queries", scaler="redis", state="ok") == 1
    assert metric(page, "backlog_connections", scaler="redis", state="ok") == 1
    assert metric(page, "backlog_reading_age_seconds_count") == 2
    assert metric(page, "process_resident_memory_bytes") > 1 << 20
    assert metric(page, "process_open_fds") > 3


def test_calls_are_counted_by_what_their_clients_got(server, client, broker, redis):
    def refused(code, call, *arguments, **options):
        with pytest.raises(grpc.RpcError) as caught:
            call(*arguments, **options)
        assert caught.value.code() == code
        await_metric(server, 1, "backlog_calls_total", method="IsActive", code=code.name)

    calls = []

    def counted(code):
        return metric(get(server, "/metrics").text, "backlog_calls_total", method="IsActive", code=code) or 0

    def times_out(address):
        calls.append(address)
        with pytest.raises(grpc.RpcError) as caught:
            client.is_active({"scaler": "redis", "address": address, "listName": "x"}, seconds=0.3)
        assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        return counted("DEADLINE_EXCEEDED")

    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        # Where a call arrives late, its client gives up before the server's clock says so: that one is CANCELLED.
        wait_until(lambda: times_out(address), SECONDS, "a call that timed out is counted")
    assert counted("DEADLINE_EXCEEDED") + counted("CANCELLED") <= len(calls)
    refused(grpc.StatusCode.RESOURCE_EXHAUSTED, client.is_active, videos(broker, padding="x" * 70000))
    health = Health(client.channel)
    health.check("liveness")
    with pytest.raises(grpc.RpcError):
        health.check("nobody")
    await_metric(server, 1, "backlog_calls_total", service="grpc.health.v1.Health", method="Check", code="OK")
    await_metric(server, 1, "backlog_calls_total", service="grpc.health.v1.Health", method="Check", code="NOT_FOUND")
    watch = health.watch("readiness")
    assert next(watch)
    await_metric(server, 1, "backlog_streams", service="grpc.health.v1.Health", method="Watch")
    watch.cancel()
    await_metric(server, 1, "backlog_calls_total", method="Watch", code="CANCELLED")
    assert grpcurl(server.port, "list")[0] == 0
    await_metric(server, 1, "backlog_calls_total", method="ServerReflectionInfo", code="OK")


def test_metrics_count_streams_and_pushes(server, client, broker, redis):
    redis.call("DEL", "late")
    stream = client.stream_is_active(videos(broker, listName="late"))
    await_metric(server, 1, "backlog_streams", method="StreamIsActive")
    wait_until(lambda: "waiting" in str(get(server, "/api/triggers/shop/orders").json()[0]["reading"]),
               SECONDS, "it is found idle")
    redis.call("RPUSH", "late", "one")
    assert next(iter(stream)).result
    active = client.stream_is_active(videos(broker, listName="late"))  # which it was before
    assert next(iter(active)).result
    page = get(server, "/metrics").text
    assert metric(page, "backlog_stream_activations_total") == 2
    assert metric(page, "backlog_activation_duration_seconds_count") == 1
    assert 0 < metric(page, "backlog_activation_duration_seconds_sum") < SECONDS
    stream.cancel()
    active.cancel()
    await_metric(server, 0, "backlog_streams", method="StreamIsActive")


def test_metrics_count_clients_and_children(broker, redis):
    with Server(http=True, arguments=["--all-in-agents"]) as server:
        assert metric(get(server, "/metrics").text, "backlog_agent_processes") == 0
        with Client(server.port) as client:
            assert client.metrics(videos(broker)).metricValue == 37
            page = get(server, "/metrics").text
            assert metric(page, "backlog_client_connections") == 1
            assert metric(page, "backlog_agent_processes") == 1
            assert metric(page, "backlog_agent_processes_resident_memory_bytes") > 1 << 20
            assert metric(page, "backlog_agent_processes_cpu_seconds_total") >= 0
        await_metric(server, 0, "backlog_client_connections")


def test_a_dead_broker_shows_and_the_server_is_ready_all_the_same(server, client):
    with Redis() as own:
        metadata = {"scaler": "redis", "address": own.address, "listName": "videos"}
        assert client.metrics(metadata).metricValue == 0
        page = get(server, "/metrics").text
        assert metric(page, "backlog_connections", scaler="redis", state="failed") == 0
        assert metric(page, "backlog_queries", scaler="redis", state="failing") == 0
        own.stop()
        await_metric(server, 1, "backlog_connections", scaler="redis", state="failed")
        await_metric(server, 0, "backlog_connections", scaler="redis", state="ok")
        await_metric(server, 1, "backlog_queries", scaler="redis", state="failing")
        with pytest.raises(grpc.RpcError):
            client.metrics(metadata)
        page = get(server, "/metrics").text
        assert metric(page, "backlog_answers_total", result="refused") >= 1
        assert metric(page, "backlog_connection_attempts_total", scaler="redis", result="failure") >= 1
        (trigger,) = get(server, "/api/triggers/shop/orders").json()
        assert trigger["source"]["state"] == "failed"
        assert get(server, "/readyz").text == "ok\n"
        assert Health(client.channel).check("readiness") == SERVING


def test_a_client_that_runs_into_a_limit_shows(server, client, transport):
    if transport == "grpc-core":
        assert metric(get(server, "/metrics").text, "backlog_limit_hits_total") is None
        return
    with pytest.raises(grpc.RpcError) as caught:
        client.stub.IsActive(scaled_object({}), timeout=SECONDS, metadata=[("padding", "x" * 20000)])
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    page = get(server, "/metrics").text
    assert metric(page, "backlog_limit_hits_total", limit="header-bytes") == 1
    assert metric(page, "backlog_limit_hits_total", limit="calls") == 0
    assert metric(page, "backlog_calls_total", method="IsActive", code="RESOURCE_EXHAUSTED") == 1


def test_labels_do_not_grow_with_what_clients_say(server, client, broker, redis):
    def lines():
        page = get(server, "/metrics").text
        return {line.rpartition(" ")[0] for line in page.splitlines()}

    client.metrics(videos(broker))
    await_metric(server, 1, "backlog_calls_total", method="GetMetrics", code="OK")
    before = lines()
    for i in range(50):
        client.metrics(videos(broker, listName=f"videos-{i}"))
        with pytest.raises(grpc.RpcError):
            client.channel.unary_unary(f"/externalscaler.ExternalScaler/Method{i}")(b"", timeout=SECONDS)
    assert {line for line in lines() - before if "UNIMPLEMENTED" not in line} == set()


def test_health_and_readiness(server):
    assert get(server, "/healthz").text == "ok\n"
    assert get(server, "/readyz").text == "ok\n"


def test_readiness_goes_down_while_calls_are_still_answered(broker, redis):
    with socket.create_server(("127.0.0.1", 0)) as silent, Server(http=True) as server, Client(server.port) as client:
        metadata = {"scaler": "redis", "address": f"127.0.0.1:{silent.getsockname()[1]}", "listName": "videos"}
        waiting = client.stub.IsActive.future(scaled_object(metadata), timeout=SECONDS)
        wait_until(lambda: get(server, "/api/triggers/shop/orders"), SECONDS, "the call arrives")
        server.signal(signal.SIGTERM)
        wait_until(lambda: get(server, "/readyz", code=503).text, SECONDS, "not ready")
        assert get(server, "/healthz").text == "ok\n"
        assert waiting.exception(timeout=SECONDS).code() == grpc.StatusCode.UNAVAILABLE


def test_the_port_is_closed_unless_it_is_set():
    with Server() as server:
        assert "HTTP" not in server.log()


def test_a_slow_request_is_cut_off(server):
    with socket.create_connection(("127.0.0.1", server.http_port)) as client:
        client.settimeout(SECONDS)
        client.sendall(b"GET /metrics HTTP/1.1\r\n")
        began = time.monotonic()
        with pytest.raises(OSError):
            while time.monotonic() < began + SECONDS:
                client.sendall(b"X: y\r\n")
                time.sleep(0.1)
        assert 3 < time.monotonic() - began < SECONDS
    assert get(server, "/healthz").text == "ok\n"
