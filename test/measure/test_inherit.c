/* What a query has from the one whose place it takes. */
#include "base/log.h"
#include "base/memory.h"
#include "measure/connection/inherit.h"
#include "measure/connection_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

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

static bool is_outdated(const struct query *query)
{
    _cleanup_(snapshot_done) struct snapshot snapshot = {0};
    query_snapshot(query, &snapshot);
    return snapshot.known.is_outdated;
}

/* Measures the query as idle, subscribes to it, and notifies it. */
static void notify(struct query *query)
{
    struct watcher watcher = {0};
    measure(query, 0);
    watcher_start(&watcher, query, true);
    watcher_set_idle_interval(&watcher, 200);
    now_ms += PUSH_GATHER_MS;
    assert_ptr_equal(take(), query);
    task_subscribed(&query->task);
    answer(query, 0);
    now_ms += 100;
    connection_notify(&connection, query->push.id, now_ms * 1000);
    watcher_stop(&watcher);
    assert_true(is_outdated(query));
}

/* As after a rotation, just when the first message comes. */
static void a_notification_outdates_what_the_heir_has_in_flight(void **state)
{
    (void)state;
    _cleanup_(former_query_done) struct former_query former = {0};
    struct query *query = acquire("a");
    struct query *heir = acquire("b");
    demand(heir);
    connect_now();
    assert_ptr_equal(take(), heir);
    notify(query);
    query_remember(query, &former);
    query_inherit(heir, &former);
    assert_true(is_outdated(heir));
    now_ms++;
    connection_query_started(heir, now_ms * 1000); /* one of its requests did before, maybe */
    answer(heir, 0);
    assert_true(is_outdated(heir));
    measure(query, 1);
    measure(heir, 1);
    assert_false(is_outdated(heir));
}

static void a_notification_outdates_an_earlier_reading_of_the_heir(void **state)
{
    (void)state;
    _cleanup_(former_query_done) struct former_query former = {0};
    struct query *query = acquire("a");
    struct query *heir = acquire("b");
    measure(heir, 0);
    notify(query);
    query_remember(query, &former);
    query_inherit(heir, &former);
    assert_true(is_outdated(heir));
    measure(query, 1);
    measure(heir, 1);
    query_inherit(heir, &former);
    assert_false(is_outdated(heir));
}

static void it_does_though_that_reading_was_started_later(void **state)
{
    (void)state;
    _cleanup_(former_query_done) struct former_query former = {0};
    struct query *query = acquire("a");
    struct query *heir = acquire("b");
    demand(heir);
    connect_now();
    assert_ptr_equal(take(), heir);
    notify(query);
    now_ms++;
    connection_query_started(heir, now_ms * 1000);
    answer(heir, 0);
    query_remember(query, &former);
    query_inherit(heir, &former);
    assert_true(is_outdated(heir));
}

/* Of two queries that one query replaces, the first was notified, and the second has a reading. */
static void a_notification_outdates_what_the_heir_gets_of_another_query(void **state)
{
    (void)state;
    _cleanup_(former_query_done) struct former_query notified = {0};
    _cleanup_(former_query_done) struct former_query measured = {0};
    struct query *query = acquire("a");
    struct query *other = acquire("b");
    struct query *heir = acquire("c");
    measure(other, 0);
    notify(query);
    query_remember(query, &notified);
    query_remember(other, &measured);
    notified.snapshot.known.is_measured = false; /* its first measurement subscribed */
    query_inherit(heir, &notified);
    query_inherit(heir, &measured);
    assert_true(is_outdated(heir));
}

static void a_notification_outdates_no_later_reading_of_the_heir(void **state)
{
    (void)state;
    _cleanup_(former_query_done) struct former_query former = {0};
    struct query *query = acquire("a");
    struct query *heir = acquire("b");
    struct query *measured = acquire("c");
    notify(query);
    measure(query, 1);
    measure(measured, 1);
    assert_false(is_outdated(query));
    query_remember(query, &former);
    query_inherit(heir, &former);
    assert_false(is_outdated(heir)); /* with the reading of the former query */
    query_inherit(measured, &former);
    assert_false(is_outdated(measured));
}

int main(void)
{
    log_init(LOG_LEVEL_ERROR, LOG_PLAIN);
    const struct CMUnitTest tests[] = {
        TEST(an_inherited_reading_is_used_until_there_is_a_newer_one),
        TEST(an_heir_of_a_failed_connection_is_measured_by_the_next_call),
        TEST(an_heir_that_is_idle_is_not_late),
        TEST(a_notification_outdates_what_the_heir_has_in_flight),
        TEST(a_notification_outdates_an_earlier_reading_of_the_heir),
        TEST(it_does_though_that_reading_was_started_later),
        TEST(a_notification_outdates_what_the_heir_gets_of_another_query),
        TEST(a_notification_outdates_no_later_reading_of_the_heir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
