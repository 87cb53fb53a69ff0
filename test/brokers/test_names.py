"""Names, not numbers: what errors, logs, metrics and pages call a connection and a trigger."""

import json
import re

import grpc
import pytest

from support.clients.grpc_client import Client, refusal
from support.pages.page import await_metric, get, metric
from support.process import wait_until
from support.brokers.redis import Redis
from support.server.server import Server

SECONDS = 30


@pytest.fixture
def broker():
    with Redis() as broker:
        with broker.connect() as redis:
            redis.call("RPUSH", "busy", *range(7))
        yield broker


def start(broker, *arguments, hold="1h"):
    config = {"connections": {"orders": {"scaler": "redis", "address": broker.address}}}
    return Server(interval="500ms", hold=hold, http=True, config=json.dumps(config),
                  arguments=["--log-format", "json", *arguments])


def named(name="busy", **metadata):
    return {"scaler": "redis", "connectionName": "orders", "listName": name, **metadata}


def inline(broker, name="busy", **metadata):
    return {"scaler": "redis", "address": broker.address, "listName": name, **metadata}


def lines(server):
    return [json.loads(line) for line in server.log().splitlines() if line.startswith("{")]


def find_line(server, words):
    return wait_until(lambda: next((line for line in lines(server) if words in line["message"]), None), SECONDS, words)


def test_a_named_connection_in_errors_logs_and_metrics(broker):
    with start(broker) as server, Client(server.port) as client:
        assert client.metrics(named()).metricValue == 7 and client.metrics(named("idle")).metricValue == 0
        broker.kill()
        wait_until(lambda: refusal(client.metrics, named("idle")), SECONDS, "the refusal")
        code, text = refusal(client.metrics, named("idle"))
        assert code == grpc.StatusCode.UNAVAILABLE and text.startswith('connection "orders": '), text
        assert re.search(r"\(failing since \d\d:\d\d:\d\dZ\)$", text), text
        wait_until(lambda: find_held(client), SECONDS, "the held answer")
        begin = find_line(server, "are held")
        assert begin["connection"] == "orders" and begin["scaler"] == "redis" and broker.address in begin["error"]
        assert begin["message"].startswith('connection "orders": ') and begin["level"] == "warning"
        failed = find_line(server, "connection failed")
        assert failed["connection"] == "orders" and broker.address in failed["error"]
        await_metric(server, 1, "backlog_held_triggers", scaler="redis", connection="orders")
        await_metric(server, 1, "backlog_held_connections", scaler="redis", connection="orders")
        await_metric(server, 1, "backlog_connections", scaler="redis", connection="orders", state="failed")
        for _ in range(5):
            client.metrics(named())
        broker.start()
        with broker.connect() as redis:
            redis.call("RPUSH", "busy", *range(3))
        wait_until(lambda: client.metrics(named()).metricValue == 10, SECONDS, "the broker is back with what it kept")
        assert find_line(server, "no answers are held any more: measured again")["connection"] == "orders"
        await_metric(server, 0, "backlog_held_triggers", scaler="redis", connection="orders")
        assert len([line for line in lines(server) if "are held" in line["message"] and line["level"] == "warning"]) == 1


def test_what_a_policy_decides_is_logged_with_its_trigger(broker):
    with start(broker) as server, Client(server.port) as client:
        client.metrics(named(steps="1=1,5=2"), namespace="shop", name="videos")
        line = find_line(server, "shop/videos: 2 replicas: ")
        assert (line["namespace"], line["name"]) == ("shop", "videos")


def find_held(client):
    return client.metrics(named()).metricValue == 7 and refusal(client.metrics, named("idle"))


def test_the_end_of_a_hold_is_logged_and_counted(broker):
    with start(broker) as server, Client(server.port) as client:
        assert client.metrics(named(hold="2s")).metricValue == 7
        broker.kill()
        wait_until(lambda: refusal(client.metrics, named(hold="2s")), SECONDS, "the end of the hold")
        assert find_line(server, "the hold is over")["connection"] == "orders"
        await_metric(server, 0, "backlog_held_triggers", scaler="redis", connection="orders")
        await_metric(server, 1, "backlog_hold_expired_triggers", scaler="redis", connection="orders")
        assert refusal(client.metrics, named("idle"))
        await_metric(server, 1, "backlog_hold_expired_triggers", scaler="redis", connection="orders")
        broker.start()
        wait_until(lambda: client.metrics(named(hold="2s")), SECONDS, "the broker is back")
        await_metric(server, 0, "backlog_hold_expired_triggers", scaler="redis", connection="orders")


