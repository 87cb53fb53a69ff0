"""`--workers`: pods, their use and logs, from an API server of our own, which counts what it is asked for."""

import contextlib
import json
import os
import socket
import subprocess
import time
import urllib.parse

import pytest
import requests

from support.clients.grpc_client import Client
from support.pages.page import get
from support.kubernetes.pod_server import PodServer
from support.process import wait_until
from support.brokers.redis import Redis
from support.server.server import binary
from support.kubernetes.workers_api import TOKEN, Api, Worker, make_api_certificate, pod, running

SECONDS = 60

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="mounts a service account"),
              pytest.mark.parametrize("transport", ["nghttp2"], indirect=True)]  # that of the callers says nothing here


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_api_certificate(tmp_path_factory.mktemp("api"))


@pytest.fixture
def api(folder):
    with Worker() as worker, Api(folder, worker.server_port) as api:
        yield api


@pytest.fixture(scope="module")
def redis():
    with Redis() as running_redis:
        yield running_redis


@pytest.fixture
def server(folder, api):
    with PodServer(folder / "ca.pem", api.server_port, TOKEN, arguments=["--workers", "shop,billing"]) as server:
        yield server


def call_for(server, redis, *names, namespace="shop"):
    """As KEDA does: the server knows no ScaledObject before."""
    with Client(server.port) as client:
        for name in names:
            client.is_active({"scaler": "redis", "address": redis.address, "listName": "jobs", "listLength": "1"},
                             namespace=namespace, name=name)


def objects(server, query=""):
    return {item["name"]: item for item in get(server, f"/api/workers{query}").json()["objects"]}


def read(server, name, query=""):
    """The object, once it is read; that somebody asks for it begins the reading."""
    def is_read():
        found = objects(server, query)[name]
        return found if found["secondsAgo"] is not None or found["error"] else None
    return wait_until(is_read, SECONDS, f"the workers of {name}")


def read_done(server, name):
    """The same with the /metrics of its first pod, which come a moment later."""
    return wait_until(lambda: (found := read(server, name))["workers"][0]["done"] is not None and found, SECONDS, f"what {name} has done")


def read_log(server, name):
    """(code, text)"""
    def is_read():
        answer = requests.get(f"http://127.0.0.1:{server.http_port}/api/workers/shop/{name}/log", timeout=SECONDS)
        assert answer.headers["Content-Type"].startswith("text/plain")
        return answer.status_code != 202 and (answer.status_code, answer.text)
    return wait_until(is_read, SECONDS, f"the log of {name}")


def test_the_pods_of_a_scaled_object_are_listed(server, api, redis):
    call_for(server, redis, "orders")
    found = read_done(server, "orders")
    assert found["target"] == "Deployment orders" and found["error"] is None and not found["hasMore"]
    first, second = found["workers"]
    assert first == {"id": "uid-orders-1", "pod": "orders-1", "job": None, "state": "Running", "reason": None, "ready": True,
                     "restarts": 2, "created": 1767323045, "cpu": 0.25, "memory": 64 << 20, "done": 37}
    assert second["state"] == "Pending" and not second["ready"]
    assert second["reason"] == "Unschedulable: 0/3 nodes are available: 3 Insufficient cpu."
    assert [second[key] for key in ("cpu", "memory", "done")] == [None] * 3
    assert TOKEN not in server.log() + get(server, "/api/workers").text


def test_the_pods_of_a_scaled_job_are_listed(server, redis):
    call_for(server, redis, "reports")
    found = read(server, "reports")
    assert found["target"] == "jobs"
    assert [(worker["pod"], worker["job"]) for worker in found["workers"]] == [("reports-x", "reports-7")]


def test_of_more_pods_than_are_listed_those_that_run_come_first(server, api, redis):
    """KEDA keeps 100 Jobs that succeeded and 100 that failed."""
    ended = [pod(f"a-{number:03}", {"phase": "Failed" if number % 2 else "Succeeded"}) for number in range(150)]
    api.pods["scaledjob.keda.sh/name=reports"] = [*ended, *(pod(f"b-{number}", running()) for number in range(5))]
    call_for(server, redis, "reports")
    found = read(server, "reports")
    assert len(found["workers"]) == 100 and found["hasMore"]
    assert [worker["state"] for worker in found["workers"]].count("Running") == 5


