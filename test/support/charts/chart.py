"""The chart `backlog`, rendered by helm."""

import copy
import os
import subprocess

import yaml

from .helm_server import HelmServer
from ..process import need
from ..server.server import REPOSITORY

CHART = os.path.join(REPOSITORY, "charts", "backlog")
PRODUCTION = os.path.join(CHART, "values-production.yaml")
NAME = "release-backlog"  # of most objects

# A helm that `go install` built takes every cluster for an old one.
KUBERNETES = "1.34.0"

HELM_SERVER = HelmServer()

# The chart installs nothing without one.
IMAGE = {"image": {"repository": "backlog"}}

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
CERT_MANAGER = {"tls": {"certManager": {"enabled": True, "issuerRef": {"name": "platform"}},
                        "clusterTriggerAuthentication": {"create": True}}}
# Values that the production profile requires.
IN_PRODUCTION = {"tls": {"certManager": {"issuerRef": {"name": "platform"}}},
                 "networkPolicy": {"egress": {"to": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]}}}


def merge(*values):
    """As helm merges values files: maps by key, everything else as a whole. A copy."""
    whole = {}
    for each in values:
        for key, value in each.items():
            both = isinstance(value, dict) and isinstance(whole.get(key), dict)
            whole[key] = merge(whole[key], value) if both else copy.deepcopy(value)
    return whole


def helm(*arguments, values=None, kubernetes=KUBERNETES):
    if arguments[0] in ("template", "lint") and any(str(word).endswith("/backlog") for word in arguments):
        values = merge(IMAGE, values or {})
    version = ["--kube-version", kubernetes] if arguments[0] in ("template", "lint") else []
    files = ["--values", "-"] if values is not None else []
    words = [*map(str, arguments), *version, *files]
    text = yaml.dump(values or {}, Dumper=yaml.CSafeDumper)
    if words[0] in ("template", "lint") and not any("oci://" in word for word in words):
        return HELM_SERVER.run(words, text)
    return subprocess.run([need("helm"), *words], input=text, capture_output=True, text=True, timeout=60)


def documents(text):
    """libyaml's parser takes a tenth of the time of Python's."""
    return yaml.load_all(text, Loader=yaml.CSafeLoader)


def render_all(values=None, *arguments, chart=CHART, **options):
    result = helm("template", "release", chart, "--namespace", "scaling", *arguments, values=values or {}, **options)
    assert result.returncode == 0, result.stderr
    return [found for found in documents(result.stdout) if found]


def by_kind(objects):
    """Of a kind with several objects the one with the chart's usual name, or the first."""
    found = {}
    for item in objects:
        if item["kind"] not in found or item["metadata"]["name"] == NAME:
            found[item["kind"]] = item
    return found


def render(values=None, *arguments, **options):
    return by_kind(render_all(values, *arguments, **options))


def pod_of(objects):
    return objects["Deployment"]["spec"]["template"]["spec"]


def flags_of(objects):
    """A flag without a value has True."""
    words = pod_of(objects)["containers"][0]["args"]
    assert words[0] == "serve"
    flags = {}
    for word, following in zip(words[1:], [*words[2:], "--"]):
        if word.startswith("--"):
            assert word not in flags, f"the server refuses {word} twice"
            flags[word] = True if following.startswith("--") else following
    return flags


def words_of(flags):
    """The other way round."""
    return [word for flag, value in flags.items() for word in ((flag,) if value is True else (flag, value))]


def refusal(values, *arguments):
    result = helm("template", "release", CHART, "--namespace", "scaling", *arguments, values=values)
    assert result.returncode != 0, "these values must be refused"
    return result.stderr
