"""Writes what the chart has that follows from something else; `--check` only says whether it is up to date.

    charts/backlog/values.schema.json     schema.yaml, and the scalers' keys and the server's flags
    charts/backlog/files/reference.json   the same keys and flags, for the templates
    charts/backlog/README.md              readme.md, and the comments of values.yaml
    charts/autoscaled-worker              the same three of its own (worker.py)

The keys and flags are read from standard input: `backlog reference --output json`.
"""

import json
import pathlib
import re
import sys

import yaml

import worker

HERE = pathlib.Path(__file__).parent
CHARTS = HERE.parent.parent / "charts"
CHART = CHARTS / "backlog"
WORKER = CHARTS / "autoscaled-worker"

# The chart sets these itself, from other values.
CHART_FLAGS = {"listen", "http", "http-hosts", "http-token-file", "probes", "config", "tls-cert", "tls-key", "tls-client-ca", "tls-client-names",
               "kubernetes", "kubernetes-cluster-namespace", "kubernetes-allow-authentications",
               "kubernetes-cluster-authentications", "kubernetes-hpa", "peers", "workers"}
# What the chart adds to the keys of a connection.
CONNECTION_KEYS = ("scaler", "namespaces", "secret")
# Secret as far as the server knows, but often without a secret in them.
MAY_HOLD_SECRET = {"connection", "customHeaders", "endpointParams"}
# Text to the server, but everybody writes a number.
NUMBERS = {"port"}
DURATION = r"([0-9]+(\.[0-9]+)?(ms|s|m|h))+"


def camel(flag):
    first, *rest = flag.split("-")
    return first + "".join(word.title() for word in rest)


# ---- the schema ----

def of_integer(row):
    return {"type": "integer"} | {limit: row[limit] for limit in ("minimum", "maximum") if limit in row}


def of_duration(row):
    """A pattern cannot compare, but it can tell 0 from what is more."""
    duration = {"type": "string", "pattern": f"^{DURATION}$"}
    return duration if row.get("minimum", 0) == 0 else {"allOf": [duration, {"pattern": "[1-9]"}]}


def of_flag(row):
    kinds = {
        "boolean": lambda: {"type": "boolean"},
        "integer": lambda: of_integer(row),
        "duration": lambda: of_duration(row),
        "choice": lambda: {"enum": row["choices"]},
        "list": lambda: {"type": "array", "minItems": 1, "items": {"type": "string", "pattern": r"^[^,\s]+$"}},
        "string": lambda: {"type": "string", "minLength": 1},
    }
    return {"description": row["doc"]} | kinds[row["type"]]()


def of_key_duration(row):
    """A bare number is one only where KEDA has given it a meaning."""
    bare = {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9]+$"}, of_duration(row)]}
    return bare if row.get("bareMilliseconds") else of_duration(row)


def of_key(row):
    text = {"type": ["string", "integer"]} if row["key"] in NUMBERS else {"type": "string"}
    kinds = {
        "boolean": {"enum": [True, False, "true", "false"]},
        "integer": {"anyOf": [of_integer(row), {"type": "string", "pattern": "^-?[0-9]+$"}]},
        "number": {"anyOf": [{"type": "number"}, {"type": "string", "pattern": r"^-?[0-9.]+$"}]},
        "duration": of_key_duration(row),
        "choice": {"enum": row.get("choices")},
        "list": {"anyOf": [text, {"type": "array", "minItems": 1, "items": text}]},
        "ranges": {"type": "string"},
        "string": text,
    }
    return {"description": row["doc"]} | kinds[row["type"]]


def names_of(row):
    return [row["key"], *([row["alias"]] if "alias" in row else [])]


def of_scaler(scaler):
    properties = {key: True for key in CONNECTION_KEYS}
    required = []
    for row in scaler["connection"]:
        spellings = [spelling for name in names_of(row) for spelling in (name, f"{name}File")]
        assert not set(spellings) & set(properties), f"the chart has a key of its own named {row['key']}"
        for name in names_of(row):
            properties[name] = of_key(row)
            properties[f"{name}File"] = {"$ref": "#/definitions/file"}
        if row.get("required"):
            required.append({"anyOf": [{"required": [spelling]} for spelling in spellings]})
    return {"properties": properties, "additionalProperties": False} | ({"allOf": required} if required else {})


def renamed_of(page):
    return yaml.safe_load((HERE / page).read_text())["renamed"]


def with_renamed(whole):
    """The schema lets a value of before through, so that the templates can name the new one."""
    for path, name in whole.pop("renamed").items():
        *parents, key = path.split(".")
        place = whole["properties"]
        for parent in parents:
            place = place.setdefault(parent, {"type": "object", "additionalProperties": False, "properties": {}})["properties"]
        place[key] = {"description": f"is now {name}"}
    return whole


