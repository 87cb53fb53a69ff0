/* Idle queries that somebody waits for, and the wakes of their sources. */
#include "base/log.h"
#include "measure/fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

static struct query *watch_idle(const char *queue, struct watcher *watcher)
{
    return watch_idle_of(&fake_arming_scaler, queue, watcher, 50);
}

static void an_idle_query_is_armed_and_not_asked_more_often(void **state)
{
    (void)state;
    struct watcher watcher;
    start_calm_engine();
    struct query *query = watch_idle("0", &watcher);
    WAIT_UNTIL(stats().armed_queries == 1);
    int probes = fake_counts().probes;
    usleep(500000);
    assert_in_range(fake_counts().probes, probes, probes + 1);
    assert_int_equal(fake_armed("0"), 1);
    assert_true(waiting(query) == 0);
    watcher_stop(&watcher);
}

static void a_message_wakes_an_armed_query(void **state)
{
    (void)state;
    struct watcher watcher;
    start_calm_engine();
    struct query *query = watch_idle("0", &watcher);
    WAIT_UNTIL(stats().armed_queries == 1);
    int64_t start = clock_now_ms();
    fake_set_queue("0", 4);
    fake_wake("0");
    WAIT_UNTIL(waiting(query) == 4);
    assert_true(clock_now_ms() - start < 2000);
    assert_int_equal(stats().wakes, 1);
    watcher_stop(&watcher);
}

static void an_armed_query_is_still_measured_at_its_interval(void **state)
{
    (void)state;
    struct watcher watcher;
    struct query *query = watch_idle("0", &watcher);
    WAIT_UNTIL(stats().armed_queries == 1);
    fake_set_queue("0", 4);
    WAIT_UNTIL(waiting(query) == 4);
    assert_int_equal(stats().wakes, 0);
    watcher_stop(&watcher);
}

static void a_wake_measures_no_neighbour(void **state)
{
    (void)state;
    struct watcher watchers[50];
    char name[16];
    start_calm_engine();
    for (int i = 0; i < 50; i++) {
        snprintf(name, sizeof(name), "q%d", i);
        fake_set_queue(name, 0);
        watch_idle(name, &watchers[i]);
    }
    WAIT_UNTIL(stats().armed_queries == 50);
    WAIT_UNTIL(fake_counts().largest_batch >= 40); /* they were armed together */
    int probes = fake_counts().probes;
    fake_wake("q7");
    WAIT_UNTIL(fake_counts().probes > probes + 2);
    WAIT_UNTIL(stats().armed_queries == 50);
    usleep(200000);
    assert_in_range(fake_counts().probes, probes + 3, probes + 20); /* or 50 by the usual beat */
    for (int i = 0; i < 50; i++)
        watcher_stop(&watchers[i]);
}

static void a_message_that_is_counted_after_its_wake_is_seen(void **state)
{
    (void)state;
    struct watcher watcher;
    start_calm_engine();
    struct query *query = watch_idle("0", &watcher);
    WAIT_UNTIL(stats().armed_queries == 1);
    int64_t start = clock_now_ms();
    fake_wake("0");
    usleep(20000);
    fake_set_queue("0", 6);
    WAIT_UNTIL(waiting(query) == 6);
    assert_true(clock_now_ms() - start < 2000);
    watcher_stop(&watcher);
}

static void a_wake_while_its_query_is_measured_is_not_lost(void **state)
{
    (void)state;
    struct watcher watcher;
    start_calm_engine();
    fake_set_racing(true);
    struct query *query = watch_idle("0", &watcher);
    WAIT_UNTIL(stats().wakes >= 1);
    fake_set_racing(false);
    fake_set_queue("0", 2);
    WAIT_UNTIL(waiting(query) == 2);
    WAIT_UNTIL(stats().armed_queries == 1);
    watcher_stop(&watcher);
}

