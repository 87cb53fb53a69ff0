"""A null in the values, or a key with nothing behind it, removes a default: what needs it is refused by name."""

import pathlib

import pytest
import yaml

from support.charts.chart import CHART, documents, helm, merge, refusal, render
from support.charts.chart_values import MATRIX
from support.charts.worker_chart import HPA, JOB, WORKER, all_triggers, keda

# As much as possible on.
BASES = {CHART: [merge(MATRIX["everything"], {"tests": {"clientSecret": "keda-client"}})],
         WORKER: [keda(all_triggers(), fallback={"enabled": True}), HPA, JOB]}
# What Kubernetes and the operators have a default of their own for.
HAVE_DEFAULTS = {"imagePullPolicy", "revisionHistoryLimit", "minReadySeconds", "interval", "duration", "renewBefore", "behavior"}


def defaults_of(chart):
    return yaml.safe_load(pathlib.Path(chart, "values.yaml").read_text())


def paths(value, path):
    """Of this value, and of all that are in it."""
    if value is not None:
        yield path
    for key in value if isinstance(value, dict) else ():
        yield from paths(value[key], (*path, key))


def null_at(path):
    return {path[0]: null_at(path[1:])} if path else None


def nulls_of(value, key=None):
    """The keys whose value is null."""
    if value is None:
        yield key
    for inner in value if isinstance(value, (dict, list)) else ():
        yield from nulls_of(value[inner], inner) if isinstance(value, dict) else nulls_of(inner, key)


def is_refusal(result):
    """What the chart says, and not Go."""
    return "don't meet the specifications of the schema" in result.stderr or "Error: execution error at" in result.stderr


@pytest.mark.parametrize("chart, top", [(chart, top) for chart in BASES for top in defaults_of(chart)],
                         ids=lambda part: pathlib.Path(part).name)
def test_a_null_is_refused_or_renders(chart, top):
    for path in paths(defaults_of(chart)[top], (top,)):
        for base in BASES[chart]:
            result = helm("template", "release", chart, "--namespace", "scaling", values=merge(base, null_at(path)))
            if result.returncode:
                assert is_refusal(result), f"{'.'.join(path)}: {result.stderr}"
                continue
            assert "<nil>" not in result.stdout and "%!" not in result.stdout, path
            nulls = {key for item in documents(result.stdout) for key in nulls_of(item or {})}
            assert nulls <= HAVE_DEFAULTS, path


def test_the_refusal_names_the_value():
    assert "at '/image': missing property 'registry'" in refusal({"image": {"registry": None}})
    assert "at '': missing property 'livenessProbe'" in refusal({"livenessProbe": None})


def test_a_bare_connections_is_none():
    """As when all of them are comments."""
    assert render({"connections": None}) == render()
