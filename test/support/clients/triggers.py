"""Triggers that several tests use."""

# Right in every respect, but no broker is there: nothing of this machine listens on port 1.
UNREACHABLE = {"scaler": "rabbitmq", "host": "amqp://guest:guest@127.0.0.1:1/", "queueName": "orders",
               "mode": "QueueLength", "value": "5"}
