/* What a connection promises when something fails, or its client is lost. */
#include "base/log.h"
#include "base/memory.h"
#include "base/recent_log.h"
#include "measure/connection/inherit.h"
#include "measure/connection_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/param.h>
#include <cmocka.h>

static void a_failed_query_fails_alone(void **state)
{
    (void)state;
    struct query *missing = acquire("missing");
    struct query *good = acquire("good");
    measure(good, 4);
    demand(missing);
    assert_ptr_equal(take(), missing);
    end_with(missing, TASK_FAILED, "there is none");
    assert_true(fails(missing, "there is none"));
    assert_true(value_of(good) == 4);
    assert_int_equal(connection.stats.counts[COUNT_FAILING_QUERIES], 1);
    query_end_use(missing, 0, now_ms);
    assert_int_equal(connection.stats.counts[COUNT_QUERIES], 1);
    assert_int_equal(connection.stats.counts[COUNT_FAILING_QUERIES], 0);
}

/* Callers were unanswered before the failure was known: an active reading is held from there on. */
static void a_failure_counts_from_the_first_unanswered_call(void **state)
{
    (void)state;
    _cleanup_(snapshot_done) struct snapshot snapshot = {0};
    struct query *query = acquire("a");
    measure(query, 7);
    now_ms += 30000;
    int64_t first_call_ms = now_ms;
    demand(query);
    assert_ptr_equal(take(), query);
    now_ms += 700;
    demand(query); /* another call */
    now_ms += 1300;
    end_with(query, TASK_FAILED, "there is none");
    query_snapshot(query, &snapshot);
    assert_int_equal(snapshot.failing_since_ms, first_call_ms);
    assert_int_equal(snapshot.known.failed_at_ms, now_ms);
    snapshot_done(&snapshot);

    /* And a connection that breaks before anything was answered. */
    now_ms += 30000;
    measure(query, 8);
    now_ms += 30000;
    first_call_ms = now_ms;
    demand(query);
    query_snapshot(query, &snapshot);
    assert_int_equal(snapshot.no_reading_since_ms, first_call_ms);
    snapshot_done(&snapshot);
    assert_ptr_equal(take(), query);
    now_ms += 400;
    query->was_resent = true; /* not once more by another client */
    lose("connection reset");
    query_snapshot(query, &snapshot);
    assert_int_equal(snapshot.failing_since_ms, first_call_ms);
}

static int64_t failing_since_ms(const struct query *query)
{
    _cleanup_(snapshot_done) struct snapshot snapshot = {0};
    query_snapshot(query, &snapshot);
    return snapshot.known.last_attempt == ATTEMPT_FAILED ? snapshot.failing_since_ms : 0;
}

static void an_outage_goes_on_until_something_is_measured(void **state)
{
    (void)state;
    _cleanup_(snapshot_done) struct snapshot snapshot = {0};
    struct query *query = acquire("a");
    struct query *other = acquire("b");
    measure(query, 7);
    measure(other, 1);
    now_ms += 1000;
    int64_t failed_ms = now_ms;
    demand(other);
    assert_ptr_equal(take(), other);
    lose("restarting");
    assert_int_equal(failing_since_ms(query), failed_ms);

    /* The connection is back for a moment, in which nothing is measured. */
    now_ms += 600000;
    connect_now();
    query_snapshot(query, &snapshot);
    assert_int_equal(snapshot.no_reading_since_ms, failed_ms);
    assert_ptr_equal(take(), query);
    now_ms++;
    lose("restarting");
    assert_int_equal(failing_since_ms(query), failed_ms);

    /* Then others are measured, and this one fails. */
    now_ms += 600000;
    connect_now();
    assert_ptr_equal(take(), other);
    answer(other, 2);
    assert_ptr_equal(take(), query);
    end_with(query, TASK_FAILED, "starting up");
    assert_int_equal(failing_since_ms(query), failed_ms);
    assert_int_equal(failing_since_ms(other), 0);

    now_ms += 1000;
    measure(query, 8);
    now_ms += 1000;
    demand(query);
    assert_ptr_equal(take(), query);
    end_with(query, TASK_FAILED, "there is none");
    assert_int_equal(failing_since_ms(query), now_ms);
}

/* Nobody measures what only polls, until its next poll. */
static void a_failure_that_is_over_does_not_count_for_the_next_one(void **state)
{
    (void)state;
    struct query *polled = acquire("a");
    struct query *other = acquire("b");
    measure(polled, 7);
    measure(other, 1);
    now_ms += 1000;
    demand(other);
    assert_ptr_equal(take(), other);
    lose("restarting");
    now_ms += 1000;
    connect_now();
    for (struct query *query; (query = take()) != NULL;)
        answer(query, 2);
    now_ms += 600000;
    demand(polled);
    assert_ptr_equal(take(), polled);
    end_with(polled, TASK_FAILED, "there is none");
    assert_int_equal(failing_since_ms(polled), now_ms);
}

/* Two that only polls measure, and a third one at an interval, which came last; one at a time. They
 * were measured, and then the connection failed and is back. */
static void reconnect_polled(struct query *polled[2], struct query **ret_planned)
{
    schedule_set_max_tasks(&connection.schedule, 1, 1, now_ms);
    polled[0] = acquire("a");
    polled[1] = acquire("b");
    *ret_planned = hold_each("c", 5000);
    connect_now();
    answer(take(), 1); /* the planned one */
    measure(polled[0], 1);
    measure(polled[1], 1);
    now_ms += 1000;
    demand(polled[0]);
    assert_ptr_equal(take(), polled[0]);
    lose("restarting");
    now_ms += 600000;
    connect_now();
}

