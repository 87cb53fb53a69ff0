"""Every relative link of the Markdown files leads to a file, and to a heading where it names one. A source file that a comment
of the C code names is there."""

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


def main():
    broken = [*broken_links(), *missing_sources()]
    for line in broken:
        print(line, file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
