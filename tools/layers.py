"""Who may include whom, as docs/architecture.md promises. Prints each breach as file:line and fails if there is one.

The include paths of CMakeLists.txt enforce most of it already. This covers what the compiler cannot see: the
headers of libraries are in everybody's path, and circles compile: of headers that include each other, and of sources
that use each other's functions, whatever the headers are called that these are declared in. So do two structs of one
name, as long as no source sees both; a function of a header may be called by nobody; and a list of modules there may
be of last year. The dashboard's scripts have such a list in app.js. And which files write a field of a connection, or of a
query, is said in a comment at that.
"""

import os
import pathlib
import re
import sys

# Left to right only.
CHAIN = ["base", "config", "measure", "scale"]
KNOWS = {part: {*CHAIN[:index], part} for index, part in enumerate(CHAIN)}
KNOWS["serve"] = {*CHAIN, "serve"}
KNOWS["web"] = {*CHAIN, "web"}
KNOWS["model"] = {*CHAIN, "model"}
KNOWS["manifest"] = {*CHAIN, "model", "manifest"}
KNOWS["client"] = {"base", "config", "client"}
KNOWS["kubernetes"] = {"base", "config", "kubernetes"}
KNOWS["cli"] = {"base", "config", "client", "cli"}
KNOWS["daemon"] = {*CHAIN, "kubernetes", "client", "serve", "web", "cli", "daemon"}
KNOWS["commands"] = {*CHAIN, "serve", "model", "manifest", "client", "daemon", "cli", "commands"}
KNOWS["lab"] = {*CHAIN, "model", "manifest", "client", "web", "commands", "cli", "lab"}

BROKER_HEADER = re.compile(r"(librdkafka/|rdkafka|nats/|nats\.h|rabbitmq-c/|amqp|hiredis/|libpq|postgresql/)")
TRANSPORT_HEADER = re.compile(r"(grpc|nghttp2/)")
TRANSPORTS = {"h2", "grpc_core"}  # folders of src/serve

SCALER_MAY = re.compile(r"(measure/(?:scaler|task|reading)\.h|config/option\.h|base/(?:system/)?[a-z0-9_]+\.h)$")

UNKEYED = "include base/hash_table.h in place of uthash.h, whose own hash has no key"

# What lists all transports.
LISTED = {("src/serve/transport/list.c", "transport_nghttp2"), ("src/serve/transport/list.c", "transport_grpc_core")}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def includes(path):
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match[1] == "<", match[2]


def breach_of_part(path, system, header):
    part = path.parts[1]
    if system:
        if header == "uthash.h" and path.name != "hash_table.h":
            return UNKEYED
        if BROKER_HEADER.match(header):
            return f"src/ includes no broker's header ({header}): that is a scaler's affair"
        of_transport = part == "serve" and path.parts[2] in TRANSPORTS
        if TRANSPORT_HEADER.match(header) and not of_transport and part != "client":
            return f"only src/client and the transports in src/serve include {header}"
        return None
    if len(path.parts) == 2 or "/" not in header:
        return None  # main.c may know all; a file beside this one
    if header.split("/")[0] not in KNOWS[part]:
        return f"src/{part} does not know {header}; it may include {', '.join(sorted(KNOWS[part]))}"
    if part == "serve" and header.startswith("serve/"):
        folder, of = path.parts[2], header.split("/")[1]
        if of not in {folder, "transport"}:
            return f"src/serve/{folder} does not know {header}: it may include its own files and serve/transport"
    return None


def breach_of_scaler(path, system, header):
    if system:
        if header == "uthash.h":
            return UNKEYED
        return f"scalers know no transport ({header})" if TRANSPORT_HEADER.match(header) else None
    own = "/" not in header or (pathlib.Path("scalers") / header).exists()
    if not own and not SCALER_MAY.match(header):
        return f"a scaler includes measure/scaler.h, measure/task.h, measure/reading.h, config/option.h, base/ and its own files, not {header}"
    return None


def wrong_includes():
    for folder, breach_of in (("src", breach_of_part), ("scalers", breach_of_scaler)):
        for path in sorted(pathlib.Path(folder).rglob("*.[ch]")):
            for number, system, header in includes(path):
                breach = breach_of(path, system, header)
                if breach:
                    yield f"{path}:{number}: {breach}"


