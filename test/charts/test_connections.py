"""The chart's connections: the ConfigMap, the files beside it, and what has no place in either."""

import json
import pathlib
import re

import pytest
import yaml

from support.charts.chart import ORDERS, flags_of, pod_of, refusal, render
from support.server.server import REPOSITORY, reference


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
        assert volume["secret"]["optional"] is True  # a missing one does not keep the pod from starting
    assert pod["securityContext"]["fsGroup"] == 65532


def secrets_of(objects):
    return [volume["secret"]["secretName"] for volume in pod_of(objects)["volumes"] if "secret" in volume]


def test_a_connection_names_its_secret_in_place():
    objects = render({"connections": {
        "orders": {"scaler": "kafka", "bootstrapServers": "kafka:9092", "secret": "kafka.prod", "passwordFile": "password",
                   "caFile": "/etc/ssl/own.pem"},
        "bills": {"scaler": "redis", "address": "redis:6379", "secret": "kafka.prod", "passwordFile": "redis"}},
        "secrets": ["more", "kafka.prod"]})
    written = yaml.safe_load(objects["ConfigMap"]["data"]["connections.yaml"])["connections"]
    assert written["orders"] == {"scaler": "kafka", "bootstrapServers": "kafka:9092", "caFile": "/etc/ssl/own.pem",
                                 "passwordFile": "/etc/backlog/secrets/kafka.prod/password"}
    assert written["bills"]["passwordFile"] == "/etc/backlog/secrets/kafka.prod/redis"
    assert secrets_of(objects) == ["kafka.prod", "more"]  # each once


def test_a_second_values_file_keeps_the_secrets_of_the_first(tmp_path):
    """Helm merges maps and replaces lists."""
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    for path, name in ((first, "orders"), (second, "bills")):
        path.write_text(yaml.safe_dump({"connections": {name: {
            "scaler": "redis", "address": f"{name}:6379", "secret": name, "passwordFile": "password"}}}))
    assert secrets_of(render({}, "--values", str(first), "--values", str(second))) == ["bills", "orders"]


def test_secrets_of_any_name_have_volumes():
    names = ["a.b", "a-b", "x" * 253, "1"]
    volumes = [volume["name"] for volume in pod_of(render({"secrets": names}))["volumes"] if "secret" in volume]
    assert len(set(volumes)) == len(names)
    assert all(re.fullmatch("[a-z]([-a-z0-9]{0,61}[a-z0-9])?", name) for name in volumes)


def test_a_file_without_a_secret_is_refused():
    message = refusal({"connections": {"orders": {"scaler": "redis", "address": "redis:6379", "passwordFile": "password"}}})
    assert 'connections.orders.passwordFile is "password"' in message and "connections.orders.secret" in message


def connection_with(path, **values):
    return {"connections": {"orders": {"scaler": "redis", "address": "redis:6379", "passwordFile": path}}, **values}


@pytest.mark.parametrize("path, reason", [
    ("/etc/backlog/secrets/orders/password", "no Secret orders is mounted there: add it to secrets"),
    ("/etc/backlog/secrets/orders", "no Secret orders is mounted there: add it to secrets"),
    ("/etc/backlog/secrets/more", "a folder: add the key of the Secret, as in /etc/backlog/secrets/more/KEY"),
    ("/etc/backlog/secrets/more/", "a folder: add the key"),
])
def test_a_file_of_a_secret_that_is_not_mounted_is_refused(path, reason):
    message = refusal(connection_with(path, secrets=["more"]))
    assert f'connections.orders.passwordFile is "{path}"' in message and reason in message


@pytest.mark.parametrize("path, values", [
    ("/etc/backlog/secrets/more/password", {"secrets": ["more"]}),
    ("/etc/backlog/secrets/own/password", {"extraVolumeMounts": [{"name": "own", "mountPath": "/etc/backlog/secrets/own/"}]}),
    ("/vault/secrets/password", {}),
])
def test_a_file_that_may_be_there_is_allowed(path, values):
    written = yaml.safe_load(render(connection_with(path, **values))["ConfigMap"]["data"]["connections.yaml"])
    assert written["connections"]["orders"]["passwordFile"] == path


