"""`backlog check`, `migrate`, `ask`, `explain` and `watch` with a real Redis, a real server and a real terminal (tmux)."""

import json
import os
import re
import subprocess

import pytest

from support.certificates import Authority, make_certificate, make_intermediate, make_root
from support.clients.grpc_client import Client
from support.process import free_port, need, wait_until
from support.brokers.redis import Redis
from support.server.server import Server, binary

JOBS = 37
SECONDS = 60

OBJECT = """\
# The workers
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {{name: {name}, namespace: shop}}
spec:
  triggers:
    - type: {type} # jobs
      metadata:
        address: {redis}
        listName: {name}
        listLength: "5"
"""


@pytest.fixture(scope="module")
def redis():
    with Redis() as redis:
        with redis.connect() as client:
            client.call("RPUSH", "jobs", *range(JOBS))
        yield redis


@pytest.fixture(scope="module")
def server():
    with Server(interval="200ms", http=True) as server:
        yield server


def backlog(*arguments, text=None, env=None, cwd=None):
    return subprocess.run([binary(), *arguments], input=text, capture_output=True, text=True, timeout=SECONDS, cwd=cwd,
                          env={**os.environ, **(env or {})})


def lines_of(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def of_type(done, name):
    return [line for line in lines_of(done) if line["type"] == name]


def manifest(folder, redis, name="jobs", kind="redis", address=None):
    path = folder / f"{name}.yaml"
    path.write_text(OBJECT.format(name=name, type=kind, redis=address or redis.address))
    return str(path)


# ---- check

def test_check_measures_and_says_what_follows(redis, tmp_path):
    done = backlog("check", "--measure", "--output", "json", manifest(tmp_path, redis))
    assert done.returncode == 0, done.stderr
    [found] = of_type(done, "measurement")
    [trigger] = found["triggers"]
    assert (trigger["metricName"], trigger["value"], trigger["target"], trigger["active"]) == ("redis-jobs", JOBS, 5, True)
    assert found["replicas"] == 8
    assert [(step["from"], step["to"]) for step in found["steps"]] == [(0, 1), (1, 4), (4, 8)]


def test_check_says_why_it_cannot_measure(redis, tmp_path):
    nobody = f"127.0.0.1:{free_port()}"
    done = backlog("check", "--measure", "--timeout", "5s", manifest(tmp_path, redis, address=nobody))
    assert done.returncode == 1
    assert "Connection refused" in done.stdout
    assert "0 replicas, as there are now: KEDA: trigger failed, replicas held" in done.stdout


def test_check_takes_variables_of_the_worker_from_the_environment(redis):
    text = OBJECT.format(name="jobs", type="redis", redis="x").replace("address: x", "addressFromEnv: REDIS_ADDRESS")
    words = ("check", "--measure", "--env", "REDIS_ADDRESS", "-")
    unset = backlog(*words, text=text)
    assert unset.returncode == 1 and "set the variable REDIS_ADDRESS" in unset.stdout
    done = backlog(*words, text=text, env={"REDIS_ADDRESS": redis.address})
    assert done.returncode == 0 and "redis-jobs is 37" in done.stdout


def test_check_reads_folders_and_standard_input(redis, tmp_path):
    manifest(tmp_path, redis)
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "so.yaml").write_text("spec: {{ .Values.x }}\n  a: {{- if }}\n")
    (tmp_path / "notes.txt").write_text("a: b: c")
    done = backlog("check", str(tmp_path))
    assert done.returncode == 0
    assert "2 files, 1 object, 1 trigger: 0 errors, 0 warnings" in done.stdout
    assert "skipped: a Helm template" in done.stdout
    empty = backlog("check", "-", text="")  # of a command before the pipe that failed
    assert empty.returncode == 1 and "standard input is empty" in empty.stdout + empty.stderr
    wrong = backlog("check", "-", text=OBJECT.format(name="jobs", type="external", redis="r:1"))
    assert wrong.returncode == 1
    assert "-:9: error: shop/jobs: trigger 0 (external): " in wrong.stdout
    assert backlog("check").returncode == 2
    assert backlog("check", str(tmp_path / "missing.yaml")).returncode == 1


def test_warnings_count_with_strict(redis, tmp_path):
    path = tmp_path / "jobs.yaml"
    path.write_text(OBJECT.format(name="jobs", type="redis", redis=redis.address) + '        listLenght: "3"\n')
    assert backlog("check", str(path)).returncode == 0
    assert backlog("check", "--strict", str(path)).returncode == 1


def test_check_moves_no_cursor_and_loses_no_finding(tmp_path):
    """Names of files and objects are anybody's: escape sequences, and bytes that are no UTF-8."""
    text = OBJECT.format(name="jobs", type="redizz", redis="r:1").replace("namespace: shop", 'namespace: "x\\e[2J\\ny"')
    (tmp_path / "one\x1b[2J.yaml").write_text(text)
    with open(os.fsencode(tmp_path) + b"/j\xf6bs.yaml", "w") as file:
        file.write(text)
    done = backlog("check", str(tmp_path))
    assert "\x1b" not in done.stdout and len(done.stdout.splitlines()) == 3 and "j?bs.yaml:7: note: x?[2J?y/jobs: " in done.stdout
    assert len(of_type(backlog("check", "--output", "json", str(tmp_path)), "finding")) == 2
    with open(os.fsencode(tmp_path) + b"/j\xf6bs.yaml", "w") as file:
        file.write(text.replace("redizz", "redis"))
    assert len(of_type(backlog("migrate", "--output", "json", str(tmp_path)), "file")) == 1
    refused = backlog("rehearse", "-f", str(tmp_path), "--server", "127.0.0.1:1")
    assert refused.returncode == 1 and "one?[2J.yaml:7: x?[2J?y/jobs: trigger 0 (redizz)" in refused.stderr
    assert "\x1b" not in refused.stderr


