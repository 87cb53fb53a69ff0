"""A worker of a RabbitMQ queue: takes a message, works for so many seconds, acknowledges it.

    python -m support.brokers.rabbitmq_worker PORT QUEUE SECONDS
"""

import sys
import time

import pika


def main(port, queue, seconds):
    connection = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", int(port), heartbeat=0))
    channel = connection.channel()
    channel.basic_qos(prefetch_count=1)

    def work(_channel, method, _properties, _body):
        time.sleep(float(seconds))
        channel.basic_ack(method.delivery_tag)

    channel.basic_consume(queue, work)
    channel.start_consuming()


if __name__ == "__main__":
    main(*sys.argv[1:])