def test_a_config_map_of_yours_takes_the_place_of_connections():
    objects = render({"existingConnections": "ours", "secrets": ["orders"]})
    assert "ConfigMap" not in objects
    assert {"name": "connections", "configMap": {"name": "ours"}} in pod_of(objects)["volumes"]
    assert secrets_of(objects) == ["orders"]
    assert "both set" in refusal({"existingConnections": "ours", **ORDERS})


def test_numbers_are_written_as_they_were():
    connection = {"scaler": "redis", "host": ["a", "b"], "port": [6379, 16379], "databaseIndex": 10}
    other = {"scaler": "postgresql", "host": "db", "port": 15432, "userName": "backlog", "dbName": "shop"}
    text = render({"connections": {"a": connection, "b": other}})["ConfigMap"]["data"]["connections.yaml"]
    written = yaml.safe_load(text)["connections"]
    assert written["a"] == {**connection, "port": ["6379", "16379"]}
    assert written["b"] == other


def test_no_mount_point_lies_in_a_configmap():
    mounts = [mount["mountPath"] for mount in pod_of(render(ORDERS))["containers"][0]["volumeMounts"]]
    assert not [inner for inner in mounts for outer in mounts if inner.startswith(outer + "/")]


def test_changed_connections_restart_no_pod():
    """The server takes them while it runs, and keeps its streams."""
    changed = {**ORDERS, "connections": {"orders": {"scaler": "kafka", "bootstrapServers": "other:9092"}}}
    assert render(ORDERS)["Deployment"] == render(changed)["Deployment"]


def rows_of_connections():
    """(scaler, row) of all connection keys, as the program itself lists them."""
    rows = [(scaler, row) for scaler, tables in json.loads(reference("json"))["scalers"].items()
            for row in tables["connection"]]
    assert len(rows) > 50
    return rows


# The server does not show these because there may be a secret in them.
MAY_HOLD_ONE = {"connection", "customHeaders", "endpointParams"}


def refused_as_secret(scaler, key, value):
    message = refusal({"connections": {"orders": with_required(scaler, {key: value})}})
    assert f"connections.orders.{key} holds a secret" in message
    assert f"{key}File" in message
    assert "hunter2" not in message


def with_required(scaler, options):
    needed = {row["key"]: "nowhere" for name, row in rows_of_connections() if name == scaler and row.get("required")}
    return {"scaler": scaler, **needed, **options}


def test_every_secret_of_every_scaler_is_kept_out_of_the_configmap():
    secrets = {row["key"]: scaler for scaler, row in rows_of_connections()
               if row.get("secret") and row["key"] not in MAY_HOLD_ONE}
    assert len(secrets) > 8
    for key, scaler in sorted(secrets.items()):
        refused_as_secret(scaler, key, "hunter2")


# One of each type, as it may stand in the file.
SAMPLES = {"string": "orders", "boolean": True, "integer": 1, "number": 1.5, "duration": "3s", "list": ["a", "b"]}


@pytest.mark.parametrize("scaler", sorted({scaler for scaler, _ in rows_of_connections()}))
def test_every_key_of_every_scaler_may_stand_in_the_values(scaler):
    rows = [row for name, row in rows_of_connections() if name == scaler]
    plain = {"scaler": scaler, "namespaces": ["shop", "billing-*"]}
    files = {"scaler": scaler, "secret": "orders"}
    for row in rows:
        for name in filter(None, (row["key"], row.get("alias"))):
            files[f"{name}File"] = name
            if not row.get("secret") or name in MAY_HOLD_ONE:
                plain[name] = row["choices"][0] if row["type"] == "choice" else SAMPLES[row["type"]]
    written = yaml.safe_load(render({"connections": {"plain": plain, "files": files}})
                             ["ConfigMap"]["data"]["connections.yaml"])["connections"]
    assert written["plain"] == plain
    assert written["files"] == {key: f"/etc/backlog/secrets/orders/{value}" if key.endswith("File") else value
                                for key, value in files.items() if key != "secret"}


