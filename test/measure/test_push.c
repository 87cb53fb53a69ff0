/* When an idle query is subscribed to, and what a notification does. Time is a number that the test
 * moves. */
#include "base/clock.h"
#include "base/memory.h"
#include "measure/connection/push.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

enum { NOW_MS = 1000, IDLE_MS = 200 };

/* Somebody waits for the first message, and the subscription `id` stands. */
static struct push subscribed(uint64_t id)
{
    struct push push = {0};
    push_set_idle(&push, IDLE_MS, true, NOW_MS);
    assert_true(push_sent(&push, id, NOW_MS + PUSH_GATHER_MS));
    assert_int_equal(push_measured(&push, id, PUSH_SUBSCRIBED, 0, NOW_MS + PUSH_GATHER_MS), 0);
    return push;
}

static void without_watchers_nothing_is_measured(void **state)
{
    (void)state;
    struct push push = {0};
    assert_int_equal(push_due_ms(&push, NOW_MS, 0), CLOCK_NEVER);
    assert_false(push_sent(&push, 1, NOW_MS));
}

static void an_idle_query_is_subscribed_to_and_not_measured_more_often(void **state)
{
    (void)state;
    struct push push = {0};
    push_set_idle(&push, IDLE_MS, true, NOW_MS);
    assert_int_equal(push_due_ms(&push, NOW_MS, 0), NOW_MS + PUSH_GATHER_MS);
    assert_false(push_sent(&push, 1, NOW_MS)); /* with others that become idle now */
    push = subscribed(1);
    assert_int_equal(push_due_ms(&push, NOW_MS, 0), CLOCK_NEVER);
    assert_false(push_sent(&push, 2, NOW_MS + 60000));
}

static void a_notified_query_is_measured_at_once_and_then_less_and_less_often(void **state)
{
    (void)state;
    struct push push = subscribed(1);
    int64_t now_ms = 5000;
    push_notify(&push);
    assert_int_equal(push_due_ms(&push, NOW_MS, 0), 0);
    assert_false(push_sent(&push, 2, now_ms)); /* it is likely to be active now */
    for (int64_t wait_ms = PUSH_FIRST_ALERT_MS; wait_ms < IDLE_MS; wait_ms *= 2) {
        assert_int_equal(push_due_ms(&push, now_ms, 0), now_ms + wait_ms);
        now_ms += wait_ms;
        push_sent(&push, 2, now_ms);
        push_measured(&push, 2, PUSH_SUBSCRIBED, 0, now_ms);
    }
    push_sent(&push, 2, now_ms + IDLE_MS);
    assert_int_equal(push.alert_ms, 0);
    assert_int_equal(push_due_ms(&push, now_ms, 0), CLOCK_NEVER);
}

static void a_query_that_is_still_idle_is_subscribed_to_again(void **state)
{
    (void)state;
    struct push push = subscribed(1);
    push_notify(&push);
    assert_false(push_sent(&push, 2, 5000));
    assert_true(push_sent(&push, 2, 5000 + PUSH_FIRST_ALERT_MS));
}

static void an_alert_query_is_measured_sooner_once_a_stream_waits_for_less_long(void **state)
{
    (void)state;
    enum { LONG_IDLE_MS = 10 * IDLE_MS, FAR_MS = 8 * IDLE_MS };
    struct push push = {0};
    int64_t now_ms = 5000;
    push_set_idle(&push, LONG_IDLE_MS, true, NOW_MS);
    push_notify(&push);
    for (push_sent(&push, 2, now_ms); push.alert_ms < FAR_MS; push_sent(&push, 2, now_ms))
        now_ms = push_due_ms(&push, now_ms, 0);
    assert_true(push_due_ms(&push, now_ms, 0) > now_ms + IDLE_MS);
    push_set_idle(&push, IDLE_MS, true, now_ms);
    assert_int_equal(push_due_ms(&push, now_ms, 0), now_ms + IDLE_MS);
    now_ms += IDLE_MS;
    push_notify(&push);
    push_sent(&push, 2, now_ms);
    assert_int_equal(push_due_ms(&push, now_ms, 0), now_ms + IDLE_MS);
}

static void a_storm_of_notifications_costs_no_more_than_polling(void **state)
{
    (void)state;
    struct push push = subscribed(1);
    int sends = 0;
    push_notify(&push);
    for (int64_t now_ms = 5000, sent_ms = 0; now_ms < 15000; now_ms++) {
        if (push_due_ms(&push, sent_ms, 0) > now_ms)
            continue;
        sent_ms = now_ms;
        sends++;
        if (push_sent(&push, 2 + (uint64_t)sends, now_ms))
            push_notify(&push); /* at once, each time */
    }
    assert_in_range(sends, 10000 / IDLE_MS - 1, 10000 / IDLE_MS + 10);
}

