"""The dashboard in a real Chromium, before a server that measures a real Redis."""

import http.server
import json
import os
import queue as queues
import re
import threading
import time

import pytest

from support.pages.browser import Browser
from support.clients.grpc_client import Client
from support.pages.page import get
from support.process import wait_until
from support.brokers.redis import Redis
from support.server.server import REPOSITORY, Server

MANY = 5000
WAIT_SECONDS = 60


@pytest.fixture(scope="module")
def browser():
    with Browser() as browser:
        yield browser


@pytest.fixture
def broker():
    with Redis(config="requirepass pass-phrase") as broker:
        yield broker


@pytest.fixture
def redis(broker):
    with broker.connect() as redis:
        redis.call("AUTH", "pass-phrase")
        yield redis


@pytest.fixture
def server(broker):
    config = f"connections:\n  shop-redis: {{scaler: redis, address: \"{broker.address}\", password: pass-phrase}}\n"
    with Server(http=True, config=config, arguments=["--hold", "1h"]) as server:
        yield server


@pytest.fixture
def client(server):
    with Client(server.port) as client:
        yield client


POLICIES = {"exports": {"steps": "1=1,5=2,50=10"}}


def queue(name, **metadata):
    return {"scaler": "redis", "connectionName": "shop-redis", "listName": name, "listLength": "5", "interval": "1s", **metadata}


def push(redis, name, count):
    redis.call_all([("RPUSH", name, i) for i in range(count)])


def is_clean(browser):
    """Nothing in the console, and none of axe's rules is broken."""
    assert browser.problems() == []
    assert browser.axe() == []


def test_a_server_without_triggers_says_what_to_do(browser, server):
    browser.open(server)
    browser.wait_for_text("No triggers yet")
    assert "Live" in browser.text("#status")
    browser.screenshot("empty")
    browser.open(server, "/#/connections")
    browser.wait_for_text("No connections yet")
    is_clean(browser)


def fill_shop(redis, client):
    """What the picture in the documentation shows."""
    for name, count in (("orders", 37), ("invoices", 4), ("emails", 0), ("thumbnails", 128), ("exports", 9), ("audit", 0)):
        push(redis, name, count)
        client.metrics(queue(name, **POLICIES.get(name, {})), metric_name="", name=name)
    with pytest.raises(Exception, match="listLength"):
        client.metrics(queue("refunds", listLength="many"), metric_name="", name="refunds")


def test_it_shows_the_triggers_and_follows_the_queue(browser, server, client, redis):
    fill_shop(redis, client)
    browser.open(server)
    browser.wait_for_text("shop/orders")
    text = browser.text("main table")
    assert browser.text("#server").startswith("Pod ") and "version 0." in browser.text("#server")
    for expected in ("shop/orders", "redis-orders", "shop-redis", "128", "refused", "idle"):
        assert expected in text, text
    row = "[...document.querySelectorAll('tbody tr')].find((row) => row.innerText.includes('shop/orders'))"
    assert "8" in browser.evaluate(f"{row}.innerText").split()

    push(redis, "orders", 13)
    browser.wait(f"{row}.innerText.split(/\\s+/).includes('50') && {row}.innerText.split(/\\s+/).includes('10')")
    redis.call("DEL", "orders")
    browser.wait(f"{row}.innerText.includes('idle')")
    browser.wait("document.querySelector('.card .value').innerText === '141'")  # of all queries together
    time.sleep(3)
    for scheme in ("light", "dark"):
        browser.open(server, scheme=scheme)
        browser.wait_for_text("shop/thumbnails")
        for _ in range(8):  # the curves of the cards; and a policy decides when it is called
            client.metrics(queue("exports", **POLICIES["exports"]), metric_name="", name="exports")
            time.sleep(0.5)
        browser.screenshot(f"triggers-{scheme}")
        is_clean(browser)
    browser.open(server, width=390, height=844)
    browser.wait_for_text("shop/thumbnails")
    assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth")
    browser.screenshot("triggers-phone")
    is_clean(browser)


def test_the_filter_and_the_order_of_the_table(browser, server, client, redis):
    fill_shop(redis, client)
    browser.open(server)
    browser.wait_for_text("shop/orders")
    names = "[...document.querySelectorAll('tbody tr:not(.space) td:first-child a')].map((link) => link.innerText)"
    assert browser.evaluate(names)[:2] == ["shop/refunds", "shop/exports"]  # what fails, then what is active
    browser.press("/")
    browser.fill("#search", "invoice")
    browser.wait(f"{names}.length === 1")
    browser.wait_for_text("1 of 7 triggers")
    browser.fill("#search", "no such")
    browser.wait_for_text("No trigger matches the filter.", "[role=status].empty")
    browser.evaluate("""(() => {
        window.changes = 0;
        new MutationObserver(() => changes++).observe(document.querySelector('[role=status].empty'), { childList: true, characterData: true, subtree: true });
    })()""")
    time.sleep(3)  # in which the table is arranged again
    assert browser.evaluate("changes") == 0  # or a screen reader would read it again each time
    browser.fill("#search", "")
    browser.click("thead th:nth-child(4) button")
    browser.wait(f"{names}[0] === 'shop/thumbnails'")
    assert browser.evaluate("document.querySelector('thead th:nth-child(4)').ariaSort ?? document.querySelector('thead th:nth-child(4)').getAttribute('aria-sort')") == "descending"
    assert browser.text(".segments").split("\n") == ["All 7", "Refused 1", "Held 0", "Active 4"]
    browser.click(".segments button:nth-child(2)")
    browser.wait(f"{names}.join() === 'shop/refunds'")
    is_clean(browser)


def test_the_address_keeps_filter_order_range_and_folds(browser, server, client, redis):
    fill_shop(redis, client)
    push(redis, "songs", 3)
    client.metrics(queue("songs"), metric_name="", name="songs", namespace="media")
    browser.open(server)
    titles = "[...document.querySelectorAll('tr.group')].map((row) => row.innerText.replace(/\\s+/g, ' ').trim())"
    browser.wait(f"{titles}.join() === 'Failing and held 1 trigger,media 1 trigger,shop 6 triggers and 1 failing above'")
    names = "[...document.querySelectorAll('tbody tr:not(.space) td:first-child a')].map((link) => link.innerText)"
    assert browser.evaluate(names)[:2] == ["shop/refunds", "media/songs"]
    browser.press("/")
    browser.fill("#search", "redis")
    browser.click("thead th.of-waiting button")
    browser.click(".segments .show-active")
    browser.wait(f"{names}.join() === 'shop/thumbnails,shop/orders,shop/exports,shop/invoices,media/songs'")
    browser.evaluate("document.querySelectorAll('tr.group button')[1].focus()")
    browser.press("Enter")  # by keyboard: media is folded
    browser.wait(f"!{names}.includes('media/songs')")
    assert browser.evaluate("document.activeElement.getAttribute('aria-expanded')") == "false"
    address = browser.evaluate("location.hash")
    assert dict(pair.split("=") for pair in address.partition("?")[2].split("&")) == {
        "q": "redis", "show": "active", "sort": "-waiting", "folded": "media"}
    is_clean(browser)
    browser.open(server, f"/{address}")  # what a shared link shows
    browser.wait(f"{names}.join() === 'shop/thumbnails,shop/orders,shop/exports,shop/invoices'")
    assert browser.evaluate("document.querySelector('#search').value") == "redis"
    browser.click("tbody tr:not(.group):not(.space) a")
    browser.wait_for_text("redis: redis-thumbnails")
    browser.click(".segments .show-5m")
    assert browser.evaluate("location.hash") == "#/trigger/shop/thumbnails?range=5m"
    browser.click(".back a")
    browser.wait(f"{names}.join() === 'shop/thumbnails,shop/orders,shop/exports,shop/invoices'")
    now = int(time.time())
    browser.open(server, f"/#/trigger/shop/thumbnails?range={now - 600}-{now + 60}")
    browser.wait("document.querySelectorAll('.plot-area canvas').length === 3")
    browser.wait_for_text("UTC ✕")
    browser.evaluate("document.querySelector(\"[aria-label='The last hour']\").focus()")
    browser.press("Enter")  # by keyboard: it hides itself, and its place is that of what is chosen now
    assert browser.evaluate("location.hash") == "#/trigger/shop/thumbnails"
    assert browser.evaluate("document.activeElement.className") == "show-1h"
    browser.open(server, "/#/connections")
    browser.wait_for_text("shop-redis")
    browser.click("tbody a")
    browser.wait_for_text("Connection: shop-redis")
    browser.wait_for_text("7 of 8 triggers")  # not refunds, which has no connection
    is_clean(browser)


def test_the_link_to_the_content_keeps_the_page(browser, server, client, redis):
    push(redis, "orders", 12)
    client.metrics(queue("orders"), metric_name="", name="orders")
    browser.open(server, "/#/trigger/shop/orders")
    browser.wait_for_text("redis: redis-orders")
    browser.press("Tab")
    assert browser.evaluate("document.activeElement.innerText") == "Skip to the content"
    browser.press("Enter")
    browser.wait("document.activeElement.id === 'main'")
    assert browser.evaluate("location.hash") == "#/trigger/shop/orders"
    assert "redis: redis-orders" in browser.text()
    assert browser.text("nav [aria-current=page]") == "Triggers"
    is_clean(browser)