def test_an_inline_connection_is_named_by_scaler_host_and_users(broker):
    with start(broker) as server, Client(server.port) as client:
        assert client.metrics(inline(broker)).metricValue == 7
        broker.kill()
        line = find_line(server, "connection failed")
        assert line["message"].startswith(f"redis at {broker.address} (first used by shop/orders): "), line
        assert (line["scaler"], line["namespace"], line["name"]) == ("redis", "shop", "orders")
        assert "connection" not in line
        code, text = wait_until(lambda: refusal(client.metrics, inline(broker, "idle")), SECONDS, "the refusal")
        assert broker.address in text and "connection \"" not in text
        assert metric(get(server, "/metrics").text, "backlog_connections", scaler="redis", state="failed") == 1
        assert 'connection="' not in get(server, "/metrics").text


def test_metrics_of_triggers_are_bounded_and_the_rest_is_counted(broker):
    with start(broker, "--metrics-per-trigger", "2") as server, Client(server.port) as client:
        for name in ("busy", "idle", "other"):
            client.metrics(named(name, listLength="5"))
        page = get(server, "/metrics").text
        labels = {"namespace": "shop", "name": "orders", "scaler": "redis", "metric": "redis-busy"}
        assert metric(page, "backlog_trigger_value", **labels) == 7
        assert metric(page, "backlog_trigger_target", **labels) == 5
        assert metric(page, "backlog_trigger_active", **labels) == 1
        assert 0 <= metric(page, "backlog_trigger_reading_age_seconds", **labels) < SECONDS
        assert metric(page, "backlog_trigger_active", metric="redis-idle") == 0
        assert metric(page, "backlog_trigger_value", metric="redis-other") is None
        assert metric(page, "backlog_trigger_metrics_omitted_total") == 1


def test_a_trigger_without_an_answer_has_no_value_and_no_series_is_twice(broker):
    with start(broker, "--metrics-per-trigger", "100") as server, Client(server.port) as client:
        client.metrics(named(listLength="5"))
        client.metrics(named(listLength="7"))  # the same labels
        with pytest.raises(grpc.RpcError):
            client.metrics({"scaler": "redis", "connectionName": "none", "listName": "lost"})
        page = get(server, "/metrics").text
        assert metric(page, "backlog_trigger_value", metric="redis-lost") is None
        assert metric(page, "backlog_trigger_target", metric="redis-lost") == 5
        series = [line.split("} ")[0] for line in page.splitlines() if line.startswith("backlog_trigger_value{")]
        assert len(series) == len(set(series)) == 1
        assert metric(page, "backlog_trigger_metrics_omitted_total") == 1


def test_without_the_flag_no_user_names_a_series(broker):
    with start(broker) as server, Client(server.port) as client:
        client.metrics(named())
        assert "backlog_trigger_value" not in get(server, "/metrics").text


def test_the_newest_metadata_is_first_and_the_former_is_marked(broker):
    with start(broker) as server, Client(server.port) as client:
        client.metrics(named(listLength="5"))
        client.metrics(named(listLength="6"))

        def is_superseded():
            client.metrics(named(listLength="6"))
            newest, former = get(server, "/api/triggers/shop/orders").json()
            assert (newest["target"], former["target"], newest["superseded"]) == (6, 5, False)
            return former["superseded"]
        wait_until(is_superseded, SECONDS, "the mark")
        client.metrics(named(listLength="5"))  # it was no edit: KEDA calls for both
        assert [trigger["superseded"] for trigger in get(server, "/api/triggers/shop/orders").json()] == [False, False]


def test_of_an_address_no_more_than_scheme_and_host_is_shown(broker):
    with start(broker) as server, Client(server.port) as client:
        assert client.metrics(inline(broker)).metricValue == 7
        (trigger,) = get(server, "/api/triggers/shop/orders").json()
        assert trigger["metadata"]["connection"]["address"] == broker.address
        assert trigger["source"]["name"] == f"redis at {broker.address}"
        host = "amqp://user:se%2Fcret@127.0.0.1:1/vhost"
        with pytest.raises(grpc.RpcError) as caught:
            client.metrics({"scaler": "rabbitmq", "host": host, "queueName": "q", "mode": "QueueLength", "value": "5"})
        newest = get(server, "/api/triggers/shop/orders").json()[0]
        assert newest["metadata"]["connection"]["host"] == "amqp://127.0.0.1:1"
        assert newest["source"]["name"] == "rabbitmq at 127.0.0.1:1"
        for text in (caught.value.details(), server.log(), json.dumps(newest)):
            assert "se%2Fcret" not in text and "se/cret" not in text and "user:" not in text
