"""Real brokers, databases and what works on their queues."""
