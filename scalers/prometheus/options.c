#include "prometheus/options.h"

#include "base/memory.h"
#include "base/text.h"
#include "prometheus/url.h"
#include "shared/cloud_options.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CONNECTION(field)                                                                          \
    .scope = OPTION_CONNECTION, OPTION_FIELD(struct prometheus_connection, field)
#define QUERY(field) .scope = OPTION_QUERY, OPTION_FIELD(struct prometheus_query, field)
#define TARGET(field) .scope = OPTION_TARGET, OPTION_FIELD(struct prometheus_target, field)

#define TARGET_LEAST 0.001 /* the HPA's resolution */

enum { PAIRS_MOST = 64 };

/* Of authModes apiKey and oauth, which the built-in takes and silently ignores. */
#define NOT_APPLIED(name)                                                                          \
    CLOUD_OPTION(name, "KEDA's built-in does not apply it either; use authModes custom or bearer")

const struct option prometheus_options[] = {
    {.key = "serverAddress",
     CONNECTION(server_address),
     .type = OPTION_STRING,
     .flags = OPTION_REQUIRED | OPTION_URL,
     .doc = "http:// or https:// URL of Prometheus, or of what speaks its API; a path is kept"},
    {.key = "timeout",
     CONNECTION(timeout_ms),
     .type = OPTION_DURATION,
     .doc = "how long one query may take: 10s where it is not set, or 0"},
    {.key = "customHeaders",
     CONNECTION(custom_headers),
     .type = OPTION_LIST,
     .flags = OPTION_SECRET | OPTION_ADDRESS, /* one may name the tenant */
     .doc = "headers of every request: name=value,name=value"},
    {.key = "authModes",
     .alias = "authMode",
     CONNECTION(auth_modes),
     .type = OPTION_LIST,
     .doc = "basic, bearer, tls and custom, with commas; basic excludes bearer"},
    {.key = "username",
     CONNECTION(username),
     .type = OPTION_STRING,
     .flags = OPTION_CREDENTIAL,
     .doc = "the user of authModes basic"},
    {.key = "password",
     CONNECTION(password),
     .type = OPTION_STRING,
     .flags = OPTION_SECRET,
     .doc = "the password of authModes basic"},
    {.key = "bearerToken",
     .alias = "token",
     CONNECTION(bearer_token),
     .type = OPTION_STRING,
     .flags = OPTION_SECRET,
     .doc = "the token of authModes bearer"},
    {.key = "customAuthHeader",
     CONNECTION(custom_auth_header),
     .type = OPTION_STRING,
     .doc = "the header of authModes custom"},
    {.key = "customAuthValue",
     CONNECTION(custom_auth_value),
     .type = OPTION_STRING,
     .flags = OPTION_SECRET,
     .doc = "its value"},
    TLS_OPTIONS_OF_URL(offsetof(struct prometheus_connection, tls)),
    AWS_OPTIONS(
        "identities of clouds are not taken; set serverAddress to a proxy that signs the requests "
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
    {.key = "namespace",
     QUERY(namespace),
     .type = OPTION_STRING,
     .doc = "the namespace that a multi-tenant API wants as a parameter"},
    {.key = "queryParameters",
     QUERY(query_parameters),
     .type = OPTION_LIST,
     .doc = "more parameters of the request: name=value,name=value"},

    {.key = "threshold",
     TARGET(threshold),
     .type = OPTION_FLOAT,
     .flags = OPTION_REQUIRED,
     .limits = {TARGET_LEAST, INFINITY},
     .doc = "how much of the result is one replica's"},
    {.key = "activationThreshold",
     TARGET(activation_threshold),
     .type = OPTION_FLOAT,
     .default_value = "0",
     .doc = "active above this result"},
    {.key = "ignoreNullValues",
     TARGET(ignore_null_values),
     .type = OPTION_BOOL,
     .default_value = "true",
     .doc = "true: no data and NaN are 0, false: they are errors; infinity and a missing value are "
            "errors always, and so is no data about which the server warns"},
    {0},
};

bool prometheus_has_mode(const struct prometheus_connection *connection, const char *mode)
{
    for (size_t i = 0; i < connection->auth_modes.count; i++)
        if (text_equal(connection->auth_modes.items[i], mode))
            return true;
    return false;
}

/* A token of RFC 9110. */
static bool is_header_name(const char *name)
{
    for (const char *at = name; *at != '\0'; at++)
        if (!isalnum((unsigned char)*at) && strchr("!#$%&'*+-.^_`|~", *at) == NULL)
            return false;
    return name[0] != '\0';
}

static bool is_header_value(const char *value)
{
    for (; *value != '\0'; value++)
        if (iscntrl((unsigned char)*value) && *value != '\t')
            return false;
    return true;
}

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

/* The values may be secret. */
static void check_pairs(const char *key, const struct option_list *pieces, bool headers,
                        struct error *mistakes)
{
    if (pieces->count > PAIRS_MOST)
        error_add(mistakes, "%s has %zu pieces: at most %d are allowed", key, pieces->count,
                  PAIRS_MOST);
    for (size_t i = 0; i < pieces->count; i++) {
        _cleanup_(prometheus_pair_done) struct prometheus_pair pair = {0};
        if (!prometheus_pair_split(pieces->items[i], &pair) || pair.name[0] == '\0')
            error_add(mistakes, "%s: number %zu is not name=value with exactly one =", key, i + 1);
        else if (headers && (!is_header_name(pair.name) || !is_header_value(pair.value)))
            error_add(mistakes, "%s: number %zu is no HTTP header", key, i + 1);
    }
}

static void check_modes(const struct prometheus_connection *connection, struct error *mistakes)
{
    for (size_t i = 0; i < connection->auth_modes.count; i++) {
        const char *mode = connection->auth_modes.items[i];
        if (text_equal(mode, "apiKey") || text_equal(mode, "oauth"))
            error_add(mistakes,
                      "authModes %s is not supported here (KEDA's built-in takes it and "
                      "does not apply it): use custom or bearer",
                      mode);
        else if (!text_equal(mode, "basic") && !text_equal(mode, "bearer") &&
                 !text_equal(mode, "tls") && !text_equal(mode, "custom"))
            error_add(mistakes, "authModes number %zu must be basic, bearer, tls or custom", i + 1);
    }
    if (prometheus_has_mode(connection, "basic") && prometheus_has_mode(connection, "bearer"))
        error_add(mistakes, "authModes basic excludes bearer: set one of them");
}

/* A mode needs its keys, and a key that no mode uses would silently be ignored. */
static void check_keys_of_modes(const struct prometheus_connection *connection,
                                struct error *mistakes)
{
    const struct {
        const char *mode;
        const char *key;
        const char *value;
        bool required;
    } rules[] = {
        {"basic", "username", connection->username, true},
        {"basic", "password", connection->password, false},
        {"bearer", "bearerToken", connection->bearer_token, true},
        {"tls", "cert", connection->tls.cert, true},
        {"tls", "key", connection->tls.key, true},
        {"tls", "keyPassword", connection->tls.key_password, false},
        {"custom", "customAuthHeader", connection->custom_auth_header, true},
        {"custom", "customAuthValue", connection->custom_auth_value, true},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rules); i++) {
        bool has_mode = prometheus_has_mode(connection, rules[i].mode);
        if (has_mode && rules[i].required && rules[i].value == NULL)
            error_add(mistakes, "authModes %s needs %s", rules[i].mode, rules[i].key);
        else if (!has_mode && rules[i].value != NULL)
            error_add(mistakes, "%s needs authModes %s", rules[i].key, rules[i].mode);
    }
}

