#include "base/log.h"
#include "base/memory.h"
#include "measure/fixture.h"

#include <stdio.h>
#include <string.h>

static void a_query_is_measured_and_measured_again(void **state)
{
    (void)state;
    struct query *query = hold("7");
    WAIT_UNTIL(waiting(query) == 7);
    fake_set_queue("7", 8);
    WAIT_UNTIL(waiting(query) == 8);
}

static void equal_questions_share_a_query_and_equal_sources_a_connection(void **state)
{
    (void)state;
    struct query *query = hold("1");
    assert_ptr_equal(query, hold("1"));
    assert_ptr_not_equal(query, hold("2"));
    assert_ptr_not_equal(query, hold_of(&fake_scaler, "b", "1"));
    WAIT_UNTIL(waiting(query) == 1);
    assert_int_equal(stats().connections, 2);
    assert_int_equal(stats().queries, 3);
    assert_true(fake_counts().connects <= 2);
}

static void many_queries_are_measured_in_one_batch(void **state)
{
    (void)state;
    struct query *queries[200];
    char name[16];
    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof(name), "%d", i);
        queries[i] = hold(name);
    }
    for (int i = 0; i < 200; i++)
        WAIT_UNTIL(waiting(queries[i]) == i);
    WAIT_UNTIL(fake_counts().largest_batch == 200);
    int batches = fake_counts().batches;
    int probes = fake_counts().probes;
    WAIT_UNTIL(fake_counts().batches >= batches + 4);
    assert_int_equal((fake_counts().probes - probes) % 200, 0);
}

static void queries_that_came_one_by_one_are_measured_in_one_batch(void **state)
{
    (void)state;
    struct engine_settings settings = ENGINE_DEFAULTS;
    char name[16];
    settings.interval_ms = 500;
    restart_engine(&settings);
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof(name), "%d", i);
        hold(name);
        usleep(25000);
    }
    WAIT_UNTIL(fake_counts().largest_batch == 20);
    int batches = fake_counts().batches;
    usleep(2000000);
    assert_in_range(fake_counts().batches - batches, 1, 5);
}

static void who_watches_is_told_of_each_attempt(void **state)
{
    (void)state;
    struct watcher watcher = {0};
    struct query *query = hold("3");
    watcher_start(&watcher, query);
    for (int i = 0; i < 3; i++) {
        struct watcher *ready = NULL;
        WAIT_UNTIL((ready = engine_next_ready(engine)) != NULL);
        assert_ptr_equal(ready, &watcher);
    }
    assert_true(wakes() >= 3);
    watcher_stop(&watcher);
    watcher_stop(&watcher);
    assert_null(engine_next_ready(engine));
}

static void an_idle_query_that_is_watched_is_measured_more_often(void **state)
{
    (void)state;
    struct engine_settings settings = ENGINE_DEFAULTS;
    struct watcher watcher = {0};
    restart_engine(&settings); /* five seconds */
    struct query *query = hold("0");
    WAIT_UNTIL(waiting(query) == 0);
    watcher_start(&watcher, query);
    watcher_set_idle_interval(&watcher, 10);
    int batches = fake_counts().batches;
    WAIT_UNTIL(fake_counts().batches >= batches + 5);
    watcher_stop(&watcher);
    usleep(50000);
    batches = fake_counts().batches;
    usleep(300000);
    assert_int_equal(fake_counts().batches, batches);
}

static void the_least_interval_of_those_who_hold_a_query_counts(void **state)
{
    (void)state;
    const int64_t hour_ms = 3600000;
    struct query *query = hold_each(hour_ms, &fake_scaler, "a", "7");
    WAIT_UNTIL(waiting(query) == 7);
    assert_ptr_equal(hold("7"), query);
    assert_ptr_equal(hold_each(hour_ms, &fake_scaler, "a", "7"), query);
    fake_set_queue("7", 8);
    WAIT_UNTIL(waiting(query) == 8);

    query_release(query, INTERVAL_MS);
    usleep(2 * INTERVAL_MS * 1000); /* one measurement may be under way */
    fake_set_queue("7", 9);
    usleep(4 * INTERVAL_MS * 1000);
    assert_true(waiting(query) == 8);
}

static void an_error_does_not_last_as_long_as_a_long_interval(void **state)
{
    (void)state;
    struct query *query = hold_each(3600000, &fake_scaler, "a", "missing");
    WAIT_UNTIL(fails(query, "no such queue"));
    fake_set_queue("missing", 1);
    WAIT_UNTIL(waiting(query) == 1);
}

