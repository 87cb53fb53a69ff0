#include "prometheus/check.h"

#include "base/memory.h"
#include "base/text.h"
#include "kit/auth.h"
#include "kit/auth_modes.h"
#include "prometheus/options.h"
#include "prometheus/url.h"

#include <string.h>

enum {
    MAX_PAIRS = 64,
    MAX_URL_BYTES = 16 << 10, /* what servers and gateways take as a rule */
};

/* The values may be secret. */
static void check_pairs(const char *key, const struct option_list *pieces, bool headers,
                        struct error *mistakes)
{
    if (pieces->count > MAX_PAIRS)
        error_add(mistakes, "%s has %zu pieces: at most %d are allowed", key, pieces->count,
                  MAX_PAIRS);
    for (size_t i = 0; i < pieces->count; i++) {
        _cleanup_(prometheus_pair_done) struct prometheus_pair pair = {0};
        if (!prometheus_pair_split(pieces->items[i], &pair) || pair.name[0] == '\0')
            error_add(mistakes, "%s: number %zu is not name=value with exactly one =", key, i + 1);
        else if (headers && (!auth_is_header_name(pair.name) || !auth_is_header_value(pair.value)))
            error_add(mistakes, "%s: number %zu is no HTTP header", key, i + 1);
        else if (headers && auth_is_header_of_connection(pair.name))
            error_add(mistakes, "%s: number %zu is %s, which is not sent (by KEDA's built-in, too)",
                      key, i + 1, pair.name);
    }
}

static void check_modes(const struct prometheus_connection_options *connection,
                        struct error *mistakes)
{
    const struct auth_mode_key keys[] = {
        {"basic", "username", connection->username, true},
        {"basic", "password", connection->password, false},
        {"bearer", "bearerToken", connection->bearer_token, true},
        {"tls", "cert", connection->tls.cert, true},
        {"tls", "key", connection->tls.key, true},
        {"tls", "keyPassword", connection->tls.key_password, false},
        {"custom", "customAuthHeader", connection->custom_auth_header, true},
        {"custom", "customAuthValue", connection->custom_auth_value, true},
    };
    for (size_t i = 0; i < connection->auth_modes.count; i++) {
        const char *mode = connection->auth_modes.items[i];
        if (text_equal(mode, "apiKey") || text_equal(mode, "oauth"))
            error_add(mistakes,
                      "authModes %s is not supported here (KEDA's built-in takes it and "
                      "does not apply it): use custom or bearer",
                      mode);
        else if (!auth_is_mode(keys, ARRAY_LENGTH(keys), mode))
            error_add(mistakes, "authModes number %zu must be basic, bearer, tls or custom", i + 1);
    }
    auth_check_modes("authModes", &connection->auth_modes, keys, ARRAY_LENGTH(keys), mistakes);
}

static void check_headers(const struct prometheus_connection_options *connection,
                          struct error *mistakes)
{
    const char *name = connection->custom_auth_header;
    check_pairs("customHeaders", &connection->custom_headers, true, mistakes);
    if (name != NULL && !auth_is_header_name(name))
        error_add(mistakes, "customAuthHeader is not the name of an HTTP header");
    else if (name != NULL && auth_is_header_of_connection(name))
        error_add(mistakes, "customAuthHeader is %s, which is not sent (by KEDA's built-in, too)",
                  name);
    if (connection->custom_auth_value != NULL &&
        !auth_is_header_value(connection->custom_auth_value))
        error_add(mistakes, "customAuthValue must be one line");
    if (connection->bearer_token != NULL && !auth_is_header_value(connection->bearer_token))
        error_add(mistakes, "bearerToken must be one line");
}

void prometheus_check_connection(const void *connection_options, struct error *mistakes)
{
    const struct prometheus_connection_options *connection = connection_options;
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(http_url_done) struct http_url address = {0};
    /* a missing one has been reported */
    if (connection->server_address[0] != '\0' &&
        !prometheus_address_parse(connection->server_address, &address, &error))
        error_add(mistakes, "%s", error_text(&error));
    check_headers(connection, mistakes);
    check_modes(connection, mistakes);
    if (connection->tls.cert != NULL && connection->tls.key != NULL) /* else it is reported */
        tls_options_check(&connection->tls, mistakes);
}

static void check_url(const struct prometheus_query *query, struct error *mistakes)
{
    static char none[] = "";
    static const struct http_url nowhere = {.base = none};
    _cleanup_(memory_free) char *url = prometheus_query_url(&nowhere, query);
    size_t bytes = strlen(url);
    if (bytes > MAX_URL_BYTES)
        error_add(mistakes,
                  "query, with the other queries and queryParameters, makes a URL of %zu bytes: at "
                  "most %d are allowed",
                  bytes, MAX_URL_BYTES);
}

/* Of one that is there twice a server takes the first, so a second query or namespace would count
 * for nothing. KEDA sends the time, too; we do not, so one of the user's would count, and the
 * result never change. */
static void check_parameters(const struct prometheus_query *query, struct error *mistakes)
{
    const struct option_list *pieces = &query->query_parameters;
    for (size_t i = 0; i < pieces->count; i++) {
        _cleanup_(prometheus_pair_done) struct prometheus_pair pair = {0};
        if (!prometheus_pair_split(pieces->items[i], &pair))
            continue; /* it was reported */
        const char *why = NULL;
        if (text_equal(pair.name, "time"))
            why = "which is always now: remove it";
        else if (text_equal(pair.name, "query"))
            why = "which has a key of its own";
        else if (text_equal(pair.name, "namespace") && query->namespace != NULL)
            why = "which is set by its own key, too: keep one of them";
        if (why != NULL)
            error_add(mistakes, "queryParameters: number %zu is %s, %s", i + 1, pair.name, why);
    }
}

void prometheus_check_trigger(const struct options *options, struct error *mistakes)
{
    const struct prometheus_query *query = options->query;
    check_pairs("queryParameters", &query->query_parameters, false, mistakes);
    check_parameters(query, mistakes);
    if (query->query != NULL)
        check_url(query, mistakes);
}
