"""Who may include whom, and what no file may say. Prints each breach as file:line and fails if there is one.

The include paths of CMakeLists.txt hold most of the first already; this says it in words, and covers what
the compiler cannot see: the system's headers are in everybody's path.
"""

import pathlib
import re
import sys

# Left to right only.
CHAIN = ["base", "config", "measure", "scale"]
KNOWS = {part: {*CHAIN[:index], part} for index, part in enumerate(CHAIN)}
KNOWS["serve"] = {*CHAIN, "serve"}
KNOWS["web"] = {*CHAIN, "web"}
KNOWS["client"] = {"base", "config", "client"}
KNOWS["cli"] = {*CHAIN, "serve", "web", "client", "cli"}

BROKER_HEADER = re.compile(r"(librdkafka/|rdkafka|nats/|nats\.h|rabbitmq-c/|amqp|hiredis/|libpq|postgresql/)")
TRANSPORT_HEADER = re.compile(r"(grpc|nghttp2/)")
SCALER_MAY = re.compile(r"(measure/(?:scaler|task)\.h|config/option\.h|base/[a-z_]+\.h)$")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
SKIPPED = {".git", "build", ".cache", "target", "__pycache__", ".pytest_cache"}

# Where things are fetched from is the machine's affair, and so is where they lie on it.
REGISTRY = re.compile(
    r"\b(registry|repo\d?|proxy|mirrors?|pypi|index|deb|security|snapshot|packages?|files|crates|"
    r"static|hub|docker|ghcr|quay|gcr|mcr|ecr)(-\d)?\.([a-z0-9-]+\.)*(org|com|io|net|dev|rs)\b|\bpkg\.dev\b")
MACHINE_PATH = re.compile(r"(?:(?<![\w./~}$-])|(?<=://))/(work|root|home/\w+|Users/\w+)(?![\w-])")


def includes(path):
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match[1] == "<", match[2]


def breach_of_part(path, system, header):
    part = path.parts[1]
    if system:
        if BROKER_HEADER.match(header):
            return f"src/ includes no broker's header ({header}): that is a scaler's affair"
        if TRANSPORT_HEADER.match(header) and part not in ("serve", "client"):
            return f"only src/serve and src/client include {header}"
        return None
    if len(path.parts) == 2 or "/" not in header:
        return None  # main.c may know all; a file beside this one
    if header.split("/")[0] not in KNOWS[part]:
        return f"src/{part} does not know {header}; it may include {', '.join(sorted(KNOWS[part]))}"
    return None


def breach_of_scaler(path, system, header):
    if system:
        return f"scalers know no transport ({header})" if TRANSPORT_HEADER.match(header) else None
    own = "/" not in header or (pathlib.Path("scalers") / header).exists()
    if not own and not SCALER_MAY.match(header):
        return f"a scaler includes measure/scaler.h, measure/task.h, config/option.h, base/ and its own files, not {header}"
    return None


def wrong_includes():
    for folder, breach_of in (("src", breach_of_part), ("scalers", breach_of_scaler)):
        for path in sorted(pathlib.Path(folder).rglob("*.[ch]")):
            for number, system, header in includes(path):
                breach = breach_of(path, system, header)
                if breach:
                    yield f"{path}:{number}: {breach}"


def files():
    for path in sorted(pathlib.Path(".").rglob("*")):
        if path.is_file() and not SKIPPED.intersection(path.parts):
            yield path


def wrong_words():
    for path in files():
        try:
            lines = path.read_text().splitlines()
        except UnicodeDecodeError:
            continue  # not text
        for number, line in enumerate(lines, 1):
            for pattern, what in ((REGISTRY, "names a registry's host"), (MACHINE_PATH, "names a machine's path")):
                match = pattern.search(line)
                if match:
                    yield f"{path}:{number}: {what}: {match[0]}"


def main():
    breaches = [*wrong_includes(), *wrong_words()]
    for breach in breaches:
        print(breach, file=sys.stderr)
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