MOVED = OBJECT.replace("        address:", "        scaler: redis\n        scalerAddress: backlog:9090\n        address:") + """\
      authenticationRef: {{name: redis}}
---
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata: {{name: redis, namespace: shop}}
spec: {{secretTargetRef: [{{parameter: password, name: redis, key: password}}]}}
"""
SECRET = """\
---
apiVersion: v1
kind: Secret
metadata: {name: redis, namespace: shop}
stringData: {password: sesame}
"""


@pytest.mark.parametrize("how", ["authenticationRef", "triggerAuthentication"])
def test_check_measures_a_moved_trigger_with_its_own_authentication(how):
    with Redis() as redis:
        with redis.connect() as client:
            client.call("RPUSH", "jobs", *range(JOBS))
            client.call("CONFIG", "SET", "requirepass", "sesame")
        text = MOVED.format(name="jobs", type="external-push", redis=redis.address)
        if how == "triggerAuthentication":
            text = text.replace("      authenticationRef: {name: redis}\n", "        triggerAuthentication: redis\n")
        done = backlog("check", "--measure", "--kubernetes", "-", text=text + SECRET)
        assert "redis-jobs is 37, target 5, active" in done.stdout and "sesame" not in done.stdout + done.stderr
        done = backlog("check", "--measure", "--kubernetes", "-", text=text)
        assert done.returncode == 1 and "password is in a Secret of redis, which is in none of the files: add it" in done.stdout


def test_check_measures_with_the_secret_that_is_in_kedas_namespace():
    """Of a ClusterTriggerAuthentication: not with a team's own that has the same name."""
    with Redis() as redis:
        with redis.connect() as client:
            client.call("RPUSH", "jobs", *range(JOBS))
            client.call("CONFIG", "SET", "requirepass", "sesame")
        text = (OBJECT + """\
      authenticationRef: {{name: redis, kind: ClusterTriggerAuthentication}}
---
apiVersion: keda.sh/v1alpha1
kind: ClusterTriggerAuthentication
metadata: {{name: redis}}
spec:
  secretTargetRef: [{{parameter: password, name: redis, key: password}}]
  configMapTargetRef: [{{parameter: databaseIndex, name: redis, key: database}}]
""").format(name="jobs", type="redis", redis=redis.address)
        for namespace, password, database in (("shop", "decoy", 1), ("keda", "sesame", 0)):
            text += SECRET.replace("shop", namespace).replace("sesame", password)
            text += f'---\nkind: ConfigMap\nmetadata: {{name: redis, namespace: {namespace}}}\ndata: {{database: "{database}"}}\n'
        assert "redis-jobs is 37, target 5, active" in backlog("check", "--measure", "-", text=text).stdout
        done = backlog("check", "--measure", "--keda-namespace", "shop", "-", text=text)
        assert done.returncode == 1 and "authentication failed" in done.stdout
        done = backlog("check", "--measure", "--keda-namespace", "other", "-", text=text.replace("  configMapTargetRef", "  # "))
        assert done.returncode == 1 and ("password is in a Secret of redis in namespace other, which is in none of the files: add it"
                                         in done.stdout)


def test_a_measurement_moves_no_cursor(redis, server):
    address = f"127.0.0.1:{server.port}"
    text = OBJECT.format(name="jobs", type="redis", redis=redis.address).replace("listName: jobs", 'listName: "j\\e[2J"')
    for words in (("check", "--measure", "-"), ("ask", "-f", "-", "--server", address)):
        done = backlog(*words, text=text)
        assert "redis-j-[2J" in done.stdout and "\x1b" not in done.stdout + done.stderr
    done = backlog("rehearse", "-f", "-", "--server", address, "--duration", "1s", text=text.replace("name: jobs", 'name: "x\\e[2J"'))
    assert "shop/x?[2J: " in done.stdout and "\x1b" not in done.stdout + done.stderr


def test_check_takes_what_helm_prints_of_a_whole_repository(tmp_path):
    many = "---\n".join(OBJECT.format(name=f"jobs-{number}", type="redis", redis="r:1") for number in range(3000))
    done = backlog("check", "--quiet", "-", text=many)
    assert (done.returncode, done.stdout) == (0, "1 file, 3000 objects, 3000 triggers: 0 errors, 0 warnings\n")


def test_check_says_where_a_byte_is_that_is_no_utf_8(tmp_path):
    (tmp_path / "latin.yaml").write_bytes(OBJECT.format(name="j\xf6bs", type="redis", redis="r:1").encode("latin-1"))
    done = backlog("check", str(tmp_path))
    assert done.returncode == 1 and "latin.yaml:4: error: not YAML: " in done.stdout


def test_check_reports_a_broken_link(tmp_path):
    (tmp_path / "away.yaml").symlink_to("nowhere.yaml")
    (tmp_path / ".#editor.yaml").symlink_to("somebody@host")
    done = backlog("check", str(tmp_path))
    assert (done.returncode, done.stdout.splitlines()) == (1, [
        f"{tmp_path}: error: {tmp_path}/away.yaml: a broken symbolic link", "0 files, 0 objects, 0 triggers: 1 error, 0 warnings"])