def test_an_address_that_is_no_page_is_the_first_page(browser, server, client, redis):
    push(redis, "orders", 12)
    client.metrics(queue("orders"), metric_name="", name="orders")
    browser.open(server, "/#orders")
    browser.wait_for_text("shop/orders")
    assert browser.text("nav [aria-current=page]") == "Triggers"
    browser.evaluate("window.link = document.querySelector('nav a'); link.focus(); document.querySelector('.show-active').click()")
    browser.wait("location.hash === '#/?show=active' && link.getAttribute('href') === '#/?show=active'")
    assert browser.evaluate("document.activeElement === link")  # though its address is another one
    browser.evaluate("document.querySelector('.show-all').click()")
    browser.fill("#search", "redis")
    browser.wait("location.hash === '#/?q=redis'")
    is_clean(browser)


def test_an_address_that_is_no_text_is_the_first_page(browser, server):
    browser.open(server, "/#/trigger/shop/%E0%A4%A")
    browser.wait_for_text("No triggers yet")
    is_clean(browser)


def test_an_error_of_a_page_is_not_hidden_by_the_first_page(browser, server):
    browser.open(server)
    browser.wait_for_text("No triggers yet")
    browser.evaluate("""(() => {
        document.createElement = (tag) => {
            if (tag === 'ol') throw new Error('no list');
            return Document.prototype.createElement.call(document, tag);
        };
        location.hash = '#/log';
    })()""")
    wait_until(lambda: any("no list" in problem for problem in browser.problems()), 5, "the error is reported")


def test_a_range_that_ends_before_it_begins_is_the_last_hour(browser, server, client, redis):
    push(redis, "orders", 12)
    client.metrics(queue("orders"), metric_name="", name="orders")
    now = int(time.time())
    browser.open(server, f"/#/trigger/shop/orders?range={now}-{now - 600}")
    browser.wait_for_text("redis: redis-orders")
    assert browser.evaluate("document.querySelector('[aria-label=\"The last hour\"]').hidden")
    assert browser.evaluate("document.querySelector('.segments .show-1h').getAttribute('aria-pressed')") == "true"
    is_clean(browser)


def test_the_page_of_an_object_has_no_log_lines_of_another_whose_name_begins_alike(browser, server, client, redis):
    push(redis, "orders", 12)
    for name in ("orders-archive", "orders"):
        client.metrics(queue("orders", steps="1=1,10=2"), metric_name="", name=name)
    for name, other in (("orders", "orders-archive"), ("orders-archive", "shop/orders:")):
        browser.open(server, f"/#/trigger/shop/{name}")
        browser.wait_for_text(f"shop/{name}: 3 replicas", ".lines")
        assert other not in browser.text(".lines")
    is_clean(browser)


def test_the_table_shows_what_consumers_do_and_what_bound_the_replicas(browser, server, client):
    """One took a message and never acknowledges it: it is stuck."""
    with Redis() as streams, streams.connect() as redis:
        redis.call("XGROUP", "CREATE", "jobs", "workers", "$", "MKSTREAM")
        redis.call_all([("XADD", "jobs", "*", "job", 1)] * 40)
        redis.call("XREADGROUP", "GROUP", "workers", "stuck", "COUNT", 1, "STREAMS", "jobs", ">")
        options = {"scaler": "redis-streams", "address": streams.address, "stream": "jobs", "consumerGroup": "workers",
                   "lagCount": "10", "interval": "1s"}
        client.metrics(options, metric_name="", name="plain")
        browser.open(server)
        browser.wait_for_text("shop/plain")
        wait_until(lambda: client.metrics({**options, "onStall": "hold"}, metric_name="", name="stuck").metricValueFloat == 1,
                   WAIT_SECONDS, "it is held")
        row = "[...document.querySelectorAll('tbody tr')].find((row) => row.innerText.includes('shop/stuck'))"
        browser.wait(f"{row}?.innerText.includes('STALL') && {row}.innerText.includes('bound by stall')")
        assert "Consumers" in browser.text("main thead")
        plain = "[...document.querySelectorAll('tbody tr')].find((row) => row.innerText.includes('shop/plain'))"
        assert "bound by" not in browser.evaluate(f"{plain}.innerText")
        is_clean(browser)
        browser.open(server, "/#/trigger/shop/stuck")  # of what the policy chose; the target is a replica, and no number of messages
        browser.wait_for_text("wanted 1", ".plots")
        assert "target of a replica" not in browser.text(".plots") and "Value (replicas)" in browser.text()
        browser.wait_for_text("bound by stall", ".changes")
        is_clean(browser)


def test_each_status_of_consumers_has_its_chip(browser, server):
    statuses = re.findall(r'^backlog_trigger_consumers\{status="(\w+)"\}', get(server, "/metrics").text, re.MULTILINE)
    browser.open(server)
    assert sorted(statuses) == sorted(browser.evaluate("import('/assets/triggers.js').then(({ CHIPS }) => Object.keys(CHIPS))"))


def test_each_key_that_the_server_sends_is_shown_or_left_out_on_purpose(browser, server, client, redis):
    """A row's key that no page reads is memory for nothing; or a new one was forgotten."""
    for name in ("orders", "emails"):
        push(redis, name, 12)
        client.metrics(queue(name), metric_name="", name="orders")  # two of one object
    with pytest.raises(Exception, match="listLength"):
        client.metrics(queue("refunds", listLength="many"), metric_name="", name="refunds")
    with Redis() as streams, streams.connect() as jobs:
        jobs.call("XGROUP", "CREATE", "jobs", "workers", "$", "MKSTREAM")
        options = {"scaler": "redis-streams", "address": streams.address, "stream": "jobs", "consumerGroup": "workers",
                   "lagCount": "10", "interval": "1s", "onStall": "hold"}
        client.metrics(options, metric_name="", name="jobs")
        browser.open(server)
        browser.evaluate("""(async () => {
            ({ store: window.store } = await import('/assets/store.js'));
            window.sent = new Set();
            window.read = new Set();
            const { set } = Map.prototype;
            const watched = (row) => new Proxy(row, { get: (of, key) => (window.read.add(key), of[key]) });
            Map.prototype.set = function (id, row) {  // as the stream fills the table
                if (row?.fixed === undefined || row.namespace === undefined) return set.call(this, id, row);
                for (const key of Object.keys(row)) if (key !== 'id' && key !== 'fixed') window.sent.add(key);
                return set.call(this, id, watched(row));
            };
        })()""")
        keys = ("arrivals", "boundBy", "connectionName", "consumption", "error", "inFlight", "ratesAreBounds")
        browser.wait(f"{json.dumps(keys)}.every((key) => window.sent.has(key))")
        for mode in ("serve", "rehearse"):  # which has the rows of the server, in other columns
            for path in ("connections", ""):
                browser.evaluate(f"store.hello = {{ ...store.hello, mode: '{mode}' }}, location.hash = '#/{path}'")
                time.sleep(2)
        history = get(server, "/api/history/shop/jobs").json()["triggers"][0]["columns"]
    unshown, unshown_of_history, unread_of_history = browser.evaluate(f"""(async () => {{
        const {{ UNSHOWN_KEYS }} = await import('/assets/triggers.js');
        const {{ columnsOf, UNSHOWN_COLUMNS }} = await import('/assets/trigger_history.js');
        const columns = {json.dumps(history)};
        const read = new Set();
        columnsOf({{ columns, rows: [new Proxy([], {{ get: (_, index) => (read.add(columns[index]), null) }})] }});
        return [UNSHOWN_KEYS, UNSHOWN_COLUMNS, columns.filter((column) => !read.has(column))];
    }})()""")
    assert browser.evaluate("[...window.sent].filter((key) => !window.read.has(key))") == unshown
    assert unread_of_history == unshown_of_history
    is_clean(browser)


def test_the_table_shows_what_a_policy_chose_in_an_outage_too(browser, server, client, redis, broker):
    push(redis, "orders", 128)
    client.metrics(queue("orders", steps="1=1,10=2,100=40"), metric_name="", name="orders")
    browser.open(server)
    browser.wait_for_text("shop/orders")
    row = "[...document.querySelectorAll('tbody tr')].find((row) => row.innerText.includes('shop/orders')).innerText.split(/\\s+/)"
    browser.wait(f"{row}.includes('40') && {row}.includes('active')")
    broker.stop()
    browser.wait(f"{row}.includes('held')")
    words = browser.evaluate(row)
    assert "40" in words and "26" not in words, words  # 26: by the threshold


