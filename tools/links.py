"""What is named is there: the file, and the heading, of each relative link of the Markdown files; each source file that a
comment of the C code names; and each file, folder, function and type that docs/architecture.md names as code."""

import pathlib
import re
import sys

SKIPPED = {".git", "build", ".cache", "target"}
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
SOURCE = re.compile(r"(?<![\w.<-])((?:[a-z0-9_]+/)*[a-z0-9_]+\.[ch])\b(?!\w)")
OF_OTHERS = {"nats.c", "conn.c", "ctype.h", "splitmix64.c"}  # of nats.c, the C library, and a web page
CODE = re.compile(r"^(```|~~~).*?^\1|`[^`\n]*`", re.MULTILINE | re.DOTALL)


def anchors(page):
    """As GitHub makes them: lower case, hyphens for spaces, punctuation dropped."""
    text = re.sub(r"^(```|~~~).*?^\1", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    found = set()
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        count = sum(1 for each in found if re.fullmatch(re.escape(anchor) + r"(-\d+)?", each))
        found.add(anchor if anchor not in found else f"{anchor}-{count}")
    return found


def broken_links():
    for page in sorted(pathlib.Path(".").rglob("*.md")):
        if SKIPPED.intersection(page.parts):
            continue
        for link in LINK.findall(CODE.sub("", page.read_text())):
            if re.match(r"[a-z]+:", link):
                continue
            path, _, anchor = link.partition("#")
            target = page.parent / path if path else page
            if not target.exists():
                yield f"{page}: {link}: no such file"
            elif anchor and target.suffix == ".md" and anchor not in anchors(target):
                yield f"{page}: {link}: no such heading"


def missing_sources():
    sources = [path for folder in ("src", "scalers", "test", "bench", "tools") for path in sorted(pathlib.Path(folder).rglob("*.[ch]"))]
    whole = ["/" + path.as_posix() for path in sources]
    for path in sources:
        for comment in COMMENT.findall(path.read_text()):
            for name in SOURCE.findall(comment):
                if pathlib.PurePath(name).name not in OF_OTHERS and not any(each.endswith("/" + name) for each in whole):
                    yield f"{path}: {name}: no such file"


ARCHITECTURE = pathlib.Path("docs/architecture.md")
SPAN = re.compile(r"`([^`\n]+)`")
IN_TREE = re.compile(r"^ *([a-z][\w/]*(?:/|\.[ch]))(?=\s)", re.MULTILINE)  # of a listing of folders
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
PATH = re.compile(r"(?:[\w.-]+/)*[\w-]+\.(?:[ch]|js|proto|py|md)|(?:[\w.-]+/)+")
FUNCTION = re.compile(r"(\w+)\(\)")
TYPE = re.compile(r"(?:struct|enum) \w+")


def missing_of_architecture():
    page = ARCHITECTURE.read_text()
    folders = [pathlib.Path(folder) for folder in ("src", "scalers", "proto", "test", "tools", "docs")]
    paths = [path for folder in folders for path in (folder, *folder.rglob("*"))]
    whole = {f"/{path}/" if path.is_dir() else f"/{path}" for path in paths}
    code = "\n".join(path.read_text() for path in paths if path.suffix in (".c", ".h") and path.parts[0] in ("src", "scalers"))
    functions = set(re.findall(r"^(?:\w[\w *]*?)?\b(\w+)\([^;]*?\)\n\{", code, re.MULTILINE))
    types = set(re.findall(r"\b((?:struct|enum) \w+) \{", code))
    names = [*SPAN.findall(FENCE.sub("", page)), *(name for block in FENCE.findall(page) for name in IN_TREE.findall(block))]
    for name in names:
        is_missing = (
            "NAME" not in name and not any(each.endswith(f"/{name}") for each in whole) if PATH.fullmatch(name)
            else FUNCTION.fullmatch(name)[1] not in functions if FUNCTION.fullmatch(name)
            else bool(TYPE.fullmatch(name)) and name not in types)
        if is_missing:
            yield f"{ARCHITECTURE}: {name}: there is none"


def main():
    broken = [*broken_links(), *missing_sources(), *missing_of_architecture()]
    for line in broken:
        print(line, file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
