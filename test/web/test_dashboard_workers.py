"""The dashboard's page of workers; test_workers.py has it before a Kubernetes API."""

import json
import time

from support.pages.modules import run_in_node
from support.pages.stub import FIGURES, rows


def test_workers_that_are_not_renewed_are_said_and_their_ages_go_on(browser, idle_server):
    browser.open(idle_server)
    browser.wait_for_text("No triggers yet")
    browser.evaluate("""(async () => {
        const { store } = await import('/assets/state/store.js');
        const { fetch } = window;
        const pod = { id: 'x', pod: 'orders-1', state: 'Running', ready: true, restarts: 0, created: Date.now() / 1000 - 20 };
        const page = { objects: [{ namespace: 'shop', name: 'orders', secondsAgo: 1, error: null, hasMore: false, workers: [pod] }], hasMore: false };
        window.page = page;
        window.isBusy = false;
        window.fetch = async (path, options) => {
            if (!path.startsWith('/api/workers')) return fetch(path, options);
            return window.isBusy ? new Response('{"error": "busy"}', { status: 503 })
                : new Response(JSON.stringify(page), { headers: { 'Backlog-Instance': store.hello.instance } });
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
    browser.wait_for_text("shop/orders: read some time ago (shown as of 40 s ago)", ".notes")
    browser.evaluate("""(() => {  // what many have in common is one line, or the table jumps
        const others = [...Array(30).keys()].map((number) => ({ ...page.objects[0], name: `of-${number}`, secondsAgo: 41 + number, workers: [] }));
        const refused = others.map((object) => ({ ...object, name: `no-${object.name}`, error: 'no right' }));
        page.objects.push(...others, ...refused);
    })()""")
    browser.wait_for_text("shop/no-of-0 and 29 more: no right (shown as of up to 70 s ago)", ".notes")
    lines = browser.evaluate("[...document.querySelectorAll('.notes li')].map(({ innerText }) => innerText)")
    assert lines[0] == "shop/orders and 30 more: read some time ago (shown as of up to 70 s ago)" and len(lines) == 2
    browser.evaluate("window.line = document.querySelector('.notes li'); getSelection().selectAllChildren(line)")
    time.sleep(5)
    assert browser.evaluate("line.isConnected")
    browser.click("thead th.of-memory button")
    assert browser.evaluate("location.hash") == "#/workers?sort=-memory"  # as of other pages


def test_workers_that_are_read_at_last_are_no_longer_unknown(browser, idle_server):
    browser.open(idle_server)
    browser.wait_for_text("No triggers yet")
    browser.evaluate("""(async () => {
        const { store } = await import('/assets/state/store.js');
        const { fetch } = window;
        const reading = { namespace: 'shop', name: 'orders', secondsAgo: null, error: null, hasMore: false, workers: [] };
        window.isBusy = true;
        window.fetch = async (path, options) => {
            if (!path.startsWith('/api/workers')) return fetch(path, options);
            return window.isBusy ? new Response('{"error": "busy"}', { status: 503 })
                : new Response(JSON.stringify({ objects: [reading], hasMore: false }), { headers: { 'Backlog-Instance': store.hello.instance } });
        };
        store.hello = { ...store.hello, hasWorkers: true };
        location.hash = '#/workers';
    })()""")
    browser.wait_for_text("The workers are not known.")
    browser.evaluate("window.isBusy = false")
    browser.wait_for_text("Loading the workers …")


def test_the_log_of_a_worker_closes_where_its_page_ends(browser, stub):
    """A rehearsal that is started again numbers its workers from 1 again: the log would be of another worker."""
    for instance in ("a", "b"):
        hello = f'event: hello\ndata: {{"mode": "rehearse", "instance": "{instance}"}}\n\n'
        worker = rows("workers", {"object": "shop/orders", "number": 1, "state": "running"})
        stub.readers[0].put(hello + worker + FIGURES + "event: ready\ndata: {}\n\n")
        browser.wait("location.hash === '#/jobs' && document.querySelector('dialog') === null && document.querySelector('tbody button') !== null")
        browser.click("tbody tr:not(.space) button")
        browser.wait_for_text("shop/orders, worker 1", "dialog")
    browser.evaluate("location.hash = '#/log'")
    browser.wait("document.querySelector('dialog') === null")


def test_a_column_of_buttons_does_not_look_as_if_it_sorts(browser, stub):
    """Its title was a button as the others, which sorted by a number that no column has."""
    hello = 'event: hello\ndata: {"mode": "rehearse"}\n\n'
    workers = rows("workers", *({"object": "shop/orders", "number": number, "state": "running"} for number in (1, 2)))
    stub.readers[0].put(hello + workers + FIGURES + "event: ready\ndata: {}\n\n")
    browser.wait_for_text("worker 2", "tbody")
    assert browser.evaluate("""[...document.querySelectorAll('thead th')].filter((head) => !head.querySelector('button'))
        .map((head) => [head.innerText, head.hasAttribute('aria-sort'), head.firstChild.scrollWidth <= head.clientWidth])""") == [["Log", False, True]]
    assert browser.axe() == []


def test_a_long_log_goes_on_where_it_was_read(browser, stub):
    """The server has the end of a log. Where it is longer, all of it was replaced each second: no selection stayed, nor the place."""
    hello = 'event: hello\ndata: {"mode": "rehearse"}\n\n'
    worker = rows("workers", {"object": "shop/orders", "number": 1, "state": "running"})
    stub.readers[0].put(hello + worker + FIGURES + "event: ready\ndata: {}\n\n")
    browser.evaluate("""(() => {
        const { fetch } = window;
        window.lines = (from, to) => Array.from({ length: to - from }, (_, index) => `line ${from + index}\\n`).join('');
        window.log = lines(0, 400);
        window.fetch = async (path, options) => (path.endsWith('/log') ? new Response(log) : fetch(path, options));
    })()""")
    browser.wait("document.querySelector('tbody button') !== null")
    browser.click("tbody tr:not(.space) button")
    browser.wait_for_text("line 399", "dialog pre")
    browser.evaluate("""(() => {
        window.pre = document.querySelector('dialog pre');
        pre.scrollTop = 1000;
        const [{ firstChild: text }, at] = [pre, pre.textContent.indexOf('line 99')];
        getSelection().setBaseAndExtent(text, at, text, at + 7);
        log = lines(7, 407).slice(3);  // in the middle of a line
    })()""")
    browser.wait_for_text("line 406", "dialog pre")
    assert browser.evaluate("[pre.textContent === lines(0, 407), pre.scrollTop, getSelection().toString()]") == [True, 1000, "line 99"]
    browser.evaluate("pre.scrollTop = pre.scrollHeight; log = lines(1000, 1400)")  # many at once, or the worker was started again
    browser.wait_for_text("line 1399", "dialog pre")
    assert "line 406\n\n[Lines are missing here, or the worker was started again.]\n\nline 1000\n" in browser.evaluate("pre.textContent")
    assert browser.evaluate("pre.scrollTop + pre.clientHeight >= pre.scrollHeight - 1")  # whoever is at the end follows it
    browser.evaluate("""(() => {  // for hours
        window.number = 1400;
        window.timer = setInterval(() => { log = lines(number, number += 40000); }, 1100);
    })()""")
    browser.wait("number > 300000")
    browser.evaluate("clearInterval(timer)")
    browser.wait("pre.textContent.endsWith(`line ${number - 1}\\n`)")
    assert browser.evaluate("pre.textContent.length") < 2 << 20
    assert browser.axe() == []


def test_what_a_log_has_after_what_is_shown():
    cases = [("", "a\n", "a\n"), ("a\nb\n", "a\nb\n", ""), ("a\nb\n", "a\nb\nc\n", "c\n"),
             ("a\nb\n", "?\nb\nc\n", "c\n"),  # its first line has lost its beginning
             ("a\nb\nlong", "\nb\nlonger\n", "er\n"),  # a line that was not complete
             ("t\nt\nt\n", "\nt\nt\n", ""),  # nothing, or as many as are lost
             ("a\nb\n", "x\ny\n", None), ("a\nb\n", "other", None)]
    assert run_in_node(f"""
        const {{ partAfter }} = await import('./parts/log_dialog.js');
        return {json.dumps([case[:2] for case in cases])}.map(([last, body]) => partAfter(last, body));
    """) == [case[2] for case in cases]


def test_a_log_that_begins_anew_has_one_gap():
    """What the server has, second by second, and what is added each time: the worker was started again."""
    long = "".join(chr(ord("a") + number % 26) * (number % 7 + 1) for number in range(1000))
    polls = [("a\nb\n", "a\nb\n"), ("", None), ("", ""), ("x", "x"), ("x", ""), ("xy\n", "y\n"), ("xy\n", ""), ("other", None), ("other\n", "\n"),
             (long[:3000], None), (long[100:3100], long[3000:3100]), (long[100:3100], "")]  # a line that is longer than what is kept
    assert run_in_node(f"""
        const {{ partAfter }} = await import('./parts/log_dialog.js');
        let last = "";
        return {json.dumps([body for body, _ in polls])}.map((body) => {{
            const added = partAfter(last, body);
            last = body;
            return added;
        }});
    """) == [added for _, added in polls]
