/* When a reading of 0 counts: of a source that may report 0 whatever waits, after a restart or an
 * election. */
#include "base/memory.h"
#include "measure/connection/query_internal.h"
#include "measure/connection_fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

enum { SETTLES_MS = 500 };

static struct scaler lying;

static int set_up_lying(void **state)
{
    set_up(state);
    lying = connection_scaler;
    lying.zero_settles_ms = SETTLES_MS;
    connection.scaler = &lying;
    return 0;
}

#define ZERO_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_lying, tear_down)

/* What was taken is answered with so many messages. */
static void answer_counts(struct query *query, double waiting, double in_flight)
{
    struct reading reading = READING_UNKNOWN;
    reading.waiting = waiting;
    reading.in_flight = in_flight;
    query->task.has_ended = true;
    connection_query_ended(query, TASK_ANSWERED, &reading, NULL, now_ms * 1000);
}

static void measure_counts(struct query *query, double waiting, double in_flight)
{
    demand(query);
    if (connection.state != CONNECTION_CONNECTED)
        connect_now();
    assert_ptr_equal(take(), query);
    answer_counts(query, waiting, in_flight);
}

/* Of a queue of which only that is known. */
static void measure_waiting(struct query *query, double waiting)
{
    measure_counts(query, waiting, NAN);
}

/* It is sent by itself, as it is due. */
static void measure_when_due(struct query *query, double waiting)
{
    assert_int_equal(connection_next_ms(&connection, now_ms), now_ms);
    assert_ptr_equal(take(), query);
    answer_counts(query, waiting, NAN);
}

/* The reading that is known, and whether calls may be answered by it. */
static void assert_known(const struct query *query, double waiting, bool is_outdated)
{
    _cleanup_(snapshot_done) struct snapshot snapshot = {0};
    query_snapshot(query, &snapshot);
    assert_true(snapshot.known.is_measured);
    assert_true(snapshot.known.reading.waiting == waiting);
    assert_int_equal(snapshot.known.is_outdated, is_outdated);
}

static bool is_measured(const struct query *query)
{
    _cleanup_(snapshot_done) struct snapshot snapshot = {0};
    query_snapshot(query, &snapshot);
    return snapshot.known.is_measured;
}

static int64_t zero_since_ms(const struct query *query)
{
    _cleanup_(snapshot_done) struct snapshot snapshot = {0};
    query_snapshot(query, &snapshot);
    return snapshot.zero_since_ms;
}

/* A query on a client that is older than zeros take to settle; it is not measured yet. */
static struct query *acquire_late(const char *item)
{
    struct query *other = acquire("other");
    measure_waiting(other, 1);
    now_ms += SETTLES_MS;
    return acquire(item);
}

static void a_zero_after_more_is_confirmed_first(void **state)
{
    (void)state;
    struct query *query = acquire("a");
    measure_waiting(query, 7);
    int64_t sent_ms = now_ms += HOUR_MS;
    measure_waiting(query, 0);
    assert_known(query, 7, true);
    assert_int_equal(zero_since_ms(query), sent_ms);
    assert_int_equal(connection.stats.counts[COUNT_ANSWERED], 2); /* the connection works */
    assert_int_equal(connection_next_ms(&connection, now_ms), sent_ms + SETTLES_MS);
    now_ms = sent_ms + SETTLES_MS - 1;
    assert_null(take());
    now_ms++;
    measure_when_due(query, 0);
    assert_known(query, 0, false);
    assert_int_equal(zero_since_ms(query), 0);
    assert_int_equal(connection_next_ms(&connection, now_ms), CLOCK_NEVER);
}

/* Nothing tells them of a 0 that may be none; a call goes on waiting. */
static void who_waits_is_notified_once_the_zero_counts(void **state)
{
    (void)state;
    struct query *query = acquire("a");
    measure_waiting(query, 7);
    struct watcher watcher = {0};
    watcher_start(&watcher, query, false);
    measure_waiting(query, 0);
    assert_int_equal(news, 0);
    now_ms += SETTLES_MS;
    measure_when_due(query, 0);
    assert_int_equal(news, 1);
    watcher_stop(&watcher);
}