static void check_headers(const struct prometheus_connection *connection, struct error *mistakes)
{
    const char *name = connection->custom_auth_header;
    check_pairs("customHeaders", &connection->custom_headers, true, mistakes);
    if (name != NULL && !is_header_name(name))
        error_add(mistakes, "customAuthHeader is no name of an HTTP header");
    if (connection->custom_auth_value != NULL && !is_header_value(connection->custom_auth_value))
        error_add(mistakes, "customAuthValue must be one line");
    if (connection->bearer_token != NULL && !is_header_value(connection->bearer_token))
        error_add(mistakes, "bearerToken must be one line");
}

void prometheus_connection_check(const void *connection_options, struct error *mistakes)
{
    const struct prometheus_connection *connection = connection_options;
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(http_address_done) struct http_address address = {0};
    /* a missing one has been reported */
    if (connection->server_address[0] != '\0' &&
        !prometheus_address_parse(connection->server_address, &address, &error))
        error_add(mistakes, "%s", error_text(&error));
    check_headers(connection, mistakes);
    check_modes(connection, mistakes);
    check_keys_of_modes(connection, mistakes);
}

void prometheus_options_check(const struct options *options, struct error *mistakes)
{
    const struct prometheus_query *query = options->query;
    check_pairs("queryParameters", &query->query_parameters, false, mistakes);
}
