"""The server under test as in a pod: a service account is mounted, and variables say where the Kubernetes API is."""

import os
import pathlib

from ..server.server import Server


class PodServer(Server):
    """`ca` is the path of the API's authority. Needs root, which mounts the account."""

    def __init__(self, ca, api_port, token, http=True, **options):
        super().__init__(http=http, **options)
        self.account, self.api_port = pathlib.Path(self.folder, "serviceaccount"), api_port
        self.account.mkdir()
        (self.account / "ca.crt").write_text(pathlib.Path(ca).read_text())
        self.write_token(token)

    def write_token(self, token):
        new = self.account / "token.new"
        new.write_text(token)
        new.rename(self.account / "token")

    def command(self):
        script = ("mount -t tmpfs tmpfs /run && mkdir -p /run/secrets/kubernetes.io && "
                  'ln -s "$0" /run/secrets/kubernetes.io/serviceaccount && exec "$@"')
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, str(self.account), *super().command()]

    def environment(self):
        return {**os.environ, "KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(self.api_port)}


def api_token(api, namespace, name):
    """A token of the service account, by the real API."""
    found = api.create(f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token",
                       {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
                        "spec": {"expirationSeconds": 3600}})
    return found["status"]["token"]