static void a_notification_while_its_request_is_in_flight_is_not_lost(void **state)
{
    (void)state;
    struct push push = {0};
    push_set_idle(&push, IDLE_MS, true, NOW_MS);
    assert_true(push_sent(&push, 7, 2000));
    push_notify(&push);
    assert_int_equal(push_measured(&push, 7, PUSH_SUBSCRIBED, 0, 2010),
                     0); /* it is over, and not to be ended */
    assert_int_equal(push.id, 0);
    assert_int_equal(push_due_ms(&push, 2000, 0), 0);
}

static void a_source_that_refuses_is_polled_and_tried_again_after_a_minute(void **state)
{
    (void)state;
    struct push push = {0};
    push_set_idle(&push, IDLE_MS, true, NOW_MS);
    assert_true(push_sent(&push, 7, 2000));
    push_measured(&push, 7, PUSH_REFUSED, 0, 2010);
    assert_int_equal(push_due_ms(&push, 2000, 0), 2000 + IDLE_MS);
    assert_false(push_sent(&push, 8, 2010 + PUSH_REFUSED_MS - 1));
    assert_true(push_sent(&push, 8, 2010 + PUSH_REFUSED_MS));
}

static void a_subscription_whose_request_timed_out_is_ended_and_made_again(void **state)
{
    (void)state;
    struct push push = {0};
    push_set_idle(&push, IDLE_MS, true, NOW_MS);
    assert_true(push_sent(&push, 7, 2000));
    assert_int_equal(push_measured(&push, 7, PUSH_UNCONFIRMED, 0, 4000),
                     7); /* the source may have it */
    assert_true(push_sent(&push, 8, 4000 + IDLE_MS));
}

static void a_source_with_many_that_are_polled_is_asked_no_more_often(void **state)
{
    enum { SPACING_MS = 1000 };
    (void)state;
    struct push push = {0};
    push_set_idle(&push, IDLE_MS, false, NOW_MS);
    assert_int_equal(push_due_ms(&push, NOW_MS, SPACING_MS), NOW_MS + SPACING_MS);
    assert_int_equal(push_due_ms(&push, NOW_MS, IDLE_MS / 2), NOW_MS + IDLE_MS);
}

static void many_that_are_polled_are_due_in_rounds(void **state)
{
    /* The spacing, how long a round is, and how many of them are due again after. */
    static const int64_t rows[][3] = {
        {450, 100, 5}, {3199, 100, 32}, {3200, 200, 16}, {8000, 400, 20}, {40000, 800, 50}};
    (void)state;
    struct push push = {0};
    push_set_idle(&push, IDLE_MS, false, NOW_MS);
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        int64_t round_ms = rows[i][1];
        int64_t from_ms = 10 * round_ms;
        for (int64_t sent_ms = from_ms; sent_ms < from_ms + round_ms; sent_ms += round_ms / 4)
            assert_int_equal(push_due_ms(&push, sent_ms, rows[i][0]),
                             from_ms + rows[i][2] * round_ms);
    }
}

/* At first soon: a connection was lost, and is made again. */
static void nor_is_it_subscribed_to_more_often(void **state)
{
    enum { SPACING_MS = 1000 };
    (void)state;
    struct push push = {0};
    int64_t now_ms = NOW_MS + IDLE_MS; /* a round */
    push_set_idle(&push, IDLE_MS, true, NOW_MS);
    for (int i = 0; i < 5; i++) {
        static const int64_t waits_ms[] = {IDLE_MS, 2LL * IDLE_MS, 4LL * IDLE_MS, SPACING_MS,
                                           SPACING_MS};
        assert_true(push_sent(&push, 7, now_ms));
        push_measured(&push, 7, PUSH_UNCONFIRMED, SPACING_MS, now_ms);
        assert_int_equal(push_due_ms(&push, now_ms, SPACING_MS), now_ms + waits_ms[i]);
        now_ms += waits_ms[i];
    }
    assert_true(push_sent(&push, 7, now_ms));
    push_measured(&push, 7, PUSH_SUBSCRIBED, SPACING_MS, now_ms);
    push_forget(&push, now_ms);
    assert_true(push_sent(&push, 8, now_ms));
    push_measured(&push, 8, PUSH_UNCONFIRMED, SPACING_MS, now_ms);
    assert_int_equal(push_due_ms(&push, now_ms, SPACING_MS), now_ms + IDLE_MS);
}

