/* The engine with its threads; what it decides is tested without any in test_connection*.c. */
#include "base/log.h"
#include "base/memory.h"
#include "measure/engine_fixture.h"
#include "measure/poller.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static void a_query_is_measured_and_measured_again(void **state)
{
    (void)state;
    struct query *query = acquire("7");
    WAIT_UNTIL(waiting(query) == 7);
    fake_set_queue("7", 8);
    WAIT_UNTIL(waiting(query) == 8);
}

static void equal_triggers_share_a_query_and_equal_sources_a_connection(void **state)
{
    (void)state;
    struct query *query = acquire("1");
    assert_ptr_equal(query, acquire("1"));
    assert_ptr_not_equal(query, acquire("2"));
    assert_ptr_not_equal(query, acquire_of(&fake_scaler, "b", "1"));
    WAIT_UNTIL(waiting(query) == 1);
    assert_int_equal(stats().counts[COUNT_CONNECTIONS], 2);
    assert_int_equal(stats().counts[COUNT_QUERIES], 3);
    assert_true(fake_counts().connects <= 2);
}

static void many_queries_are_sent_together(void **state)
{
    (void)state;
    struct query *queries[200];
    char name[16];
    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof(name), "%d", i);
        queries[i] = acquire(name);
    }
    for (int i = 0; i < 200; i++)
        WAIT_UNTIL(waiting(queries[i]) == i);
    WAIT_UNTIL(fake_counts().largest_chunk == 200);
}

static atomic_int measure_calls;

/* As most scalers do, it returns if nothing is in flight. */
static bool measure_and_return(void *client, struct feed *feed, struct error *error)
{
    (void)client;
    (void)error;
    struct reading reading = READING_UNKNOWN;
    reading.waiting = 1;
    measure_calls++;
    for (struct task *task; (task = feed_take(feed)) != NULL;)
        task_answer(task, &reading);
    return true;
}

/* Otherwise its thread would use a whole CPU. */
static void a_scaler_is_not_called_while_nothing_is_due(void **state)
{
    (void)state;
    enum { DEMANDS = 20 };
    static struct scaler quick;
    quick = fake_scaler;
    quick.measure = measure_and_return;
    start_calm_engine();
    measure_calls = 0;
    struct query *query = acquire_of(&quick, "a", "1");
    for (int i = 0; i < DEMANDS; i++) {
        uint64_t answered = stats().counts[COUNT_ANSWERED];
        query_demand(query, clock_now_ms());
        WAIT_UNTIL(stats().counts[COUNT_ANSWERED] > answered);
    }
    assert_true((uint64_t)measure_calls <= 2 * stats().counts[COUNT_ANSWERED]);
}

/* The source would have the cost of such a field for as long as the query lives. */
static void a_field_is_measured_while_a_use_wants_it(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(fake_values_done) struct fake_values values = fake_values("a", "1");
    const struct query_request request = {
        .scaler = &fake_scaler,
        .connection_values = values.scopes[OPTION_CONNECTION],
        .query_values = values.scopes[OPTION_QUERY],
        .use = {.interval_ms = INTERVAL_MS, .wants = READING_WANT_RATES},
    };
    struct query *query = NULL;
    acquire("1");
    assert_true(engine_acquire(engine, &request, &query, &error));
    WAIT_UNTIL(fake_counts().wants == READING_WANT_RATES);
    engine_release(query, &request.use);
    WAIT_UNTIL(fake_counts().wants == 0);
}

static void a_watcher_is_notified_of_each_attempt(void **state)
{
    (void)state;
    struct watcher watcher = {0};
    struct query *query = acquire("3");
    watcher_start(&watcher, query, true);
    for (int i = 0; i < 3; i++) {
        WAIT_UNTIL(wakes() > i);
        assert_ptr_equal(engine_next_ready(engine), &watcher);
        while (engine_next_ready(engine) != NULL)
            continue;
    }
    watcher_stop(&watcher);
    watcher_stop(&watcher);
    assert_null(engine_next_ready(engine));
}