static void check_polled_are_behind(struct query *polled[2], struct query *planned)
{
    for (int i = 0; i < 10; i++) {
        assert_ptr_equal(take(), planned);
        now_ms += 5000;
        answer(planned, 2);
    }
    assert_int_equal(schedule_delay_ms(&connection.schedule, now_ms), 0);
    assert_ptr_equal(take(), planned);
    now_ms += 15000; /* more than a minute: nothing starves */
    answer(planned, 2);
    for (int i = 0; i < 2; i++) {
        struct query *query = take();
        assert_true(query == polled[0] || query == polled[1]);
        answer(query, 2);
    }
    assert_ptr_equal(take(), planned);
}

static void after_a_reconnect_what_only_polls_is_behind_the_others(void **state)
{
    (void)state;
    struct query *polled[2];
    struct query *planned = NULL;
    reconnect_polled(polled, &planned);
    check_polled_are_behind(polled, planned);
}

/* They were not measured after the first one. */
static void after_a_second_reconnect_too(void **state)
{
    (void)state;
    struct query *polled[2];
    struct query *planned = NULL;
    reconnect_polled(polled, &planned);
    assert_ptr_equal(take(), planned);
    lose("restarting");
    now_ms += 600000;
    assert_int_equal(connection_next_ms(&connection, now_ms), now_ms); /* what is due gets ready */
    connect_now();
    check_polled_are_behind(polled, planned);
}

static void after_a_reconnect_a_call_comes_first(void **state)
{
    (void)state;
    struct query *polled[2];
    struct query *planned = NULL;
    reconnect_polled(polled, &planned);
    demand(polled[1]);
    assert_ptr_equal(take(), polled[1]);
    answer(polled[1], 2);
    assert_ptr_equal(take(), planned);
}

/* Its call was answered when the connection failed, and has left; or it was due all the time. */
static void after_a_reconnect_a_call_comes_before_what_waited_before_the_outage(void **state)
{
    (void)state;
    struct query *polled[2];
    struct query *planned = NULL;
    reconnect_polled(polled, &planned);
    for (struct query *query; (query = take()) != NULL;)
        answer(query, 2);
    now_ms += 5000;
    demand(polled[0]);
    assert_ptr_equal(take(), polled[0]);
    demand(polled[1]);
    lose("restarting");
    for (int i = 0; i < 720; i++) {
        now_ms += 5000;
        refuse();
        assert_true(connection_next_ms(&connection, now_ms) >= now_ms); /* what is due gets ready */
    }
    now_ms += 5000;
    connect_now();
    demand(polled[0]);
    assert_ptr_equal(take(), polled[0]);
    answer(polled[0], 3);
    assert_ptr_equal(take(), planned);
    now_ms += 1000;
    answer(planned, 3);
    assert_ptr_equal(take(), polled[1]);
}

/* It is due at once, but nobody has waited for it. */
static void after_a_reconnect_a_call_comes_before_a_stream_that_was_never_measured(void **state)
{
    (void)state;
    struct watcher watcher = {0};
    struct query *called = acquire("a");
    struct query *streamed = acquire("b");
    schedule_set_max_tasks(&connection.schedule, 1, 1, now_ms);
    demand(called);
    refuse();
    watcher_start(&watcher, streamed, true);
    watcher_set_idle_interval(&watcher, 200);
    now_ms += 30000;
    refuse();
    assert_true(connection_next_ms(&connection, now_ms) >= now_ms); /* what is due gets ready */
    now_ms += 5000;
    connect_now();
    demand(called);
    assert_ptr_equal(take(), called);
    answer(called, 1);
    assert_ptr_equal(take(), streamed);
    watcher_stop(&watcher);
}

static void who_begins_to_want_it_after_a_reconnect_is_not_behind(void **state)
{
    (void)state;
    struct query *polled[2];
    struct query *planned = NULL;
    reconnect_polled(polled, &planned);
    assert_ptr_equal(take(), planned);
    answer(planned, 2);
    assert_int_equal(polled[1]->job.state, JOB_READY);
    now_ms += 1000;
    hold_each("b", 5000);
    now_ms += 4000;
    assert_ptr_equal(take(), polled[1]); /* due a second after the reconnect, and so before "c" */
    answer(polled[1], 2);
    assert_ptr_equal(take(), planned);
}

/* No attempt of its own has failed: another one was in flight. */
static void an_outage_goes_on_in_the_query_that_takes_its_place(void **state)
{
    (void)state;
    _cleanup_(former_query_done) struct former_query former = {0};
    struct query *query = acquire("a");
    struct query *other = acquire("b");
    measure(query, 7);
    now_ms += 1000;
    int64_t failed_ms = now_ms;
    demand(other);
    assert_ptr_equal(take(), other);
    lose("restarting");
    now_ms += 600000;
    connect_now();
    assert_int_equal(failing_since_ms(query), 0);
    query_remember(query, &former);
    struct query *heir = acquire("heir");
    query_inherit(heir, &former);
    assert_true(value_of(heir) == 7);
    assert_ptr_equal(take(), query);
    lose("restarting");
    assert_int_equal(failing_since_ms(heir), failed_ms);
}

static int news_before; /* the last pause */
static int most_at_once;

static void count_news_since(void)
{
    most_at_once = news - news_before > most_at_once ? news - news_before : most_at_once;
    news_before = news;
}

