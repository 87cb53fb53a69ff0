"""What `helm test` runs: the container of its pod, with our own program, against a real server."""

import subprocess

import pytest

from support.certificates import Authority
from support.charts.chart import CERT_MANAGER, MUTUAL, ORDERS, merge, pod_of, render
from support.server.server import Server, binary


def container_of(objects):
    container, = objects["Pod"]["spec"]["containers"]
    return container


def run(container, server, certificates=None):
    """As in the pod, but for the address, and the folder of the mounted Secret."""
    words = [word.replace("release-backlog.scaling.svc:9090", f"127.0.0.1:{server.port}") for word in container["args"]]
    if certificates:
        words = [word.replace("/certificates/", f"{certificates}/") for word in words]
    return subprocess.run([binary(), *words], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("values", [{}, ORDERS], ids=["no connections", "connections"])
def test_the_server_passes(values):
    config = "connections: {orders: {scaler: kafka, bootstrapServers: 127.0.0.1:1}}" if values else None
    with Server(config=config) as server:
        spec = run(container_of(render(values)), server)
        assert spec.returncode == 0, spec.stdout + spec.stderr
        assert "GetMetricSpec  s0-" in spec.stdout and "GetMetrics " not in spec.stdout


def secret(authority, folder, name, common_name):
    """A Secret as cert-manager makes it, mounted."""
    certificate, key = authority.issue(name, common_name)
    mounted = folder / f"{name}-secret"
    mounted.mkdir()
    for source, key_of_secret in ((certificate, "tls.crt"), (key, "tls.key"), (authority.certificate, "ca.crt")):
        (mounted / key_of_secret).write_bytes(open(source, "rb").read())
    return mounted


def test_the_server_passes_with_mtls_and_a_stranger_does_not(tmp_path):
    authority = Authority(tmp_path)
    own, keda, stranger = (secret(authority, tmp_path, name, name) for name in ("own", "keda-operator", "stranger"))
    container = container_of(render(merge(CERT_MANAGER, {"tests": {"clientSecret": "keda-client"}})))
    with Server(arguments=["--tls-cert", f"{own}/tls.crt", "--tls-key", f"{own}/tls.key", "--tls-client-ca",
                           f"{own}/ca.crt", "--tls-client-names", "keda-operator"]) as server:
        passed = run(container, server, keda)
        assert passed.returncode == 0, passed.stdout + passed.stderr
        refused = run(container, server, stranger)
        assert refused.returncode == 1 and "stranger" in refused.stdout


def test_a_server_that_is_away_fails():
    with Server() as server:
        pass
    assert run(container_of(render()), server).returncode != 0


def test_the_secret_is_the_one_that_may_call():
    volumes = render({**MUTUAL, "tests": {"clientSecret": "mine"}})["Pod"]["spec"]["volumes"]
    assert [volume["secret"]["secretName"] for volume in volumes] == ["mine"]
    beside = render(merge(CERT_MANAGER, {"keda": {"namespace": "scaling"}}))["Pod"]["spec"]["volumes"]
    assert [volume["secret"]["secretName"] for volume in beside] == ["release-backlog-client"]
    # KEDA's Secret is in another namespace, and without one nobody may call.
    assert "Pod" not in render(CERT_MANAGER)


def test_without_mtls_the_authority_is_in_the_secret_of_the_server_or_in_one_of_yours():
    for tests, secret in (({}, "backlog-tls"), ({"clientSecret": "mine"}, "mine")):
        pod = render({"tls": {"secret": "backlog-tls"}, "tests": tests})["Pod"]["spec"]
        assert [volume["secret"]["secretName"] for volume in pod["volumes"]] == [secret]
        arguments = pod["containers"][0]["args"]
        assert arguments[arguments.index("--tls-ca") + 1] == "/certificates/ca.crt" and "--tls-cert" not in arguments


def test_the_pod_is_restricted_and_ends():
    pod = render()["Pod"]["spec"]
    assert pod["restartPolicy"] == "OnFailure" and pod["activeDeadlineSeconds"] == 120 and pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    container, = pod["containers"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    # It gets KEDA's key under mTLS, so it is no image of somebody else's.
    assert container["image"] == pod_of(render())["containers"][0]["image"]
