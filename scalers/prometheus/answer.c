#include "prometheus/answer.h"

#include "base/text.h"
#include "prometheus/url.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_WORDS = 300, LONGEST_SHOWN = 40 };

bool prometheus_answer_refuse(const struct http_answer *answer, struct error *error)
{
    const char *type = json_string_value(json_object_get(answer->json, "errorType"));
    const char *words = json_string_value(json_object_get(answer->json, "error"));
    if (words == NULL)
        return error_unavailable(error, "%s: HTTP status %ld", answer->name, answer->status);
    return error_unavailable(error, "%s refused the query: %.*s: %.*s", answer->name,
                             (int)text_cut(type == NULL ? "error" : type, LONGEST_SHOWN),
                             type == NULL ? "error" : type, (int)text_cut(words, LONGEST_WORDS),
                             words);
}

/* Prometheus writes numbers as strings: JSON has no NaN and no infinity. */
static bool parse_number(const char *name, const char *text, double *ret_number,
                         struct error *error)
{
    char *end = NULL;
    bool plain = strcmp(text, "NaN") == 0 || strcmp(text, "+Inf") == 0 ||
                 strcmp(text, "-Inf") == 0 || text[strspn(text, "+-.0123456789eE")] == '\0';
    double number = plain ? strtod(text, &end) : 0;
    if (!plain || end == text || *end != '\0')
        return error_unavailable(error, "%s returned \"%.*s\", which is not a number", name,
                                 (int)text_cut(text, LONGEST_SHOWN), text);
    /* KEDA takes it for 0, but what would need endless replicas must not take the last one away. */
    if (isinf(number))
        return error_unavailable(error, "%s returned %.*s: does the query divide by 0?", name,
                                 (int)text_cut(text, LONGEST_SHOWN), text);
    *ret_number = number;
    return true;
}

/* [time, "value"] */
static bool parse_sample(const char *name, const json_t *sample, double *ret_number,
                         struct error *error)
{
    const char *text = json_string_value(json_array_get(sample, 1));
    if (json_array_size(sample) != 2 || text == NULL)
        return error_unavailable(error, "%s: unexpected reply without a value", name);
    return parse_number(name, text, ret_number, error);
}

/* What Prometheus itself says is about the query: "PromQL warning: ...", and "PromQL info: ...",
 * which is in the list of warnings up to 2.53, and in one of its own later. */
static const char annotation[] = "PromQL ", information[] = "PromQL info: ";

/* Why a part of what is behind the query may be missing; NULL: nothing says so. Thanos warns, and
 * VictoriaMetrics has a field. Warnings that begin with `harmless` do not count. */
static const char *partial_reason(const json_t *root, const char *harmless)
{
    size_t i;
    const json_t *warning;
    if (json_is_true(json_object_get(root, "isPartial")))
        return "the response is partial (isPartial)";
    json_array_foreach(json_object_get(root, "warnings"), i, warning) {
        const char *words = json_string_value(warning);
        if (words != NULL && !text_starts_with(words, harmless))
            return words;
    }
    return NULL;
}

/* What was found counts, but 0 may be wrong: `sum(...) or vector(0)` is 0 without its sources. */
static bool check_whole(const char *name, const json_t *root, double number, struct error *error)
{
    const char *reason = partial_reason(root, annotation);
    return reason == NULL || number > 0 ||
           error_unavailable(error, "%s returned %g and warns: %.*s", name, number,
                             (int)text_cut(reason, LONGEST_WORDS), reason);
}

/* Nothing found may be wrong, too; a warning about the query may say why. Information does not:
 * `rate(x[1m]) > 5` has it whenever the name of x is not that of a counter. */
static bool parse_none(const char *name, const json_t *root, double *ret_number,
                       struct error *error)
{
    const char *warning = partial_reason(root, information);
    if (warning != NULL)
        return error_unavailable(error, "%s found no data and warns: %.*s", name,
                                 (int)text_cut(warning, LONGEST_WORDS), warning);
    *ret_number = NAN;
    return true;
}