def test_the_page_of_a_trigger_explains_it(browser, server, client, redis, broker):
    push(redis, "orders", 12)
    client.metrics(queue("orders"), metric_name="", name="orders")
    for step in range(12):  # more changes than the list has place for: it scrolls, by keyboard too
        push(redis, "orders", 7)
        time.sleep(1)
    browser.open(server)
    browser.wait_for_text("shop/orders")
    browser.click("tbody a[href='#/trigger/shop/orders']")
    browser.wait_for_text("redis: redis-orders")
    browser.wait_for_text("at a target of 5 per replica")
    browser.wait("document.querySelectorAll('.plot-area canvas').length === 3")
    browser.wait_for_text("20 replicas")
    browser.wait_for_text("→")
    assert "listName" in browser.text() and "orders" in browser.text() and "(hidden)" in browser.text()
    browser.screenshot("trigger-light")
    is_clean(browser)

    broker.stop()
    browser.wait_for_text("held")
    browser.wait_for_text("connection failed", ".panel .lines")
    browser.wait("document.querySelector('.problem:not([hidden])') !== null")
    browser.wait_for_text("Shaded: measuring failed.")
    labels = "[...document.querySelectorAll('.plot-area')].map((plot) => plot.getAttribute('aria-label'))"
    browser.wait(f"{labels}[0].startsWith('Work, waiting: unknown at the end, at most 96')")  # and not what it was before
    assert "target of a replica 5" in browser.text(".plots") and "fall of waiting" in browser.text(".plots") and "consumed" not in browser.text(".plots") and "wanted 20" in browser.text(".plots")
    assert "Consumed/s" in browser.text(".panel") and "– /s" not in browser.text(".panel")  # a unit of nothing
    browser.screenshot("trigger-outage")
    is_clean(browser)
    browser.open(server, "/#/trigger/shop/orders", scheme="dark", width=390, height=844)
    browser.wait_for_text("redis: redis-orders")
    browser.wait("document.querySelectorAll('.plot-area canvas').length === 3")
    browser.wait_for_text("held", ".panel .chip")
    assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth")
    browser.screenshot("trigger-phone-dark")
    is_clean(browser)
    browser.open(server, "/#/connections")
    browser.wait_for_text("failed")
    browser.wait_for_text("shop-redis")
    browser.screenshot("connections")
    is_clean(browser)
    browser.open(server, "/#/log")
    browser.wait_for_text("connection failed")
    browser.fill("#search", "listening")
    browser.wait("!document.querySelector('.lines').innerText.includes('connection failed')")
    browser.wait_for_text("listening on")
    browser.screenshot("log")
    is_clean(browser)


def test_the_page_of_a_trigger_draws_again_only_what_changed(browser, server, client, redis):
    """Or a reader who copies a query loses the selection, and the place in the list of changes."""
    push(redis, "orders", 12)
    client.metrics(queue("orders"), metric_name="", name="orders")
    browser.open(server, "/#/trigger/shop/orders")
    browser.wait_for_text("Nothing changed in the last hour.")
    figure = "[...document.querySelectorAll('.figures div')].find((one) => one.innerText.toLowerCase().includes('{}')).lastChild"
    called = browser.evaluate(f"{figure.format('last call')}.innerText")
    browser.evaluate("getSelection().selectAllChildren(document.querySelector('dl.pairs'))")
    selected = browser.evaluate("getSelection().toString()")
    assert "orders" in selected
    browser.evaluate(f"window.drawn = [{figure.format('waiting')}, ...document.querySelectorAll('.pairs dd, .changes li')]")
    browser.wait(f"{figure.format('last call')}.innerText !== {called!r}")  # explained again
    rows = len(get(server, "/api/history/shop/orders").json()["triggers"][0]["rows"])
    time.sleep(6)  # the page has the history again, which has more rows
    assert len(get(server, "/api/history/shop/orders").json()["triggers"][0]["rows"]) > rows
    assert browser.evaluate("window.drawn.every((one) => one.isConnected)")
    assert browser.evaluate("getSelection().toString()") == selected
    push(redis, "orders", 5)  # and what did change, is
    browser.wait_for_text("3 → 4 replicas", ".changes")
    browser.wait(f"{figure.format('waiting')}.innerText === '17'")
    is_clean(browser)


def refuse(browser, path):
    """What the page requests below the path, from now on; "": nothing any more. `asked` counts what it requests of each path."""
    browser.evaluate(f"""(() => {{
        window.refused = {json.dumps(path)};
        if (window.asked) return;
        const {{ fetch }} = window;
        window.asked = {{}};
        window.fetch = async (path, options) => {{
            asked[path] = (asked[path] ?? 0) + 1;
            if (refused === '' || !path.startsWith(refused)) return fetch(path, options);
            return new Response('other responses are not read yet\\n', {{ status: 503, headers: {{ 'Content-Type': 'text/plain' }} }});
        }};
    }})()""")


def test_plots_that_are_not_renewed_are_said_though_their_trigger_is_explained(browser, server, client, redis):
    push(redis, "orders", 12)
    client.metrics(queue("orders"), metric_name="", name="orders")
    browser.open(server, "/#/trigger/shop/orders")
    browser.wait("document.querySelectorAll('.plot-area canvas').length === 3")
    refuse(browser, "/api/history/")
    browser.wait_for_text("other responses are not read yet")
    for _ in range(3):
        before = browser.evaluate("asked['/api/triggers/shop/orders'] ?? 0")
        push(redis, "orders", 5)
        browser.wait(f"asked['/api/triggers/shop/orders'] > {before}")
        time.sleep(0.5)  # it has been explained
        assert "Plots of shop/orders, not renewed since " in browser.text() and "other responses are not read yet" in browser.text()
    refuse(browser, "/api/triggers/")
    browser.wait("!document.querySelector('main').innerText.includes('Plots of shop/orders, not renewed since ')")
    browser.wait_for_text("shop/orders, not renewed since ")
    assert "at a target of 5 per replica" in browser.text()  # what was explained last stays
    refuse(browser, "")
    browser.wait("!document.querySelector('main').innerText.includes('other responses are not read yet')")
    is_clean(browser)


def test_the_figures_of_a_trigger_are_of_one_moment(browser, server, client, redis):
    """12 waiting beside the replicas of 17 would be wrong. And while nothing changes the page seldom asks."""
    rarely = {key: value for key, value in queue("orders").items() if key != "interval"}  # measured when it is called
    push(redis, "orders", 12)
    client.metrics(rarely, metric_name="", name="orders")
    browser.open(server, "/#/trigger/shop/orders")
    browser.wait_for_text("active", ".panel .chip")  # at once, without a row of the table
    time.sleep(5)  # the rows have come
    requests = "performance.getEntriesByType('resource').filter((one) => one.name.endsWith('/api/triggers/shop/orders')).length"
    before = browser.evaluate(requests)
    time.sleep(8)
    assert browser.evaluate(requests) - before <= 1
    figure = "[...document.querySelectorAll('.figures div')].find((one) => one.innerText.toLowerCase().includes('{}')).lastChild.innerText"
    seen = f"[Number({figure.format('waiting')}), Number({figure.format('replicas wanted')})]"
    browser.evaluate(f"""(() => {{
        window.seen = [{seen}];
        new MutationObserver(() => window.seen.push({seen})).observe(
            document.querySelector('.figures'), {{childList: true, characterData: true, subtree: true}});
    }})()""")
    for waiting in range(17, 42, 5):
        push(redis, "orders", 5)
        wait_until(lambda: client.metrics(rarely, metric_name="", name="orders").metricValueFloat == waiting, WAIT_SECONDS, "it is measured")
        began = time.monotonic()
        browser.wait(f"{seen}[0] === {waiting}")
        assert time.monotonic() - began < 8  # before it is idle for long enough
    for waiting, replicas in browser.evaluate("window.seen"):
        assert replicas == -(-waiting // 5), (waiting, replicas)
    (explained,) = get(server, "/api/triggers/shop/orders").json()
    assert explained["rates"]["arrivals"] > 0 and explained["rates"]["areBounds"]  # Redis reports none
    is_clean(browser)


def test_the_triggers_of_one_object_are_not_mixed_up(browser, server, client, redis):
    """The server's pages have them in different orders: as they came, and the one that was called for last first."""
    for name, count in (("orders", 37), ("emails", 4)):
        push(redis, name, count)
        client.metrics(queue(name), metric_name="", name="worker")
    ids = {trigger["metricName"].removeprefix("redis-"): trigger["id"] for trigger in get(server, "/api/triggers/shop/worker").json()}
    browser.open(server, "/#/trigger/shop/worker")
    for name, replicas in (("orders", 8), ("emails", 1)):
        panel = f"[...document.querySelectorAll('article.panel')].find((panel) => panel.querySelector('h2').innerText.endsWith('redis-{name}'))"
        browser.wait(f"{panel} !== undefined")
        browser.wait(f"/Replicas wanted\\s+{replicas}\\s/i.test({panel}?.querySelector('.figures')?.innerText)")
        browser.wait(f"{panel}?.innerText.includes('{name}')")
        browser.wait(f"{panel}?.querySelector('a[download]')?.getAttribute('href')?.endsWith('trigger={ids[name]}')")
    is_clean(browser)


def test_former_metadata_is_only_on_the_page_of_its_object(browser, server, client, redis):
    """Of an edit that repaired a mistake the mistake is not shown as one that there is."""
    push(redis, "orders", 40)
    with pytest.raises(Exception, match="listLength"):
        client.metrics(queue("orders", listLength="many"), metric_name="", name="worker")

    def is_superseded():
        client.metrics(queue("orders", listLength="10"), metric_name="", name="worker")
        return [trigger["superseded"] for trigger in get(server, "/api/triggers/shop/worker").json()] == [False, True]
    wait_until(is_superseded, WAIT_SECONDS, "the mark")
    browser.open(server)
    browser.wait_for_text("shop/worker")
    browser.wait("document.querySelector('.count').innerText === '1 trigger'")
    assert browser.evaluate("document.querySelectorAll('tbody tr:not(.space)').length") == 1
    assert "refused" not in browser.text("main table") and "redis-orders" in browser.text("main table")
    assert browser.text(".show-refused").split() == ["Refused", "0"]
    assert browser.text(".show-all").split() == ["All", "1"]
    browser.open(server, "/#/trigger/shop/worker")
    browser.wait_for_text("KEDA no longer calls for this trigger")
    chips = browser.evaluate("[...document.querySelectorAll('article.panel .chip')].map((chip) => chip.innerText).join()")
    assert chips == "active,former"
    is_clean(browser)


def test_the_table_names_each_trigger_of_one_object(browser, server, client, broker, redis):
    """Also where their metrics have the same name, and without what is secret."""
    redis.call("XADD", "jobs", "*", "job", 1)
    for group in ("mails", "prints"):
        client.metrics({"scaler": "redis-streams", "address": broker.address, "password": "pass-phrase", "stream": "jobs",
                        "consumerGroup": group, "lagCount": "10", "interval": "1s"}, metric_name="", name="worker")
    browser.open(server)
    details = "[...document.querySelectorAll('tbody tr:not(.space) td:first-child small')].map((small) => small.innerText)"
    expected = [f"redis-streams-jobs: stream=jobs, consumerGroup={group}, lagCount=10" for group in ("mails", "prints")]
    browser.wait(f"{details}.join('|') === '{'|'.join(expected)}'")
    browser.fill("#search", "prints")
    browser.wait(f"{details}.join('|') === '{expected[1]}'")
    is_clean(browser)


class OfPrometheus(http.server.BaseHTTPRequestHandler):
    """Whatever is asked, the result is 500."""

    def do_GET(self):
        body = b'{"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [0, "500"]}]}}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_):
        pass


def test_the_plot_of_a_value_is_not_of_the_replicas_of_its_policy(browser, server, client):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), OfPrometheus) as source:
        threading.Thread(target=source.serve_forever, daemon=True).start()
        metadata = {"scaler": "prometheus", "serverAddress": f"http://127.0.0.1:{source.server_port}", "query": "jobs",
                    "threshold": "100", "interval": "1s", "steps": "1=1,100=3"}
        assert client.metrics(metadata, metric_name="", name="orders").metricValue == 5
        browser.open(server, "/#/trigger/shop/orders")
        labels = "[...document.querySelectorAll('.plot-area')].map((area) => area.ariaLabel).join('; ')"
        browser.wait(f"/^Value, /.test({labels})")
        assert browser.evaluate(labels).startswith("Value, value: 500 at the end, at most 500; Replicas, wanted: 5 at the end")
        is_clean(browser)
        source.shutdown()