@pytest.mark.parametrize("scaler, key, value", [
    ("rabbitmq", "host", "amqp://backlog@rabbitmq.shop.svc:5672/shop"),
    ("rabbitmq", "vhostName", "amqp://rabbitmq:5672/a@b"),
    ("rabbitmq", "endpointParams", "audience=rabbitmq&resource=a%2Fb"),
    ("nats-jetstream", "servers", ["nats://nats-0:4222", "nats-1:4222"]),
    ("redis", "address", "redis:6379"),
    ("kafka", "bootstrapServers", "kafka-0:9092,kafka-1:9092"),
    ("kafka", "kerberosConfig",
     "[realms]\n  EXAMPLE.ORG = {\n    auth_to_local = RULE:[1:$1@$0](.*@EXAMPLE.ORG)s/@.*//\n  }\n"),
    ("kafka", "ca", "-----BEGIN CERTIFICATE-----\nMIIBkey=\n-----END CERTIFICATE-----\n"),
    ("postgresql", "connection", "host=db user=backlog dbname=shop sslmode=verify-full"),
    ("prometheus", "customHeaders", "X-Scope-OrgID=shop"),
    ("prometheus", "serverAddress", "https://prometheus:9090/?user=me@corp"),
], ids=str)
def test_values_that_only_look_like_a_secret_may_be_in_the_configmap(scaler, key, value):
    connection = with_required(scaler, {key: value})
    written = yaml.safe_load(render({"connections": {"orders": connection}})["ConfigMap"]["data"]["connections.yaml"])
    assert written == {"connections": {"orders": connection}}


@pytest.mark.parametrize("scaler, key, value", [
    ("rabbitmq", "host", "amqp://backlog:hunter2@rabbitmq:5672/"),
    ("nats-jetstream", "servers", "nats-0:4222,backlog:hunter2@nats-1:4222"),
    ("nats-jetstream", "servers", ["nats://nats-0:4222", "nats://backlog:hun/ter2@nats-1:4222"]),
    ("nats-jetstream", "servers", "nats://hunter2@nats:4222"),
    ("prometheus", "serverAddress", "http://prometheus:9090/?token=hunter2"),
    ("postgresql", "connection", "postgresql://backlog:hunter2@db/shop"),
    ("postgresql", "connection", "host=db password = hunter2"),
    ("postgresql", "connection", "host=db sslpassword=hunter2"),
    ("prometheus", "customHeaders", "X-Scope-OrgID=shop,Authorization=Bearer hunter2"),
    ("prometheus", "customHeaders", "X-Api-Key=hunter2"),
    ("rabbitmq", "endpointParams", "audience=rabbitmq&client_secret=hunter2"),
    ("rabbitmq", "host", "amqp://backlog:12345@rabbitmq:5672/"),
    ("kafka", "cert", "-----BEGIN CERTIFICATE-----\n-----BEGIN EC PRIVATE KEY-----\nhunter2\n"),
], ids=str)
def test_a_secret_within_a_value_is_kept_out_of_the_configmap(scaler, key, value):
    refused_as_secret(scaler, key, value)


def documented_connections():
    for page in [*pathlib.Path(REPOSITORY, "docs").glob("*.md"), pathlib.Path(REPOSITORY, "README.md")]:
        for block in re.findall(r"^```yaml\n(connections:.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
            yield pytest.param(yaml.safe_load(block), id=f"{page.name}: {block.split()[1]}")


@pytest.mark.parametrize("values", list(documented_connections()))
def test_the_connections_of_the_documentation_find_their_files(values):
    """What a page shows goes through the chart, and each file that it names lies in a folder that `secrets` mounts."""
    files = [value for options in values["connections"].values() for key, value in options.items()
             if key.endswith("File") and value.startswith("/")]
    needed = {path.split("/")[4] for path in files}
    assert set(values.get("secrets", needed)) == needed
    mounts = [mount["mountPath"] + "/" for mount in pod_of(render({"secrets": sorted(needed), **values}))
              ["containers"][0]["volumeMounts"]]
    for path in files:
        assert any(path.startswith(mount) for mount in mounts), path
