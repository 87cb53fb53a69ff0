"""mTLS between KEDA and Backlog, by a ClusterTriggerAuthentication."""

import pathlib

import pytest

from support.certificates import Authority
from support.kubernetes.namespace import WAIT_SECONDS, trigger
from support.process import wait_until
from support.server.server import Server
from support.kubernetes.stack import keda_version
from support.brokers.work import RedisWork

NAME = "keda-operator.keda.svc"


def authentication(api, name, **files):
    """Its Secret is in KEDA's namespace. `files` are the paths of ca, certificate and key; the last two may be missing."""
    keys = {"caCert": "ca", "tlsClientCert": "certificate", "tlsClientKey": "key"}
    api.apply(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "keda"},
         "stringData": {key: pathlib.Path(path).read_text() for key, path in files.items()}},
        {"apiVersion": "keda.sh/v1alpha1", "kind": "ClusterTriggerAuthentication", "metadata": {"name": name},
         "spec": {"secretTargetRef": [{"parameter": parameter, "name": name, "key": key}
                                      for parameter, key in keys.items() if key in files]}})
    return {"name": name, "kind": "ClusterTriggerAuthentication"}


@pytest.mark.core
@pytest.mark.first
def test_keda_is_admitted_by_its_certificate_and_others_are_not(api, namespace, tmp_path):
    if keda_version() < (2, 18):
        pytest.skip("this KEDA shares one connection per address, also with different certificates")
    authority = Authority(tmp_path)
    server_files = authority.issue("server")
    certificates = {"admitted": authority.issue("keda", alternative=[f"DNS:{NAME}"]),
                    "stranger": authority.issue("other", alternative=["DNS:worker.shop.svc"]), "nobody": ()}
    flags = ["--tls-cert", server_files[0], "--tls-key", server_files[1], "--tls-client-ca", authority.certificate,
             "--tls-client-names", NAME]
    with RedisWork() as source, Server(arguments=flags) as server:
        source.publish(37)
        for name, files in certificates.items():
            auth = authentication(api, f"backlog-{name}", ca=authority.certificate,
                                  **dict(zip(("certificate", "key"), files)))
            namespace.scale(name, trigger(server, push=True, enableTLS="true", auth=auth, **source.metadata(5)))
        namespace.wait_for_replicas("admitted", 8)
        for name in ("stranger", "nobody"):  # KEDA says why only in its log
            namespace.wait(lambda: "no metric specs" in (namespace.value("ScaledObject", name, "Ready") or ""),
                           f"{name}: no metric specs")
            assert namespace.replicas(name) == 0
        wait_until(lambda: "worker.shop.svc" in server.log(), WAIT_SECONDS, "a log line about the stranger")
        source.clear()
        namespace.wait_for_replicas("admitted", 0)
