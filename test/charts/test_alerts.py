"""The page that explains the alerts, and the links to it."""

import pathlib
import re

import pytest

from support.charts.chart import render_all
from support.server.server import REPOSITORY

PAGE = pathlib.Path(REPOSITORY, "docs", "observe.md").read_text()
URL = "https://git.example/backlog/docs/observe.md"


def alerts(**values):
    values = {"prometheusRule": {"enabled": True, **values}}
    rule = next(item for item in render_all(values) if item["kind"] == "PrometheusRule")
    return rule["spec"]["groups"][0]["rules"]


def test_every_alert_is_explained_and_nothing_else():
    assert re.findall(r"^### (\S+)$", PAGE, re.MULTILINE) == [alert["alert"] for alert in alerts()]


def test_every_alert_links_to_its_section():
    for alert in alerts(runbookUrl=URL):
        assert alert["annotations"]["runbook_url"] == f"{URL}#{alert['alert'].lower()}"
    assert not [alert for alert in alerts() if "runbook_url" in alert["annotations"]]


@pytest.mark.parametrize("url", ["docs/observe.md", "https://"])
def test_a_link_that_leads_nowhere_is_refused(url):
    with pytest.raises(AssertionError, match="runbookUrl"):
        alerts(runbookUrl=url)


def sections():
    return re.findall(r"^### (\S+)$\n(.*?)(?=^### |\Z)", PAGE, re.MULTILINE | re.DOTALL)


def test_the_page_and_the_rules_have_the_same_severities():
    assert [re.search(r"^\*\*(\w+)\*\*, ", text, re.MULTILINE)[1] for _, text in sections()] == [
        alert["labels"]["severity"] for alert in alerts()]


def test_the_page_and_the_rules_have_the_same_durations():
    rules = {alert["alert"]: alert for alert in alerts()}
    for name, text in sections():
        rule = f"{rules[name]['expr']} for {rules[name].get('for', '')}"
        for number, unit in re.findall(r"(\d+) (minutes|seconds|days)", text):
            assert {"minutes": f"for {number}m", "seconds": f"> {number} ", "days": f" {number} * 86400 "}[unit] in rule, name