static void a_failed_probe_fails_alone(void **state)
{
    (void)state;
    struct query *missing = hold("nowhere");
    struct query *good = hold("4");
    WAIT_UNTIL(fails(missing, "no such queue"));
    WAIT_UNTIL(waiting(good) == 4);
    assert_int_equal(fake_counts().connects, 1);
    fake_set_queue("nowhere", 9);
    WAIT_UNTIL(waiting(missing) == 9);
}

static void a_failure_keeps_the_last_reading_and_says_since_when(void **state)
{
    (void)state;
    struct query *query = hold("5");
    WAIT_UNTIL(waiting(query) == 5);
    fake_set_up(false);
    WAIT_UNTIL(fails(query, "broke") || fails(query, "down"));
    _cleanup_(snapshot_done) struct snapshot first;
    query_snapshot(query, &first);
    assert_true(first.measured);
    assert_true(first.reading.waiting == 5);
    assert_true(first.failing_since_ms >= first.reading_at_ms);
    WAIT_UNTIL(fails(query, "the fake source is down"));
    usleep(100000);
    _cleanup_(snapshot_done) struct snapshot later;
    query_snapshot(query, &later);
    assert_int_equal(later.failing_since_ms, first.failing_since_ms);
}

static void a_connect_counts_once_it_is_known_how_it_went(void **state)
{
    (void)state;
    hold_of(&fake_scaler, "silent", "1");
    while (stats().failed_connects < 3) {
        struct engine_stats now = stats();
        assert_int_equal(now.connects, now.failed_connects);
        usleep(5000);
    }
}

static void what_is_released_is_forgotten_with_its_connection(void **state)
{
    (void)state;
    struct query *query = hold("1");
    hold("1");
    WAIT_UNTIL(waiting(query) == 1);
    query_release(query, INTERVAL_MS);
    usleep(3 * INTERVAL_MS * 1000);
    assert_int_equal(stats().queries, 1);
    query_release(query, INTERVAL_MS);
    WAIT_UNTIL(stats().connections == 0);
    assert_int_equal(fake_counts().disconnects, 1);
    WAIT_UNTIL(waiting(hold("1")) == 1);
}

static void a_limit_on_connections_is_told_by_name(void **state)
{
    (void)state;
    struct engine_settings settings = ENGINE_DEFAULTS;
    settings.most_connections = 2;
    restart_engine(&settings);
    hold_of(&fake_scaler, "a", "1");
    hold_of(&fake_scaler, "b", "1");

    _cleanup_(error_done) struct error error = {0};
    _cleanup_(fake_values_done) struct fake_values values = fake_values("c", "1");
    struct query *query = NULL;
    assert_false(engine_hold(engine, &fake_scaler, values.scopes[OPTION_CONNECTION],
                             values.scopes[OPTION_QUERY], INTERVAL_MS, &query, &error));
    assert_int_equal(error.code, ERROR_LIMIT);
    assert_non_null(strstr(error_text(&error), "all 2 connections"));
    assert_null(query);
}

static void connections_on_their_way_out_do_not_count(void **state)
{
    (void)state;
    struct engine_settings settings = ENGINE_DEFAULTS;
    settings.most_connections = 2;
    settings.most_isolated = 1;
    restart_engine(&settings);
    struct query *former = hold_of(&fake_scaler, "a", "1");
    struct query *former_isolated = hold_of(&fake_isolated_scaler, "a", "1");
    query_release(former, settings.interval_ms);
    query_release(former_isolated, settings.interval_ms);
    hold_of(&fake_scaler, "b", "1");
    hold_of(&fake_isolated_scaler, "b", "1");
}

static bool can_hold(const struct scaler *scaler, const char *source)
{
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(fake_values_done) struct fake_values values = fake_values(source, "1");
    struct query *query = NULL;
    return engine_hold(engine, scaler, values.scopes[OPTION_CONNECTION],
                       values.scopes[OPTION_QUERY], INTERVAL_MS, &query, &error);
}