def test_check_warns_of_an_object_that_is_twice_in_a_file(tmp_path):
    text = OBJECT.format(name="jobs", type="redis", redis="r:1")
    other = text.replace("namespace: shop", "namespace: office")
    done = backlog("check", "--quiet", "-", text="---\n".join([text, other, text, text]))
    assert (done.returncode, done.stdout.splitlines()[:-1]) == (0, [
        f"-:{line}: warning: shop/jobs: also in line {line_before} of this file: the last one replaces the others"
        for line, line_before in ((26, 2), (38, 26))])
    for name in ("base", "overlay"):
        (tmp_path / f"{name}.yaml").write_text(text)
    assert "0 warnings" in backlog("check", str(tmp_path)).stdout


# ---- migrate

def test_migrate_there_measure_and_back(redis, tmp_path, server):
    path = manifest(tmp_path, redis)
    before = open(path).read()
    diff = backlog("migrate", "--scaler-address", f"127.0.0.1:{server.port}", os.path.basename(path), cwd=tmp_path)
    assert diff.returncode == 0 and open(path).read() == before
    subprocess.run([need("patch"), "-p1"], input=diff.stdout, text=True, check=True, cwd=tmp_path, capture_output=True)
    patched = open(path).read()
    assert "- type: external-push # jobs" in patched
    assert backlog("ask", "-f", path).returncode == 0, "the migrated trigger is answered"
    assert backlog("migrate", "--back", "--write", path).returncode == 0
    assert open(path).read() == before
    assert backlog("migrate", "--write", "--scaler-address", f"127.0.0.1:{server.port}", path).returncode == 0
    assert open(path).read() == patched


AUTHENTICATION = """\
      authenticationRef: {name: redis}
---
kind: TriggerAuthentication
metadata: {name: redis, namespace: shop}
spec: {secretTargetRef: [{parameter: password, name: redis, key: pass}]}
"""


def test_migrate_prints_the_keys_of_a_connection(redis, tmp_path):
    path = manifest(tmp_path, redis)
    with open(path, "a") as file:
        file.write(AUTHENTICATION)
    before = open(path).read()
    done = backlog("migrate", "--connection", "jobs", path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "# Of the trigger: connectionName: jobs, without authenticationRef, address.\n"
        "connections:\n  jobs:\n    scaler: redis\n"
        "    secret: redis # in the namespace of Backlog: create it there\n"
        f'    address: "{redis.address}"\n    passwordFile: pass\n    namespaces: [shop]\n')
    assert open(path).read() == before
    assert backlog("check", "-", text=done.stdout).returncode == 0
    other = before.replace(redis.address, "other:1").replace("name: jobs", "name: more")
    refused = backlog("migrate", "--connection", "jobs", path, "-", text=other)
    assert refused.returncode == 1 and "needs another connection" in refused.stderr and refused.stdout == ""
    assert backlog("migrate", "--connection", "jobs", "--write", path).returncode == 2
    assert backlog("migrate").returncode == 2


def test_migrate_lists_what_a_cluster_could_move_in_an_order(redis):
    """Of what kubectl prints."""
    def item(kind, name, triggers, **spec):
        return {"kind": kind, "metadata": {"name": name, "namespace": "shop"}, "spec": {"triggers": triggers, **spec}}
    plain = {"type": "redis", "metadata": {"address": redis.address, "listName": "jobs"}}
    own = {**plain, "authenticationRef": {"name": "redis"}}
    items = [item("ScaledJob", "job", [plain], jobTargetRef={}), item("ScaledObject", "secret", [own], maxReplicaCount=2),
             item("ScaledObject", "large", [plain]), item("ScaledObject", "small", [plain], maxReplicaCount=5),
             item("ScaledObject", "cron", [{"type": "cron", "metadata": {}}]),
             item("ScaledObject", "moved", [{"type": "external", "metadata": {"scaler": "redis"}}])]
    done = backlog("migrate", "--cluster", "--output", "json", "-", text=json.dumps({"kind": "List", "items": items}))
    assert done.returncode == 0, done.stderr
    assert [(line["object"], line["wave"]) for line in of_type(done, "object")] == [
        ("shop/small", 1), ("shop/large", 2), ("shop/secret", 3), ("shop/job", 4)]
    assert [line["object"] for line in of_type(done, "stays")] == ["shop/cron"]
    [summary] = of_type(done, "summary")
    assert (summary["moves"], summary["stays"], summary["external"]) == (4, 1, 1) and len(summary["stops"]) == 4
    text = backlog("migrate", "--cluster", "-", text=json.dumps({"kind": "List", "items": items})).stdout
    assert "kubectl -n shop get scaledjob job -o yaml | sed '/^  resourceVersion:/d' | backlog migrate --write - | kubectl replace -f -" in text
    assert "Wave 4: ScaledJobs" in text
    assert summary["stops"][0] == 'sum(increase({__name__=~"keda_scaled_(object|job)_errors_total"}[10m]))' and summary["stops"][0] in text
    assert "Where the fourth is above 0, repair the source, and do not go back before it is 0." in text
    assert "`max(backlog_triggers)` must reach the number of triggers that have moved" in text
    warnings = of_type(done, "finding")
    assert all((warning["level"], warning["object"]) == ("warning", "shop/job") for warning in warnings)
    for warning, words in zip(warnings, ("deletes its running jobs", 'add hold: "0s"'), strict=True):
        assert words in warning["text"]
    for kind, printed in ((), ""), (("--authentication-kind", "TriggerAuthentication"), " --authentication-kind TriggerAuthentication"):
        done = backlog("migrate", "--cluster", "--output", "json", "--authentication", "backlog", *kind, "-",
                       text=json.dumps({"kind": "List", "items": items}))
        for line in of_type(done, "object"):
            assert f"| backlog migrate --write --authentication backlog{printed} - |" in line["command"]
            assert f"| backlog migrate --back --write --authentication backlog{printed} - |" in line["back"]
    for chosen in ("external", "external-push"):
        done = backlog("migrate", "--cluster", "--output", "json", "--type", chosen, "-", text=json.dumps({"kind": "List", "items": items}))
        for line in of_type(done, "object"):
            printed = f" --type {chosen}" if line["kind"] == "ScaledObject" else ""
            assert f"| backlog migrate --write{printed} - |" in line["command"]
            assert "| backlog migrate --back --write - |" in line["back"]
    items = [item("ScaledObject", "cron", [{"type": "cron\x1b[2J", "metadata": {}}])]
    text = backlog("migrate", "--cluster", "-", text=json.dumps({"kind": "List", "items": items})).stdout
    assert "stays: shop/cron, trigger 0 (cron?[2J): " in text and "\x1b" not in text


