"""`--workers` against a real API server, with the rights that the chart gives, and no others: KEDA scales, and the server lists
the pods that follow."""

import pytest

from support.charts.chart import render_all
from support.kubernetes.kubelet import Kubelet
from support.kubernetes.namespace import deployment, scaled_job, trigger
from support.pages.page import get
from support.kubernetes.pod_server import PodServer
from support.process import wait_until
from support.brokers.redis import Redis

SECONDS = 60
ACCOUNT = {"namespace": "scaling", "name": "backlog"}  # the chart's


@pytest.fixture
def server(api, connection, namespace):
    objects = render_all({"workers": {"namespaces": [namespace.name]}, "serviceAccount": {"name": ACCOUNT["name"]}})
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ACCOUNT["namespace"]}},
              {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": dict(ACCOUNT)},
              *(item for item in objects if item["kind"] in ("Role", "RoleBinding")))
    path = "/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token".format(**ACCOUNT)
    token = api.create(path, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
                              "spec": {"expirationSeconds": 600}})["status"]["token"]
    port = int(api.server.rpartition(":")[2])
    with PodServer(connection["authority"], port, token, arguments=["--workers", namespace.name]) as server:
        yield server


def objects_of(server):
    return {item["name"]: item for item in get(server, "/api/workers").json()["objects"]}


def wait_for_workers(server, name, find):
    def is_found():
        found = objects_of(server).get(name)
        assert found and find(found), found
        return found
    return wait_until(is_found, SECONDS, f"the workers of {name}")


def log_of(server, namespace, pod):
    def is_read():
        answer = get(server, f"/api/workers/{namespace}/{pod}/log")
        return answer.text
    return wait_until(is_read, SECONDS, f"the log of {pod}")


@pytest.mark.core
@pytest.mark.first
def test_the_pods_that_keda_starts_are_listed_with_their_use_and_logs(api, namespace, server):
    with Redis() as redis, redis.connect() as client, Kubelet(api, namespace.name):
        queue = {"scaler": "redis", "address": redis.address, "listLength": 5}
        client.call_all([("RPUSH", "orders", i) for i in range(12)])
        client.call_all([("RPUSH", "reports", i) for i in range(10)])
        namespace.scale("orders", trigger(server, listName="orders", **queue))
        namespace.apply(scaled_job("reports", trigger(server, listName="reports", **queue), job_seconds=600, maxReplicaCount=2))
        # Another Deployment, which is nobody's target: its pods are not listed.
        namespace.apply(deployment("other", 1))

        found = wait_for_workers(server, "orders", lambda item: len(item["workers"]) == 3 and all(
            worker["state"] == "Running" and worker["cpu"] for worker in item["workers"]))
        assert found["target"] == "Deployment orders" and found["error"] is None and found["usageError"] is None
        for worker in found["workers"]:
            assert worker["pod"].startswith("orders-") and worker["ready"] and worker["restarts"] == 0
            assert (worker["cpu"], worker["memory"]) == (0.125, 32 << 20) and worker["done"] is None
        pod = found["workers"][0]["pod"]
        wait_until(lambda: log_of(server, namespace.name, pod) == f"the log of {namespace.name}/{pod}/worker, its last 400 lines\n",
                   SECONDS, "the log")

        # KEDA may start more than maxReplicaCount: a push and a poll at once.
        jobs = wait_for_workers(server, "reports", lambda item: len(item["workers"]) >= 2)
        assert all(worker["job"].startswith("reports-") for worker in jobs["workers"])

        # A pod that has no place, with the scheduler's own words.
        big = deployment("orders")
        [container] = big["spec"]["template"]["spec"]["containers"]
        container["resources"] = {"requests": {"cpu": "20000"}}
        big["spec"].pop("replicas")
        namespace.apply(big)
        waiting = wait_for_workers(server, "orders", lambda item: any(worker["reason"] for worker in item["workers"]))
        [worker] = [worker for worker in waiting["workers"] if worker["reason"]][:1]
        assert worker["state"] == "Pending" and worker["reason"].startswith("Unschedulable: 0/1 nodes are available: 1 Insufficient cpu")
        assert not {item["pod"].split("-")[0] for item in waiting["workers"]} - {"orders"}


@pytest.mark.core
def test_the_chart_gives_these_rights_and_no_others(api, namespace, server):
    assert server.http_port  # it runs with this account
    account = "system:serviceaccount:{namespace}:{name}".format(**ACCOUNT)

    def may(verb, resource, in_namespace):
        review = api.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", {
            "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {
                "user": account, "groups": ["system:serviceaccounts"], "resourceAttributes": {
                    "namespace": in_namespace, "verb": verb, **resource}}})
        return review["status"]["allowed"]

    pods, log = {"resource": "pods"}, {"resource": "pods", "subresource": "log"}
    metrics, secrets = {"group": "metrics.k8s.io", "resource": "pods"}, {"resource": "secrets"}
    assert may("list", pods, namespace.name) and may("get", log, namespace.name) and may("list", metrics, namespace.name)
    assert not may("list", pods, "default") and not may("get", log, "default")
    for verb, resource in (("delete", pods), ("create", pods), ("create", {"resource": "pods", "subresource": "exec"}),
                           ("get", {"resource": "pods", "subresource": "proxy"}), ("list", secrets), ("get", secrets),
                           ("update", {"group": "apps", "resource": "deployments", "subresource": "scale"})):
        assert not may(verb, resource, namespace.name), (verb, resource)
