"""How the dashboard knows whether what it shows is live: clocks, connections, tabs in the background."""

import http.server
import json
import threading
import time

from support.pages.shop import is_clean, push, queue
from support.pages.stub import ALL, FIGURES, OFFSET, OfOldFigures, figures, put_clock_forward, put_figures, rows
from support.process import wait_until

WAIT_SECONDS = 60


def test_the_time_is_that_at_which_figures_are_sent(browser):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), OfOldFigures) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        server.has_ended = threading.Event()
        server.http_port = server.server_port
        browser.open(server)
        browser.wait_for_text("No triggers yet")
        ahead = browser.evaluate("import('/assets/state/clock.js').then(({ serverNow }) => serverNow() - Date.now() / 1000)")
        assert 990 < ahead < 1010
        browser.wait_for_text("Not live since ", "#status")  # of the figures, though they have just come
        age = browser.evaluate("import('/assets/state/store.js').then(({ store }) => (Date.now() - store.renewedAt) / 1000)")
        assert 590 < age < 660
        browser.leave()
        server.has_ended.set()
        server.shutdown()


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


def test_values_that_come_late_are_not_live(browser, stub):
    """As of a server whose loop was busy, or over a slow connection: they come, and are old."""
    for age, status in ((60, "Not live since "), (1, "Live"), (60, "Not live since ")):
        stub.readers[0].put(figures(age))
        browser.wait_for_text(status, "#status")
    stub.readers[0].put("event: alive\ndata: {}\n\n")
    time.sleep(2)
    assert browser.text("#status").startswith("Not live since ")
    renewed = browser.evaluate("import('/assets/state/store.js').then(({ store }) => (Date.now() - store.renewedAt) / 1000)")
    assert 60 <= renewed < 90
    is_clean(browser)


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


def test_a_tab_that_is_shown_again_is_not_live_before_it_is_connected(browser, stub):
    browser.hide()
    time.sleep(6)  # after 5 s it gives its connection back
    browser.hide(False)
    wait_until(lambda: len(stub.readers) == 2, WAIT_SECONDS, "another connection")
    assert browser.text("#status") == "Connecting"
    stub.readers[1].put(ALL)
    browser.wait_for_text("Live", "#status")


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


def test_a_tab_that_opens_in_the_background_connects_when_it_is_shown(browser, idle_server):
    """A browser has six connections to a server, for all its tabs."""
    browser.open(idle_server, hidden=True)
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


def test_a_tab_in_the_background_draws_nothing(browser, stub):
    """It has no frames. When it is shown, ages are those of then."""
    trigger = {"namespace": "shop", "name": "orders", "state": "answered", "time": time.time() - 20}
    stub.readers[0].put(rows("triggers", trigger) + figures(0))
    browser.wait_for_text("shop/orders")
    browser.evaluate("""new Promise((resolve) => {
        window.waiting = [];
        window.drawn = 0;
        window.requestAnimationFrame = (draw) => waiting.push(draw);
        setTimeout(resolve, 1500);  // what was to be drawn before is
    })""")
    age = "document.querySelector('tbody td.of-age').innerText"
    browser.evaluate("""new MutationObserver(() => { drawn++; }).observe(
        document.body, { childList: true, characterData: true, attributes: true, subtree: true })""")
    before = browser.evaluate(age)
    time.sleep(3)
    stub.readers[0].put(figures(0))
    browser.wait("waiting.length > 0")
    assert browser.evaluate("[drawn, waiting.length]") == [0, 1] and browser.evaluate(age) == before
    browser.evaluate("waiting.splice(0).forEach((draw) => draw())")
    assert browser.evaluate(age) != before and browser.problems() == []


def test_what_waited_while_the_computer_slept_is_not_live(browser, stub):
    """The date has jumped, and it says a time of before: that is no difference of clocks."""
    browser.hide()
    time.sleep(6)  # after 5 s it gives its connection back
    browser.evaluate("window.EventSource = class extends EventSource { constructor(...path) { super(...path); window.source = this; } }")
    browser.hide(False)
    wait_until(lambda: len(stub.readers) == 2, WAIT_SECONDS, "another connection")
    stub.readers[1].put(ALL + figures(0))
    browser.wait_for_text("Live", "#status")
    before = browser.evaluate(OFFSET)
    put_clock_forward(browser, 3600)
    browser.evaluate(f"source.dispatchEvent(new MessageEvent('server', {{ data: {figures(0).partition('data: ')[2].strip()!r} }}))")
    wait_until(lambda: len(stub.readers) == 3, WAIT_SECONDS, "another connection")
    browser.wait_for_text("Connection lost", "#status")  # until something comes over it
    assert abs(browser.evaluate(OFFSET) - before) < 1
    stub.readers[2].put(ALL)
    browser.wait_for_text("Live", "#status")


