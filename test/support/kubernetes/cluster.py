"""kubectl and helm on a real API server, as an administrator."""

import json
import shlex
import subprocess

import yaml

from .kubernetes_schemas import SCHEMAS
from ..process import Unavailable, need, wait_until

SECONDS = 180


class Cluster:
    """kubectl and helm, as an administrator."""

    seconds = SECONDS

    def __init__(self, connection):
        self.config = f"{connection['folder']}/admin.kubeconfig"
        self.kube = connection["kube"]

    def run(self, *words, text=None, cwd=None, wrong=False):
        found = subprocess.run(words, input=text, capture_output=True, text=True, timeout=self.seconds, cwd=cwd)
        assert wrong or found.returncode == 0, f"{shlex.join(map(str, words))}: {found.stdout}{found.stderr}"
        return found

    def kubectl(self, *words, **options):
        return self.run(self.kube, "kubectl", "--kubeconfig", self.config, *words, **options)

    def helm(self, *words, values=None, **options):
        files = [] if values is None else ["--values", "-"]
        return self.run(need("helm"), *words, *files, "--kubeconfig", self.config, text=yaml.safe_dump(values or {}), **options)

    def apply(self, *items, **options):
        return self.kubectl("apply", "--server-side", "--force-conflicts", "--validate=strict", "-f", "-", *options.pop("flags", ()),
                            text=yaml.safe_dump_all(items), **options)

    def get(self, *words):
        return json.loads(self.kubectl("get", *words, "--output", "json").stdout)

    def accepts(self, objects):
        """Each as it is rendered; a simulated cluster has no priority classes, which only pods need."""
        found = self.apply(*objects, flags=["--dry-run=server"])
        # Another test may have this release's policy in the cluster meanwhile.
        warnings = [line for line in found.stderr.splitlines() if "Warning" in line and "Policy 'backlog.keda'" not in line]
        assert not warnings, found.stderr
        assert found.stdout.count("(server dry run)") == len(objects)

    def create_namespace(self, name):
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        wait_until(lambda: self.kubectl("get", "serviceaccount", "default", "-n", name, wrong=True).returncode == 0,
                   SECONDS, f"{name} has its service account")

    def install_definitions(self, *parts):
        """Custom resources, as group_plural."""
        if not SCHEMAS.is_dir():
            raise Unavailable(f"{SCHEMAS} is missing: ./dev test charts makes it")
        for part in parts:
            [path] = SCHEMAS.glob(f"*/{part}.yaml")
            self.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(path))
            group, name = part.split("_")
            wait_until(lambda crd=f"{name}.{group}": is_established(self.get("crd", crd)), SECONDS, f"{part} is established")


def is_established(definition):
    conditions = definition.get("status", {}).get("conditions") or []
    return any(found["type"] == "Established" and found["status"] == "True" for found in conditions)
