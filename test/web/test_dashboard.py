"""The dashboard in a real Chromium, before a server that measures a real Redis: what all its pages have in common."""

import json
import os
import re
import subprocess
import time

import pytest
import requests

from support.brokers.redis import Redis
from support.pages.page import asset, get
from support.pages.shop import fill_shop, is_clean, push, queue
from support.pages.stub import ALL, FIGURES, rows
from support.process import need, wait_until
from support.server.server import REPOSITORY

WAIT_SECONDS = 60


def test_a_server_without_triggers_says_what_to_do(browser, idle_server):
    browser.open(idle_server)
    browser.wait_for_text("No triggers yet")
    assert "Live" in browser.text("#status")
    browser.screenshot("empty")
    browser.open(idle_server, "/#/connections")
    browser.wait_for_text("No connections yet")
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
    browser.evaluate("document.querySelector('.bar > button').focus()")
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


def test_an_address_that_is_no_text_is_the_first_page(browser, idle_server):
    browser.open(idle_server, "/#/trigger/shop/%E0%A4%A")
    browser.wait_for_text("No triggers yet")
    is_clean(browser)


def test_pages_have_one_interface(browser, idle_server):
    browser.open(idle_server)
    browser.wait_for_text("No triggers yet")
    pages = browser.evaluate("""(async () => {
        const made = [
            (await import('/assets/pages/triggers.js')).triggersPage(),
            (await import('/assets/pages/object.js')).objectPage('shop', 'orders'),
            (await import('/assets/pages/workers.js')).workersPage(),
            (await import('/assets/pages/workers.js')).workersPage('shop', 'orders'),
            (await import('/assets/pages/connections.js')).connectionsPage(),
            (await import('/assets/pages/log.js')).logPage(),
            (await import('/assets/pages/rehearsal_workers.js')).rehearsalWorkersPage(),
        ];
        return made.map((page) => {
            page.draw();
            page.close();
            return Object.keys(page).sort().join();
        });
    })()""")
    assert set(pages) == {"close,draw,element,title"}, pages
    assert all("404" in problem for problem in browser.problems())  # there is no shop/orders


def test_an_error_of_a_page_is_not_hidden_by_the_first_page(browser, idle_server):
    browser.open(idle_server)
    browser.wait_for_text("No triggers yet")
    browser.evaluate("""(() => {
        document.createElement = (tag) => {
            if (tag === 'ol') throw new Error('no list');
            return Document.prototype.createElement.call(document, tag);
        };
        location.hash = '#/log';
    })()""")
    wait_until(lambda: any("no list" in problem for problem in browser.problems()), 5, "the error is reported")


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
                   "lagCount": "10", "interval": "1s", "maxReplicaCount": "5"}
        client.metrics(options, metric_name="", name="jobs")
        browser.open(server)
        browser.evaluate("""(async () => {
            ({ store: window.store } = await import('/assets/state/store.js'));
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
        const {{ UNSHOWN_KEYS }} = await import('/assets/pages/triggers.js');
        const {{ columnsOf, UNSHOWN_COLUMNS }} = await import('/assets/trigger/trigger_history.js');
        const columns = {json.dumps(history)};
        const read = new Set();
        columnsOf({{ columns, rows: [new Proxy([], {{ get: (_, index) => (read.add(columns[index]), null) }})] }});
        return [UNSHOWN_KEYS, UNSHOWN_COLUMNS, columns.filter((column) => !read.has(column))];
    }})()""")
    assert browser.evaluate("[...window.sent].filter((key) => !window.read.has(key))") == unshown
    assert unread_of_history == unshown_of_history
    is_clean(browser)


def test_nothing_is_counted_before_it_is_known(browser, stub):
    """As of a server whose loop is busy: it has accepted the reader, and sends it nothing."""
    counts = "[...document.querySelectorAll('.count, .number-of')].map(({ textContent }) => textContent).join('')"
    browser.open(stub)
    wait_until(lambda: len(stub.readers) == 2, WAIT_SECONDS, "another reader")
    for page, what in (("", "triggers"), ("workers", "workers"), ("connections", "connections"), ("jobs", "workers"), ("log", "log")):
        browser.evaluate(f"location.hash = '#/{page}'")
        browser.wait_for_text(f"Loading the {what} …")
        assert browser.evaluate(counts) == "", page
        is_clean(browser)
    stub.readers[1].put(ALL)
    browser.wait_for_text("The log is empty.")
    assert browser.evaluate(counts).startswith("0 lines, ")
    for page, text in (("", " 0 0 0 00 triggers"), ("jobs", "0 workers"), ("connections", "")):
        browser.evaluate(f"location.hash = '#/{page}'")
        browser.wait(f"document.querySelector('h1').innerText !== 'Log' && {counts} === '{text}'", seconds=10)


