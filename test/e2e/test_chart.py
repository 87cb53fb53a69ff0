"""The chart on a real API server: what it accepts, what the admission policy says, and helm's whole life cycle."""

import os
import pathlib
import re
import shlex
import shutil

import pytest
import yaml

from support.charts.chart import CHART, IMAGE, IN_PRODUCTION, MUTUAL, ORDERS, PRODUCTION, merge, render_all
from support.charts.chart_values import MANY_CONNECTIONS, MATRIX
from support.kubernetes.cluster import SECONDS
from support.kubernetes.namespace import scaled_job, scaled_object
from support.process import need, wait_until
from support.kubernetes.registry import Registry
from support.server.server import REPOSITORY
from test_worker_chart import programs

README = pathlib.Path(CHART, "README.md").read_text()


@pytest.mark.core
@pytest.mark.parametrize("name", ["defaults", "everything"])
def test_the_api_server_accepts_every_object(cluster, name):
    cluster.accepts(render_all(MATRIX[name]))


@pytest.mark.core
def test_the_api_server_accepts_the_production_profile(cluster):
    cluster.accepts(render_all(IN_PRODUCTION, "--values", PRODUCTION))


@pytest.mark.parametrize("name", sorted(set(MATRIX) - {"defaults", "everything"}))
def test_the_api_server_accepts_every_value(cluster, name):
    cluster.accepts(render_all(MATRIX[name]))


# ---- the admission policy ----

def install(cluster, namespace, **values):
    """A release `backlog`, whose policy judges already."""
    cluster.helm("install", "backlog", CHART, "--namespace", namespace, values=merge(IMAGE, values))
    name = f"backlog.{namespace}"
    wait_until(lambda: "observedGeneration" in cluster.get("validatingadmissionpolicy", name).get("status", {}),
               SECONDS, "the policy is there")
    status = cluster.get("validatingadmissionpolicy", name)["status"]
    assert not status.get("typeChecking", {}).get("expressionWarnings"), status
    # The API server reads policies from a cache of its own.
    wait_until(lambda: "scaler is missing" in evaluate(cluster, namespace, trigger(namespace)), SECONDS, "the policy judges")


def trigger(namespace, **metadata):
    address = metadata.pop("scalerAddress", f"backlog.{namespace}.svc:9090")
    reference = {"authenticationRef": {"name": "backlog"}} if metadata.pop("authenticated", False) else {}
    return {"type": metadata.pop("type", "external-push"), "metadata": {"scalerAddress": address, **metadata}, **reference}


def evaluate(cluster, namespace, *triggers, item=None):
    """What kubectl shows on standard error."""
    item = item or scaled_object("worker", *triggers)
    item["metadata"]["namespace"] = namespace
    return cluster.apply(item, flags=["--dry-run=server"], wrong=True).stderr


RIGHT = {"scaler": "redis", "address": "redis:6379", "listName": "jobs"}
MISTAKES = {
    "scaler is missing": {"address": "redis:6379"},
    'unknown scaler "reddis"': {**RIGHT, "scaler": "reddis"},
    "unknown keys in a trigger's metadata: listNam": {**RIGHT, "listNam": "jobs"},
    "holds a secret in plain text: password": {**RIGHT, "password": "hunter2"},
    "type of KEDA's own": {**RIGHT, "type": "redis"},
    "enableTLS is set": {**RIGHT, "enableTLS": "true"},
    "connectionName does not exist: this server has no connections": {"scaler": "redis", "listName": "jobs", "connectionName": "orders"},
}


@pytest.mark.core
def test_the_policy_warns_of_each_mistake(cluster, namespace):
    install(cluster, namespace.name)
    for words, metadata in MISTAKES.items():
        message = evaluate(cluster, namespace.name, trigger(namespace.name, **metadata))
        assert "Warning: " in message and words in message, f"{words}: {message}"
        assert "hunter2" not in message
    # As the README shows it.
    message = evaluate(cluster, namespace.name, trigger(namespace.name, **{**RIGHT, "listNam": "jobs"}))
    policy = f"backlog.{namespace.name}"
    assert (f"Warning: Validation failed for ValidatingAdmissionPolicy '{policy}' with binding '{policy}': "
            "unknown keys in a trigger's metadata: listNam\n") in message
    assert "Warning: Validation failed for ValidatingAdmissionPolicy 'backlog.keda' with binding" in README
    job = evaluate(cluster, namespace.name, item=scaled_job("worker", trigger(namespace.name, **{**RIGHT, "scaler": "reddis"})))
    assert 'unknown scaler "reddis"' in job


