/* Work on all queries of a connection, in whose pauses others have the lock. */
#include "base/log.h"
#include "base/memory.h"
#include "measure/connection/query_internal.h"
#include "measure/connection_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

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

/* A server's loop waits for the lock otherwise: 20,000 queries are 20 ms of work. */
enum { MANY = 2000, AT_MOST_AT_A_TIME = 500 };

static void hold_many(void)
{
    char name[16];
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "q%d", i);
        struct query *query = acquire(name);
        query_keep_history(query, 5000);
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

static size_t ready_before; /* the last pause */
static size_t most_became_ready;

static size_t count_ready(void)
{
    const size_t *counts = connection.schedule.ready_count;
    size_t ready = 0;
    for (int i = 0; i < JOB_CLASSES; i++)
        ready += counts[i];
    return ready;
}

static void count_ready_since(void)
{
    size_t ready = count_ready();
    if (ready - ready_before > most_became_ready)
        most_became_ready = ready - ready_before;
    ready_before = ready;
}

static void many_queries_that_are_due_together_do_not_keep_the_lock(void **state)
{
    (void)state;
    enum { EACH_MS = 5000 };
    hold_many();
    for (struct query *query = connection.queries; query != NULL; query = query->hh.next)
        query_begin_use(query, EACH_MS, now_ms);
    now_ms += EACH_MS;
    ready_before = most_became_ready = pauses = 0;
    on_pause = count_ready_since;
    assert_int_equal(connection_advance(&connection), now_ms * 1000);
    count_ready_since();
    assert_int_equal(count_ready(), MANY);
    assert_int_equal(most_became_ready, AT_MOST_AT_A_TIME);
    assert_true(pauses >= MANY / AT_MOST_AT_A_TIME - 1);
    assert_int_equal(connection.schedule.scheduled.count, 0); /* none is left for the next call */
}

static size_t due_before; /* the last pause */
static size_t most_became_due;

static void count_due_since(void)
{
    size_t due = connection.schedule.scheduled.count + count_ready();
    if (due - due_before > most_became_due)
        most_became_due = due - due_before;
    due_before = due;
}

/* Of a bundle of MANY, none of which is fresh. */
static struct query *take_one_of_bundle(void)
{
    bundle_all(true);
    hold_many();
    now_ms += HOUR_MS;
    struct query *first = connection.queries;
    demand(first);
    assert_ptr_equal(take(), first);
    return first;
}

static void many_queries_of_one_bundle_do_not_keep_the_lock(void **state)
{
    (void)state;
    struct query *first = take_one_of_bundle();
    due_before = most_became_due = 0;
    count_due_since();
    on_pause = count_due_since;
    assert_int_equal(connection_advance(&connection), now_ms * 1000);
    count_due_since();
    assert_int_equal(count_ready(), MANY - 1);
    assert_int_equal(most_became_due, AT_MOST_AT_A_TIME);
    answer(first, 1);
}

static void let_a_second_pass(void)
{
    now_ms += 1000;
}

static void what_a_bundle_takes_along_is_due_since_its_first_query_was_taken(void **state)
{
    (void)state;
    bundle_all(false);
    struct query *first = acquire("a");
    const struct query *others[] = {acquire("b"), acquire("c")};
    demand(first);
    connect_now();
    assert_ptr_equal(take(), first);
    int64_t taken_ms = now_ms;
    pause_after_each();
    on_pause = let_a_second_pass;
    connection_advance(&connection);
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++) {
        assert_int_equal(others[i]->job.state, JOB_READY);
        assert_int_equal(others[i]->job.due_ms, taken_ms);
    }
    answer(first, 1);
}

static struct query *due_meanwhile;

static void make_another_due(void)
{
    now_ms += 1;
    if (due_meanwhile == NULL)
        due_meanwhile = hold_each("due meanwhile", HOUR_MS);
}

static void what_becomes_due_in_a_pause_is_ready_after_it(void **state)
{
    (void)state;
    measure(acquire("a"), 1);
    struct query *due = hold_each("due", HOUR_MS);
    pause_after_each();
    due_meanwhile = NULL;
    on_pause = make_another_due;
    int64_t now_us = connection_advance(&connection);
    assert_int_equal(now_us, now_ms * 1000);
    assert_non_null(due_meanwhile);
    assert_int_equal(due_meanwhile->job.state, JOB_READY);
    assert_ptr_equal(take(), due);
    assert_ptr_equal(take(), due_meanwhile);
}

static void release_the_next_along(void)
{
    if (connection.next_along != NULL)
        query_end_use(connection.next_along, 0, now_ms);
}

static void queries_of_a_bundle_that_are_released_meanwhile_end_no_walk(void **state)
{
    (void)state;
    struct query *first = take_one_of_bundle();
    on_pause = release_the_next_along;
    connection_advance(&connection);
    size_t left = HASH_COUNT(connection.queries);
    assert_true(left < MANY && left >= MANY - MANY / AT_MOST_AT_A_TIME);
    assert_int_equal(count_ready(), left - 1);
    answer(first, 1);
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
    for (struct query *query = connection.queries; query != NULL; query = query->hh.next)
        assert_true(query->history->has_gap);
}

static void copy_the_next(void)
{
    struct former_query former = {0};
    if (connection.next_walked == NULL)
        return;
    query_remember(connection.next_walked, &former);
    assert_true(former.history->has_gap);
    former_query_done(&former);
}

/* The walk that notes the gap of each query has not come to it. */
static void a_query_that_another_connection_takes_over_meanwhile_has_its_gap(void **state)
{
    (void)state;
    hold_many();
    connection.state = CONNECTION_DISCONNECTED;
    demand(connection.queries);
    refuse();
    now_ms += 10000;
    on_pause = copy_the_next;
    connect_now();
    assert_true(pauses > 0);
}

int main(void)
{
    log_init(LOG_LEVEL_ERROR, LOG_PLAIN);
    const struct CMUnitTest tests[] = {
        TEST(those_who_wait_for_a_connection_that_fails_are_notified_in_parts),
        TEST(many_queries_that_are_lost_do_not_keep_the_lock),
        TEST(many_queries_that_are_due_together_do_not_keep_the_lock),
        TEST(many_queries_of_one_bundle_do_not_keep_the_lock),
        TEST(what_a_bundle_takes_along_is_due_since_its_first_query_was_taken),
        TEST(what_becomes_due_in_a_pause_is_ready_after_it),
        TEST(queries_of_a_bundle_that_are_released_meanwhile_end_no_walk),
        TEST(queries_that_are_released_meanwhile_end_no_walk),
        TEST(a_query_that_another_connection_takes_over_meanwhile_has_its_gap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
