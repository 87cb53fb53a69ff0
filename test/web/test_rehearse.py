"""The dashboard of a rehearsal: its workers, in a real Chromium."""

import json
import os
import re
import signal
import subprocess

import requests

from support.network.pods import PodProxy
from support.pages.page import asset
from support.process import Process, wait_until
from support.brokers.rabbitmq import RabbitMQ
from support.brokers.redis import Redis
from support.server.server import Server, binary

OBJECT = """\
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {{name: orders, namespace: shop}}
spec:
  maxReplicaCount: 3
  triggers:
    - type: external
      metadata: {{scalerAddress: "127.0.0.1:{port}", scaler: redis, address: "{broker.address}", listName: orders, listLength: "5"}}
"""

# Works off nothing, and says so: the queue stays as long as it is.
WORKER = 'echo "worker $BACKLOG_REPLICA <b>begins</b>"; n=0; while :; do n=$((n+1)); echo "backlog: done $n"; sleep 0.2; done'


class Rehearsal(Process):
    name = "rehearsal"

    def __init__(self, server, broker, text=OBJECT, *arguments, worker=WORKER, grace="2s"):
        super().__init__()
        path = os.path.join(self.folder, "object.yaml")
        with open(path, "w") as file:
            file.write(text.format(port=server.port, broker=broker))
        self.arguments = ["-f", path, "--worker", worker, "--http", "127.0.0.1:0", "--grace", grace, "--speed", "10", *arguments]
        self.http_port = None

    def command(self):
        return [binary(), "rehearse", *self.arguments]

    def ready(self):
        found = re.search(r"dashboard on http://127\.0\.0\.1:(\d+)/", self.log())
        self.http_port = int(found[1]) if found else None
        return found

    def signal(self, number):
        os.kill(self.pid, number)


def workers(rehearsal):
    """The processes of the workers, by their parent."""
    with open(f"/proc/{rehearsal.pid}/task/{rehearsal.pid}/children") as children:
        return children.read().split()


def card(label, part="value"):
    return (f"[...document.querySelectorAll('.card')].find((card) => card.querySelector('dt').textContent === '{label}')"
            f"?.querySelector('.{part}').textContent")


def test_the_page_shows_the_workers_and_what_they_write(browser):
    with Redis() as redis, redis.connect() as client, Server() as server:
        client.call_all([("RPUSH", "orders", i) for i in range(60)])
        with Rehearsal(server, redis) as rehearsal:
            browser.open(rehearsal)
            browser.wait_for_text("Workers")
            browser.wait_for_text("worker 3")
            rows = "[...document.querySelectorAll('tbody tr:not(.space)')].map((row) => row.innerText)"
            browser.wait(f"{rows}.length === 3 && {rows}.every((row) => row.includes('running') && row.includes('MiB') && row.includes('%'))")
            browser.wait(f"{rows}.every((row) => row.split(/\\s+/).some((word) => Number(word) > 3))")  # messages done
            browser.screenshot("jobs")
            assert browser.problems() == [] and browser.axe() == []

            browser.click("tbody tr:not(.space) button")
            browser.wait_for_text("worker 1 <b>begins</b>", "dialog pre")
            browser.wait_for_text("backlog: done", "dialog pre")
            browser.screenshot("job-log")
            assert browser.problems() == [] and browser.axe() == []
            browser.press("Escape")
            browser.wait("document.querySelector('dialog') === null")

            browser.evaluate("location.hash = '#/'")
            browser.wait_for_text("shop/orders")
            browser.wait_for_text("60")
            assert browser.evaluate(card("Waiting")) is None  # what waits is the server's to say: KEDA's value may be replicas
            assert browser.evaluate("document.querySelector('tbody a') === null")  # nothing explains the trigger
            browser.wait_for_text("redis-orders")
            assert browser.problems() == []

            client.call("DEL", "orders")
            browser.evaluate("location.hash = '#/jobs'")
            browser.wait(f"{rows}.length === 3 && {rows}.every((row) => row.includes('ended'))", seconds=120)  # the cooldown, ten times as fast
            assert browser.evaluate(card("Active jobs")) == "0"
            rehearsal.signal(signal.SIGTERM)
            assert rehearsal.child.wait(30) == 0
            assert "worker 1 <b>begins</b>" in rehearsal.log()  # it goes on to standard error, too