def module_of(path):
    """A header, its source and the `_internal` header that its parts share are one module."""
    return str(path.with_suffix("")).removesuffix("_internal")


def module_includes():
    graph = {}
    for folder in ("src", "scalers"):
        for path in sorted(pathlib.Path(folder).rglob("*.[ch]")):
            known = graph.setdefault(module_of(path), {})
            for number, system, header in includes(path):
                for found in (pathlib.Path("src") / header, pathlib.Path("scalers") / header, path.parent / header):
                    if not system and found.exists() and module_of(found) != module_of(path):
                        known.setdefault(module_of(found), f"{path}:{number}")
                        break
    return graph


TEXT = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', re.DOTALL)
DECLARED = re.compile(r"\b([a-z]\w+)\(|^extern\b[^;]*?\b(\w+)(?:\[\w*\])?;", re.MULTILINE)
DEFINED = re.compile(
    r"^(?!static|typedef|extern)[a-z][\w *\n]*?\b([a-z]\w+)(?:\([^;{}]*\)\s*\{|(?:\[\w*\])?\s*=)", re.MULTILINE)
OWN = re.compile(r"^static [^;{}=()]*?\b([a-z]\w+)[(;=\[ ]", re.MULTILINE)
USED = re.compile(r"(?<!struct )(?<!enum )(?<![.>\w])([a-z]\w+)")


def source_uses():
    """Source -> the sources that define what it uses of the headers, however these are called."""
    texts = {path: TEXT.sub(" ", path.read_text()) for folder in ("src", "scalers")
             for path in sorted(pathlib.Path(folder).rglob("*.[ch]"))}
    declared = {name for path, text in texts.items() if path.suffix == ".h" for names in DECLARED.findall(text) for name in names}
    sources = {path: text for path, text in texts.items() if path.suffix == ".c"}
    homes = {}
    for path, text in sources.items():
        for name in declared.intersection(DEFINED.findall(text)):
            homes.setdefault(name, []).append(path)
    graph = {}
    for path, text in sources.items():
        known = graph.setdefault(str(path), {})
        own = set(OWN.findall(text))
        for match in USED.finditer(text):
            found = homes.get(match[1], [])
            if len(found) > 1:  # the transports have a function each, of one name
                found = [home for home in found if home.parent == path.parent]
            if len(found) == 1 and found[0] != path and match[1] not in own:
                known.setdefault(str(found[0]), f"{path} ({match[1]})")
    return graph


def found_header(path, header):
    for found in (pathlib.Path("src") / header, pathlib.Path("scalers") / header, path.parent / header):
        if found.exists():
            return found
    return None


def wrong_uses(graph):
    """Of what is used, whatever header declares it: as breach_of_part() and breach_of_scaler(). A name that no header
    in reach declares is another one of the same spelling."""
    known = {path: [found for _, system, header in includes(path) if not system and (found := found_header(path, header))]
             for folder in ("src", "scalers") for path in pathlib.Path(folder).rglob("*.[ch]")}
    declared = {path: {name for names in DECLARED.findall(TEXT.sub(" ", path.read_text())) for name in names}
                for path in known}
    for user in map(pathlib.Path, sorted(graph)):
        in_reach = set().union(*(declared[header] for header in reachable(known, user) if header.suffix == ".h"))
        for home, where in sorted(graph[str(user)].items()):
            home, name = pathlib.Path(home), where[where.index("(") + 1:-1]
            is_scalers_own = home.parts[0] == "scalers" and user.parts[0] == "scalers"
            if name not in in_reach or is_scalers_own or (str(user), name) in LISTED:
                continue
            breach_of = breach_of_scaler if user.parts[0] == "scalers" else breach_of_part
            header = "/".join(home.with_suffix(".h").parts[1:])
            breach = f"no function of {home} is for src/" if home.parts[0] == "scalers" else breach_of(user, False, header)
            if breach:
                yield f"{where}: {breach}"


