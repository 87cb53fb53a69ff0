/* Walks over many queries, which others change in the pauses. */
#include "base/log.h"
#include "base/memory.h"
#include "measure/engine_fixture.h"
#include "measure/poller.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* Enough for some pauses per walk: others get the lock after every 500. */
enum { PLAIN = 200, HANGING = 600, PASSING = 1400, SEEN = 8 };

static struct {
    struct query *plain[PLAIN];     /* held all the time; each has its number for a value */
    struct query *hanging[HANGING]; /* held all the time, in flight whenever the client is lost */
    struct query *passing[PASSING]; /* released and held again by one thread */
    atomic_bool is_over;
    atomic_int walks_seen;    /* the lock was had amid a walk */
    atomic_int next_released; /* ... and the query released that the walk was to visit next */
    atomic_int refused;
} crowd;

static struct query *hold_named(const char *format, int number)
{
    _cleanup_(error_done) struct error error = {0};
    struct query *query = NULL;
    char name[32];
    snprintf(name, sizeof(name), format, number);
    if (!try_to_acquire(&fake_scaler, "a", name, NULL, &query, &error))
        crowd.refused++;
    return query;
}

/* Whoever has the lock while this is set has it in a pause. */
static const struct query *next_of_walk(void)
{
    _cleanup_(connection_unlock) struct connection *connection =
        poller_lock(poller_of(crowd.plain[0]));
    return connection->next_walked;
}

static int passing_index(const struct query *query)
{
    for (int i = 0; i < PASSING; i++)
        if (crowd.passing[i] == query)
            return i;
    return -1;
}

/* Removes what a walk is about to visit, and adds it behind all others. */
static void *replace_the_next(void *unused)
{
    while (!crowd.is_over) {
        const struct query *next = next_of_walk();
        int i = next == NULL ? -1 : passing_index(next);
        crowd.walks_seen += next != NULL;
        if (i < 0)
            continue;
        release(crowd.passing[i]);
        crowd.next_released++;
        crowd.passing[i] = hold_named("1%06d", i);
    }
    return unused;
}

static void *add_and_remove(void *unused)
{
    for (int i = 0; !crowd.is_over; i = (i + 1) % PASSING)
        release(hold_named("2%06d", i));
    return unused;
}

static void *demand_and_watch(void *unused)
{
    for (int i = 0; !crowd.is_over; i = (i + 1) % PLAIN) {
        struct watcher watcher = {0};
        watcher_start(&watcher, crowd.plain[i], true);
        watcher_set_idle_interval(&watcher, 10);
        query_demand(crowd.plain[i], clock_now_ms());
        query_demand(crowd.hanging[i], clock_now_ms());
        waiting(crowd.plain[i]);
        watcher_stop(&watcher);
    }
    return unused;
}

static void fail_and_recover(void)
{
    fake_set_up(false);
    WAIT_UNTIL(stats().counts[COUNT_FAILED_CONNECTIONS] == 1);
    fake_set_up(true);
    WAIT_UNTIL(stats().counts[COUNT_FAILED_CONNECTIONS] == 0);
}

static void queries_change_while_a_walk_over_all_of_them_pauses(void **state)
{
    (void)state;
    static void *(*const works[])(void *) = {replace_the_next, add_and_remove, demand_and_watch};
    pthread_t threads[ARRAY_LENGTH(works)];
    struct engine_settings settings = ENGINE_DEFAULTS;
    settings.interval_ms = INTERVAL_MS;
    settings.timeout_ms =
        10 * (int64_t)PATIENCE_MS; /* those that hang are in flight until it is lost */
    settings.backoff_min_ms = settings.backoff_max_ms = 20;
    restart_engine(&settings);
    memset(&crowd, 0, sizeof(crowd));
    for (int i = 0; i < PLAIN; i++)
        crowd.plain[i] = hold_named("%d", i);
    for (int i = 0; i < HANGING; i++)
        crowd.hanging[i] = hold_named("hang%d", i);
    for (int i = 0; i < PASSING; i++)
        crowd.passing[i] = hold_named("1%06d", i);
    assert_int_equal(crowd.refused, 0);
    WAIT_UNTIL(stats().counts[COUNT_ANSWERED] >= PLAIN + PASSING);

    for (size_t i = 0; i < ARRAY_LENGTH(works); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, works[i], NULL), 0);
    int64_t deadline_ms = clock_now_ms() + PATIENCE_MS;
    for (int round = 0; round < 3 || crowd.walks_seen < SEEN || crowd.next_released < SEEN;
         round++) {
        if (clock_now_ms() > deadline_ms)
            break;
        fail_and_recover();
    }
    crowd.is_over = true;
    for (size_t i = 0; i < ARRAY_LENGTH(works); i++)
        pthread_join(threads[i], NULL);

    assert_true(crowd.walks_seen >= SEEN);
    assert_true(crowd.next_released >= SEEN);
    assert_int_equal(crowd.refused, 0);
    for (int i = 0; i < PLAIN; i++)
        WAIT_UNTIL(waiting(crowd.plain[i]) == i);
    for (int i = 0; i < PASSING; i++)
        WAIT_UNTIL(waiting(crowd.passing[i]) == 1000000 + i);
    assert_int_equal(stats().counts[COUNT_QUERIES], PLAIN + PASSING + HANGING);
}

/* Whoever has the lock then has it in a pause: before it sends one, all that is due is ready. */
static bool is_some_of_what_is_due_ready(struct query *query)
{
    _cleanup_(connection_unlock) struct connection *connection = poller_lock(poller_of(query));
    const struct schedule *schedule = &connection->schedule;
    return schedule->ready_count[JOB_CLASS_NORMAL] > 0 &&
           heap_first_key(&schedule->scheduled) <= connection_now_ms(connection);
}

static void queries_that_are_due_together_become_ready_in_parts(void **state)
{
    (void)state;
    enum { TOGETHER = 3000, EACH_MS = 1000 };
    struct engine_settings settings = ENGINE_DEFAULTS;
    settings.interval_ms = EACH_MS;
    restart_engine(&settings);
    crowd.refused = 0;
    struct query *first = hold_named("%d", 0);
    for (int i = 1; i < TOGETHER; i++)
        hold_named("%d", i);
    assert_int_equal(crowd.refused, 0);
    WAIT_UNTIL(stats().counts[COUNT_ANSWERED] >= TOGETHER);
    WAIT_UNTIL(is_some_of_what_is_due_ready(first));
}

int main(void)
{
    log_init(LOG_LEVEL_ERROR, LOG_PLAIN);
    const struct CMUnitTest tests[] = {
        TEST(queries_change_while_a_walk_over_all_of_them_pauses),
        TEST(queries_that_are_due_together_become_ready_in_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
