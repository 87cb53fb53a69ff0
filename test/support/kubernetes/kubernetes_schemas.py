"""Objects against the schemas of Kubernetes and of custom resources, which ./dev puts into build/schemas.

As strict as an API server with fieldValidation: Strict: a field that the schema does not have is a mistake.
"""

import functools
import json
import pathlib
import re

import yaml

from ..process import Unavailable
from ..server.server import REPOSITORY

SCHEMAS = pathlib.Path(REPOSITORY, "build", "schemas")
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "number": (int, float)}


class Loader(yaml.CSafeLoader):
    """A lone = has a meaning of its own in YAML 1.1, and is a text in these files."""


Loader.add_constructor("tag:yaml.org,2002:value", lambda loader, node: node.value)


@functools.cache
def document_of(path):
    text = path.read_text()
    return json.loads(text) if path.suffix == ".json" else yaml.load(text, Loader)


@functools.cache
def documents_of(path):
    return list(yaml.load_all(path.read_text(), Loader))


def definitions_of(group, plural):
    """Most projects have a file for each custom resource, and some one file for all."""
    for path in SCHEMAS.glob(f"*/{group}_{plural}.yaml"):
        yield document_of(path)
    for path in [*SCHEMAS.glob("*/*-crd-gen.yaml"), *SCHEMAS.glob("*/customresourcedefinitions.gen.yaml")]:
        for found in documents_of(path):
            if found and found["metadata"]["name"] == f"{plural}.{group}":
                yield found


def schema_of(version, kind):
    """The schema, and the document that its references are of; None where there is no such kind."""
    if not SCHEMAS.is_dir():
        raise Unavailable(f"{SCHEMAS} is missing: ./dev test charts makes it")
    group, _, number = version.rpartition("/")
    path = SCHEMAS / "kubectl-validate" / ("apis" if group else "api") / group / f"{number}.json"
    if path.exists():
        document = document_of(path)
        for schema in document["components"]["schemas"].values():
            wanted = {"group": group, "version": number, "kind": kind}
            if wanted in schema.get("x-kubernetes-group-version-kind", []):
                return schema, document
    for definition in definitions_of(group, f"{kind.lower()}s"):
        for found in definition["spec"]["versions"]:
            if found["name"] == number:
                schema = found["schema"]["openAPIV3Schema"]
                # The definition leaves metadata to Kubernetes, and need not name the other two.
                every = {"metadata": {"x-kubernetes-preserve-unknown-fields": True}, "apiVersion": {}, "kind": {}}
                return {**schema, "properties": {**schema["properties"], **every}}, {}
    return None


def mistakes(item):
    """A line for each mistake of the object."""
    found = schema_of(item["apiVersion"], item["kind"])
    if found is None:
        return [f"there is no {item['kind']} in {item['apiVersion']}"]
    return list(check(item, *found, f"{item['kind']} {item['metadata']['name']}"))


def resolve(schema, document):
    while True:
        if "$ref" in schema:
            schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        elif len(schema.get("allOf", [])) == 1 and "properties" not in schema:
            schema = {**{key: value for key, value in schema.items() if key != "allOf"}, **schema["allOf"][0]}
        else:
            return schema


def check(value, schema, document, where):
    schema = resolve(schema, document)
    if value is None:
        if not schema.get("nullable"):
            yield f"{where}: is null"
        return
    if schema.get("x-kubernetes-int-or-string") or schema.get("format") == "int-or-string" or ("oneOf" in schema and "type" not in schema):
        if isinstance(value, (dict, list)):
            yield f"{where}: is no number or text"
        return
    kind = schema.get("type")
    if kind == "integer" and (isinstance(value, bool) or not isinstance(value, int)):
        yield f"{where}: {value!r} is no integer"
    elif kind in TYPES and (not isinstance(value, TYPES[kind]) or isinstance(value, bool) != (kind == "boolean")):
        yield f"{where}: {value!r} is no {kind}"
    elif isinstance(value, dict):
        yield from check_object(value, schema, document, where)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from check(item, schema.get("items", {}), document, f"{where}[{index}]")
    else:
        yield from check_scalar(value, schema, where)


def check_object(value, schema, document, where):
    properties, others = schema.get("properties", {}), schema.get("additionalProperties")
    for key in schema.get("required", []):
        if key not in value:
            yield f"{where}: {key} is missing"
    for key, item in value.items():
        if key in properties:
            yield from check(item, properties[key], document, f"{where}.{key}")
        elif isinstance(others, dict):
            yield from check(item, others, document, f"{where}.{key}")
        elif properties and not others and not schema.get("x-kubernetes-preserve-unknown-fields"):
            yield f"{where}: there is no field {key}"


def check_scalar(value, schema, where):
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where}: {value!r} is none of {schema['enum']}"
    if "pattern" in schema and isinstance(value, str) and not re.search(schema["pattern"], value):
        yield f"{where}: {value!r} does not match {schema['pattern']}"
    if isinstance(value, str) and len(value) > schema.get("maxLength", len(value)):
        yield f"{where}: is longer than {schema['maxLength']}"
    if isinstance(value, (int, float)) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        yield f"{where}: {value} is out of range"
