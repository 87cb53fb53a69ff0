"""The generated files of charts/autoscaled-worker: its schema, and the table of scalers that its templates read."""

import json
import pathlib

import yaml

HERE = pathlib.Path(__file__).parent

# The chart's own keys of a trigger.
CHART_KEYS = ("enabled", "scaler", "via", "name", "metricType", "useCachedMetrics", "password", "existingSecret", "passwordKey",
              "secretKeys", "authenticationRef")
# Keys of every trigger through Backlog that `via: keda` leaves out; without the other ones KEDA would scale differently.
ANSWERING = ("connectionName", "interval", "hold")
# The chart sets these, or they are KEDA's and not the trigger's.
NOT_SET = ("scaler", "scalerAddress", "enableTLS", "unsafeSsl", "caCert", "tlsClientCert", "tlsClientKey", "tlsCertFile",
           "metricName")
# KEDA measures these itself.
RESOURCES = ("cpu", "memory")
# A trigger may also be in keda.NAME, as older charts have it.
AT_KEDA = ("prometheus", "postgresql", *RESOURCES)
# A key of a Prometheus trigger that is a trigger of its own, with the other keys in common.
PART = "^[a-z][A-Za-z0-9]*Trigger$"

TLS = ["tls", "ca", "cert", "key", "keyPassword"]
POSTGRESQL = ["host", "port", "userName", "dbName"]
SSL_MODES = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]

# What the tables of the scalers do not have. Of each family of scalers:
#   rename          another name of a key, as older charts have it
#   required        (besides those that the scaler's table requires) one of these keys each, unless a connection has it
#   measured        the same of what is measured; a key that one of the scalers does not have does not count
#   monitoring      keys that count only without `servers`
#   builtIn         KEDA's built-in scaler (2.21): `required`; `authentication`, what it reads from a TriggerAuthentication
#                   alone; `variables`, what it reads from KEYFromEnv; `rename`; `ignored`, connection keys that it does not
#                   have and has others for
FAMILIES = {
    "kafka": {"builtIn": {
        "authentication": ["username", "password", "ca", "cert", "key", "keyPassword", "oauthTokenEndpointUri", "scopes",
                           "oauthExtensions", "keytab", "realm", "kerberosConfig", "kerberosServiceName", "kerberosDisableFAST"],
        "variables": ["bootstrapServers", "consumerGroup", "topic"]}},
    "nats-jetstream": {
        "required": [["servers", "natsServerMonitoringEndpoint"]],
        "monitoring": ["natsServerMonitoringEndpoint", "account", "accountID", "useHttps"],
        "builtIn": {"required": [["natsServerMonitoringEndpoint"], ["account", "accountID"]],
                    "ignored": ["servers", "user", "password", "token", "credentials", "nkeySeed", *TLS, "brokerUnsafeSsl"]}},
    "rabbitmq": {"measured": [["mode", "queueLength"], ["value", "queueLength"]], "builtIn": {
        "authentication": ["username", "password", *TLS, "oauthTokenURI", "clientID", "clientSecret", "scopes", "scope",
                           "endpointParams"],
        "variables": ["host", "username", "password"]}},
    "redis": {"required": [["address", "addresses", "host", "hosts"]], "measured": [["listName", "keys", "library"]], "builtIn": {
        "authentication": ["password", *TLS],
        "variables": ["address", "addresses", "host", "hosts", "port", "ports", "username", "password",
                      "sentinelMaster", "sentinelUsername", "sentinelPassword"],
        "rename": {"brokerTls": "enableTLS"}}},
    "prometheus": {"builtIn": {
        "authentication": ["username", "password", "bearerToken", "token", "customAuthHeader", "customAuthValue", *TLS]}},
    "metrics-api": {"builtIn": {"authentication": ["username", "password", "token", "bearerToken", *TLS]}},
    "postgresql": {
        "rename": {"database": "dbName", "user": "userName", "sslMode": "sslmode"},
        "required": [["host", "connection"]], "builtIn": {
            "required": [[key, "connection"] for key in POSTGRESQL],
            "authentication": ["connection", "password"], "variables": ["connection", "password"],
            "ignored": ["maxSessions"]}},
}
# Keys of Backlog's scalers that KEDA's do not have, and that change what is measured: of a family, and of one scaler of it.
ABSENT = {"kafka": ["persistentLagTime"],
          "apache-kafka": ["brokerUnsafeSsl", "saslTokenProvider", "oauthTokenEndpointUri", "scopes", "oauthExtensions", "keytab",
                           "realm", "kerberosConfig", "kerberosServiceName", "kerberosDisableFAST", "version", "fullMetadata"],
          "nats-jetstream": ["domain", "apiPrefix"],
          "redis": ["keys", "library", "queueName", "prefix"],
          "prometheus": ["inFlightQuery", "arrivalQuery", "consumptionQuery"],
          "postgresql": ["inFlightQuery", "arrivalQuery", "consumptionQuery", "timeout"]}


