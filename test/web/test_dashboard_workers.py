"""The dashboard's page of workers; test_workers.py has it before a Kubernetes API."""

import json


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
    browser.wait_for_text("shop/orders: as of 40 s ago", ".notes")
