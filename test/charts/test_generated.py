"""What is made of something else is up to date: the schema, the README and the table of keys and flags."""

import json
import pathlib
import re
import subprocess
import sys

import pytest
import yaml

from support.charts.chart import CHART, helm
from support.server.server import REPOSITORY, binary, reference
from support.charts.worker_chart import BASE, WORKER, merge

GENERATE = pathlib.Path(REPOSITORY, "tools", "chart", "generate.py")
CHARTS = [CHART, WORKER]
# What the README's blocks leave out.
REQUIRED = {CHART: {}, WORKER: merge(BASE, {"keda": {"extraTriggers": [{"type": "external", "metadata": {}}]}})}


def readme_of(chart):
    return pathlib.Path(chart, "README.md").read_text()


def test_the_files_are_what_dev_chart_writes():
    check = subprocess.run([sys.executable, GENERATE, "--check"], input=reference("json"), text=True, capture_output=True,
                           timeout=60)
    assert check.returncode == 0, check.stderr


def test_the_reference_in_json_has_the_keys_of_the_page():
    document = json.loads(reference("json"))
    rows = [row for scaler in document["scalers"].values() for scope in ("connection", "query", "target") for row in scaler[scope]]
    keys = {row["key"] for row in [*rows, *document["trigger"]]}
    page = reference()
    assert keys == set(re.findall(r"^\| `(\w+)`", page[:page.index("## The server's flags")], re.MULTILINE))
    assert {f"--{row['key']}" for row in document["flags"]} == set(re.findall(r"^\| `(--[\w-]+)`", page, re.MULTILINE))
    by_key = {row["key"]: row for row in document["flags"]}
    assert by_key["interval"] == {"key": "interval", "type": "duration", "default": "5s", "minimum": 1, "maximum": 86400000,
                                  "doc": by_key["interval"]["doc"]}
    assert document["scalers"]["kafka"]["unsupported"]["awsRegion"]


def test_a_table_that_two_scalers_have_stands_once_on_the_page_and_in_full_for_one_scaler():
    page = reference()
    cluster = page[page.index("\n## redis-cluster\n"):page.index("\n## redis-cluster-streams\n")]
    assert "The same as of [redis](#redis)." in cluster and "`listName`" not in cluster and "`bootstrapServers`" not in cluster
    alone = subprocess.run([binary(), "reference", "redis-cluster", "--output", "markdown"], check=True, stdout=subprocess.PIPE, text=True).stdout
    assert "The same as of" not in alone and "| `listName` |" in alone


def paths(values, prefix=""):
    """Of what is no map, or an empty one."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from paths(value, f"{prefix}{key}.")
        else:
            yield prefix + key


@pytest.mark.parametrize("chart", CHARTS)
def test_the_readme_has_every_value(chart):
    shown = set(re.findall(r"^\| `([\w.-]+)` \|", readme_of(chart), re.MULTILINE))
    values = yaml.safe_load(pathlib.Path(chart, "values.yaml").read_text())
    missing = set(paths(values)) - shown
    # Documented as a whole.
    whole = ("resources.", "startupProbe.", "readinessProbe.", "livenessProbe.", "strategy.", "tests.resources.", "keda.scaledJob.rollout.", "podMonitor.")
    assert {path for path in missing if not path.startswith(whole)} == set()
    assert len(shown) > 100


@pytest.mark.parametrize("chart", CHARTS)
def test_every_link_of_the_readme_leads_somewhere(chart):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", readme_of(chart)):
        if not target.startswith("http"):
            assert pathlib.Path(chart, target).exists(), target


@pytest.mark.parametrize("chart", CHARTS)
def test_the_values_of_the_readme_are_accepted(chart):
    """Each yaml block that begins with a value of the chart."""
    values = yaml.safe_load(pathlib.Path(chart, "values.yaml").read_text())
    blocks = [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```", readme_of(chart), re.MULTILINE | re.DOTALL)]
    blocks = [block for block in blocks if set(block) <= set(values)]
    assert len(blocks) >= 4
    for block in blocks:
        result = helm("template", "release", chart, "--namespace", "keda", values=merge(REQUIRED[chart], block))
        assert result.returncode == 0, f"{block}: {result.stderr}"
