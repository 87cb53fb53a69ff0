"""A row of the table of docs/triggers.md: which version of a source the broker tests ran against, when, and how it went.

usage: matrix.py <source> <base> <report>

Runs with the environment of the tests that wrote the report (JUnit's XML): the program that they started says its version. The row
takes the place of the last one of that version and base. A test that passed alone, as <report>-again says, has passed.
"""

import datetime
import glob
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "test"))

from support.brokers import postgresql  # noqa: E402
from support.process import need  # noqa: E402
from test_summary import results  # noqa: E402

PAGE = ROOT / "docs" / "triggers.md"
HEAD = "| source | version | broker from | tests passed | date |\n|---|---|---|---|---|\n"
BASES = {"bookworm": "Debian 12", "trixie": "Debian 13"}


def broker(source, base):
    """Its name and its version."""
    if source == "kafka":
        folder = os.environ.get("BACKLOG_KAFKA_JARS") or ROOT / "build" / "kafka"
        [version] = {match[1] for path in glob.glob(f"{folder}/kafka_2*.jar") if (match := re.search(r"kafka_[\d.]+-([\d.]+)\.jar", path))}
        return "Kafka", version
    if source == "rabbitmq":  # its own tools start a virtual machine to say so
        inside = [ROOT / "tools" / "root", "enter", base] if base == "bookworm" else []
        text = subprocess.run([*inside, "dpkg-query", "--show", "--showformat", "${Version}", "rabbitmq-server"],
                              check=True, capture_output=True, text=True).stdout
        return "RabbitMQ", re.match(r"[\d.]+", text)[0]
    commands = {"nats": lambda: [need("nats-server"), "--version"],
                "redis": lambda: [need(os.environ.get("REDIS_SERVER", "redis-server")), "--version"],
                "postgresql": lambda: [postgresql.program("postgres"), "--version"],
                "prometheus": lambda: [need("prometheus"), "--version"]}
    text = subprocess.run(commands[source](), check=True, capture_output=True, text=True).stdout
    names = {"nats": "NATS", "redis": "Redis", "postgresql": "PostgreSQL", "prometheus": "Prometheus"}
    return "Valkey" if "Valkey" in text else names[source], re.search(r"\d+\.\d+(?:\.\d+)*", text)[0]


def of(name, base):
    if base != "bookworm" and "BACKLOG_PROGRAMS" in os.environ:
        return f"its Go module, {BASES[base]}"
    return f"Maven, {BASES[base]}" if name == "Kafka" else BASES[base]


def key(row):
    cells = row.strip("|\n ").split(" | ")
    return cells[0], [int(number) for number in re.findall(r"\d+", cells[1])], cells[2]


def main(source, base, report):
    passed, failed, skipped = results(report)
    passed |= results(report.replace(".xml", "-again.xml"))[0]
    count = len(passed | failed.keys() | skipped)
    if count == 0:
        raise SystemExit(f"matrix: {report} has no test")
    name, version = broker(source, base)
    row = f"| {name} | {version} | {of(name, base)} | {len(passed)} of {count} | {datetime.datetime.now(datetime.UTC).date()} |\n"
    text = PAGE.read_text()
    begin = text.index(HEAD) + len(HEAD)
    end = text.index("\n\n", begin - 1) + 1
    rows = {tuple(map(str, key(each))): each for each in [*text[begin:end].splitlines(keepends=True), row]}
    PAGE.write_text(text[:begin] + "".join(sorted(rows.values(), key=key)) + text[end:])
    print(row, end="")


if __name__ == "__main__":
    main(*sys.argv[1:])
