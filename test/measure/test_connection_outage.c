/* An outage of a connection: what is measured first when it is over. */
#include "base/log.h"
#include "base/memory.h"
#include "base/recent_log.h"
#include "measure/connection/query_internal.h"
#include "measure/connection_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

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
    assert_null(take()); /* the next call has it measured */
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

/* It was active, and would be measured half a minute later otherwise. */
static void after_a_reconnect_what_a_stream_watches_is_due(void **state)
{
    (void)state;
    struct watcher watcher = {0};
    struct query *query = acquire("a");
    struct query *other = acquire("b");
    watcher_start(&watcher, query, true);
    measure(query, 7);
    measure(other, 1);
    now_ms += 1000;
    demand(other);
    assert_ptr_equal(take(), other);
    lose("connection reset");
    now_ms += 1000;
    connect_now();
    assert_ptr_equal(take(), query);
    assert_null(take()); /* what only polls is measured by the next one */
    answer(query, 0);
    watcher_stop(&watcher);
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

static void pass_over(struct follower *follower, const struct recent_samples *recent)
{
    (void)follower;
    (void)recent;
}

static bool has_two_and_a_gap(const struct query *query)
{
    struct recent_samples recent;
    history_recent(query->history, &recent);
    return recent.count == 2 && recent.samples[1].is_after_gap;
}

/* Whenever its samples began: nobody knows how fast messages came during the outage. */
static void the_first_sample_after_an_outage_has_a_gap_before_it(void **state)
{
    (void)state;
    struct query *kept = acquire("kept");
    struct query *late = acquire("late");
    query_keep_history(kept, 5000);
    measure(kept, 1);
    measure(late, 1);
    demand(kept);
    assert_ptr_equal(take(), kept);
    lose("broken pipe");

    struct former_query former = {0};
    query_remember(kept, &former);
    assert_true(former.history->has_gap); /* another connection may measure it next */
    struct query *heir = acquire("heir");
    query_keep_history(heir, 5000);
    former.history->has_gap = false; /* of before the outage */
    query_take(heir, &former);
    former_query_done(&former);
    struct follower follower = {.on_reading = pass_over};
    query_keep_history(late, 5000);
    follower_start(late, &follower); /* takes the reading of before the outage */
    assert_int_equal(late->history->last.at_ms, late->known.sent_ms);

    now_ms += 1000;
    measure(kept, 2);
    measure(late, 2);
    measure(heir, 2);
    assert_true(has_two_and_a_gap(kept));
    assert_true(has_two_and_a_gap(late));
    assert_true(has_two_and_a_gap(heir));
    follower_stop(&follower);
}

static void a_failed_attempt_is_a_gap_between_two_samples(void **state)
{
    (void)state;
    struct query *query = acquire("a");
    query_keep_history(query, 5000);
    measure(query, 1);
    demand(query);
    assert_ptr_equal(take(), query);
    end_with(query, TASK_FAILED, "there is none");
    now_ms += 1000;
    measure(query, 2);
    assert_true(has_two_and_a_gap(query));
}

int main(void)
{
    log_init(LOG_LEVEL_ERROR, LOG_PLAIN);
    const struct CMUnitTest tests[] = {
        TEST(after_a_reconnect_a_call_comes_first),
        TEST(after_a_reconnect_a_call_comes_before_what_waited_before_the_outage),
        TEST(after_a_reconnect_a_call_comes_before_a_stream_that_was_never_measured),
        TEST(after_a_reconnect_what_a_stream_watches_is_due),
        TEST(an_outage_is_no_sign_of_a_source_that_cannot_keep_up),
        TEST(the_first_sample_after_an_outage_has_a_gap_before_it),
        TEST(a_failed_attempt_is_a_gap_between_two_samples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
