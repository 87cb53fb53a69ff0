#include "base/json_cleanup.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure/scaler.h"
#include "prometheus/answer.h"
#include "prometheus/check.h"
#include "prometheus/url.h"
#include "scalers/trigger.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

extern const struct scaler scaler_prometheus;

#define ADDRESS "http://prometheus:9090"

/* A query, a threshold and these keys. */
#define TRIGGER(name, ...)                                                                         \
    const struct option_entry name##_entries[] = {                                                 \
        {"query", "sum(up)"}, {"threshold", "5"}, __VA_ARGS__};                                    \
    _cleanup_(trigger_done) struct trigger name =                                                  \
        trigger_parse(&scaler_prometheus, name##_entries, ARRAY_LENGTH(name##_entries))

static char *url_of(const char *address, const struct prometheus_query *query)
{
    struct error error = {0};
    _cleanup_(http_url_done) struct http_url parsed = {0};
    if (!prometheus_address_parse(address, &parsed, &error))
        fail_msg("%s: %s", address, error_text(&error));
    return prometheus_query_url(&parsed, query);
}

static void a_query_is_escaped(void **state)
{
    (void)state;
    const struct prometheus_query plain = {.query = "sum(rate(x{a=\"\xc3\xb6\"}[1m])) + 1&b"};
    _cleanup_(memory_free) char *url = url_of("https://thanos/api/prom//", &plain);
    assert_string_equal(url, "https://thanos:443/api/prom/api/v1/query?query="
                             "sum%28rate%28x%7Ba%3D%22%C3%B6%22%7D%5B1m%5D%29%29%20%2B%201%26b");

    const char *pairs[] = {"dedup=true", "a b = c/d", "e= f"};
    const struct prometheus_query more = {
        .query = "up", .namespace = "shop&x=y", .query_parameters = {pairs, 3}};
    _cleanup_(memory_free) char *longer = url_of("http://u:p%40@[::1]:9090", &more);
    assert_string_equal(longer, "http://[::1]:9090/api/v1/query?query=up&namespace=shop%26x%3Dy"
                                "&dedup=true&a%20b=c%2Fd&e=f");
}

/* Each has its label, and a line of its own, as it may end with a comment. */
static void several_queries_are_one(void **state)
{
    (void)state;
#define PART(query, name)                                                                          \
    "label_replace((\n" query "\n), \"backlog_part\", \"" name "\", \"\", \"\")"
    static const char all[] = PART("a", "query") " or " PART("b", "inFlightQuery") " or " PART(
        "c", "arrivalQuery") " or " PART("d", "consumptionQuery");
    static const char two[] = PART("a", "query") " or " PART("d", "consumptionQuery");
    static const struct {
        struct prometheus_query query;
        const char *joined;
        unsigned reports;
    } rows[] = {
        {{.query = "a"}, "a", 0},
        {{.query = "a", .consumption_query = "d"}, two, READING_WANT_RATES},
        {{.query = "a", .in_flight_query = "b", .arrival_query = "c", .consumption_query = "d"},
         all,
         READING_WANT_IN_FLIGHT | READING_WANT_RATES},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct text expected = {0};
        text_add(&expected, "http://db:9090/api/v1/query?query=");
        http_url_add_escaped(&expected, rows[i].joined);
        _cleanup_(memory_free) char *text = text_take(&expected);
        _cleanup_(memory_free) char *url = url_of("http://db:9090", &rows[i].query);
        assert_string_equal(url, text);
        const char *advice = NULL;
        const struct options options = {.query = &rows[i].query};
        assert_int_equal(scaler_prometheus.reports(&options, &advice), rows[i].reports);
        assert_non_null(strstr(advice, "set inFlightQuery"));
    }
}

static void a_user_in_the_address_is_separated_from_it(void **state)
{
    (void)state;
    struct error error = {0};
    _cleanup_(http_url_done) struct http_url address = {0};
    assert_true(prometheus_address_parse("http://me:w%3Ard@db:90/p", &address, &error));
    assert_string_equal(address.host_port, "db:90");
    assert_string_equal(address.base, "http://db:90/p");
    assert_string_equal(address.user, "me");
    assert_string_equal(address.password, "w:rd");
}

static void a_wrong_address_is_refused_without_showing_it(void **state)
{
    (void)state;
    static const char *const addresses[] = {
        "prometheus:9090",       "ftp://u:secret@db",       "http://",
        "http://u:sec/ret@db/",  "http://u:sec?ret@db/",    "http://u:sec#ret@db/",
        "http://u:1/secret@db/", "http://u:secret@db:port", "http://db:99999",
        "http://db/?secret=1",   "http://u:secret@[::1/",   "http://db /",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(addresses); i++) {
        _cleanup_(error_done) struct error error = {0};
        _cleanup_(http_url_done) struct http_url address = {0};
        if (prometheus_address_parse(addresses[i], &address, &error))
            fail_msg("%s was taken", addresses[i]);
        assert_int_equal(error.code, ERROR_INVALID);
        assert_null(strstr(error_text(&error), "sec"));
    }
}

static void assert_check(const struct prometheus_query *query, const char *mistake)
{
    _cleanup_(error_done) struct error mistakes = {0};
    prometheus_check_trigger(&(struct options){.query = query}, &mistakes);
    assert_string_equal(error_text(&mistakes), mistake);
}

static void a_request_has_its_bounds(void **state)
{
    (void)state;
    enum { ALL = 16 << 10, MAX_PAIRS = 64 };
    _cleanup_(memory_free) char *query = memory_new(ALL);
    const char *pairs[MAX_PAIRS + 1];
    memset(query, 'a', ALL - strlen("/api/v1/query?query="));
    assert_check(&(struct prometheus_query){.query = query}, "");
    query[strlen(query)] = 'a';
    assert_check(&(struct prometheus_query){.query = query},
                 "query, with the other queries and queryParameters, makes a URL of 16385 bytes: "
                 "at most 16384 are allowed");

    for (size_t i = 0; i <= MAX_PAIRS; i++)
        pairs[i] = "a=1";
    assert_check(&(struct prometheus_query){.query = "up", .query_parameters = {pairs, MAX_PAIRS}},
                 "");
    assert_check(
        &(struct prometheus_query){.query = "up", .query_parameters = {pairs, MAX_PAIRS + 1}},
        "queryParameters has 65 pieces: at most 64 are allowed");
    pairs[1] = "b";
    assert_check(&(struct prometheus_query){.query = "up", .query_parameters = {pairs, 3}},
                 "queryParameters: number 2 is not name=value with exactly one =");
}

/* Parses an answer of this status and body, as kit/http_source.h has it done. */
static bool parses(long status, const char *body, double *ret_value, struct error *error)
{
    _cleanup_(json_done) json_t *json = json_loads(body, 0, NULL);
    const struct http_answer answer = {"Prometheus at db:9090", .status = status, .json = json};
    static const struct prometheus_query query = {.query = "up"};
    struct reading reading;
    if (!http_is_success(&answer))
        return prometheus_answer_refuse(&answer, error);
    if (!prometheus_answer_parse(&query, &answer, &reading, error))
        return false;
    *ret_value = reading.value;
    return true;
}

#define VECTOR(series)                                                                             \
    "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[" series "]}}"
#define WARNED(warnings, series)                                                                   \
    "{\"status\":\"success\",\"warnings\":" warnings ",\"data\":{\"resultType\":\"vector\","       \
    "\"result\":[" series "]}}"
#define SAMPLE(value) "{\"metric\":{},\"value\":[1700000000.1," value "]}"

static void numbers_are_answers(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        double value;
    } answers[] = {
        {VECTOR(SAMPLE("\"37\"")), 37},
        {VECTOR(SAMPLE("\"0\"")), 0},
        {VECTOR(SAMPLE("\"-1.5e+06\"")), -1.5e6},
        {"{\"status\":\"success\",\"data\":{\"resultType\":\"scalar\",\"result\":[1,\"3\"]}}", 3},
        {"{\"status\":\"success\",\"warnings\":[\"w\"],\"data\":{\"resultType\":\"vector\","
         "\"result\":[" SAMPLE("\"4\"") "]}}",
         4},
        {WARNED("[\"PromQL warning: w\"]", SAMPLE("\"0\"")), 0}, /* of the query itself */
        {WARNED("[\"store is down\"],\"isPartial\":true", SAMPLE("\"1\"")), 1},
        {WARNED("[],\"isPartial\":false", SAMPLE("\"0\"")), 0},
        {VECTOR(""), NAN},
        {WARNED("[\"PromQL info: i\"]", ""), NAN},
        {VECTOR(SAMPLE("\"NaN\"")), NAN},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(answers); i++) {
        _cleanup_(error_done) struct error error = {0};
        double value = -1;
        if (!parses(200, answers[i].body, &value, &error))
            fail_msg("%s: %s", answers[i].body, error_text(&error));
        assert_true(isnan(answers[i].value) ? isnan(value) : value == answers[i].value);
    }
}

