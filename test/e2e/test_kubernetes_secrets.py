"""`--kubernetes-secrets` against a real API server, with a service account that may read what its Roles name."""

import contextlib
import json
import pathlib
import re
import time

import grpc
import pytest

from support.charts.chart import render_all
from support.clients.grpc_client import Client, refusal, scaled_object
from support.kubernetes.client import ApiError
from support.kubernetes.pod_server import PodServer, api_token
from support.process import wait_until
from support.network.proxy import Proxy
from support.brokers.redis import Redis
from support.kubernetes.stack import ApiServer, Etcd

SECONDS = 60  # a busy machine, and up to 30 s of back-off
ACCOUNT = {"namespace": "scaling", "name": "backlog"}  # the chart's


class SecretsServer(PodServer):
    """`api_port` may be a proxy's."""

    def __init__(self, api, api_port, **options):
        arguments = ["--kubernetes-secrets", *options.pop("arguments", [])]
        super().__init__(api.ca, api_port, api_token(api, **ACCOUNT), arguments=arguments, http=True, **options)


@pytest.fixture(scope="module")
def redis():
    with Redis() as running, running.connect() as client:
        client.call("RPUSH", "jobs", *range(7))
        yield running


def create_account(api):
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ACCOUNT["namespace"]}},
              {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": dict(ACCOUNT)})


@pytest.fixture(scope="module", autouse=True)
def account(api):
    create_account(api)


def api_port(api):
    return int(api.server.rpartition(":")[2])


def allow(api, namespace):
    """With the chart's Role and RoleBinding."""
    objects = render_all({"kubernetesSecrets": {"namespaces": [namespace]}, "serviceAccount": {"name": ACCOUNT["name"]}})
    api.apply(*(item for item in objects if item["kind"] in ("Role", "RoleBinding")))


def secret(api, namespace, **keys):
    delete(api, namespace) if not keys else api.apply({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "backlog-connections", "namespace": namespace},
        "stringData": keys})


def delete(api, namespace):
    with contextlib.suppress(ApiError):
        api.delete(f"/api/v1/namespaces/{namespace}/secrets/backlog-connections")


def connection(redis, name="orders", more=""):
    return f"connections:\n  {name}: {{scaler: redis, address: \"{redis.address}\"{more}}}\n"


def trigger(name="orders", threshold=1):
    return {"scaler": "redis", "connectionName": name, "listName": "jobs", "listLength": str(threshold)}


@pytest.fixture
def team(api, namespace):
    allow(api, namespace.name)
    return namespace.name


def value(client, team, name="orders"):
    return client.metrics(trigger(name), namespace=team).metricValueFloat


def wait_for_refusal(client, team, words, name="orders"):
    wait_until(lambda: words in refusal(client.metrics, trigger(name), namespace=team)[1], SECONDS, words)


@pytest.mark.core
def test_a_team_has_its_connections_in_a_secret_of_its_namespace(api, team, redis):
    secret(api, team, orders=connection(redis))
    file = connection(redis, "platform", f", namespaces: [{team}]")
    with SecretsServer(api, api_port(api), config=file) as server, Client(server.port) as client:
        assert value(client, team) == 7  # the first call waits for the Secret
        assert value(client, team, "platform") == 7
        code, details = refusal(client.metrics, trigger(), namespace="default")
        assert code == grpc.StatusCode.UNAVAILABLE and "Secret default/backlog-connections cannot be read" in details
        assert "403" in details and "forbidden" in details
        assert client.metric_spec(trigger()).targetSizeFloat == 1

        # What is added, changed and deleted is followed; a stream lives through all of it.
        stream = client.stub.StreamIsActive(scaled_object(trigger("late"), namespace=team))
        secret(api, team, orders=connection(redis), more=connection(redis, "late"))
        assert next(stream).result is True
        secret(api, team)
        wait_for_refusal(client, team, f"there is no Secret {team}/backlog-connections")
        assert stream.is_active()
        secret(api, team, orders=connection(redis))
        wait_until(lambda: value(client, team) == 7, SECONDS, "the Secret")
        assert "late" in refusal(client.metrics, trigger("late"), namespace=team)[1]


