"""The charts as OCI artifacts: packaged, pushed to a real registry, and installed from there."""

import json
import os
import pathlib
import re
import subprocess
import tarfile

import pytest
import yaml

from support.charts.chart import CHART, IMAGE, helm, render_all
from support.process import need
from support.kubernetes.registry import Registry
from support.charts.worker_chart import KAFKA, WORKER

METADATA = yaml.safe_load(pathlib.Path(CHART, "Chart.yaml").read_text())
VERSION = METADATA["version"]


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    folder = tmp_path_factory.mktemp("package")
    result = helm("package", CHART, "--destination", str(folder))
    assert result.returncode == 0, result.stderr
    return folder / f"backlog-{VERSION}.tgz"


def test_the_package_has_what_an_installation_needs_and_nothing_else(package):
    with tarfile.open(package) as archive:
        names = {name.removeprefix("backlog/") for name in archive.getnames()}
    assert {"Chart.yaml", "README.md", "values.yaml", "values-production.yaml", "values.schema.json", "files/monitoring.yaml",
            "files/reference.json", "templates/deployment.yaml", "templates/tests/server.yaml"} <= names
    assert not [name for name in names if name.startswith((".", "test/")) or name.endswith((".tgz", ".orig"))]


def test_the_worker_chart_is_pushed_and_installed_from_there(tmp_path):
    version = yaml.safe_load(pathlib.Path(WORKER, "Chart.yaml").read_text())["version"]
    assert helm("package", WORKER, "--destination", str(tmp_path)).returncode == 0
    package = tmp_path / f"autoscaled-worker-{version}.tgz"
    with tarfile.open(package) as archive:
        names = {name.removeprefix("autoscaled-worker/") for name in archive.getnames()}
    assert {"Chart.yaml", "README.md", "values.yaml", "values.schema.json", "values-basic.yaml", "values-scale-to-zero.yaml",
            "values-multi-metric.yaml", "files/triggers.json", "templates/scaledobject.yaml"} <= names
    with Registry() as registry:
        pushed = helm("push", str(package), f"oci://{registry.host}/charts", "--plain-http")
        assert pushed.returncode == 0, pushed.stderr
        chart = f"oci://{registry.host}/charts/autoscaled-worker"
        assert render_all(KAFKA, "--version", version, "--plain-http", chart=chart) == render_all(KAFKA, chart=WORKER)


def test_a_registry_takes_the_package_and_helm_installs_from_it(package, tmp_path):
    with Registry() as registry:
        pushed = helm("push", str(package), f"oci://{registry.host}/charts", "--plain-http")
        assert pushed.returncode == 0, pushed.stderr
        digest = re.search(r"Digest: (sha256:[0-9a-f]{64})", pushed.stdout + pushed.stderr)[1]
        chart = f"oci://{registry.host}/charts/backlog"

        manifest = json.loads(subprocess.run([need("crane"), "manifest", "--insecure", f"{registry.host}/charts/backlog@{digest}"],
                                             check=True, capture_output=True, text=True, timeout=60).stdout)
        assert manifest["config"]["mediaType"] == "application/vnd.cncf.helm.config.v1+json"
        assert manifest["annotations"]["org.opencontainers.image.title"] == "backlog"
        assert manifest["annotations"]["org.opencontainers.image.version"] == VERSION

        pulled = helm("pull", chart, "--version", VERSION, "--plain-http", "--destination", str(tmp_path))
        assert pulled.returncode == 0, pulled.stderr
        assert (tmp_path / package.name).read_bytes() == package.read_bytes()
        assert render_all({}, "--version", VERSION, "--plain-http", chart=chart) == render_all()
        assert render_all(IMAGE, "--plain-http", chart=f"{chart}@{digest}") == render_all()


def test_a_parent_chart_sets_global_values(tmp_path):
    parent = tmp_path / "platform"
    os.makedirs(parent / "charts")
    dependency = {"name": "backlog", "version": VERSION, "condition": "backlog.enabled"}
    (parent / "Chart.yaml").write_text(yaml.safe_dump({"apiVersion": "v2", "name": "platform", "version": "1.0.0", "dependencies": [dependency]}))
    os.symlink(CHART, parent / "charts" / "backlog")
    values = {"replicaCount": 3, "image": {"repository": "backlog"}}
    objects = render_all({"global": {"imageRegistry": "mirror.example"}, "backlog": {**values, "enabled": True}}, chart=str(parent))
    deployment = next(item for item in objects if item["kind"] == "Deployment")
    assert deployment["spec"]["replicas"] == 3
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == "mirror.example/backlog:0.1.0"
    assert render_all({"backlog": {**values, "enabled": False}}, chart=str(parent)) == []


@pytest.mark.parametrize("chart", [CHART, WORKER])
def test_the_metadata_is_what_artifact_hub_reads(chart):
    metadata = yaml.safe_load(pathlib.Path(chart, "Chart.yaml").read_text())
    assert metadata["icon"].startswith("data:image/svg+xml,") and metadata["home"] and metadata["maintainers"]
    annotations = metadata["annotations"]
    assert annotations["artifacthub.io/license"] == "Apache-2.0"
    for change in yaml.safe_load(annotations["artifacthub.io/changes"]):
        assert change["kind"] in ("added", "changed", "deprecated", "removed", "fixed", "security") and change["description"]
    for key in ("links", "recommendations"):
        assert all(item["url"].startswith("https://") for item in yaml.safe_load(annotations[f"artifacthub.io/{key}"]))
