/*
 * metrics-api: a number in what an HTTP API answers. One GET measures all triggers with the same
 * URL and login, where KEDA's built-in sends one for each.
 *
 * Read options.h first, then this file, and then path.h (where a number is in JSON).
 */
#include "measure/scaler.h"

#include "base/json_cleanup.h"
#include "base/json_text.h"
#include "base/memory.h"
#include "base/quantity.h"
#include "base/samples.h"
#include "base/text.h"
#include "base/yaml_value.h"
#include "kit/auth_modes.h"
#include "kit/http_source.h"
#include "kit/http_url.h"
#include "metrics_api/options.h"
#include "metrics_api/path.h"

#include <math.h>
#include <string.h>

enum {
    GETS = 8, /* at a time: all queries share one, but for those that are isolated */
    ISOLATED_SHARE = 4,
    MAX_BODY_BYTES = 1024 * 1024,
    MAX_TREE_BYTES = 8 * MAX_BODY_BYTES, /* one at a time */
    TIMEOUT_MS = 3000,                   /* that of KEDA, where nobody sets another one */
    IDLE_INTERVAL_MS = 1000,
};

static void metric_spec(const struct options *options, struct metric_spec *ret_spec)
{
    const struct metrics_api_query *query = options->query;
    const struct metrics_api_target *target = options->target;
    *ret_spec = (struct metric_spec){
        .metric_name = text_format("metric-api-%s", query->value_location),
        .target = target->target_value,
        .idle_interval_ms = IDLE_INTERVAL_MS,
    };
}

static bool evaluate(const struct options *options, const struct reading *reading,
                     struct evaluation *ret_evaluation, struct error *error)
{
    const struct metrics_api_target *target = options->target;
    (void)error;
    *ret_evaluation = (struct evaluation){
        .value = reading->value, .active = reading->value > target->activation_target_value};
    return true;
}

/* All queries of a connection have its URL. */
static char *bundle(const void *connection_options, const void *query_options)
{
    (void)query_options;
    return text_copy(((const struct metrics_api_connection_options *)connection_options)->url);
}

static bool log_in(const void *connection_options, struct http_login *ret_login,
                   struct error *error)
{
    const struct metrics_api_connection_options *connection = connection_options;
    const char *name = connection->key_param_name;
    bool is_basic = auth_has_mode(&connection->auth_modes, "basic");
    _cleanup_(http_url_done) struct http_url url = {0};
    if (!http_url_parse_whole(connection->url, &url))
        return error_invalid(error, "url is not valid");
    ret_login->tls = &connection->tls;
    ret_login->timeout_ms = connection->timeout_ms;
    ret_login->refuses_local = !scaler_allows_local();
    ret_login->user = text_copy(is_basic ? connection->username : url.user);
    ret_login->password = text_copy(is_basic ? connection->password : url.password);
    if (auth_has_mode(&connection->auth_modes, "apiKey") && connection->method == 0)
        http_add_header(&ret_login->headers, name == NULL ? "X-API-KEY" : name,
                        connection->api_key);
    if (auth_has_mode(&connection->auth_modes, "bearer")) {
        _cleanup_(memory_free) char *value = text_format("Bearer %s", connection->token);
        http_add_header(&ret_login->headers, "Authorization", value);
    }
    return true;
}

static bool request(const void *connection_options, const void *query_options,
                    struct http_request *ret_request, struct error *error)
{
    const struct metrics_api_connection_options *connection = connection_options;
    const char *name = connection->key_param_name;
    _cleanup_(http_url_done) struct http_url parts = {0};
    struct text url = {0};
    (void)query_options;
    if (!http_url_parse_whole(connection->url, &parts))
        return error_invalid(error, "url is not valid");
    text_add(&url, parts.base);
    if (auth_has_mode(&connection->auth_modes, "apiKey") && connection->method != 0) {
        text_add(&url, strchr(parts.base, '?') == NULL ? "?" : "&");
        http_url_add_escaped(&url, name == NULL ? "api_key" : name);
        text_add(&url, "=");
        http_url_add_escaped(&url, connection->api_key);
    }
    ret_request->url = text_take(&url);
    return true;
}

static const char no_quantity[] = "is a text that is no quantity of Kubernetes (12, 1.5k, 250m)";

/* This and the next ones return NULL, or why there is no number. */
static const char *take_json(const char *location, struct json_text body, double *ret_number)
{
    static const char *const kinds[] = {
        [JSON_OBJECT] = "is an object", [JSON_ARRAY] = "is a list", [JSON_TRUE] = "is true",
        [JSON_FALSE] = "is false",      [JSON_NULL] = "is null",
    };
    size_t flags = JSON_DECODE_INT_AS_REAL | JSON_REJECT_DUPLICATES;
    _cleanup_(json_done) json_t *root = json_text_tree(body, flags, MAX_TREE_BYTES);
    bool is_count = false;
    const json_t *found = metrics_api_path_find(location, root, &is_count);
    if (root == NULL)
        return "cannot be found: the response is not JSON, or too large";
    if (found == NULL)
        return "is not in the response";
    if (json_is_string(found))
        return quantity_parse(json_string_value(found), ret_number) ? NULL : no_quantity;
    if (!is_count && !json_is_number(found))
        return kinds[json_typeof(found)];
    *ret_number = is_count ? (double)json_array_size(found) : json_number_value(found);
    return NULL;
}

