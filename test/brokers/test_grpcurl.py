"""README.md's commands with grpcurl, and the triggers of docs/commands.md: each real broker's jobs, over both transports.

What grpcurl prints is in the log of the tests (conftest.py).
"""

import json
import os
import pathlib
import re
import subprocess

import pytest

from support.brokers.sources import BUSY, WAITING
from support.clients.grpc_client import grpcurl_binary
from support.clients.transports import transport  # noqa: F401
from support.server.server import REPOSITORY, Server

BROKERS = ["nats-jetstream", "rabbitmq-amqp", "kafka"]


def page(name):
    return pathlib.Path(REPOSITORY, name).read_text()


COMMANDS = re.search(r"^```sh\nref=.*?\n(.*?)^```", page("README.md"), re.MULTILINE | re.DOTALL)[1]
REFS = {ref["scalerMetadata"]["scaler"]: ref for ref in map(json.loads, re.findall(r"^ref='(.*)'$", page("README.md") + page("docs/commands.md"), re.MULTILINE))}


@pytest.fixture(scope="module")
def server(transport):  # noqa: F811
    with Server() as server:
        yield server


def typed(server, ref):
    """What the commands print for a ScaledObject, one JSON object per method."""
    script = f"ref='{json.dumps(ref)}'\n" + COMMANDS.replace("localhost:9090", f"127.0.0.1:{server.port}")
    tools = os.path.dirname(grpcurl_binary())
    done = subprocess.run(["bash", "-c", script], env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"},
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    return done.stdout


@pytest.mark.parametrize("name", BROKERS)
def test_all_four_methods_answer_grpcurl_with_what_waits(server, transport, sources, name, record_property):  # noqa: F811
    [source] = [source for source in sources if source.name == name]
    printed = typed(server, {"name": BUSY, "namespace": "shop", "scalerMetadata": source.metadata(BUSY)})
    record_property("grpcurl", f"{source.scaler} over {transport}:\n{printed}")
    is_active, stream, spec, metrics = re.findall(r"^\{.*?^\}", printed, re.MULTILINE | re.DOTALL)
    assert json.loads(is_active) == json.loads(stream) == {"result": True}
    [metric] = json.loads(spec)["metricSpecs"]
    assert json.loads(metrics) == {"metricValues": [
        {"metricName": metric["metricName"], "metricValue": str(WAITING[BUSY]), "metricValueFloat": WAITING[BUSY]}]}


@pytest.mark.parametrize("scaler", ["nats-jetstream", "rabbitmq", "kafka"])
def test_the_pages_have_a_valid_trigger_of_each(server, scaler):
    printed = typed(server, REFS[scaler])
    assert '"targetSize": "5"' in printed and "InvalidArgument" not in printed
