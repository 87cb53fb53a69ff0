#include "base/memory.h"
#include "base/text.h"
#include "kit/http_source.h"
#include "measure/scaler.h"
#include "metrics_api/options.h"
#include "scalers/trigger.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

extern const struct scaler scaler_metrics_api;
extern const struct http_source metrics_api_source;

/* As in KEDA's own test of its scaler, and more. */
static const char json[] =
    "{\"components\": [{\"id\": \"82328e93e\", \"tasks\": 32, \"str\": \"64\", \"k\": \"1k\", "
    "\"wrong\": \"NaN\", \"unit\": \"k\"}, {\"id\": 7, \"tasks\": 5, \"on\": true}], "
    "\"count\": 2.43, \"large\": 12345678901234567890, \"none\": null, \"off\": false, "
    "\"a.b\": 3, \"a*|#\": 4, \"#\": 8, \"0\": 9, \"empty\": [], \"words\": [\"x\", 5, \"y z)\"], "
    "\"secret\": \"sesame\", \"deep\": {\"er\": {\"x\": -1}}, \"\xc3\xb6\": 6, \"blank\": \"\"}";

static const char yaml[] =
    "{components: [{id: 82328e93e, tasks: 32, str: '64', k: 1k, wrong: NaN}],"
    " count: 2.43, none: ~, off: false, octal: 017, text: '017', hex: 0x10,"
    " nan: .nan, minus: -5, exponent: 1e3, secret: sesame}";

static const char samples[] = "# TYPE queue_size counter\n"
                              "queue_size{queue=\"one\"} 1\n"
                              "queue_size{queue=\"two\",instance=\"b\"} 20\n"
                              "wait_count 3\n"
                              "bad{ 5\n"
                              "nan NaN\n"
                              "inf +Inf\n";

static bool read_body(int format, const char *location, const char *body, double *ret_value,
                      struct error *error)
{
    const struct metrics_api_query query = {format, location};
    struct reading reading = READING_UNKNOWN;
    struct http_answer answer = {.name = "the API at api:80", .status = HTTP_OK};
    text_add(&answer.body, body);
    bool good = metrics_api_source.parse(&query, &answer, &reading, error);
    text_done(&answer.body);
    *ret_value = reading.value;
    return good;
}

struct row {
    const char *location;
    double value; /* NAN: it is an error, */
    const char *why;
};

static void assert_rows(int format, const char *body, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        _cleanup_(error_done) struct error error = {0};
        double value;
        bool good = read_body(format, rows[i].location, body, &value, &error);
        if (good != (rows[i].why == NULL))
            fail_msg("%s: %g, %s", rows[i].location, value, error_text(&error));
        if (good && value != rows[i].value)
            fail_msg("%s: %g", rows[i].location, value);
        if (!good && strstr(error_text(&error), rows[i].why) == NULL)
            fail_msg("%s: %s", rows[i].location, error_text(&error));
        assert_null(strstr(error_text(&error), "sesame"));
        assert_true(good || isnan(value));
    }
}

#define MISSING NAN, "is not in the response"
#define TEXT NAN, "is a text that is no quantity of Kubernetes"

static void a_path_leads_to_a_number_in_json(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"count", 2.43, NULL},
        {"components.0.tasks", 32, NULL},
        {"components.1.tasks", 5, NULL},
        {"components.01.tasks", 5, NULL},
        {"components.0.str", 64, NULL},
        {"components.0.k", 1000, NULL},
        {"large", 12345678901234567890.0, NULL},
        {"deep.er.x", -1, NULL},
        {"\xc3\xb6", 6, NULL},
        {"a\\.b", 3, NULL},
        {"a\\*\\|#", 4, NULL},
        {"0", 9, NULL},
        {"#", 8, NULL},
        {"components.#", 2, NULL},
        {"empty.#", 0, NULL},
        {"components.#(id==\"82328e93e\").tasks", 32, NULL},
        {"components.#(id==82328e93e).tasks", 32, NULL},
        {"components.#( id = 7 ).tasks", 5, NULL},
        {"components.#(id==\"7\").tasks", 5, NULL},
        {"components.#(on==true).tasks", 5, NULL},
        {"words.#(==5)", 5, NULL},
        {"components.0.wrong", TEXT},
        {"components.0.unit", TEXT},
        {"secret", TEXT},
        {"blank", TEXT},
        {"words.#(==\"y z)\")", TEXT},
        {"none", NAN, "is null"},
        {"off", NAN, "is false"},
        {"components.1.on", NAN, "is true"},
        {"components", NAN, "is a list"},
        {"components.0", NAN, "is an object"},
        {"components.#(id==7)", NAN, "is an object"},
        {"missing", MISSING},
        {"count.more", MISSING},
        {"count.#", MISSING},
        {"components.2.tasks", MISSING},
        {"components.99999999999999999999.tasks", MISSING},
        {"components.\\0.tasks", MISSING},
        {"components.-1.tasks", MISSING},
        {"components.#(id==8).tasks", MISSING},
        {"components.#(on==false).tasks", MISSING},
        {"components.#(id==7).missing", MISSING},
        {"empty.0", MISSING},
        {"empty.#(a==b).c", MISSING},
        {"deep.#(er==1)", MISSING},
    };
    assert_rows(METRICS_API_JSON, json, rows, ARRAY_LENGTH(rows));
}