def reachable(graph, start):
    found, left = set(), [start]
    while left:
        for module in graph[left.pop()]:
            if module not in found:
                found.add(module)
                left.append(module)
    return found


def circles(graph, verb):
    reach = {module: reachable(graph, module) for module in graph}
    seen = set()
    for module in sorted(graph):
        if module in seen or module not in reach[module]:
            continue
        circle = {module, *(other for other in reach[module] if module in reach[other])}
        seen |= circle
        where = sorted(line for of in circle for to, line in graph[of].items() if to in circle)
        yield f"{where[0]}: these {verb} each other in a circle: {', '.join(sorted(circle))}"


TYPE = re.compile(r"\b((?:struct|union|enum) \w+)\s*\{")
ENUM = re.compile(r"\benum(?: \w+)?\s*\{([^{}]*)\}")


def names_of_two():
    """Types anywhere, and the values of enums in headers. A constant of one source is its own."""
    homes = {}
    for folder in ("src", "scalers"):
        for path in sorted(pathlib.Path(folder).rglob("*.[ch]")):
            text = TEXT.sub(" ", path.read_text())
            names = TYPE.findall(text)
            if path.suffix == ".h":
                names += [value.split("=")[0].strip() for values in ENUM.findall(text) for value in values.split(",")]
            for name in filter(None, names):
                homes.setdefault(name, []).append(path)
    for name, found in sorted(homes.items()):
        if len(found) > 1:
            yield f"{found[0]}: {name} is also in {', '.join(map(str, found[1:]))}: rename one of them"


EXPORTED = re.compile(r"^(?!static|typedef|extern|#|\s)[^;{}#=]*?\b([a-z]\w+)\([^;{}]*;", re.MULTILINE)


def needless_exports():
    """Functions of a header that only the source behind it calls: static, unless the header says that a test does."""
    texts = {path: path.read_text() for folder in ("src", "scalers") for path in pathlib.Path(folder).rglob("*.[ch]")}
    uses = {}
    for path, text in texts.items():
        words = re.findall(r"\b[a-z]\w+\b", TEXT.sub(" ", text))
        for word in set(words):
            uses.setdefault(word, []).append((path, words.count(word)))
    for path, text in sorted(texts.items()):
        if path.suffix != ".h":
            continue
        for match in EXPORTED.finditer(TEXT.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)):
            users = [user for user, count in uses[match[1]] if user != path or count > 1]
            paragraph = text[text.rfind("\n\n", 0, match.start(1)):].split("\n\n")[1]
            if len(users) == 1 and users[0].suffix == ".c" and not re.search(r"\b(tests?|fuzzer)\b", paragraph):
                yield f"{path}: only {users[0]} uses {match[1]}(): make it static, or say that it is for tests, too"


LIST = re.compile(r"The modules of ([\w/]+)/; each uses only those above it:\n \*\n((?: \*   .*\n)+)")


def wrong_lists():
    """Of modules, in the header that a reader of the part finds first. A file that is not named there belongs to the one
    whose name it begins with: engine_stats.c to engine."""
    graph = module_includes()
    for path in sorted(pathlib.Path("src").rglob("*.h")):
        for part, lines in LIST.findall(path.read_text()):
            folder = f"src/{part}/"
            names = [line.split()[1] for line in lines.splitlines()]

            def name_of(module):
                name = module.removeprefix(folder)
                parts = [whole for whole in names if name == whole or name.startswith(f"{whole}_")]
                return max(parts, key=len, default=None)

            yield from (f"{path}: there is no module {name}" for name in names if folder + name not in graph)
            for module in sorted(module for module in graph if module.startswith(folder)):
                name = name_of(module)
                if name is None:
                    yield f"{path}: {module} is not in the list of modules"
                    continue
                for used, where in graph[module].items():
                    if used.startswith(folder) and (of := name_of(used)) and names.index(of) > names.index(name):
                        yield f"{where}: {path} lists {of} below {name}"


SCRIPTS = pathlib.Path("src/web/assets")
IMPORT = re.compile(r'from "([./\w]+)\.js"')


