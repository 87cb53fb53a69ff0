/* Rates of RabbitMQ that its counters do not show are bounded; all others are as they are. */
#include "rabbitmq/management/rates.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

enum { NOW_MS = 1000 * 1000, SECOND_MS = 1000, SAMPLE_SECONDS = 5 };

static double bounded(struct rabbitmq_rates *rates, double count, double rate, int64_t now_ms)
{
    struct rabbitmq_counts counts = {
        .published = count, .publish_rate = rate, .delivered = count, .deliver_get_rate = rate};
    json_t *name = json_string("q");
    rabbitmq_rates_bound(rates, name, &counts, now_ms);
    json_decref(name);
    if (!isnan(rate))
        assert_true(counts.publish_rate == counts.deliver_get_rate);
    return counts.publish_rate;
}

static void a_rate_that_the_counter_does_not_show_is_bounded(void **state)
{
    (void)state;
    struct rabbitmq_rates *rates = rabbitmq_rates_new();
    assert_true(bounded(rates, 1, 740, NOW_MS) == 1); /* for the first time, too */
    assert_true(bounded(rates, 2, 0.2, NOW_MS + 5 * SECOND_MS) == 0.2);
    assert_true(bounded(rates, 3, 740, NOW_MS + 10 * SECOND_MS) == 0.2);
    assert_true(bounded(rates, 5, 740, NOW_MS + 40 * SECOND_MS) == 0.4); /* in the last sample */
    assert_true(bounded(rates, 5, 740, NOW_MS + 104 * SECOND_MS) == 0.4);
    assert_true(bounded(rates, 5, 740, NOW_MS + 105 * SECOND_MS) == 0); /* it stands still */
    assert_true(bounded(rates, 2, 740, NOW_MS + 106 * SECOND_MS) == 2); /* it was reset */
    assert_true(isnan(bounded(rates, 2, NAN, NOW_MS + 107 * SECOND_MS)));
    assert_true(bounded(rates, NAN, 3, NOW_MS + 108 * SECOND_MS) == 3);
    rabbitmq_rates_free(rates);
}

/* As the broker reports a load: a rate for each sample, which several looks see. */
static void rates_that_the_counter_shows_are_as_they_are(void **state)
{
    (void)state;
    static const int64_t looks_ms[] = {1, 200, 1000, 1700, 2500, 5000, 5300, 10000};
    static const double loads[] = {0, 0, 0, 100, 0, 300, 1, 0, 20, 20, 20, 0, 0};
    for (size_t look = 0; look < sizeof(looks_ms) / sizeof(looks_ms[0]); look++) {
        struct rabbitmq_rates *rates = rabbitmq_rates_new();
        for (int64_t passed_ms = 0; passed_ms < (int64_t)60 * SECOND_MS;
             passed_ms += looks_ms[look]) {
            int64_t sample = passed_ms / ((int64_t)SAMPLE_SECONDS * SECOND_MS);
            double count = 1000;
            for (int64_t i = 0; i <= sample; i++)
                count += loads[i];
            double rate = loads[sample] / SAMPLE_SECONDS;
            if (bounded(rates, count, rate, NOW_MS + passed_ms) != rate)
                fail_msg("%f after %d ms, looking each %d", rate, (int)passed_ms,
                         (int)looks_ms[look]);
        }
        rabbitmq_rates_free(rates);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rate_that_the_counter_does_not_show_is_bounded),
        cmocka_unit_test(rates_that_the_counter_shows_are_as_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