def test_nothing_is_requested_while_nobody_looks(server, api, redis):
    call_for(server, redis, "orders")
    get(server, "/")
    get(server, "/api/triggers")
    get(server, "/metrics")
    time.sleep(2)
    assert api.requests == []
    read(server, "orders")
    assert api.requests != []

    def has_stopped():
        before = len(api.requests)
        time.sleep(4)  # while somebody looks, there is a reading each three seconds
        return len(api.requests) == before
    wait_until(has_stopped, SECONDS, "the end of the readings")


def test_many_readers_cost_no_more_than_one(server, api, redis):
    call_for(server, redis, "orders")
    read(server, "orders")
    began, at = len(api.requests), time.monotonic()
    for _ in range(100):
        objects(server)
    readings = (time.monotonic() - at) / 3 + 1
    assert len(api.requests) - began <= 2 * readings + 2  # pods and their use, each three seconds


def test_only_listed_namespaces_and_called_names_are_read(server, api, redis):
    call_for(server, redis, "orders", namespace="other")
    call_for(server, redis, "../../secrets", "a,b")
    assert objects(server) == {} and objects(server, "?namespace=other") == {}
    call_for(server, redis, "orders", "reports")
    read(server, "orders", "?namespace=shop&name=orders")
    assert {path.split("/")[-1] for path, _query in api.requests} <= {"orders", "scale", "pods"}
    assert objects(server, "?name=orders").keys() == {"orders"}


def test_of_more_objects_than_are_listed_each_is_found_by_its_names(server, redis):
    names = [f"orders-{number}" for number in range(201)]
    call_for(server, redis, *names)
    assert objects(server, "?namespace=shop&name=orders-200").keys() == {"orders-200"}
    assert objects(server, "?namespace=shop&name=nobody") == {}
    page = get(server, "/api/workers").json()
    found = [item["name"] for item in page["objects"]]
    assert len(found) >= 199 and found == sorted(set(found)) and set(found) < set(names) and page["hasMore"]


def test_a_namespace_of_a_call_is_no_way_to_other_objects(folder, api):
    """HPAs are read in all namespaces, with the token of the server; anybody's call names a namespace."""
    elsewhere = "../../../../api/v1/namespaces/shop/secrets/rabbitmq?x="
    metadata = {"scaler": "redis", "connectionName": "none", "listName": "jobs", "listLength": "1"}
    with PodServer(folder / "ca.pem", api.server_port, TOKEN, arguments=["--kubernetes", "--kubernetes-hpa"]) as server:
        with Client(server.port) as client:
            for namespace in (elsewhere, "shop"):
                with pytest.raises(Exception, match="none"):
                    client.is_active(metadata, name="orders", namespace=namespace)
        get(server, f"/api/replicas/{urllib.parse.quote(elsewhere, safe='')}/orders", 404)
        get(server, "/api/replicas/shop/orders")
        wait_until(lambda: any(path.endswith("/scaledobjects/orders") for path, _query in api.requests), SECONDS, "that of the other one")
    assert not [path for path, _query in api.requests if "secrets" in path]


def test_the_replicas_of_an_hpa_are_read_while_somebody_looks(folder, api):
    """Each 3 s, and its ScaledObject not as often: --kubernetes has that."""
    metadata = {"scaler": "redis", "connectionName": "none", "listName": "jobs", "listLength": "1"}
    api.hpa = {"status": {"currentReplicas": 3, "desiredReplicas": 7}}
    with PodServer(folder / "ca.pem", api.server_port, TOKEN, arguments=["--kubernetes", "--kubernetes-hpa"]) as server:
        with Client(server.port) as client, pytest.raises(Exception, match="none"):
            client.is_active(metadata, name="orders", namespace="shop")

        def replicas():
            return get(server, "/api/replicas/shop/orders").json()

        def requests_of(word):
            return sum(path.endswith(word) for path, _query in list(api.requests))

        found = wait_until(lambda: (found := replicas())["replicas"] is not None and found, SECONDS, "the replicas")
        assert found == {"hpa": "HPA keda-hpa-orders", "replicas": 3, "secondsAgo": found["secondsAgo"], "error": None}
        api.hpa = {"status": {"desiredReplicas": 7}}  # it counts none
        wait_until(lambda: replicas()["replicas"] == 0, SECONDS, "the next reading")
        hpas, objects_read, began = requests_of("/keda-hpa-orders"), requests_of("/scaledobjects/orders"), time.monotonic()
        while time.monotonic() - began < 9:
            assert replicas()["secondsAgo"] < 6
            time.sleep(0.2)
        assert 2 <= requests_of("/keda-hpa-orders") - hpas <= 4 and requests_of("/scaledobjects/orders") - objects_read <= 1
        api.hpa = {}
        found = wait_until(lambda: (found := replicas())["error"] and found, SECONDS, "it has no status")
        assert "the HPA has no status yet" in found["error"] and found["replicas"] == 0
        time.sleep(12)  # nobody looks
        hpas = requests_of("/keda-hpa-orders")
        api.hpa = {"status": {"desiredReplicas": 7}}
        time.sleep(8)
        assert requests_of("/keda-hpa-orders") - hpas <= 2  # what failed is read again by itself
        hpas = requests_of("/keda-hpa-orders")
        time.sleep(6)
        assert requests_of("/keda-hpa-orders") == hpas


