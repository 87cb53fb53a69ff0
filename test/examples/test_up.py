"""examples/up: which charts of the user's Helm repositories it installs. With a real cluster: test/e2e/test_examples_cluster.py."""

import os
import pathlib
import subprocess

import pytest
import yaml

from support.process import need
from support.server.server import REPOSITORY

UP = pathlib.Path(REPOSITORY, "examples", "up")
CHARTS = {  # as the four repositories of docs/examples.md have them, beside others of similar names
    "kedacore": {"keda": "Event-based autoscaler for workloads on Kubernetes", "keda-add-ons-http": "HTTP for keda", "external-keda": "Not keda"},
    "metrics-server": {"metrics-server": "A source of container resource metrics"},
    "prometheus-community": {"kube-state-metrics": "Installs kube-state-metrics", "kube-prometheus-stack": "With kube-state-metrics"},
    "fairwinds-stable": {"vpa": "A chart for Kubernetes Vertical Pod Autoscaler", "goldilocks": "Makes a vpa"}}


@pytest.fixture
def repositories(tmp_path):
    """What `helm repo add` has written: the repositories, and the index of each. Yields the variables that say where."""
    cache = tmp_path / "cache"
    cache.mkdir()
    for name, charts in CHARTS.items():
        entries = {chart: [{"apiVersion": "v2", "name": chart, "version": "1.0.0", "description": description, "keywords": ["keda", "vpa"],
                            "urls": [f"{chart}.tgz"]}] for chart, description in charts.items()}
        (cache / f"{name}-index.yaml").write_text(yaml.safe_dump({"apiVersion": "v1", "entries": entries}))
    config = tmp_path / "repositories.yaml"
    config.write_text(yaml.safe_dump({"apiVersion": "", "repositories": [{"name": name, "url": "http://127.0.0.1:1/"} for name in CHARTS]}))
    return {"HELM_REPOSITORY_CONFIG": str(config), "HELM_REPOSITORY_CACHE": str(cache)}


@pytest.fixture
def empty_cluster(tmp_path):
    """A cluster that has nothing, and accepts all: Helm only searches. Yields the variables for it."""
    kubectl, helm = tmp_path / "kubectl", tmp_path / "helm"
    kubectl.write_text('#!/bin/sh\ncase " $* " in *" get "*) exit 1 ;; *" -f - "*) cat ;; esac\n')
    helm.write_text(f'#!/bin/sh\n[ "$3" != search ] || exec {need("helm")} "$@"\n')
    for program in (kubectl, helm):
        program.chmod(0o755)
    return {"KUBECTL": str(kubectl), "HELM": str(helm)}


def test_the_charts_are_found_in_the_repositories_of_the_user(repositories, empty_cluster):
    done = subprocess.run([UP, "memes-nats", "--context", "none", "--no-images"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env={**os.environ, **repositories, **empty_cluster})
    assert done.returncode == 0, done.stdout
    assert [line for line in done.stdout.splitlines() if ": installing " in line and not line.startswith("backlog")] == [
        "keda: installing kedacore/keda ...", "metrics-server: installing metrics-server/metrics-server ...",
        "vpa: installing fairwinds-stable/vpa ...", "kube-state-metrics: installing prometheus-community/kube-state-metrics ..."]
