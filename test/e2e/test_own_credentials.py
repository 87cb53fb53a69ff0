"""`--kubernetes` with a real KEDA: a trigger with a TriggerAuthentication is moved by two lines, and its replicas follow."""

import contextlib
import os

import pytest

from support.certificates import Authority
from support.clients.grpc_client import Client, refusal
from support.kubernetes.client import ApiError
from support.kubernetes.namespace import scaled_job, trigger
from support.kubernetes.own_credentials import allow, authentication_of, channel, create_account, pod, secret
from support.process import wait_until
from support.brokers.work import RedisWork

PASSWORDS = ("p4ssw0rd-one", "p4ssw0rd-two", "p4ssw0rd-three")


class Work(RedisWork):
    """Redis with a password, which the metadata does not have."""

    password = None

    def call(self, *words):
        with self.broker.connect() as client:
            if self.password:
                client.call("AUTH", self.password)
            return client.call(*words)

    def set_password(self, password):
        """Of what is connected nothing stays."""
        self.call("CONFIG", "SET", "requirepass", password)
        self.password = password
        self.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


@pytest.fixture
def source():
    with Work() as found:
        found.set_password(PASSWORDS[0])
        yield found


@pytest.fixture(scope="module", autouse=True)
def account(api):
    create_account(api)


def authentication(namespace):
    authentication_of(namespace, "redis", password=PASSWORDS[0])
    return {"name": "redis"}


def built_in(source, target, ref):
    """As KEDA's documentation has it."""
    metadata = {key: str(text) for key, text in source.metadata(target).items() if key != "scaler"}
    return {"type": "redis", "metadata": metadata, "authenticationRef": ref}


@pytest.mark.core
@pytest.mark.first
def test_a_trigger_is_moved_by_two_lines_and_back(api, namespace, source):
    allow(api, {namespace.name: ["redis"]})
    ref = authentication(namespace)
    source.publish(37)
    with pod(api) as server:
        namespace.scale("worker", built_in(source, 5, ref))
        namespace.wait_for_replicas("worker", 8)
        before = len(namespace.changes)
        namespace.scale("worker", trigger(server, push=True, auth=ref, **source.metadata(5)), replicas=8)
        source.publish(8)  # 45: above the HPA's tolerance of 10 %
        namespace.wait_for_replicas("worker", 9)
        namespace.scale("worker", built_in(source, 5, ref), replicas=9)
        source.publish(5)
        namespace.wait_for_replicas("worker", 10)
        numbers = [change[4] for change in namespace.changes[before:] if change[1:4] == ("Deployment", "worker", "replicas")]
        assert numbers == sorted(numbers), numbers  # none was lost
        assert not any(password in server.log() for password in PASSWORDS)


@pytest.mark.core
@pytest.mark.first
def test_a_rotation_loses_no_replica(api, namespace, source):
    allow(api, {namespace.name: ["redis"]})
    ref = authentication(namespace)
    source.publish(37)
    with pod(api, "--interval", "1s") as server:
        namespace.scale("worker", trigger(server, push=True, auth=ref, **source.metadata(5)))
        namespace.wait_for_replicas("worker", 8)
        for number, password in enumerate(PASSWORDS[1:]):
            source.set_password(password)
            secret(namespace, "redis", password=password)
            source.publish(5 if number else 8)  # 45, then 50: above the HPA's tolerance of 10 %
            namespace.wait_for_replicas("worker", 9 + number)


@pytest.mark.core
def test_a_scaled_job(api, namespace, source):
    allow(api, {namespace.name: ["redis"]})
    ref = authentication(namespace)
    source.publish(3)
    with pod(api) as server:
        namespace.apply(scaled_job("jobs", trigger(server, auth=ref, **source.metadata(1))))
        namespace.wait(lambda: len(namespace.jobs_of("jobs")) >= 3, "three jobs")


@pytest.mark.core
def test_with_mtls_the_metadata_names_the_authentication(api, namespace, source, tmp_path):
    allow(api, {namespace.name: ["redis"]})
    authentication(namespace)
    authority = Authority(tmp_path)
    certificate, key = authority.issue("server")
    channel(namespace, authority)
    source.publish(37)
    with pod(api, "--tls-cert", certificate, "--tls-key", key, "--tls-client-ca", authority.certificate) as server:
        namespace.scale("worker", trigger(server, push=True, auth={"name": "channel"}, enableTLS="true",
                                          triggerAuthentication="redis", **source.metadata(5)))
        namespace.wait_for_replicas("worker", 8)


@pytest.mark.core
def test_a_call_that_no_object_has_gets_nothing(api, namespace, source):
    allow(api, {namespace.name: ["redis"]})
    ref = authentication(namespace)
    with pod(api) as server, Client(server.port) as client:
        moved = trigger(server, auth=ref, **source.metadata(5))
        namespace.scale("worker", moved)
        named = {"name": "worker", "namespace": namespace.name}
        assert client.metrics(moved["metadata"], "", **named).metricValueFloat == 0
        for forged, where in (({**moved["metadata"], "address": "127.0.0.1:1"}, named),
                              (moved["metadata"], {**named, "namespace": "default"}),
                              (moved["metadata"], {**named, "name": "other"})):
            code, text = refusal(client.metrics, forged, "", **where)
            assert "(--kubernetes)" in text, (code, text)
        with contextlib.suppress(ApiError):  # the right goes: what is known goes on
            api.delete("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/release-backlog.scaling.credentials")
        assert client.metrics(moved["metadata"], "", **named).metricValueFloat == 0
        allow(api, {namespace.name: ["redis"]})
        api.delete(f"/apis/keda.sh/v1alpha1/namespaces/{namespace.name}/scaledobjects/worker")
        wait_until(lambda: "neither a ScaledObject" in refusal(client.metrics, moved["metadata"], "", **named)[1]
                   if is_refused(client, moved["metadata"], named) else False, 60, "the deleted object")


def is_refused(client, metadata, named):
    try:
        client.metrics(metadata, "", **named)
    except Exception:  # noqa: BLE001, whatever the call ends with
        return True
    return False


def test_a_held_value_is_as_old_as_the_hpas_window(api, namespace):
    """Without holdWindow: the server reads it from the ScaledObjects, and how many replicas the HPA has. With BACKLOG_FULL=1
    the outage is longer than each window."""
    away_seconds = 1000 if os.environ.get("BACKLOG_FULL") else 90
    allow(api, {}, readHpas=True)
    windows = {"quick": 0, "slow": 60, "default": None, "slowest": 900}
    with RedisWork() as source, pod(api, "--kubernetes-hpa") as server:
        source.publish(37)
        for name, seconds in windows.items():
            down = {"policies": [{"type": "Percent", "value": 100, "periodSeconds": 2}]}
            if seconds is not None:
                down["stabilizationWindowSeconds"] = seconds
            namespace.scale(name, trigger(server, **source.metadata(5)), cooldownPeriod=3600, advanced={
                "horizontalPodAutoscalerConfig": {"behavior": {"scaleDown": down, "scaleUp": {"stabilizationWindowSeconds": 0}}}})
        for name in windows:
            namespace.wait_for_replicas(name, 8)
        source.clear()
        source.publish(14)
        namespace.wait_for_replicas("quick", 3)
        kept = {"quick": 3, "slow": 8, "default": 8, "slowest": 8}
        namespace.stays(20, **kept)
        source.broker.kill()
        namespace.stays(away_seconds, **kept)  # held: nothing goes, nothing comes