class OfOldFigures(http.server.BaseHTTPRequestHandler):
    """A dashboard's server whose clock is 1,000 s ahead, and whose last update was 600 s ago."""

    def do_GET(self):
        path = self.path.partition("?")[0]
        if path == "/api/events":
            now = time.time() + 1000
            figures = json.dumps({"time": now - 600, "triggers": 0, "sent": now})
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            self.wfile.write(f'event: hello\ndata: {{"mode": "serve"}}\n\nevent: server\ndata: {figures}\n\n'
                             "event: ready\ndata: {}\n\n".encode())
            self.server.has_ended.wait(90)  # a connection that ends says something else
        elif path == "/api/trend":
            self.respond("application/json", '{"columns": ["time"], "rows": []}')
        else:
            name = "index.html" if path == "/" else os.path.basename(path)
            folder = os.path.join(REPOSITORY, "build/web/node_modules/uplot/dist" if name.startswith("uPlot") else "src/web/assets")
            with open(os.path.join(folder, name)) as file:
                self.respond({".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}.get(os.path.splitext(name)[1], "text/html"),
                             file.read())

    def respond(self, kind, text, status=200):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_the_time_is_that_at_which_figures_are_sent(browser):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), OfOldFigures) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        server.has_ended = threading.Event()
        server.http_port = server.server_port
        browser.open(server)
        browser.wait_for_text("No triggers yet")
        ahead = browser.evaluate("import('/assets/store.js').then(({ serverNow }) => serverNow() - Date.now() / 1000)")
        assert 990 < ahead < 1010
        browser.wait_for_text("Not live since ", "#status")  # of the figures, though they have just come
        age = browser.evaluate("import('/assets/store.js').then(({ store }) => (Date.now() - store.renewedAt) / 1000)")
        assert 590 < age < 660
        browser.evaluate("location.assign('about:blank')")
        server.has_ended.set()
        server.shutdown()


class OfWhatIsSaid(OfOldFigures):
    """A dashboard's server whose readers of /api/events get what the test puts into their queue. It never responds for a trigger, but for those of `REFUSED`."""

    REFUSED = {"/api/triggers/shop/refused": ("text/plain; charset=utf-8", "other responses are not read yet: try again later\n"),
               "/api/triggers/shop/unreached": ("text/html", "<html>\nBad gateway")}

    def do_GET(self):
        path = self.path.partition("?")[0]
        if path == "/api/events":
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            said = queues.Queue()
            self.server.readers.append(said)
            while (text := said.get()) is not None:
                self.wfile.write(text.encode())
        elif path in self.REFUSED:
            self.respond(*self.REFUSED[path], status=503)
        elif path.startswith("/api/triggers/"):
            self.server.is_over.wait()
        else:
            super().do_GET()


FIGURES = 'event: server\ndata: {"triggers": 0}\n\n'
ALL = f'event: hello\ndata: {{"mode": "serve"}}\n\n{FIGURES}event: ready\ndata: {{}}\n\n'


@pytest.fixture
def stub(browser):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), OfWhatIsSaid) as stub:
        threading.Thread(target=stub.serve_forever, daemon=True).start()
        stub.http_port, stub.readers, stub.is_over = stub.server_port, [], threading.Event()
        browser.open(stub)
        wait_until(lambda: stub.readers, WAIT_SECONDS, "a reader")
        stub.readers[0].put(ALL)
        browser.wait_for_text("Live", "#status")
        yield stub
        browser.evaluate("location.assign('about:blank')")
        stub.is_over.set()
        for reader in stub.readers:
            reader.put(None)
        stub.shutdown()


def put_clock_forward(browser, seconds):
    browser.evaluate(f"(() => {{ const {{ now }} = Date; Date.now = () => now() + {seconds * 1000}; }})()")


def test_a_connection_that_is_silent_is_lost_and_made_again(browser, stub):
    """As that of a node that died: nothing closes it."""
    put_clock_forward(browser, 31)
    browser.wait_for_text("Connection lost", "#status")
    wait_until(lambda: len(stub.readers) == 2, WAIT_SECONDS, "another connection")
    time.sleep(2)
    assert "Connection lost" in browser.text("#status")  # that it accepts says nothing
    stub.readers[1].put(ALL)
    browser.wait_for_text("Live", "#status")


def test_values_that_are_not_renewed_are_not_live(browser, stub):
    """As of a server whose loop is busy: it sends only that the stream goes on."""
    stub.readers[0].put("event: alive\ndata: {}\n\n")
    put_clock_forward(browser, 15)
    browser.wait_for_text("Not live since ", "#status")
    is_clean(browser)
    assert len(stub.readers) == 1
    stub.readers[0].put(FIGURES)
    browser.wait_for_text("Live", "#status")


def figures(age, clock=0):
    """Figures that are so many seconds old when they are sent, by a server whose clock is so far ahead."""
    now = time.time() + clock
    return f'event: server\ndata: {json.dumps({"triggers": 0, "time": now - age, "sent": now})}\n\n'


def test_values_that_come_late_are_not_live(browser, stub):
    """As of a server whose loop was busy, or over a slow connection: they come, and are old."""
    for age, status in ((60, "Not live since "), (1, "Live"), (60, "Not live since ")):
        stub.readers[0].put(figures(age))
        browser.wait_for_text(status, "#status")
    stub.readers[0].put("event: alive\ndata: {}\n\n")
    time.sleep(2)
    assert browser.text("#status").startswith("Not live since ")
    renewed = browser.evaluate("import('/assets/store.js').then(({ store }) => (Date.now() - store.renewedAt) / 1000)")
    assert 60 <= renewed < 90
    is_clean(browser)


def put_figures(browser, stub, *arguments):
    """And waits until the page has them, and what follows from their age."""
    text = figures(*arguments)
    stub.readers[0].put(text)
    sent = json.loads(text.partition("data: ")[2])["sent"]
    browser.wait(f"import('/assets/store.js').then(({{ store }}) => store.server.sent === {sent})")
    time.sleep(1.5)  # it looks each second


OFFSET = "import('/assets/store.js').then(({ store }) => store.clockOffset)"


def test_values_that_were_long_under_way_are_not_live(browser, stub):
    """As over a connection that takes less than the server sends: what they wait for on the way is no difference of clocks."""
    put_figures(browser, stub, 0, 100)
    assert browser.text("#status") == "Live" and 99 < browser.evaluate(OFFSET) < 101
    browser.evaluate("""(() => {  // 15 s pass, after which there comes what was sent before them
        for (const clock of [Date, performance]) {
            const now = clock.now.bind(clock);
            clock.now = () => now() + 15000;
        }
    })()""")
    put_figures(browser, stub, 0, 100)
    assert browser.text("#status").startswith("Not live since ") and 99 < browser.evaluate(OFFSET) < 101
    put_figures(browser, stub, 0, 114)  # sent 1 s ago
    assert browser.text("#status") == "Live" and 99 < browser.evaluate(OFFSET) < 101
    put_figures(browser, stub, 0, 117)  # under way for less than all before
    assert browser.text("#status") == "Live" and 101 < browser.evaluate(OFFSET) < 102.5
    is_clean(browser)