static void those_who_wait_for_a_connection_that_fails_are_notified_in_parts(void **state)
{
    (void)state;
    enum { QUERIES = 5 };
    struct watcher watchers[QUERIES] = {0};
    char item[] = "0";
    for (int i = 0; i < QUERIES; i++, item[0]++) {
        struct query *query = acquire(item);
        demand(query);
        watcher_start(&watchers[i], query, false);
    }
    news_before = news = most_at_once = 0;
    pause_after_each();
    on_pause = count_news_since;
    refuse();
    count_news_since();
    assert_int_equal(news, QUERIES);
    assert_int_equal(most_at_once, 1);
    for (int i = 0; i < QUERIES; i++)
        watcher_stop(&watchers[i]);
}

/* It waited in the agent, for others of the agent's. */
static void a_task_that_begins_late_was_sent_then(void **state)
{
    (void)state;
    struct query *query = acquire("a");
    demand(query);
    connect_now();
    assert_ptr_equal(take(), query);
    now_ms += 300;
    connection_query_started(query, now_ms * 1000);
    assert_int_equal(query->job.sent_ms, now_ms);
}

static void a_failed_connection_fails_all_and_backs_off(void **state)
{
    (void)state;
    static const int64_t waits_ms[] = {0, 250, 500, 1000, 2000, 4000, 5000, 5000};
    struct query *query = acquire("a");
    demand(query);
    for (size_t i = 0; i < ARRAY_LENGTH(waits_ms); i++) {
        refuse();
        assert_true(fails(query, "refused"));
        demand(query); /* hastens nothing */
        assert_int_equal(connection_next_ms(&connection, now_ms), now_ms + waits_ms[i]);
        assert_int_equal(connection_wants_client(&connection, now_ms), waits_ms[i] == 0);
        now_ms += waits_ms[i];
    }
    assert_true(fails(acquire("joiner"), "refused"));
}

/* Once it was connected to at once, for ever, and then no sooner than calls gave up: a proxy may
 * close what is idle for some seconds. */
static void a_source_that_answers_and_hangs_up_is_backed_off_from_for_a_second(void **state)
{
    (void)state;
    static const int64_t waits_ms[] = {0, 250, 500, 1000, 1000, 1000, 1000};
    struct query *query = acquire("a");
    for (size_t i = 0; i < ARRAY_LENGTH(waits_ms); i++) {
        measure(query, 1);
        lose("closed");
        demand(query);
        assert_int_equal(connection_next_ms(&connection, now_ms), now_ms + waits_ms[i]);
        assert_true(value_of(query) == 1);
        now_ms += waits_ms[i];
    }
    measure(query, 1);
    now_ms += 10000;
    lose("closed");
    demand(query);
    assert_true(connection_wants_client(&connection, now_ms));
}

/* A proxy that hangs up now and then is not restarted more slowly for that. */
static void a_source_that_hung_up_and_is_restarted_is_tried_at_once(void **state)
{
    (void)state;
    static const int64_t waits_ms[] = {0, 250, 500};
    struct query *query = acquire("a");
    for (int i = 0; i < 20; i++) {
        measure(query, 1);
        lose("closed");
        now_ms = connection.backoff.retry_at_ms;
    }
    demand(query);
    for (size_t i = 0; i < ARRAY_LENGTH(waits_ms); i++) {
        refuse();
        assert_int_equal(connection.backoff.retry_at_ms, now_ms + waits_ms[i]);
        now_ms += waits_ms[i];
    }
    /* And what it did before goes on as before: it hangs up, and is not connected to at once. */
    measure(query, 1);
    lose("closed");
    assert_int_equal(connection.backoff.retry_at_ms, now_ms + 1000);
    /* Nor is one that answers a part, for which only clients count that ended so. */
    now_ms += 1000;
    struct query *other = acquire("b");
    for (size_t i = 0; i < 2; i++) {
        demand(other);
        measure(query, 1);
        assert_ptr_equal(take(), other);
        lose("closed");
        assert_int_equal(connection.backoff.retry_at_ms, now_ms + waits_ms[i]);
        now_ms += waits_ms[i];
    }
}

static void what_cost_much_is_not_tried_again_soon(void **state)
{
    (void)state;
    const int64_t minute_ms = 60000;
    struct error costly = {0};
    struct query *query = acquire("a");
    demand(query);
    connection_connecting(&connection);
    error_set(&costly, ERROR_COSTLY, "took too much CPU time");
    connection_refused(&connection, &costly, now_ms);
    error_done(&costly);
    assert_true(fails(query, "took too much CPU time"));
    assert_false(connection_wants_client(&connection, now_ms + 3 * minute_ms));
    now_ms += 5 * minute_ms;
    assert_true(connection_wants_client(&connection, now_ms));
}

static void queries_that_failed_with_a_connection_are_measured_after_it(void **state)
{
    (void)state;
    struct query *query = acquire("a");
    measure(query, 1);
    demand(query);
    assert_ptr_equal(take(), query);
    lose("broken pipe");
    assert_true(fails(query, "broken pipe"));
    connect_now();
    assert_ptr_equal(take(), query); /* nobody has asked again */
    answer(query, 2);
    assert_true(value_of(query) == 2);
}

