/* What a query promises: when it is measured, and who is notified. */
#include "base/log.h"
#include "base/memory.h"
#include "base/recent_log.h"
#include "base/text.h"
#include "measure/connection/inherit.h"
#include "measure/connection_fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void equal_values_share_a_query(void **state)
{
    (void)state;
    struct query *query = acquire("a");
    assert_ptr_equal(query, acquire("a"));
    assert_ptr_not_equal(query, acquire("b"));
    query_end_use(query, 0, now_ms);
    assert_int_equal(connection.stats.counts[COUNT_QUERIES], 2);
    query_end_use(query, 0, now_ms);
    assert_int_equal(connection.stats.counts[COUNT_QUERIES], 1);
}

static void without_a_stream_queries_are_measured_when_a_call_comes(void **state)
{
    (void)state;
    struct query *query = acquire("a");
    assert_int_equal(connection_next_ms(&connection, now_ms), CLOCK_NEVER);
    assert_false(connection_wants_client(&connection, now_ms));
    measure(query, 7);
    assert_true(value_of(query) == 7);
    now_ms += HOUR_MS;
    assert_null(take());
}

static char *bundle_all(const void *connection_options, const void *query_options)
{
    (void)connection_options;
    (void)query_options;
    return text_copy("all");
}

static void queries_of_one_listing_are_measured_together_from_then_on(void **state)
{
    (void)state;
    enum { DURATION_MS = 100, SPREAD_MS = 700 }; /* a reading is fresh for 1,000 */
    struct scaler listing = connection_scaler;
    listing.bundle = bundle_all;
    listing.bundle_costs_the_same = true;
    connection.scaler = &listing;
    struct query *query = acquire("a");
    demand(query);
    connect_now();
    assert_ptr_equal(take(), query);
    now_ms += DURATION_MS;
    answer(query, 1);
    now_ms += SPREAD_MS; /* it is fresh still, and measured with the other one */
    struct query *other = acquire("b");
    demand(other);
    assert_ptr_equal(take(), other);
    assert_ptr_equal(take(), query);
    now_ms += DURATION_MS;
    answer(query, 1);
    answer(other, 2);

    demand(query);
    assert_ptr_equal(take(), query);
    assert_null(take()); /* so soon the other is not needed */
    answer(query, 1);
    connection.scaler = &connection_scaler;
}

static void a_listing_that_takes_long_makes_none_of_its_queries_slow(void **state)
{
    (void)state;
    struct scaler listing = connection_scaler;
    listing.bundle = bundle_all;
    connection.scaler = &listing;
    struct query *alone = acquire("alone");
    listing.bundle_costs_the_same = true;
    struct query *listed = acquire("listed");
    demand(alone);
    connect_now();
    assert_ptr_equal(take(), alone);
    assert_ptr_equal(take(), listed);
    now_ms += 1500;
    answer(alone, 1);
    answer(listed, 1);
    now_ms += 500;
    demand(alone);
    demand(listed);
    assert_ptr_equal(take(), listed);
    assert_false(listed->task.isolate);
    assert_ptr_equal(take(), alone);
    assert_true(alone->task.isolate);
    answer(alone, 1);
    answer(listed, 1);
    connection.scaler = &connection_scaler;
}

static void an_interval_that_a_user_set_is_measured_at(void **state)
{
    (void)state;
    struct query *query = hold_each("a", 1000);
    measure(query, 1);
    now_ms += 999;
    assert_null(take());
    now_ms += 1;
    assert_ptr_equal(take(), query);
    answer(query, 2);
}

static void the_shortest_interval_of_its_uses_counts(void **state)
{
    (void)state;
    struct query *query = hold_each("a", HOUR_MS);
    hold_each("a", 1000);
    hold_each("a", 2000);
    assert_int_equal(query_interval_ms(query), 1000);
    query_end_use(query, 2000, now_ms); /* between the other two */
    assert_int_equal(query_interval_ms(query), 1000);
    query_end_use(query, 1000, now_ms);
    assert_int_equal(query_interval_ms(query), HOUR_MS);
}

/* A trigger that ends must not look for its interval among all. */
static void intervals_are_held_in_any_order(void **state)
{
    (void)state;
    enum { INTERVALS = 1000, STEP = 7 };
    struct query *query = acquire("a");
    for (int i = 0; i < INTERVALS; i++)
        hold_each("a", 1000 + i * STEP % INTERVALS);
    hold_each("a", 1500);
    assert_int_equal(query_interval_ms(query), 1000);
    for (int i = 0; i < INTERVALS; i++) {
        assert_int_equal(query_interval_ms(query), 1000 + i);
        query_end_use(query, 1000 + i, now_ms);
        if (1000 + i == 1500) {
            assert_int_equal(query_interval_ms(query), 1500);
            query_end_use(query, 1500, now_ms);
        }
    }
    assert_int_equal(query_interval_ms(query), 0);
}