static void what_is_no_json_has_no_number(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "",
        "{",
        "{\"a\": 1",
        "{\"a\": 1} sesame",
        "{\"a\": NaN}",
        "{\"a\": 1e999}",
        "{\"a\": 1, \"a\": 2}",
        "<html>sesame</html>",
        "5",
    };
    static const struct row row = {"a", NAN, "cannot be found: the response is not JSON"};
    for (size_t i = 0; i < ARRAY_LENGTH(bodies); i++)
        assert_rows(METRICS_API_JSON, bodies[i], &row, 1);
}

static void a_path_leads_to_a_number_in_yaml(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"count", 2.43, NULL},
        {"components.0.tasks", 32, NULL},
        {"components.0.str", 64, NULL},
        {"components.0.k", 1000, NULL},
        {"minus", -5, NULL},
        {"exponent", 1000, NULL},
        {"text", 17, NULL},
        {"octal", NAN, "is an octal number"},
        {"hex", TEXT},
        {"nan", TEXT},
        {"components.0.wrong", TEXT},
        {"none", TEXT},
        {"off", TEXT},
        {"secret", TEXT},
        {"components", NAN, "is a list or a map"},
        {"missing", MISSING},
    };
    static const struct row broken = {"a", NAN, "cannot be found: the response is not YAML"};
    assert_rows(METRICS_API_YAML, yaml, rows, ARRAY_LENGTH(rows));
    assert_rows(METRICS_API_YAML, "a: [1", &broken, 1);
}

static void a_series_is_a_number_in_prometheus_text(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"queue_size", 1, NULL},
        {"queue_size{queue=\"two\"}", 20, NULL},
        {"wait_count", 3, NULL},
        {"queue_size{queue=\"three\"}", NAN, "no series of the metric has these labels"},
        {"queue", NAN, "it has no metric of this name"},
        {"bad", NAN, "cannot be read"},
        {"nan", NAN, "is NaN or infinite"},
        {"inf", NAN, "is NaN or infinite"},
    };
    assert_rows(METRICS_API_PROMETHEUS, samples, rows, ARRAY_LENGTH(rows));
}

/* KEDA takes no other one, either. What is no success does not get here. */
static void another_status_of_success_is_an_error(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    const struct metrics_api_query query = {METRICS_API_JSON, "count"};
    struct reading reading = READING_UNKNOWN;
    struct http_answer answer = {.name = "the API at api:80", .status = 201};
    text_add(&answer.body, json);
    assert_false(metrics_api_source.parse(&query, &answer, &reading, &error));
    assert_string_equal(error_text(&error), "the API at api:80: HTTP status 201");
    text_done(&answer.body);
}

#define TRIGGER(name, ...)                                                                         \
    _cleanup_(trigger_done) struct trigger name = trigger_of(                                      \
        &scaler_metrics_api, PAIRS("valueLocation", "a", "targetValue", "5", __VA_ARGS__))

