"""The two queues of RabbitMQ: jobs for the workers, and what the workers report of them."""

import threading

import pika

JOBS, STATES = "videos", "states"
PERSISTENT = pika.BasicProperties(delivery_mode=2)  # a job survives a restart of RabbitMQ
BLOCKED_SECONDS = 5  # so long a full disk of RabbitMQ may keep a publisher waiting


def connect(url, blocked_seconds=None):
    parameters = pika.URLParameters(url)
    parameters.blocked_connection_timeout = blocked_seconds
    connection = pika.BlockingConnection(parameters)
    channel = connection.channel()
    channel.confirm_delivery()  # publishing returns when RabbitMQ has the message
    for queue in (JOBS, STATES):
        channel.queue_declare(queue, durable=True)
    return connection, channel


class Publisher:
    """Threads: any; one message at a time. A connection that was lost is opened again."""

    def __init__(self, url):
        self.url, self.lock = url, threading.Lock()
        self.connection, self.channel = None, None

    def publish(self, queue, body):
        """Raises AMQPError or OSError where RabbitMQ does not take the message."""
        with self.lock:
            for is_last in (False, True):
                try:
                    if self.connection is None:
                        self.connection, self.channel = connect(self.url, BLOCKED_SECONDS)
                    return self.channel.basic_publish("", queue, body, PERSISTENT, mandatory=True)
                except (pika.exceptions.AMQPError, OSError) as error:
                    self._close()
                    if is_last or isinstance(error, pika.exceptions.ConnectionBlockedTimeout):
                        raise

    def _close(self):
        connection, self.connection = self.connection, None
        try:
            if connection is not None and connection.is_open:
                connection.close()
        except (pika.exceptions.AMQPError, OSError):
            pass  # it was lost
