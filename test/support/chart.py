"""The chart `backlog`, rendered by helm."""

import os
import subprocess

import yaml

from .process import need
from .server import REPOSITORY

CHART = os.path.join(REPOSITORY, "charts", "backlog")

ORDERS = {
    "connections": {
        "orders": {
            "scaler": "kafka",
            "bootstrapServers": "kafka-0.kafka.prod:9092",
            "passwordFile": "/etc/backlog/secrets/orders/password",
            "namespaces": ["shop", "billing-*"],
        }
    },
    "secrets": ["orders", "nats.credentials"],
}

MUTUAL = {"tls": {"secret": "backlog-tls", "clientCASecret": "keda-ca", "clientNames": ["keda-operator", "*.keda.svc"]}}


def helm(*arguments, values=None):
    return subprocess.run([need("helm"), *arguments, "--values", "-"], input=yaml.safe_dump(values or {}),
                          capture_output=True, text=True, timeout=60)


def render(values=None, chart=CHART):
    """The objects by kind."""
    result = helm("template", "release", chart, "--namespace", "scaling", values=values)
    assert result.returncode == 0, result.stderr
    return {found["kind"]: found for found in yaml.safe_load_all(result.stdout) if found}


def pod_of(objects):
    return objects["Deployment"]["spec"]["template"]["spec"]


def flags_of(objects):
    arguments = pod_of(objects)["containers"][0]["args"]
    assert arguments[0] == "serve"
    return dict(zip(arguments[1::2], arguments[2::2]))


def refusal(values):
    result = helm("template", "release", CHART, values=values)
    assert result.returncode != 0, "these values must be refused"
    return result.stderr
