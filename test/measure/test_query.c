/* What a query promises: when it is measured, and who is notified. */
#include "base/log.h"
#include "base/memory.h"
#include "measure/connection_fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
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

static void assert_note(const struct query *query, const char *note)
{
    _cleanup_(snapshot_done) struct snapshot snapshot;
    query_snapshot(query, &snapshot);
    if (note == NULL)
        assert_null(snapshot.known.note);
    else
        assert_string_equal(snapshot.known.note, note);
}

static void a_note_is_of_one_reading(void **state)
{
    (void)state;
    struct query *query = acquire("a");
    for (int i = 0; i < 2; i++) {
        demand(query);
        if (i == 0)
            connect_now();
        assert_ptr_equal(take(), query);
        task_note(&query->task, "nobody");
        task_note(&query->task, "it is paused");
        answer(query, 0);
        assert_note(query, "it is paused");
        demand(query);
        assert_ptr_equal(take(), query);
        task_note(&query->task, "it hangs");
        end_with(query, TASK_FAILED, "broken"); /* the reading stays that of before */
        assert_note(query, "it is paused");
        now_ms += HOUR_MS;
        measure(query, 7);
        assert_note(query, NULL);
    }
}

static void queries_of_one_listing_are_measured_together_from_then_on(void **state)
{
    (void)state;
    enum { DURATION_MS = 100, SPREAD_MS = 700 }; /* a reading is fresh for 1,000 */
    bundle_all(true);
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
}

/* Where each query of a bundle costs the source something. */
static void a_request_takes_along_what_is_due_soon_and_nothing_that_only_calls_want(void **state)
{
    (void)state;
    bundle_all(false);
    struct query *called = acquire("a");
    struct query *polled = acquire("b");
    struct query *regular = hold_each("c", 10000);
    demand(called);
    connect_now();
    for (int i = 0; i < 3; i++) /* all: none has a reading yet */
        answer(take(), 1);
    int64_t first_ms = now_ms;
    now_ms += 4400;
    measure(called, 1);
    assert_null(take());
    now_ms += 600;
    demand(called);
    assert_ptr_equal(take(), called);
    assert_ptr_equal(take(), regular);
    assert_null(take());
    answer(called, 1);
    answer(regular, 1);
    assert_int_equal(polled->known.sent_ms, first_ms);
}

static void a_listing_that_takes_long_makes_none_of_its_queries_slow(void **state)
{
    (void)state;
    bundle_all(false);
    struct query *alone = acquire("alone");
    bundle_all(true);
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
    assert_ptr_equal(take(), alone);
    assert_true(alone->task.isolate);
    assert_ptr_equal(take(), listed);
    assert_false(listed->task.isolate);
    answer(alone, 1);
    answer(listed, 1);
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

/* A trigger that is active is polled, which measures it, too. */
static void a_query_that_a_stream_watches_is_measured_where_no_call_does_so(void **state)
{
    (void)state;
    struct watcher stream = {0};
    struct query *query = acquire("a");
    measure(query, 1);
    watcher_start(&stream, query, true);
    now_ms += 29999;
    assert_null(take());
    now_ms += 1;
    assert_ptr_equal(take(), query);
    answer(query, 1);
    now_ms += 15000;
    measure(query, 2);
    now_ms += 29999;
    assert_null(take());
    now_ms += 1;
    assert_ptr_equal(take(), query);
    end_with(query, TASK_FAILED, "there is none"); /* that does not last for so long */
    now_ms += 4999;
    assert_null(take());
    now_ms += 1;
    assert_ptr_equal(take(), query);
    answer(query, 3);
    watcher_stop(&stream);
}

static void what_a_stream_watches_is_measured_at_the_standard_interval_on_a_page(void **state)
{
    (void)state;
    struct watcher stream = {0};
    struct query *query = acquire("a");
    measure(query, 1);
    now_ms += 5000;
    query_look(query); /* it is measured when it is called */
    assert_null(take());
    watcher_start(&stream, query, true);
    query_look(query);
    assert_ptr_equal(take(), query);
    query_look(query);
    answer(query, 2);
    assert_null(take());
    now_ms += 4999;
    query_look(query);
    assert_null(take());
    now_ms += 1;
    query_look(query);
    assert_ptr_equal(take(), query);
    answer(query, 2);
    watcher_stop(&stream);
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

/* Polls of a trigger that set no interval do not wait for a slow query: it is measured beforehand,
 * at the standard interval. Whoever set a longer one spares the source. */
static void a_slow_query_is_measured_at_the_interval_that_a_user_set(void **state)
{
    (void)state;
    struct query *query = hold_each("a", HOUR_MS);
    demand(query);
    connect_now();
    assert_ptr_equal(take(), query);
    now_ms += CONNECTION_SLOW_MS;
    answer(query, 1);
    assert_int_equal(query_interval_ms(query), HOUR_MS);
    assert_ptr_equal(acquire("a"), query);
    assert_int_equal(query_interval_ms(query), 5000);
    query_end_use(query, 0, now_ms);
    assert_int_equal(query_interval_ms(query), HOUR_MS);
}

static void a_slow_query_that_only_polls_want_is_measured_beforehand(void **state)
{
    (void)state;
    struct query *query = acquire("a");
    demand(query);
    connect_now();
    assert_ptr_equal(take(), query);
    now_ms += CONNECTION_SLOW_MS - 1;
    answer(query, 1);
    assert_int_equal(query_interval_ms(query), 0);
    demand(query);
    assert_ptr_equal(take(), query);
    now_ms += CONNECTION_SLOW_MS;
    answer(query, 1);
    assert_int_equal(query_interval_ms(query), 5000);
    now_ms += 5000;
    assert_ptr_equal(take(), query);
    answer(query, 1);
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

int main(void)
{
    log_init(LOG_LEVEL_ERROR, LOG_PLAIN);
    const struct CMUnitTest tests[] = {
        TEST(equal_values_share_a_query),
        TEST(without_a_stream_queries_are_measured_when_a_call_comes),
        TEST(a_note_is_of_one_reading),
        TEST(queries_of_one_listing_are_measured_together_from_then_on),
        TEST(a_request_takes_along_what_is_due_soon_and_nothing_that_only_calls_want),
        TEST(a_listing_that_takes_long_makes_none_of_its_queries_slow),
        TEST(an_interval_that_a_user_set_is_measured_at),
        TEST(a_query_that_a_stream_watches_is_measured_where_no_call_does_so),
        TEST(what_a_stream_watches_is_measured_at_the_standard_interval_on_a_page),
        TEST(the_shortest_interval_of_its_uses_counts),
        TEST(a_slow_query_is_measured_at_the_interval_that_a_user_set),
        TEST(a_slow_query_that_only_polls_want_is_measured_beforehand),
        TEST(intervals_are_held_in_any_order),
        TEST(an_error_does_not_last_as_long_as_a_long_interval),
        TEST(a_released_query_in_flight_is_freed_when_it_ends),
        TEST(a_reading_has_the_time_that_it_took),
        TEST(a_round_trip_is_an_average_of_the_last_ones),
        TEST(watchers_are_notified_of_each_attempt),
        TEST(only_a_query_that_timed_out_is_tried_again_by_itself),
        TEST(who_comes_makes_no_source_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
