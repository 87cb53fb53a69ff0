#include "metrics_api/options.h"

#include "base/memory.h"
#include "base/samples.h"
#include "base/text.h"
#include "kit/auth.h"
#include "kit/auth_modes.h"
#include "kit/http_url.h"
#include "metrics_api/path.h"
#include "shared/cloud_options.h"

#include <math.h>
#include <string.h>

#define CONNECTION(field)                                                                          \
    .scope = OPTION_CONNECTION, OPTION_FIELD(struct metrics_api_connection_options, field)
#define QUERY(field) .scope = OPTION_QUERY, OPTION_FIELD(struct metrics_api_query, field)
#define TARGET(field) .scope = OPTION_TARGET, OPTION_FIELD(struct metrics_api_target, field)
#define TEXT(field) CONNECTION(field), .type = OPTION_STRING
#define SECRET(field) TEXT(field), .flags = OPTION_SECRET
#define ANYWHERE .keda = (OPTION_KEDA_METADATA | OPTION_KEDA_AUTHENTICATION)
#define AUTHENTICATION .keda = OPTION_KEDA_AUTHENTICATION

#define NO_AGGREGATION(name) CLOUD_OPTION(name, "use the scaler prometheus with sum(...)")

static const char *const formats[] = {"json", "yaml", "prometheus", "xml", NULL};
static const char *const methods[] = {"header", "query", NULL};

const struct option metrics_api_options[] = {
    {.key = "url",
     TEXT(url),
     .flags = OPTION_REQUIRED | OPTION_URL | OPTION_HOST,
     .doc = "http:// or https:// URL that is asked with GET; its path and parameters are kept"},
    {.key = "timeout",
     CONNECTION(timeout_ms),
     .type = OPTION_DURATION,
     .flags = OPTION_BARE_MS,
     .doc = "how long one request may take, at most 10m: 3s where it is not set, or 0"},
    {.key = "authMode",
     .alias = "authModes",
     CONNECTION(auth_modes),
     .type = OPTION_LIST,
     ANYWHERE,
     .doc = "apiKey, basic, bearer and tls, with commas; basic excludes bearer"},
    {.key = "method",
     CONNECTION(method),
     .type = OPTION_CHOICE,
     .flags = OPTION_PEER,
     ANYWHERE,
     .choices = methods,
     .default_value = "header",
     .doc = "where the key of authMode apiKey is sent: in a header, or as a parameter (query)"},
    {.key = "keyParamName", /* a gateway may choose the backend by it */
     TEXT(key_param_name),
     .flags = OPTION_PEER,
     ANYWHERE,
     .doc = "the name of that header or parameter: X-API-KEY or api_key where it is not set"},
    {.key = "apiKey", SECRET(api_key), ANYWHERE, .doc = "the key of authMode apiKey"},
    {.key = "username",
     TEXT(username),
     .flags = OPTION_CREDENTIAL | OPTION_USER,
     AUTHENTICATION,
     .doc = "the user of authMode basic"},
    {.key = "password", SECRET(password), AUTHENTICATION, .doc = "that of authMode basic"},
    {.key = "token",
     .alias = "bearerToken",
     SECRET(token),
     AUTHENTICATION,
     .doc = "the token of authMode bearer"},
    TLS_OPTIONS_OF_URL(offsetof(struct metrics_api_connection_options, tls)),
    NO_AGGREGATION("aggregateFromKubeServiceEndpoints"),
    NO_AGGREGATION("aggregationType"),

    {.key = "format",
     QUERY(format),
     .type = OPTION_CHOICE,
     .choices = formats,
     .default_value = "json",
     .doc = "of the response; prometheus: its text format; xml is refused"},
    {.key = "valueLocation",
     QUERY(value_location),
     .type = OPTION_STRING,
     .flags = OPTION_REQUIRED,
     .doc = "where the number is. json: names and indices with dots between (jobs.0.waiting), "
            "jobs.#, jobs.#(queue==\"mail\").waiting; yaml: names and indices; prometheus: a "
            "metric, of which the first series with the labels counts (jobs{queue=\"mail\"})"},

    {.key = "targetValue",
     TARGET(target_value),
     .type = OPTION_FLOAT,
     .flags = OPTION_THRESHOLD | OPTION_REQUIRED,
     .limits = {OPTION_MIN_TARGET, INFINITY},
     .doc = "target per replica: the number is divided by it"},
    {.key = "activationTargetValue",
     TARGET(activation_target_value),
     .type = OPTION_FLOAT,
     .default_value = "0",
     .doc = "active above this number"},
    {0},
};