def test_migrate_says_which_objects_of_a_cluster_wait_for_their_fallback(redis):
    """Until the triggers that move have a hold; others have no use for it."""
    def item(name, *hold, **spec):
        moving = {"type": "redis", "metadata": {"address": redis.address, "listName": "jobs", **dict.fromkeys(hold, "60s")}}
        return {"kind": "ScaledObject", "metadata": {"name": name, "namespace": "shop"},
                "spec": {"triggers": [{"type": "cpu", "metadata": {"value": "50"}}, moving], **spec}}
    fallback = {"failureThreshold": 3, "replicas": 1}
    items = [item("late", fallback=fallback), item("short", "hold", fallback=fallback), item("none")]
    done = backlog("migrate", "--cluster", "--output", "json", "-", text=json.dumps({"kind": "List", "items": items}))
    [warning] = of_type(done, "finding")
    assert (warning["level"], warning["object"]) == ("warning", "shop/late") and warning["text"].startswith("the fallback takes over only after `hold`")


def test_migrate_says_which_hosts_of_a_cluster_the_server_must_list():
    """Those beside a ClusterTriggerAuthentication, which any namespace may name."""
    reference = {"name": "redis", "kind": "ClusterTriggerAuthentication"}
    def item(name, **metadata):
        trigger = {"type": "redis", "metadata": {"listName": "jobs", **metadata}, "authenticationRef": reference}
        return {"kind": "ScaledObject", "metadata": {"name": name, "namespace": "shop"}, "spec": {"triggers": [trigger]}}
    secrets = [{"parameter": name, "name": "redis", "key": name} for name in ("address", "password")]
    def warnings(*authentication):
        own = {"kind": "ClusterTriggerAuthentication", "metadata": {"name": "redis"}, "spec": {"secretTargetRef": list(authentication)}}
        items = [item("beside", address="redis.shop.svc:6379")] if len(authentication) == 1 else [item("inside")]
        done = backlog("migrate", "--cluster", "--output", "json", "-", text=json.dumps({"kind": "List", "items": [*items, own]}))
        return [(found["level"], found["object"], found["text"]) for found in of_type(done, "finding")]
    assert warnings(*secrets) == []
    assert warnings(secrets[1]) == [
        ("warning", "shop/beside", "redis is a ClusterTriggerAuthentication, and address is not in it: "
                                   "the server must list the host in kubernetes.clusterAuthentications")]


def test_migrate_looks_for_the_objects_of_a_cluster_authentication_in_kedas_namespace():
    """A team's ConfigMap of the same name is another one; the server must be able to read KEDA's."""
    reference = {"name": "redis", "kind": "ClusterTriggerAuthentication"}
    parts = {"secretTargetRef": [{"parameter": "password", "name": "redis", "key": "password"}],
             "configMapTargetRef": [{"parameter": "address", "name": "redis", "key": "address"}]}
    trigger = {"type": "redis", "metadata": {"listName": "jobs"}, "authenticationRef": reference}
    items = [{"kind": "ScaledObject", "metadata": {"name": "jobs", "namespace": "shop"}, "spec": {"triggers": [trigger]}},
             {"kind": "ClusterTriggerAuthentication", "metadata": {"name": "redis"}, "spec": parts},
             {"kind": "ConfigMap", "metadata": {"name": "redis", "namespace": "scaling"}, "data": {"address": "redis.shop.svc:6379"}}]
    text = json.dumps({"kind": "List", "items": items})
    for flag, namespace in (((), "keda"), (("--keda-namespace", "scaling"), "scaling")):
        done = backlog("migrate", "--cluster", "--output", "json", *flag, "-", text=text)
        [summary] = of_type(done, "summary")
        assert summary["kubernetes"] == {"enabled": True, "secrets": {namespace: ["redis"]}, "configMaps": {namespace: ["redis"]}}
        done = backlog("migrate", "--connection", "jobs", *flag, "-", text=text)
        assert (done.returncode == 0) == (namespace == "scaling"), done.stderr
        assert ("ConfigMap redis with address is in none of the files" in done.stderr) == (namespace == "keda")
    assert "    address: redis.shop.svc:6379\n" in done.stdout


