/* When a source that was given up is requested again, and when the broker may have restarted. */
#include "rabbitmq/management/preference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

enum { NOW_MS = 1000 * 1000, SECOND_MS = 1000, QUEUES = 40 };

static void a_listing_that_was_too_large_rests_for_five_minutes(void **state)
{
    (void)state;
    struct rabbitmq_preference preference = {0};
    int64_t end_ms = NOW_MS + 300 * SECOND_MS;
    rabbitmq_preference_note_too_large(&preference, NOW_MS);
    for (int64_t now_ms = NOW_MS; now_ms < end_ms; now_ms += SECOND_MS) {
        assert_false(rabbitmq_preference_lists_totals(&preference, QUEUES, now_ms));
        assert_false(rabbitmq_preference_lists_statistics(&preference, QUEUES, now_ms));
    }
    assert_true(rabbitmq_preference_lists_totals(&preference, QUEUES, end_ms));
    assert_true(rabbitmq_preference_lists_statistics(&preference, QUEUES, end_ms));
}

static void what_statistics_lack_meanwhile_does_not_put_totals_off(void **state)
{
    (void)state;
    struct rabbitmq_preference preference = {0};
    rabbitmq_preference_note_timeout(&preference, RABBITMQ_SOURCE_TOTALS, NOW_MS, NOW_MS);
    for (int64_t seconds = 0; seconds < 5; seconds++) {
        int64_t now_ms = NOW_MS + seconds * SECOND_MS;
        assert_true(rabbitmq_preference_totals_rest(&preference, now_ms));
        rabbitmq_preference_note_uncounted(&preference, now_ms);
    }
    assert_false(rabbitmq_preference_totals_rest(&preference, NOW_MS + 5 * SECOND_MS));
}

static void note_answer(struct rabbitmq_preference *preference, int64_t sent_ms, int64_t now_ms)
{
    (void)rabbitmq_preference_note_answer(preference, RABBITMQ_SOURCE_STATISTICS, sent_ms, now_ms);
}

/* Whether an answer so late is behind a restart, where a proxy refused a request of then. */
static bool may_have_restarted(int64_t refused_ms, int64_t answered_ms)
{
    struct rabbitmq_preference preference = {0};
    note_answer(&preference, NOW_MS - 1, NOW_MS);
    rabbitmq_preference_note_unreached(&preference, refused_ms);
    rabbitmq_preference_note_unreached(&preference, answered_ms); /* the first one counts */
    return rabbitmq_preference_may_have_restarted(&preference, answered_ms);
}

/* Or a pattern that is too much for the proxy would keep the zeros of all others in doubt. */
static void what_a_proxy_refuses_each_time_is_no_restart(void **state)
{
    (void)state;
    struct rabbitmq_preference preference = {0};
    int64_t now_ms = NOW_MS;
    assert_true(rabbitmq_preference_is_back(&preference, now_ms));
    for (int round = 0; round < 5; round++) {
        now_ms += 30 * (int64_t)SECOND_MS;
        rabbitmq_preference_note_unreached(&preference, now_ms);
        assert_false(rabbitmq_preference_is_back(&preference, now_ms));
        assert_int_equal(preference.unreached_since_ms, 0);
    }
    assert_true(rabbitmq_preference_is_back(&preference, now_ms + 60 * (int64_t)SECOND_MS));
}

static void what_a_proxy_refuses_for_a_second_may_be_a_restart(void **state)
{
    (void)state;
    int64_t refused_ms = NOW_MS + 30 * SECOND_MS;
    assert_true(may_have_restarted(refused_ms, refused_ms + SECOND_MS));
    assert_false(may_have_restarted(refused_ms, refused_ms + SECOND_MS - 1));
}

/* Sent before the last answer, it says nothing of the time after that. */
static void what_a_proxy_refused_beside_an_answer_is_no_restart(void **state)
{
    (void)state;
    struct rabbitmq_preference preference = {0};
    note_answer(&preference, NOW_MS - 1, NOW_MS);
    rabbitmq_preference_note_unreached(&preference, NOW_MS - 1);
    assert_false(rabbitmq_preference_may_have_restarted(&preference, NOW_MS + 30 * SECOND_MS));
    rabbitmq_preference_note_unreached(&preference, NOW_MS + 1);
    note_answer(&preference, NOW_MS + 1, NOW_MS + 2);
    assert_false(rabbitmq_preference_may_have_restarted(&preference, NOW_MS + 30 * SECOND_MS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_listing_that_was_too_large_rests_for_five_minutes),
        cmocka_unit_test(what_statistics_lack_meanwhile_does_not_put_totals_off),
        cmocka_unit_test(what_a_proxy_refuses_each_time_is_no_restart),
        cmocka_unit_test(what_a_proxy_refuses_for_a_second_may_be_a_restart),
        cmocka_unit_test(what_a_proxy_refused_beside_an_answer_is_no_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