def test_without_a_right_there_is_an_error_and_what_was_known_stays(server, api, redis):
    call_for(server, redis, "orders")
    read(server, "orders")
    api.refused = {"/pods"}

    def has_failed():
        found = objects(server)["orders"]
        return found if found["error"] else None
    found = wait_until(has_failed, SECONDS, "the refusal")
    assert found["error"] == "the Kubernetes API: 403 pods is forbidden" and len(found["workers"]) == 2
    api.refused = set()
    wait_until(lambda: objects(server)["orders"]["error"] is None, SECONDS, "the right")


def test_how_many_there_are_is_among_the_figures_of_the_server(server, api, redis):
    """What was never read is in no sum."""
    def count():
        found = get(server, "/api/server").json()["workers"]
        assert found.keys() == {"running", "pods", "objects", "unread", "areBounds", "oldestSecondsAgo"}
        return found
    assert count() == {"running": None, "pods": None, "objects": 0, "unread": 0, "areBounds": False, "oldestSecondsAgo": None}
    call_for(server, redis, "orders", "reports")
    found = wait_until(lambda: (count()["unread"] == 0) and count(), SECONDS, "both")  # that somebody asks begins the reading
    assert [found[key] for key in ("running", "pods", "objects", "areBounds")] == [2, 3, 2, False]
    assert 0 <= found["oldestSecondsAgo"] < 10
    api.refused = {"scaledobjects", "/pods"}
    found = wait_until(lambda: (count()["unread"] == 2) and count(), SECONDS, "the refusal")
    assert [found["running"], found["pods"]] == [2, 3]  # as they were
    wait_until(lambda: count()["oldestSecondsAgo"] > found["oldestSecondsAgo"], SECONDS, "they grow old")


