#include "prometheus/options.h"

#include "base/memory.h"
#include "base/text.h"
#include "shared/cloud_options.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CONNECTION(field)                                                                          \
    .scope = OPTION_CONNECTION, OPTION_FIELD(struct prometheus_connection_options, field)
#define QUERY(field) .scope = OPTION_QUERY, OPTION_FIELD(struct prometheus_query, field)
#define TARGET(field) .scope = OPTION_TARGET, OPTION_FIELD(struct prometheus_target, field)
#define TEXT(field) CONNECTION(field), .type = OPTION_STRING
#define SECRET(field) TEXT(field), .flags = OPTION_SECRET

/* Of authModes apiKey and oauth, which the built-in takes and silently ignores. */
#define NOT_APPLIED(name)                                                                          \
    CLOUD_OPTION(name, "KEDA's built-in does not apply it either; use authModes custom or bearer")

const struct option prometheus_options[] = {
    {.key = "serverAddress",
     TEXT(server_address),
     .flags = OPTION_REQUIRED | OPTION_URL | OPTION_HOST,
     .doc = "http:// or https:// URL of Prometheus, or of a server with its API; a path is kept"},
    {.key = "timeout",
     CONNECTION(timeout_ms),
     .type = OPTION_DURATION,
     .flags = OPTION_BARE_MS,
     .doc = "how long one query may take, at most 10m: 10s where it is not set, or 0"},
    {.key = "customHeaders",
     CONNECTION(custom_headers),
     .type = OPTION_LIST,
     .flags = OPTION_SECRET | OPTION_ADDRESS, /* one may name the tenant */
     .doc = "headers of every request: name=value,name=value"},
    {.key = "authModes",
     .alias = "authMode",
     CONNECTION(auth_modes),
     .type = OPTION_LIST,
     .keda = OPTION_KEDA_METADATA | OPTION_KEDA_AUTHENTICATION,
     .doc = "basic, bearer, tls and custom, with commas; basic excludes bearer"},
    {.key = "username",
     TEXT(username),
     .flags = OPTION_CREDENTIAL | OPTION_USER,
     .keda = OPTION_KEDA_AUTHENTICATION,
     .doc = "the user of authModes basic"},
    {.key = "password",
     SECRET(password),
     .keda = OPTION_KEDA_AUTHENTICATION,
     .doc = "the password of authModes basic"},
    {.key = "bearerToken",
     .alias = "token",
     SECRET(bearer_token),
     .keda = OPTION_KEDA_AUTHENTICATION,
     .doc = "the token of authModes bearer"},
    {.key = "customAuthHeader", /* a gateway may choose the backend by it */
     TEXT(custom_auth_header),
     .flags = OPTION_PEER,
     .keda = OPTION_KEDA_AUTHENTICATION,
     .doc = "the header of authModes custom"},
    {.key = "customAuthValue",
     TEXT(custom_auth_value),
     .flags = OPTION_SECRET | OPTION_PEER,
     .keda = OPTION_KEDA_AUTHENTICATION,
     .doc = "its value"},
    TLS_OPTIONS_OF_URL(offsetof(struct prometheus_connection_options, tls)),
    AWS_OPTIONS(
        "cloud identities are not supported; set serverAddress to a proxy that signs the requests "
        "(such as aws-sigv4-proxy), or use authModes bearer"),
    NOT_APPLIED("apiKey"),
    NOT_APPLIED("method"),
    NOT_APPLIED("keyParamName"),
    NOT_APPLIED("oauthTokenURI"),
    NOT_APPLIED("scopes"),
    NOT_APPLIED("clientID"),
    NOT_APPLIED("clientSecret"),
    NOT_APPLIED("endpointParams"),

    {.key = "query",
     QUERY(query),
     .type = OPTION_STRING,
     .flags = OPTION_REQUIRED,
     .doc =
         "PromQL that returns a scalar or one series: several series, a range or a histogram are "
         "errors"},
    {.key = "inFlightQuery",
     QUERY(in_flight_query),
     .type = OPTION_STRING,
     .keda = OPTION_KEDA_NOWHERE,
     .doc = "PromQL that returns how many messages are being processed; with it, each of the two "
            "queries must return one series"},
    {.key = "arrivalQuery",
     QUERY(arrival_query),
     .type = OPTION_STRING,
     .keda = OPTION_KEDA_NOWHERE,
     .doc = "PromQL that returns how many messages arrive per second, such as "
            "sum(rate(jobs_created_total[1m]))"},
    {.key = "consumptionQuery",
     QUERY(consumption_query),
     .type = OPTION_STRING,
     .keda = OPTION_KEDA_NOWHERE,
     .doc = "PromQL that returns how many messages are consumed per second"},
    {.key = "namespace",
     QUERY(namespace),
     .type = OPTION_STRING,
     .doc = "the namespace to send as a parameter, for a multi-tenant API"},
    {.key = "queryParameters",
     QUERY(query_parameters),
     .type = OPTION_LIST,
     .flags = OPTION_HIDDEN, /* one may be a key of the API */
     .doc = "more parameters of the request: name=value,name=value"},

    {.key = "threshold",
     TARGET(threshold),
     .type = OPTION_FLOAT,
     .flags = OPTION_THRESHOLD | OPTION_REQUIRED,
     .limits = {OPTION_MIN_TARGET, INFINITY},
     .doc = "target per replica: the result is divided by it"},
    {.key = "activationThreshold",
     TARGET(activation_threshold),
     .type = OPTION_FLOAT,
     .default_value = "0",
     .doc = "active above this result"},
    {.key = "ignoreNullValues",
     TARGET(ignore_null_values),
     .type = OPTION_BOOL,
     .default_value = "true",
     .doc = "true: no data and NaN are 0; false: errors. Always errors: infinity, a missing value, "
            "and no data or 0 with a warning of the server"},
    {0},
};

/* As KEDA reads a map: each piece has exactly one "=". */
bool prometheus_pair_split(const char *piece, struct prometheus_pair *ret_pair)
{
    const char *equals = strchr(piece, '=');
    if (equals == NULL || strchr(equals + 1, '=') != NULL)
        return false;
    _cleanup_(memory_free) char *name = text_copy_bytes(piece, (size_t)(equals - piece));
    ret_pair->name = text_trimmed(name);
    ret_pair->value = equals + 1 + strspn(equals + 1, " \t");
    return true;
}

void prometheus_pair_done(struct prometheus_pair *pair)
{
    free(pair->name);
}
