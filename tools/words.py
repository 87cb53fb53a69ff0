"""Words that this project has retired, and what no file may contain. Prints each as file:line and fails if there is one.

Names, messages and pages use the standard terms of Kubernetes, KEDA, Prometheus and the brokers.
"""

import ast
import pathlib
import re
import sys

SOURCES = ["src", "scalers", "test", "bench", "examples", "tools"]
PAGES = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "docs", "charts", "examples", "scalers/README.md", "bench/README.md",
         "test/README.md", "test/e2e/README.md", "test/parity/README.md"]

# Parts of names (between underscores), and what to write instead.
RETIRED_IN_NAMES = {
    "errand": "loop_call", "errands": "loop_calls", "crowd": "trim", "suspects": "quarantined", "manners": "defaults",
    "tally": "stats", "strikes": "timeouts", "bell": "wake",
    "rung": "wake_pending", "ear": "subscription", "hear": "on_readable", "heard": "received", "lane": "client",
    "pace": "interval", "beat": "period", "beating": "heartbeats", "told": "sent, recorded", "tell": "send, record",
    "said": "sent, message", "say": "send", "ask": "request, call", "asks": "requests", "asked": "requested",
    "judge": "evaluate", "judged": "evaluated", "judgement": "evaluation", "dialogue": "protocol", "doom": "terminate",
    "doomed": "terminating", "shaking": "handshake", "shake": "handshake", "most": "max", "anew": "again",
    "mend": "repair", "disarm": "unsubscribe", "apart": "isolated",
    "least": "min", "tells": "sends, reports", "hears": "receives", "asker": "caller", "asking": "requesting",
    "suspect": "quarantined", "armed": "subscribed", "arms": "subscriptions",
}
# In messages (string literals of C) and on pages.
RETIRED_PHRASES = [
    "tells? the truth", "equal questions", "backed off from", "older ones work", "outlive a node", "advice to the honest",
    "comes? to its calls", "full house", "gives? way", "asked apart", "apart from the others", "is connected anew",
    "(?:not|n't) let us in", "answered something else", "what attacks come to", "the way of one question",
    "a crash stays outside", "when something is odd", "day one", "errands?", "suspects", "manners", "computed beside", "anew", "mended",
    "backlog_children", "backlog_answer_age", "backlog_call_seconds", "backlog_activation_seconds", "backlog_wakes_total",
    "backlog_failed_arms", "backlog_connects_total", "backlog_pushes_total", "asksApart", "askedSecondsAgo",
]

NAME = re.compile(r"(?<![A-Za-z0-9_])(?<!COMMAND\()[A-Za-z_][A-Za-z0-9_]*")  # a command is called what users type
PHRASE = re.compile(r"\b(" + "|".join(RETIRED_PHRASES) + r")\b", re.IGNORECASE)
TOKEN = re.compile(r"""(?P<comment>/\*.*?\*/|//[^\n]*)|(?P<string>"(?:\\.|[^"\\\n])*")|(?P<char>'(?:\\.|[^'\\\n])*')""", re.DOTALL)
# The C library, libraries and keywords that have such a part.
FOREIGN = re.compile(r"^(command_ask$|ftell|SSL_|sd_|rd_kafka_|RD_KAFKA_|amqp_|nats[A-Z]|PQ|EVP_|nghttp2_|NGHTTP2_|grpc_|GRPC_)")

# Where things are fetched from is the machine's affair, and so is where they lie on it.
REGISTRY = re.compile(
    r"\b(registry|repo\d?|proxy|mirrors?|pypi|index|deb|security|snapshot|packages?|files|crates|"
    r"static|hub|docker|ghcr|quay|gcr|mcr|ecr)(-\d)?\.([a-z0-9-]+\.)*(org|com|io|net|dev|rs)\b|\bpkg\.dev\b")
MACHINE_PATH = re.compile(r"(?:(?<![\w./~}$-])|(?<=://))/(work|root|home/\w+|Users/\w+)(?![\w-])")
SKIPPED = {".git", "build", ".cache", "target", "__pycache__", ".pytest_cache"}


def text_of(path):
    try:
        return path.read_text()
    except UnicodeDecodeError:
        return ""


def blank(text):
    """Spaces for everything but the line ends."""
    return re.sub(r"[^\n]", " ", text)


def retired_in_source(path):
    text = text_of(path)
    code = TOKEN.sub(lambda match: blank(match[0]), text)
    for number, line in enumerate(code.split("\n"), 1):
        if line.lstrip().startswith("#include"):
            continue
        for name in NAME.findall(line):
            for part in [] if FOREIGN.match(name) else name.lower().split("_"):
                if part in RETIRED_IN_NAMES:
                    yield number, f"{name}: write {RETIRED_IN_NAMES[part]} for {part}"
    for match in TOKEN.finditer(text):
        found = match["string"] and PHRASE.search(match["string"])
        if found:
            yield text.count("\n", 0, match.start()) + 1, f"retired in messages: {found[0]}"


def parts_of(name):
    """Of a name in Python. Those of tests are sentences, and are not looked at."""
    return [] if name.startswith("test_") else name.lower().split("_")


def retired_in_python(path):
    for node in ast.walk(ast.parse(text_of(path))):
        for name in [getattr(node, field, None) for field in ("id", "name", "attr", "arg", "asname")]:
            for part in parts_of(name) if isinstance(name, str) else []:
                if part in RETIRED_IN_NAMES:
                    yield getattr(node, "lineno", 1), f"{name}: write {RETIRED_IN_NAMES[part]} for {part}"


def is_python(path):
    return path.is_file() and (path.suffix == ".py" or text_of(path).startswith("#!/usr/bin/env python3"))


def retired_on_page(path):
    for number, line in enumerate(text_of(path).split("\n"), 1):
        found = PHRASE.search(line)
        if found:
            yield number, f"retired on pages: {found[0]}"


def retired():
    for root in SOURCES:
        for path in sorted(pathlib.Path(root).rglob("*.[ch]")):
            if not SKIPPED.intersection(path.parts):
                yield from ((path, number, what) for number, what in retired_in_source(path))
        for path in filter(is_python, sorted(pathlib.Path(root).rglob("*"))):
            if not SKIPPED.intersection(path.parts):
                yield from ((path, number, what) for number, what in retired_in_python(path))
    for root in PAGES:
        path = pathlib.Path(root)
        for page in [path] if path.is_file() else sorted(path.rglob("*")):
            if page.is_file() and page.suffix in {".md", ".yaml", ".txt", ".tpl"}:
                yield from ((page, number, what) for number, what in retired_on_page(page))


def forbidden():
    for path in sorted(pathlib.Path(".").rglob("*")):
        if not path.is_file() or SKIPPED.intersection(path.parts):
            continue
        for number, line in enumerate(text_of(path).splitlines(), 1):
            for pattern, what in ((REGISTRY, "names a registry's host"), (MACHINE_PATH, "names a machine's path")):
                match = pattern.search(line)
                if match:
                    yield path, number, f"{what}: {match[0]}"


def main():
    breaches = [*retired(), *forbidden()]
    for path, number, what in breaches:
        print(f"{path}:{number}: {what}", file=sys.stderr)
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
