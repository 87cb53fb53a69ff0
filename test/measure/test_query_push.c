/* How a query is subscribed to whose first message somebody waits for. */
#include "base/log.h"
#include "base/memory.h"
#include "base/recent_log.h"
#include "base/text.h"
#include "measure/connection_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

static char refused[] = "refused"; /* so that a copy that is not freed is a leak */
static const struct error refusal = {.code = ERROR_UNAVAILABLE, .text = refused};

/* In flight, and to be subscribed to. */
static struct query *send_idle(struct watcher *watcher)
{
    struct query *query = hold_each("a", HOUR_MS);
    measure(query, 0);
    watcher_start(watcher, query, true);
    watcher_set_idle_interval(watcher, 200);
    now_ms += PUSH_GATHER_MS;
    assert_ptr_equal(take(), query);
    assert_true(task_wants_subscription(&query->task));
    return query;
}

/* Subscribed to, by a stream that waits for the first message. */
static struct query *subscribe(struct watcher *watcher)
{
    struct query *query = send_idle(watcher);
    task_subscribed(&query->task);
    answer(query, 0);
    assert_int_equal(connection.stats.counts[COUNT_SUBSCRIBED_QUERIES], 1);
    return query;
}

/* A notification may be lost. */
static void what_is_subscribed_to_is_measured_seldom(void **state)
{
    (void)state;
    struct watcher watcher = {0};
    struct query *query = acquire("a");
    watcher_start(&watcher, query, true);
    measure(query, 0);
    watcher_set_idle_interval(&watcher, 200);
    now_ms += PUSH_GATHER_MS;
    assert_ptr_equal(take(), query);
    task_subscribed(&query->task);
    answer(query, 0);
    int64_t sent_ms = now_ms;
    now_ms += 54999;
    assert_null(take());
    now_ms = sent_ms + 60000;
    assert_ptr_equal(take(), query);
    answer(query, 0);
    watcher_stop(&watcher);
}

static void a_stream_that_leaves_does_not_end_the_subscription_of_another(void **state)
{
    (void)state;
    struct watcher watchers[2] = {0};
    uint64_t id;
    struct query *query = subscribe(&watchers[0]);
    watcher_start(&watchers[1], query, true);
    watcher_set_idle_interval(&watchers[1], 500);
    assert_int_equal(query->push.idle_interval_ms, 200); /* the shortest counts */
    watcher_stop(&watchers[1]);
    assert_false(connection_next_unsubscribe(&connection, &id));
    connection_notify(&connection, query->push.id, now_ms * 1000);
    assert_int_equal(connection.stats.counts[COUNT_NOTIFICATIONS], 1);
    assert_ptr_equal(take(), query);
    answer(query, 1);
    watcher_stop(&watchers[0]);
}

static void a_query_is_as_idle_as_the_streams_that_are_left(void **state)
{
    (void)state;
    struct watcher watchers[2] = {0};
    struct query *query = hold_each("a", HOUR_MS);
    for (int i = 0; i < 2; i++)
        watcher_start(&watchers[i], query, true);
    watcher_set_idle_interval(&watchers[0], 100);
    watcher_set_idle_interval(&watchers[1], 500);
    assert_int_equal(query->push.idle_interval_ms, 100);
    watcher_stop(&watchers[0]);
    assert_int_equal(query->push.idle_interval_ms, 500);
    watcher_set_idle_interval(&watchers[1], 700);
    assert_int_equal(query->push.idle_interval_ms, 700);
    watcher_stop(&watchers[1]);
    assert_int_equal(query->push.idle_interval_ms, 0);
    assert_int_equal(connection.idle_queries, 0);
}

static void subscriptions_end_with_their_client_and_are_made_again(void **state)
{
    (void)state;
    struct watcher watcher = {0};
    struct query *query = subscribe(&watcher);
    lose("closed");
    assert_int_equal(connection.stats.counts[COUNT_SUBSCRIBED_QUERIES], 0);
    connect_now();
    assert_ptr_equal(take(), query);
    assert_true(task_wants_subscription(&query->task));
    answer(query, 0);
    watcher_stop(&watcher);
}

static void a_refused_subscription_is_counted_each_time_and_logged_once(void **state)
{
    (void)state;
    const uint64_t *failed = &connection.stats.counts[COUNT_FAILED_SUBSCRIPTIONS];
    struct watcher watcher = {0};
    log_set_level(LOG_LEVEL_WARNING);
    recent_log_start();
    struct query *query = send_idle(&watcher);
    for (uint64_t times = 1; times < 3; times++) {
        task_cannot_subscribe(&query->task, &refusal);
        answer(query, 0);
        assert_int_equal(*failed, times);
        now_ms += PUSH_REFUSED_MS;
        assert_ptr_equal(take(), query);
        assert_true(task_wants_subscription(&query->task));
    }
    task_subscribed(&query->task);
    answer(query, 0);
    assert_int_equal(*failed, 2);
    assert_int_equal(connection.stats.counts[COUNT_SUBSCRIBED_QUERIES], 1);
    assert_int_equal(count_warnings("cannot subscribe to idle queries"), 1);
    log_set_level(LOG_LEVEL_ERROR);
    watcher_stop(&watcher);
}

