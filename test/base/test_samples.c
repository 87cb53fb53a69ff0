#include "base/memory.h"
#include "base/samples.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* As in KEDA's own test of its scaler: blanks before a line, and no line break at the end. */
static const char body[] = "# HELP queue_size Number of items\n"
                           "\t# TYPE queue_size counter\n"
                           "\tqueue_size{queue=\"zero\"} 0\n"
                           "queue_size{queue=\"one\",} 1 1700000000000\n"
                           "queue_size{ queue = \"two\", instance=\"a\" } 2\r\n"
                           "queue_size{queue=\"two\",instance=\"b\"} 20\n"
                           "queue_size{path=\"a\\\\n{\\\"}\\n\"} 3\n"
                           "queue_size_total 7\n"
                           "\n"
                           "nothing NaN\n"
                           "much{} +Inf\n"
                           "vllm:num_requests_waiting{model_name=\"org/m\"} 4.0\n"
                           "worse{queue=\"a} 1\n"
                           "bad x\n"
                           "bad_end 5x\n"
                           "none\n"
                           "random 10";

static void the_first_series_with_the_labels_is_found(void **state)
{
    (void)state;
    static const struct {
        const char *selector;
        enum samples_outcome outcome;
        double number;
    } rows[] = {
        {"random", SAMPLES_FOUND, 10},
        {"queue_size", SAMPLES_FOUND, 0},
        {"queue_size{}", SAMPLES_FOUND, 0},
        {"queue_size{queue=\"one\"}", SAMPLES_FOUND, 1},
        {"queue_size{queue='two'}", SAMPLES_FOUND, 2},
        {"queue_size { instance = \"b\" , queue=\"two\", } ", SAMPLES_FOUND, 20},
        {"queue_size{path=\"a\\\\n{\\\"}\\n\"}", SAMPLES_FOUND, 3},
        {"queue_size{path=\"a\\n{\\\"}\\n\"}", SAMPLES_NO_SERIES, NAN},
        {"queue_size{queue=\"three\"}", SAMPLES_NO_SERIES, NAN},
        {"queue_size{other=\"\"}", SAMPLES_NO_SERIES, NAN},
        {"queue_size_total", SAMPLES_FOUND, 7},
        {"queue", SAMPLES_NO_METRIC, NAN},
        {"HELP", SAMPLES_NO_METRIC, NAN},
        {"nothing", SAMPLES_FOUND, NAN},
        {"much", SAMPLES_FOUND, INFINITY},
        {"vllm:num_requests_waiting", SAMPLES_FOUND, 4},
        {"vllm:num_requests_waiting{model_name=\"org/m\"}", SAMPLES_FOUND, 4},
        {"worse", SAMPLES_INVALID, NAN},
        {"bad", SAMPLES_INVALID, NAN},
        {"bad_end", SAMPLES_INVALID, NAN},
        {"none", SAMPLES_INVALID, NAN},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        double number = NAN;
        if (!samples_is_selector(rows[i].selector))
            fail_msg("%s is no selector", rows[i].selector);
        enum samples_outcome outcome = samples_find(body, rows[i].selector, &number);
        bool is_right = isnan(rows[i].number) || number == rows[i].number;
        if (outcome != rows[i].outcome || (outcome == SAMPLES_FOUND && !is_right))
            fail_msg("%s: %d, %g", rows[i].selector, outcome, number);
    }
    double number;
    assert_int_equal(samples_find("", "random", &number), SAMPLES_NO_METRIC);
    assert_int_equal(samples_find("random", "random", &number), SAMPLES_INVALID);
}

static void what_is_no_name_with_labels_is_no_selector(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "{}",
        "{__name__=\"a\"}",
        "1a",
        "a b",
        "a{",
        "a{b}",
        "a{b=c}",
        "a{b=\"c\"",
        "a{b=\"c}",
        "a{b!=\"c\"}",
        "a{b=~\"c\"}",
        "a{b=\"c\"} 5",
        "a[5m]",
        "sum(a)",
        "a-b",
        "a{1b=\"c\"}",
        "a.b",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
        if (samples_is_selector(texts[i]))
            fail_msg("%s", texts[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_series_with_the_labels_is_found),
        cmocka_unit_test(what_is_no_name_with_labels_is_no_selector),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
