"""What the chart says once it is installed."""

import re
import shutil

import grpc
import yaml

from support.charts.chart import CERT_MANAGER, CHART, MUTUAL, ORDERS, render
from support.clients.grpc_client import Client, refusal
from support.server.server import Server, reference


def notes_of(values, folder):
    """helm renders the notes only where a cluster answers, so they go through as a template here."""
    chart = shutil.copytree(CHART, folder / "backlog", dirs_exist_ok=True)
    shutil.move(chart / "templates" / "NOTES.txt", chart / "notes")
    (chart / "templates" / "notes.yaml").write_text(
        'kind: Notes\ntext: {{ tpl (.Files.Get "notes") . | toJson }}\n')
    objects = render(values, chart=chart)
    text = objects["Notes"]["text"]
    return objects, text, yaml.safe_load("apiVersion" + text.split("apiVersion", 1)[1].replace("\n  ", "\n"))


def test_the_notes_show_a_scaledobject_that_reaches_the_service(tmp_path):
    objects, text, example = notes_of({**MUTUAL, **ORDERS}, tmp_path)
    metadata = example["spec"]["triggers"][0]["metadata"]
    service = objects["Service"]
    name, port = service["metadata"]["name"], service["spec"]["ports"][0]["port"]
    assert example["kind"] == "ScaledObject"
    assert metadata["scalerAddress"] == f"{name}.scaling.svc:{port}"
    assert metadata["enableTLS"] == "true"
    assert 'the connection "orders", in shop, billing-*:' in text


def test_the_notes_of_a_release_with_mtls_name_the_authentication_and_who_may_connect(tmp_path):
    objects, text, example = notes_of(CERT_MANAGER, tmp_path)
    trigger, = example["spec"]["triggers"]
    assert trigger["authenticationRef"] == {"name": objects["ClusterTriggerAuthentication"]["metadata"]["name"],
                                            "kind": "ClusterTriggerAuthentication"}
    assert trigger["metadata"]["enableTLS"] == "true"
    assert "pods of namespace keda with app=keda-operator; to read metrics, pods of namespace monitoring\n" in text
    assert "networkPolicy" not in notes_of({"networkPolicy": {"enabled": False}}, tmp_path / "open")[1]


def test_the_notes_name_an_authentication_where_backlog_reads_them(tmp_path):
    plain, = notes_of({"kubernetes": {"enabled": True}}, tmp_path / "plain")[2]["spec"]["triggers"]
    assert plain["authenticationRef"] == {"name": "worker"}
    mutual, = notes_of({**CERT_MANAGER, "kubernetes": {"enabled": True}}, tmp_path / "mutual")[2]["spec"]["triggers"]
    assert mutual["metadata"]["triggerAuthentication"] == "worker"
    for trigger in (plain, mutual):
        assert not {"username", "passwordFromEnv"} & trigger["metadata"].keys()


NOWHERE = "127.0.0.1:1"
WHERE = {  # the connection of each scaler
    "apache-kafka": {"bootstrapServers": NOWHERE},
    "kafka": {"bootstrapServers": NOWHERE},
    "metrics-api": {"url": f"http://{NOWHERE}/orders"},
    "nats-jetstream": {"servers": NOWHERE},
    "postgresql": {"host": "127.0.0.1", "port": "1", "userName": "backlog", "dbName": "shop", "sslmode": "disable"},
    "prometheus": {"serverAddress": f"http://{NOWHERE}"},
    "rabbitmq": {"host": f"amqp://{NOWHERE}/"},
    "redis": {"address": NOWHERE},
    "redis-cluster": {"address": NOWHERE},
    "redis-cluster-streams": {"address": NOWHERE},
    "redis-sentinel": {"address": NOWHERE, "sentinelMaster": "shop"},
    "redis-sentinel-streams": {"address": NOWHERE, "sentinelMaster": "shop"},
    "redis-streams": {"address": NOWHERE},
}


def test_the_server_understands_the_trigger_of_the_notes_of_each_scaler(tmp_path):
    """It gets as far as asking a source that is not there."""
    assert set(WHERE) == set(re.findall(r"^## ([a-z-]+)$", reference(), re.MULTILINE))
    every = {scaler: {"scaler": scaler, **where} for scaler, where in WHERE.items()}
    with Server(config=yaml.safe_dump({"connections": every})) as server, Client(server.port) as client:
        for number, scaler in enumerate([*WHERE, None]):
            values = {"connections": {scaler: every[scaler]}} if scaler else {}
            _, text, example = notes_of(values, tmp_path / str(number))
            metadata = example["spec"]["triggers"][0]["metadata"]
            assert metadata.get("connectionName") == scaler, text
            code, message = refusal(client.metrics, metadata)
            assert code == grpc.StatusCode.UNAVAILABLE, f"{scaler}: {message}"