def test_migrate_gives_no_command_that_would_move_what_has_to_stay():
    """The command sees the object alone: not that an authentication is one that Backlog cannot use."""
    def trigger(name):
        metadata = {"address": "redis.shop.svc:6379", "listName": name}
        return {"type": "redis", "metadata": metadata, "authenticationRef": {"name": name}}
    def authentication(name, **spec):
        return {"kind": "TriggerAuthentication", "metadata": {"name": name, "namespace": "shop"}, "spec": spec}
    def item(name, *triggers):
        return {"kind": "ScaledObject", "metadata": {"name": name, "namespace": "shop"}, "spec": {"triggers": list(triggers)}}
    secret = [{"parameter": "password", "name": "redis", "key": "password"}]
    items = [item("mixed", trigger("good"), trigger("vault")), item("whole", trigger("good")), item("stays", trigger("vault")),
             item("typo", trigger("good"), {"type": "redis", "metadata": {"address": "r:1", "listNam": "x"}}),
             authentication("good", secretTargetRef=secret), authentication("vault", hashiCorpVault={"address": "v"})]
    done = backlog("migrate", "--cluster", "--output", "json", "-", text=json.dumps({"kind": "List", "items": items}))
    assert [found["object"] for found in of_type(done, "object")] == ["shop/typo", "shop/whole"]
    stays = {(found["object"], found["trigger"]): found["reason"] for found in of_type(done, "stays")}
    assert sorted(stays) == [("shop/mixed", 0), ("shop/mixed", 1), ("shop/stays", 0), ("shop/typo", 1)]
    assert stays["shop/mixed", 0].startswith("trigger 1 of the same object has to stay")
    assert "hashiCorpVault" in stays["shop/mixed", 1] and "listName" in stays["shop/typo", 1]


def test_migrate_counts_the_agent_processes_and_connections_that_the_triggers_of_a_cluster_need():
    def item(name, servers, namespace="shop", ref=None, kind="kafka", **more):
        metadata = {"bootstrapServers": servers, "consumerGroup": name, "topic": name, **more}
        trigger = {"type": kind, "metadata": metadata, **({"authenticationRef": {"name": ref}} if ref else {})}
        return {"kind": "ScaledObject", "metadata": {"name": name, "namespace": namespace}, "spec": {"triggers": [trigger]}}
    items = [item("a", "k:1"), item("b", "k:1"), item("c", "k:2"), item("d", "k:1", ref="kafka"), item("e", "k:1", tls="enable"),
             item("f", "k:1", namespace="billing"), item("g", "k:3", typo="1"),
             {"kind": "ScaledObject", "metadata": {"name": "h", "namespace": "mails"}, "spec": {"triggers": [
                 {"type": "redis", "metadata": {"address": "r:1", "listName": "h"}}]}},
             {"kind": "ScaledObject", "metadata": {"name": "m", "namespace": "shop"}, "spec": {"triggers": [
                 {"type": "redis", "metadata": {"address": "r:1", "listName": name}} for name in ("m", "n")]}}]
    same = item("i", "k:1", tls="enable")  # as e, with its keys in another order
    [trigger] = same["spec"]["triggers"]
    trigger["metadata"] = dict(reversed(trigger["metadata"].items()))
    text = json.dumps({"kind": "List", "items": [*items, same]})
    [summary] = of_type(backlog("migrate", "--cluster", "--output", "json", "-", text=text), "summary")
    assert summary["agentProcesses"] == {"shop": 4, "billing": 1} and summary["stays"] == 1
    assert summary["inlineConnections"] == {"shop": 5, "billing": 1, "mails": 1}
    printed = backlog("migrate", "--cluster", "-", text=text).stdout
    assert "(--max-agents): billing 1, shop 4\n" in printed and "(--max-connections): billing 1, mails 1, shop 5\n" in printed


def test_migrate_lists_the_secrets_that_a_server_must_read():
    """As values of the chart; of triggers that can move alone: KEDA's certificates for Backlog are none of them."""
    def authentication(name, kind="TriggerAuthentication", **spec):
        return {"kind": kind, "metadata": {"name": name, **({"namespace": "shop"} if kind[0] == "T" else {})}, "spec": spec}

    def trigger(name, kind="TriggerAuthentication", **more):
        return {"type": "redis", "metadata": {"address": "r:1", "listName": "jobs"}, "authenticationRef": {"name": name, "kind": kind}, **more}

    def ref(parameter, name):
        return {"parameter": parameter, "name": name, "key": "k"}
    items = [authentication("one", secretTargetRef=[ref("password", "redis"), ref("caCert", "unused")], configMapTargetRef=[ref("username", "users")]),
             authentication("two", secretTargetRef=[ref("password", "redis")]), authentication("staying", secretTargetRef=[ref("password", "staying")]),
             authentication("all", "ClusterTriggerAuthentication", secretTargetRef=[ref("password", "central")]),
             authentication("backlog", "ClusterTriggerAuthentication", secretTargetRef=[ref("tlsClientKey", "certificate")]),
             {"kind": "ScaledObject", "metadata": {"name": "jobs", "namespace": "shop"}, "spec": {"triggers": [
                 trigger("one"), trigger("two"), trigger("all", "ClusterTriggerAuthentication"), trigger("staying", type="redis-streams"),
                 trigger("backlog", "ClusterTriggerAuthentication", type="external")]}}]
    [summary] = of_type(backlog("migrate", "--cluster", "--output", "json", "-", text=json.dumps({"kind": "List", "items": items})), "summary")
    assert summary["kubernetes"] == {"enabled": True, "secrets": {"shop": ["redis"], "keda": ["central"]}, "configMaps": {"shop": ["users"]}}
    assert (summary["moves"], summary["stays"], summary["external"]) == (3, 1, 1)