def test_a_clock_that_is_set_makes_no_value_old(browser, stub):
    put_figures(browser, stub, 0)
    put_clock_forward(browser, 15)  # the browser's
    put_figures(browser, stub, 0)
    assert browser.text("#status") == "Live" and -17 < browser.evaluate(OFFSET) < -14
    put_figures(browser, stub, 0, -600)  # the server's, back
    assert browser.text("#status") == "Live" and -617 < browser.evaluate(OFFSET) < -614
    put_figures(browser, stub, 0, 600)  # and forth
    assert browser.text("#status") == "Live" and 583 < browser.evaluate(OFFSET) < 586
    before = browser.evaluate(OFFSET)
    stub.readers[0].put('event: hello\ndata: {"mode": "serve"}\n\n')  # of another pod, whose clock is behind
    put_figures(browser, stub, 0, 599)
    assert -1.5 < browser.evaluate(OFFSET) - before < -0.5


def put_lines(stub, *numbers):
    lines = [{"number": number, "time": time.time(), "level": "info", "text": f"line {number}"} for number in numbers]
    stub.readers[0].put(f"event: log\ndata: {json.dumps(lines)}\n\n")


def test_lines_of_the_log_that_are_missing_are_said(browser, stub):
    """As after a burst: the server keeps 500, and the page does not have all at once."""
    put_lines(stub, 7, 8)  # from before it was opened: no line is missed
    put_lines(stub, 9)
    put_lines(stub, 12, 13)
    browser.evaluate("location.hash = '#/log'")
    browser.wait_for_text("line 13")
    said = "2 lines missing: they came faster than this page could be sent them"
    texts = browser.evaluate("[...document.querySelectorAll('.lines li span')].map(({ innerText }) => innerText)")
    assert texts == ["line 13", "line 12", said, "line 9", "line 8", "line 7"]
    browser.click(".show-warning")
    browser.wait("document.querySelectorAll('.lines li').length === 1")
    assert said in browser.text()
    is_clean(browser)


def test_sums_say_that_they_are_a_part(browser, stub):
    now = time.time()
    sums = {"triggers": 11, "failing": 9, "unmeasured": 1, "active": 1, "queries": 2, "waiting": 4, "inFlight": 2, "replicas": 1, "time": now, "sent": now}
    stub.readers[0].put(f"event: server\ndata: {json.dumps(sums)}\n\n")
    notes = ("Object.fromEntries([...document.querySelectorAll('.card')].map((card) =>"
             " [card.querySelector('dt').textContent, card.querySelector('.note').textContent]))")
    browser.wait(f"{notes}['Active triggers'] === 'of 11, 10 unknown'")
    shown = browser.evaluate(notes)
    assert {shown[name] for name in ("Waiting", "In flight", "Replicas wanted")} == {"10 triggers unknown"}, shown


def test_what_is_not_0_is_not_shown_as_0(browser, stub):
    shop = {"namespace": "shop", "target": 0.001, "replicas": 2, "state": "answered", "active": True}
    stub.readers[0].put(rows("triggers", {**shop, "name": "ratio", "waiting": 0.004},
                             {**shop, "name": "steady", "arrivals": 0, "consumption": 0.0001, "ratesAreBounds": True},
                             {**shop, "name": "rising", "arrivals": 2.5, "consumption": 0, "ratesAreBounds": True},
                             {**shop, "name": "reported", "arrivals": 0.0625, "consumption": 0}) + figures(0))
    browser.wait_for_text("shop/steady")
    cells = {name: browser.evaluate(f"[...document.querySelectorAll('td.of-{name}')].map((cell) => cell.textContent)")
             for name in ("name", "waiting", "target", "arrivals", "consumption")}
    shown = {name.split()[0].removeprefix("shop/"): row for name, *row in zip(*cells.values())}
    assert shown == {"ratio": ["0.004", "0.001", "–", "–"], "steady": ["–", "0.001", "–", "–"],
                     "rising": ["–", "0.001", "≥ 2.5", "–"], "reported": ["–", "0.001", "0.0625", "0"]}
    browser.click("thead th.of-consumption button")  # what is unknown comes last
    names = "[...document.querySelectorAll('tbody tr:not(.space) td:first-child a')].map((link) => link.innerText)"
    browser.wait(f"{names}[0] === 'shop/reported'")


def test_a_connection_that_is_little_used_is_not_at_0_percent(browser, server, client):
    for number in range(20):
        client.metrics(queue(f"queue-{number}"), metric_name="", name=f"worker-{number}")

    def utilization():
        return get(server, "/api/connections").json()["connections"][0]["utilization"]
    wait_until(lambda: utilization() > 0, WAIT_SECONDS, "it is more than 0")
    browser.open(server)
    browser.wait_for_text("20 triggers")
    texts = browser.evaluate("import('/assets/format.js').then(({ percent }) => [0, 0.0001, 0.001].map(percent))")
    assert texts == ["0 %", "< 0.1 %", "0.1 %"]


def test_the_curves_of_the_last_hour_come_where_they_were_refused_at_first(browser, server):
    browser.open(server)
    browser.wait_for_text("No triggers yet")
    browser.hide()
    time.sleep(6)
    browser.evaluate("""(async () => {
        ({ store: window.store } = await import('/assets/store.js'));
        const { fetch } = window;
        window.refused = 0;
        window.fetch = async (path, options) => {
            if (path !== '/api/trend') return fetch(path, options);
            const rows = [[Date.now() / 1000 - 1000]];
            return window.refused++ === 0 ? new Response('{"error": "busy"}', { status: 503 })
                : new Response(JSON.stringify({ columns: ['time'], rows }));
        };
    })()""")
    browser.hide(False)  # which connects again
    browser.wait("window.refused === 2 && store.trend[0].time < Date.now() / 1000 - 900")


def test_a_tab_that_is_shown_again_is_not_live_before_it_is_connected(browser, stub):
    browser.hide()
    time.sleep(6)  # after 5 s it gives its connection back
    browser.hide(False)
    wait_until(lambda: len(stub.readers) == 2, WAIT_SECONDS, "another connection")
    assert browser.text("#status") == "Connecting"
    stub.readers[1].put(ALL)
    browser.wait_for_text("Live", "#status")


def test_the_page_of_a_trigger_says_that_the_server_does_not_respond(browser, stub):
    browser.evaluate("(() => { const { timeout } = AbortSignal; AbortSignal.timeout = (time) => timeout.call(AbortSignal, time / 20); })()")
    browser.evaluate("location.hash = '#/trigger/shop/orders'")
    browser.wait_for_text("shop/orders: no response of the server within 10 s", seconds=10)


@pytest.mark.parametrize("name, words", [("refused", "other responses are not read yet: try again later"),
                                         ("unreached", "the server answered 503, and no JSON")])
def test_the_page_of_a_trigger_says_why_the_server_refuses_it(browser, stub, name, words):
    browser.evaluate(f"location.hash = '#/trigger/shop/{name}'")
    browser.wait_for_text(f"shop/{name}: {words}", seconds=10)


def test_nothing_is_counted_before_it_is_known(browser, stub):
    """As of a server whose loop is busy: it has accepted the reader, and sends it nothing."""
    counts = "[...document.querySelectorAll('.count, .number-of')].map(({ textContent }) => textContent).join('')"
    browser.open(stub)
    wait_until(lambda: len(stub.readers) == 2, WAIT_SECONDS, "another reader")
    for page in ("", "connections", "jobs", "log"):
        browser.evaluate(f"location.hash = '#/{page}'")
        browser.wait_for_text(f"Loading the {page or 'triggers'} …")
        assert browser.evaluate(counts) == "", page
        is_clean(browser)
    stub.readers[1].put(ALL)
    browser.wait_for_text("The log is empty.")
    assert browser.evaluate(counts).startswith("0 lines, ")
    for page, text in (("", " 0 0 0 00 triggers"), ("jobs", "0 workers"), ("connections", "")):
        browser.evaluate(f"location.hash = '#/{page}'")
        browser.wait(f"document.querySelector('h1').innerText !== 'Log' && {counts} === '{text}'", seconds=10)


def rows(table, *all_of_it):
    parts = [{"id": number, "fixed": {}, "live": row} for number, row in enumerate(all_of_it, 1)]
    return f"event: rows\ndata: {json.dumps({'table': table, 'rows': parts, 'gone': []})}\n\n"


