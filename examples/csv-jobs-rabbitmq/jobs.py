"""What examples/common/load.py needs to know of this system: how a job begins, and which have ended."""

import json
import threading

import pika
import requests

RESULTS = "csv-results"


def arguments(parser):
    parser.add_argument("--url", default="http://localhost:8000", help="the producer; default: %(default)s")
    parser.add_argument("--rabbitmq", default="amqp://csv:change-me@localhost:5672/%2F", help="default: %(default)s")
    parser.add_argument("--seconds", type=float, default=1, help="of work per job; default: %(default)g")


class Jobs:
    def __init__(self, options):
        self.url, self.rabbitmq, self.seconds = options.url, options.rabbitmq, options.seconds
        self.ended = {}
        self.lock = threading.Lock()

    def submit(self):
        """A file of one row."""
        file = f"order,product,quantity,price,seconds\n1,tea,2,4.5,{self.seconds:g}\n"
        answer = requests.post(f"{self.url}/upload", files={"file": ("data.csv", file, "text/csv")}, timeout=60)
        answer.raise_for_status()
        return f"{answer.json()['upload']}-1"

    def finished(self):
        """Takes the new results. A job may be done twice, and then counts when it was done first."""
        with self.lock, pika.BlockingConnection(pika.URLParameters(self.rabbitmq)) as connection:
            channel = connection.channel()
            channel.queue_declare(RESULTS, durable=True)
            while (found := channel.basic_get(RESULTS, auto_ack=True))[0] is not None:
                result = json.loads(found[2])
                self.ended.setdefault(result["id"], (result["done_at"], True))
            return dict(self.ended)