static void a_call_in_between_confirms_nothing(void **state)
{
    (void)state;
    struct query *query = acquire("a");
    measure_waiting(query, 7);
    measure_waiting(query, 0);
    now_ms += SETTLES_MS - 1;
    measure_waiting(query, 0);
    assert_known(query, 7, true);
    now_ms++;
    measure_when_due(query, 0);
    assert_known(query, 0, false);
}

/* The 0 that was in flight then does not confirm itself, however late it comes. */
static void it_is_the_sending_that_counts(void **state)
{
    (void)state;
    struct query *query = acquire("a");
    measure_waiting(query, 7);
    measure_waiting(query, 0);
    now_ms += SETTLES_MS - 1;
    demand(query);
    assert_ptr_equal(take(), query);
    now_ms += SETTLES_MS;
    answer_counts(query, 0, NAN);
    assert_known(query, 7, true);
}

/* The source may have begun to report 0 just before the first one came. */
static void the_first_zero_counts_from_its_arrival(void **state)
{
    enum { LONG_MS = 400 };
    (void)state;
    struct query *query = acquire("a");
    measure_waiting(query, 7);
    demand(query);
    assert_ptr_equal(take(), query);
    now_ms += LONG_MS;
    answer_counts(query, 0, NAN);
    now_ms += SETTLES_MS - 1;
    measure_waiting(query, 0);
    assert_known(query, 7, true);
    now_ms++;
    measure_when_due(query, 0);
    assert_known(query, 0, false);
}

static void more_in_between_counts_at_once(void **state)
{
    (void)state;
    struct query *query = acquire("a");
    measure_waiting(query, 7);
    measure_waiting(query, 0);
    now_ms += SETTLES_MS - 100;
    measure_waiting(query, 3);
    assert_known(query, 3, false);
    assert_int_equal(zero_since_ms(query), 0);
    assert_int_equal(connection_next_ms(&connection, now_ms), CLOCK_NEVER);
    now_ms += 200;
    measure_waiting(query, 0); /* the first one again */
    assert_known(query, 3, true);
}

static void more_when_it_is_to_be_confirmed_counts_at_once(void **state)
{
    (void)state;
    struct query *query = acquire("a");
    measure_waiting(query, 7);
    measure_waiting(query, 0);
    now_ms += SETTLES_MS;
    measure_when_due(query, 7);
    assert_known(query, 7, false);
}

static void a_zero_on_a_new_client_is_confirmed_first(void **state)
{
    (void)state;
    struct query *query = acquire("a");
    measure_waiting(query, 0);
    assert_false(is_measured(query));
    now_ms += SETTLES_MS; /* the client is no longer new, but this 0 was the second */
    measure_when_due(query, 0);
    assert_known(query, 0, false);
    now_ms += 100;
    measure_waiting(query, 0);
    assert_known(query, 0, false);
}

static void a_zero_that_was_known_is_confirmed_on_a_new_client(void **state)
{
    (void)state;
    struct query *query = acquire_late("a");
    measure_waiting(query, 0);
    assert_known(query, 0, false);
    lose("reset");
    now_ms += HOUR_MS;
    measure_waiting(query, 0);
    assert_known(query, 0, true);
    now_ms += SETTLES_MS;
    measure_when_due(query, 0);
    assert_known(query, 0, false);
}

static void the_first_zero_of_a_new_query_counts_at_once_on_an_old_client(void **state)
{
    (void)state;
    struct query *query = acquire_late("a");
    measure_waiting(query, 0);
    assert_known(query, 0, false);
}

