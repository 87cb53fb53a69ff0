"""The chart's connections: the ConfigMap, the files beside it, and what has no place in either."""

import pathlib
import re

import pytest
import yaml

from support.chart import ORDERS, flags_of, pod_of, refusal, render
from support.server import REPOSITORY, reference


def test_the_connections_file_is_what_the_values_say():
    objects = render(ORDERS)
    written = yaml.safe_load(objects["ConfigMap"]["data"]["connections.yaml"])
    assert written == {"connections": ORDERS["connections"]}

    pod = pod_of(objects)
    mounts = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    folder = next(mounts[volume["name"]] for volume in pod["volumes"]
                  if volume.get("configMap") == {"name": objects["ConfigMap"]["metadata"]["name"]})
    assert flags_of(objects)["--config"] == f"{folder}/connections.yaml"


def test_without_connections_the_file_is_there_and_empty():
    assert yaml.safe_load(render()["ConfigMap"]["data"]["connections.yaml"]) == {"connections": {}}


def test_secrets_are_files_that_the_server_can_read():
    pod = pod_of(render(ORDERS))
    mounts = {mount["name"]: mount for mount in pod["containers"][0]["volumeMounts"]}
    secrets = {volume["secret"]["secretName"]: volume for volume in pod["volumes"] if "secret" in volume}
    assert sorted(secrets) == ["nats.credentials", "orders"]
    for name, volume in secrets.items():
        assert mounts[volume["name"]]["mountPath"] == f"/etc/backlog/secrets/{name}"
        assert mounts[volume["name"]]["readOnly"] is True
        assert volume["secret"]["defaultMode"] == 0o440  # the group is the pod's
    assert pod["securityContext"]["fsGroup"] == 65532


def test_no_mount_point_lies_in_a_configmap():
    mounts = [mount["mountPath"] for mount in pod_of(render(ORDERS))["containers"][0]["volumeMounts"]]
    assert not [inner for inner in mounts for outer in mounts if inner.startswith(outer + "/")]


def test_changed_connections_restart_no_pod():
    """The server takes them while it runs, and keeps its streams."""
    changed = {**ORDERS, "connections": {"orders": {"scaler": "kafka", "bootstrapServers": "other:9092"}}}
    assert render(ORDERS)["Deployment"] == render(changed)["Deployment"]


def keys_of_connections():
    """Key and allowed of all scalers' connections, as the program itself lists them."""
    tables = re.findall(r"^### The connection\n(.*?)^### ", reference(), re.MULTILINE | re.DOTALL)
    rows = [row for table in tables for row in re.findall(r"^\| `(\w+)`.*? \| (.*?) \|", table, re.MULTILINE)]
    assert len(rows) > 50
    return set(rows)


# What the server never shows because there may be a secret in it, and what is one altogether.
ADDRESSES = {"host", "address", "servers", "serverAddress", "natsServerMonitoringEndpoint", "oauthTokenEndpointUri",
             "oauthTokenURI"}
MAY_HOLD_ONE = {"connection", "customHeaders", "endpointParams"}


def refused_as_secret(key, value):
    said = refusal({"connections": {"orders": {"scaler": "any", key: value}}})
    assert f"connections.orders.{key} holds a secret" in said
    assert f"{key}File" in said
    assert "hunter2" not in said


def test_every_secret_of_every_scaler_is_kept_out_of_the_configmap():
    hidden = {key for key, allowed in keys_of_connections() if "never shown" in allowed}
    assert ADDRESSES | MAY_HOLD_ONE < hidden
    for key in sorted(hidden - ADDRESSES - MAY_HOLD_ONE):
        refused_as_secret(key, "hunter2")


def test_what_is_no_secret_may_stand_in_the_configmap():
    plain = {key: "orders" for key, allowed in keys_of_connections() if "never shown" not in allowed}
    plain |= {f"{key}File": "/etc/backlog/secrets/a/b" for key, _ in keys_of_connections()}
    plain |= {
        "host": "amqp://backlog@rabbitmq.shop.svc:5672/shop", "servers": ["nats://nats-0:4222", "nats-1:4222"],
        "address": "redis:6379", "bootstrapServers": ["kafka-0:9092", "kafka-1:9092"],
        "connection": "host=db user=backlog dbname=shop sslmode=verify-full",
        "customHeaders": "X-Scope-OrgID=shop", "endpointParams": "audience=rabbitmq&resource=a%2Fb",
        "serverAddress": "https://prometheus:9090/?user=me@corp", "vhostName": "amqp://rabbitmq:5672/a@b",
        "kerberosConfig": "[realms]\n  EXAMPLE.ORG = {\n    auth_to_local = RULE:[1:$1@$0](.*@EXAMPLE.ORG)s/@.*//\n  }\n",
        "ca": "-----BEGIN CERTIFICATE-----\nMIIBkey=\n-----END CERTIFICATE-----\n",
        "scaler": "any",
    }
    written = yaml.safe_load(render({"connections": {"orders": plain}})["ConfigMap"]["data"]["connections.yaml"])
    assert written == {"connections": {"orders": plain}}


@pytest.mark.parametrize("key, value", [
    ("host", "amqp://backlog:hunter2@rabbitmq:5672/"),
    ("servers", "nats-0:4222,backlog:hunter2@nats-1:4222"),
    ("servers", ["nats://nats-0:4222", "nats://backlog:hun/ter2@nats-1:4222"]),
    ("servers", "nats://hunter2@nats:4222"),
    ("serverAddress", "http://prometheus:9090/?token=hunter2"),
    ("connection", "postgresql://backlog:hunter2@db/shop"),
    ("connection", "host=db password = hunter2"),
    ("connection", "host=db sslpassword=hunter2"),
    ("customHeaders", "X-Scope-OrgID=shop,Authorization=Bearer hunter2"),
    ("customHeaders", "X-Api-Key=hunter2"),
    ("endpointParams", "audience=rabbitmq&client_secret=hunter2"),
    ("host", "amqp://backlog:12345@rabbitmq:5672/"),
    ("awsSecretAccessKey", "hunter2"),
    ("apiKey", "hunter2"),
    ("cert", "-----BEGIN CERTIFICATE-----\n-----BEGIN EC PRIVATE KEY-----\nhunter2\n"),
], ids=str)
def test_a_secret_within_a_value_is_kept_out_of_the_configmap(key, value):
    refused_as_secret(key, value)


def documented_connections():
    for page in [*pathlib.Path(REPOSITORY, "docs").glob("*.md"), pathlib.Path(REPOSITORY, "README.md")]:
        for block in re.findall(r"^```yaml\n(connections:.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
            if "NAME:" not in block:
                yield pytest.param(yaml.safe_load(block), id=f"{page.name}: {block.split()[1]}")


@pytest.mark.parametrize("values", list(documented_connections()))
def test_the_connections_of_the_documentation_find_their_files(values):
    """What a page shows goes through the chart, and each file that it names lies in a folder that `secrets` mounts."""
    files = [value for options in values["connections"].values() for key, value in options.items()
             if key.endswith("File")]
    needed = {path.split("/")[4] for path in files}
    assert set(values.get("secrets", needed)) == needed
    mounts = [mount["mountPath"] + "/" for mount in pod_of(render({"secrets": sorted(needed), **values}))
              ["containers"][0]["volumeMounts"]]
    for path in files:
        assert any(path.startswith(mount) for mount in mounts), path
