#include "base/metric.h"

#include "base/memory.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void a_family_is_written_before_its_samples(void **state)
{
    (void)state;
    _cleanup_(text_done) struct text page = {0};
    metric_family(&page, "backlog_calls_total", METRIC_COUNTER, "Calls.");
    metric_sample(&page, "backlog_calls_total", "method=\"IsActive\",code=\"OK\"", 12345678901.0);
    metric_single(&page, "backlog_age_seconds", METRIC_GAUGE, "Age.", NAN);
    assert_string_equal(page.bytes,
                        "# HELP backlog_calls_total Calls.\n"
                        "# TYPE backlog_calls_total counter\n"
                        "backlog_calls_total{method=\"IsActive\",code=\"OK\"} 12345678901\n"
                        "# HELP backlog_age_seconds Age.\n"
                        "# TYPE backlog_age_seconds gauge\n"
                        "backlog_age_seconds NaN\n");
}

static void a_bucket_counts_all_up_to_its_bound(void **state)
{
    (void)state;
    _cleanup_(text_done) struct text page = {0};
    struct histogram histogram = {0};
    histogram_add(&histogram, 0.0001);
    histogram_add(&histogram, 0.00011);
    histogram_add(&histogram, 3600);
    metric_histogram(&page, "h", "method=\"IsActive\"", &histogram);
    assert_non_null(strstr(page.bytes, "h_bucket{method=\"IsActive\",le=\"0.0001\"} 1\n"));
    assert_non_null(strstr(page.bytes, "h_bucket{method=\"IsActive\",le=\"0.0005\"} 2\n"));
    assert_non_null(strstr(page.bytes, "h_bucket{method=\"IsActive\",le=\"10\"} 2\n"));
    assert_non_null(strstr(page.bytes, "h_bucket{method=\"IsActive\",le=\"+Inf\"} 3\n"));
    assert_non_null(strstr(page.bytes, "h_count{method=\"IsActive\"} 3\n"));
    text_clear(&page);
    metric_histogram(&page, "h", NULL, &histogram);
    assert_non_null(strstr(page.bytes, "h_bucket{le=\"+Inf\"} 3\n"));
    assert_non_null(strstr(page.bytes, "\nh_count 3\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_family_is_written_before_its_samples),
        cmocka_unit_test(a_bucket_counts_all_up_to_its_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