static void a_notification_has_its_query_measured_at_once(void **state)
{
    (void)state;
    _cleanup_(snapshot_done) struct snapshot snapshot = {0};
    struct watcher watcher = {0};
    struct query *query = subscribe(&watcher);
    now_ms += 100;
    connection_notify(&connection, query->push.id, now_ms * 1000);
    connection_notify(&connection, 999, now_ms * 1000); /* nobody's */
    query_snapshot(query, &snapshot);
    assert_true(snapshot.known.is_outdated);
    assert_int_equal(connection.stats.counts[COUNT_NOTIFICATIONS], 1);
    int64_t notified_ms = now_ms;
    now_ms += 3;
    assert_ptr_equal(take(), query);
    answer(query, 1);
    assert_int_equal(query->known.began_at_us, notified_ms * 1000);
    watcher_stop(&watcher);
}

static void a_lost_subscription_is_made_again_by_one_measurement(void **state)
{
    (void)state;
    struct watcher watcher = {0};
    struct query *query = subscribe(&watcher);
    now_ms += 100;
    connection_lose_subscription(&connection, query->push.id, now_ms);
    connection_lose_subscription(&connection, 999, now_ms); /* nobody's */
    assert_int_equal(connection.stats.counts[COUNT_NOTIFICATIONS], 0);
    assert_int_equal(connection.stats.counts[COUNT_SUBSCRIBED_QUERIES], 0);
    assert_ptr_equal(take(), query);
    assert_true(task_wants_subscription(&query->task));
    task_subscribed(&query->task);
    answer(query, 0);
    assert_int_equal(connection.stats.counts[COUNT_SUBSCRIBED_QUERIES], 1);
    now_ms += 1000; /* one that was notified is measured again and again meanwhile */
    assert_null(take());
    watcher_stop(&watcher);
}

static void a_task_that_is_given_back_subscribes_the_next_time(void **state)
{
    (void)state;
    struct watcher watcher = {0};
    struct query *query = hold_each("a", HOUR_MS);
    measure(query, 0);
    watcher_start(&watcher, query, true);
    watcher_set_idle_interval(&watcher, 200);
    now_ms += PUSH_GATHER_MS;
    for (int i = 0; i < 3; i++) {
        assert_ptr_equal(take(), query);
        assert_true(task_wants_subscription(&query->task));
        end_with(query, i < 2 ? TASK_RETURNED : TASK_ISOLATED, "");
        assert_int_equal(query->push.resubscribe_ms, 0);
    }
    assert_ptr_equal(take(), query);
    assert_true(task_wants_subscription(&query->task));
    answer(query, 0);
    watcher_stop(&watcher);
}

static void measure_idle(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct query *query = take();
        assert_non_null(query);
        if (task_wants_subscription(&query->task))
            task_cannot_subscribe(&query->task, &refusal);
        answer(query, 0);
    }
    assert_null(take());
}

/* 10,000 per second are. */
static void of_many_that_cannot_be_subscribed_to_each_is_measured_less_often(void **state)
{
    enum { MANY = 4000, SPACING_MS = 4 * MANY }; /* 250 per second */
    (void)state;
    struct watcher *watchers = memory_new(MANY * sizeof(*watchers));
    for (size_t i = 0; i < MANY; i++) {
        _cleanup_(memory_free) char *item = text_format("item %zu", i);
        struct query *query = hold_each(item, HOUR_MS);
        measure(query, 0);
        watcher_start(&watchers[i], query, true);
        watcher_set_idle_interval(&watchers[i], 200);
    }
    now_ms += 800 - now_ms % 800; /* a round */
    measure_idle(MANY);
    now_ms += SPACING_MS - 1;
    assert_null(take());
    now_ms++;
    measure_idle(MANY);
    for (size_t i = 1; i < MANY; i++)
        watcher_stop(&watchers[i]);
    now_ms += SPACING_MS;
    measure_idle(1);
    now_ms += 200;
    measure_idle(1);
    watcher_stop(&watchers[0]);
    free(watchers);
}

static void a_notification_while_a_request_is_in_flight_has_it_sent_once_more(void **state)
{
    (void)state;
    struct watcher watcher = {0};
    struct query *query = subscribe(&watcher);
    demand(query);
    assert_ptr_equal(take(), query);
    connection_notify(&connection, query->push.id, now_ms * 1000 + 1);
    now_ms += 5;
    answer(query, 0);
    assert_true(query->known.is_outdated);
    assert_ptr_equal(take(), query);
    answer(query, 1);
    assert_false(query->known.is_outdated);
    watcher_stop(&watcher);
}