static void a_storm_of_wakes_costs_no_more_than_asking(void **state)
{
    (void)state;
    struct watcher watcher;
    start_calm_engine();
    fake_set_racing(true); /* it is woken whenever it is armed, and stays idle */
    watch_idle("0", &watcher);
    WAIT_UNTIL(stats().wakes >= 5);
    int probes = fake_counts().probes;
    int64_t start = clock_now_ms();
    usleep(1000000);
    int64_t took_ms = clock_now_ms() - start;
    assert_in_range(fake_counts().probes - probes, 2, took_ms / 50 + 2);
    watcher_stop(&watcher);
}

static void what_a_lost_client_had_armed_is_armed_again(void **state)
{
    (void)state;
    struct watcher watcher;
    struct query *query = watch_idle("0", &watcher);
    WAIT_UNTIL(stats().armed_queries == 1);
    fake_set_up(false);
    WAIT_UNTIL(fails(query, "the fake source is down"));
    assert_int_equal(stats().armed_queries, 0);
    assert_int_equal(fake_armed("0"), 0);
    fake_set_queue("0", 3); /* while we are away */
    fake_set_up(true);
    WAIT_UNTIL(waiting(query) == 3);
    WAIT_UNTIL(stats().armed_queries == 1 && fake_armed("0") == 1);
    watcher_stop(&watcher);
}

static void arms_of_clients_that_are_lost_over_and_over_wait_for_the_back_off(void **state)
{
    (void)state;
    struct watcher watcher;
    start_calm_engine();
    watch_idle("0", &watcher);
    WAIT_UNTIL(stats().armed_queries == 1);
    int connects = fake_counts().connects;
    fake_set_parting(true);
    fake_wake("0");
    usleep(1000000);
    /* At once, then about 50, 100, 200, 400 ... ms apart, with a quarter of jitter. */
    assert_in_range(fake_counts().connects - connects, 2, 8);
    fake_set_parting(false);
    WAIT_UNTIL(stats().armed_queries == 1 && fake_armed("0") == 1);
    watcher_stop(&watcher);
}

static void a_query_in_the_slow_lane_is_not_armed(void **state)
{
    (void)state;
    struct watcher watcher;
    struct query *good = hold_of(&fake_arming_scaler, "a", "1");
    struct query *hanging = watch_idle("0", &watcher);
    WAIT_UNTIL(stats().armed_queries == 1);
    fake_set_queue("0", FAKE_HANGS);
    WAIT_UNTIL(stats().slow_queries == 1);
    assert_int_equal(stats().armed_queries, 0);
    WAIT_UNTIL(fake_armed("0") == 0);
    fake_wake("0");
    fake_set_queue("0", 0);
    WAIT_UNTIL(stats().slow_queries == 0 && stats().armed_queries == 1);
    assert_true(waiting(hanging) == 0 && waiting(good) == 1);
    watcher_stop(&watcher);
}

static void a_query_that_hangs_while_it_is_armed_first_is_not_armed(void **state)
{
    (void)state;
    struct watcher watcher;
    hold_of(&fake_arming_scaler, "a", "1");
    watch_idle("hang", &watcher);
    WAIT_UNTIL(stats().slow_queries == 1);
    WAIT_UNTIL(fake_armed("hang") == 0);
    assert_int_equal(stats().armed_queries, 0);
    watcher_stop(&watcher);
}

static void the_last_watcher_that_leaves_disarms(void **state)
{
    (void)state;
    struct watcher first;
    struct watcher second;
    watch_idle("0", &first);
    watch_idle("0", &second);
    WAIT_UNTIL(stats().armed_queries == 1);
    watcher_stop(&first);
    usleep(3 * INTERVAL_MS * 1000);
    assert_int_equal(stats().armed_queries, 1);
    assert_int_equal(fake_counts().disarms, 0);
    watcher_set_idle_interval(&second, 0); /* as a stream that has become active */
    WAIT_UNTIL(fake_counts().disarms == 1);
    assert_int_equal(stats().armed_queries, 0);
    watcher_set_idle_interval(&second, 50);
    WAIT_UNTIL(stats().armed_queries == 1);
    watcher_stop(&second);
}