static void a_query_that_fails_fails_alone(void **state)
{
    (void)state;
    struct query *missing = acquire("nowhere");
    struct query *good = acquire("4");
    WAIT_UNTIL(fails(missing, "no such queue"));
    WAIT_UNTIL(waiting(good) == 4);
    assert_int_equal(fake_counts().connects, 1);
    fake_set_queue("nowhere", 9);
    WAIT_UNTIL(waiting(missing) == 9);
}

/* Whatever a client library calls back, and how often. */
static void what_ended_does_not_end_again(void **state)
{
    (void)state;
    struct query *query = acquire("twice");
    WAIT_UNTIL(waiting(query) == 0);
    WAIT_UNTIL(fake_counts().tasks > 3);
    assert_true(waiting(query) == 0);
    assert_int_equal(stats().counts[COUNT_FAILED], 0);
}

/* It is kept, and copied for each stream. */
static void a_long_error_is_shortened(void **state)
{
    (void)state;
    enum { LENGTH = 5000, MAX_LENGTH = 1100 };
    char name[LENGTH + 1] = "";
    memset(name, 'x', LENGTH);
    struct query *query = acquire(name);
    WAIT_UNTIL(fails(query, "no such queue: xxx"));
    _cleanup_(snapshot_done) struct snapshot snapshot;
    query_snapshot(query, &snapshot);
    assert_in_range(strlen(error_text(&snapshot.known.error)), 1000, MAX_LENGTH);
}

static void a_failure_keeps_the_last_reading(void **state)
{
    (void)state;
    struct query *query = acquire("5");
    WAIT_UNTIL(waiting(query) == 5);
    fake_set_up(false);
    WAIT_UNTIL(fails(query, "broke") || fails(query, "down"));
    _cleanup_(snapshot_done) struct snapshot first;
    query_snapshot(query, &first);
    assert_true(first.known.is_measured);
    assert_true(first.known.reading.waiting == 5);
}

/* Whoever has a reading of its source's beginning needs to know. */
static void a_client_after_a_failed_one_reconnects(void **state)
{
    (void)state;
    struct query *query = acquire("again");
    WAIT_UNTIL(waiting(query) == 0);
    fake_set_up(false);
    WAIT_UNTIL(fails(query, "the fake source is down"));
    fake_set_up(true);
    WAIT_UNTIL(waiting(query) == 1);
    release(query);
    WAIT_UNTIL(stats().counts[COUNT_CONNECTIONS] == 0);
    WAIT_UNTIL(waiting(acquire("again")) == 0); /* another connection */
}

static void a_released_query_is_freed_with_its_connection(void **state)
{
    (void)state;
    struct query *query = acquire("1");
    acquire("1");
    WAIT_UNTIL(waiting(query) == 1);
    release(query);
    assert_int_equal(stats().counts[COUNT_QUERIES], 1);
    release(query);
    WAIT_UNTIL(stats().counts[COUNT_CONNECTIONS] == 0);
    assert_int_equal(fake_counts().disconnects, 1);
    WAIT_UNTIL(waiting(acquire("1")) == 1);
}

static size_t count_history(struct query *query)
{
    _cleanup_(memory_free) struct history_sample *samples = NULL;
    return query_history(query, 0, &samples);
}

/* The credentials of one of two triggers change, and then those of the other. */
static void who_stays_with_a_query_keeps_its_history(void **state)
{
    (void)state;
    struct engine_settings settings = ENGINE_DEFAULTS;
    settings.interval_ms = INTERVAL_MS;
    settings.keeps_history = true;
    restart_engine(&settings);
    struct query *former = acquire("7");
    assert_ptr_equal(acquire("7"), former);
    WAIT_UNTIL(count_history(former) > 1);
    fake_set_stuck(true); /* the next one measures nothing yet */
    struct query *successor = acquire_in_place_of(former, &fake_scaler, "b", "7");
    assert_true(count_history(successor) > 1);
    assert_true(count_history(former) > 1);
    release(former);
    struct query *last = acquire_in_place_of(former, &fake_scaler, "c", "7");
    assert_true(count_history(last) > 1);
    release(former);
    fake_set_stuck(false);
}