def family_of(scaler):
    """FAMILIES has a row for every scaler of the reference, so that none is left out."""
    name = "kafka" if scaler == "apache-kafka" else "redis" if scaler.startswith("redis-") else scaler
    assert name in FAMILIES, f"tools/chart/worker.py has no family for the scaler {scaler}"
    return name


def names_of(row):
    """Of a trigger; a secret may be given by each of them."""
    return [row["key"], *([row["alias"]] if "alias" in row and not row.get("aliasInFileOnly") else [])]


def of_scopes(scaler, *scopes):
    return [row for scope in scopes for row in scaler[scope]]


def general_rows(reference):
    return [row for row in reference["trigger"] if row["key"] not in NOT_SET]


def row_of(name, scaler):
    """What the templates need to know of a scaler."""
    own = FAMILIES[family_of(name)]
    every = of_scopes(scaler, "connection", "query", "target")
    known = {spelling for row in every for spelling in names_of(row)}
    measured = [[key for key in keys if key in known] for keys in own.get("measured", [])]
    built_in = own["builtIn"]

    def required(*scopes):
        return [names_of(row) for row in of_scopes(scaler, *scopes) if row.get("required")]

    return {
        "rename": own.get("rename", {}),
        "connection": sorted(name for row in scaler["connection"] for name in names_of(row)),
        "monitoring": own.get("monitoring", []),
        "secret": sorted(name for row in every if row.get("secret") and row["key"] != "customHeaders" for name in names_of(row)),
        "url": sorted(name for row in every if row.get("url") for name in names_of(row)),
        "unsupported": scaler["unsupported"],
        "required": {"connection": required("connection") + own.get("required", []),
                     "query": required("query", "target") + [keys for keys in measured if keys],
                     "keda": built_in.get("required", [])},
        "keda": {
            "authentication": built_in.get("authentication", []),
            "variables": built_in.get("variables", []),
            "rename": {"brokerUnsafeSsl": "unsafeSsl", **built_in.get("rename", {})},
            "ignored": built_in.get("ignored", []),
            "absent": sorted({*ABSENT.get(family_of(name), []), *ABSENT.get(name, [])} & known),
        },
    }


def table(reference, renamed):
    return json.dumps({
        "chart": list(CHART_KEYS), "answering": list(ANSWERING),
        "policy": [row["key"] for row in general_rows(reference) if row["key"] not in ANSWERING],
        "atKeda": list(AT_KEDA), "resources": list(RESOURCES), "renamed": renamed,
        "scalers": {name: row_of(name, scaler) for name, scaler in sorted(reference["scalers"].items())},
    }, indent=1) + "\n"


def is_empty_or(schema):
    """A value of "" is as good as no key."""
    return schema if schema.get("type") == "string" else {"anyOf": [schema, {"const": ""}]}