static void an_outage_is_no_sign_of_a_source_that_cannot_keep_up(void **state)
{
    (void)state;
    struct query *queries[] = {hold_each("a", 5000), hold_each("b", 5000)};
    log_set_level(LOG_LEVEL_WARNING);
    recent_log_start();
    schedule_set_max_tasks(&connection.schedule, 1, 1, now_ms);
    measure(queries[0], 1);
    measure(queries[1], 1);
    now_ms += 5000;
    assert_non_null(take());
    assert_null(take()); /* the other one waits */
    lose("connection reset");
    for (int i = 0; i < 10; i++) {
        now_ms = connection_next_ms(&connection, now_ms);
        refuse();
        assert_int_equal(schedule_recent_delay_ms(&connection.schedule, now_ms), 0);
        assert_int_equal(connection_effective_interval_ms(&connection, now_ms), 5000);
    }
    now_ms = connection_next_ms(&connection, now_ms);
    connect_now();
    assert_non_null(take());
    assert_null(take());
    assert_int_equal(connection_effective_interval_ms(&connection, now_ms), 5000);
    assert_int_equal(count_warnings("cannot keep up"), 0);
    log_set_level(LOG_LEVEL_ERROR);
}

/* An old reading would be usable for longer, as if the source could not keep up. */
static void time_without_a_client_is_no_delay(void **state)
{
    (void)state;
    struct query *query = acquire("a");
    for (int client = 0; client < 2; client++) {
        demand(query);
        connection_connecting(&connection);
        now_ms += 30000; /* as an agent may need to start */
        assert_int_equal(connection_next_ms(&connection, now_ms), now_ms);
        assert_int_equal(schedule_recent_delay_ms(&connection.schedule, now_ms), 0);
        assert_int_equal(connection_effective_interval_ms(&connection, now_ms), 5000);
        connection_connected(&connection, now_ms);
        measure(query, 1);
        connection_lost(&connection, NULL, now_ms);
    }
}

static void pass_over(struct follower *follower, const struct recent_samples *recent)
{
    (void)follower;
    (void)recent;
}

static bool is_last_after_gap(const struct query *query)
{
    return query->recent->samples[query->recent->count - 1].is_after_gap;
}

/* Whenever its samples began: nobody knows how fast messages came during the outage. */
static void the_first_sample_after_an_outage_has_a_gap_before_it(void **state)
{
    (void)state;
    struct query *kept = acquire("kept");
    struct query *late = acquire("late");
    query_keep_recent_samples(kept, 5000);
    measure(kept, 1);
    measure(late, 1);
    demand(kept);
    assert_ptr_equal(take(), kept);
    lose("broken pipe");

    struct former_query former = {0};
    query_remember(kept, &former);
    assert_true(former.recent.has_gap); /* another connection may measure it next */
    struct query *heir = acquire("heir");
    query_keep_recent_samples(heir, 5000);
    former.recent.has_gap = false; /* of before the outage */
    query_inherit(heir, &former);
    former_query_done(&former);
    struct follower follower = {.on_reading = pass_over};
    query_keep_recent_samples(late, 5000);
    follower_start(late, &follower); /* takes the reading of before the outage */
    assert_int_equal(late->recent->count, 1);

    now_ms += 1000;
    measure(kept, 2);
    measure(late, 2);
    measure(heir, 2);
    assert_true(kept->recent->count == 2 && is_last_after_gap(kept));
    assert_true(late->recent->count == 2 && is_last_after_gap(late));
    assert_true(heir->recent->count == 2 && is_last_after_gap(heir));
    follower_stop(&follower);
}

static void a_failed_attempt_is_a_gap_between_two_samples(void **state)
{
    (void)state;
    struct query *query = acquire("a");
    query_keep_recent_samples(query, 5000);
    measure(query, 1);
    demand(query);
    assert_ptr_equal(take(), query);
    end_with(query, TASK_FAILED, "there is none");
    now_ms += 1000;
    measure(query, 2);
    assert_true(query->recent->count == 2 && is_last_after_gap(query));
}

static void a_client_that_is_lost_after_it_answered_all_costs_no_reading(void **state)
{
    (void)state;
    struct query *query = acquire("a");
    measure(query, 1);
    lose("broken pipe");
    assert_true(value_of(query) == 1);
}

static void a_client_that_died_in_a_pause_is_replaced_before_anything_fails(void **state)
{
    (void)state;
    struct query *query = acquire("a");
    measure(query, 1);
    now_ms += CONNECTION_PAUSE_MS;
    demand(query);
    assert_ptr_equal(take(), query);
    now_ms += 2000;
    end_with(query, TASK_TIMED_OUT, "no answer");
    assert_true(value_of(query) == 1);
    assert_null(take());
    connection_lost(&connection, NULL, now_ms);
    connect_now();
    assert_ptr_equal(take(), query);
    now_ms += 2000;
    end_with(query, TASK_TIMED_OUT, "no answer"); /* once */
    assert_true(fails(query, "no answer"));
}

static void a_query_is_resent_only_once(void **state)
{
    (void)state;
    struct query *query = acquire("a");
    measure(query, 1);
    now_ms += CONNECTION_PAUSE_MS;
    demand(query);
    assert_ptr_equal(take(), query);
    lose("broken pipe");
    assert_true(value_of(query) == 1);
    connect_now();
    now_ms += CONNECTION_PAUSE_MS; /* it waits for its turn */
    assert_ptr_equal(take(), query);
    lose("broken pipe");
    assert_true(fails(query, "broken pipe"));
}

static void a_query_whose_client_was_replaced_may_be_resent(void **state)
{
    (void)state;
    struct query *query = acquire("a");
    measure(query, 1);
    demand(query);
    assert_ptr_equal(take(), query);
    connection_lost(&connection, NULL, now_ms);
    connect_now();
    now_ms += CONNECTION_PAUSE_MS; /* it waits for its turn */
    assert_ptr_equal(take(), query);
    lose("broken pipe");
    assert_true(value_of(query) == 1);
}

