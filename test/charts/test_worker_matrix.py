"""The chart `autoscaled-worker`, every value once: helm, Kubernetes' and KEDA's schemas and `backlog check` find nothing."""

import pathlib
import re

import pytest
import yaml

from support.charts.chart import helm, render_all
from support.kubernetes.kubernetes_schemas import mistakes
from support.charts.worker_chart import EXAMPLES, MATRIX, WORKER, check


@pytest.mark.parametrize("name", MATRIX)
def test_helm_lint_finds_nothing(name):
    result = helm("lint", "--strict", WORKER, values=MATRIX[name])
    output = result.stdout + result.stderr
    assert result.returncode == 0 and "[WARNING]" not in output and "Fail:" not in output, output


@pytest.mark.parametrize("name", MATRIX)
def test_the_schemas_and_backlog_check_find_nothing(name, tmp_path):
    objects = render_all(MATRIX[name], chart=WORKER)
    assert [mistake for item in objects for mistake in mistakes(item)] == []
    for item in objects:
        assert item["metadata"].get("namespace", "scaling") == "scaling"
    found = check(objects, tmp_path)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "error:" not in found.stdout
    count = sum(item["kind"] in ("ScaledObject", "ScaledJob") for item in objects)
    assert f"{count} object{'' if count == 1 else 's'}, " in found.stdout


def test_backlog_check_finds_a_mistake(tmp_path):
    """So that the test above can fail."""
    objects = render_all(MATRIX["kafka alone"], chart=WORKER)
    scaled = next(item for item in objects if item["kind"] == "ScaledObject")
    scaled["spec"]["triggers"][0]["metadata"]["lagTreshold"] = "5"
    assert 'did you mean "lagThreshold"?' in check(objects, tmp_path).stdout


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_has_no_warnings(name, tmp_path):
    result = helm("template", "release", WORKER, "--values", EXAMPLES[name])
    assert result.returncode == 0, result.stderr
    objects = [item for item in yaml.safe_load_all(result.stdout) if item]
    found = check(objects, tmp_path, "--strict")
    assert found.returncode == 0, found.stdout


def test_an_example_is_installed_as_its_first_lines_say():
    for name, path in EXAMPLES.items():
        text = pathlib.Path(path).read_text()
        command = re.search(r"^#   (helm install .*)$", text, re.MULTILINE)[1]
        assert f"--values charts/autoscaled-worker/values-{name}.yaml" in command
        has_secret = "existingSecret" in text
        assert ("kubectl --namespace shop create secret" in text) == has_secret


def test_the_chart_without_values_passes_lint():
    """A registry or an editor lints it so; the message about what is missing is for an installation."""
    result = helm("lint", "--strict", WORKER)
    assert result.returncode == 0, result.stdout