@pytest.mark.parametrize("name, namespace", [("jobs; id", "shop"), ("jobs", "$(id)"), ("--all", "shop"), ("", "shop")])
def test_migrate_prints_no_command_with_a_name_that_a_shell_would_run(redis, name, namespace):
    """Of a file, whose names nobody has checked."""
    text = json.dumps({"kind": "ScaledObject", "metadata": {"name": name, "namespace": namespace}, "spec": {"triggers": [
        {"type": "redis", "metadata": {"address": redis.address, "listName": "jobs"}}]}})
    done = backlog("migrate", "--cluster", "--output", "json", "-", text=text)
    assert of_type(done, "object") == [] and "none that Kubernetes permits" in of_type(done, "stays")[0]["reason"]
    assert "kubectl" not in backlog("migrate", "--cluster", "-", text=text).stdout


def test_migrate_loses_nothing_of_standard_input(redis, tmp_path):
    other = "kind: ConfigMap # nothing to move\nmetadata: {name: x}\n"
    text = OBJECT.format(name="jobs", type="redis", redis=redis.address)
    for flags in (["--write"], ["--write", "--back"]):
        done = subprocess.run([binary(), "migrate", *flags, "-"], input=other, capture_output=True, text=True)
        assert done.returncode == 0 and done.stdout == other
    there = subprocess.run([binary(), "migrate", "--write", "-"], input=text, capture_output=True, text=True)
    assert there.returncode == 0 and "external-push" in there.stdout
    back = subprocess.run([binary(), "migrate", "--write", "--back", "-"], input=there.stdout, capture_output=True, text=True)
    assert back.returncode == 0 and back.stdout == text


def test_migrate_says_what_it_changed_before_it_failed(tmp_path):
    """A file that cannot be replaced, as the name of its copy would be too long."""
    redis = type("Redis", (), {"address": "r:1"})
    long = tmp_path / ("x" * 246 + ".yaml")
    os.rename(manifest(tmp_path, redis), long)
    done = backlog("migrate", "--write", str(long))
    assert done.returncode == 1 and "cannot write" in done.stderr and "were changed" not in done.stderr
    assert os.listdir(tmp_path) == [long.name]
    other = manifest(tmp_path, redis, name="a-first")
    done = backlog("migrate", "--write", other, str(long))
    assert done.returncode == 1 and "1 of 2 files were changed before: `backlog migrate --back --write`" in done.stderr
    assert backlog("migrate", "--back", "--write", other).returncode == 0
    before, mtls = open(other).read(), ("--authentication", "backlog")  # which the way back needs, too
    done = backlog("migrate", "--write", *mtls, other, str(long))
    assert "`backlog migrate --back --write --authentication backlog` takes that back" in done.stderr
    assert backlog("migrate", "--back", "--write", *mtls, other).returncode == 0 and open(other).read() == before
    done = backlog("migrate", "--write", "-", str(long), text=open(other).read())
    assert done.returncode == 1 and done.stdout == "" and "were changed" not in done.stderr
    assert sorted(os.listdir(tmp_path)) == sorted([long.name, os.path.basename(other)])


def test_migrate_leaves_a_file_to_its_owner(redis, tmp_path):
    path = manifest(tmp_path, redis)
    os.chmod(path, 0o640)
    if os.geteuid() == 0:
        os.chown(path, 1234, 4321)
    before = os.stat(path)
    assert backlog("migrate", "--write", path).returncode == 0
    after = os.stat(path)
    assert "external-push" in open(path).read()
    assert (after.st_uid, after.st_gid, after.st_mode) == (before.st_uid, before.st_gid, before.st_mode)


# ---- connections

CONNECTIONS = """\
connections:
  nothing:
    address: r:6379
  missing:
    # of the shop
    scaler: redis
    address: r:6379
    username: shop
  orders:
    scaler: redis
    address: r:6379
  orders:
    scaler: redis
    address: other:6379
"""


def test_check_and_the_server_name_the_same_lines(tmp_path):
    path = tmp_path / "connections.yaml"
    path.write_text(CONNECTIONS)
    for found in (backlog("check", str(path)).stdout,
                  backlog("serve", "--strict-config", "--config", str(path), "--listen", "127.0.0.1:0").stderr):
        for line, words in ((2, "nothing"), (4, "username needs password"), (12, "orders is there twice")):
            assert re.search(rf"yaml:{line}: [^\n;]*{words}", found), found


# ---- ask

def test_ask_over_tls_with_a_certificate(redis, tmp_path):
    authority = Authority(tmp_path)
    certificate, key = authority.issue("server")
    own, own_key = authority.issue("keda", "keda", ())
    with Server(arguments=["--tls-cert", certificate, "--tls-key", key, "--tls-client-ca", authority.certificate]) as server:
        words = ("ask", "scaler=redis", f"address={redis.address}", "listName=jobs", "listLength=5", "--replicas", "3",
                 "--server", f"127.0.0.1:{server.port}", "--output", "json")
        done = backlog(*words, "--tls-ca", authority.certificate, "--tls-cert", own, "--tls-key", own_key)
        assert done.returncode == 0, done.stdout + done.stderr
        [found] = of_type(done, "measurement")
        assert found["triggers"][0]["value"] == JOBS and found["replicas"] == 8
        for without in (backlog(*words, "--tls-ca", authority.certificate), backlog(*words)):
            assert without.returncode == 1
            assert "it may require TLS, or a client certificate" in without.stdout