def schema(reference):
    whole = with_renamed(yaml.safe_load((HERE / "schema.yaml").read_text()))
    scalers = reference["scalers"]
    connection = whole["definitions"]["connection"]
    connection["properties"]["scaler"] = {"enum": sorted(scalers)}
    connection["allOf"] = [{"if": {"required": ["scaler"], "properties": {"scaler": {"const": name}}},
                            "then": {"$ref": f"#/definitions/{name}"}} for name in sorted(scalers)]
    for name, scaler in sorted(scalers.items()):
        whole["definitions"][name] = of_scaler(scaler)
    whole["properties"]["config"] = {
        "type": "object", "additionalProperties": False,
        "properties": {camel(row["key"]): of_flag(row) for row in reference["flags"]
                       if row["key"] not in CHART_FLAGS}}
    return json.dumps(whole, indent=2) + "\n"


# ---- what the templates need to know ----

def trigger_names(row):
    return [row["key"], *([row["alias"]] if "alias" in row and not row.get("aliasInFileOnly") else [])]


def table(reference):
    """Of each scaler the keys that a trigger may have, and those of them that are secret; and the server's flags."""
    scopes = ("connection", "query", "target")
    rows = {name: [row for scope in scopes for row in scaler[scope]] for name, scaler in reference["scalers"].items()}
    return json.dumps({
        "flags": sorted(row["key"] for row in reference["flags"]),
        "general": sorted(name for row in reference["trigger"] for name in trigger_names(row)),
        "keys": {name: sorted(spelling for row in found for spelling in trigger_names(row))
                 for name, found in sorted(rows.items())},
        "renamed": renamed_of("schema.yaml"),
        "secrets": sorted({row["key"] for found in rows.values() for row in found if row.get("secret")} - MAY_HOLD_SECRET),
    }, indent=1) + "\n"


# ---- the README ----

class Value:
    def __init__(self, path, default, doc):
        self.path, self.default, self.doc = path, default, doc


def prose_of(text):
    """A <word> would be taken for HTML."""
    return text.replace("<", "&lt;")


def cell(text):
    return text.replace("|", r"\|")


def default_of(value):
    text = json.dumps(value)
    return f"`{cell(text)}`" if len(text) <= 60 else "see values.yaml"


KEY = re.compile(r"^( *)([A-Za-z][\w-]*):(?: +(.*))?$")


def values_of(text):
    """(title, prose, values) of each section. A comment stands above its key or behind it; `## ` begins a section, and
    lines of `#  ` are examples. What has the fields of another value is shown as a whole."""
    whole = yaml.safe_load(text)
    sections, comment, path, hidden = [], [], [], None
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("## "):
            sections.append((stripped[3:], [], []))
            comment = []
        elif re.match(r"#( \S|$)", stripped):
            comment.append(stripped[2:])
        elif stripped.startswith("#"):
            continue
        elif match := KEY.match(line):
            depth = len(match[1]) // 2
            path[depth:] = [match[2]]
            if hidden is not None and depth > hidden:
                continue
            hidden = None
            default = whole
            for key in path:
                default = default[key]
            behind = re.search(r"(?:^|\s)# (.*)$", match[3] or "")
            doc = " ".join([*comment, *([behind[1]] if behind else [])])
            comment = []
            is_parent = isinstance(default, dict) and default and not (match[3] or "").startswith("{")
            if doc or not is_parent:
                sections[-1][2].append(Value(".".join(path), default, doc))
                assert doc or depth, f"{'.'.join(path)} has no comment"
            hidden = depth if isinstance(default, list) or "fields as of" in doc else None
        elif not stripped:
            if comment and sections:
                sections[-1][1].extend(comment)
            comment = []
    return sections


def is_group(value, values):
    return any(other.path.startswith(value.path + ".") for other in values)


def readme(chart, page, reference):
    lines = []
    for title, prose, values in values_of((chart / "values.yaml").read_text()):
        lines += [f"### {title}", ""]
        lines += [prose_of(" ".join(prose)), ""] if prose else []
        lines += ["| value | default | meaning |", "|---|---|---|"]
        for value in values:
            default = "" if is_group(value, values) else default_of(value.default)
            lines.append(f"| `{value.path}` | {default} | {cell(prose_of(value.doc))} |")
        lines.append("")
    scalers = ", ".join(f"`{name}`" for name in sorted(reference["scalers"]))
    return (HERE / page).read_text().replace("VALUES\n", "\n".join(lines)).replace("SCALERS", scalers)


def main():
    reference = json.load(sys.stdin)
    status = 0
    for path, text in {
            CHART / "values.schema.json": schema(reference),
            CHART / "files" / "reference.json": table(reference),
            CHART / "README.md": readme(CHART, "readme.md", reference),
            WORKER / "values.schema.json": worker.schema(reference, of_key, with_renamed),
            WORKER / "files" / "triggers.json": worker.table(reference, renamed_of("worker_schema.yaml")),
            WORKER / "README.md": readme(WORKER, "worker_readme.md", reference)}.items():
        if "--check" not in sys.argv:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            print(f"{path.relative_to(CHART.parent.parent)} is out of date: run ./dev chart", file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