@pytest.mark.core
@pytest.mark.first
def test_a_rotated_password_is_used_at_once(api, team):
    with Redis(config="requirepass first") as redis:
        with redis.connect() as client:
            client.call("AUTH", "first")
            client.call("RPUSH", "jobs", *range(7))
            secret(api, team, orders=connection(redis, more=", password: first"))
            with SecretsServer(api, api_port(api)) as server, Client(server.port) as client_of_server:
                assert value(client_of_server, team) == 7
                client.call("CONFIG", "SET", "requirepass", "second")
                client.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                secret(api, team, orders=connection(redis, more=", password: second"))
                client.call("RPUSH", "jobs", "one more")
                wait_until(lambda: value(client_of_server, team) == 8, SECONDS, "the new password")
                assert "first" not in server.log() and "second" not in server.log()


@pytest.mark.core
def test_one_mistake_in_a_secret_stays_its_own(api, team, redis):
    mistakes = connection(redis, "file", ", passwordFile: /etc/passwd") + \
        f"  everywhere: {{scaler: redis, address: \"{redis.address}\", namespaces: [\"*\"]}}\n" \
        "  sessions: {scaler: postgresql, connection: 'postgresql://127.0.0.1/a', maxSessions: 9}\n"
    secret(api, team, orders=connection(redis), mistakes=mistakes, broken="connections: [")
    with SecretsServer(api, api_port(api), arguments=["--max-inline", "1"]) as server, Client(server.port) as client:
        assert value(client, team) == 7
        for name, words in (("file", "passwordFile is not allowed here"), ("everywhere", "namespaces is not allowed here"),
                            ("other", "broken")):
            assert words in refusal(client.metrics, trigger(name), namespace=team)[1]
        postgresql = {"scaler": "postgresql", "connectionName": "sessions", "query": "select 1", "targetQueryValue": "1"}
        assert "maxSessions belongs in the server's connections file" in \
            refusal(client.metrics, postgresql, namespace=team)[1]
        inline = {"scaler": "redis", "address": f"localhost:{redis.port}", "listName": "jobs", "listLength": "1"}
        code, details = refusal(client.metrics, inline, namespace=team)
        assert code == grpc.StatusCode.RESOURCE_EXHAUSTED and "--max-inline" in details

        # The last good version stays.
        secret(api, team, orders=connection(redis, more=", pasword: x"))
        wait_until(lambda: "pasword" in server.log(), SECONDS, "the mistake")
        assert value(client, team) == 7


@pytest.mark.core
def test_rights_that_come_later_are_used(api, namespace, redis):
    secret(api, namespace.name, orders=connection(redis))
    with SecretsServer(api, api_port(api)) as server, Client(server.port) as client:
        wait_for_refusal(client, namespace.name, "forbidden")
        allow(api, namespace.name)
        wait_until(lambda: value(client, namespace.name) == 7, SECONDS, "the right")


@pytest.mark.core
def test_without_the_api_the_last_version_stays_and_nothing_else_fails(api, team, redis):
    secret(api, team, orders=connection(redis))
    with Proxy(api_port(api)) as proxy, SecretsServer(api, proxy.port, config=connection(redis, "platform")) as server, \
            Client(server.port) as client:
        assert value(client, team) == 7
        proxy.fail("refuse")
        assert client.metrics(trigger("platform"), namespace="default").metricValueFloat == 7
        code, details = refusal(client.metrics, trigger(), namespace="default")
        assert code == grpc.StatusCode.UNAVAILABLE and "cannot be read" in details
        began = time.monotonic()
        while time.monotonic() - began < 5:
            assert value(client, team) == 7
            time.sleep(0.2)
        delete(api, team)
        proxy.heal()
        wait_for_refusal(client, team, "there is no Secret")


@pytest.mark.core
def test_the_token_is_read_again(api, namespace, redis):
    secret(api, namespace.name, orders=connection(redis))
    allow(api, namespace.name)
    with SecretsServer(api, api_port(api)) as server, Client(server.port) as client:
        server.write_token("expired")
        wait_for_refusal(client, namespace.name, "401")
        server.write_token(api_token(api, **ACCOUNT))
        wait_until(lambda: value(client, namespace.name) == 7, SECONDS, "the new token")
        assert "expired" not in server.log()