def test_pods_that_do_not_respond_hold_no_other_object_up(server, api, redis):
    """As where a NetworkPolicy drops what they are scraped by: it took a second for each object."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as silent:  # which accepts, and never responds
        scraped = {"prometheus.io/scrape": "true", "prometheus.io/port": str(silent.getsockname()[1])}
        names = [f"job-{number:02}" for number in range(15)]
        for name in names:
            api.pods[f"scaledjob.keda.sh/name={name}"] = [pod(f"{name}-x", running(), scraped)]
        call_for(server, redis, "orders", *names)
        began = time.monotonic()
        wait_until(lambda: get(server, "/api/server").json()["workers"]["unread"] == 0, SECONDS, "all of them")
        assert time.monotonic() - began < 10
        assert read_done(server, "orders")["workers"][0]["done"] == 37
        time.sleep(8)
        found = objects(server)
        assert [found[name]["workers"][0]["done"] for name in names] == [None] * 15
        assert found["orders"]["workers"][0]["done"] == 37 and max(each["secondsAgo"] for each in found.values()) < 8
        silent.settimeout(0.2)
        scrapes = 0
        with contextlib.suppress(TimeoutError):
            while scrapes < 100:
                silent.accept()[0].close()
                scrapes += 1
        assert scrapes == 15  # again after a minute


def test_without_metrics_server_the_pods_are_listed(server, api, redis):
    api.refused = {"metrics.k8s.io"}
    call_for(server, redis, "orders")
    found = read_done(server, "orders")
    assert found["error"] is None and found["usageError"] == "the Kubernetes API: 403 pods is forbidden"
    assert [worker["cpu"] for worker in found["workers"]] == [None, None]
    assert found["workers"][0]["done"] == 37


def test_the_log_of_a_listed_pod_is_shown(server, api, redis):
    get(server, "/api/workers/shop/orders-1/log", 404)  # not listed yet
    call_for(server, redis, "orders")
    read(server, "orders")
    assert read_log(server, "orders-1") == (200, "one line\n")
    path, query = next(found for found in api.requests if found[0].endswith("/log"))
    assert path == "/api/v1/namespaces/shop/pods/orders-1/log"
    assert query == {"container": "worker", "tailLines": "400", "limitBytes": "1048576"}
    for path in ("shop/reports-x/log", "other/orders-1/log", "shop/orders-1", "shop/orders-1/exec"):
        get(server, f"/api/workers/{path}", 404)


def test_of_a_log_the_end_is_shown(server, api, redis):
    api.log = b"\xff" * 1000 + b"a line\n" * 50_000 + b"the last line\n"
    call_for(server, redis, "orders")
    read(server, "orders")
    _code, text = read_log(server, "orders-1")
    assert text.endswith("the last line\n") and len(text) == 64 << 10
    api.log = b"a" * (2 << 20)
    wait_until(lambda: "larger than" in read_log(server, "orders-1")[1], SECONDS, "a log that is too large")


def test_of_a_log_of_long_lines_the_end_is_shown(server, api, redis):
    """The kubelet takes the last lines, and of these the first bytes."""
    lines = [b"line %d %s\n" % (number, b"x" * 5000) for number in range(1000)]
    api.log = lambda query: b"".join(lines[-int(query["tailLines"]):])[:int(query["limitBytes"])]
    call_for(server, redis, "orders")
    read(server, "orders")
    assert "\nline 999 " in read_log(server, "orders-1")[1]
    lines[:] = [b"short %d\n" % number for number in range(1000)]
    wait_until(lambda: read_log(server, "orders-1")[1].startswith("short 600\n"), SECONDS, "as many short lines as before")


def test_watch_lists_the_workers(server, api, redis):
    call_for(server, redis, "orders")
    read_done(server, "orders")
    address = f"127.0.0.1:{server.http_port}"

    def watch(*arguments):
        return subprocess.run([binary(), "watch", "--server-http", address, "--workers", *arguments], check=True, stdout=subprocess.PIPE,
                              text=True, timeout=SECONDS).stdout
    head, titles, first, second = watch("--timeout", "60s").splitlines()
    assert head == "2 workers, 1 pending"
    assert titles.split() == ["SCALEDOBJECT", "POD", "RESTARTS", "AGE", "JOBS", "DONE", "CPU", "MEMORY", "STATE"]
    assert first.split()[:3] == ["shop/orders", "orders-1", "2"] and first.split()[4:] == ["37", "250m", "64Mi", "Running"]
    assert second.endswith("Pending: Unschedulable: 0/3 nodes are available: 3 Insufficient cpu.")
    [row] = map(json.loads, watch("--output", "json", "--filter", "pending").splitlines())
    assert row["pod"] == "orders-2" and row["cpu"] is None and row["restarts"] == 0
    api.refused = {"/pods"}
    wait_until(lambda: "403" in watch(), SECONDS, "a row of the object itself")
    assert next(line for line in watch().splitlines() if "403" in line).split()[:2] == ["shop/orders", "-"]


def test_without_the_flag_there_are_no_workers(folder, api, redis):
    with PodServer(folder / "ca.pem", api.server_port, TOKEN) as server:
        call_for(server, redis, "orders")
        assert "--workers" in get(server, "/api/workers", 404).json()["error"]
        get(server, "/api/workers/shop/orders-1/log", 404)
        assert api.requests == []


def serve(*arguments, **environment):
    variables = {key: value for key, value in os.environ.items() if not key.startswith("KUBERNETES_")}
    found = subprocess.run([binary(), "serve", "--listen", "127.0.0.1:0", *arguments], env={**variables, **environment},
                           stderr=subprocess.PIPE, text=True, timeout=SECONDS, check=False)
    return found.returncode, found.stderr


def test_mistakes_of_the_flag_are_named():
    code, text = serve("--workers", "shop/a", "--http", "127.0.0.1:0")
    assert code == 2 and '--workers "shop/a"' in text
    code, text = serve("--workers", "shop")
    assert code == 2 and "--workers needs --http" in text
    code, text = serve("--workers", "shop", "--http", "127.0.0.1:0")
    assert code == 1 and "--workers works in a pod only" in text