SLOW_TO_END = "trap '' TERM; " + WORKER


def test_the_cards_before_the_first_worker_and_while_the_last_ones_stop(browser):
    """A worker that stops is active and no replica. What waited for a second stays the maximum."""
    with Redis() as redis, redis.connect() as client, Server(interval="200ms", http=True) as server:
        with Rehearsal(server, redis, OBJECT, "--server-http", f"127.0.0.1:{server.http_port}", worker=SLOW_TO_END, grace="30s") as rehearsal:
            browser.open(rehearsal, "/#/")
            browser.wait(f"{card('Done by workers')} === '0' && {card('Active jobs', 'note')} === 'of 0 replicas'")
            client.call_all([("RPUSH", "orders", i) for i in range(60)])
            browser.wait(f"{card('Active jobs')} === '3' && {card('Active jobs', 'note')} === 'of 3 replicas' && {card('Waiting')} === '60'")
            client.call("DEL", "orders")
            browser.wait(f"{card('Active jobs')} === '3' && {card('Active jobs', 'note')} === '0 replicas, 3 stopping'", seconds=120)
            assert browser.evaluate(card("Waiting", "peak")) == "max 60"
            assert browser.problems() == []


STREAM = """\
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {{name: orders, namespace: shop}}
spec:
  triggers:
    - type: external
      metadata: {{scalerAddress: "127.0.0.1:{port}", scaler: redis-streams, address: "{broker.address}", stream: orders,
                  consumerGroup: workers, lagCount: "5"}}
"""
WAITING, IN_FLIGHT = 5, 7


def fill_stream(redis):
    with redis.connect() as client:
        client.call("DEL", "orders")
        client.call("XGROUP", "CREATE", "orders", "workers", "0", "MKSTREAM")
        client.add("orders", WAITING + IN_FLIGHT)
        client.read("orders", "workers", IN_FLIGHT)


def test_the_cards_show_what_is_in_flight_and_a_dash_for_what_is_unknown(browser):
    with Redis() as redis, Server(interval="200ms", hold="0s", http=True) as server:
        fill_stream(redis)
        with Rehearsal(server, redis, STREAM, "--server-http", f"127.0.0.1:{server.http_port}") as rehearsal:
            browser.open(rehearsal, "/#/")
            browser.wait(f"{card('In flight')} === '{IN_FLIGHT}'", seconds=120)
            browser.wait(f"{card('Waiting')} === '{WAITING}'", seconds=120)
            browser.screenshot("rehearsal-in-flight")
            assert browser.problems() == [] and browser.axe() == []

            redis.kill()  # an error is no 0
            browser.wait(f"{card('Waiting')} === '–' && {card('In flight')} === '–'", seconds=120)
            assert browser.evaluate(card("Waiting", "note")) == "triggers: 1 unknown"
            redis.start()
            fill_stream(redis)  # again: Redis does not know a group's lag after a restart
            browser.wait(f"{card('Waiting')} === '{WAITING}' && {card('Waiting', 'note')} === '1 query'", seconds=120)
            assert browser.problems() == []


QUEUE = """\
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {{name: orders, namespace: shop}}
spec:
  maxReplicaCount: 3
  triggers:
    - type: external
      metadata: {{scalerAddress: "127.0.0.1:{port}", scaler: rabbitmq, host: "http://guest:guest@127.0.0.1:{broker.management_port}/%2F",
                  queueName: orders, mode: QueueLength, value: "5"}}
"""


def test_a_card_shows_what_was_consumed_of_a_queue(browser):
    """What workers have taken; of that, in flight is what they have not acknowledged."""
    with RabbitMQ() as broker, Server(interval="200ms", http=True) as server:
        broker.declare("orders")
        broker.publish("orders", 60)
        with Rehearsal(server, broker, QUEUE, "--server-http", f"127.0.0.1:{server.http_port}") as rehearsal:
            browser.open(rehearsal, "/#/")
            browser.wait(f"{card('Waiting')} === '60' && {card('Consumed per second')} !== '–'", seconds=120)
            with broker.connect() as connection:
                channel = connection.channel()
                taken = [channel.basic_get("orders")[0].delivery_tag for _ in range(20)]
                channel.basic_ack(taken[14], multiple=True)
                browser.wait(f"parseFloat({card('Consumed per second')}) > 0 && {card('Waiting')} === '40' && {card('In flight')} === '5'",
                             seconds=120)
            assert browser.evaluate(card("Consumed per second", "note")) == "at least"
            assert browser.problems() == []


