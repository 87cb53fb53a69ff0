"""A Grafana dashboard's queries, in a real Prometheus that scrapes what they are about."""

import json
import math
import pathlib

import requests

from ..process import wait_until
from ..brokers.prometheus import Prometheus

SECONDS = 90
OTHERS = ("keda_", "kube_")  # metrics of KEDA's operator and of kube-state-metrics: see test/e2e/test_examples_scale.py


def dashboards(example):
    """Of the example's folder."""
    return [json.loads(path.read_text()) for path in sorted(pathlib.Path(example).glob("dashboard*.json"))]


def queries(example):
    found = []
    for page in dashboards(example):
        assert len({panel["id"] for panel in page["panels"]}) == len(page["panels"])
        assert len(page["uid"]) <= 40 and [variable["name"] for variable in page["templating"]["list"]] == ["datasource", "namespace"]
        found += [target["expr"] for panel in page["panels"] for target in panel["targets"]]
    return found


def has_numbers(prometheus, query, needs_rows=True):
    """Whether the query finds something; a query with a mistake fails."""
    answer = requests.get(f"{prometheus.url()}/api/v1/query", params={"query": query}, timeout=SECONDS).json()
    assert answer["status"] == "success", f"{query}: {answer.get('error')}"
    return not needs_rows or any(not math.isnan(float(row["value"][1])) for row in answer["data"]["result"])


def assert_finds(prometheus, query, namespace, needs_rows=True):
    text = query.replace("$namespace", namespace).replace("$__rate_interval", "1m").replace("$__range", "1h")
    wait_until(lambda: has_numbers(prometheus, text, needs_rows), SECONDS, f"an answer to {text}")


def needs_others(query):
    return any(word in query for word in OTHERS)


def assert_answered(example, namespace, **ports):
    """`ports` are those of metrics, by the name of the pod: each query of the example's dashboards finds some of these."""
    scrapes = [{"job_name": "pods", "static_configs": [
        {"targets": [f"127.0.0.1:{port}"], "labels": {"namespace": namespace, "pod": pod.replace("_", "-")}}
        for pod, port in ports.items()]}]
    with Prometheus(scrapes=scrapes) as prometheus:
        for query in queries(example):
            assert_finds(prometheus, query, namespace, needs_rows=not needs_others(query))
