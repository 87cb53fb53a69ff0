"""The page that explains the alerts, and the links to it."""

import pathlib
import re

import pytest

from support.charts.chart import render_all
from support.server.server import REPOSITORY

PAGE = pathlib.Path(REPOSITORY, "docs", "alerts.md").read_text()
URL = "https://git.example/backlog/docs/alerts.md"


def alerts(**values):
    values = {"prometheusRule": {"enabled": True, **values}}
    rule = next(item for item in render_all(values) if item["kind"] == "PrometheusRule")
    return rule["spec"]["groups"][0]["rules"]


def test_every_alert_is_explained_and_nothing_else():
    assert re.findall(r"^## (\S+)$", PAGE, re.MULTILINE) == [alert["alert"] for alert in alerts()]


def test_every_alert_links_to_its_section():
    for alert in alerts(runbookUrl=URL):
        assert alert["annotations"]["runbook_url"] == f"{URL}#{alert['alert'].lower()}"
    assert not [alert for alert in alerts() if "runbook_url" in alert["annotations"]]


@pytest.mark.parametrize("url", ["docs/alerts.md", "https://"])
def test_a_link_that_leads_nowhere_is_refused(url):
    with pytest.raises(AssertionError, match="runbookUrl"):
        alerts(runbookUrl=url)


def sections():
    return re.findall(r"^## (\S+)\n\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)


def plain(expression):
    """Without the release. A sum over pods stays unless it is only compared with 0, which is so with each pod, too."""
    text = re.sub(r"\s+", " ", expression)
    text = re.sub(r'namespace="[^"]*",job="[^"]*",?', "", text).replace("{}", "")
    text = text.replace("sum by (namespace, job) ", "sum").replace("sum by (namespace, job, le)", "sum by (le)")
    return re.sub(r"^sum without \([^)]*\) \((.*)\) > 0$", r"\1 > 0", text)


def duration(text):
    return "" if text == "at once" else re.sub(r"after (\d+) (m|h)\w+", r"\1\2", text)


def test_the_page_has_severity_duration_and_expression_of_each_rule():
    assert [(found["severity"], duration(found["time"]), found["expression"]) for _, text in sections() for found in [
        re.match(r"\*\*(?P<severity>\w+)\*\*, (?P<time>at once|after \d+ \w+): `(?P<expression>[^`]+)`\n", text)]] == [
            (alert["labels"]["severity"], alert.get("for", ""), plain(alert["expr"])) for alert in alerts()]


def test_each_alert_says_what_to_do_and_by_when():
    for name, text in sections():
        _, meaning, *steps = text.strip().split("\n\n")
        assert meaning[0] not in "*`" and steps[0].startswith("**Do "), name
        assert text.count("**Done when") <= 1 and "**Done when" not in meaning, name
        deadlines = re.findall(r"^\*\*Do (at once|today|this week|within the hour|before [^*]+):\*\* ", text, re.MULTILINE)
        assert len(deadlines) == 1, name
