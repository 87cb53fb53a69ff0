"""Queues of a shop in a Redis, their triggers, and what is said of every page that shows them."""

import pytest


POLICIES = {"exports": {"steps": "1=1,5=2,50=10"}}


def queue(name, **metadata):
    return {"scaler": "redis", "connectionName": "shop-redis", "listName": name, "listLength": "5", "interval": "1s", **metadata}


def push(redis, name, count):
    redis.call_all([("RPUSH", name, i) for i in range(count)])


def is_clean(browser):
    """Nothing in the console, and none of axe's rules is broken."""
    assert browser.problems() == []
    assert browser.axe() == []


def fill_shop(redis, client):
    """What the picture in the documentation shows."""
    for name, count in (("orders", 37), ("invoices", 4), ("emails", 0), ("thumbnails", 128), ("exports", 9), ("audit", 0)):
        push(redis, name, count)
        client.metrics(queue(name, **POLICIES.get(name, {})), metric_name="", name=name)
    with pytest.raises(Exception, match="listLength"):
        client.metrics(queue("refunds", listLength="many"), metric_name="", name="refunds")