static bool parse_vector(const char *name, const json_t *root, const json_t *series,
                         double *ret_number, struct error *error)
{
    if (!json_is_array(series))
        return error_unavailable(error, "%s: unexpected reply without a result", name);
    if (json_array_size(series) == 0)
        return parse_none(name, root, ret_number, error);
    if (json_array_size(series) > 1)
        return error_unavailable(error,
                                 "%s returned %zu series: the query must return one, as sum(...) "
                                 "does",
                                 name, json_array_size(series));
    const json_t *one = json_array_get(series, 0);
    if (json_object_get(one, "histogram") != NULL)
        return error_unavailable(error, "%s returned a histogram: the query must return a number",
                                 name);
    return parse_sample(name, json_object_get(one, "value"), ret_number, error) &&
           check_whole(name, root, *ret_number, error);
}

enum part { PART_QUERY, PART_IN_FLIGHT, PART_ARRIVAL, PART_CONSUMPTION, PARTS };

/* Of which query a series is, by its label. */
static enum part part_of(const json_t *series)
{
    static const char *const keys[PARTS] = {[PART_IN_FLIGHT] = "inFlightQuery",
                                            [PART_ARRIVAL] = "arrivalQuery",
                                            [PART_CONSUMPTION] = "consumptionQuery"};
    const char *label =
        json_string_value(json_object_get(json_object_get(series, "metric"), "backlog_part"));
    for (enum part part = PART_IN_FLIGHT; part < PARTS; part++)
        if (text_equal(label, keys[part]))
            return part;
    return PART_QUERY;
}

/* A query without a result leaves its field unknown; but that of `query` may only lack it where
 * nothing warns. So does a negative one, as of an agent: a difference of two counters, of which one
 * began again, is not the end of all work. */
static bool parse_parts(const char *name, const json_t *root, const json_t *result,
                        struct reading *reading, struct error *error)
{
    double *const numbers[PARTS] = {&reading->value, &reading->in_flight, &reading->arrival_rate,
                                    &reading->consumption_rate};
    bool has_series[PARTS] = {false};
    size_t i;
    const json_t *series;
    if (!json_is_array(result))
        return error_unavailable(error, "%s: unexpected reply without a result", name);
    json_array_foreach(result, i, series) {
        enum part part = part_of(series);
        if (has_series[part])
            return error_unavailable(error,
                                     "%s returned several series for one query: each must return "
                                     "one, as sum(...) does",
                                     name);
        has_series[part] = true;
        if (!parse_sample(name, json_object_get(series, "value"), numbers[part], error) ||
            !check_whole(name, root, *numbers[part], error))
            return false;
        if (part != PART_QUERY && *numbers[part] < 0)
            *numbers[part] = NAN;
    }
    return !isnan(reading->value) || parse_none(name, root, &reading->value, error);
}

/* One number, of one query. */
static bool parse_number_of(const char *name, const json_t *root, const json_t *data,
                            double *ret_number, struct error *error)
{
    const char *type = json_string_value(json_object_get(data, "resultType"));
    const json_t *result = json_object_get(data, "result");
    if (text_equal(type, "vector"))
        return parse_vector(name, root, result, ret_number, error);
    if (text_equal(type, "scalar"))
        return parse_sample(name, result, ret_number, error) &&
               check_whole(name, root, *ret_number, error);
    return error_unavailable(error,
                             "%s returned a %.*s: the query must return a scalar or one series",
                             name, LONGEST_SHOWN, type == NULL ? "result without type" : type);
}

bool prometheus_answer_parse(const void *query, const struct http_answer *answer,
                             struct reading *ret_reading, struct error *error)
{
    const json_t *root = answer->json;
    const char *name = answer->name;
    struct reading reading = READING_UNKNOWN;
    if (!json_is_object(root))
        return error_unavailable(
            error, "%s: unexpected reply, no JSON object: is serverAddress right?", name);
    if (!text_equal(json_string_value(json_object_get(root, "status")), "success"))
        return prometheus_answer_refuse(answer, error);
    const json_t *data = json_object_get(root, "data");
    bool good = prometheus_query_has_parts(query)
                    ? parse_parts(name, root, json_object_get(data, "result"), &reading, error)
                    : parse_number_of(name, root, data, &reading.value, error);
    if (good)
        *ret_reading = reading;
    return good;
}