static void the_request_has_the_whole_url_and_no_password(void **state)
{
    (void)state;
    static const struct {
        const char *url, *method, *name, *expected;
    } rows[] = {
        {"http://api", "header", NULL, "http://api:80/"},
        {"https://me:w%3Ard@api:8443/v1/jobs/?a=1", "header", NULL,
         "https://api:8443/v1/jobs/?a=1"},
        {"http://[::1]:8080/x", "query", NULL, "http://[::1]:8080/x?api_key=k%26y"},
        {"http://api/?a=1", "query", "a key", "http://api:80/?a=1&a%20key=k%26y"},
        {"http://api?a=1", "query", NULL, "http://api:80/?a=1&api_key=k%26y"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        _cleanup_(error_done) struct error error = {0};
        struct http_request request = {0};
        TRIGGER(trigger, "url", rows[i].url, "authMode", "apiKey", "apiKey", "k&y", "method",
                rows[i].method, "keyParamName", rows[i].name == NULL ? "" : rows[i].name);
        if (!trigger.good)
            fail_msg("%s: %s", rows[i].url, error_text(&trigger.error));
        assert_true(metrics_api_source.request(trigger.options.connection, trigger.options.query,
                                               &request, &error));
        assert_string_equal(request.url, rows[i].expected);
        free(request.url);
    }
}

static bool has_header(const struct http_login *login, const char *header)
{
    for (const struct curl_slist *each = login->headers; each != NULL; each = each->next)
        if (text_equal(each->data, header))
            return true;
    return false;
}

static void each_mode_has_its_login(void **state)
{
    (void)state;
    const struct {
        const char *const *pairs;
        const char *user, *password, *header;
    } rows[] = {
        {PAIRS("url", "http://me:w%3Ard@api"), "me", "w:rd", NULL},
        {PAIRS("url", "http://me:w%3Ard@api", "authMode", "basic", "username", "u"), "u", NULL,
         NULL},
        {PAIRS("url", "http://api", "authMode", "apiKey,bearer", "apiKey", "k", "token", "t"), NULL,
         NULL, "X-API-KEY: k"},
        {PAIRS("url", "http://api", "authMode", "bearer", "bearerToken", "t"), NULL, NULL,
         "Authorization: Bearer t"},
        {PAIRS("url", "http://api", "authMode", "apiKey", "apiKey", "k", "keyParamName", "X-K"),
         NULL, NULL, "X-K: k"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        _cleanup_(error_done) struct error error = {0};
        const char *pairs[32] = {"valueLocation", "a", "targetValue", "5"};
        struct http_login login = {0};
        for (size_t j = 0; rows[i].pairs[j] != NULL; j++)
            pairs[4 + j] = rows[i].pairs[j];
        _cleanup_(trigger_done) struct trigger trigger = trigger_of(&scaler_metrics_api, pairs);
        if (!trigger.good)
            fail_msg("%zu: %s", i, error_text(&trigger.error));
        assert_true(metrics_api_source.log_in(trigger.options.connection, &login, &error));
        if (!text_equal(login.user, rows[i].user) ||
            !text_equal(login.password, rows[i].password) ||
            (rows[i].header != NULL && !has_header(&login, rows[i].header)))
            fail_msg("%zu: %s", i, login.user);
        free(login.user);
        free(login.password);
        curl_slist_free_all(login.headers);
    }
}

static void a_value_above_the_activation_is_active(void **state)
{
    (void)state;
    _cleanup_(trigger_done) struct trigger trigger =
        trigger_of(&scaler_metrics_api, PAIRS("url", "http://api", "valueLocation", "a.b",
                                              "targetValue", "5", "activationTargetValue", "2"));
    struct metric_spec spec;
    scaler_metrics_api.metric_spec(&trigger.options, &spec);
    assert_string_equal(spec.metric_name, "metric-api-a.b");
    assert_true(spec.target == 5);
    free(spec.metric_name);
    for (int value = 1; value < 4; value++) {
        struct error error = {0};
        struct reading reading = READING_UNKNOWN;
        struct evaluation evaluation = {0};
        reading.value = value;
        assert_true(scaler_metrics_api.evaluate(&trigger.options, &reading, &evaluation, &error));
        assert_true(evaluation.value == value);
        assert_int_equal(evaluation.active, value > 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_leads_to_a_number_in_json),
        cmocka_unit_test(what_is_no_json_has_no_number),
        cmocka_unit_test(a_path_leads_to_a_number_in_yaml),
        cmocka_unit_test(a_series_is_a_number_in_prometheus_text),
        cmocka_unit_test(another_status_of_success_is_an_error),
        cmocka_unit_test(the_request_has_the_whole_url_and_no_password),
        cmocka_unit_test(each_mode_has_its_login),
        cmocka_unit_test(a_value_above_the_activation_is_active),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