static void an_error_does_not_last_as_long_as_a_long_interval(void **state)
{
    (void)state;
    struct query *query = hold_each("a", HOUR_MS);
    demand(query);
    connect_now();
    assert_ptr_equal(take(), query);
    end_with(query, TASK_FAILED, "there is none");
    now_ms += 5000;
    assert_ptr_equal(take(), query);
}

static void a_released_query_in_flight_is_freed_when_it_ends(void **state)
{
    (void)state;
    struct query *query = acquire("a");
    demand(query);
    connect_now();
    assert_ptr_equal(take(), query);
    query_end_use(query, 0, now_ms);
    assert_true(connection_is_unused(&connection));
    answer(query, 1);
    assert_int_equal(connection.stats.counts[COUNT_QUERIES], 0);
}

static void a_reading_has_the_time_that_it_took(void **state)
{
    (void)state;
    struct query *query = acquire("a");
    demand(query);
    connect_now();
    assert_ptr_equal(take(), query);
    assert_int_equal(query->task.last_duration_ms, -1);
    now_ms += 40;
    answer(query, 1);
    assert_int_equal(query->known.duration_ms, 40);
    demand(query);
    assert_ptr_equal(take(), query);
    assert_int_equal(query->task.last_duration_ms, 40); /* the scaler may choose a session by it */
    answer(query, 1);
}

static void a_round_trip_is_an_average_of_the_last_ones(void **state)
{
    (void)state;
    struct query *query = acquire("a");
    measure(query, 1);
    demand(query);
    assert_ptr_equal(take(), query);
    now_ms += 8;
    answer(query, 1);
    assert_true(connection.round_trip_us == 8000); /* 0 is none */
    demand(query);
    assert_ptr_equal(take(), query);
    now_ms += 16;
    answer(query, 1);
    assert_true(connection.round_trip_us == 9000);
    assert_true(fabs(connection.stats.measurement_seconds.sum - 0.024) < 1e-9);
}