/* As a success that is taken back when the source refuses, it would be a counter that falls. */
static void an_attempt_under_way_is_counted_when_it_ends(void **state)
{
    (void)state;
    const uint64_t *counts = connection.stats.counts;
    _cleanup_(error_done) struct error error = {0};
    demand(acquire("a"));
    connection_connecting(&connection);
    assert_int_equal(counts[COUNT_CONNECTS], 0);
    error_unavailable(&error, "refused");
    connection_refused(&connection, &error, now_ms);
    assert_int_equal(counts[COUNT_CONNECTS], 0);
    assert_int_equal(counts[COUNT_FAILED_CONNECTS], 1);
    now_ms += 10000;
    connect_now();
    assert_int_equal(counts[COUNT_CONNECTS], 1);
    assert_int_equal(counts[COUNT_FAILED_CONNECTS], 1);
}

static void what_does_not_start_is_no_refusal_of_the_source(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct query *query = acquire("a");
    demand(query);
    connection_connecting(&connection);
    error_set(&error, ERROR_NOT_STARTED, "it did not start");
    connection_refused(&connection, &error, now_ms);
    assert_true(fails(query, "it did not start"));
    assert_int_equal(connection.stats.counts[COUNT_FAILED_CONNECTS], 0);
}

static void an_attempt_that_nobody_needs_is_neither_counted_nor_failed(void **state)
{
    (void)state;
    struct query *query = acquire("a");
    demand(query);
    connection_connecting(&connection);
    connection_given_up(&connection);
    assert_int_equal(connection.stats.counts[COUNT_FAILED_CONNECTS], 0);
    assert_false(fails(query, ""));
    assert_true(connection_wants_client(&connection, now_ms)); /* for who needs it next */
    refuse();
    now_ms = connection.backoff.retry_at_ms;
    connection_connecting(&connection);
    connection_given_up(&connection);
    assert_true(fails(query, "refused")); /* as before */
}

/* The source may have just started, however its last client ended. */
static void a_client_reconnects_after_a_refused_lost_or_replaced_one(void **state)
{
    (void)state;
    struct query *query = acquire("a");
    demand(query);
    refuse();
    assert_true(connection.backoff.reconnects);
    measure(query, 1);
    lose("broken pipe");
    assert_true(connection.backoff.reconnects);
    now_ms += 10000;
    measure(query, 1);
    connection.must_replace_client = true; /* as nothing is answered */
    connection_lost(&connection, NULL, now_ms);
    assert_true(connection.backoff.reconnects);
}

/* Its silence may have been a restart. */
static void a_client_reconnects_after_one_that_ended_before_it_answered(void **state)
{
    (void)state;
    struct query *query = acquire("a");
    demand(query);
    connect_now();
    assert_false(connection.backoff.reconnects);
    assert_ptr_equal(take(), query);
    connection_lost(&connection, NULL, now_ms); /* as nobody held the query for a moment */
    assert_true(connection.backoff.reconnects);
}

static void a_source_that_hung_up_and_refuses_is_logged_as_failed(void **state)
{
    (void)state;
    struct query *query = hold_each("a", 1000);
    log_set_level(LOG_LEVEL_WARNING);
    recent_log_start();
    measure(query, 1);
    size_t before = count_warnings("connection failed");
    lose("closed");
    for (int i = 0; i < 3; i++) {
        now_ms += 10000;
        refuse();
        assert_int_equal(count_warnings("connection failed"), before + 1);
    }
    log_set_level(LOG_LEVEL_ERROR);
}

static void hang_up(struct query *query)
{
    (void)query;
    lose("closed");
}

static void fail_in_flight(struct query *query)
{
    demand(query);
    assert_ptr_equal(take(), query);
    lose("closed");
}

static void it_is_back_when_the_source_answers(void **state)
{
    (void)state;
    struct query *query = acquire("a");
    log_set_level(LOG_LEVEL_INFO);
    recent_log_start();
    size_t before = count_lines(LOG_LEVEL_INFO, "reconnected");
    demand(query);
    refuse();
    demand(query);
    connect_now();
    assert_int_equal(count_lines(LOG_LEVEL_INFO, "reconnected"), before);
    assert_ptr_equal(take(), query);
    answer(query, 1);
    assert_int_equal(count_lines(LOG_LEVEL_INFO, "reconnected"), before + 1);
    connection_lost(&connection, NULL, now_ms); /* which is no failure */
    measure(query, 1);
    assert_int_equal(count_lines(LOG_LEVEL_INFO, "reconnected"), before + 1);
    log_set_level(LOG_LEVEL_ERROR);
}

/* Not how often it was tried again. */
static void a_line_says_how_often_the_source_failed_since_the_last_one(void **state)
{
    (void)state;
    struct query *query = hold_each("a", 1000);
    int64_t began_ms = now_ms;
    log_set_level(LOG_LEVEL_INFO);
    recent_log_start();
    size_t before = count_warnings("connection failed");
    for (int i = 0; i < 3; i++) {
        measure(query, 1);
        fail_in_flight(query);
        for (int64_t until_ms = now_ms + 10000; now_ms < until_ms;) {
            now_ms = connection_next_ms(&connection, now_ms + 1000);
            refuse();
        }
        now_ms += 5000;
    }
    assert_int_equal(count_warnings("connection failed"), before + 1);
    now_ms = MAX(now_ms, began_ms + 100000);
    measure(query, 1);
    fail_in_flight(query);
    assert_int_equal(count_warnings("connection failed (2 more times since"), 1);
    log_set_level(LOG_LEVEL_ERROR);
}

