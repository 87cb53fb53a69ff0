"""The dashboard's first page: cards, and the table of all triggers."""

import json
import re
import time

import pytest

from support.brokers.redis import Redis
from support.pages.page import get
from support.pages.shop import POLICIES, fill_shop, is_clean, push, queue
from support.pages.stub import figures, put_figures, rows
from support.process import wait_until

MANY = 5000
WAIT_SECONDS = 60


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


def test_the_table_shows_what_bound_the_replicas(browser, server, client, redis):
    push(redis, "orders", 40)
    client.metrics(queue("orders"), metric_name="", name="plain")
    client.metrics(queue("orders", maxReplicaCount="5"), metric_name="", name="limited")
    browser.open(server)
    browser.wait_for_text("shop/plain")
    row = "[...document.querySelectorAll('tbody tr')].find((row) => row.innerText.includes('shop/%s'))"
    browser.wait(f"{row % 'limited'}?.innerText.includes('maximum')")
    assert "Bound by" in browser.text("main thead")
    assert "maximum" not in browser.evaluate(f"{row % 'plain'}.innerText")
    is_clean(browser)
    browser.open(server, "/#/trigger/shop/limited")  # of what the policy chose; the target is a replica, and no number of messages
    browser.wait_for_text("wanted 5", ".plots")
    assert "target of a replica" not in browser.text(".plots") and "Value (replicas)" in browser.text()
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


def test_sums_say_that_they_are_a_part(browser, stub):
    now = time.time()
    sums = {"triggers": 11, "failing": 9, "held": 1, "unmeasured": 1, "active": 1, "queries": 2, "waiting": 4, "inFlight": 2, "replicas": 1, "time": now, "sent": now}
    stub.readers[0].put(f"event: server\ndata: {json.dumps(sums)}\n\n")
    notes = ("Object.fromEntries([...document.querySelectorAll('.card')].map((card) =>"
             " [card.querySelector('dt').textContent, card.querySelector('.note').textContent]))")
    browser.wait(f"{notes}['Active triggers'] === 'of 11, 10 unknown, 1 held'")
    shown = browser.evaluate(notes)
    assert {shown[name] for name in ("Waiting", "In flight", "Replicas wanted")} == {"triggers: 10 unknown, 1 held"}, shown
    stub.readers[0].put(f"event: server\ndata: {json.dumps({**sums, 'failing': 0, 'unmeasured': 0, 'held': 3})}\n\n")
    browser.wait(f"{notes}.Waiting === 'triggers: 3 held'")  # with the readings of before an outage
    assert browser.evaluate(notes)["Active triggers"] == "of 11, 3 held"


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


def test_the_curves_of_the_last_hour_come_where_they_were_refused_at_first(browser, idle_server):
    browser.open(idle_server)
    browser.wait_for_text("No triggers yet")
    browser.hide()
    time.sleep(6)
    browser.evaluate("""(async () => {
        ({ store: window.store } = await import('/assets/state/store.js'));
        const { fetch } = window;
        window.refused = 0;
        window.fetch = async (path, options) => {
            if (path !== '/api/trend') return fetch(path, options);
            const rows = [[Date.now() / 1000 - 1000]];
            return window.refused++ === 0 ? new Response('{"error": "busy"}', { status: 503 })
                : new Response(JSON.stringify({ columns: ['time'], rows }), { headers: { 'Backlog-Instance': store.hello.instance } });
        };
    })()""")
    browser.evaluate("store.trend[0].workers = { running: 7 }; window.before = store.trend[0].time")
    browser.hide(False)  # which connects again
    browser.wait("window.refused > 0")
    assert browser.evaluate("store.trend[0].time === before")  # what the page knew stays meanwhile
    browser.wait("window.refused === 2 && store.trend[0].time < Date.now() / 1000 - 900")
    # The server does not know the workers of then.
    assert browser.evaluate("store.trend[1].time === before && store.trend[1].workers.running === 7")


def test_a_point_of_a_curve_has_the_time_of_its_figures(browser, stub):
    """Beside those of the server, which have it. Figures that come late had the time at which they came."""
    seen = "import('/assets/state/store.js').then(({ store }) => [store.trend.map(({ time }) => time), store.server.time])"
    put_figures(browser, stub, 20)
    times, time_of_figures = browser.evaluate(seen)
    assert times == [time_of_figures]
    put_figures(browser, stub, 3)
    times, time_of_figures = browser.evaluate(seen)
    assert len(times) == 2 and times[1] == time_of_figures
    stub.readers[0].put(f'event: server\ndata: {json.dumps({"triggers": 7, "time": time_of_figures})}\n\n')  # again
    browser.wait("import('/assets/state/store.js').then(({ store }) => store.server.triggers === 7)")
    assert browser.evaluate(seen) == [times, time_of_figures]
    put_figures(browser, stub, 2 * 3600)  # of a server that hung
    assert browser.evaluate(seen.replace("store.server.time", "0")) == [[], 0]
    is_clean(browser)


