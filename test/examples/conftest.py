"""CI looks at manifests, schemas and pages, and plays one part of one example. What else starts a broker or converts videos is nightly."""

FIXTURES = {"broker", "database", "disk", "producer", "render", "short", "system"}


def pytest_itemcollected(item):
    if FIXTURES & set(item.fixturenames):
        item.add_marker("nightly")