/* As behind a proxy that closes after each reply, for days. */
static void a_source_that_comes_and_goes_is_logged_each_minute(void **state)
{
    (void)state;
    static const struct {
        void (*end)(struct query *query);
        const char *words;
    } kinds[] = {{hang_up, "reconnecting"}, {fail_in_flight, "connection failed"}};
    struct query *query = hold_each("a", 1000);
    log_set_level(LOG_LEVEL_INFO);
    recent_log_start();
    for (size_t kind = 0; kind < ARRAY_LENGTH(kinds); kind++) {
        size_t before = count_warnings(kinds[kind].words);
        size_t repeated = count_warnings("more times since the last such line");
        size_t back = count_lines(LOG_LEVEL_INFO, "reconnected");
        for (int64_t began_ms = now_ms; now_ms < began_ms + 170000;) {
            measure(query, 1);
            kinds[kind].end(query);
            now_ms = connection_next_ms(&connection, now_ms + 1000);
        }
        measure(query, 1);
        assert_int_equal(count_warnings(kinds[kind].words), before + 3);
        assert_int_equal(count_warnings("more times since the last such line"), repeated + 2);
        assert_int_equal(count_lines(LOG_LEVEL_INFO, "reconnected"), back + 3);
    }
    log_set_level(LOG_LEVEL_ERROR);
}

/* Though it failed a moment ago, and was back. */
static void an_outage_that_goes_on_is_logged(void **state)
{
    (void)state;
    struct query *query = acquire("a");
    log_set_level(LOG_LEVEL_WARNING);
    recent_log_start();
    size_t before = count_warnings("connection failed");
    measure(query, 1);
    fail_in_flight(query);
    measure(query, 1);
    fail_in_flight(query);
    assert_int_equal(count_warnings("connection failed"), before + 1);
    for (int i = 0; i < 30; i++) {
        now_ms += 5000;
        refuse();
    }
    assert_int_equal(count_warnings("connection failed"), before + 2);
    log_set_level(LOG_LEVEL_ERROR);
}

static void a_client_that_is_replaced_for_its_silence_is_logged_once(void **state)
{
    (void)state;
    struct query *queries[] = {acquire("a"), acquire("b")};
    log_set_level(LOG_LEVEL_WARNING);
    recent_log_start();
    measure(queries[0], 1);
    now_ms += CONNECTION_PAUSE_MS;
    for (int round = 0; round < 2; round++) {
        if (round > 0) {
            connection_lost(&connection, NULL, now_ms);
            connect_now();
            now_ms++;
        }
        for (size_t i = 0; i < 2; i++) {
            demand(queries[i]);
            assert_ptr_equal(take(), queries[i]);
        }
        now_ms += 2000;
        for (size_t i = 0; i < 2; i++)
            end_with(queries[i], TASK_TIMED_OUT, "no answer");
        assert_int_equal(count_warnings("the client may have died in a pause: reconnecting"), 1);
        assert_int_equal(count_warnings("nothing is answered: reconnecting"), round);
    }
    log_set_level(LOG_LEVEL_ERROR);
}

static void a_query_that_timed_out_is_not_resent_by_another_client(void **state)
{
    (void)state;
    struct query *hanging = acquire("a");
    acquire("b");
    demand(hanging);
    connect_now();
    for (int i = 0; i < 5; i++) {
        assert_ptr_equal(take(), hanging);
        now_ms += 2000;
        end_with(hanging, TASK_TIMED_OUT, "no answer");
        assert_true(fails(hanging, "no answer"));
        assert_null(take());
        if (connection.must_replace_client) {
            connection_lost(&connection, NULL, now_ms);
            now_ms += 30000;
            connect_now();
        }
        now_ms += 30000;
    }
}

static void a_query_that_hangs_does_not_break_its_neighbours_clients(void **state)
{
    (void)state;
    struct query *hanging = acquire("a");
    struct query *good = acquire("b");
    measure(good, 1);
    demand(hanging);
    assert_ptr_equal(take(), hanging);
    now_ms += 2000;
    end_with(hanging, TASK_TIMED_OUT, "no answer");
    now_ms += CONNECTION_PAUSE_MS;
    demand(good);
    assert_non_null(take());
    assert_non_null(take()); /* both: the hanging one is due, too */
    lose("broken pipe");
    assert_true(value_of(good) == 1);
    connect_now();
    assert_ptr_equal(take(), good);
}

static void time_out(struct query *query)
{
    demand(query);
    assert_ptr_equal(take(), query);
    now_ms += 2000;
    end_with(query, TASK_TIMED_OUT, "no answer");
}

/* Those of a former client are none of this one's. */
static void a_new_client_has_all_its_time_outs(void **state)
{
    (void)state;
    struct query *queries[] = {acquire("a"), acquire("b")};
    demand(queries[0]);
    connect_now();
    for (int i = 0; i < 2; i++) {
        now_ms += 1;
        time_out(queries[i]);
        assert_int_equal(connection.must_replace_client, i == 1);
    }
    connection_lost(&connection, NULL, now_ms);
    now_ms += 30000;
    demand(queries[0]);
    connect_now();
    now_ms += 1;
    time_out(queries[0]);
    assert_false(connection.must_replace_client);
}