def test_a_value_between_two_gaps_of_a_curve_is_a_dot(browser, stub):
    """A line needs two values: the curve of a figure that was known once was empty, below its maximum."""
    browser.evaluate("""(async () => {
        const { changed, store } = await import('/assets/state/store.js');
        const now = Date.now() / 1000;
        const waiting = [null, 5, null, 3, 4, null, 2];
        store.trend = waiting.map((value, index) => ({ time: now - 60 + index * 10, waiting: value, cpu: 0.1 }));
        changed();
    })()""")
    paths = card_paths("Waiting")
    browser.wait(f"{paths}.join('').includes('h0')")
    line, dots = browser.evaluate(paths)
    assert line.count("M") == line.count("L") == 1 and dots.count("M") == dots.count("h0") == 2
    assert dots.endswith("M120.0 16.9h0"), dots  # 2 of 5, at the end
    line, dots = browser.evaluate(card_paths("CPU"))
    assert line.count("M") == 1 and line.count("L") == 6 and dots == ""
    assert browser.evaluate("""[...document.querySelectorAll('.curve.dots')].map((path) => {
        const { strokeWidth, strokeLinecap } = getComputedStyle(path);
        return `${strokeWidth} ${strokeLinecap}`;  // without round ends a dot is nothing
    }).every((drawn) => drawn === '4px round')""")
    is_clean(browser)


def test_a_curve_without_two_points_has_no_times(browser, stub):
    """It had "now", at the end of nothing."""
    ends = "[...document.querySelectorAll('.card .times')].map(({ textContent }) => textContent).join('')"
    trend = """(async () => {
        const { changed, store } = await import('/assets/state/store.js');
        const now = Date.now() / 1000;
        store.trend = [now - 10, now].slice(0, %d).map((time) => ({ time, cpu: 0.1 }));
        changed();
    })()"""
    browser.evaluate(trend % 2)
    browser.wait(f"{ends}.includes('now')")
    browser.evaluate(trend % 1)
    browser.wait(f"{ends} === ''")


def card_paths(label):
    return (f"[...[...document.querySelectorAll('.card')].find((card) => card.querySelector('dt').textContent === '{label}')"
            ".querySelectorAll('path')].map((path) => path.getAttribute('d'))")


def test_the_card_of_workers_says_what_it_lacks_and_needs_no_request(browser, stub):
    """One request of its own that failed made it a dash: what the figures have stays until there are others."""
    counted = {"running": 1, "pods": 2, "objects": 31, "unread": 0, "areBounds": False, "oldestSecondsAgo": 1}
    browser.evaluate("""(() => {
        const { fetch } = window;
        window.asked = [];
        window.fetch = (path, options) => (asked.push(path), fetch(path, options));
    })()""")
    stub.readers[0].put('event: hello\ndata: {"mode": "serve", "hasWorkers": true}\n\nevent: ready\ndata: {}\n\n')
    browser.wait(f"{card('Active jobs')} === '–' && {card('Active jobs', 'note')} === ''")
    for change, value, note in (({}, "1", "of 2 pods"),
                                ({"oldestSecondsAgo": 40}, "1", "of 2 pods, as of up to 40 s ago"),  # the server reads others first
                                ({"unread": 3}, "1", "of 2 pods, 3 of 31 objects not read, as of up to 40 s ago"),
                                ({"unread": 0, "oldestSecondsAgo": 1, "areBounds": True}, "≥ 1", "of 2 pods"),
                                ({"running": None, "pods": None, "unread": 31}, "–", "31 of 31 objects not read"),
                                ({"running": 1, "pods": 2, "unread": 0, "areBounds": False}, "1", "of 2 pods")):
        counted.update(change)
        now = time.time()
        stub.readers[0].put(f'event: server\ndata: {json.dumps({"triggers": 0, "time": now, "sent": now, "workers": counted})}\n\n')
        browser.wait(f"{card('Active jobs')} === '{value}' && {card('Active jobs', 'note')} === '{note}'", seconds=20)
    assert not [path for path in browser.evaluate("asked") if "/api/workers" in path]
    is_clean(browser)


def card(label, part="value"):
    return (f"[...document.querySelectorAll('.card')].find((card) => card.querySelector('dt').textContent === '{label}')"
            f"?.querySelector('.{part}').textContent")


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
