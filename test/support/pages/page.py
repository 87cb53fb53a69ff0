"""The HTTP port of a server that was started with it: its pages, and the samples on /metrics."""

import re

import requests

from ..process import wait_until

SECONDS = 10


def get(server, path, code=200):
    answer = requests.get(f"http://127.0.0.1:{server.http_port}{path}", timeout=SECONDS)
    assert answer.status_code == code, answer.text
    return answer


def asset(server, name):
    """The path of a file of the dashboard, by its version, which /login shows to everybody."""
    return re.search(r"/assets/\w+/", get(server, "/login").text)[0] + name


def metric(page, name, /, **labels):
    """The value of the one sample with these labels among others; None where there is none."""
    for line in page.splitlines():
        found = re.fullmatch(r"([a-z_]+)(?:\{(.*)\})? (\S+)", line)
        if not found or found[1] != name:
            continue
        has = dict(re.findall(r'(\w+)="([^"]*)"', found[2] or ""))
        if labels.items() <= has.items():
            return float(found[3])
    return None


def await_metric(server, value, name, /, **labels):
    """Waits until it has this value. The end of a call over grpc-core is counted a moment after its answer."""
    def is_there():
        found = metric(get(server, "/metrics").text, name, **labels)
        assert found == value, found
        return True
    wait_until(is_there, SECONDS, f"{name} {labels} is {value}")
