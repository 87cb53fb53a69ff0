"""The manifests of all examples: what `backlog check`, the schemas of Kubernetes and KEDA, and the READMEs demand."""

import pathlib
import re
import subprocess

import pytest
import yaml

from support.chart import render
from support.kubernetes_schemas import mistakes
from support.server import REPOSITORY, binary

EXAMPLES = sorted(run.parent for run in pathlib.Path(REPOSITORY, "examples").glob("*/run"))
MANIFESTS = [pytest.param(path, id=f"{example.name}/{path.name}")
             for example in EXAMPLES for path in sorted(example.glob("manifests/*.yaml"))]


def objects(path):
    return [item for item in yaml.safe_load_all(path.read_text()) if item]


def connections(example, folder):
    """The connections file that the chart makes of the example's values, with its secrets in this folder."""
    values = yaml.safe_load((example / "backlog-values.yaml").read_text())
    text = render(values)["ConfigMap"]["data"]["connections.yaml"]
    for path in re.findall(r"/etc/backlog/secrets/[^\s\"']+", text):
        local = folder / path.lstrip("/")
        local.parent.mkdir(parents=True, exist_ok=True)
        local.write_text("secret")
    return text.replace("/etc/backlog/secrets/", f"{folder}/etc/backlog/secrets/")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_backlog_check_accepts_the_scaled_objects(example, tmp_path):
    paths = [path for path in example.glob("manifests/*.yaml")
             if any(item["kind"] in ("ScaledObject", "ScaledJob") for item in objects(path))]
    assert paths
    config = tmp_path / "connections.yaml"
    config.write_text(connections(example, tmp_path))
    done = subprocess.run([binary(), "check", "--strict", "--config", config, *paths], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0 and "0 errors, 0 warnings" in done.stdout, done.stdout


@pytest.mark.parametrize("path", MANIFESTS)
def test_the_schemas_accept_each_object(path):
    for item in objects(path):
        assert mistakes(item) == []


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_every_object_says_its_namespace_which_is_created_first(example):
    found = [item for path in sorted(example.glob("manifests/*.yaml")) for item in objects(path)]
    assert found[0]["kind"] == "Namespace"
    name = found[0]["metadata"]["name"]
    for item in found[1:]:
        assert item["metadata"]["namespace"] == name, f"{item['kind']} {item['metadata']['name']}"
