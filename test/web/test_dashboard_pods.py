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
                seen.add(JSON.stringify({PANELS}));
                requestAnimationFrame(look);
            }};
            look();
        }})()""")
        browser.wait_for_text(f"{OTHER}, and a page shows one pod. If this stays: let the proxy keep each reader at one pod")  # for a moment
        browser.wait(f"JSON.stringify({PANELS}) === {str(whole(one)).replace(' ', '').replace(chr(39), chr(34))!r}")
        time.sleep(15)
        for panels in browser.evaluate("[...seen].map(JSON.parse)"):  # of the second pod until the stream of the first one has come
            assert any(all(number in (0, numbers.get(name, 0)) and count in (0, COUNTS.get(name, 0)) for name, number, count in panels)
                       for numbers in (numbers_of(one), numbers_of(other))), panels
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


@pytest.mark.parametrize("status, headers", [("403 Forbidden", ()), ("401 Unauthorized", ()), ("200 OK", ()),
                                             ("302 Found", ("Location: http://localhost:1/sign-in",))])
def test_who_has_to_sign_in_at_the_proxy_again_is_told_so(browser, idle_server, status, headers):
    """A session of it ends over night: it refuses, or leads to where one signs in, which a page cannot follow."""
    with PodProxy(idle_server.http_port) as proxy:
        browser.open(proxy, "/#/trigger/shop/orders")
        browser.wait_for_text("Live", "#status")
        proxy.sign_out(status, *headers)
        browser.wait("document.querySelector('#status').innerText === 'Sign in again'")
        browser.wait_for_text("wants you to sign in: load this page again", "#reload")
        browser.wait_for_text("a proxy in front of Backlog answered, and wants you to sign in")
        assert browser.evaluate("location.pathname") == "/" and browser.axe() == []
        proxy.sign_in()  # in another tab
        browser.wait_for_text("Live", "#status")
        browser.wait("document.querySelector('#reload').hidden")
        proxy.sign_out(status, *headers)
        browser.wait_for_text("wants you to sign in: load this page again", "#reload")
        browser.evaluate("window.isBefore = true")
        proxy.sign_in()  # to which the page is led when it is loaded
        browser.evaluate("document.querySelector('#reload-now').click()")  # the page may notice first, and hide it
        browser.wait("!window.isBefore && document.querySelector('#status')?.innerText === 'Live'")


def test_a_proxy_that_does_not_reach_the_server_asks_nobody_to_sign_in(browser, idle_server):
    with PodProxy(idle_server.http_port) as proxy:
        browser.open(proxy, "/#/trigger/shop/orders")
        browser.wait_for_text("Live", "#status")
        proxy.sign_out("502 Bad Gateway")
        browser.wait_for_text("Connection lost", "#status")
        browser.wait_for_text("the server answered 502")
        assert browser.evaluate("document.querySelector('#reload').hidden")


def test_of_another_process_no_row_of_before_is_shown(browser, stub):
    """Its rows have other ids. The page says that it loads, as one that was opened now."""
    browser.wait_for_text("No triggers yet")
    stub.readers[0].put('event: hello\ndata: {"mode": "serve", "instance": "b"}\n\n')
    browser.wait_for_text("Loading the triggers …")
    assert browser.text("#status") == "Connecting"
    stub.readers[0].put(ALL.replace('"mode": "serve"', '"mode": "serve", "instance": "b"'))
    browser.wait_for_text("No triggers yet")
    browser.wait_for_text("Live", "#status")
