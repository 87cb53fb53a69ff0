"""The dashboard's page of one ScaledObject: its triggers, their plots, and replicas."""

import http.server
import json
import threading
import time

import pytest

from support.pages.page import get
from support.pages.shop import is_clean, push, queue
from support.pages.stub import rows
from support.process import wait_until

WAIT_SECONDS = 60


def test_a_range_that_ends_before_it_begins_is_the_last_hour(browser, server, client, redis):
    push(redis, "orders", 12)
    client.metrics(queue("orders"), metric_name="", name="orders")
    now = int(time.time())
    browser.open(server, f"/#/trigger/shop/orders?range={now}-{now - 600}")
    browser.wait_for_text("redis: redis-orders")
    assert browser.evaluate("document.querySelector('.bar > button').hidden")
    assert browser.evaluate("document.querySelector('.segments').getAttribute('aria-label')") == "Range"
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

    assert client.metrics(queue("orders"), metric_name="", name="orders").metricValue == 96  # what KEDA got last is held
    broker.stop()
    browser.wait_for_text("held")
    browser.wait_for_text("connection failed", ".panel .lines")
    browser.wait("document.querySelector('.problem:not([hidden])') !== null")
    browser.wait_for_text("measuring failed", ".plots + .note")
    labels = "[...document.querySelectorAll('.plot-area')].map((plot) => plot.getAttribute('aria-label'))"
    browser.wait(f"{labels}[0].startsWith('Work, waiting: unknown at the end, at most 96')")  # and not what it was before
    assert "target of a replica 5" in browser.text(".plots") and "wanted 20" in browser.text(".plots")
    assert "growth of waiting" in browser.text(".plots") and "fall of waiting" in browser.text(".plots")  # Redis reports no rates
    assert "arrivals" not in browser.text(".plots") and "consumed" not in browser.text(".plots")
    assert browser.evaluate(f"{labels}[2]").startswith("Rates, growth of waiting: ")
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


def test_a_history_is_requested_alone_only_where_that_has_more_of_it(browser, server, client, redis):
    """Otherwise the same rows would come again each 5 s."""
    for name in ("orders", "emails"):
        push(redis, name, 3)
        client.metrics(queue(name), metric_name="", name="worker")
    full, cut = (trigger["id"] for trigger in get(server, "/api/history/shop/worker").json()["triggers"])
    browser.open(server, "/#/")
    browser.wait_for_text("worker", "tbody")
    browser.evaluate(f"""(() => {{
        const {{ fetch }} = window;
        window.alone = [];  // whose history was requested
        window.fetch = async (path, options) => {{
            const response = await fetch(path, options);
            if (!path.startsWith('/api/history/')) return response;
            if (path.includes('trigger=')) alone.push(path.split('trigger=')[1]);
            const page = await response.json();
            for (const trigger of page.triggers) trigger.hasMore = trigger.id === {cut};
            return new Response(JSON.stringify(page), {{ headers: response.headers }});
        }};
        location.hash = '#/trigger/shop/worker';
    }})()""")
    browser.wait("alone.length >= 2")
    assert set(browser.evaluate("alone")) == {str(cut)} and full != cut


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
        browser.wait(f"/^Value, value: 500 at the end, at most 500; Replicas, wanted: 5 at the end/.test({labels})")
        is_clean(browser)
        source.shutdown()


def test_the_page_of_a_trigger_says_that_the_server_does_not_respond(browser, stub):
    browser.evaluate("(() => { const { timeout } = AbortSignal; AbortSignal.timeout = (time) => timeout.call(AbortSignal, time / 20); })()")
    browser.evaluate("location.hash = '#/trigger/shop/orders'")
    browser.wait_for_text("shop/orders: no response of the server within 10 s", seconds=10)


@pytest.mark.parametrize("name, words", [("refused", "other responses are not read yet: try again later"),
                                         ("unreached", "the server answered 503")])
def test_the_page_of_a_trigger_says_why_the_server_refuses_it(browser, stub, name, words):
    browser.evaluate(f"location.hash = '#/trigger/shop/{name}'")
    browser.wait_for_text(f"shop/{name}: {words}", seconds=10)


def test_a_trigger_that_is_gone_is_said(browser, idle_server):
    browser.open(idle_server, "/#/trigger/shop/nobody")
    browser.wait_for_text("KEDA has not called for one recently")
    assert browser.axe() == []


def test_a_plot_shows_its_values_where_its_library_did_not_load(browser, idle_server):
    browser.open(idle_server)
    browser.wait_for_text("No triggers yet")
    browser.evaluate("""(async () => {
        const { makePlot } = await import('/assets/trigger/plots.js');
        window.uPlot = undefined;
        const series = [{ label: 'wanted', colour: 'replicas', isStep: true }];
        const plot = makePlot({ title: 'Replicas', unit: 'replicas', summary: 'wanted', series, isWhole: true });
        document.querySelector('main').replaceChildren(plot.element);
        plot.draw({ times: [1, 2], columns: [[5, 7]], span: [1, 2], outages: [] });
    })()""")
    browser.wait_for_text("7", ".plot .legend-value", seconds=10)


