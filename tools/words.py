"""What no message, no comment of C and no page may say, and what no file may contain. Prints each as file:line and fails if there is one.

Messages and pages use the standard terms of Kubernetes, KEDA, Prometheus and the brokers, and no metaphors of ours.
"""

import pathlib
import re
import sys

SOURCES = ["src", "scalers"]
PAGES = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "docs", "charts", "examples", "scalers/README.md", "bench/README.md",
         "test/README.md", "test/e2e/README.md", "test/parity/README.md", "test/pods/README.md"]

PHRASES = [
    "tells? the truth", "equal questions", "backed off from", "older ones work", "outlive a node", "advice to the honest",
    "comes? to its calls", "full house", "gives? way", "asked apart", "apart from the others", "is connected anew",
    "(?:not|n't) let us in", "answered something else", "errands?", "suspects", "manners", "anew", "mended", "judging", "belongs? into",
]
PHRASE = re.compile(r"\b(" + "|".join(PHRASES) + r")\b", re.IGNORECASE)
TOKEN = re.compile(r"""/\*.*?\*/|//[^\n]*|(?P<string>"(?:\\.|[^"\\\n])*")|'(?:\\.|[^'\\\n])*'""", re.DOTALL)

# Where things are fetched from is the machine's affair, and so is where they lie on it. One of Debian's packages
# has the name of one.
REGISTRY = re.compile(
    r"\b(?!docker\.io  )(registry|repo\d?|proxy|mirrors?|pypi|index|deb|security|snapshot|packages?|files|crates|"
    r"static|hub|docker|ghcr|quay|gcr|mcr|ecr)(-\d)?\.([a-z0-9-]+\.)*(org|com|io|net|dev|rs)\b|\bpkg\.dev\b")
MACHINE_PATH = re.compile(r"(?:(?<![\w./~}$-])|(?<=://))/(work|root|home/\w+|Users/\w+)(?![\w-])")
SKIPPED = {".git", "build", ".cache", "target", "__pycache__", ".pytest_cache"}


def text_of(path):
    try:
        return path.read_text()
    except UnicodeDecodeError:
        return ""


def in_source(path):
    text = text_of(path)
    for match in TOKEN.finditer(text):
        found = PHRASE.search(match[0])
        if found:
            where = "in a message" if match["string"] else "in a comment"
            yield text.count("\n", 0, match.start() + found.start()) + 1, f"{where}: {found[0]}"


def on_page(path):
    for number, line in enumerate(text_of(path).split("\n"), 1):
        found = PHRASE.search(line)
        if found:
            yield number, f"on a page: {found[0]}"


def metaphors():
    for root in SOURCES:
        for path in sorted(pathlib.Path(root).rglob("*.[ch]")):
            yield from ((path, number, what) for number, what in in_source(path))
    for root in PAGES:
        path = pathlib.Path(root)
        for page in [path] if path.is_file() else sorted(path.rglob("*")):
            if page.is_file() and page.suffix in {".md", ".yaml", ".txt", ".tpl"}:
                yield from ((page, number, what) for number, what in on_page(page))


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
    breaches = [*metaphors(), *forbidden()]
    for path, number, what in breaches:
        print(f"{path}:{number}: {what}", file=sys.stderr)
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
