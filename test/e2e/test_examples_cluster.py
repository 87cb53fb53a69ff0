"""examples/up, forward and down on a real API server: every object is accepted, up can be repeated, and nothing is left after down."""

import itertools
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest
import yaml

from support.kubernetes.kubernetes_schemas import SCHEMAS
from support.process import need, wait_until
from support.server.server import REPOSITORY

NAME = "csv-jobs-rabbitmq"
NAMESPACE, SHARED = "csv", "backlog-examples"
EXAMPLES = pathlib.Path(REPOSITORY, "examples")
OTHERS = sorted(path.parent.name for path in EXAMPLES.glob("*/cluster") if path.parent.name != NAME)
SECONDS = 600  # a busy machine is no failure


@pytest.fixture
def environment(cluster, tmp_path):
    """The context of the scripts is that of the test's cluster."""
    cluster.install_definitions("keda.sh_scaledobjects", "keda.sh_triggerauthentications")
    wrapper = tmp_path / "kubectl"
    wrapper.write_text(f'#!/bin/sh\nexec {cluster.kube} kubectl --kubeconfig {cluster.config} "$@"\n')
    wrapper.chmod(0o755)
    return {**os.environ, "KUBECTL": str(wrapper), "HELM": f"{need('helm')} --kubeconfig {cluster.config}",
                   "HELM_REPOSITORY_CONFIG": str(tmp_path / "repositories.yaml"), "XDG_CACHE_HOME": str(tmp_path)}


@pytest.fixture
def script(environment):
    """Runs examples/up, forward or down."""
    def run(which, *arguments, code=0, **more):
        found = subprocess.run([os.path.join(REPOSITORY, "examples", which), *arguments], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, timeout=SECONDS, env={**environment, **more})
        assert found.returncode == code, found.stdout
        return found.stdout

    return run


def forwarded(environment, name):
    """The ports that examples/forward opens, as it prints them. It ends with SIGTERM, and with it all that it has started."""
    child = subprocess.Popen([EXAMPLES / "forward", name], stdout=subprocess.PIPE, text=True, env=environment)
    lines = list(itertools.takewhile(lambda line: line not in ("", "Until Ctrl-C.\n"), iter(child.stdout.readline, None)))
    child.terminate()
    assert child.wait(SECONDS) == 0
    assert child.stdout.read() == ""  # whoever still lived would have it open
    return [int(re.match(r"http://localhost:(\d+)/  ", line)[1]) for line in lines]


def names(cluster, *words):
    return {item["metadata"]["name"] for item in cluster.get(*words)["items"]}


def has_namespace(cluster, name):
    return name in names(cluster, "namespaces")


def make_chart(folder, name):
    chart = folder / name
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text(f"apiVersion: v2\nname: {name}\nversion: 1.0.0\n")
    return chart


@pytest.fixture
def charts(tmp_path):
    """In the place of metrics-server's an object, of kube-state-metrics' a Deployment, and of the VPA's its custom resources."""
    metrics_server, state_metrics, vpa = (make_chart(tmp_path, name) for name in ("metrics-server", "kube-state-metrics", "vpa"))
    (metrics_server / "templates" / "object.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: instead-of-metrics-server}\n")
    (state_metrics / "templates" / "object.yaml").write_text(json.dumps({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "instead-of-kube-state-metrics", "labels": {"app.kubernetes.io/name": "kube-state-metrics"}},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "none"}},
                 "template": {"metadata": {"labels": {"app": "none"}}, "spec": {"containers": [{"name": "none", "image": "none"}]}}}}))
    (vpa / "crds").mkdir()  # where fairwinds' chart has them, too: Helm does not delete these
    shutil.copy(SCHEMAS / "vertical-pod-autoscaler" / "vpa-v1-crd-gen.yaml", vpa / "crds")
    return {"METRICS_SERVER_CHART": str(metrics_server), "KUBE_STATE_METRICS_CHART": str(state_metrics), "VPA_CHART": str(vpa)}