static void check_modes(const struct metrics_api_connection_options *connection,
                        struct error *mistakes)
{
    const struct auth_mode_key keys[] = {
        {"apiKey", "apiKey", connection->api_key, true},
        {"apiKey", "keyParamName", connection->key_param_name, false},
        {"basic", "username", connection->username, true},
        {"basic", "password", connection->password, false},
        {"bearer", "token", connection->token, true},
        {"tls", "cert", connection->tls.cert, true},
        {"tls", "key", connection->tls.key, true},
        {"tls", "keyPassword", connection->tls.key_password, false},
    };
    for (size_t i = 0; i < connection->auth_modes.count; i++)
        if (!auth_is_mode(keys, ARRAY_LENGTH(keys), connection->auth_modes.items[i]))
            error_add(mistakes, "authMode number %zu must be apiKey, basic, bearer or tls", i + 1);
    auth_check_modes("authMode", &connection->auth_modes, keys, ARRAY_LENGTH(keys), mistakes);
}

void metrics_api_check_connection(const void *connection_options, struct error *mistakes)
{
    const struct metrics_api_connection_options *connection = connection_options;
    const char *header = connection->method == 0 ? connection->key_param_name : NULL;
    _cleanup_(http_url_done) struct http_url url = {0};
    if (connection->url[0] != '\0' && /* else it is reported */
        !http_url_parse_whole(connection->url, &url))
        error_add(mistakes, "url must be an http:// or https:// URL such as "
                            "http://api:8080/jobs?state=new or http://[fd00::1]:8080/jobs, with "
                            "what is special in it percent-encoded, and without #");
    check_modes(connection, mistakes);
    if (connection->api_key != NULL && !auth_is_header_value(connection->api_key))
        error_add(mistakes, "apiKey must be one line");
    if (connection->token != NULL && !auth_is_header_value(connection->token))
        error_add(mistakes, "token must be one line");
    if (header != NULL && !auth_is_header_name(header))
        error_add(mistakes, "keyParamName is not the name of an HTTP header");
    else if (header != NULL && auth_is_header_of_connection(header))
        error_add(mistakes, "keyParamName is %s, which is not sent (by KEDA's built-in, too)",
                  header);
    if (connection->tls.cert != NULL && connection->tls.key != NULL) /* else it is reported */
        tls_options_check(&connection->tls, mistakes);
}

void metrics_api_check(const struct options *options, struct error *mistakes)
{
    const struct metrics_api_query *query = options->query;
    const char *location = query->value_location;
    _cleanup_(error_done) struct error error = {0};
    if (query->format == METRICS_API_XML)
        error_add(mistakes, "format xml is not supported here: use json, yaml or prometheus");
    else if (location[0] == '\0')
        return; /* it is reported */
    else if (query->format == METRICS_API_JSON && !metrics_api_path_check(location, &error))
        error_add(mistakes, "%s", error_text(&error));
    else if (query->format == METRICS_API_YAML &&
             (location[0] == '.' || strstr(location, "..") != NULL ||
              text_ends_with(location, ".")))
        error_add(mistakes,
                  "valueLocation %s has an empty name: allowed with format yaml are names and "
                  "indices with dots between (jobs.0.waiting)",
                  location);
    else if (query->format == METRICS_API_PROMETHEUS && !samples_is_selector(location))
        error_add(mistakes,
                  "valueLocation %s must be, with format prometheus, the name of a metric, alone "
                  "or with labels and = (jobs{queue=\"mail\"})",
                  location);
}