static void one_query_that_hangs_does_not_make_its_source_stuck(void **state)
{
    (void)state;
    _cleanup_(snapshot_done) struct snapshot snapshot = {0};
    struct query *hanging = acquire("a");
    struct query *good = acquire("b");
    demand(hanging);
    connect_now();
    assert_ptr_equal(take(), hanging);
    now_ms += CONNECTION_STUCK_MS;
    query_snapshot(good, &snapshot);
    assert_int_equal(snapshot.stuck_for_ms, 0);
    query_snapshot(hanging, &snapshot);
    assert_int_equal(snapshot.stuck_for_ms, CONNECTION_STUCK_MS);
}

/* Whoever else waits, too, need not wait any longer. */
static void several_queries_without_a_reply_make_their_source_stuck(void **state)
{
    (void)state;
    _cleanup_(snapshot_done) struct snapshot snapshot = {0};
    struct query *silent[] = {acquire("a"), acquire("b")};
    struct query *other = acquire("c");
    demand(silent[0]);
    demand(silent[1]);
    connect_now();
    assert_non_null(take());
    assert_non_null(take());
    now_ms += CONNECTION_STUCK_MS;
    query_snapshot(other, &snapshot);
    assert_int_equal(snapshot.stuck_for_ms, CONNECTION_STUCK_MS);
}

/* They took as long before. */
static void queries_that_are_slow_do_not_make_their_source_stuck(void **state)
{
    (void)state;
    enum { SLOW_MS = 4000 };
    _cleanup_(snapshot_done) struct snapshot snapshot = {0};
    struct query *slow[] = {acquire("a"), acquire("b")};
    struct query *other = acquire("c");
    for (int round = 0; round < 2; round++) {
        demand(slow[0]);
        demand(slow[1]);
        if (round == 0)
            connect_now();
        assert_non_null(take());
        assert_non_null(take());
        now_ms += SLOW_MS;
        for (int i = 0; round == 0 && i < 2; i++)
            answer(slow[i], 1);
    }
    now_ms += CONNECTION_STUCK_MS - SLOW_MS;
    query_snapshot(other, &snapshot);
    assert_int_equal(snapshot.stuck_for_ms, 0);
    now_ms += 2 * SLOW_MS - CONNECTION_STUCK_MS;
    query_snapshot(other, &snapshot);
    assert_int_equal(snapshot.stuck_for_ms, 2 * SLOW_MS);
}

static void a_query_that_was_released_in_flight_ends_with_its_client(void **state)
{
    (void)state;
    struct query *query = acquire("a");
    demand(query);
    connect_now();
    assert_ptr_equal(take(), query);
    query_end_use(query, 0, now_ms);
    lose("broken pipe");
    assert_int_equal(connection.stats.counts[COUNT_QUERIES], 0);
}

static void a_query_that_breaks_its_clients_is_spaced_out(void **state)
{
    (void)state;
    struct query *breaking = acquire("a");
    struct query *good = acquire("b");
    demand(breaking);
    for (int i = 0; i < 2; i++) {
        connect_now();
        assert_ptr_equal(take(), breaking);
        lose("broken pipe");
        now_ms += 250 * (int64_t)i; /* the connection's back-off */
    }
    connect_now();
    demand(good);
    demand(breaking);
    assert_ptr_equal(take(), good);
    assert_null(take());
    now_ms +=
        2 * (int64_t)
                SCHEDULE_RETRY_MIN_MS; /* with jitter, so that those that were lost together part */
    assert_ptr_equal(take(), breaking);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* A server's loop waits for the lock otherwise: 20,000 queries are 20 ms of work. */
enum { MANY = 2000, AT_MOST_AT_A_TIME = 500 };

static void hold_many(void)
{
    char name[16];
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "q%d", i);
        struct query *query = acquire(name);
        query_keep_recent_samples(query, 5000);
        demand(query);
    }
    connect_now();
    for (struct query *query; (query = take()) != NULL;)
        answer(query, 1);
}

static void many_queries_that_are_lost_do_not_keep_the_lock(void **state)
{
    (void)state;
    hold_many();
    for (struct query *query = connection.queries; query != NULL; query = query->hh.next)
        demand(query);
    while (take() != NULL)
        ;
    lose("connection reset");
    assert_true(pauses >= 2 * (MANY / AT_MOST_AT_A_TIME) - 1); /* and the history of all */
    assert_int_equal(connection.schedule.in_flight_count, 0);
    assert_int_equal(connection.stats.counts[COUNT_FAILING_QUERIES], MANY);
}

static void release_the_next(void)
{
    if (connection.next_walked != NULL)
        query_end_use(connection.next_walked, 0, now_ms);
}

static void queries_that_are_released_meanwhile_end_no_walk(void **state)
{
    (void)state;
    hold_many();
    on_pause = release_the_next;
    connection.state = CONNECTION_DISCONNECTED;
    for (struct query *query = connection.queries; query != NULL; query = query->hh.next)
        demand(query);
    refuse();
    size_t left = HASH_COUNT(connection.queries);
    assert_true(left < MANY && left >= MANY - MANY / AT_MOST_AT_A_TIME);
    now_ms += 10000;
    connect_now();
    for (struct query *query = connection.queries; query != NULL; query = query->hh.next) {
        assert_int_equal(query->outage.connection_failed_ms, connection.failed_since_ms);
        assert_true(query->recent->has_gap);
    }
}

