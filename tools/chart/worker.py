"""The generated files of charts/autoscaled-worker: its schema, and the table of triggers that its templates read."""

import json
import pathlib

import yaml

HERE = pathlib.Path(__file__).parent

# The chart's own keys of a source trigger.
CHART_KEYS = ("enabled", "via", "name", "metricType", "useCachedMetrics", "password", "existingSecret", "passwordKey",
              "secretKeys", "authenticationRef", "lagTrigger", "bufferTrigger", "throughputTrigger")
# Keys of every trigger through Backlog that `via: keda` leaves out; without the other ones KEDA would scale differently.
ANSWERING = ("connectionName", "interval", "hold")
# The chart sets these, or they are KEDA's and not the trigger's.
NOT_SET = ("scaler", "scalerAddress", "enableTLS", "unsafeSsl", "caCert", "tlsClientCert", "tlsClientKey", "tlsCertFile",
           "metricName")

TLS = ["tls", "ca", "cert", "key", "keyPassword"]
POSTGRESQL = ["host", "port", "userName", "dbName"]

# What the tables of the scalers do not have. Of each source:
#   name            of the KEDA trigger
#   rename          a key of the values, and the scaler's
#   required        (besides those that the scaler's table requires) one of these keys each
#   monitoring      keys that count only without `servers`
#   builtIn         KEDA's built-in scaler (2.21): `required`; `authentication`, what it reads from a TriggerAuthentication
#                   alone; `variables`, what it reads from KEYFromEnv; `rename`; `ignored`, connection keys that it does not
#                   have and has others for
SOURCES = {
    "kafka": {"name": "kafka", "builtIn": {
        "authentication": ["username", "password", "ca", "cert", "key", "keyPassword", "oauthTokenEndpointUri", "scopes",
                           "oauthExtensions", "keytab", "realm", "kerberosConfig", "kerberosServiceName", "kerberosDisableFAST"],
        "variables": ["bootstrapServers", "consumerGroup", "topic"]}},
    "nats-jetstream": {
        "name": "nats", "required": [["servers", "natsServerMonitoringEndpoint"]],
        "monitoring": ["natsServerMonitoringEndpoint", "account", "accountID", "useHttps"],
        "builtIn": {"required": [["natsServerMonitoringEndpoint"], ["account", "accountID"]],
                    "ignored": ["servers", "user", "password", "token", "credentials", "nkeySeed", *TLS, "brokerUnsafeSsl"]}},
    "rabbitmq": {"name": "rabbitmq", "builtIn": {
        "authentication": ["username", "password", *TLS, "oauthTokenURI", "clientID", "clientSecret", "scopes", "scope",
                           "endpointParams"],
        "variables": ["host", "username", "password"]}},
    "redis": {"name": "redis", "required": [["address", "addresses", "host", "hosts"]], "builtIn": {
        "authentication": ["password", *TLS],
        "variables": ["address", "addresses", "host", "hosts", "port", "ports", "username", "password"],
        "rename": {"brokerTls": "enableTLS"}}},
    "prometheus": {"name": "prometheus", "builtIn": {
        "authentication": ["username", "password", "bearerToken", "token", "customAuthHeader", "customAuthValue", *TLS]}},
    "postgresql": {
        "name": "postgresql", "rename": {"database": "dbName", "user": "userName", "sslMode": "sslmode"},
        "required": [["host", "connection"]], "builtIn": {
            "required": [[key, "connection"] for key in POSTGRESQL],
            "authentication": ["connection", "password"], "variables": ["connection", "password"],
            "ignored": ["maxSessions"]}},
}
# Keys of Backlog's scalers that KEDA's do not have, and that change what is measured.
ABSENT = {"kafka": ["persistentLagTime"], "nats-jetstream": ["domain", "apiPrefix"],
          "prometheus": ["inFlightQuery", "arrivalQuery", "consumptionQuery"],
          "postgresql": ["inFlightQuery", "arrivalQuery", "consumptionQuery", "timeout"]}


def names_of(row):
    """Of a trigger; a secret may be given by each of them."""
    return [row["key"], *([row["alias"]] if "alias" in row and not row.get("aliasInFileOnly") else [])]


def of_scopes(scaler, *scopes):
    return [row for scope in scopes for row in scaler[scope]]


def general_rows(reference):
    return [row for row in reference["trigger"] if row["key"] not in NOT_SET]