def of_general(reference, of_key):
    """The schemas of the keys that every trigger through Backlog may have."""
    properties = {}
    for row in general_rows(reference):
        for name in names_of(row):
            properties[name] = is_empty_or(of_key(row))
            if row["type"] == "string":
                properties[name]["type"] = ["string", "number"]  # ratePerReplica: 10, or measured
    return properties


def of_scaler(name, scaler, reference, of_key):
    """The schema of a trigger's values."""
    other_name = {target: given for given, target in FAMILIES[family_of(name)].get("rename", {}).items()}
    properties = {}
    for row in of_scopes(scaler, "connection", "query", "target"):
        for given in [spelling for name in names_of(row) for spelling in (name, other_name.get(name)) if spelling]:
            properties[given] = {"enum": SSL_MODES} if given.lower() == "sslmode" else is_empty_or(of_key(row))
            properties[f"{given}FromEnv"] = {"$ref": "#/definitions/variable"}
    for key in of_general(reference, of_key):
        properties[key] = {"$ref": f"#/definitions/general/properties/{key}"}
        properties[f"{key}FromEnv"] = {"$ref": "#/definitions/variable"}
    for key, reason in scaler["unsupported"].items():
        properties[key] = {"description": f"with via: keda alone; {reason}", "type": ["string", "boolean", "integer"]}
    secrets = sorted(name for row in scaler["connection"] for name in names_of(row))
    properties["secretKeys"] = {"type": "object", "additionalProperties": False, "properties": {
        name: {"type": "string", "pattern": "^[-._a-zA-Z0-9]+$"} for name in secrets}}
    return properties


def of_part(properties, reference):
    """The schema of a trigger inside a trigger of Prometheus."""
    own = ("enabled", "name", "query", "inFlightQuery", "arrivalQuery", "consumptionQuery", "threshold", "activationThreshold",
           "metricType", "ignoreNullValues", *(row["key"] for row in general_rows(reference)))
    metric_name = {"type": "string", "pattern": "^([A-Za-z_][-A-Za-z0-9_.]*)?$"}
    return {"type": ["object", "null"], "additionalProperties": False,
            "properties": {**{key: properties[key] for key in own}, "metricName": metric_name}}


def schema(reference, of_key, with_renamed):
    whole = with_renamed(yaml.safe_load((HERE / "worker_schema.yaml").read_text()))
    definitions = whole["definitions"]
    common = definitions.pop("trigger")
    definitions["variable"] = {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}
    definitions["general"] = {"properties": of_general(reference, of_key)}
    names = sorted(reference["scalers"])
    for name in names:
        properties = {**of_scaler(name, reference["scalers"][name], reference, of_key), **common}
        definitions[name] = {"type": ["object", "null"], "additionalProperties": False, "properties": properties}
        if name == "prometheus":
            definitions["prometheusPart"] = of_part(properties, reference)
            definitions[name]["patternProperties"] = {PART: {"$ref": "#/definitions/prometheusPart"}}
    definitions["cpu"] = definitions["memory"] = definitions.pop("resourceTrigger")
    names += RESOURCES
    # The scaler is named by `scaler`, or by the name of the trigger.
    definitions["trigger"] = {
        "type": ["object", "null"], "properties": {"scaler": {"enum": names}},
        "allOf": [{"if": {"type": "object", "required": ["scaler"], "properties": {"scaler": {"const": name}}},
                   "then": {"$ref": f"#/definitions/{name}"}} for name in names]}
    keda = whole["properties"]["keda"]["properties"]
    keda["triggers"]["properties"] = {
        name: {"if": {"not": {"type": "object", "required": ["scaler"]}}, "then": {"$ref": f"#/definitions/{name}"}}
        for name in names}
    for name in AT_KEDA:
        keda[name] = {"$ref": f"#/definitions/{name}"}
    return json.dumps(whole, indent=1) + "\n"