static void more_on_a_new_client_counts_at_once(void **state)
{
    (void)state;
    struct query *query = acquire("a");
    measure_counts(query, 7, 0);
    assert_known(query, 7, false);
    measure_counts(query, 7, 2);
    assert_known(query, 7, false);
}

static void a_client_that_is_lost_in_between_confirms_nothing(void **state)
{
    (void)state;
    struct query *query = acquire("a");
    measure_waiting(query, 7);
    measure_waiting(query, 0);
    now_ms += 100;
    lose("reset");
    now_ms += SETTLES_MS;
    connect_now(); /* by itself: the query is due */
    measure_when_due(query, 0);
    assert_known(query, 7, true);
    now_ms += SETTLES_MS - 1;
    assert_null(take());
    now_ms++;
    measure_when_due(query, 0);
    assert_known(query, 0, false);
}

/* ... were the second 0 sent when that client is no longer new. */
static void a_zero_of_another_client_is_not_the_first(void **state)
{
    (void)state;
    struct query *query = acquire("a");
    measure_waiting(query, 0);
    now_ms += 100;
    lose("reset");
    measure_waiting(acquire("b"), 1); /* connects */
    now_ms += HOUR_MS;
    measure_when_due(query, 0);
    assert_false(is_measured(query));
    now_ms += SETTLES_MS;
    measure_when_due(query, 0);
    assert_known(query, 0, false);
}

static void a_failure_in_between_confirms_nothing(void **state)
{
    (void)state;
    struct query *query = acquire_late("a");
    measure_waiting(query, 7);
    measure_waiting(query, 0);
    now_ms += 100;
    demand(query);
    assert_ptr_equal(take(), query);
    end_with(query, TASK_FAILED, "no leader");
    assert_true(fails(query, "no leader"));
    assert_int_equal(zero_since_ms(query), 0);
    now_ms += SETTLES_MS;
    measure_waiting(query, 0);
    assert_true(fails(query, "no leader")); /* until a reading counts */
    assert_known(query, 7, true);
    now_ms += SETTLES_MS;
    measure_when_due(query, 0);
    assert_known(query, 0, false);
    assert_false(fails(query, ""));
}

static void the_first_zero_after_a_failure_is_confirmed(void **state)
{
    (void)state;
    struct query *query = acquire_late("a");
    demand(query);
    assert_ptr_equal(take(), query);
    end_with(query, TASK_FAILED, "no leader");
    now_ms += HOUR_MS;
    measure_waiting(query, 0);
    assert_false(is_measured(query));
    now_ms += SETTLES_MS;
    measure_when_due(query, 0);
    assert_known(query, 0, false);
}