def test_without_measurements_there_are_no_plots_and_nothing_is_said_of_them(browser, idle_server):
    """Of an outage the history may be dropped, where memory is short."""
    browser.open(idle_server)
    browser.wait_for_text("No triggers yet")
    seen = browser.evaluate("""(async () => {
        const { makeTriggerPanel } = await import('/assets/trigger/trigger_panel.js');
        const now = Date.now() / 1000;
        const measured = { time: now - 10, arrivals: null, waiting: 2, inFlight: null, sourceValue: null, active: null, state: 'failed',
            replicas: null, consumptionRate: null };
        const panel = makeTriggerPanel({ namespace: 'shop', name: 'größe' }, [], () => {});
        document.querySelector('main').replaceChildren(panel.element);
        const shown = (rows) => {
            panel.history({ id: 1, target: 1, columns: Object.keys(measured), rows }, { now: { state: 'held' }, holdSeconds: 60 });
            panel.redraw();
            return [panel.element.innerText.includes('Work'), panel.element.innerText.includes('measuring failed')];
        };
        const seen = [[Object.values(measured)], [], [Object.values(measured)]].map(shown);
        panel.close();
        return [seen, panel.element.querySelector('a[download]').download];
    })()""")
    assert seen == [[[True, True], [False, False], [True, True]], "shop-größe-1.csv"]  # and the file has the name as text


def test_a_drag_in_a_plot_chooses_the_range_once(browser, server, client, redis):
    """All plots show what is selected. When each of them chose the range, an object of 10 triggers was drawn 900 times."""
    push(redis, "orders", 12)
    client.metrics(queue("orders"), metric_name="", name="orders")
    browser.open(server, "/#/trigger/shop/orders")
    browser.wait("document.querySelectorAll('.plot-area canvas').length === 3")
    browser.evaluate("""(() => {
        const { replaceState } = history;
        window.ranges = [];
        history.replaceState = function (state, title, address) {
            ranges.push(address);
            replaceState.call(history, state, title, address);
        };
    })()""")
    browser.call("drag", selector=".plot:nth-child(2) .u-over", **{"from": 0.25, "to": 0.75})
    browser.wait("!document.querySelector('.bar > button').hidden", seconds=10)
    (address,) = browser.evaluate("ranges")
    first, last = (int(end) for end in address.partition("range=")[2].split("-"))
    assert first < last <= time.time() + 1
    assert set(browser.evaluate("[...document.querySelectorAll('.u-select')].map(({ style }) => style.width)")) == {"0px"}
    browser.call("drag", selector=".plot:nth-child(1) .u-over", **{"from": 0.5, "to": 0.503})  # the hand shook
    assert browser.evaluate("ranges.length") == 1
    is_clean(browser)


def test_a_plot_says_the_peak_of_its_range(browser, idle_server):
    browser.open(idle_server)
    browser.wait_for_text("No triggers yet")
    labels = browser.evaluate("""(async () => {
        const { makePlot } = await import('/assets/trigger/plots.js');
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


def test_actual_replicas_are_unknown_where_they_cannot_be_read(browser, idle_server):
    """A request that fails says nothing of them: the sample before holds for its time."""
    browser.open(idle_server)
    browser.wait_for_text("No triggers yet")
    samples = browser.evaluate("""(async () => {
        const { store } = await import('/assets/state/store.js');
        const { makeReplicaSamples } = await import('/assets/trigger/object_replicas.js');
        const { fetch } = window;
        const sampled = async (hello, answers) => {
            const replicas = makeReplicaSamples('shop', 'orders');
            store.hello = { ...store.hello, hasHpas: false, hasWorkers: false, ...hello };
            for (const answer of answers) {
                window.fetch = async () => new Response(JSON.stringify(answer), { status: answer ? 200 : 503, headers: { 'Backlog-Instance': store.hello.instance } });
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
    assert samples == [[3, 4], [1, None, None], []]


def actual_replicas_of(browser, *samples):
    """What the plot of a trigger has that was measured each 10 s in the last 10 minutes, for samples (age, replicas)."""
    return browser.evaluate(f"""(async () => {{
        const {{ makeTriggerPlots }} = await import('/assets/trigger/trigger_plots.js');
        const now = Date.now() / 1000;
        const samples = {json.dumps(samples)}.map(([age, count]) => [now - age, count]);
        const {{ uPlot }} = window;
        const drawn = [];
        window.uPlot = class {{ static paths = uPlot.paths; constructor(_, data) {{ drawn.push(data); }} destroy() {{}} setSize() {{}} }};
        const times = Array.from({{ length: 60 }}, (_, index) => now - 600 + index * 10);
        const column = times.map(() => 2);
        makeTriggerPlots(samples, () => {{}}).draw({{ target: 1, stateNow: 'answered', data: {{ hasWaiting: true, times,
            waiting: column, inFlight: column, replicas: column, arrivals: column, consumption: column,
            state: times.map(() => 'answered') }} }});
        window.uPlot = uPlot;
        return drawn[1][2].slice(1);
    }})()""")


def test_the_plot_of_replicas_has_a_gap_where_nobody_looked(browser, idle_server):
    browser.open(idle_server)
    browser.wait_for_text("No triggers yet")
    seen = actual_replicas_of(browser, (600, 3), (595, 3), (101, 40), (85, 40), (60, 40), (35, 40), (12, 40))
    assert seen == [3] * 3 + [None] * 46 + [40] * 10