AUDIT = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy",
         "rules": [{"level": "Metadata", "resources": [{"group": "", "resources": ["secrets"]}]}]}


class AuditedApiServer(ApiServer):
    """It writes down who listed or watched Secrets."""

    def __init__(self, *arguments, **more):
        super().__init__(*arguments, audit_policy_file="policy.json", audit_log_path="audit.log", **more)
        self.audit = pathlib.Path(self.folder, "audit.log")
        self.audit.touch()
        pathlib.Path(self.folder, "policy.json").write_text(json.dumps(AUDIT))

    def watches_of_backlog(self, namespace):
        """Those that are answered: in their order the versions that they began with, or "new"."""
        for line in self.audit.read_text().splitlines(keepends=True):
            event = json.loads(line) if line.endswith("\n") else {}
            if event.get("stage") == "ResponseStarted" and event["user"]["username"].endswith(":backlog"):
                version = re.search(r"[?&]watch=1&.*resourceVersion=(\d+)", event["requestURI"])
                if "watch=1" in event["requestURI"] and f"/namespaces/{namespace}/" in event["requestURI"]:
                    yield int(version[1]) if version else "new"

    def wait_for_watch(self, namespace, number):
        """Until Backlog has begun so many watches of the Secret; the version that it goes on from."""
        wait_until(lambda: list(self.watches_of_backlog(namespace)).count("new") >= number, SECONDS, "a watch of the Secret")
        found = self.api.get(f"/api/v1/namespaces/{namespace}/secrets/backlog-connections")
        return int(found["metadata"]["resourceVersion"])

    def has_begun_again_after(self, namespace, version):
        """Whether a watch from this version was the last before a new one."""
        watches = list(self.watches_of_backlog(namespace))
        return (version, "new") in zip(watches, watches[1:])


@contextlib.contextmanager
def running(component):
    try:
        yield component.start()
    finally:
        component.remove()


@pytest.fixture
def etcd(connection):
    with running(Etcd(connection["kube"])) as etcd:
        yield etcd


@pytest.fixture
def start_api_server(connection, etcd):
    with contextlib.ExitStack() as servers:
        yield lambda **more: servers.enter_context(
            running(AuditedApiServer(connection["kube"], connection["folder"], etcd.url, **more)))


def is_gone(api, namespace, version):
    """Whether the API server refuses a watch from this version."""
    path = f"/api/v1/namespaces/{namespace}/secrets?watch=1&timeoutSeconds=5&resourceVersion={version}"
    events = [json.loads(line) for line in api.call("GET", path).text.splitlines()]
    return [(event["type"], event["object"].get("code")) for event in events] == [("ERROR", 410)]


@pytest.mark.core
def test_a_change_is_seen_though_the_version_to_watch_from_is_gone(etcd, start_api_server, redis):
    """410 Gone: compacted in etcd, and then older than all that an API server knows which began later."""
    team, first = "default", start_api_server(watch_cache="false")
    create_account(first.api)
    allow(first.api, team)
    secret(first.api, team, orders=connection(redis))
    with Proxy(first.port) as proxy, SecretsServer(first.api, proxy.port) as server, Client(server.port) as client:
        def change(name):
            """Of what the API server says about it Backlog gets the first half."""
            proxy.fail("truncate")
            secret(first.api, team, orders=connection(redis, "between"))
            wait_until(lambda: proxy.has_truncated, SECONDS, "the first half of the first change")
            secret(first.api, team, orders=connection(redis, name))

        assert value(client, team) == 7

        version = first.wait_for_watch(team, 1)
        change("compacted")
        etcd.compact()
        assert is_gone(first.api, team, version)
        proxy.heal()
        wait_until(lambda: value(client, team, "compacted") == 7, SECONDS, "the change before the compaction")
        wait_until(lambda: first.has_begun_again_after(team, version), SECONDS, "a new watch")

        version = first.wait_for_watch(team, 2)
        change("forgotten")
        second = start_api_server()
        assert is_gone(second.api, team, version)
        proxy.target = second.port
        proxy.heal()
        wait_until(lambda: value(client, team, "forgotten") == 7, SECONDS, "the change before the second API server began")
        wait_until(lambda: second.has_begun_again_after(team, version), SECONDS, "a new watch of the second API server")