def test_connections_of_one_name_are_not_mixed_up(browser, stub):
    """Two users at one host, in Secrets of their own, whose triggers are in the order of their names."""
    name = "redis at redis.shared:6379"
    triggers = [{"namespace": "shop", "name": user, "connection": name, "connectionId": number, "connectionName": user}
                for user, number in (("jobs", 2), ("mails", 1))]
    other = {"name": "nats at nats.shared:4222", "state": "connected"}
    stub.readers[0].put(rows("triggers", *triggers) + rows("connections", {"name": name, "state": "failed"}, {"name": name, "state": "connected"}, other) + FIGURES)
    browser.evaluate("location.hash = '#/connections?sort=name'")
    labels = "[...document.querySelectorAll('tbody tr:not(.space) td:first-child a')].map((link) => link.innerText).join()"
    browser.wait(f"{labels} === 'jobs,mails,nats at nats.shared:4222'", seconds=20)
    assert "failed" in browser.evaluate("[...document.querySelectorAll('tbody tr')].find((row) => row.innerText.includes('mails')).innerText")
    browser.click("tbody tr:not(.space) a")
    browser.wait_for_text("1 of 2 triggers")
    assert "shop/jobs" in browser.text() and "Connection: jobs" in browser.text()
    browser.evaluate(f"location.hash = '#/?' + new URLSearchParams({{ connection: {json.dumps(name)}, id: 7 }})")  # of another server
    browser.wait_for_text("2 triggers")


def test_a_trigger_that_is_gone_is_said(browser, server):
    browser.open(server, "/#/trigger/shop/nobody")
    browser.wait_for_text("KEDA has not called for one recently")
    assert browser.axe() == []


def test_rows_that_come_in_pieces_are_all_in_the_table(browser, server):
    browser.open(server)
    browser.wait_for_text("No triggers yet")
    browser.evaluate("""(async () => {
        const { Table } = await import('/assets/table.js');
        const rows = new Map([[1, { id: 1 }]]);
        const column = { key: 'name', label: 'Name', value: ({ id }) => id, text: ({ id }) => `piece ${id}` };
        const sort = { key: 'name', isDown: false };
        const table = new Table({ name: 'pieces', label: 'Pieces', columns: [column], byId: () => rows, sort });
        document.querySelector('main').replaceChildren(table.element);
        table.refresh();
        rows.set(2, { id: 2 });
        table.refresh();  // too soon for another order, and nothing comes after it
    })()""")
    browser.wait_for_text("piece 1", ".pieces")
    browser.wait_for_text("piece 2", ".pieces", seconds=10)


def test_rows_and_titles_of_groups_are_as_high_as_the_table_counts_them(browser, server):
    browser.open(server)
    browser.wait_for_text("No triggers yet")
    heights, total = browser.evaluate("""(async () => {
        const { Table } = await import('/assets/table.js');
        const rows = new Map(Array.from({ length: 500 }, (_, id) => [id, { id }]));
        const column = { key: 'name', label: 'Name', value: ({ id }) => id, text: ({ id }) => `row ${id}` };
        const sort = { key: 'name', isDown: false };
        const groups = (all) => [{ key: 'all', title: 'All', note: '', rows: all, isFolded: false }];
        const table = new Table({ name: 'rows', label: 'Rows', columns: [column], byId: () => rows, sort, groups });
        document.querySelector('main').replaceChildren(table.element);
        table.refresh();
        const shown = [...table.body.querySelectorAll('tr:not(.space)')];
        const heightOf = (element) => element.getBoundingClientRect().height;
        return [[...new Set(shown.map(heightOf))], heightOf(table.body)];
    })()""")
    assert len(heights) == 1 and total == 501 * heights[0], (heights, total)


def test_a_filter_that_leaves_few_rows_shows_them_wherever_the_table_was_scrolled_to(browser, server):
    browser.open(server)
    browser.wait_for_text("No triggers yet")
    shown = browser.evaluate("""(async () => {
        const { Table } = await import('/assets/table.js');
        const all = new Map(Array.from({ length: 1000 }, (_, id) => [id, { id }]));
        let count = 1000;
        const column = { key: 'name', label: 'Name', value: ({ id }) => id, text: ({ id }) => `row ${id}` };
        const sort = { key: 'name', isDown: false };
        const rows = () => [...all.values()].slice(0, count);
        const table = new Table({ name: 'rows', label: 'Rows', columns: [column], byId: () => all, rows, sort });
        document.querySelector('main').replaceChildren(table.element);
        const shown = async (left) => {
            count = left;
            table.refresh(true);
            const atOnce = table.body.innerText.trim().split(/\\s*\\n\\s*/);
            await new Promise((resolve) => setTimeout(resolve, 300));
            const [top, bottom] = [table.scroller.getBoundingClientRect()].flatMap(({ top, bottom }) => [top, bottom]);
            const isInView = (row) => row.getBoundingClientRect().bottom > top + 38 && row.getBoundingClientRect().top < bottom;
            return [atOnce.at(-1), [...table.body.querySelectorAll('tr:not(.space)')].filter(isInView).at(-1)?.innerText];
        };
        const seen = [];
        for (const left of [10, 1]) {
            await shown(1000);
            table.scroller.scrollTop = 22000;
            await new Promise((resolve) => setTimeout(resolve, 300));
            seen.push(await shown(left));
        }
        return seen;
    })()""")
    assert shown == [["row 9", "row 9"], ["row 0", "row 0"]]


def test_a_row_that_has_gone_is_not_shown_until_the_rows_are_arranged_again(browser, server):
    browser.open(server)
    browser.wait_for_text("No triggers yet")
    shown = browser.evaluate("""(async () => {
        const { Table } = await import('/assets/table.js');
        const rows = new Map([1, 2, 3].map((id) => [id, { id }]));
        const column = { key: 'name', label: 'Name', value: ({ id }) => id, text: ({ id }) => `row ${id}` };
        const sort = { key: 'name', isDown: false };
        const table = new Table({ name: 'rows', label: 'Rows', columns: [column], byId: () => rows, sort });
        document.querySelector('main').replaceChildren(table.element);
        table.refresh();
        rows.delete(2);
        table.draw();
        const shown = table.element.innerText;
        rows.set(2, { id: 2 });
        table.draw();
        return [shown, table.element.innerText];
    })()""")
    assert ["row 2" in text for text in shown] == [False, True], shown
    assert all("row 1" in text and "row 3" in text for text in shown), shown


def test_the_focus_stays_on_its_row(browser, server):
    """Or the key Enter opens what another row is about. Of one that leaves the view it goes to the table."""
    browser.open(server)
    browser.wait_for_text("No triggers yet")
    seen = browser.evaluate("""(async () => {
        const { drawLink, Table } = await import('/assets/table.js');
        const all = new Map(Array.from({ length: 300 }, (_, id) => [id, { id, place: id }]));
        const columns = [{ key: 'name', label: 'Name', value: ({ place }) => place,
          draw: (cell, { id }) => drawLink(cell, `#row-${id}`, `row ${id}`) }];
        const sort = { key: 'name', isDown: false };
        let isGrouped = false;
        const groups = (rows) => (isGrouped ? [{ key: 'all', title: 'All', note: '', rows, isFolded: false }] : null);
        const table = new Table({ name: 'rows', label: 'Rows', columns, byId: () => all, sort, groups });
        document.querySelector('main').replaceChildren(table.element);
        table.refresh(true);
        const linkOf = (id) => table.body.querySelector(`a[href="#row-${id}"]`);
        const places = () => [...table.body.querySelectorAll('tr:not(.space) a')].map((link) => link.innerText);
        const focused = () => document.activeElement.innerText.split('\\n')[0];
        const seen = [];
        linkOf(3).focus();
        for (const place of [7.5, -1, 2.5, 0.5]) {
            all.get(3).place = place;
            table.refresh(true);
            seen.push([focused(), places().indexOf('row 3'), new Set(places()).size === places().length]);
        }
        isGrouped = true;
        table.refresh(true);
        seen.push([focused(), places().indexOf('row 3')]);
        table.scroller.scrollTop = 88;
        table.draw();
        seen.push([focused(), places().indexOf('row 3')]);
        all.get(3).place = 1000;
        table.refresh(true);
        seen.push(document.activeElement === table.scroller);
        return seen;
    })()""")
    assert seen == [["row 3", 7, True], ["row 3", 0, True], ["row 3", 3, True], ["row 3", 1, True], ["row 3", 1], ["row 3", 1], True], seen


def test_a_page_that_may_keep_nothing_is_light_and_dark_too(browser, server):
    browser.open(server)
    browser.wait_for_text("No triggers yet")
    browser.evaluate("""(async () => {
        Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no', 'SecurityError'); } });
        document.documentElement.dataset.theme = 'none';
        const script = document.createElement('script');
        script.type = 'module';
        script.src = '/assets/theme.js?again';
        document.head.append(script);
        await new Promise((resolve) => { script.onload = resolve; });
    })()""")
    assert browser.evaluate("document.documentElement.dataset.theme") == "light"


def test_a_plot_shows_its_values_where_its_library_did_not_load(browser, server):
    browser.open(server)
    browser.wait_for_text("No triggers yet")
    browser.evaluate("""(async () => {
        const { makePlot } = await import('/assets/plots.js');
        window.uPlot = undefined;
        const series = [{ label: 'wanted', colour: 'replicas', isStep: true }];
        const plot = makePlot({ title: 'Replicas', unit: 'replicas', summary: 'wanted', series, isWhole: true });
        document.querySelector('main').replaceChildren(plot.element);
        plot.draw({ times: [1, 2], columns: [[5, 7]], span: [1, 2], outages: [] });
    })()""")
    browser.wait_for_text("7", ".plot .legend-value", seconds=10)