def test_the_authority_of_a_server_needs_no_root(redis, tmp_path):
    make_root(tmp_path)
    make_intermediate(tmp_path, "team")
    make_certificate(tmp_path, "server", root="team")
    with Server(arguments=["--tls-cert", str(tmp_path / "server.pem"), "--tls-key", str(tmp_path / "server.key")]) as server:
        done = backlog("ask", "scaler=redis", f"address={redis.address}", "listName=jobs", "listLength=5",
                       "--server", f"127.0.0.1:{server.port}", "--tls-ca", str(tmp_path / "team.pem"))
        assert done.returncode == 0, done.stdout + done.stderr


def test_ask_says_what_the_server_refuses(redis, server):
    done = backlog("ask", "scaler=redis", f"address={redis.address}", "listNam=jobs", "--server",
                   f"127.0.0.1:{server.port}")
    assert done.returncode == 1
    assert 'unknown key "listNam": did you mean "listName"?' in done.stdout
    assert backlog("ask").returncode == 2
    assert backlog("ask", "no-value").returncode == 2


def test_ask_sends_no_secret_and_says_what_to_do(redis, server):
    text = (OBJECT.format(name="jobs", type="redis", redis=redis.address) + "      authenticationRef: {name: redis}\n---\n"
            "kind: TriggerAuthentication\nmetadata: {name: redis, namespace: shop}\n"
            "spec: {secretTargetRef: [{parameter: password, name: redis, key: password}]}\n---\n"
            "kind: Secret\nmetadata: {name: redis, namespace: shop}\nstringData: {password: pass-phrase}\n")
    done = backlog("ask", "-f", "-", "--server", f"127.0.0.1:{server.port}", text=text)
    assert done.returncode == 1 and "pass-phrase" not in done.stdout + done.stderr
    assert "nothing of a Secret is sent to a server: give the server a connection (`backlog migrate --connection NAME`)" in done.stdout
    assert "--config" not in done.stdout


def test_ask_takes_variables_of_an_authentication_from_the_environment(redis, server):
    text = (OBJECT.format(name="jobs", type="redis", redis="x").replace("        address: x\n", "") +
            "      authenticationRef: {name: redis}\n---\n"
            "kind: TriggerAuthentication\nmetadata: {name: redis, namespace: shop}\n"
            "spec: {env: [{parameter: address, name: REDIS_ADDRESS}]}\n")
    words = ("ask", "-f", "-", "--server", f"127.0.0.1:{server.port}", "--env", "REDIS_ADDRESS")
    assert "set the variable REDIS_ADDRESS" in backlog(*words, text=text).stdout
    done = backlog(*words, text=text, env={"REDIS_ADDRESS": redis.address})
    assert done.returncode == 0 and f"GetMetrics     {JOBS}" in done.stdout


# ---- explain

@pytest.fixture(scope="module")
def called(redis, tmp_path_factory):
    """A server that KEDA has called for one trigger with work and one that fails."""
    folder = tmp_path_factory.mktemp("called")
    nobody = f"127.0.0.1:{free_port()}"
    with Server(interval="200ms", http=True) as server:
        address = f"127.0.0.1:{server.port}"
        backlog("ask", "-f", manifest(folder, redis), "--server", address)
        backlog("ask", "-f", manifest(folder, redis, name="broken", address=nobody), "--server", address)
        yield f"127.0.0.1:{server.http_port}"


def test_names_do_not_move_the_cursor(redis, server):
    with Client(server.port) as client:
        metadata = {"scaler": "redis", "address": redis.address, "listName": "j\x1b[2J\u009b1m"}
        client.metrics(metadata, metric_name="", name="odd")
        assert "redis-j-[2J" in client.metric_spec(metadata).metricName
    done = backlog("explain", "shop/odd", "--server-http", f"127.0.0.1:{server.http_port}")
    assert done.returncode == 0 and "redis-j-[2J" in done.stdout
    assert "\x1b" not in done.stdout and "\u009b" not in done.stdout


def test_explain_says_why(called):
    done = backlog("explain", "shop/jobs", "--server-http", called)
    assert done.returncode == 0, done.stderr
    assert "shop/jobs: 8 replicas are wanted." in done.stdout
    assert "37 / 5 per replica makes 8" in done.stdout
    assert "KEDA called IsActive" in done.stdout
    broken = backlog("explain", "shop/broken", "--server-http", called)
    assert "no trigger has a value, so KEDA keeps the replicas" in broken.stdout
    assert "Connection refused" in broken.stdout
    missing = backlog("explain", "shop/missing", "--server-http", called)
    assert missing.returncode == 1
    assert missing.stderr.endswith("HTTP 404: no trigger of this ScaledObject: KEDA has not called for one recently\n")
    assert backlog("explain", "jobs", "--server-http", called).returncode == 2
    away = backlog("explain", "shop/jobs", "--server-http", f"http://reader:opensesame@127.0.0.1:{free_port()}")
    assert away.returncode == 1 and "http://127.0.0.1:" in away.stderr and "opensesame" not in away.stderr


# ---- watch

def test_watch_once(called):
    done = backlog("watch", "--server-http", called, "--once")
    assert done.returncode == 0
    assert re.search(r"^shop/jobs +redis +37 +- +5 +yes +8 ", done.stdout, re.M)
    assert "\033" not in done.stdout
    rows = {row["object"]: row for row in lines_of(backlog("watch", "--server-http", called, "--output", "json"))}
    assert rows["shop/jobs"]["value"] == JOBS and rows["shop/broken"]["state"] == "refused"
    assert backlog("watch", "--server-http", f"127.0.0.1:{free_port()}", "--once").returncode == 1


