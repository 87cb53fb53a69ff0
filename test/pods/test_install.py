"""The commands of docs/install.md, word for word, and what it installs."""

import requests

from support.kubernetes.node import SECONDS
from support.process import wait_until


def test_the_commands_of_the_page(installed, cluster, checkout):
    printed, forward = installed
    assert "Phase:          Succeeded" in printed
    assert "1 trigger moved in 1 file" in printed
    with cluster.forward(forward, 9091, checkout) as url:
        assert "<html" in requests.get(url, timeout=10).text
        wait_until(lambda: requests.get(f"{url}/api/triggers/shop/emails", timeout=10).ok, SECONDS, "the trigger on the dashboard")


def test_the_first_message_starts_a_pod(shop, installed):
    shop.scales("emails", 1, 1)


def test_a_new_password_in_the_secret_of_an_authentication(shop, cluster, installed):
    broker = shop.broker
    broker.change_password("second-secret")
    shop.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "rabbitmq-login"}, "stringData": {"password": broker.password}})
    shop.scales("emails", 1, 1)


def test_the_kernel_gives_its_processes_no_rights(cluster, backlog):
    """Of the image's user, without a capability, under seccomp, on a file system that is read-only, within a limit of memory."""
    for pod in backlog():
        process = f"/proc/{cluster.process(pod)}"
        with open(f"{process}/status") as file:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        assert status["Uid"].split() == status["Gid"].split() == ["65532"] * 4
        assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")  # 2: a filter
        with open(f"{process}/mountinfo") as file:
            [root] = [fields[5] for fields in map(str.split, file) if fields[4] == "/"]
        assert "ro" in root.split(",")
        assert pod["spec"]["containers"][0]["resources"]["limits"]["memory"]


def test_there_is_no_shell_in_it(cluster, installed):
    assert "backlog 0.1.0" in cluster.kubectl("exec", "--namespace", "keda", "deployment/backlog", "--", "/usr/local/bin/backlog", "version").stdout
    assert cluster.kubectl("exec", "--namespace", "keda", "deployment/backlog", "--", "sh", wrong=True).returncode != 0