static uint64_t number_of(const struct query *query)
{
    struct query_state now;
    query_get_state(query, &now);
    return now.number;
}

/* Its memory may be. */
static void the_number_of_a_query_is_not_used_again(void **state)
{
    (void)state;
    uint64_t last = 0;
    for (int i = 0; i < 3; i++) {
        _cleanup_(memory_free) char *queue = text_format("%d", i);
        struct query *query = acquire(queue);
        assert_true(number_of(query) > last);
        last = number_of(query);
        release(query);
    }
}

/* But for one that was measured by itself before. */
static void a_successor_has_the_number_of_the_former_query(void **state)
{
    (void)state;
    struct query *former = acquire("7");
    const struct query *successor = acquire_in_place_of(former, &fake_scaler, "b", "7");
    assert_true(number_of(successor) == number_of(former));
    struct query *other = acquire_of(&fake_scaler, "c", "7");
    assert_ptr_equal(acquire_in_place_of(former, &fake_scaler, "c", "7"), other);
    assert_true(number_of(other) > number_of(former));
}

/* As a client library does that computes for minutes, or waits for a name server. */
static void an_engine_stops_without_a_client_that_does_not_return(void **state)
{
    (void)state;
    fake_set_stuck(true);
    acquire("7");
    WAIT_UNTIL(fake_counts().connects == 1);
    assert_false(engine_stop(engine, 0));
    fake_set_stuck(false);
    assert_true(engine_stop(engine, PATIENCE_MS));
}

static void who_waits_is_notified_of_a_lost_client_that_does_not_return(void **state)
{
    (void)state;
    struct watcher watcher = {0};
    start_calm_engine();
    fake_set_queue("parting", 1);
    struct query *query = acquire("parting");
    WAIT_UNTIL(waiting(query) == 1);
    watcher_start(&watcher, query, false);
    int before = wakes();
    fake_set_stuck(true);
    fake_set_queue("parting", FAKE_BREAKS);
    query_demand(query, clock_now_ms());
    WAIT_UNTIL(wakes() > before);
    assert_true(fails(query, "the fake connection broke"));
    fake_set_stuck(false);
    watcher_stop(&watcher);
}

static void a_successor_has_the_former_reading_until_its_own(void **state)
{
    (void)state;
    struct query *former = acquire("7");
    WAIT_UNTIL(waiting(former) == 7);
    fake_set_queue("8", FAKE_HANGS);
    struct query *successor = acquire_in_place_of(former, &fake_scaler, "a", "8");
    assert_true(waiting(successor) == 7);
    WAIT_UNTIL(fails(successor, "no answer within"));
    fake_set_queue("8", 8);
    WAIT_UNTIL(waiting(successor) == 8);
    assert_ptr_equal(successor, acquire_in_place_of(former, &fake_scaler, "a", "8"));
    assert_true(waiting(successor) == 8);
}

int main(void)
{
    log_init(LOG_LEVEL_ERROR, LOG_PLAIN);
    const struct CMUnitTest tests[] = {
        TEST(a_successor_has_the_former_reading_until_its_own),
        TEST(a_successor_has_the_number_of_the_former_query),
        TEST(a_query_is_measured_and_measured_again),
        TEST(equal_triggers_share_a_query_and_equal_sources_a_connection),
        TEST(many_queries_are_sent_together),
        TEST(a_scaler_is_not_called_while_nothing_is_due),
        TEST(a_field_is_measured_while_a_use_wants_it),
        TEST(a_watcher_is_notified_of_each_attempt),
        TEST(a_query_that_fails_fails_alone),
        TEST(what_ended_does_not_end_again),
        TEST(a_long_error_is_shortened),
        TEST(a_failure_keeps_the_last_reading),
        TEST(a_client_after_a_failed_one_reconnects),
        TEST(a_released_query_is_freed_with_its_connection),
        TEST(who_stays_with_a_query_keeps_its_history),
        TEST(the_number_of_a_query_is_not_used_again),
        TEST(an_engine_stops_without_a_client_that_does_not_return),
        TEST(who_waits_is_notified_of_a_lost_client_that_does_not_return),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
