/* What a connection makes of the ends of its queries, and when a source counts as stuck. */
#include "base/log.h"
#include "base/memory.h"
#include "base/recent_log.h"
#include "measure/connection_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
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
    answer(query, 1);
    assert_int_equal(query->known.began_at_us, now_ms * 1000);
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

int main(void)
{
    log_init(LOG_LEVEL_ERROR, LOG_PLAIN);
    const struct CMUnitTest tests[] = {
        TEST(a_failed_query_fails_alone),
        TEST(a_task_that_begins_late_was_sent_then),
        TEST(time_without_a_client_is_no_delay),
        TEST(one_query_that_hangs_does_not_make_its_source_stuck),
        TEST(several_queries_without_a_reply_make_their_source_stuck),
        TEST(queries_that_are_slow_do_not_make_their_source_stuck),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
