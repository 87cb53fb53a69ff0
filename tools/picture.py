"""Makes docs/images/dashboard.png: a trigger through an outage of its broker, in four minutes.

    PYTHONPATH=test BACKLOG=$PWD/build/release/backlog build/venv/bin/python tools/picture.py
"""

import os
import shutil
import time

from support.pages.browser import SCREENSHOTS, Browser
from support.clients.grpc_client import Client
from support.brokers.redis import Redis
from support.server.server import REPOSITORY, Server

QUEUE = {"scaler": "redis", "connectionName": "shop-redis", "listName": "orders", "listLength": "10", "interval": "1s"}


def call(client):
    """As KEDA does."""
    client.metrics(QUEUE, metric_name="", name="orders")
    time.sleep(1)


def work(broker, client, changes):
    """Messages come (+) and are taken (-), each second."""
    with broker.connect() as redis:
        for change in changes:
            redis.call_all([("RPUSH", "orders", 1)] * change if change > 0 else [("LPOP", "orders")] * -change or [("PING",)])
            call(client)


def main():
    with Redis() as broker, Browser() as browser:
        config = f"connections:\n  shop-redis: {{scaler: redis, address: \"{broker.address}\"}}\n"
        with Server(http=True, config=config) as server, Client(server.port) as client:
            work(broker, client, [12] + [2] * 20 + [6] * 20 + [-1] * 30 + [3] * 15)
            broker.stop()
            for _ in range(45):
                call(client)
            broker.start()
            work(broker, client, [150] + [-3] * 40 + [-1] * 20 + [1] * 15)
            browser.open(server, "/#/trigger/shop/orders?range=5m", width=1000, height=945)
            browser.wait("document.querySelectorAll('.plot-area canvas').length === 3")
            work(broker, client, [1] * 5)
            browser.screenshot("dashboard")
    shutil.copy(os.path.join(SCREENSHOTS, "dashboard.png"), os.path.join(REPOSITORY, "docs", "images", "dashboard.png"))


if __name__ == "__main__":
    main()