/* Behind "status", with warnings or without. */
static bool parses_parts_with(const char *warnings, const char *result, struct reading *ret_reading,
                              struct error *error)
{
    _cleanup_(memory_free) char *body = text_format(
        "{\"status\":\"success\",%s\"data\":{\"resultType\":\"vector\",\"result\":[%s]}}", warnings,
        result);
    _cleanup_(json_done) json_t *json = json_loads(body, 0, NULL);
    const struct http_answer answer = {"Prometheus at db:9090", .status = 200, .json = json};
    static const struct prometheus_query query = {.query = "up", .arrival_query = "rate"};
    return prometheus_answer_parse(&query, &answer, ret_reading, error);
}

static bool parses_parts(const char *result, struct reading *ret_reading, struct error *error)
{
    return parses_parts_with("", result, ret_reading, error);
}

#define SERIES(part, value)                                                                        \
    "{\"metric\":{\"backlog_part\":\"" part "\"},\"value\":[1,\"" value "\"]}"

static void each_of_several_queries_returns_one_series(void **state)
{
    (void)state;
    static const char *const twice[] = {
        SERIES("query", "4") "," SERIES("query", "5"),
        SERIES("query", "NaN") "," SERIES("query", "5"),
        SERIES("query", "5") "," SERIES("arrivalQuery", "NaN") "," SERIES("arrivalQuery", "1"),
    };
    struct reading reading;
    _cleanup_(error_done) struct error error = {0};
    assert_true(
        parses_parts(SERIES("consumptionQuery", "2") "," SERIES("query", "5"), &reading, &error));
    assert_true(reading.value == 5 && reading.consumption_rate == 2);
    assert_true(isnan(reading.arrival_rate) && isnan(reading.in_flight));
    for (size_t i = 0; i < ARRAY_LENGTH(twice); i++) {
        error_done(&error);
        assert_false(parses_parts(twice[i], &reading, &error));
        assert_non_null(strstr(error_text(&error), "several series for one query"));
    }
    error_done(&error);
    assert_false(
        parses_parts(SERIES("query", "5") "," SERIES("arrivalQuery", "+Inf"), &reading, &error));
    assert_non_null(strstr(error_text(&error), "+Inf"));
}