@pytest.mark.core
def test_the_policy_has_nothing_to_say_of_right_triggers_and_of_others(cluster, namespace):
    install(cluster, namespace.name)
    name = namespace.name
    for metadata in (RIGHT, {**RIGHT, "passwordFromEnv": "PASSWORD", "interval": "1s", "enableTLS": "false"},
                     {**RIGHT, "scalerAddress": f"dns:///backlog.{name}.svc.cluster.local:9090"},
                     {"scaler": "nonsense", "scalerAddress": "other.svc:9090"},
                     {"scaler": "nonsense", "scalerAddress": f"backlog.{name}.svc:9999"},
                     {"scaler": "nonsense", "scalerAddress": f"my-backlog.{name}.svc:9090"}):
        assert evaluate(cluster, name, trigger(name, **metadata)) == "", metadata
    cron = {"type": "cron", "metadata": {"timezone": "UTC", "start": "0 * * * *", "end": "1 * * * *", "desiredReplicas": "1"}}
    assert evaluate(cluster, name, trigger(name, **RIGHT), cron) == ""
    for address in (f"backlog.{name}:9090", f"backlog.{name}.svc.cluster.local:9090"):
        assert "scaler is missing" in evaluate(cluster, name, trigger(name, scalerAddress=address))


@pytest.mark.core
def test_the_policy_knows_the_connections_and_tls_of_the_release(cluster, namespace):
    name = namespace.name
    orders = merge(ORDERS, MUTUAL)
    orders["connections"]["all"] = {"scaler": "redis", "address": "redis:6379"}
    install(cluster, name, **orders, config={"denyInlineConnections": True})
    right = {"scaler": "redis", "listName": "jobs", "connectionName": "all", "enableTLS": "true", "authenticated": True}
    assert evaluate(cluster, name, trigger(name, **right)) == ""
    for words, metadata in {
            "connectionName does not exist: this server has all, orders": {**right, "connectionName": "bills"},
            "not permitted in this namespace": {**right, "scaler": "kafka", "connectionName": "orders"},
            "connectionName is missing": {**RIGHT, "enableTLS": "true"},
            "this server uses TLS": {**right, "enableTLS": "false"},
            "requires a client certificate (mTLS): set the trigger's authenticationRef": {**right, "authenticated": False}}.items():
        assert words in evaluate(cluster, name, trigger(name, **metadata)), words
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "billing-eu"}})
    allowed = {"scaler": "kafka", "connectionName": "orders", "consumerGroup": "g", "topic": "t", "enableTLS": "true",
               "authenticated": True}
    assert evaluate(cluster, "billing-eu", trigger(name, **allowed)) == ""


@pytest.mark.core
def test_the_policy_knows_as_many_connections_as_the_server(cluster, namespace):
    name = namespace.name
    install(cluster, name, **MANY_CONNECTIONS)
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team-1023-staging-eu"}})
    metadata = {"scaler": "redis", "listName": "jobs", "connectionName": "orders-of-the-team-1023"}
    assert evaluate(cluster, "team-1023-staging-eu", trigger(name, **metadata)) == ""
    assert "not permitted in this namespace" in evaluate(cluster, name, trigger(name, **metadata))
    assert "connectionName does not exist" in evaluate(cluster, name, trigger(name, **{**metadata, "connectionName": "orders"}))


