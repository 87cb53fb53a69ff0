"""The dashboard behind a proxy that takes another pod for each request: a page shows one, and says so of the others."""

import time

import pytest

from support.clients.grpc_client import Client
from support.network.pods import PodProxy
from support.pages.page import get
from support.pages.shop import push, queue
from support.pages.stub import ALL
from support.process import wait_until
from support.server.server import Server

OTHER = "another pod of Backlog answered"
COUNTS = {"orders": 37, "emails": 4}

# Of each panel, as "redis-orders", the number of its trigger in the link, and the value of its first plot.
PANELS = """[...document.querySelectorAll('article.panel')].map((panel) => [
    panel.querySelector('h2').innerText.replace('redis: redis-', ''),
    Number(panel.querySelector('a[download]')?.getAttribute('href')?.match(/trigger=([0-9]+)/)[1] ?? 0),
    Number(panel.querySelector('.plot-area')?.getAttribute('aria-label')?.match(/waiting: ([0-9]+) at the end/)?.[1] ?? 0)])"""


@pytest.fixture
def pods(broker, redis):
    """Two, with the same two triggers of one ScaledObject, which came in another order: their numbers are others."""
    config = f"connections:\n  shop-redis: {{scaler: redis, address: \"{broker.address}\", password: pass-phrase}}\n"
    for name, count in COUNTS.items():
        push(redis, name, count)
    with Server(http=True, config=config) as one, Server(http=True, config=config) as other:
        for pod, names in ((one, ("orders", "emails")), (other, ("emails", "orders"))):
            with Client(pod.port) as client:
                for name in names:
                    client.metrics(queue(name), metric_name="", name="worker")
        yield one, other


def numbers_of(pod):
    return {trigger["metricName"].removeprefix("redis-"): trigger["id"] for trigger in get(pod, "/api/triggers/shop/worker").json()}


def whole(pod):
    """What a page of this pod has in its panels, in their order."""
    numbers = numbers_of(pod)
    return [[name, numbers[name], COUNTS[name]] for name in sorted(numbers, key=numbers.get)]


def test_two_pods_are_not_mixed_into_one_page(browser, pods):
    one, other = pods
    assert numbers_of(one) != numbers_of(other)
    with PodProxy(one.http_port, other.http_port) as proxy:
        browser.open(proxy, "/#/trigger/shop/worker")
        browser.evaluate(f"""(() => {{
            window.seen = new Set();
            const look = () => {{
                for (const panel of {PANELS}) seen.add(JSON.stringify(panel));
                requestAnimationFrame(look);
            }};
            look();
        }})()""")
        browser.wait_for_text(OTHER)
        assert "let the proxy keep each reader at one pod" in browser.text()
        browser.wait(f"JSON.stringify({PANELS}) === {str(whole(one)).replace(' ', '').replace(chr(39), chr(34))!r}")
        time.sleep(15)
        for name, number, count in browser.evaluate("[...seen].map(JSON.parse)"):
            assert number in (0, numbers_of(one).get(name, 0)) and count in (0, COUNTS.get(name, 0)), (name, number, count)
        assert browser.axe() == []

        proxy.is_sticky = True
        browser.wait(f"!document.querySelector('main').innerText.includes('{OTHER}')")
        assert browser.evaluate(PANELS) == whole(one)


def test_a_file_of_another_pod_is_not_saved(browser, pods):
    one, other = pods
    with PodProxy(one.http_port, other.http_port) as proxy:
        browser.open(proxy, "/#/trigger/shop/worker")
        browser.wait("document.querySelectorAll('a[download][href]').length === 2")
        browser.evaluate("""(() => {
            const { createObjectURL } = URL;
            window.saved = 0;
            URL.createObjectURL = (file) => (saved++, createObjectURL(file));
        })()""")
        said = f"document.querySelector('article.panel').innerText.includes('Download as CSV: {OTHER}')"

        def click_until(condition):
            def is_so():
                browser.click("article.panel a[download]")
                time.sleep(1)
                return browser.evaluate(condition)
            wait_until(is_so, 60, condition)
        click_until(said)
        assert browser.axe() == []
        click_until("saved > 0")
        assert not browser.evaluate(said)
        proxy.is_sticky = True
        name, text = browser.download("article.panel a[download]")
        assert name == f"shop-worker-{numbers_of(one)['orders']}.csv"
        head, *rows = (line.split(",") for line in text.split())
        assert {row[head.index("waiting")] for row in rows} == {str(COUNTS["orders"])}, text


def test_a_page_whose_stream_is_of_another_pod_begins_anew(browser, pods):
    one, other = pods
    with PodProxy(one.http_port, other.http_port) as proxy:
        proxy.is_sticky = True
        browser.open(proxy, "/#/trigger/shop/worker")
        browser.wait("document.querySelectorAll('.plot-area canvas').length >= 4")
        assert browser.evaluate(PANELS) == whole(one)
        browser.evaluate("window.before = document.querySelector('article.panel')")
        proxy.move(other.http_port)
        wait_until(lambda: browser.evaluate(PANELS) == whole(other), 60, "the page is of the other pod")
        assert not browser.evaluate("before.isConnected")
        browser.wait_for_text("Live", "#status")


def test_of_another_process_no_row_of_before_is_shown(browser, stub):
    """Its rows have other ids. The page says that it loads, as one that was opened now."""
    browser.wait_for_text("No triggers yet")
    stub.readers[0].put('event: hello\ndata: {"mode": "serve", "instance": "b"}\n\n')
    browser.wait_for_text("Loading the triggers …")
    assert browser.text("#status") == "Connecting"
    stub.readers[0].put(ALL.replace('"mode": "serve"', '"mode": "serve", "instance": "b"'))
    browser.wait_for_text("No triggers yet")
    browser.wait_for_text("Live", "#status")