def test_a_low_window_has_place_for_rows(browser, stub):
    """As of 1280 x 1024 that is enlarged to 400 % (WCAG 1.4.10): the top took half of it, and the table one row."""
    failing = [{"namespace": "shop", "name": f"worker-{number}", "state": "refused"} for number in range(100)]
    stub.readers[0].put(rows("triggers", *failing) + FIGURES)
    browser.size(320, 256)
    browser.wait_for_text("100 triggers")
    browser.evaluate("document.querySelector('tbody a').focus()")
    browser.wait("document.querySelector('.scroller').getBoundingClientRect().top < 256")
    browser.evaluate("document.querySelector('.scroller').scrollIntoView()")
    seen = browser.evaluate("""[...document.querySelectorAll('tbody tr:not(.space)')].filter((row) => {
        const { top, bottom } = row.getBoundingClientRect();
        return top > 0 && bottom < 256 && document.elementFromPoint(60, (top + bottom) / 2).closest('tr') === row;
    }).length""")
    assert seen >= 3 and browser.evaluate("document.documentElement.scrollWidth") == 320
    is_clean(browser)


def test_a_contrast_theme_shows_what_is_chosen(browser, idle_server):
    """It takes backgrounds away: of links and buttons only a background, or a transparent border, said which is chosen."""
    browser.open(idle_server, contrast=True)
    browser.wait_for_text("No triggers yet")
    colours = browser.evaluate("[...document.querySelectorAll('nav a')].map((one) => getComputedStyle(one).borderBottomColor)")
    assert len(set(colours)) == 2, colours
    widths = browser.evaluate("[...document.querySelectorAll('.segments button')].map((one) => [one.ariaPressed, getComputedStyle(one).borderTopWidth].join())")
    assert set(widths) == {"true,1px", "false,0px"}, widths
    browser.screenshot("contrast")
    is_clean(browser)


def test_a_page_that_may_keep_nothing_is_light_and_dark_too(browser, idle_server):
    browser.open(idle_server)
    browser.wait_for_text("No triggers yet")
    browser.evaluate("""(async () => {
        Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no', 'SecurityError'); } });
        document.documentElement.dataset.theme = 'none';
        const script = document.createElement('script');
        script.type = 'module';
        script.src = document.querySelector('script[src$="theme.js"]').src + '?again';
        document.head.append(script);
        await new Promise((resolve) => { script.onload = resolve; });
    })()""")
    assert browser.evaluate("document.documentElement.dataset.theme") == "light"


def test_a_page_is_of_one_build_and_browsers_keep_its_files(server):
    """Of two pods in an upgrade one may send the page, and the other one a script of another build."""
    hello, path = "", asset(server, "")
    with requests.get(f"http://127.0.0.1:{server.http_port}/api/events", timeout=WAIT_SECONDS, stream=True) as events:
        for line in events.iter_lines():
            hello = line.decode()
            if hello.startswith("data: "):
                break
    assert path == f"/assets/{json.loads(hello.removeprefix('data: '))['assets']}/"
    for page in ("/", "/login"):
        answer = get(server, page)
        assert answer.headers["Cache-Control"] == "no-store"
        named = re.findall(r'"(/assets/[^"]*)"', answer.text)
        assert len(named) >= 4 and all(name.startswith(path) for name in named)
        for name in named:
            assert get(server, name).headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert get(server, f"{path}parts/table.js").headers["Cache-Control"] == "public, max-age=31536000, immutable"
    for other in ("/assets/app.js", "/assets/0123456789abcdef/app.js", f"{path}nothing.js", f"{path}table.js", f"{path}parts", path):
        assert get(server, other, 404).headers["Cache-Control"] == "no-store"


def test_the_version_of_the_files_is_a_digest_of_all_of_them(tmp_path):
    versions = set()
    (tmp_path / "index.html").write_text('<script src="/assets/a.js"></script>')
    for text in ("one();", "other();"):
        (tmp_path / "a.js").write_text(text)
        out = tmp_path / "assets.c"
        subprocess.run([need("cmake"), f"-DFILES={tmp_path}/index.html;{tmp_path}/a.js", f"-DOUT={out}", "-P",
                        os.path.join(REPOSITORY, "tools", "assets.cmake")], check=True)
        version = re.search(r'assets_version\[\] = "([0-9a-f]{16})"', out.read_text())[1]
        page = bytes(int(byte, 16) for byte in re.search(r"bytes_0\[\] = \{(.*),0\};", out.read_text())[1].split(","))
        assert page.decode() == f'<script src="/assets/{version}/a.js"></script>'
        assert f'"index.html", bytes_0, {len(page)}}}' in out.read_text()
        versions.add(version)
    assert len(versions) == 2


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
    for path in ("/", asset(server, "app.js"), "/api/server", "/api/connections", "/api/log", "/api/triggers/shop/orders", "/api/history/shop/orders"):
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
    get(server, asset(server, "nothing.js"), 404)
    client.metric_spec({"scaler": "prometheus", "serverAddress": "http://127.0.0.1:1/path-of-a-token", "query": "up", "threshold": "5",
                        "queryParameters": "token=of-a-url"})
    shown = get(server, "/api/triggers").text + get(server, "/api/triggers/shop/orders").text
    assert "http://127.0.0.1:1" in shown and "of-a-" not in shown
