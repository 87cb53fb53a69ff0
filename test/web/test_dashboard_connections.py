"""The dashboard's page of connections."""

import json

from support.pages.page import get
from support.pages.shop import is_clean, queue
from support.pages.stub import FIGURES, rows
from support.process import wait_until

WAIT_SECONDS = 60


def test_a_connection_that_is_little_used_is_not_at_0_percent(browser, server, client):
    for number in range(20):
        client.metrics(queue(f"queue-{number}"), metric_name="", name=f"worker-{number}")

    def utilization():
        return get(server, "/api/connections").json()["connections"][0]["utilization"]
    wait_until(lambda: utilization() > 0, WAIT_SECONDS, "it is more than 0")
    browser.open(server)
    browser.wait_for_text("20 triggers")
    texts = browser.evaluate("import('/assets/base/format.js').then(({ percent }) => [0, 0.0001, 0.001].map(percent))")
    assert texts == ["0 %", "< 0.1 %", "0.1 %"]


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


def test_a_chosen_connection_stays_chosen_where_its_name_changes(browser, stub):
    """A trigger that names its connection came to it. An id of another process is another connection's here."""
    before, after, other = "redis at redis.shop:6379", 'connection "orders"', "nats at nats.shop:4222"

    def put(name):
        triggers = [{"namespace": "shop", "name": of, "connection": connection, "connectionId": number}
                    for of, connection, number in (("jobs", name, 1), ("mails", other, 2))]
        stub.readers[0].put(rows("triggers", *triggers) + rows("connections", {"name": name, "state": "failed", "error": "no route"}, {"name": other, "state": "connected"}) + FIGURES)

    put(before)
    browser.evaluate("location.hash = '#/connections'")
    browser.wait_for_text(before)
    link = "[...document.querySelectorAll('tbody tr:not(.space) td:first-child a')].find((link) => link.innerText === %s)"
    browser.evaluate(link % json.dumps(before) + ".click()")
    browser.wait_for_text("1 of 2 triggers")
    put(after)
    browser.wait_for_text(after)
    assert "1 of 2 triggers" in browser.text() and "shop/jobs" in browser.text()
    assert "no route" in browser.text(".about")
    browser.evaluate(f"location.hash = '#/?' + new URLSearchParams({{ connection: {json.dumps(other)}, id: 1, instance: 'other' }})")
    browser.wait_for_text("shop/mails")
    assert "shop/jobs" not in browser.text()


def test_why_a_connection_failed_can_be_read_without_a_mouse(browser, stub):
    """In a narrow window only a tooltip had the error."""
    error = "cannot connect to Redis at redis.shop:6379: " + "the certificate of the server is not that of its name, " * 5
    failed = {"name": "redis at redis.shop:6379", "state": "failed", "error": error, "settings": {"address": "redis.shop:6379", "password": "(hidden)"}}
    trigger = {"namespace": "shop", "name": "jobs", "state": "refused", "connection": failed["name"], "connectionId": 1}
    stub.readers[0].put(rows("triggers", trigger) + rows("connections", failed, {"name": "nats at nats.shop:4222", "state": "connected"}) + FIGURES)
    browser.size(390, 844)
    browser.evaluate("location.hash = '#/connections'")
    browser.wait_for_text("cannot connect to Redis", "tbody")  # as much as there is room for
    assert browser.evaluate("document.documentElement.scrollWidth") == 390
    below = browser.evaluate("document.querySelector('.table').getBoundingClientRect().top - document.querySelector('h1').getBoundingClientRect().bottom")
    assert 0 < below < 24, below  # what is not known yet, as the count here, takes no line
    browser.screenshot("connections-phone")
    assert browser.axe() == []
    browser.evaluate("document.querySelector('tbody a').focus()")
    browser.press("Enter")
    browser.wait_for_text(error.strip(), ".about .problem")
    assert browser.text(".about .note") == "redis at redis.shop:6379: failed, address: redis.shop:6379"
    assert browser.evaluate("document.documentElement.scrollWidth") == 390
    browser.screenshot("connection-phone")
    is_clean(browser)
    stub.readers[0].put(rows("connections", {"name": failed["name"], "state": "connected"}) + FIGURES)
    browser.wait("document.querySelector('.about .problem').hidden")
    browser.evaluate("document.querySelector('.bar > button').focus()")
    browser.press("Enter")  # all connections again
    browser.wait("document.querySelector('.about').hidden && document.activeElement.id === 'search'")