static void each_query_has_its_field(void **state)
{
    (void)state;
    static const char all[] = SERIES("arrivalQuery", "3") "," SERIES("query", "1") "," SERIES(
        "consumptionQuery", "4") "," SERIES("inFlightQuery", "2");
    struct reading reading;
    _cleanup_(error_done) struct error error = {0};
    assert_true(parses_parts(all, &reading, &error));
    assert_true(reading.value == 1 && reading.in_flight == 2);
    assert_true(reading.arrival_rate == 3 && reading.consumption_rate == 4);
}

/* The difference of two counters, of which one began again. */
static void only_a_negative_count_is_unknown(void **state)
{
    (void)state;
    static const char all[] = SERIES("query", "-1") "," SERIES("inFlightQuery", "-40") "," SERIES(
        "arrivalQuery", "-0.5") "," SERIES("consumptionQuery", "4");
    struct reading reading;
    _cleanup_(error_done) struct error error = {0};
    assert_true(parses_parts(all, &reading, &error));
    assert_true(reading.value == -1 && reading.consumption_rate == 4);
    assert_true(isnan(reading.in_flight) && isnan(reading.arrival_rate));

    static const char small[] = SERIES("query", "5") "," SERIES("inFlightQuery", "0") "," SERIES(
        "arrivalQuery", "0.5") "," SERIES("consumptionQuery", "0");
    assert_true(parses_parts(small, &reading, &error));
    assert_true(reading.in_flight == 0);
    assert_true(reading.arrival_rate == 0.5 && reading.consumption_rate == 0);
}