static const char *take_yaml(const char *location, struct json_text body, double *ret_number)
{
    static const char *const kinds[] = {
        [YAML_VALUE_NONE] = "is not in the response",
        [YAML_VALUE_COLLECTION] = "is a list or a map",
        [YAML_VALUE_ALIAS] = "is an alias (*), which is not followed",
        [YAML_VALUE_REPEATED] = "is there twice",
    };
    _cleanup_(yaml_value_done) struct yaml_value value = {0};
    if (!yaml_value_find(body.bytes, body.length, location, &value))
        return "cannot be found: the response is not YAML, or nested too deep";
    if (value.kind != YAML_VALUE_TEXT)
        return kinds[value.kind];
    const char *digits = value.text + strspn(value.text, "+-");
    if (value.is_plain && digits[0] == '0' && strspn(digits, "0123456789") == strlen(digits) &&
        digits[1] != '\0')
        return "is an octal number";
    return quantity_parse(value.text, ret_number) ? NULL : no_quantity;
}

static const char *take_sample(const char *location, struct json_text body, double *ret_number)
{
    static const char *const reasons[] = {
        [SAMPLES_NO_METRIC] = "is not in the response: it has no metric of this name",
        [SAMPLES_NO_SERIES] = "is not in the response: no series of the metric has these labels",
        [SAMPLES_INVALID] = "cannot be read: the response is not in Prometheus' text format",
    };
    enum samples_outcome outcome = samples_find(body.bytes, location, ret_number);
    if (outcome != SAMPLES_FOUND)
        return reasons[outcome];
    return isfinite(*ret_number) ? NULL : "is NaN or infinite";
}

/* No error repeats any part of the response, which may hold a secret. */
static bool parse(const void *query_options, const struct http_answer *answer,
                  struct reading *ret_reading, struct error *error)
{
    static const char *(*const take[])(const char *, struct json_text, double *) = {
        [METRICS_API_JSON] = take_json,
        [METRICS_API_YAML] = take_yaml,
        [METRICS_API_PROMETHEUS] = take_sample,
    };
    const struct metrics_api_query *query = query_options;
    const char *bytes = answer->body.bytes == NULL ? "" : answer->body.bytes;
    double number = NAN;
    if (answer->status != HTTP_OK) /* as KEDA has it */
        return error_unavailable(error, "%s: HTTP status %ld", answer->name, answer->status);
    const char *why = take[query->format](query->value_location,
                                          (struct json_text){bytes, answer->body.length}, &number);
    if (why != NULL)
        return error_unavailable(error, "%s: valueLocation %s %s", answer->name,
                                 query->value_location, why);
    ret_reading->value = number;
    return true;
}

const struct http_source metrics_api_source = {
    .service = "the API",
    .few_gets = GETS,
    .most_gets = GETS,
    .isolated_share = ISOLATED_SHARE,
    .max_body_bytes = MAX_BODY_BYTES,
    .log_in = log_in,
    .request = request,
    .parse = parse,
};

static bool connect_client(const void *connection_options, int64_t deadline_ms, void **ret_client,
                           struct error *error)
{
    return http_source_connect(&metrics_api_source, connection_options, deadline_ms, ret_client,
                               error);
}

static const char differences[] =
    "What is no number is an error, and never 0: NaN, infinity, a text without a digit (`k`), a "
    "part of the path that is missing.\n"
    "Of GJSON there are names, indices, `\\`, `#` and `#(name==value)`; the rest is refused when "
    "the trigger is read.\n"
    "A label with `!=`, `=~` or `!~`, which the built-in takes for `=`, is refused, too.\n"
    "A response that is no JSON as a whole, or has a key twice, is an error.\n"
    "YAML: an alias is not followed, and an integer that is not written with decimal digits alone "
    "is an error.\n"
    "The samples of histograms and summaries are found by their names, such as `x_count`.\n"
    "`ca` counts without `authMode`; a key that no mode uses is a mistake.\n"
    "`format: xml` and `aggregateFromKubeServiceEndpoints` are refused.\n"
    "Loopback and link-local addresses are asked only for connections of the connections file, or "
    "with `--allow-local-targets`.\n"
    "No redirection is followed: it could take credentials elsewhere.\n";

const struct scaler scaler_metrics_api = {
    .name = "metrics-api",
    .summary = "A number in the response of an HTTP API",
    .differences = differences,
    .options = metrics_api_options,
    .sizes = {sizeof(struct metrics_api_connection_options), sizeof(struct metrics_api_query),
              sizeof(struct metrics_api_target)},
    .check = metrics_api_check,
    .check_connection = metrics_api_check_connection,
    .metric_spec = metric_spec,
    .evaluate = evaluate,
    .bundle = bundle,
    .bundle_costs_the_same = true,
    .connect = connect_client,
    .measure = http_source_measure,
    .disconnect = http_source_disconnect,
    .libraries = http_source_libraries,
    .timeout_ms = TIMEOUT_MS,
    .max_tasks = GETS,
    .isolated = GETS / ISOLATED_SHARE,
};