/* Each is held twice, by triggers that go over one after the other. */
static void as_many_connections_as_are_allowed_can_be_replaced_at_a_time(void **state)
{
    (void)state;
    static const char *const old[] = {"a", "b"};
    static const char *const new[] = {"c", "d"};
    struct query *formers[2][2];
    struct engine_settings settings = ENGINE_DEFAULTS;
    settings.interval_ms = INTERVAL_MS;
    settings.most_connections = 2;
    settings.most_isolated = 2;
    settings.program = "/bin/true";
    restart_engine(&settings);
    for (int i = 0; i < 4; i++)
        formers[i / 2][i % 2] = hold_of(&fake_isolated_scaler, old[i % 2], "1");

    for (int i = 0; i < 4; i++) {
        query_leave(formers[i / 2][i % 2]);
        hold_of(&fake_isolated_scaler, new[i % 2], "1");
        assert_false(can_hold(&fake_scaler, "another"));
    }
    for (int i = 0; i < 4; i++) {
        query_forget(formers[i / 2][i % 2], INTERVAL_MS);
        assert_false(can_hold(&fake_scaler, "another"));
    }
}

static void a_connection_that_only_some_left_counts_again_once_they_have_gone(void **state)
{
    (void)state;
    struct engine_settings settings = ENGINE_DEFAULTS;
    settings.interval_ms = INTERVAL_MS;
    settings.most_connections = 2;
    restart_engine(&settings);
    struct query *former = hold_of(&fake_scaler, "a", "1");
    hold_of(&fake_scaler, "a", "1");
    query_leave(former);
    hold_of(&fake_scaler, "b", "1");
    query_forget(former, INTERVAL_MS);
    assert_false(can_hold(&fake_scaler, "another"));
    assert_true(can_hold(&fake_scaler, "a"));
}

static void an_heir_knows_what_was_known_until_it_knows_better(void **state)
{
    (void)state;
    struct query *former = hold("7");
    WAIT_UNTIL(waiting(former) == 7);
    fake_set_queue("8", FAKE_HANGS);
    struct query *heir = hold("8");
    query_inherit(heir, former);
    assert_true(waiting(heir) == 7);
    _cleanup_(snapshot_done) struct snapshot inherited;
    query_snapshot(heir, &inherited);
    assert_in_range(inherited.began_at_us, 1, inherited.reading_at_ms * 1000 + 999);
    WAIT_UNTIL(fails(heir, "no answer"));
    fake_set_queue("8", 8);
    WAIT_UNTIL(waiting(heir) == 8);
    query_inherit(heir, former);
    assert_true(waiting(heir) == 8);
}

static void what_an_heir_inherits_as_failing_is_counted(void **state)
{
    (void)state;
    struct query *former = hold("missing");
    WAIT_UNTIL(fails(former, "no such queue"));
    fake_set_queue("8", FAKE_HANGS);
    struct query *heir = hold("8");
    query_inherit(heir, former);
    assert_true(fails(heir, "no such queue") || fails(heir, "no answer"));
    assert_int_equal(stats().failing_queries, 2);
    fake_set_queue("8", 8);
    WAIT_UNTIL(waiting(heir) == 8);
    assert_int_equal(stats().failing_queries, 1);
    query_release(former, INTERVAL_MS);
    WAIT_UNTIL(stats().failing_queries == 0 && stats().queries == 1);
}

int main(void)
{
    log_init(LOG_ERROR, LOG_PLAIN);
    const struct CMUnitTest tests[] = {
        TEST(a_query_is_measured_and_measured_again),
        TEST(equal_questions_share_a_query_and_equal_sources_a_connection),
        TEST(many_queries_are_measured_in_one_batch),
        TEST(queries_that_came_one_by_one_are_measured_in_one_batch),
        TEST(who_watches_is_told_of_each_attempt),
        TEST(an_idle_query_that_is_watched_is_measured_more_often),
        TEST(the_least_interval_of_those_who_hold_a_query_counts),
        TEST(an_error_does_not_last_as_long_as_a_long_interval),
        TEST(a_failed_probe_fails_alone),
        TEST(a_failure_keeps_the_last_reading_and_says_since_when),
        TEST(a_connect_counts_once_it_is_known_how_it_went),
        TEST(what_is_released_is_forgotten_with_its_connection),
        TEST(a_limit_on_connections_is_told_by_name),
        TEST(connections_on_their_way_out_do_not_count),
        TEST(as_many_connections_as_are_allowed_can_be_replaced_at_a_time),
        TEST(a_connection_that_only_some_left_counts_again_once_they_have_gone),
        TEST(an_heir_knows_what_was_known_until_it_knows_better),
        TEST(what_an_heir_inherits_as_failing_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