/* A value may be of either count, or of both. */
static void each_count_that_becomes_zero_is_confirmed(void **state)
{
    (void)state;
    static const struct {
        double before[2], now[2];
        bool counts;
    } rows[] = {
        {{0, 6}, {0, 0}, false},  {{4, 2}, {4, 0}, false}, {{4, 2}, {0, 2}, false},
        {{4, 2}, {0, 0}, false},  {{4, 0}, {0, 3}, false}, {{4, 0}, {1, 0}, true},
        {{0, 6}, {0, 1}, true},   {{0, 6}, {3, 0}, false}, {{4, NAN}, {1, NAN}, true},
        {{4, NAN}, {1, 0}, true}, {{4, 2}, {3, 1}, true},  {{4, NAN}, {0, NAN}, false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct query *query = acquire("a");
        const double *before = rows[i].before;
        const double *now = rows[i].now;
        measure_counts(query, before[0], before[1]);
        measure_counts(query, now[0], now[1]);
        assert_known(query, rows[i].counts ? now[0] : before[0], !rows[i].counts);
        now_ms += SETTLES_MS;
        measure_counts(query, now[0], now[1]);
        assert_known(query, now[0], false);
        query_end_use(query, 0, now_ms);
    }
}

/* Of what is in flight nothing was in doubt before. */
static void another_count_begins_another_doubt(void **state)
{
    (void)state;
    struct query *query = acquire("a");
    measure_counts(query, 4, 2);
    measure_counts(query, 0, 2);
    now_ms += SETTLES_MS;
    measure_counts(query, 0, 0);
    assert_known(query, 4, true);
    now_ms += SETTLES_MS;
    measure_counts(query, 0, 0);
    assert_known(query, 0, false);
}

/* It is a measurement of its own: what was measured before it is outdated, 0 or not. */
static void a_notification_in_between_confirms_nothing(void **state)
{
    (void)state;
    struct query *query = acquire("a");
    measure_waiting(query, 7);
    struct watcher stream = {0};
    watcher_start(&stream, query, true);
    watcher_set_idle_interval(&stream, 250);
    now_ms += PUSH_GATHER_MS;
    assert_ptr_equal(take(), query);
    uint64_t id = query->task.notifier.id;
    assert_true(id > 0);
    task_subscribed(&query->task);
    answer_counts(query, 0, NAN);
    assert_true(query->is_subscribed);
    now_ms += 100;
    connection_notify(&connection, id, now_ms * 1000);
    measure_when_due(query, 0);
    assert_known(query, 7, true);
    now_ms += 5; /* as after each notification */
    measure_when_due(query, 3);
    assert_known(query, 3, false);
    watcher_stop(&stream);
}

static void a_subscription_stays_while_a_zero_is_confirmed(void **state)
{
    (void)state;
    struct query *query = acquire("a");
    measure_waiting(query, 7);
    struct watcher stream = {0};
    watcher_start(&stream, query, true);
    watcher_set_idle_interval(&stream, 250);
    now_ms += PUSH_GATHER_MS;
    assert_ptr_equal(take(), query);
    task_subscribed(&query->task);
    answer_counts(query, 0, NAN);
    now_ms += SETTLES_MS;
    measure_when_due(query, 0);
    assert_known(query, 0, false);
    assert_true(query->is_subscribed);
    assert_int_equal(connection.stats.counts[COUNT_SUBSCRIBED_QUERIES], 1);
    watcher_stop(&stream);
}

static void count_reading(struct follower *follower, const struct recent_samples *recent)
{
    int *count = follower->context;
    assert_true(recent->samples[recent->count - 1].reading.waiting == (*count == 0 ? 7 : 0));
    (*count)++;
}

static void no_policy_and_no_history_sees_a_zero_that_does_not_count(void **state)
{
    (void)state;
    int count = 0;
    struct follower follower = {.on_reading = count_reading, .context = &count};
    struct history_sample *samples = NULL;
    struct query *query = acquire("a");
    query_keep_history(query, 100);
    follower_start(query, &follower);
    measure_waiting(query, 7);
    now_ms += 1000;
    measure_waiting(query, 0);
    assert_int_equal(count, 1);
    assert_int_equal(query_history(query, 0, &samples), 1);
    free(samples);
    now_ms += SETTLES_MS;
    measure_when_due(query, 0);
    assert_int_equal(count, 2);
    assert_int_equal(query_history(query, 0, &samples), 2);
    free(samples);
    follower_stop(&follower);
    query_end_history(query, 100);
}

static void a_bundle_may_bring_it_along_and_confirms_nothing_too_early(void **state)
{
    enum { LONG_MS = 10 * SETTLES_MS, EARLIER_MS = 100 };
    (void)state;
    static struct scaler listing;
    bundle_all(true);
    listing = *connection.scaler;
    listing.zero_settles_ms = LONG_MS;
    connection.scaler = &listing;
    struct query *query = acquire("a");
    struct query *other = acquire("b");
    measure_waiting(query, 7);
    assert_ptr_equal(take(), other);
    answer_counts(other, 7, NAN);
    now_ms += LONG_MS;
    measure_waiting(query, 0);
    assert_ptr_equal(take(), other);
    answer_counts(other, 7, NAN);
    now_ms += LONG_MS - EARLIER_MS;
    measure_waiting(other, 7);
    assert_ptr_equal(take(), query);
    answer_counts(query, 0, NAN);
    assert_known(query, 7, true);
    now_ms += EARLIER_MS;
    measure_when_due(query, 0);
    assert_known(query, 0, false);
}

/* The other connection's 0 says nothing about that which takes its place. */
static void an_heir_confirms_a_zero_by_itself(void **state)
{
    (void)state;
    struct query *query = acquire("a");
    measure_waiting(query, 7);
    measure_waiting(query, 0);
    struct former_query former = {0};
    query_remember(query, &former);
    struct query *heir = acquire("b");
    query_take(heir, &former);
    former_query_done(&former);
    assert_known(heir, 7, true);
    assert_int_equal(zero_since_ms(heir), 0);
    now_ms += SETTLES_MS;
    demand(heir);
    assert_ptr_equal(take(), heir);
    answer_counts(heir, 0, NAN);
    assert_known(heir, 7, true);
}

/* Which was measured on another connection, perhaps before. */
static void a_zero_in_doubt_outdates_what_is_taken_over(void **state)
{
    (void)state;
    struct query *query = acquire_late("a");
    measure_waiting(query, 7);
    struct former_query former = {0};
    query_remember(query, &former);
    struct query *heir = acquire("b");
    demand(heir);
    assert_ptr_equal(take(), heir);
    end_with(heir, TASK_FAILED, "no leader");
    measure_waiting(heir, 0);
    query_take(heir, &former);
    former_query_done(&former);
    assert_known(heir, 7, true);
}

static void a_source_that_never_lies_is_believed_at_once(void **state)
{
    (void)state;
    connection.scaler = &connection_scaler;
    struct query *query = acquire("a");
    measure_waiting(query, 0);
    assert_known(query, 0, false);
    measure_counts(query, 7, 2);
    measure_counts(query, 0, 0);
    assert_known(query, 0, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ZERO_TEST(a_zero_after_more_is_confirmed_first),
        ZERO_TEST(who_waits_is_notified_once_the_zero_counts),
        ZERO_TEST(a_call_in_between_confirms_nothing),
        ZERO_TEST(it_is_the_sending_that_counts),
        ZERO_TEST(the_first_zero_counts_from_its_arrival),
        ZERO_TEST(more_in_between_counts_at_once),
        ZERO_TEST(more_when_it_is_to_be_confirmed_counts_at_once),
        ZERO_TEST(a_zero_on_a_new_client_is_confirmed_first),
        ZERO_TEST(a_zero_that_was_known_is_confirmed_on_a_new_client),
        ZERO_TEST(the_first_zero_of_a_new_query_counts_at_once_on_an_old_client),
        ZERO_TEST(more_on_a_new_client_counts_at_once),
        ZERO_TEST(a_client_that_is_lost_in_between_confirms_nothing),
        ZERO_TEST(a_zero_of_another_client_is_not_the_first),
        ZERO_TEST(a_failure_in_between_confirms_nothing),
        ZERO_TEST(the_first_zero_after_a_failure_is_confirmed),
        ZERO_TEST(each_count_that_becomes_zero_is_confirmed),
        ZERO_TEST(another_count_begins_another_doubt),
        ZERO_TEST(a_notification_in_between_confirms_nothing),
        ZERO_TEST(a_subscription_stays_while_a_zero_is_confirmed),
        ZERO_TEST(no_policy_and_no_history_sees_a_zero_that_does_not_count),
        ZERO_TEST(a_bundle_may_bring_it_along_and_confirms_nothing_too_early),
        ZERO_TEST(an_heir_confirms_a_zero_by_itself),
        ZERO_TEST(a_zero_in_doubt_outdates_what_is_taken_over),
        ZERO_TEST(a_source_that_never_lies_is_believed_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