static void watchers_are_notified_of_each_attempt(void **state)
{
    (void)state;
    struct watcher watcher = {0};
    struct query *query = acquire("a");
    watcher_start(&watcher, query, false);
    measure(query, 1);
    measure(query, 2);
    assert_int_equal(news, 2);
    demand(query);
    assert_ptr_equal(take(), query);
    end_with(query, TASK_FAILED, "there is none");
    assert_int_equal(news, 3);
    watcher_stop(&watcher);
    measure(query, 3);
    assert_int_equal(news, 3);
}

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
    static const struct error refusal = {.code = ERROR_UNAVAILABLE};
    const uint64_t *failed = &connection.stats.counts[COUNT_FAILED_SUBSCRIPTIONS];
    struct watcher watcher = {0};
    log_set_level(LOG_LEVEL_WARNING);
    recent_log_start();
    struct query *query = send_idle(&watcher);
    for (uint64_t refused = 1; refused < 3; refused++) {
        task_cannot_subscribe(&query->task, &refusal);
        answer(query, 0);
        assert_int_equal(*failed, refused);
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
    assert_ptr_equal(take(), query);
    answer(query, 1);
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
    static const struct error refusal = {.code = ERROR_UNAVAILABLE};
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
    enum { MANY = 4000, SPACING_MS = 400 };
    (void)state;
    struct watcher *watchers = memory_new(MANY * sizeof(*watchers));
    for (size_t i = 0; i < MANY; i++) {
        _cleanup_(memory_free) char *item = text_format("item %zu", i);
        struct query *query = hold_each(item, HOUR_MS);
        measure(query, 0);
        watcher_start(&watchers[i], query, true);
        watcher_set_idle_interval(&watchers[i], 200);
    }
    now_ms += PUSH_GATHER_MS;
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

/* A call that comes meanwhile need not wait for another attempt. */
static void only_a_query_that_timed_out_is_tried_again_by_itself(void **state)
{
    (void)state;
    _cleanup_(snapshot_done) struct snapshot snapshot = {0};
    struct query *query = acquire("a");
    measure(query, 1);
    demand(query);
    assert_ptr_equal(take(), query);
    end_with(query, TASK_FAILED, "there is none");
    query_snapshot(query, &snapshot);
    assert_false(snapshot.is_retried);
    snapshot_done(&snapshot);
    demand(query);
    assert_ptr_equal(take(), query);
    end_with(query, TASK_TIMED_OUT, "no answer");
    query_snapshot(query, &snapshot);
    assert_true(snapshot.is_retried);
}

static void an_inherited_reading_is_used_until_there_is_a_newer_one(void **state)
{
    (void)state;
    _cleanup_(former_query_done) struct former_query former = {0};
    struct query *query = acquire("a");
    struct query *heir = acquire("b");
    measure(query, 7);
    demand(query);
    assert_ptr_equal(take(), query);
    end_with(query, TASK_FAILED, "there is none");
    query_remember(query, &former);
    demand(heir);
    assert_ptr_equal(take(), heir);
    end_with(heir, TASK_FAILED, "not yet");
    query_inherit(heir, &former);
    assert_true(fails(heir, "there is none"));
    assert_int_equal(connection.stats.counts[COUNT_FAILING_QUERIES], 2);
    now_ms += 1000;
    measure(heir, 8);
    query_inherit(heir, &former);
    assert_true(value_of(heir) == 8);
    assert_int_equal(connection.stats.counts[COUNT_FAILING_QUERIES], 1);
}

/* As after a rotation that ends an outage: the former password's error is none of the new one's. */
static void an_heir_of_a_failed_connection_is_measured_by_the_next_call(void **state)
{
    (void)state;
    _cleanup_(former_query_done) struct former_query former = {0};
    _cleanup_(snapshot_done) struct snapshot snapshot = {0};
    struct query *query = acquire("a");
    struct query *heir = acquire("b");
    measure(query, 0);
    lose("closed");
    now_ms += HOUR_MS;
    demand(query);
    refuse();
    query_remember(query, &former);
    connection.state = CONNECTION_DISCONNECTED; /* the heir's, which was not tried yet */
    query_inherit(heir, &former);
    query_snapshot(heir, &snapshot);
    assert_true(snapshot.known.is_measured && snapshot.known.last_attempt == ATTEMPT_FAILED);
    assert_int_equal(snapshot.failing_since_ms, now_ms); /* the outage goes on in it */
    assert_int_equal(snapshot.known.failed_at_ms, 0);
    assert_false(snapshot.is_retried);
}

static void an_heir_that_is_idle_is_not_late(void **state)
{
    (void)state;
    struct watcher of_heir = {0};
    _cleanup_(former_query_done) struct former_query former = {0};
    struct query *query = acquire("a");
    struct query *heir = acquire("b");
    measure(query, 0);
    query_remember(query, &former);
    now_ms += HOUR_MS;
    query_inherit(heir, &former);
    watcher_start(&of_heir, heir, true);
    watcher_set_idle_interval(&of_heir, 100);
    assert_ptr_equal(take(), heir);
    answer(heir, 0);
    assert_int_equal(connection_effective_interval_ms(&connection, now_ms), 5000);
    watcher_stop(&of_heir);
}

/* As when KEDA was started again: it polled the query half a minute ago. */
static void who_comes_makes_no_source_late(void **state)
{
    enum { LONG_MS = 30 * 1000 };
    (void)state;
    struct watcher stream = {0};
    struct query *polled = acquire("a");
    struct query *other = acquire("b");
    measure(polled, 1);
    measure(other, 1);
    now_ms += LONG_MS;
    watcher_start(&stream, polled, true);
    assert_ptr_equal(hold_each("b", 5000), other);
    assert_non_null(take());
    assert_non_null(take());
    answer(polled, 1);
    answer(other, 1);
    assert_int_equal(connection_effective_interval_ms(&connection, now_ms), 5000);
    watcher_stop(&stream);
}

/* ---- followers ---- */

struct steps {
    struct follower follower; /* first */
    int count;
    double last;
};

static void count_step(struct follower *follower, const struct recent_samples *recent)
{
    struct steps *steps = (struct steps *)follower;
    steps->count++;
    steps->last = recent->samples[recent->count - 1].reading.value;
}

/* Those that come close upon one another become one sample, and are followed all the same. */
static void a_follower_gets_each_reading_once(void **state)
{
    (void)state;
    struct steps steps = {.follower = {.on_reading = count_step}};
    struct steps late = steps;
    struct query *query = hold_each("a", 5000);
    query_keep_recent_samples(query, 5000);
    follower_start(query, &steps.follower);
    assert_int_equal(steps.count, 0);
    connect_now();
    for (int i = 1; i <= 4; i++) {
        now_ms += 100;
        demand(query);
        answer(take(), i);
        assert_int_equal(steps.count, i);
        assert_true(steps.last == i);
    }
    follower_start(query, &late.follower);
    assert_true(late.count == 1 && late.last == 4);
    follower_stop(&steps.follower);
    follower_start(query, &steps.follower);
    assert_int_equal(steps.count, 4); /* it had that one */
    demand(query);
    end_with(take(), TASK_FAILED, "no");
    assert_int_equal(steps.count, 4);
    follower_stop(&steps.follower);
    follower_stop(&late.follower);
}

/* As pushes may come from a source that answers within microseconds. */
static void readings_of_one_millisecond_are_followed_each(void **state)
{
    (void)state;
    struct steps steps = {.follower = {.on_reading = count_step}};
    struct query *query = hold_each("a", 5000);
    query_keep_recent_samples(query, 5000);
    follower_start(query, &steps.follower);
    connect_now();
    for (int i = 1; i <= 4; i++) {
        measure(query, i);
        assert_true(steps.count == i && steps.last == i);
    }
    follower_stop(&steps.follower);
}

/* The shortest interval goes with its trigger: what is measured less often then misses nothing. */
static void samples_are_no_gaps_after_the_shortest_interval_has_gone(void **state)
{
    (void)state;
    struct steps steps = {.follower = {.on_reading = count_step}};
    struct query *query = hold_each("a", 30000);
    query_begin_use(query, 5000, now_ms);
    query_keep_recent_samples(query, 30000);
    query_keep_recent_samples(query, 5000);
    follower_start(query, &steps.follower);
    connect_now();
    measure(query, 1);
    query_end_recent_samples(query, 5000);
    query_end_use(query, 5000, now_ms);
    now_ms += 30000;
    measure(query, 2);
    assert_int_equal(query->recent->interval_ms, 30000);
    assert_false(query->recent->samples[query->recent->count - 1].is_after_gap);
    follower_stop(&steps.follower);
}

/* Its readings would look like those of a source that has stalled. */
static void a_use_without_samples_does_not_bring_them_closer_together(void **state)
{
    (void)state;
    struct query *query = hold_each("a", 60000);
    query_keep_recent_samples(query, 60000);
    query_begin_use(query, 5000, now_ms);
    query_begin_use(query, 5000, now_ms);
    query_end_use(query, 5000, now_ms);
    assert_int_equal(query_interval_ms(query), 5000);
    assert_int_equal(query->recent->interval_ms, 60000);
}

static void samples_and_what_is_wanted_end_with_their_uses(void **state)
{
    (void)state;
    struct query *query = acquire("a");
    query_keep_recent_samples(query, 5000);
    query_keep_recent_samples(query, 5000);
    query_want(query, READING_WANT_RATES | READING_WANT_CONSUMERS);
    query_want(query, READING_WANT_RATES);
    query_end_recent_samples(query, 5000);
    query_end_want(query, READING_WANT_RATES | READING_WANT_CONSUMERS);
    assert_non_null(query->recent);
    assert_int_equal(query->wants, READING_WANT_RATES);
    query_end_recent_samples(query, 5000);
    query_end_want(query, READING_WANT_RATES);
    assert_null(query->recent);
    assert_int_equal(query->wants, 0);
}

static void a_reading_of_before_the_samples_is_followed(void **state)
{
    (void)state;
    struct steps steps = {.follower = {.on_reading = count_step}};
    struct query *query = acquire("a");
    demand(query);
    connect_now();
    answer(take(), 7);
    query_keep_recent_samples(query, 5000);
    follower_start(query, &steps.follower);
    assert_true(steps.count == 1 && steps.last == 7);
    follower_stop(&steps.follower);
}

/* A server's loop waits for the lock otherwise: thousands of policies are tens of milliseconds of
 * work. */
enum { MANY_FOLLOWERS = 500, AT_MOST_AT_A_TIME = 50 };

static struct steps many[MANY_FOLLOWERS];
static struct query *followed;

static void unfollow_the_next(void)
{
    assert_false(value_of(followed) == 2); /* it is known when all have decided */
    if (followed->next_followed != NULL)
        follower_stop(followed->next_followed);
}

static void many_followers_do_not_keep_the_lock(void **state)
{
    (void)state;
    followed = hold_each("a", 5000);
    query_keep_recent_samples(followed, 5000);
    measure(followed, 1);
    for (int i = 0; i < MANY_FOLLOWERS; i++) {
        many[i] = (struct steps){.follower = {.on_reading = count_step}};
        follower_start(followed, &many[i].follower);
    }
    now_ms += 5000;
    assert_ptr_equal(take(), followed);
    on_pause = unfollow_the_next;
    answer(followed, 2);
    assert_true(value_of(followed) == 2);
    assert_true(pauses >= MANY_FOLLOWERS / AT_MOST_AT_A_TIME - 1);
    for (int i = 0; i < MANY_FOLLOWERS; i++) {
        assert_int_equal(many[i].count, many[i].follower.query == NULL ? 1 : 2);
        follower_stop(&many[i].follower);
    }
}

static struct steps late;

static void another_follows_instead(void)
{
    follower_stop(&many[0].follower);
    query_end_recent_samples(followed, 5000);
    query_keep_recent_samples(followed, 5000);
    follower_start(followed, &late.follower);
    on_pause = NULL;
}

/* The samples of before are gone with the last use that kept some. */
static void who_follows_while_a_reading_is_handed_out_has_it_too(void **state)
{
    (void)state;
    pause_after_each();
    followed = hold_each("a", 5000);
    query_keep_recent_samples(followed, 5000);
    measure(followed, 1);
    many[0] = late = (struct steps){.follower = {.on_reading = count_step}};
    follower_start(followed, &many[0].follower);
    now_ms += 5000;
    assert_ptr_equal(take(), followed);
    on_pause = another_follows_instead;
    answer(followed, 2);
    assert_true(value_of(followed) == 2);
    assert_true(late.count == 2 && late.last == 2);
    follower_stop(&late.follower);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    log_init(LOG_LEVEL_ERROR, LOG_PLAIN);
    const struct CMUnitTest tests[] = {
        TEST(equal_values_share_a_query),
        TEST(without_a_stream_queries_are_measured_when_a_call_comes),
        TEST(queries_of_one_listing_are_measured_together_from_then_on),
        TEST(a_listing_that_takes_long_makes_none_of_its_queries_slow),
        TEST(an_interval_that_a_user_set_is_measured_at),
        TEST(the_shortest_interval_of_its_uses_counts),
        TEST(intervals_are_held_in_any_order),
        TEST(an_error_does_not_last_as_long_as_a_long_interval),
        TEST(a_released_query_in_flight_is_freed_when_it_ends),
        TEST(a_reading_has_the_time_that_it_took),
        TEST(a_round_trip_is_an_average_of_the_last_ones),
        TEST(watchers_are_notified_of_each_attempt),
        TEST(a_lost_subscription_is_made_again_by_one_measurement),
        TEST(a_stream_that_leaves_does_not_end_the_subscription_of_another),
        TEST(subscriptions_end_with_their_client_and_are_made_again),
        TEST(a_refused_subscription_is_counted_each_time_and_logged_once),
        TEST(a_notification_has_its_query_measured_at_once),
        TEST(a_notification_while_a_request_is_in_flight_has_it_sent_once_more),
        TEST(a_task_that_is_given_back_subscribes_the_next_time),
        TEST(of_many_that_cannot_be_subscribed_to_each_is_measured_less_often),
        TEST(the_last_watcher_that_leaves_unsubscribes),
        TEST(what_is_subscribed_to_after_the_last_watcher_left_is_unsubscribed),
        TEST(so_is_what_was_not_answered),
        TEST(so_is_what_was_notified_of_before_its_answer),
        TEST(what_is_subscribed_to_is_measured_without_a_subscription),
        TEST(only_a_query_that_timed_out_is_tried_again_by_itself),
        TEST(an_inherited_reading_is_used_until_there_is_a_newer_one),
        TEST(an_heir_of_a_failed_connection_is_measured_by_the_next_call),
        TEST(an_heir_that_is_idle_is_not_late),
        TEST(who_comes_makes_no_source_late),
        TEST(a_follower_gets_each_reading_once),
        TEST(readings_of_one_millisecond_are_followed_each),
        TEST(samples_are_no_gaps_after_the_shortest_interval_has_gone),
        TEST(a_use_without_samples_does_not_bring_them_closer_together),
        TEST(samples_and_what_is_wanted_end_with_their_uses),
        TEST(a_reading_of_before_the_samples_is_followed),
        TEST(many_followers_do_not_keep_the_lock),
        TEST(who_follows_while_a_reading_is_handed_out_has_it_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