@pytest.mark.alone
def test_an_example_comes_up_twice_and_goes_down(cluster, script, environment, charts):
    assert "csv-jobs-rabbitmq" in script("up", "nonsense", code=2)
    missing = script("up", NAME, "--no-images", code=1)
    assert "The cluster has no metrics-server kube-state-metrics," in missing
    for part, variable in (("metrics-server", "METRICS_SERVER_CHART"), ("kube-state-metrics", "KUBE_STATE_METRICS_CHART")):
        assert f"helm repo add {part} URL" in missing and f"{variable}=CHART examples/up {NAME}" in missing
    assert not has_namespace(cluster, SHARED)  # nothing was begun

    for replicas in (0, 3, 7):  # as KEDA and the HPA set them: up does not stop busy workers
        printed = script("up", NAME, "--no-images", **charts)
        assert "keda: there already" in printed and f"{NAME} is up" in printed
        assert "prometheus.operator.enabled=true" in printed  # this KEDA is not of examples/up
        assert ("kube-state-metrics: there already" in printed) == (replicas > 0)
        worker = cluster.get("deployment", "csv-worker", "-n", NAMESPACE)
        assert worker["spec"]["replicas"] == replicas
        cluster.kubectl("scale", "deployment/csv-worker", "-n", NAMESPACE, f"--replicas={3 if replicas == 0 else 7}")
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
    assert forwarded(environment, NAME) == [8000, 15672, 5672, 8080, 3000, 9090]
    # The dashboard lists the workers.
    assert names(cluster, "rolebindings", "-n", NAMESPACE) & names(cluster, "roles", "-n", NAMESPACE)
    [container] = cluster.get("deployment", "backlog", "-n", "keda")["spec"]["template"]["spec"]["containers"]
    assert container["args"][container["args"].index("--workers") + 1] == NAMESPACE
    # The Prometheus of the examples may read its metrics.
    ingress = cluster.get("networkpolicy", "backlog", "-n", "keda")["spec"]["ingress"]
    [peers] = [rule["from"] for rule in ingress if rule["ports"][0]["port"] == "http"]
    assert [peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] for peer in peers] == [SHARED]

    printed = script("down", NAME)
    assert "metrics-server: removed" in printed and "keda: removed" not in printed  # it was there before
    for gone in (NAMESPACE, SHARED):
        wait_until(lambda name=gone: not has_namespace(cluster, name), SECONDS, f"{gone} is gone")
    assert "instead-of-metrics-server" not in names(cluster, "configmaps", "-n", "kube-system")
    assert "instead-of-kube-state-metrics" not in names(cluster, "deployments", "-n", "kube-system")
    assert "example-csv" not in names(cluster, "secrets", "-n", "keda")
    assert "backlog" not in names(cluster, "deployments", "-n", "keda")
    assert "backlog-examples-prometheus" not in names(cluster, "clusterroles")
    for which in ("forward", "down"):
        assert "is not up" in script(which, NAME, code=1)


@pytest.mark.alone
@pytest.mark.parametrize("name", OTHERS)
def test_every_object_of_an_example_is_accepted_and_gone_after_down(cluster, script, environment, charts, name):
    objects = [item for path in sorted((EXAMPLES / name / "manifests").glob("*.yaml")) for item in yaml.safe_load_all(path.read_text()) if item]
    namespace = objects[0]["metadata"]["name"]
    script("up", name, "--no-images", **charts)
    assert cluster.get(f"namespace/{namespace}")["metadata"]["labels"]["backlog-example"] == name
    for item in objects[1:]:
        cluster.get(f"{item['kind']}/{item['metadata']['name']}", "--namespace", namespace)
    connections = yaml.safe_load((EXAMPLES / name / "backlog-values.yaml").read_text())["connections"]
    written = cluster.get("configmap", "backlog", "-n", "keda")["data"]["connections.yaml"]
    assert all(f"{connection}:" in written for connection in connections)
    ports = forwarded(environment, name)
    assert {8080, 3000, 9090} < set(ports)

    script("down", name)
    for gone in (namespace, SHARED):
        wait_until(lambda name=gone: not has_namespace(cluster, name), SECONDS, f"{gone} is gone")
    assert not any(line.startswith("example-") for line in names(cluster, "secrets", "-n", "keda"))
    assert not any(crd.endswith(".autoscaling.k8s.io") for crd in names(cluster, "crds"))