# A program whose terminal is gone while the sanitizer looks for leaks never ends.
THEN_ENDED = "; echo ended $((40 + 2))"


class Terminal:
    """A terminal of tmux, with a shell in it."""

    def __init__(self, folder, columns=120, lines=20):
        self.socket = str(folder / "tmux")
        self.run("-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(lines), "env", "PS1=$ ", "sh")

    def run(self, *arguments):
        return subprocess.run([need("tmux"), "-S", self.socket, *arguments], check=True, capture_output=True,
                              text=True, timeout=SECONDS).stdout

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.run("kill-server")

    def type(self, *keys):
        self.run("send-keys", *keys)

    def screen(self):
        return self.run("capture-pane", "-p")

    def shows(self, *parts):
        wait_until(lambda: all(part in self.screen() for part in parts), SECONDS, f"{parts} on\n{self.screen()}")

    def shows_no(self, part):
        wait_until(lambda: part not in self.screen(), SECONDS, f"no {part}")


@pytest.fixture
def terminal(tmp_path):
    with Terminal(tmp_path) as terminal:
        yield terminal


def test_watch_redraws_sorts_and_filters(called, redis, terminal):
    terminal.type(f"{binary()} watch --server-http {called} --interval 300ms{THEN_ENDED}", "Enter")
    terminal.shows("SCALEDOBJECT", "shop/jobs", "shop/broken", "q quit")
    first = [line for line in terminal.screen().splitlines() if line.startswith("shop/")]
    assert first[0].startswith("shop/broken") and first[1].startswith("shop/jobs")
    terminal.type("3")
    wait_until(lambda: terminal.screen().index("shop/jobs") < terminal.screen().index("shop/broken"), SECONDS,
               "the largest value first")
    terminal.type("/")
    terminal.type("brok", "Enter")
    terminal.shows_no("shop/jobs")
    terminal.shows("shop/broken", "1 to 1 of 1")
    terminal.type("/")
    terminal.type("Escape")
    terminal.shows("shop/jobs")
    terminal.type("f")
    terminal.shows("f failing (on)")
    terminal.shows_no("shop/jobs")
    terminal.type("f")
    terminal.run("resize-window", "-x", "60", "-y", "10")
    terminal.shows("shop/jobs", "backlog http://")
    assert all(len(line) <= 60 for line in terminal.screen().splitlines())
    terminal.type("q")
    terminal.shows("ended 42")
    terminal.shows_no("SCALEDOBJECT")


@pytest.mark.parametrize("ending", ["q", "TERM", "INT", "HUP", "ABRT", "SEGV"])
def test_watch_restores_the_terminal(called, terminal, ending):
    terminal.type("stty -a | grep -o -- '-*echo\\b\\|-*icanon' | tr '\\n' ' '; echo before", "Enter")
    terminal.shows("icanon echo before")
    terminal.type(f"{binary()} watch --server-http {called} & echo $! > /tmp/none 2>/dev/null; fg; stty -a | grep -o -- '-*echo\\b\\|-*icanon' | "
                  "tr '\\n' ' '; echo after", "Enter")
    terminal.shows("SCALEDOBJECT", "shop/jobs")
    if ending == "q":
        terminal.type("q")
    else:
        pane = terminal.run("display-message", "-p", "#{pane_pid}").strip()
        [child] = subprocess.run(["pgrep", "-P", pane, "-x", "backlog"], capture_output=True, text=True).stdout.split()
        os.kill(int(child), getattr(__import__("signal"), f"SIG{ending}"))
    terminal.shows("icanon echo after")
    terminal.shows_no("SCALEDOBJECT")


def test_watch_lives_while_the_server_does_not(terminal, redis, tmp_path):
    with Server(http=True) as server:
        address = f"127.0.0.1:{server.http_port}"
        backlog("ask", "-f", manifest(tmp_path, redis), "--server", f"127.0.0.1:{server.port}")
        terminal.type(f"{binary()} watch --server-http {address} --interval 300ms{THEN_ENDED}", "Enter")
        terminal.shows("shop/jobs")
    terminal.shows("onnect to", "shop/jobs")
    terminal.type("q")
    terminal.shows("ended 42")
    terminal.shows_no("SCALEDOBJECT")


def test_names_from_outside_move_no_cursor(server, redis):
    text = OBJECT.format(name="jobs", type="redis", redis=redis.address)
    name = text.replace("name: jobs", 'name: "\\x1b[2Jevil"', 1)
    refused = backlog("ask", "-f", "-", "--server", f"127.0.0.1:{server.port}", text=name)
    assert refused.returncode == 1 and "\033" not in refused.stdout + refused.stderr

    with redis.connect() as client:
        client.call("SET", "\033[2Jevil", "no list")
    evil = text.replace("name: jobs", "name: evil", 1).replace("listName: jobs", 'listName: "\\x1b[2Jevil"')
    backlog("ask", "-f", "-", "--server", f"127.0.0.1:{server.port}", text=evil)
    address = f"127.0.0.1:{server.http_port}"
    for shown in (backlog("explain", "shop/evil", "--server-http", address),
                  backlog("watch", "--server-http", address, "--once")):
        assert "[2Jevil" in shown.stdout and "\033" not in shown.stdout
