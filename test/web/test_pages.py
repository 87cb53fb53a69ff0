"""Pages are bounded, whatever triggers and connections are called: lists are read a page at a time."""

import json
import subprocess

import pytest

from support.clients.grpc_client import Client, refusal, scaled_object
from support.pages.page import get
from support.server.server import Server, binary

MIB = 1 << 20
TRIGGERS = 900
ODD = "\x01" * 1000  # six bytes each in JSON


@pytest.fixture(scope="module")
def server():
    """Triggers as KEDA may send them: of 20 objects with long texts, most of them wrong."""
    with Server(http=True, arguments=["--metrics-per-trigger", "1000"]) as server, Client(server.port) as client:
        for i in range(TRIGGERS):
            metadata = {"scaler": "redis", "address": "127.0.0.1:1", "listName": f"{i}{ODD}", "listLength": "5"}
            client.stub.GetMetricSpec(scaled_object(metadata, name=f"object-{i // 50}"), timeout=10)
        yield server


def all_pages(server, path, name):
    rows, page, last = [], {"hasMore": True}, 0
    while page["hasMore"]:
        text = get(server, f"{path}{'&' if '?' in path else '?'}after={last}").text
        assert len(text) <= 1.1 * MIB
        page = json.loads(text)
        assert page[name]
        rows += page[name]
        last = rows[-1]["id"]
        assert page["count"] >= len(rows)
    assert page["count"] == len(rows)
    return rows


def test_a_list_of_triggers_is_of_short_rows_and_has_pages(server):
    rows = all_pages(server, "/api/triggers?limit=400", "triggers")
    assert len({row["id"] for row in rows}) == TRIGGERS
    assert max(len(json.dumps(row)) for row in rows) < 2000


def test_the_page_of_an_object_is_bounded(server):
    text = get(server, "/api/triggers/shop/object-3").text
    triggers = json.loads(text)
    assert len(triggers) == 50
    assert len(text) < 2 * MIB


def test_names_in_metrics_are_short(server):
    lines = [line for line in get(server, "/metrics").text.splitlines() if line.startswith("backlog_trigger_target{")]
    assert len(lines) > 0
    assert max(len(line) for line in lines) < 1000


def test_watch_reads_all_pages(server):
    command = [binary(), "watch", "--server-http", f"127.0.0.1:{server.http_port}", "--once", "--output", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("object-") >= TRIGGERS


def test_connections_have_short_settings_and_pages():
    with Server(http=True) as server, Client(server.port) as client:
        for i in range(60):
            metadata = {"scaler": "redis", "address": f"127.0.0.1:{i + 1}", "username": ODD * 8, "listName": "videos",
                        "password": "pass-phrase", "listLength": "5"}
            refusal(client.is_active, metadata)
        rows = all_pages(server, "/api/connections?limit=25", "connections")
        assert len(rows) == 60
        assert max(len(json.dumps(row)) for row in rows) < 4000
