"""examples/up and down on a real API server: every object is accepted, up can be repeated, and nothing is left after down."""

import json
import os
import subprocess

import pytest

from support.process import need, wait_until
from support.server import REPOSITORY

NAME = "csv-jobs-rabbitmq"
NAMESPACE, SHARED = "csv", "backlog-examples"
SECONDS = 600  # a busy machine is no failure


@pytest.fixture
def script(cluster, tmp_path):
    """Runs examples/up or down; the context is that of the test's cluster."""
    cluster.install_definitions("keda.sh_scaledobjects", "keda.sh_triggerauthentications")
    wrapper = tmp_path / "kubectl"
    wrapper.write_text(f'#!/bin/sh\nexec {cluster.kube} kubectl --kubeconfig {cluster.config} "$@"\n')
    wrapper.chmod(0o755)
    environment = {**os.environ, "KUBECTL": str(wrapper), "HELM": f"{need('helm')} --kubeconfig {cluster.config}",
                   "HELM_REPOSITORY_CONFIG": str(tmp_path / "repositories.yaml"), "XDG_CACHE_HOME": str(tmp_path)}

    def run(which, *arguments, code=0, **more):
        found = subprocess.run([os.path.join(REPOSITORY, "examples", which), *arguments], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, timeout=SECONDS, env={**environment, **more})
        assert found.returncode == code, found.stdout
        return found.stdout

    return run


def names(cluster, *words):
    return {item["metadata"]["name"] for item in cluster.get(*words)["items"]}


def has_namespace(cluster, name):
    return name in names(cluster, "namespaces")


@pytest.fixture
def metrics_server(tmp_path):
    """A chart in its place."""
    chart = tmp_path / "metrics-server"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: metrics-server\nversion: 1.0.0\n")
    (chart / "templates" / "object.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: instead-of-metrics-server}\n")
    return {"METRICS_SERVER_CHART": str(chart)}


@pytest.mark.alone
def test_an_example_comes_up_twice_and_goes_down(cluster, script, metrics_server):
    assert "csv-jobs-rabbitmq" in script("up", "nonsense", code=2)
    missing = script("up", NAME, "--no-images", code=1)
    assert "the cluster has no metrics-server" in missing and "METRICS_SERVER_CHART" in missing
    assert not has_namespace(cluster, SHARED)  # nothing was begun

    for _ in range(2):
        printed = script("up", NAME, "--no-images", **metrics_server)
        assert "keda: there already" in printed and f"{NAME} is up" in printed
    assert "instead-of-metrics-server" in names(cluster, "configmaps", "-n", "kube-system")
    assert names(cluster, "deployments", "-n", NAMESPACE) == {"csv-producer", "csv-worker"}
    assert names(cluster, "scaledobjects", "-n", NAMESPACE) == {"csv-worker"}
    assert names(cluster, "deployments", "-n", SHARED) == {"prometheus", "grafana"}
    owned = cluster.get("deployments,statefulsets,services,scaledobjects,secrets", "-n", NAMESPACE)["items"]
    assert owned and all(item["metadata"]["labels"]["backlog-example"] == NAME for item in owned)
    dashboard = cluster.get("configmap", f"dashboard-{NAME}", "-n", SHARED)["data"]
    assert json.loads(dashboard[f"{NAME}.json"])["panels"]
    assert "example-csv:" in cluster.get("configmap", "backlog", "-n", "keda")["data"]["connections.yaml"]
    assert "example-csv" in names(cluster, "secrets", "-n", "keda")
    # The dashboard lists the workers.
    assert names(cluster, "rolebindings", "-n", NAMESPACE) & names(cluster, "roles", "-n", NAMESPACE)
    [container] = cluster.get("deployment", "backlog", "-n", "keda")["spec"]["template"]["spec"]["containers"]
    assert container["args"][container["args"].index("--workers") + 1] == NAMESPACE

    printed = script("down", NAME)
    assert "metrics-server: removed" in printed and "keda: removed" not in printed  # it was there before
    for gone in (NAMESPACE, SHARED):
        wait_until(lambda name=gone: not has_namespace(cluster, name), SECONDS, f"{gone} is gone")
    assert "instead-of-metrics-server" not in names(cluster, "configmaps", "-n", "kube-system")
    assert "example-csv" not in names(cluster, "secrets", "-n", "keda")
    assert "backlog" not in names(cluster, "deployments", "-n", "keda")
    assert "backlog-examples-prometheus" not in names(cluster, "clusterroles")
    assert "is not up" in script("down", NAME, code=1)


@pytest.mark.alone
def test_a_namespace_of_somebody_is_left_alone(cluster, script, metrics_server):
    cluster.create_namespace(NAMESPACE)
    try:
        assert "which is not of this example" in script("up", NAME, "--no-images", code=1, **metrics_server)
        assert not has_namespace(cluster, SHARED)
    finally:
        cluster.kubectl("delete", "namespace", NAMESPACE)