static void remember_the_next(void)
{
    struct former_query former = {0};
    if (connection.next_walked == NULL)
        return;
    query_remember(connection.next_walked, &former);
    assert_true(former.recent.has_gap);
    assert_int_equal(former.snapshot.no_reading_since_ms, connection.failed_since_ms);
    former_query_done(&former);
}

/* The walk that notes the outage of each query has not come to it. */
static void
a_query_that_another_connection_takes_over_meanwhile_has_its_gap_and_outage(void **state)
{
    (void)state;
    hold_many();
    connection.state = CONNECTION_DISCONNECTED;
    demand(connection.queries);
    refuse();
    now_ms += 10000;
    on_pause = remember_the_next;
    connect_now();
    assert_true(pauses > 0);
}

static void others_come_and_go(void)
{
    for (struct query *query = connection.queries; query != NULL; query = query->hh.next) {
        query_begin_use(query, 0, now_ms);
        query_end_use(query, 0, now_ms);
    }
}

/* One failed, and the other is measured at an interval that is long. */
static void what_failed_with_a_connection_is_measured_after_it_whoever_comes_and_goes(void **state)
{
    (void)state;
    pause_after_each();
    struct query *failed = acquire("a");
    struct query *seldom = hold_each("b", HOUR_MS);
    measure(seldom, 1);
    while (take() != failed)
        demand(failed);
    lose("connection reset");
    now_ms += 10000;
    on_pause = others_come_and_go;
    connect_now();
    assert_true(pauses >= 2);
    assert_true(take() != NULL && take() != NULL);
    assert_int_equal(failed->job.state, JOB_IN_FLIGHT);
    assert_int_equal(seldom->job.state, JOB_IN_FLIGHT);
    others_come_and_go();
    answer(failed, 1);
    answer(seldom, 1);
    others_come_and_go();
    assert_null(take());
}

int main(void)
{
    log_init(LOG_LEVEL_ERROR, LOG_PLAIN);
    const struct CMUnitTest tests[] = {
        TEST(a_failed_query_fails_alone),
        TEST(a_failure_counts_from_the_first_unanswered_call),
        TEST(an_outage_goes_on_until_something_is_measured),
        TEST(a_failure_that_is_over_does_not_count_for_the_next_one),
        TEST(after_a_reconnect_what_only_polls_is_behind_the_others),
        TEST(after_a_second_reconnect_too),
        TEST(after_a_reconnect_a_call_comes_first),
        TEST(after_a_reconnect_a_call_comes_before_what_waited_before_the_outage),
        TEST(after_a_reconnect_a_call_comes_before_a_stream_that_was_never_measured),
        TEST(who_begins_to_want_it_after_a_reconnect_is_not_behind),
        TEST(an_outage_goes_on_in_the_query_that_takes_its_place),
        TEST(those_who_wait_for_a_connection_that_fails_are_notified_in_parts),
        TEST(a_task_that_begins_late_was_sent_then),
        TEST(a_failed_connection_fails_all_and_backs_off),
        TEST(a_source_that_answers_and_hangs_up_is_backed_off_from_for_a_second),
        TEST(a_source_that_hung_up_and_is_restarted_is_tried_at_once),
        TEST(what_cost_much_is_not_tried_again_soon),
        TEST(queries_that_failed_with_a_connection_are_measured_after_it),
        TEST(an_outage_is_no_sign_of_a_source_that_cannot_keep_up),
        TEST(time_without_a_client_is_no_delay),
        TEST(the_first_sample_after_an_outage_has_a_gap_before_it),
        TEST(a_failed_attempt_is_a_gap_between_two_samples),
        TEST(a_client_that_is_lost_after_it_answered_all_costs_no_reading),
        TEST(a_client_that_died_in_a_pause_is_replaced_before_anything_fails),
        TEST(a_query_is_resent_only_once),
        TEST(a_query_whose_client_was_replaced_may_be_resent),
        TEST(an_attempt_under_way_is_counted_when_it_ends),
        TEST(what_does_not_start_is_no_refusal_of_the_source),
        TEST(an_attempt_that_nobody_needs_is_neither_counted_nor_failed),
        TEST(a_client_reconnects_after_a_refused_lost_or_replaced_one),
        TEST(a_client_reconnects_after_one_that_ended_before_it_answered),
        TEST(a_source_that_hung_up_and_refuses_is_logged_as_failed),
        TEST(it_is_back_when_the_source_answers),
        TEST(a_line_says_how_often_the_source_failed_since_the_last_one),
        TEST(a_source_that_comes_and_goes_is_logged_each_minute),
        TEST(an_outage_that_goes_on_is_logged),
        TEST(a_client_that_is_replaced_for_its_silence_is_logged_once),
        TEST(a_query_that_timed_out_is_not_resent_by_another_client),
        TEST(a_query_that_hangs_does_not_break_its_neighbours_clients),
        TEST(a_new_client_has_all_its_time_outs),
        TEST(one_query_that_hangs_does_not_make_its_source_stuck),
        TEST(several_queries_without_a_reply_make_their_source_stuck),
        TEST(queries_that_are_slow_do_not_make_their_source_stuck),
        TEST(a_query_that_was_released_in_flight_ends_with_its_client),
        TEST(a_query_that_breaks_its_clients_is_spaced_out),
        TEST(many_queries_that_are_lost_do_not_keep_the_lock),
        TEST(queries_that_are_released_meanwhile_end_no_walk),
        TEST(a_query_that_another_connection_takes_over_meanwhile_has_its_gap_and_outage),
        TEST(what_failed_with_a_connection_is_measured_after_it_whoever_comes_and_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
