"""What the tests of `--kubernetes` share: the chart's rights, the server in its pod, and authentications."""

from ..charts.chart import render_all
from .pod_server import PodServer, api_token

ACCOUNT = {"namespace": "scaling", "name": "backlog"}  # the chart's


def create_account(api):
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ACCOUNT["namespace"]}},
              {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": dict(ACCOUNT)})


def rights(secrets, **values):
    """Those of the chart."""
    objects = render_all({"kubernetes": {"enabled": True, "secrets": secrets, **values}, "serviceAccount": {"name": ACCOUNT["name"]}})
    return [item for item in objects if item["kind"] in ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")]


def allow(api, secrets, **values):
    api.apply(*rights(secrets, **values))


def pod(api, *flags):
    return PodServer(api.ca, int(api.server.rpartition(":")[2]), api_token(api, **ACCOUNT),
                     arguments=["--kubernetes", *flags], http=True)


def secret(namespace, name, **values):
    namespace.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values})


def authentication_of(namespace, name, **values):
    """A Secret and a TriggerAuthentication of that name, with these parameters."""
    secret(namespace, name, **values)
    namespace.apply({"apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication", "metadata": {"name": name},
                     "spec": {"secretTargetRef": [{"parameter": each, "name": name, "key": each} for each in values]}})


def channel(namespace, authority):
    """KEDA's certificates for its channel to the server, as the authentication `channel`."""
    certificate, key = authority.issue("keda", alternative=["DNS:keda-operator.keda.svc"])
    values = {}
    for parameter, path in (("caCert", authority.certificate), ("tlsClientCert", certificate), ("tlsClientKey", key)):
        with open(path) as file:
            values[parameter] = file.read()
    authentication_of(namespace, "channel", **values)