/* What only the others found is no value; and where the server warns, the query may have one. */
static void of_several_queries_the_first_may_find_nothing(void **state)
{
    (void)state;
    static const char warnings[] = "\"warnings\":[\"store is down\"],";
    struct reading reading;
    _cleanup_(error_done) struct error error = {0};
    assert_true(parses_parts(SERIES("arrivalQuery", "3"), &reading, &error));
    assert_true(isnan(reading.value) && reading.arrival_rate == 3);
    assert_true(parses_parts_with(warnings, SERIES("query", "1"), &reading, &error));
    assert_true(reading.value == 1);
    static const struct {
        const char *result, *words;
    } bad[] = {
        {SERIES("arrivalQuery", "3"), "found no data and warns: store is down"},
        {SERIES("query", "0"), "returned 0 and warns: store is down"},
        {SERIES("query", "1") "," SERIES("arrivalQuery", "0"), "returned 0 and warns"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        error_done(&error);
        assert_false(parses_parts_with(warnings, bad[i].result, &reading, &error));
        if (strstr(error_text(&error), bad[i].words) == NULL)
            fail_msg("\"%s\" lacks \"%s\"", error_text(&error), bad[i].words);
    }
}

static void a_value_that_is_no_number_is_an_error(void **state)
{
    (void)state;
    static const struct {
        long status;
        const char *body;
        const char *words;
    } answers[] = {
        {200, "<html>", "no JSON object"},
        {200, "[]", "no JSON object"},
        {200, "{}", "HTTP status 200"},
        {200, "{\"status\":\"error\",\"errorType\":\"timeout\",\"error\":\"too slow\"}",
         "timeout: too slow"},
        {400, "{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"parse error\"}",
         "bad_data: parse error"},
        {503, "down", "HTTP status 503"},
        {301, VECTOR(SAMPLE("\"1\"")), "HTTP status 301"},
        {200, "{\"status\":\"success\"}", "result without type"},
        {200, "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\"}}", "without a result"},
        {200, "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[]}}",
         "returned a matrix"},
        {200, "{\"status\":\"success\",\"data\":{\"resultType\":\"string\",\"result\":[1,\"1\"]}}",
         "returned a string"},
        {200, VECTOR(SAMPLE("\"1\"") "," SAMPLE("\"1\"")), "returned 2 series"},
        {200, VECTOR("{\"metric\":{}}"), "without a value"},
        {200, VECTOR("{\"value\":[]}"), "without a value"},
        {200, VECTOR("{\"value\":[1]}"), "without a value"},
        {200, VECTOR("{\"value\":[1,null]}"), "without a value"},
        {200, VECTOR("{\"value\":[1,5]}"), "without a value"},
        {200, VECTOR("{\"histogram\":[1,{}]}"), "a histogram"},
        {200, VECTOR(SAMPLE("\"+Inf\"")), "returned +Inf"},
        {200, VECTOR(SAMPLE("\"-Inf\"")), "returned -Inf"},
        {200, VECTOR(SAMPLE("\"1e999\"")), "returned 1e999"},
        {200, VECTOR(SAMPLE("\"1e+9999999999999999999999999999999999999999\"")),
         "returned 1e+9999999999999999999999999999999999999: does"},
        {200, VECTOR(SAMPLE("\"\"")), "not a number"},
        {200, VECTOR(SAMPLE("\"0x1\"")), "not a number"},
        {200, VECTOR(SAMPLE("\"nan\"")), "not a number"},
        {200, VECTOR(SAMPLE("\"1 \"")), "not a number"},
        {200,
         "{\"status\":\"success\",\"warnings\":[\"store is down\"],\"data\":{\"resultType\":"
         "\"vector\",\"result\":[]}}",
         "no data and warns: store is down"},
        {200, WARNED("[\"store is down\"]", SAMPLE("\"0\"")),
         "returned 0 and warns: store is down"},
        {200, WARNED("[\"PromQL info: i\",\"store is down\"]", SAMPLE("\"NaN\"")), "store is down"},
        {200, WARNED("[],\"isPartial\":true", SAMPLE("\"0\"")), "the response is partial"},
        {200, WARNED("[],\"isPartial\":true", ""), "no data and warns: the response is partial"},
        {200, WARNED("[\"PromQL info: i\",\"PromQL warning: w\"]", ""),
         "no data and warns: PromQL warning: w"},
        {200,
         "{\"status\":\"success\",\"warnings\":[\"w\"],\"data\":{\"resultType\":\"scalar\","
         "\"result\":[1,\"0\"]}}",
         "returned 0 and warns: w"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(answers); i++) {
        _cleanup_(error_done) struct error error = {0};
        double value;
        if (parses(answers[i].status, answers[i].body, &value, &error))
            fail_msg("%s was taken", answers[i].body);
        if (strstr(error_text(&error), answers[i].words) == NULL)
            fail_msg("%s: \"%s\" lacks \"%s\"", answers[i].body, error_text(&error),
                     answers[i].words);
    }
}

static bool evaluates(const struct trigger *trigger, double value,
                      struct evaluation *ret_evaluation)
{
    _cleanup_(error_done) struct error error = {0};
    struct reading reading = READING_UNKNOWN;
    reading.value = value;
    return scaler_prometheus.evaluate(&trigger->options, &reading, ret_evaluation, &error);
}

static void no_data_is_0_or_an_error_as_the_trigger_says(void **state)
{
    (void)state;
    struct evaluation evaluation;
    TRIGGER(lenient, {"serverAddress", ADDRESS});
    assert_true(evaluates(&lenient, NAN, &evaluation));
    assert_true(evaluation.value == 0 && !evaluation.active);
    TRIGGER(strict, {"serverAddress", ADDRESS}, {"ignoreNullValues", "false"});
    assert_false(evaluates(&strict, NAN, &evaluation));
    assert_true(evaluates(&strict, 0, &evaluation));
}

static void active_is_above_the_activation_threshold_and_not_at_it(void **state)
{
    (void)state;
    struct evaluation evaluation;
    TRIGGER(trigger, {"serverAddress", ADDRESS}, {"activationThreshold", "2.5"});
    assert_true(evaluates(&trigger, 2.5, &evaluation));
    assert_false(evaluation.active);
    assert_true(evaluates(&trigger, 2.6, &evaluation));
    assert_true(evaluation.active);
}

static void the_metric_is_named_as_keda_names_it(void **state)
{
    (void)state;
    struct metric_spec spec = {0};
    TRIGGER(trigger, {"serverAddress", ADDRESS});
    scaler_prometheus.metric_spec(&trigger.options, &spec);
    assert_string_equal(spec.metric_name, "prometheus");
    assert_true(spec.target == 5);
    assert_int_equal(spec.idle_interval_ms, 0);
    free(spec.metric_name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_query_is_escaped),
        cmocka_unit_test(several_queries_are_one),
        cmocka_unit_test(a_user_in_the_address_is_separated_from_it),
        cmocka_unit_test(a_wrong_address_is_refused_without_showing_it),
        cmocka_unit_test(a_request_has_its_bounds),
        cmocka_unit_test(numbers_are_answers),
        cmocka_unit_test(each_of_several_queries_returns_one_series),
        cmocka_unit_test(each_query_has_its_field),
        cmocka_unit_test(only_a_negative_count_is_unknown),
        cmocka_unit_test(of_several_queries_the_first_may_find_nothing),
        cmocka_unit_test(a_value_that_is_no_number_is_an_error),
        cmocka_unit_test(no_data_is_0_or_an_error_as_the_trigger_says),
        cmocka_unit_test(active_is_above_the_activation_threshold_and_not_at_it),
        cmocka_unit_test(the_metric_is_named_as_keda_names_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
