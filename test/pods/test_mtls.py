"""A release with mTLS, and with a connection whose password is mounted: both are replaced while it runs."""

import pathlib
import socket
import ssl

import pytest

from support.certificates import Authority
from support.kubernetes.namespace import deployment, scaled_object
from support.kubernetes.node import SECONDS
from support.kubernetes.shop import Broker, Workers
from support.process import wait_until

NAME = "backlog-tls.keda.svc"
VALUES = {
    "image": {"repository": "registry.example/backlog"},
    "connections": {"mail": {"scaler": "rabbitmq", "host": "amqp://rabbitmq.shop.svc:5672/shop", "username": "mail", "secret": "mail-login",
                             "passwordFile": "password", "namespaces": ["mail"]}},
    "config": {"denyInlineConnections": True},
    "tls": {"secret": "backlog-server", "clientCASecret": "backlog-server", "clientNames": ["keda-operator"],
            "clusterTriggerAuthentication": {"create": True, "secret": "backlog-client"}},
    "tests": {"clientSecret": "backlog-client"}}
TRIGGER = {"type": "external-push", "authenticationRef": {"name": "backlog-tls", "kind": "ClusterTriggerAuthentication"}, "metadata": {
    "scalerAddress": f"{NAME}:9090", "scaler": "rabbitmq", "enableTLS": "true", "connectionName": "mail", "queueName": "mail",
    "mode": "QueueLength", "value": "5"}}


class Certificates:
    def __init__(self, cluster, folder):
        self.cluster, self.authority = cluster, Authority(folder)
        self.client = self.authority.issue("client", "keda-operator", ("DNS:keda-operator",))
        self.install("backlog-client", self.client)

    def issue_for_the_server(self, name):
        files = self.authority.issue(name, "backlog", (f"DNS:{NAME}",))
        self.install("backlog-server", files)
        return ssl.PEM_cert_to_DER_cert(pathlib.Path(files[0]).read_text())

    def install(self, secret, files):
        secret_of(self.cluster, secret, **{key: pathlib.Path(path).read_text() for key, path in zip(
            ("tls.crt", "tls.key", "ca.crt"), (*files, self.authority.certificate), strict=True)})

    def shown_by(self, pod):
        """To a client with KEDA's certificate."""
        context = ssl.create_default_context(cafile=self.authority.certificate)
        context.load_cert_chain(*self.client)
        with socket.create_connection((pod["status"]["podIP"], 9090), timeout=10) as connection:
            with context.wrap_socket(connection, server_hostname=NAME) as channel:
                return channel.getpeercert(binary_form=True)


def secret_of(cluster, name, **values):
    cluster.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "keda"}, "stringData": values})


@pytest.fixture(scope="module")
def certificates(cluster, tmp_path_factory):
    certificates = Certificates(cluster, tmp_path_factory.mktemp("certificates"))
    certificates.issue_for_the_server("first")
    return certificates


@pytest.fixture(scope="module")
def mail(cluster, shop, installed, certificates, checkout):
    """The namespace with its workers, and its broker, which is that of the shop."""
    shop.broker.control("add_user", "mail", "first-secret")
    shop.broker.control("set_permissions", "--vhost", "shop", "mail", ".*", ".*", ".*")
    secret_of(cluster, "mail-login", password="first-secret")
    cluster.helm("install", "backlog-tls", checkout / "charts" / "backlog", "--namespace", "keda", values=VALUES)
    cluster.rolled_out("keda", "deployment/backlog-tls")
    with Workers(cluster, "mail", Broker(cluster, user="mail")) as mail:
        mail.broker.send("mail", 0)
        mail.apply(deployment("mail", image="busybox:1", command=["sleep", "infinity"]),
                   scaled_object("mail", TRIGGER, cooldownPeriod=10, pollingInterval=5))
        mail.wait_until_ready("mail")
        yield mail


def test_keda_and_helm_test_are_admitted(cluster, mail):
    assert "Succeeded" in cluster.helm("test", "backlog-tls", "--namespace", "keda").stdout
    mail.scales("mail", 12, 3)


def test_a_new_password_in_a_mounted_secret(cluster, mail):
    mail.broker.change_password("second-secret")
    secret_of(cluster, "mail-login", password=mail.broker.password)
    mail.scales("mail", 12, 3)


def test_a_new_certificate_of_the_server(cluster, mail, certificates):
    new = certificates.issue_for_the_server("second")
    pods = cluster.pods("keda", "app.kubernetes.io/instance=backlog-tls,app.kubernetes.io/name=backlog")
    for pod in pods:
        wait_until(lambda each=pod: certificates.shown_by(each) == new, SECONDS, "the new certificate")
    assert {pod["status"]["containerStatuses"][0]["restartCount"] for pod in pods} == {0}
    mail.scales("mail", 12, 3)