/* Whoever waits now has not tried yet. */
static void a_query_that_becomes_idle_anew_is_subscribed_to_as_the_first_time(void **state)
{
    enum { SPACING_MS = 1000 };
    (void)state;
    struct push push = {0};
    int64_t now_ms = 5000;
    push_set_idle(&push, IDLE_MS, true, NOW_MS);
    for (int i = 0; i < 3; i++, now_ms += SPACING_MS) {
        assert_true(push_sent(&push, 7, now_ms));
        push_measured(&push, 7, PUSH_UNCONFIRMED, SPACING_MS, now_ms);
    }
    push_set_idle(&push, 2 * (int64_t)IDLE_MS, true, now_ms); /* idle still */
    assert_int_equal(push.resubscribe_ms, 4 * (int64_t)IDLE_MS);
    push_set_idle(&push, 0, true, now_ms);
    push_set_idle(&push, IDLE_MS, true, now_ms);
    now_ms += PUSH_GATHER_MS;
    assert_true(push_sent(&push, 8, now_ms));
    push_measured(&push, 8, PUSH_UNCONFIRMED, SPACING_MS, now_ms);
    assert_int_equal(push_due_ms(&push, now_ms, SPACING_MS), now_ms + IDLE_MS);
}

static void a_task_that_was_given_back_is_no_attempt_to_subscribe(void **state)
{
    enum { SPACING_MS = 1000 };
    (void)state;
    struct push push = {0};
    push_set_idle(&push, IDLE_MS, true, NOW_MS);
    for (uint64_t id = 7; id < 10; id++) {
        assert_true(push_sent(&push, id, 5000));
        assert_int_equal(push_measured(&push, id, PUSH_RETURNED, SPACING_MS, 5000), id);
    }
    assert_true(push_sent(&push, 10, 5000));
    push_measured(&push, 10, PUSH_UNCONFIRMED, SPACING_MS, 5000);
    assert_int_equal(push_due_ms(&push, 5000, SPACING_MS), 5000 + IDLE_MS);
}

static void a_query_without_watchers_is_unsubscribed(void **state)
{
    (void)state;
    struct push push = subscribed(3);
    assert_int_equal(push_set_idle(&push, 2 * (int64_t)IDLE_MS, true, 5000), 0);
    assert_int_equal(push_set_idle(&push, 0, true, 5000), 3);
    assert_int_equal(push_due_ms(&push, 5000, 0), CLOCK_NEVER);
    assert_int_equal(push_set_idle(&push, 0, true, 5000), 0);
}

static void a_source_that_cannot_notify_is_polled(void **state)
{
    (void)state;
    struct push push = {0};
    push_set_idle(&push, IDLE_MS, false, NOW_MS);
    assert_int_equal(push_due_ms(&push, NOW_MS, 0), NOW_MS + IDLE_MS);
    assert_false(push_sent(&push, 1, NOW_MS + IDLE_MS));
}

static void subscriptions_of_a_lost_client_are_made_again(void **state)
{
    (void)state;
    struct push push = subscribed(1);
    push_forget(&push, 5000);
    assert_int_equal(push_due_ms(&push, 4000, 0), 4000 + IDLE_MS < 5000 ? 4000 + IDLE_MS : 5000);
    assert_true(push_sent(&push, 2, 5000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_watchers_nothing_is_measured),
        cmocka_unit_test(an_idle_query_is_subscribed_to_and_not_measured_more_often),
        cmocka_unit_test(a_notified_query_is_measured_at_once_and_then_less_and_less_often),
        cmocka_unit_test(a_query_that_is_still_idle_is_subscribed_to_again),
        cmocka_unit_test(an_alert_query_is_measured_sooner_once_a_stream_waits_for_less_long),
        cmocka_unit_test(a_storm_of_notifications_costs_no_more_than_polling),
        cmocka_unit_test(a_notification_while_its_request_is_in_flight_is_not_lost),
        cmocka_unit_test(a_source_that_refuses_is_polled_and_tried_again_after_a_minute),
        cmocka_unit_test(a_subscription_whose_request_timed_out_is_ended_and_made_again),
        cmocka_unit_test(a_source_with_many_that_are_polled_is_asked_no_more_often),
        cmocka_unit_test(many_that_are_polled_are_due_in_rounds),
        cmocka_unit_test(nor_is_it_subscribed_to_more_often),
        cmocka_unit_test(a_query_that_becomes_idle_anew_is_subscribed_to_as_the_first_time),
        cmocka_unit_test(a_task_that_was_given_back_is_no_attempt_to_subscribe),
        cmocka_unit_test(a_query_without_watchers_is_unsubscribed),
        cmocka_unit_test(a_source_that_cannot_notify_is_polled),
        cmocka_unit_test(subscriptions_of_a_lost_client_are_made_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