@pytest.mark.core
def test_deny_refuses_and_existing_mistakes_can_be_changed_and_deleted(cluster, namespace):
    """KEDA writes its finalizer by an update of the whole object, and takes it off the same way."""
    name = namespace.name
    wrong = scaled_object("old", trigger(name, **{**RIGHT, "listNam": "jobs"}))
    wrong["metadata"]["namespace"] = name
    cluster.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "old", "namespace": name}, "spec": {
        "replicas": 0, "selector": {"matchLabels": {"app": "old"}}, "template": {
            "metadata": {"labels": {"app": "old"}}, "spec": {"containers": [{"name": "worker", "image": "none"}]}}}}, wrong)
    wait_until(lambda: cluster.get("scaledobject", "old", "-n", name)["metadata"].get("finalizers"), SECONDS, "KEDA's finalizer")
    install(cluster, name, admissionPolicy={"action": "Deny"})

    refused = evaluate(cluster, name, trigger(name, **{**RIGHT, "listNam": "jobs"}))
    assert "denied request" in refused and "listNam" in refused
    assert evaluate(cluster, name, trigger(name, **RIGHT)) == ""

    annotated = cluster.kubectl("annotate", "scaledobject", "old", "-n", name, "a=b")
    assert "Warning" not in annotated.stderr
    worse = cluster.kubectl("patch", "scaledobject", "old", "-n", name, "--type=merge", "-p", '{"spec": {"maxReplicaCount": 7}}',
                            wrong=True)
    assert worse.returncode != 0 and "denied request" in worse.stderr
    cluster.kubectl("delete", "scaledobject", "old", "-n", name, "--timeout=60s")


# ---- helm ----

def objects_of(cluster, namespace):
    """What a release of the name `backlog` has, as kind/name."""
    kinds = ("deployments,services,configmaps,serviceaccounts,poddisruptionbudgets,networkpolicies,servicemonitors,"
             "prometheusrules,certificates,issuers,pods,validatingadmissionpolicies,validatingadmissionpolicybindings,"
             "clustertriggerauthentications")
    found = cluster.get(kinds, "--namespace", namespace, "--selector", "app.kubernetes.io/instance=backlog")["items"]
    own = [item for item in found if "namespace" in item["metadata"] or item["metadata"]["name"].endswith(f".{namespace}")]
    return {f"{item['kind']}/{item['metadata']['name']}" for item in own}


def flags_of(cluster, namespace):
    return cluster.get("deployment", "backlog", "--namespace", namespace)["spec"]["template"]["spec"]["containers"][0]["args"]


@pytest.mark.core
@pytest.mark.first
def test_a_release_is_installed_upgraded_rolled_back_and_uninstalled(cluster, namespace, tmp_path):
    """The chart that is installed first has defaults of its own, and none for what came later."""
    name = namespace.name
    old = shutil.copytree(CHART, tmp_path / "backlog")
    values = yaml.safe_load((old / "values.yaml").read_text())
    values["config"]["grace"] = "7s"  # an older default
    (old / "values.yaml").write_text(yaml.safe_dump(values))
    wait = ["--wait", "--timeout", f"{SECONDS}s", "--namespace", name]

    cluster.helm("install", "backlog", str(old), *wait, values=merge(IMAGE, {"replicaCount": 3, "config": {"hold": "5m"}}))
    before = objects_of(cluster, name)
    assert {"Deployment/backlog", "Service/backlog", "NetworkPolicy/backlog", f"ValidatingAdmissionPolicy/backlog.{name}"} <= before
    assert "7s" in flags_of(cluster, name)

    cluster.helm("upgrade", "backlog", CHART, *wait, "--reset-then-reuse-values", values=merge(ORDERS, {
        "serviceMonitor": {"enabled": True}}))
    flags = flags_of(cluster, name)
    assert "10s" in flags and "5m" in flags  # the new default, and the value that was set
    deployment = cluster.get("deployment", "backlog", "-n", name)
    assert deployment["spec"]["replicas"] == 3 and deployment["status"]["readyReplicas"] == 3
    assert "ServiceMonitor/backlog" in objects_of(cluster, name)

    # A second file with another connection keeps the first one, and its Secret.
    cluster.helm("upgrade", "backlog", CHART, *wait, "--reset-then-reuse-values", values={"connections": {"bills": {
        "scaler": "redis", "address": "redis:6379", "secret": "bills", "passwordFile": "password"}}})
    file = cluster.get("configmap", "backlog", "-n", name)["data"]["connections.yaml"]
    assert set(yaml.safe_load(file)["connections"]) == {"orders", "bills"}

    cluster.helm("rollback", "backlog", "1", *wait)
    assert "7s" in flags_of(cluster, name) and "ServiceMonitor/backlog" not in objects_of(cluster, name)
    cluster.helm("uninstall", "backlog", *wait)
    wait_until(lambda: not objects_of(cluster, name), SECONDS, "everything is gone")