def test_values_of_another_day_are_not_live_since_that_day(browser, stub):
    stub.readers[0].put(figures(0))
    browser.wait_for_text("Live", "#status")
    stub.readers[0].put(figures(2 * 86400))
    browser.wait(f"/^Not live since [0-9]+ [A-Z][a-z]+, [0-9:]{{8}}$/.test(document.querySelector('#status').innerText)")


def hello(**more):
    return f'event: hello\ndata: {json.dumps({"mode": "serve", **more})}\n\n'


def test_a_page_of_another_version_than_the_server_says_so(browser, stub):
    """An upgrade leaves the scripts of before in pages that are open."""
    stub.readers[0].put(hello(version="0.1.0", assets="own") + FIGURES)
    browser.wait_for_text("version 0.1.0", "#server")
    assert browser.evaluate("document.querySelector('#reload').hidden")
    browser.click("#theme")
    browser.evaluate("window.isBefore = true")
    stub.readers[0].put(hello(version="0.2.0", assets="other") + FIGURES)
    browser.wait_for_text("The server has version 0.2.0 now, and this page is of another one: load it again.", "#reload")
    is_clean(browser)
    browser.click("#reload-now")
    wait_until(lambda: len(stub.readers) == 2, WAIT_SECONDS, "it is loaded again")
    assert not browser.evaluate("window.isBefore ?? false")
    # As of a tab that was opened in the background before an upgrade, and is shown after it.
    stub.readers[1].put(hello(version="0.2.0", assets="other") + FIGURES)
    browser.wait_for_text("this page is of another one", "#reload")
    stub.readers[1].put(hello(version="0.2.0", assets="own") + FIGURES)
    browser.wait("document.querySelector('#reload').hidden")


def test_who_types_keeps_the_focus_where_the_page_is_made_again(browser, stub):
    """As of a server that has workers, and of another pod."""
    for other in ({"hasWorkers": True}, {"hasWorkers": True, "instance": "b"}):
        browser.fill("#search", "orders")
        browser.evaluate("window.before = document.querySelector('#search'); before.setSelectionRange(2, 2)")
        stub.readers[0].put(hello(**other))
        browser.wait("!before.isConnected")
        place = browser.evaluate("[document.activeElement.id, document.activeElement.value, document.activeElement.selectionStart]")
        assert place == ["search", "orders", 2]
    browser.evaluate("document.activeElement.blur()")
    stub.readers[0].put(hello())
    browser.wait("!document.querySelector('nav').innerText.includes('Workers')")
    assert browser.evaluate("document.activeElement === document.body")  # nobody asked for another page


def test_a_server_that_renews_rarely_says_how_old_live_values_may_be(browser, stub):
    """As one of 10,000 triggers, which rests for long after each update: it was not live every time."""
    def status_becomes(status, age, **more):
        now = time.time()
        stub.readers[0].put(f'event: server\ndata: {json.dumps({"time": now - age, "sent": now, **more})}\n\n')
        browser.wait(f"import('/assets/state/store.js').then(({{ store }}) => store.server.sent === {now})")
        browser.wait_for_text(status, "#status")

    def status_stays(status, age, **more):
        status_becomes(status, age, **more)
        time.sleep(1.5)  # it looks each second
        assert browser.text("#status") == status

    status_stays("Live", 25, maxAgeMs=40000)
    status_becomes("Not live since ", 60, maxAgeMs=40000)
    status_stays("Live", 60, maxAgeMs=80000)  # the server has grown
    status_stays("Live", 6, maxAgeMs=2000)  # of few triggers: some seconds more are no outage
    status_becomes("Not live since ", 25)  # of a version that does not say it
    is_clean(browser)
