"""Names that YAML takes for a number, a truth value or nothing: they are texts in every object."""

import json
import re

import pytest
import yaml

from support.charts.chart import CHART, helm
from support.charts.worker_chart import BASE, REQUESTS, WORKER

NAMES = ["123", "0x10", "1e3", "true", "on", "null"]


class Kubernetes(yaml.SafeLoader):
    """As helm and kubectl read: for them 1e3 is a number, too."""


Kubernetes.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+[eE][-+]?[0-9]+$"), list("-+0123456789"))


def backlog(name):
    return {
        "nameOverride": name, "secrets": [name], "priorityClassName": name, "runtimeClassName": name, "schedulerName": name,
        "serviceAccount": {"create": True, "name": name}, "imagePullSecrets": [{"name": name}],
        "commonLabels": {"team": name}, "podLabels": {"team": name}, "nodeSelector": {"team": name},
        "keda": {"namespace": name, "podLabels": {"team": name}},
        "kubernetes": {"enabled": True, "secrets": {name: [name]}, "configMaps": {name: [name]}},
        "workers": {"namespaces": [name]}, "http": {"tokenSecret": name},
        "networkPolicy": {"monitoring": {"namespace": name}}, "prometheusRule": {"enabled": True}, "dashboards": {"enabled": True},
        "serviceMonitor": {"enabled": True, "labels": {"release": name}}, "admissionPolicy": {"enabled": True}}


def own_secrets(name):
    return {"existingConnections": name, "tls": {
        "secret": name, "clientCASecret": name, "clientNames": [name],
        "clusterTriggerAuthentication": {"create": True, "secret": name, "name": name}}}


def cert_manager(name):
    connection = {"scaler": "redis", "address": "redis:6379", "secret": name, "passwordFile": name, "namespaces": [name]}
    return {"connections": {name: connection}, "tls": {"clusterTriggerAuthentication": {"create": True}, "certManager": {
        "enabled": True, "issuerRef": {"name": name}, "client": {"name": name, "secretName": name}}}}


def worker(name, **values):
    """A name of the chart's starts with a letter."""
    text = name if name[0].isalpha() else "worker"
    trigger = {"scaler": "redis", "address": "redis:6379", "listName": name, "name": "jobs", "existingSecret": name, "passwordKey": name}
    return {**BASE, **REQUESTS, "nameOverride": text, "fullnameOverride": text, "priorityClassName": name,
            "serviceAccount": {"create": True, "name": name}, "commonLabels": {"team": name},
            "podDisruptionBudget": {"minAvailable": 1}, **values,
            "keda": {"enabled": True, "triggers": {"jobs": trigger}, "advanced": {"horizontalPodAutoscalerConfig": {"name": name}},
                     "backlog": {"authenticationRef": {"name": name}}, **values.get("keda", {})}}


def not_texts(item, path):
    """Where something else than a text is. A name has no place in a path: some are keys."""
    if isinstance(item, dict):
        assert all(isinstance(key, str) for key in item), f"{path} has {[key for key in item if not isinstance(key, str)]}"
        return [found for key, each in item.items() for found in not_texts(each, f"{path}.{key}")]
    if isinstance(item, list):
        return [found for each in item for found in not_texts(each, f"{path}[]")]
    return [] if isinstance(item, str) else [path]


def rendered(chart, name, values, folder):
    """By a file in JSON: PyYAML would write 1e3 without quotes."""
    path = folder / f"{name}.json"
    path.write_text(json.dumps(values))
    result = helm("template", name, chart, "--namespace", name, "--values", str(path))
    assert result.returncode == 0, result.stderr
    objects = [found for found in yaml.load_all(result.stdout, Kubernetes) if found]
    return sorted(path for item in objects for path in not_texts(item, item["kind"]))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("chart, values", [
    (CHART, backlog),
    (CHART, own_secrets),
    (CHART, cert_manager),
    (WORKER, worker),
    (WORKER, lambda name: worker(name, keda={"enabled": True, "via": "keda"})),
    (WORKER, lambda name: worker(name, kind="ScaledJob")),
    (WORKER, lambda name: worker(name, keda={"enabled": False}, autoscaling={"enabled": True, "targetCPUUtilizationPercentage": 80})),
], ids=["backlog", "own secrets", "cert-manager", "worker", "by KEDA", "jobs", "HPA"])
def test_a_name_stays_a_text(chart, values, name, tmp_path):
    assert rendered(chart, name, values(name), tmp_path) == rendered(chart, "orders", values("orders"), tmp_path)