def words_of_readme():
    """The commands of the README, in order, each in one line."""
    for block in re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            yield shlex.split(line)


@pytest.mark.core
def test_everything_that_the_readme_says_to_type(cluster, tmp_path):
    """In the repository's folder, with the files of its yaml blocks, and a registry of this machine."""
    folder = tmp_path / "repository"
    folder.mkdir()
    shutil.copytree(pathlib.Path(REPOSITORY, "charts"), folder / "charts")
    for block in re.findall(r"^```yaml\n(.*?)^```", README, re.MULTILINE | re.DOTALL):
        if named := re.search(r"# (\w+\.yaml)$", block.splitlines()[0]):
            (folder / named[1]).write_text(block)
    typed = 0
    with Registry() as registry:
        for words in words_of_readme():
            if words[:2] == ["helm", "test"] or "rollout" in words:
                continue  # no container runs here: test/charts/test_helm_test.py runs the test's command
            words = [word.replace("oci://registry.example", f"oci://{registry.host}") for word in words]
            if any(word.startswith("oci://") for word in words):
                words.append("--plain-http")
            if words[:2] == ["helm", "install"] and any(word.startswith("oci://") for word in words):
                cluster.run(need("helm"), "uninstall", "backlog", "--namespace", "keda", "--kubeconfig", cluster.config)
            program = [need("helm")] if words[0] == "helm" else [cluster.kube, "kubectl"]
            assert words[0] in ("helm", "kubectl"), words
            cluster.run(*program, *words[1:], "--kubeconfig", cluster.config, cwd=folder)
            typed += 1
    cluster.helm("uninstall", "backlog", "--namespace", "keda")
    type_pages(cluster, folder, tmp_path / "bin")
    cluster.helm("uninstall", "backlog", "backlog-shop", "--namespace", "keda")
    cluster.kubectl("delete", "secret", "orders", "--namespace", "keda")
    assert typed >= 9


def type_pages(cluster, folder, bin_folder):
    """The commands for the chart in the pages that an operator reads, in the order in which they are needed."""
    (folder / "shop.yaml").write_text("{}\n")
    # What docs/migrate-fleet.md makes of a list of the cluster.
    (folder / "secrets.json").write_text('{"kubernetes": {"enabled": true, "secrets": {"scaling": ["rabbitmq"]}}}\n')
    # What docs/security.md makes of the values of the first release.
    shutil.copy(folder / "yours.yaml", folder / "tls.yaml")
    programs(cluster, bin_folder)
    typed = []
    for page in ("migrate", "migrate-fleet", "operations", "dashboard", "sizing", "security"):
        text = pathlib.Path(REPOSITORY, "docs", f"{page}.md").read_text()
        for block in re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            typed += re.findall(r"^(?:helm (?:install|package|upgrade|rollback)|tar xzf|kubectl -n keda create secret)(?:.*\\\n)*.*\n", block, re.MULTILINE)
    assert len(typed) >= 7
    again = "helm uninstall backlog --namespace keda\n"  # a further installation takes the place of the one before
    typed = [again + line if line.startswith("helm install backlog ") and number > 0 else line for number, line in enumerate(typed)]
    script = "".join(typed).replace("{shop,billing}", "{scaling,keda}")  # another test has the namespace
    cluster.run("env", f"PATH={bin_folder}:{os.environ['PATH']}", f"KUBECONFIG={cluster.config}", "bash", "-euxo", "pipefail", "-c",
                script, cwd=folder)