def test_a_plot_says_the_peak_of_its_range(browser, server):
    browser.open(server)
    browser.wait_for_text("No triggers yet")
    labels = browser.evaluate("""(async () => {
        const { makePlot } = await import('/assets/plots.js');
        const series = [{ label: 'waiting', colour: 'plot-1' }];
        const plot = makePlot({ title: 'Work', unit: 'messages', summary: 'waiting', series });
        document.querySelector('main').replaceChildren(plot.element);
        const labelOf = (span, values) => {
            plot.draw({ times: [10, 20, 30, 40], columns: [values], span, outages: [] });
            return plot.element.querySelector('[role=img]').getAttribute('aria-label');
        };
        return [labelOf([0, 50], [96, 7, 3, 50]), labelOf([15, 35], [96, 7, 3, 50]), labelOf([31, 39], [96, 7, 3, 50]),
                labelOf([15, 35], [96, 7, null, 50]), labelOf([15, 35], [96, null, null, 50])];
    })()""")
    assert [label.removeprefix("Work, waiting: ") for label in labels] == [
        "50 at the end, at most 96", "3 at the end, at most 7", "3 at the end, at most 3", "unknown at the end, at most 7",
        "unknown at the end, at most unknown"]


def test_actual_replicas_are_unknown_where_they_cannot_be_read(browser, server):
    browser.open(server)
    browser.wait_for_text("No triggers yet")
    samples = browser.evaluate("""(async () => {
        const { store } = await import('/assets/store.js');
        const { makeReplicaSamples } = await import('/assets/trigger_replicas.js');
        const { fetch } = window;
        const sampled = async (hello, answers) => {
            const replicas = makeReplicaSamples('shop', 'orders');
            store.hello = { ...store.hello, hasHpas: false, hasWorkers: false, ...hello };
            for (const answer of answers) {
                window.fetch = async () => new Response(JSON.stringify(answer), { status: answer ? 200 : 503 });
                await replicas.sample();
            }
            return replicas.samples.map(([, count]) => count);
        };
        const seen = { secondsAgo: 1, error: null };
        const pods = { ...seen, workers: [{ state: 'Running' }], hasMore: false };
        const all = [
            await sampled({ hasHpas: true }, [null, { ...seen, replicas: 3 }, null, { ...seen, replicas: 4 }]),
            await sampled({ hasWorkers: true }, [{ objects: [pods] }, null, { objects: [{ ...pods, hasMore: true }] }, { objects: [] }]),
            await sampled({ hasWorkers: true }, [null, { objects: [] }]),
        ];
        window.fetch = fetch;
        return all;
    })()""")
    assert samples == [[3, None, 4], [1, None, None, None], []]


def test_actual_replicas_are_unknown_where_nobody_looked(browser, server):
    """While the page was in the background, or the computer asleep, no sample was taken."""
    browser.open(server)
    browser.wait_for_text("No triggers yet")
    seen = browser.evaluate("""(async () => {
        const { stepsAt } = await import('/assets/trigger_history.js');
        const samples = [[100, 3], [103, 3], [1303, 40], [1306, null], [1309, 38]];
        return stepsAt([90, 100, 110, 133, 134, 1300, 1303, 1307, 1310, 1340], samples, 30);
    })()""")
    assert seen == [None, 3, 3, 3, None, None, 40, None, 38, None]


def actual_replicas_of(browser, *samples):
    """What the plot of a trigger has that was measured each 10 s in the last 10 minutes, for samples (age, replicas)."""
    return browser.evaluate(f"""(async () => {{
        const {{ makeTriggerPlots }} = await import('/assets/trigger_plots.js');
        const now = Date.now() / 1000;
        const samples = {json.dumps(samples)}.map(([age, count]) => [now - age, count]);
        const {{ uPlot }} = window;
        const drawn = [];
        window.uPlot = class {{ static paths = uPlot.paths; constructor(_, data) {{ drawn.push(data); }} destroy() {{}} setSize() {{}} }};
        const times = Array.from({{ length: 60 }}, (_, index) => now - 600 + index * 10);
        const column = times.map(() => 2);
        makeTriggerPlots(samples, () => {{}}).draw({{ target: 1, stateNow: 'answered', holdSeconds: 60, data: {{ hasWaiting: true, times,
            waiting: column, inFlight: column, replicas: column, arrivals: column, consumption: column,
            state: times.map(() => 'answered'), boundBy: times.map(() => null) }} }});
        window.uPlot = uPlot;
        return drawn[1][2].slice(1);
    }})()""")


def test_the_plot_of_replicas_has_a_gap_where_nobody_looked(browser, server):
    browser.open(server)
    browser.wait_for_text("No triggers yet")
    seen = actual_replicas_of(browser, (600, 3), (595, 3), (101, 40), (85, 40), (60, 40), (35, 40), (12, 40))
    assert seen == [3] * 3 + [None] * 46 + [40] * 10


def test_a_poll_asks_for_one_thing_at_a_time_while_somebody_sees_it(browser, server):
    browser.open(server)
    browser.wait_for_text("No triggers yet")
    browser.evaluate("""(async () => {
        const { poll } = await import('/assets/poll.js');
        window.asked = [];  // how each ends
        const load = (signal) => new Promise((end, fail) => asked.push({ end, fail, signal }));
        window.made = poll({ what: 'Orders', load, everyMs: 100, failed: () => (window.failures = (window.failures ?? 0) + 1) });
        window.seen = () => [asked.length, made.message.hidden ? '' : made.message.textContent.replace(/[0-9:]{8}/, 'then')];
        window.rest = (milliseconds = 400) => new Promise((resolve) => setTimeout(resolve, milliseconds));
        made.start();
        await rest();
    })()""")
    assert browser.evaluate("seen()") == [1, ""]  # though the next one is due
    assert browser.evaluate("asked.at(-1).fail(new Error('none yet')), rest().then(seen)") == [2, "Orders: none yet"]
    assert browser.evaluate("asked.at(-1).end(false), rest().then(seen)") == [3, "Orders: none yet"]  # nothing new
    assert browser.evaluate("asked.at(-1).end(), rest().then(seen)") == [4, ""]
    assert browser.evaluate("asked.at(-1).fail(new Error('busy')), rest().then(seen)") == [5, "Orders, not renewed since then: busy"]
    browser.hide()
    assert browser.evaluate("asked.at(-1).end(), rest().then(seen)") == [5, ""]
    browser.hide(False)
    assert browser.evaluate("rest(50).then(seen)") == [6, ""]  # at once
    assert browser.evaluate("made.message.role ?? made.message.getAttribute('role')") == "alert"
    assert browser.evaluate("[failures, asked.at(-1).signal.aborted, made.close(), asked.at(-1).signal.aborted]") == [2, False, None, True]
    assert browser.evaluate("asked.at(-1).fail(new Error('ended')), rest().then(seen)") == [6, ""]


def test_a_poll_is_sooner_where_something_has_changed(browser, server):
    browser.open(server)
    browser.wait_for_text("No triggers yet")
    counts = browser.evaluate("""(async () => {
        const { poll } = await import('/assets/poll.js');
        const rest = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
        let count = 0;
        const made = poll({ what: 'Orders', load: async () => { count++; }, everyMs: 60000, soonMs: 500 });
        const counts = [];
        const note = async (milliseconds) => { await rest(milliseconds); counts.push(count); };
        made.start();
        await note(200);
        made.hurry();
        await note(100);
        made.hurry();  // which puts nothing off
        await note(400);
        await note(600);
        made.close();
        made.hurry();
        await note(600);
        return counts;
    })()""")
    assert counts == [1, 1, 2, 2, 2]


def test_workers_that_are_not_renewed_are_said_and_their_ages_go_on(browser, server):
    browser.open(server)
    browser.wait_for_text("No triggers yet")
    browser.evaluate("""(async () => {
        const { store } = await import('/assets/store.js');
        const { fetch } = window;
        const pod = { id: 'x', pod: 'orders-1', state: 'Running', ready: true, restarts: 0, created: Date.now() / 1000 - 20 };
        const page = { objects: [{ namespace: 'shop', name: 'orders', secondsAgo: 1, error: null, hasMore: false, workers: [pod] }], hasMore: false };
        window.page = page;
        window.isBusy = false;
        window.fetch = async (path, options) => {
            if (!path.startsWith('/api/workers')) return fetch(path, options);
            return window.isBusy ? new Response('{"error": "busy"}', { status: 503 }) : new Response(JSON.stringify(page));
        };
        store.hello = { ...store.hello, hasWorkers: true };
        location.hash = '#/workers';
    })()""")
    browser.wait_for_text("orders-1")
    browser.evaluate("window.isBusy = true")
    browser.wait("/Workers, not renewed since [0-9:]{8}: busy/.test(document.querySelector('main').innerText)")
    age = "document.querySelector('tbody td.of-age').innerText"
    before = browser.evaluate(age)
    browser.wait(f"{age} !== {json.dumps(before)}", seconds=20)
    assert "orders-1" in browser.text() and browser.axe() == []
    browser.evaluate("window.isBusy = false")
    browser.wait("!document.querySelector('main').innerText.includes('not renewed')")
    browser.evaluate("page.objects[0].secondsAgo = 40")  # the server reads others first
    browser.wait_for_text("shop/orders: as of 40 s ago", ".notes")