def figures(http_port, *names):
    server = requests.get(f"http://127.0.0.1:{http_port}/api/server", timeout=10).json()
    return [server[name] for name in names]


def trend(http_port):
    """Its columns, once the page knows which process of the server it shows."""
    return requests.get(f"http://127.0.0.1:{http_port}/api/trend", timeout=10).json().get("columns")


def test_with_the_servers_port_the_page_is_the_servers_and_more(browser):
    """Cards, rows, the trigger's page, the API and `backlog watch` at one address."""
    with Redis() as redis, redis.connect() as client, Server(interval="200ms", http=True) as server:
        client.call_all([("RPUSH", "orders", i) for i in range(60)])
        with Rehearsal(server, redis, OBJECT, "--server-http", f"127.0.0.1:{server.http_port}") as rehearsal:
            of_server, relayed = [wait_until(lambda one=one: trend(one.http_port), 60, "a trend") for one in (server, rehearsal)]
            assert of_server == relayed and "waiting" in relayed
            browser.open(rehearsal, "/#/")
            browser.wait(f"{card('Waiting')} === '60' && {card('Active jobs')} === '3' && {card('Replicas wanted')} === '12'", seconds=120)
            browser.wait(f"Number({card('Calls per second')}) > 0 && {card('CPU')}.endsWith('%')", seconds=60)
            assert browser.evaluate(card("Active jobs", "note")) == "of 3 replicas"
            assert figures(rehearsal.http_port, "waiting", "replicas") == figures(server.http_port, "waiting", "replicas") == [60, 12]
            browser.screenshot("rehearsal-with-server")
            assert browser.problems() == [] and browser.axe() == []
            for label, number in (("Wanted", 12), ("Replicas", 3)):
                at = f"[...document.querySelectorAll('th')].findIndex((cell) => cell.textContent === '{label}')"
                assert browser.evaluate(f"document.querySelector('tbody tr:not(.space)').children[{at}].textContent") == str(number)

            browser.click("tbody a")
            browser.wait_for_text("redis-orders")
            browser.wait_for_text("measured", ".why")
            browser.wait("document.querySelector('.plots:not([hidden])') !== null")
            browser.evaluate("location.hash = '#/connections'")
            browser.wait_for_text("connected")
            assert browser.problems() == [] and browser.axe() == []

            address = f"127.0.0.1:{rehearsal.http_port}"
            watched = subprocess.run([binary(), "watch", "--once", "--server-http", address], stdout=subprocess.PIPE, text=True, check=True, timeout=60)
            assert "shop/orders" in watched.stdout and "12" in watched.stdout
            csv = requests.get(f"http://{address}/api/history/shop/orders?format=csv", timeout=10)
            assert csv.headers["Content-Type"].startswith("text/csv") and csv.text.startswith("time,")
            assert "backlog_triggers" in requests.get(f"http://{address}/metrics", timeout=10).text
            assert requests.get(f"http://{address}/api/triggers/shop/nothing", timeout=10).status_code == 404

            server.stop()
            browser.evaluate("location.hash = '#/'")
            browser.wait(f"{card('CPU')} === '–' && {card('Waiting')} === '–'", seconds=60)
            browser.wait_for_text("refused")
            refused = requests.get(f"http://{address}/api/server", timeout=10)
            assert refused.status_code == 502 and "is it the server's --http port?" in refused.json()["error"]


def test_of_a_server_it_passes_on_what_the_process_responds_whose_rows_it_shows():
    """As behind a Service, where another pod may: it has other numbers for its triggers. Pages take both for one server."""
    with Redis() as redis, Server(http=True) as one, Server(http=True) as other, PodProxy(one.http_port, other.http_port) as proxy, \
            Rehearsal(one, redis, OBJECT, "--server-http", f"127.0.0.1:{proxy.http_port}") as rehearsal:
        def respond():
            return requests.get(f"http://127.0.0.1:{rehearsal.http_port}/api/server", timeout=30)
        with requests.get(f"http://127.0.0.1:{rehearsal.http_port}/api/events", timeout=60, stream=True):
            wait_until(lambda: respond().status_code == 200, 60, "the hello of the first one")
            responses = [respond() for _ in range(6)]
        assert {response.status_code for response in responses} == {200, 503}
        assert all("another process of the server responded" in response.json()["error"] for response in responses if response.status_code == 503)