def wrong_scripts():
    """As wrong_lists(), of what runs in the browser; and no page imports another one."""
    head = (SCRIPTS / "app.js").read_text().partition("\nimport")[0]
    names = re.findall(r"^//   ([\w/]+) {2,}\S", head, re.MULTILINE)
    pages = {name for name in names if name.startswith("pages/")}
    paths = {str(path.relative_to(SCRIPTS).with_suffix("")): path for path in sorted(SCRIPTS.rglob("*.js"))}
    yield from (f"{SCRIPTS}/app.js: there is no module {name}" for name in names if name not in paths)
    yield from (f"{SCRIPTS}/app.js: {name} is not in the list of modules" for name in paths if name not in names)
    for name in filter(paths.get, names):
        for imported in IMPORT.findall(paths[name].read_text()):
            used = os.path.normpath(os.path.join(os.path.dirname(name), imported))
            if used not in names or names.index(used) >= names.index(name):
                yield f"{paths[name]}: {SCRIPTS}/app.js does not list {used} above {name}"
            elif name in pages and used in pages:
                yield f"{paths[name]}: is a page, and imports another one, {used}"


# Structs whose header says which files write each field -> it, and all files that could.
STATE = pathlib.Path("src/measure/connection/connection_state.h")
TRIGGER = pathlib.Path("src/scale/trigger/trigger.h")
ENGINE = [*STATE.parent.glob("*.c"), *STATE.parent.parent.glob("*.c")]  # agents have a struct query of their own
STATES = {"connection": (STATE, ENGINE), "query": (STATE, ENGINE),
          "trigger": (TRIGGER, [*pathlib.Path("src/scale").rglob("*.c")])}
STATE_PIECE = re.compile(r"(?P<blank>\n\s*\n)|(?P<comment>/\*.*?\*/)|(?P<field>[^;/]+;)", re.DOTALL)
STATE_WRITE = re.compile(
    r"\b(query|connection|trigger)(?:->|\.)(\w+)(?:\.\w+|\[[^\]]*\])*\s*(?:[-+|&]?=(?!=)|\+\+|--)"
    r"|(?:\+\+|--)(query|connection|trigger)->(\w+)"
    r"|(?<!const )struct \w+ \*\w+ = &(query|connection|trigger)->(\w+);")  # a name to write it by


def state_writers(struct):
    """Field -> the files that its own comment names, or else the one above it in its paragraph."""
    text = re.search(rf"^struct {struct} \{{\n(.*?)^\}};", STATES[struct][0].read_text(), re.DOTALL | re.MULTILINE)[1]
    text = re.sub(r"\{[^{}]*\}", "", text)
    writers, above, fields = {}, set(), []
    for piece in STATE_PIECE.finditer(text):
        files = set(re.findall(r"\w+\.c\b", piece[0]))
        if piece["field"]:
            fields = re.findall(r"(\w+)(?:\[\w+\])?(?=[,;])", piece[0])
            writers.update((field, above) for field in fields)
        elif piece["blank"]:
            above = set()
        elif not fields or "\n" in text[text.rfind(";", 0, piece.start()):piece.start()]:
            above = files
        elif files:
            writers.update((field, files) for field in fields)
    return writers


def wrong_writers():
    """Who assigns a field of STATES, as `query->FIELD`, though its comment does not say so."""
    writers = {struct: state_writers(struct) for struct in STATES}
    yield from (f"{STATES[struct][0]}: {field} of struct {struct}: no comment says which files write it"
                for struct in writers for field, files in writers[struct].items() if not files)
    for path in sorted({path for _, paths in STATES.values() for path in paths}):
        for found in STATE_WRITE.findall(TEXT.sub(" ", path.read_text())):
            struct, field = filter(None, found)
            header, paths = STATES[struct]
            if path in paths and path.name not in writers[struct].get(field, {path.name}):
                yield f"{path}: writes {field} of struct {struct}: {header} names {', '.join(sorted(writers[struct][field]))}"


def main():
    uses = source_uses()
    breaches = [*wrong_includes(), *wrong_uses(uses), *circles(module_includes(), "include"), *circles(uses, "use"),
                *names_of_two(), *wrong_lists(), *wrong_scripts(), *wrong_writers(),
                *needless_exports()]
    for breach in breaches:
        print(breach, file=sys.stderr)
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