def test_workers_are_unknown_while_nobody_counts_them(browser, server):
    """Only the cards count the pods of a cluster: what they counted last is no figure of the time after it."""
    browser.open(server)
    browser.wait_for_text("No triggers yet")
    browser.evaluate("""(async () => {
        ({ store: window.store } = await import('/assets/store.js'));
        const { fetch } = window;
        const pods = { secondsAgo: 1, error: null, hasMore: false, workers: [{ state: 'Running' }] };
        window.fetch = async (path, options) => (path === '/api/workers' ? new Response(JSON.stringify({ objects: [pods], hasMore: false })) : fetch(path, options));
        window.counts = () => store.trend.slice(-2).map(({ runningWorkers }) => runningWorkers ?? null).join();
        store.hello = { ...store.hello, hasWorkers: true };
    })()""")
    browser.wait("counts() === '1,1'")
    browser.evaluate("window.before = store.trend.length; location.hash = '#/log'")
    browser.wait("location.hash === '#/log' && document.querySelector('.cards') === null")
    browser.evaluate("location.hash = '#/'")  # other cards, before those of before have ended
    browser.wait("document.querySelector('.cards') !== null")
    time.sleep(7)
    assert not browser.evaluate("store.trend.slice(before).some(({ runningWorkers }) => runningWorkers !== 1)")
    browser.evaluate("location.hash = '#/log'")
    browser.wait("counts() === ','", seconds=20)


def test_the_page_of_the_log_filters_its_lines_again_only_where_there_are_others(browser, server):
    browser.open(server, "/#/log")
    browser.wait_for_text("listening on")
    browser.evaluate("""(async () => {
        ({ store: window.store } = await import('/assets/store.js'));
        const { log } = store;
        window.filtered = 0;
        window.version = store.version.log;
        log.filter = (...condition) => {
            filtered++;
            return Array.prototype.filter.apply(log, condition);
        };
    })()""")
    time.sleep(4)  # the figures of the server are others each second
    assert browser.evaluate("filtered <= store.version.log - version")
    browser.fill("#search", "no such line")
    browser.wait_for_text("No line matches the filter.")


def test_an_outage_goes_on_after_its_hold(server, browser):
    """No sample says when the hold ends: a connection that failed is not measured."""
    browser.open(server, "/?page=outages")  # another address, so that the scripts start anew
    outages = browser.evaluate("""(async () => {
        const { outagesOf } = await import('/assets/trigger_history.js');
        const now = Date.now() / 1000;
        const data = { times: [now - 200, now - 100], state: ['answered', 'held'] };
        const over = { times: [now - 200, now - 190, now - 100, now - 50], state: ['answered', 'held', 'answered', 'answered'] };
        return [[data, 'held'], [data, 'refused'], [data, undefined], [over, 'answered']].map(([data, state]) =>
          outagesOf(data, state, 60).map(({ kind, from, to }) => [kind, Math.round(from - now), Math.round(to - now)]));
    })()""")
    assert outages == [[["held", -100, 0]], [["held", -100, -40], ["refused", -40, 0]], [["held", -100, -100]],
                       [["held", -190, -130], ["refused", -130, -100]]]


def test_the_changes_of_a_trigger_name_the_end_of_a_hold(browser, server):
    """It is not the beginning of the outage."""
    browser.open(server)
    browser.wait_for_text("No triggers yet")
    changes = browser.evaluate("""(async () => {
        const { changesOf } = await import('/assets/trigger_history.js');
        const state = ['answered', 'held', 'refused', 'held', 'answered', 'refused', 'answered'];
        const none = state.map(() => null);
        const times = state.map((_, index) => index);
        return changesOf({ times, state, replicas: none, active: none, status: none, boundBy: none });
    })()""")
    assert changes[::-1] == [
        [1, "measuring failed: the last value is held"],
        [2, "the hold is over: KEDA gets errors"],
        [3, "the last value is held"],
        [4, "measured again"],
        [5, "measuring failed"],
        [6, "measured again"],
    ]


def test_it_connects_again_to_a_server_that_was_restarted(browser, server, client, redis):
    push(redis, "orders", 3)
    client.metrics(queue("orders"), metric_name="", name="orders")
    browser.open(server)
    browser.wait_for_text("shop/orders")
    port = server.http_port
    server.stop()
    browser.wait_for_text("Connection lost", "#status")
    server.arguments[server.arguments.index("--http") + 1] = f"127.0.0.1:{port}"
    server.start()
    browser.wait_for_text("Live", "#status")
    browser.wait_for_text("No triggers yet")


def test_a_tab_that_opens_in_the_background_connects_when_it_is_shown(browser, server):
    """A browser has six connections to a server, for all its tabs."""
    browser.open(server, hidden=True)
    time.sleep(2)  # in which one that is shown is live
    assert browser.text("#status") == "Connecting"
    browser.hide(False)
    browser.wait_for_text("Live", "#status")
    browser.wait_for_text("No triggers yet")


def test_a_tab_that_was_in_the_background_keeps_its_place_in_the_table(browser, server, client, redis):
    for number in range(300):
        client.metrics(queue(f"queue-{number}"), metric_name="", name=f"worker-{number:03}")
    browser.open(server)
    browser.wait_for_text("300 triggers")
    browser.evaluate("document.querySelector('.scroller').scrollTop = 4400")
    browser.wait_for_text("shop/worker-105")
    browser.evaluate("""(() => {
        window.EventSource = class extends EventSource {  // of a slow network: the rows come some frames after the first event
            addEventListener(name, take) {
                super.addEventListener(name, (event) => setTimeout(take, name === 'hello' ? 0 : 300, event));
            }
        };
        window.seen = [];
        const look = () => {
            const { hidden, scrollTop } = document.querySelector('.scroller');
            window.seen.push(hidden ? 'hidden' : scrollTop);
            requestAnimationFrame(look);
        };
        look();
    })()""")
    browser.hide()
    time.sleep(6)  # after 5 s it gives its connection back
    client.metrics(queue("other"), metric_name="", name="worker-999")
    time.sleep(3)
    assert browser.text(".count") == "300 triggers"
    browser.hide(False)
    browser.wait_for_text("301 triggers")
    browser.wait_for_text("shop/worker-105")
    assert set(browser.evaluate("window.seen")) == {4400}
    is_clean(browser)


def test_names_from_outside_are_text(browser, server, client, redis):
    name = "<img src=x onerror=alert(1)>"
    client.metrics(queue("<script>document.title='owned'</script>"), metric_name="", name=name, namespace="<b>shop")
    browser.open(server)
    browser.wait_for_text(name)
    assert browser.evaluate("document.querySelectorAll('main img, main b, main script').length") == 0
    browser.click("tbody a")
    browser.wait_for_text("at a target of")
    assert browser.evaluate("document.querySelectorAll('main img, main script').length") == 0
    assert browser.evaluate("document.title") == f"<b>shop/{name} · Backlog"
    is_clean(browser)


def test_no_page_has_a_secret_and_each_has_a_policy(server, client, redis):
    client.metrics(queue("orders"), metric_name="", name="orders")
    for path in ("/", "/assets/app.js", "/api/server", "/api/connections", "/api/log", "/api/triggers/shop/orders", "/api/history/shop/orders"):
        answer = get(server, path)
        assert "pass-phrase" not in answer.text
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    page = get(server, "/").text
    assert "style=" not in page and "onclick" not in page
    assert get(server, "/api/connections").json()["connections"][0]["state"] == "connected"
    assert get(server, "/api/server").json()["triggers"] == 1
    assert any("listening on" in line["text"] for line in get(server, "/api/log").json()["lines"])
    get(server, "/nowhere", 404)
    get(server, "/assets/nothing.js", 404)
    client.metric_spec({"scaler": "prometheus", "serverAddress": "http://127.0.0.1:1/path-of-a-token", "query": "up", "threshold": "5",
                        "queryParameters": "token=of-a-url"})
    shown = get(server, "/api/triggers").text + get(server, "/api/triggers/shop/orders").text
    assert "http://127.0.0.1:1" in shown and "of-a-" not in shown


def test_of_five_thousand_triggers_few_rows_are_drawn(browser, server, client, redis):
    for number in range(MANY):
        client.metrics(queue(f"queue-{number % 500}"), metric_name="", name=f"worker-{number:04}")
    browser.open(server)
    browser.wait_for_text("5,000 triggers")
    assert browser.evaluate("document.querySelectorAll('tbody tr').length") < 100
    push(redis, "queue-7", 42)
    browser.fill("#search", "worker-4507")
    browser.wait_for_text("1 of 5,000 triggers")
    browser.wait("document.querySelector('tbody tr:not(.space)').innerText.includes('42')")
    browser.fill("#search", "")
    browser.wait_for_text("5,000 triggers")
    # While it scrolls through all of them, too; how long that takes is measured by bench/dashboard.
    rows = browser.evaluate("""(async () => {
        const scroller = document.querySelector('.scroller');
        const rows = [];
        for (let step = 0; step <= 120; step++) {
            scroller.scrollTop = (scroller.scrollHeight * step) / 120;
            await new Promise(requestAnimationFrame);
            rows.push(document.querySelectorAll('tbody tr').length);
        }
        return rows;
    })()""")
    assert max(rows) < 100 and len(rows) == 121, rows
    browser.wait("document.querySelector('tbody').innerText.includes('worker-4999')")
    browser.screenshot("many")
    is_clean(browser)
    wait_until(lambda: get(server, "/api/server").json()["triggers"] == MANY, WAIT_SECONDS, "all are counted")