@pytest.mark.alone
def test_an_example_comes_up_as_its_umbrella_chart(cluster, script, environment, charts):
    name, namespace = "memes-nats", "memes"
    assert "has no umbrella chart" in script("up", NAME, "--umbrella", "--no-images", code=1, **charts)
    for _ in range(2):
        printed = script("up", name, "--umbrella", "--no-images", **charts)
        assert "as release memes of examples/umbrella" in printed
    assert names(cluster, "deployments", "-n", namespace) == {"memes-backend", "memes-frontend", "memes-image-api"}
    assert names(cluster, "verticalpodautoscalers", "-n", namespace) == {"memes-redis"}
    services = names(cluster, "services", "-n", namespace)
    opened = subprocess.run(["bash", "-c", 'umbrella=yes; . "$0" && printf "%s\n" "${forwards[@]}"', EXAMPLES / name / "cluster"], check=True,
                            stdout=subprocess.PIPE, text=True).stdout
    assert set(re.findall(r"memes/svc/([-a-z]+)=", opened)) <= services
    assert "is up with --umbrella" in script("up", name, "--no-images", code=1, **charts)
    script("down", name)
    wait_until(lambda: not has_namespace(cluster, namespace), SECONDS, "it is gone")


@pytest.mark.alone
def test_a_namespace_of_somebody_is_left_alone(cluster, script, charts):
    cluster.create_namespace(NAMESPACE)
    try:
        assert "which is not of this example" in script("up", NAME, "--no-images", code=1, **charts)
        assert not has_namespace(cluster, SHARED)
    finally:
        cluster.kubectl("delete", "namespace", NAMESPACE)


@pytest.mark.alone
def test_a_backlog_of_somebody_stays_also_after_an_upgrade_that_was_killed(cluster, script, environment, charts):
    """Helm then has it as pending-upgrade, which `helm list` does not show."""
    chart = pathlib.Path(REPOSITORY, "charts", "backlog")
    words = [*environment["HELM"].split(), "upgrade", "--install", "backlog", chart, "--namespace", "keda"]
    values = ["--set", "image.repository=mine,networkPolicy.monitoring.namespace=watching"]
    subprocess.run([*words, "--create-namespace", *values], check=True, stdout=subprocess.DEVNULL)
    try:
        with subprocess.Popen([*words, "--reset-then-reuse-values", "--set", "replicaCount=2", "--wait"]) as upgrade:  # no node: it waits
            wait_until(lambda: "backlog" in cluster.helm("list", "--pending", "--namespace", "keda", "--short").stdout, SECONDS, "it is pending")
            upgrade.kill()
        printed = script("up", NAME, "--no-images", code=1, **charts)
        assert "backlog: there already" in printed and "another operation" in printed
        cluster.helm("rollback", "backlog", "1", "--namespace", "keda")
        printed = script("up", NAME, "--no-images", **charts)
        assert "backlog: to see the workers on its dashboard, add csv to its workers.namespaces" in printed
        assert "backlog: removed" not in script("down", NAME)
        assert json.loads(cluster.helm("get", "values", "backlog", "--namespace", "keda", "--output", "json").stdout) == {
            "connections": {}, "image": {"repository": "mine"}, "networkPolicy": {"monitoring": {"namespace": "watching"}}}
    finally:
        cluster.helm("uninstall", "backlog", "--namespace", "keda")


@pytest.mark.alone
def test_down_removes_a_backlog_whose_installation_failed(cluster, script, charts, environment, tmp_path):
    """And a second `up` completes it."""
    wrapper = tmp_path / "failing-helm"
    wrapper.write_text(f'#!/bin/sh\n[ "$3 $4 $5" != "upgrade --install backlog" ] || set -- "$@" --set-json \'workers.namespaces=["none"]\'\n'
                       f'exec {environment["HELM"]} "$@"\n')
    wrapper.chmod(0o755)
    failed = script("up", NAME, "--no-images", code=1, **{**charts, "HELM": str(wrapper)})
    assert "backlog: installing it" in failed
    assert "backlog: removed" in script("down", NAME)
    script("up", NAME, "--no-images", code=1, **{**charts, "HELM": str(wrapper)})
    assert f"{NAME} is up" in script("up", NAME, "--no-images", **charts)
    assert "backlog: removed" in script("down", NAME)
    assert "backlog" not in names(cluster, "deployments", "-n", "keda")