/* The scaler measures in several requests, or the source may have worked on the only one before the
 * scaler reports so: what it found may be of before the notification. */
static void a_notification_outdates_what_was_taken_before_though_it_started_later(void **state)
{
    (void)state;
    struct watcher watcher = {0};
    struct query *query = subscribe(&watcher);
    demand(query);
    assert_ptr_equal(take(), query);
    now_ms += 2;
    connection_notify(&connection, query->push.id, now_ms * 1000);
    now_ms += 2;
    connection_query_started(query, now_ms * 1000);
    now_ms += 2;
    answer(query, 0);
    assert_true(query->known.is_outdated);
    assert_int_equal(query->job.state, JOB_READY); /* as urgent as for a call */
    assert_ptr_equal(take(), query);
    connection_query_started(query, now_ms * 1000);
    answer(query, 1);
    assert_false(query->known.is_outdated);
    watcher_stop(&watcher);
}

static void expect_unsubscribe(uint64_t subscription)
{
    uint64_t id = 0;
    assert_true(connection_next_unsubscribe(&connection, &id));
    assert_int_equal(id, subscription);
    assert_false(connection_next_unsubscribe(&connection, &id));
}

static void the_last_watcher_that_leaves_unsubscribes(void **state)
{
    (void)state;
    struct watcher watcher = {0};
    struct query *query = subscribe(&watcher);
    uint64_t subscription = query->push.id;
    watcher_stop(&watcher);
    expect_unsubscribe(subscription);
}

/* As Kafka's scaler does, which subscribes from the measured offsets on. */
static void what_is_subscribed_to_after_the_last_watcher_left_is_unsubscribed(void **state)
{
    (void)state;
    struct watcher watcher = {0};
    struct query *query = send_idle(&watcher);
    uint64_t subscription = query->task.notifier.id;
    watcher_stop(&watcher);
    expect_unsubscribe(subscription);
    task_subscribed(&query->task);
    answer(query, 0);
    expect_unsubscribe(subscription);
    assert_int_equal(connection.stats.counts[COUNT_SUBSCRIBED_QUERIES], 0);
}

/* It may have been subscribed to when its time was over, although nobody says so. */
static void so_is_what_was_not_answered(void **state)
{
    (void)state;
    struct watcher watcher = {0};
    struct query *query = send_idle(&watcher);
    uint64_t subscription = query->task.notifier.id;
    watcher_stop(&watcher);
    expect_unsubscribe(subscription);
    now_ms += 2000;
    end_with(query, TASK_TIMED_OUT, "no answer");
    connection.must_replace_client = false;
    expect_unsubscribe(subscription);
}

/* The scaler's first subscription is over then, and it may have made another one with this id. */
static void so_is_what_was_notified_of_before_its_answer(void **state)
{
    (void)state;
    struct watcher watcher = {0};
    struct query *query = send_idle(&watcher);
    uint64_t subscription = query->task.notifier.id;
    connection_notify(&connection, subscription, now_ms * 1000 + 1);
    task_subscribed(&query->task);
    answer(query, 0);
    expect_unsubscribe(subscription);
    watcher_stop(&watcher);
}

/* Else the source would have one more with each measurement. */
static void what_is_subscribed_to_is_measured_without_a_subscription(void **state)
{
    (void)state;
    struct watcher watcher = {0};
    struct query *query = subscribe(&watcher);
    demand(query);
    assert_ptr_equal(take(), query);
    assert_false(task_wants_subscription(&query->task));
    answer(query, 0);
    watcher_stop(&watcher);
}

int main(void)
{
    log_init(LOG_LEVEL_ERROR, LOG_PLAIN);
    const struct CMUnitTest tests[] = {
        TEST(a_lost_subscription_is_made_again_by_one_measurement),
        TEST(what_is_subscribed_to_is_measured_seldom),
        TEST(a_stream_that_leaves_does_not_end_the_subscription_of_another),
        TEST(a_query_is_as_idle_as_the_streams_that_are_left),
        TEST(subscriptions_end_with_their_client_and_are_made_again),
        TEST(a_refused_subscription_is_counted_each_time_and_logged_once),
        TEST(a_notification_has_its_query_measured_at_once),
        TEST(a_notification_while_a_request_is_in_flight_has_it_sent_once_more),
        TEST(a_notification_outdates_what_was_taken_before_though_it_started_later),
        TEST(a_task_that_is_given_back_subscribes_the_next_time),
        TEST(of_many_that_cannot_be_subscribed_to_each_is_measured_less_often),
        TEST(the_last_watcher_that_leaves_unsubscribes),
        TEST(what_is_subscribed_to_after_the_last_watcher_left_is_unsubscribed),
        TEST(so_is_what_was_not_answered),
        TEST(so_is_what_was_notified_of_before_its_answer),
        TEST(what_is_subscribed_to_is_measured_without_a_subscription),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