def row_of(source, scaler):
    """What the templates need to know of a source."""
    own = SOURCES[source]
    every = of_scopes(scaler, "connection", "query", "target")
    built_in = own["builtIn"]

    def required(*scopes):
        return [names_of(row) for row in of_scopes(scaler, *scopes) if row.get("required")]

    return {
        "name": own["name"],
        "rename": own.get("rename", {}),
        "connection": sorted(name for row in scaler["connection"] for name in names_of(row)),
        "monitoring": own.get("monitoring", []),
        "secret": sorted(name for row in every if row.get("secret") and row["key"] != "customHeaders" for name in names_of(row)),
        "url": sorted(name for row in every if row.get("url") for name in names_of(row)),
        "unsupported": scaler["unsupported"],
        "required": {"connection": required("connection") + own.get("required", []), "query": required("query", "target"),
                     "keda": built_in.get("required", [])},
        "keda": {
            "authentication": built_in.get("authentication", []),
            "variables": built_in.get("variables", []),
            "rename": {"brokerUnsafeSsl": "unsafeSsl", **built_in.get("rename", {})},
            "ignored": built_in.get("ignored", []),
            "absent": ABSENT.get(source, []),
        },
    }


def table(reference):
    return json.dumps({
        "chart": list(CHART_KEYS), "answering": list(ANSWERING),
        "policy": [row["key"] for row in general_rows(reference) if row["key"] not in ANSWERING],
        "sources": {source: row_of(source, reference["scalers"][source]) for source in SOURCES},
    }, indent=1) + "\n"


def is_empty_or(schema):
    """A default of "" is as good as no key."""
    return schema if schema.get("type") == "string" else {"anyOf": [schema, {"const": ""}]}


def of_source(source, scaler, reference, of_key):
    """The schema of a trigger's values."""
    rename = {target: given for given, target in SOURCES[source].get("rename", {}).items()}
    general = general_rows(reference)
    rows = of_scopes(scaler, "connection", "query", "target") + general
    properties = {}
    for row in rows:
        for name in names_of(row):
            given = rename.get(name, name)
            properties[given] = is_empty_or(of_key(row))
            if row in general and row["type"] == "string":
                properties[given]["type"] = ["string", "number"]  # ratePerReplica: 10, or measured
            properties[f"{given}FromEnv"] = {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}
    for key, reason in scaler["unsupported"].items():
        properties[key] = {"description": f"with via: keda alone; {reason}", "type": ["string", "boolean", "integer"]}
    if source == "postgresql":
        properties["sslMode"] = {"enum": ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]}
    secrets = sorted(name for row in scaler["connection"] for name in names_of(row))
    properties["secretKeys"] = {"type": "object", "additionalProperties": False, "properties": {
        name: {"type": "string", "pattern": "^[-._a-zA-Z0-9]+$"} for name in secrets}}
    return properties


def schema(reference, of_key):
    whole = yaml.safe_load((HERE / "worker_schema.yaml").read_text())
    common = whole["definitions"].pop("trigger")
    triggers = whole["properties"]["keda"]["properties"]["triggers"]["properties"]
    for source in SOURCES:
        properties = {**of_source(source, reference["scalers"][source], reference, of_key), **common}
        if source == "prometheus":
            own = ("name", "query", "inFlightQuery", "arrivalQuery", "consumptionQuery", "threshold", "activationThreshold",
                   "metricType", "ignoreNullValues", *(row["key"] for row in general_rows(reference)))
            part = {"type": "object", "additionalProperties": False, "properties": {key: properties[key] for key in own}}
            part["properties"].update(enabled={"type": "boolean"}, metricName={"type": "string", "pattern": "^([A-Za-z_][-A-Za-z0-9_.]*)?$"})
            whole["definitions"]["prometheusTrigger"] = part
            for key in ("query", "inFlightQuery", "arrivalQuery", "consumptionQuery", "threshold", "activationThreshold", "name"):
                del properties[key]
            for key in ("lagTrigger", "bufferTrigger", "throughputTrigger"):
                properties[key] = {"$ref": "#/definitions/prometheusTrigger"}
        triggers[source] = {"type": "object", "additionalProperties": False, "properties": properties}
    for name in ("prometheus", "postgresql", "cpu", "memory"):
        place = "#/properties/keda/properties/triggers/properties"
        whole["properties"]["keda"]["properties"][name] = {"$ref": f"{place}/{name}"}
    return json.dumps(whole, indent=1) + "\n"
