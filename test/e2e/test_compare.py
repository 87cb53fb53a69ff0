"""The tools of a migration with a real KEDA and the user's kubectl: `backlog compare`, and the commands of `migrate --cluster`.

BACKLOG_FULL=1 in the environment: compares for 15 minutes.
"""

import contextlib
import json
import os
import random
import subprocess
import threading

import pytest

from support.kubernetes.namespace import deployment, scaled_object
from support.brokers.sources import BUSY, PASSWORD
from support.kubernetes.own_credentials import ACCOUNT, allow, authentication_of
from support.kubernetes.pod_server import PodServer, api_token
from support.server.server import binary
from support.brokers.work import PostgreSQLWork, RabbitMQWork

from test_moved_scalers import moved_sources
from test_own_credentials import Work, account, authentication, built_in  # noqa: F401, account is a fixture

COMPARED_SECONDS = 900 if os.environ.get("BACKLOG_FULL") else 20
SECONDS = COMPARED_SECONDS + 300  # kubectl, too, on a busy machine


@pytest.fixture
def environment(connection, tmp_path):
    """kubectl and backlog as a user has them."""
    config = os.path.join(connection["folder"], "admin.kubeconfig")
    for name, command in (("kubectl", f'"{connection["kube"]}" kubectl --kubeconfig "{config}"'), ("backlog", f'"{binary()}"')):
        path = tmp_path / name
        path.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        path.chmod(0o755)
    return {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}


def run(command, environment):
    return subprocess.run(command, shell=True, env=environment, capture_output=True, text=True, timeout=SECONDS)


def lines_of(done, kind):
    return [line for line in map(json.loads, done.stdout.splitlines()) if line["type"] == kind]


def of_keda(source, target):
    metadata = {key: str(text) for key, text in source.metadata(target).items() if key != "scaler"}
    return {"type": source.scaler, "metadata": metadata}


def by_secret(namespace, source, target):
    """KEDA takes the address of PostgreSQL from no metadata (#6913)."""
    found = of_keda(source, target)
    namespace.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "postgresql"},
                     "stringData": {"url": found["metadata"].pop("connection")}},
                    {"apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication", "metadata": {"name": "postgresql"},
                     "spec": {"secretTargetRef": [{"parameter": "connection", "name": "postgresql", "key": "url"}]}})
    return {**found, "authenticationRef": {"name": "postgresql"}}


@pytest.mark.core
@pytest.mark.first
def test_values_are_compared_with_keda(api, namespace, connection, environment):
    """Of three brokers; PostgreSQL has two queries: a number of rows, and one whose result is another one for each program."""
    with Work() as redis, RabbitMQWork() as rabbitmq, PostgreSQLWork() as postgresql:
        redis.set_password("p4ssw0rd-one")
        ref = authentication(namespace)
        for source in (redis, rabbitmq, postgresql):
            source.publish(37)
        rows, session = (by_secret(namespace, postgresql, target) for target in (5, 10 ** 9))
        session["metadata"]["query"] = "SELECT length(current_setting('application_name'))"
        namespace.apply(deployment("worker"), scaled_object("worker", built_in(redis, 5, ref), of_keda(rabbitmq, 5),
                                                            rows, session))
        namespace.wait_for_replicas("worker", 8)
        done = run(f"backlog compare --keda-metrics {connection['metrics']} --for {COMPARED_SECONDS}s --interval 2s --output json",
                   environment)
        assert done.returncode == 1, done.stdout + done.stderr  # one differs
        found = {line["trigger"]: line for line in lines_of(done, "trigger") if line["object"] == f"{namespace.name}/worker"}
        for index in range(3):
            assert found[index]["verdict"] == "equal" and found[index]["keda"] == found[index]["backlog"] == 37, found[index]
            assert found[index]["equal"] >= COMPARED_SECONDS / 4 and found[index]["different"] == 0
        print(json.dumps(found, indent=1))
        assert found[3]["verdict"] == "different" and "query" in found[3]["reason"], found[3]
        assert "p4ssw0rd-one" not in done.stdout + done.stderr
        assert namespace.replicas("worker") == 8


def change(sources, ending):
    """One message more somewhere, again and again."""
    while not ending.wait(random.uniform(0, 2)):
        random.choice(sources).source.add(BUSY, 1)


def test_values_of_every_scaler_are_equal_while_they_change(api, namespace, connection, environment):
    with contextlib.ExitStack() as stack:
        sources = {name: source for name, source in moved_sources(stack).items() if source.has_built_in}
        for name, source in sources.items():
            authentication_of(namespace, name, **source.parameters(PASSWORD))
            namespace.scale(name, source.built_in({"name": name}))
        for name in sources:
            namespace.wait_for_replicas(name, 2)
        ending = threading.Event()
        thread = threading.Thread(target=change, args=(list(sources.values()), ending), daemon=True)
        thread.start()
        stack.callback(lambda: (ending.set(), thread.join()))
        done = run(f"backlog compare --keda-metrics {connection['metrics']} --for {COMPARED_SECONDS}s --interval 2s --output json",
                   environment)
        found = {line["object"]: line for line in lines_of(done, "trigger") if line["object"].startswith(f"{namespace.name}/")}
        for line in found.values():
            print(json.dumps(line))
        assert len(found) == len(sources), done.stderr
        for line in found.values():
            assert line["verdict"] == "equal" and line["different"] == 0 and line["equal"] >= COMPARED_SECONDS / 4, line


@pytest.mark.core
def test_the_commands_of_the_list_move_an_object_and_back(api, namespace, environment):
    allow(api, {namespace.name: ["redis"]})
    with Work() as source:
        source.set_password("p4ssw0rd-one")
        ref = authentication(namespace)
        source.publish(37)
        token = api_token(api, **ACCOUNT)
        with PodServer(api.ca, int(api.server.rpartition(":")[2]), token, arguments=["--kubernetes"], http=True) as server:
            namespace.scale("worker", built_in(source, 5, ref))
            namespace.wait_for_replicas("worker", 8)
            before = spec_of(api, namespace)
            listed = run(f"backlog migrate --cluster --scaler-address 127.0.0.1:{server.port} --output json", environment)
            assert listed.returncode == 0, listed.stderr
            [found] = [line for line in lines_of(listed, "object") if line["object"] == f"{namespace.name}/worker"]
            for command, step, replicas in ((found["command"], 8, 9), (found["back"], 5, 10)):
                done = run(command, environment)
                assert done.returncode == 0, done.stdout + done.stderr
                moved = spec_of(api, namespace)
                source.publish(step)  # above the HPA's tolerance of 10 %
                namespace.wait_for_replicas("worker", replicas)
                if replicas == 9:
                    assert moved["type"] == "external-push" and moved["metadata"]["scaler"] == "redis"
                    assert moved["authenticationRef"] == ref
            assert moved == before
            numbers = [change[4] for change in namespace.changes if change[1:4] == ("Deployment", "worker", "replicas")]
            assert numbers == sorted(numbers), numbers  # none was lost


def spec_of(api, namespace):
    return api.get(f"/apis/keda.sh/v1alpha1/namespaces/{namespace.name}/scaledobjects/worker")["spec"]["triggers"][0]
