"""Kubernetes and KEDA as processes, and APIs of our own."""
