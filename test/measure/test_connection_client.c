/* When a client is made, and what it costs to lose one. */
#include "base/log.h"
#include "base/memory.h"
#include "measure/connection_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

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
        measure(query, 1);
        demand(other);
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

static void a_client_that_is_lost_after_it_answered_all_costs_no_reading(void **state)
{
    (void)state;
    struct query *query = acquire("a");
    measure(query, 1);
    lose("broken pipe");
    assert_true(value_of(query) == 1);
}

/* The query is in flight, on a client that may have died before. */
static struct query *send_after_pause(void)
{
    struct query *query = acquire("a");
    measure(query, 1);
    now_ms += CONNECTION_PAUSE_MS;
    demand(query);
    assert_ptr_equal(take(), query);
    return query;
}

static void a_client_that_died_in_a_pause_is_replaced_before_anything_fails(void **state)
{
    (void)state;
    struct query *query = send_after_pause();
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
    struct query *query = send_after_pause();
    lose("broken pipe");
    assert_true(value_of(query) == 1);
    connect_now();
    now_ms += CONNECTION_PAUSE_MS; /* it waits for its turn */
    assert_ptr_equal(take(), query);
    lose("broken pipe");
    assert_true(fails(query, "broken pipe"));
}

static void a_query_that_failed_after_it_was_resent_may_be_resent_again(void **state)
{
    (void)state;
    struct query *query = send_after_pause();
    lose("broken pipe");
    connect_now();
    assert_ptr_equal(take(), query);
    lose("broken pipe");
    assert_true(fails(query, "broken pipe"));
    now_ms += 10000;
    connect_now();
    demand(query);
    now_ms += CONNECTION_PAUSE_MS; /* it waits for its turn */
    assert_ptr_equal(take(), query);
    lose("broken pipe");
    assert_int_equal(query->job.state, JOB_READY);
    assert_int_equal(connection.state, CONNECTION_DISCONNECTED);
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
    _cleanup_(error_done) struct error error = {0};
    struct query *query = acquire("a");
    error_set(&error, ERROR_CANCELLED, "nobody needs it any more");
    demand(query);
    connection_connecting(&connection);
    connection_refused(&connection, &error, now_ms);
    assert_int_equal(connection.stats.counts[COUNT_FAILED_CONNECTS], 0);
    assert_false(fails(query, ""));
    assert_true(connection_wants_client(&connection, now_ms)); /* for who needs it next */
    refuse();
    now_ms = connection.backoff.retry_at_ms;
    connection_connecting(&connection);
    connection_refused(&connection, &error, now_ms);
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

/* The first query is sent in the millisecond in which its client connected. A reply of that
 * millisecond came before another query was sent. */
static void a_time_out_counts_whenever_its_query_was_sent(void **state)
{
    (void)state;
    struct query *query = acquire("a");
    demand(query);
    connect_now();
    time_out(query);
    assert_true(connection.must_replace_client);
    connection_lost(&connection, NULL, now_ms);
    now_ms += SCHEDULE_RETRY_MAX_MS;
    measure(query, 1);
    time_out(query);
    assert_true(connection.must_replace_client);
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
        demand(breaking);
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

int main(void)
{
    log_init(LOG_LEVEL_ERROR, LOG_PLAIN);
    const struct CMUnitTest tests[] = {
        TEST(a_failed_connection_fails_all_and_backs_off),
        TEST(a_source_that_answers_and_hangs_up_is_backed_off_from_for_a_second),
        TEST(a_source_that_hung_up_and_is_restarted_is_tried_at_once),
        TEST(what_cost_much_is_not_tried_again_soon),
        TEST(a_client_that_is_lost_after_it_answered_all_costs_no_reading),
        TEST(a_client_that_died_in_a_pause_is_replaced_before_anything_fails),
        TEST(a_query_is_resent_only_once),
        TEST(a_query_that_failed_after_it_was_resent_may_be_resent_again),
        TEST(a_query_whose_client_was_replaced_may_be_resent),
        TEST(an_attempt_under_way_is_counted_when_it_ends),
        TEST(what_does_not_start_is_no_refusal_of_the_source),
        TEST(an_attempt_that_nobody_needs_is_neither_counted_nor_failed),
        TEST(a_client_reconnects_after_a_refused_lost_or_replaced_one),
        TEST(a_client_reconnects_after_one_that_ended_before_it_answered),
        TEST(a_query_that_timed_out_is_not_resent_by_another_client),
        TEST(a_query_that_hangs_does_not_break_its_neighbours_clients),
        TEST(a_time_out_counts_whenever_its_query_was_sent),
        TEST(a_new_client_has_all_its_time_outs),
        TEST(a_query_that_was_released_in_flight_ends_with_its_client),
        TEST(a_query_that_breaks_its_clients_is_spaced_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
