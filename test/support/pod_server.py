"""`backlog serve` as in a pod: a service account mounted where the kubelet mounts it, and the API server in variables."""

import os
import pathlib

from .server import Server


class PodServer(Server):
    """`authority` is the path of the API server's, `port` its own on loopback."""

    def __init__(self, authority, port, token, arguments=(), **options):
        super().__init__(arguments=arguments, http=True, **options)
        self.account, self.api_port = pathlib.Path(self.folder, "serviceaccount"), port
        self.account.mkdir()
        (self.account / "ca.crt").write_text(pathlib.Path(authority).read_text())
        (self.account / "token").write_text(token)

    def command(self):
        script = ("mount -t tmpfs tmpfs /run && mkdir -p /run/secrets/kubernetes.io && "
                  'ln -s "$0" /run/secrets/kubernetes.io/serviceaccount && exec "$@"')
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, str(self.account), *super().command()]

    def environment(self):
        return {**os.environ, "KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(self.api_port)}