def test_the_terminal_lists_the_workers_and_what_they_have_done():
    """As pods of a cluster, of which a rehearsal needs neither."""
    with Redis() as redis, redis.connect() as client, Server() as server:
        client.call_all([("RPUSH", "orders", i) for i in range(60)])
        with Rehearsal(server, redis) as rehearsal:
            def watched(*words):
                done = subprocess.run([binary(), "watch", "-w", "--server-http", f"127.0.0.1:{rehearsal.http_port}", *words],
                                      stdout=subprocess.PIPE, text=True, check=True, timeout=60)
                return done.stdout

            wait_until(lambda: "3 workers, 0 pending" in watched("--once"), 60, "three workers")
            wait_until(lambda: all(json.loads(line)["done"] for line in watched("--output", "json").splitlines()), 60, "what they have done")
            found = [json.loads(line) for line in watched("--output", "json").splitlines()]
            assert [(one["object"], one["pod"], one["state"]) for one in found] == [("shop/orders", f"orders-{number}", "Running") for number in (1, 2, 3)]
            assert all(one["cpu"] is not None and one["memory"] > 0 and one["ageSeconds"] >= 0 for one in found)
            client.call("DEL", "orders")
            wait_until(lambda: "0 workers, 0 pending" in watched("--once"), 120, "none after the cooldown")


def test_with_a_token_the_page_asks_for_it_as_the_server_does(tmp_path):
    """What it passes on of the server was read with that token."""
    token = tmp_path / "token"
    token.write_text("a-token-of-the-server\n")
    with Redis() as redis, redis.connect() as client, Server(interval="200ms", http=True, arguments=["--http-token-file", str(token)]) as server:
        client.call_all([("RPUSH", "orders", "1")])
        for_server = "--server-http", f"127.0.0.1:{server.http_port}"
        with Rehearsal(server, redis, OBJECT, *for_server, "--http-token-file", str(token)) as rehearsal:
            def status(path, **headers):
                url = f"http://127.0.0.1:{rehearsal.http_port}{path}"
                return requests.get(url, headers=headers, timeout=60, allow_redirects=False, stream=True).status_code
            closed = ("/api/triggers", "/api/server", "/api/events", "/api/workers/1/log")
            wait_until(lambda: status("/api/workers/1/log", Authorization="Bearer a-token-of-the-server") == 200, 60, "a worker has started")
            assert [status(path) for path in closed] == [401] * 4
            assert [status(path, Authorization="Bearer a-token-of-the-server") for path in closed] == [200] * 4
            assert [status(path) for path in ("/login", asset(rehearsal, "style.css"), "/metrics")] == [200] * 3


def test_a_token_that_can_be_guessed_is_an_error(tmp_path):
    (tmp_path / "token").write_text("short")
    with Redis() as redis, Server() as server:
        rehearsal = Rehearsal(server, redis, OBJECT, "--http-token-file", str(tmp_path / "token"))
        done = subprocess.run(rehearsal.command(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
        assert done.returncode == 1 and "--http-token-file" in done.stdout and "16 to 1024" in done.stdout
        rehearsal.remove()


def test_without_the_flag_there_is_no_port():
    with Redis() as redis, Server() as server:
        rehearsal = Rehearsal(server, redis)
        rehearsal.arguments = [argument for argument in rehearsal.arguments if argument not in ("--http", "127.0.0.1:0")]
        rehearsal.ready = lambda: "KEDA:" in rehearsal.log()
        with rehearsal:
            wait_until(lambda: rehearsal.log(), 10, "it prints")
            assert "dashboard on" not in rehearsal.log()


def test_an_address_that_is_none_is_an_error():
    with Redis() as redis, Server() as server:
        rehearsal = Rehearsal(server, redis)
        rehearsal.arguments[rehearsal.arguments.index("--http") + 1] = "here"
        done = subprocess.run(rehearsal.command(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
        assert done.returncode in (1, 2) and "--http" in done.stdout
        rehearsal.remove()
