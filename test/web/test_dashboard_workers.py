"""The dashboard's page of workers; test_workers.py has it before a Kubernetes API."""

import json
import time

from support.pages.stub import FIGURES, rows


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
