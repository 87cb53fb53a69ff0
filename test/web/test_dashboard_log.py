"""The dashboard's page of the log."""

import json
import time

from support.pages.shop import is_clean
from support.pages.stub import ALL, FIGURES, put_lines
from support.process import wait_until

WAIT_SECONDS = 60


def test_lines_of_the_log_that_are_missing_are_said(browser, stub):
    """As after a burst: the server keeps 500, and the page does not have all at once."""
    put_lines(stub, 7, 8)  # from before it was opened: no line is missed
    put_lines(stub, 9)
    put_lines(stub, 12, 13)
    browser.evaluate("location.hash = '#/log'")
    browser.wait_for_text("line 13")
    said = "2 lines missing: the server had dropped them before this page could be sent them"
    texts = browser.evaluate("[...document.querySelectorAll('.lines li span')].map(({ innerText }) => innerText)")
    assert texts == ["line 13", "line 12", said, "line 9", "line 8", "line 7"]
    browser.click(".show-warning")
    browser.wait("document.querySelectorAll('.lines li').length === 1")
    assert said in browser.text()
    is_clean(browser)


def test_lines_of_the_log_stay_while_a_tab_is_in_the_background(browser, stub):
    """It gives its connection back. The server then sends its last lines again, and may have dropped some in between."""
    browser.evaluate("location.hash = '#/log'")
    numbers = "[...document.querySelectorAll('.lines li span')].map(({ innerText }) => innerText.replace('line ', ''))"
    put_lines(stub, *range(1, 41))
    browser.wait(f"{numbers}.length === 40")
    browser.evaluate("""(() => {
        window.before = document.querySelector('.lines li');
        window.seen = new Set();
        const look = () => {
            seen.add(document.querySelectorAll('.lines li').length);
            requestAnimationFrame(look);
        };
        look();
    })()""")
    browser.hide()
    time.sleep(6)  # after 5 s it gives its connection back
    browser.hide(False)
    wait_until(lambda: len(stub.readers) == 2, WAIT_SECONDS, "another connection")
    stub.readers[1].put(ALL)
    put_lines(stub, *range(21, 41))
    browser.wait_for_text("Live", "#status")
    time.sleep(1)
    assert browser.evaluate("before.isConnected && [...seen].join()") == "40"
    put_lines(stub, 40, 41, 44)
    browser.wait(f"{numbers}[0] === '44'")
    assert browser.evaluate(numbers)[:4] == ["44", "2 lines missing: the server had dropped them before this page could be sent them", "41", "40"]
    stub.readers[1].put(ALL.replace('"mode": "serve"', '"mode": "serve", "instance": "b"'))  # another process: lines of its own
    put_lines(stub, 1)
    browser.wait(f"{numbers}.join() === '1'")
    is_clean(browser)


def test_the_page_of_the_log_filters_its_lines_again_only_where_there_are_others(browser, idle_server):
    browser.open(idle_server, "/#/log")
    browser.wait_for_text("listening on")
    browser.evaluate("""(async () => {
        ({ store: window.store } = await import('/assets/state/store.js'));
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


def test_lines_of_another_day_have_their_day_and_all_are_in_columns(browser, stub):
    lines = [{"number": number, "time": time.time() - age, "level": "info", "text": "text " * number} for number, age in ((1, 90000), (2, 90000), (3, 0))]
    browser.evaluate("location.hash = '#/log'")
    stub.readers[0].put(f"event: log\ndata: {json.dumps(lines)}\n\n")
    browser.wait("document.querySelectorAll('.lines time').length === 3")
    days = browser.evaluate("[...document.querySelectorAll('.lines time')].map(({ innerText }) => /^[0-9]+ [A-Z][a-z]+, /.test(innerText))")
    assert days == [False, True, True]
    assert browser.evaluate("new Set([...document.querySelectorAll('.lines span')].map((span) => span.getBoundingClientRect().left)).size") == 1
    is_clean(browser)


def test_lines_have_their_day_when_it_is_over_though_no_other_line_comes(browser, stub):
    browser.evaluate("""(() => {
        const { toDateString, toLocaleDateString } = Date.prototype;
        window.isNextDay = false;  // now; what is older is of the day before
        const dayOf = (date) => (isNextDay && Date.now() - date < 500 ? new Date(+date + 864e5) : date);
        Date.prototype.toDateString = function () { return toDateString.call(dayOf(this)); };
        Date.prototype.toLocaleDateString = function (...how) { return toLocaleDateString.apply(dayOf(this), how); };
    })()""")
    line = json.dumps([{"number": 1, "time": time.time() - 2, "level": "info", "text": "shop/orders: late"}])
    stub.readers[0].put(f"event: log\ndata: {line}\n\n")
    for page in ("#/log", "#/trigger/shop/orders"):
        browser.evaluate(f"isNextDay = false; location.hash = '{page}'")
        browser.wait("/^[0-9:]{8}$/.test(document.querySelector('.lines time')?.innerText)")
        browser.evaluate("isNextDay = true")
        stub.readers[0].put(FIGURES)
        browser.wait("/^[0-9]+ [A-Z][a-z]+, [0-9:]{8}$/.test(document.querySelector('.lines time').innerText)")
    is_clean(browser)


def test_the_newest_lines_about_a_trigger_come_first(browser, stub):
    lines = [{"number": number, "time": time.time(), "level": "info", "text": f"shop/orders: line {number}"} for number in range(1, 131)]
    browser.evaluate("location.hash = '#/trigger/shop/orders'")
    stub.readers[0].put(f"event: log\ndata: {json.dumps(lines)}\n\n")
    browser.wait_for_text("line 130", ".lines")
    texts = browser.evaluate("[...document.querySelectorAll('.lines li span')].map(({ innerText }) => innerText)")
    assert texts == [f"shop/orders: line {number}" for number in range(130, 30, -1)]


def test_lines_that_come_end_no_selection_and_move_nothing_that_is_read(browser, stub):
    """On a bad day they come each second, and somebody copies one of them into a chat."""
    browser.evaluate("location.hash = '#/log'")
    put_lines(stub, *range(1, 201))
    browser.wait("document.querySelectorAll('.lines li').length === 200")
    browser.evaluate("""(() => {
        window.list = document.querySelector('.lines');
        window.line = [...list.children].find(({ innerText }) => innerText.endsWith('line 120'));
        list.scrollTop = line.offsetTop - list.offsetTop;
        getSelection().selectAllChildren(line.lastChild);
    })()""")
    time.sleep(0.5)  # the browser takes what is in view for the place to keep
    before = browser.evaluate("line.getBoundingClientRect().top")
    for number in range(201, 206):
        put_lines(stub, number)
        browser.wait_for_text(f"line {number}", ".lines li")
    time.sleep(0.5)
    assert browser.evaluate("getSelection().toString()") == "line 120"
    assert abs(browser.evaluate("line.getBoundingClientRect().top") - before) < 2  # whole pixels are scrolled


def test_a_screen_reader_says_how_many_lines_there_are_where_the_filter_changes(browser, stub):
    """Not with each line that comes."""
    browser.evaluate("location.hash = '#/log'")
    put_lines(stub, *range(1, 4))
    browser.wait_for_text("3 lines", ".count")
    assert browser.evaluate("document.querySelector('.count').ariaLive") == "off"
    browser.fill("#search", "line 2")
    browser.wait_for_text("1 line,", ".count")
    assert browser.evaluate("document.querySelector('.count').ariaLive") == "polite"
    put_lines(stub, 21)
    browser.wait_for_text("2 lines", ".count")
    assert browser.evaluate("document.querySelector('.count').ariaLive") == "off"