static void an_armed_query_can_be_released(void **state)
{
    (void)state;
    struct watcher watcher;
    struct query *neighbour = hold_of(&fake_arming_scaler, "a", "1");
    struct query *query = watch_idle("0", &watcher);
    WAIT_UNTIL(stats().armed_queries == 1);
    watcher_stop(&watcher);
    query_release(query, INTERVAL_MS);
    fake_wake("0");
    WAIT_UNTIL(stats().queries == 1);
    WAIT_UNTIL(fake_armed("0") == 0);
    WAIT_UNTIL(waiting(neighbour) == 1);
    query_release(neighbour, INTERVAL_MS);
    WAIT_UNTIL(stats().connections == 0);
}

static void a_query_that_cannot_be_armed_is_asked_often_and_armed_once_it_can(void **state)
{
    (void)state;
    struct watcher watcher;
    start_calm_engine();
    fake_refuse_arms(true);
    struct query *query = watch_idle("0", &watcher);
    WAIT_UNTIL(stats().failed_arms == 1);
    fake_set_queue("0", 1);
    WAIT_UNTIL(waiting(query) == 1);
    assert_int_equal(stats().armed_queries, 0);
    fake_set_queue("0", 0);
    fake_refuse_arms(false);
    WAIT_UNTIL(stats().armed_queries == 1);
    watcher_stop(&watcher);
}

struct storm {
    pthread_t thread;
    atomic_bool over;
};

static void *wake_all_the_time(void *opaque)
{
    struct storm *storm = opaque;
    while (!storm->over) {
        fake_wake("0");
        fake_wake("7");
    }
    return NULL;
}

/* For the thread sanitizer. */
static void wakes_meet_measurements_releases_and_lost_clients(void **state)
{
    (void)state;
    struct storm storm = {.over = false};
    pthread_create(&storm.thread, NULL, wake_all_the_time, &storm);
    for (int i = 0; i < 50; i++) {
        struct watcher watchers[2];
        struct query *queries[] = {watch_idle_of(&fake_arming_scaler, "0", &watchers[0], 5),
                                   watch_idle_of(&fake_arming_scaler, "7", &watchers[1], 5)};
        usleep(10000);
        fake_set_up(i % 5 != 0);
        usleep(10000);
        for (int j = 0; j < 2; j++) {
            watcher_stop(&watchers[j]);
            query_release(queries[j], INTERVAL_MS);
        }
    }
    storm.over = true;
    pthread_join(storm.thread, NULL);
    WAIT_UNTIL(stats().queries == 0);
    assert_int_equal(stats().armed_queries, 0);
}

int main(void)
{
    log_init(LOG_ERROR, LOG_PLAIN);
    const struct CMUnitTest tests[] = {
        TEST(an_idle_query_is_armed_and_not_asked_more_often),
        TEST(a_message_wakes_an_armed_query),
        TEST(an_armed_query_is_still_measured_at_its_interval),
        TEST(a_wake_measures_no_neighbour),
        TEST(a_message_that_is_counted_after_its_wake_is_seen),
        TEST(a_wake_while_its_query_is_measured_is_not_lost),
        TEST(a_storm_of_wakes_costs_no_more_than_asking),
        TEST(what_a_lost_client_had_armed_is_armed_again),
        TEST(arms_of_clients_that_are_lost_over_and_over_wait_for_the_back_off),
        TEST(a_query_in_the_slow_lane_is_not_armed),
        TEST(a_query_that_hangs_while_it_is_armed_first_is_not_armed),
        TEST(the_last_watcher_that_leaves_disarms),
        TEST(an_armed_query_can_be_released),
        TEST(a_query_that_cannot_be_armed_is_asked_often_and_armed_once_it_can),
        TEST(wakes_meet_measurements_releases_and_lost_clients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
