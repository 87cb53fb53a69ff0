#include "base/log.h"
#include "base/memory.h"
#include "measure/fixture.h"
#include "measure/remote.h"

#include <pthread.h>
#include <signal.h>
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

static void a_broken_connection_comes_back_without_a_restart(void **state)
{
    (void)state;
    struct query *query = hold("6");
    WAIT_UNTIL(waiting(query) == 6);
    fake_set_up(false);
    WAIT_UNTIL(fails(query, "the fake source is down"));
    fake_set_up(true);
    WAIT_UNTIL(waiting(query) == 6);
}

static void a_broken_connection_backs_off(void **state)
{
    (void)state;
    hold_of(&fake_scaler, "down", "1");
    usleep(1000000);
    int connects = fake_counts().connects;
    /* At once, then about 50, 100, 200, 200 ... ms apart, with a quarter of jitter. */
    assert_in_range(connects, 3, 10);
}

static void who_joins_a_broken_connection_is_refused_at_once(void **state)
{
    (void)state;
    struct query *query = hold("1");
    fake_set_up(false);
    WAIT_UNTIL(fails(query, "the fake source is down"));
    int connects = fake_counts().connects;
    struct query *joiner = hold("2");
    assert_true(fails(joiner, "the fake source is down"));
    assert_in_range(fake_counts().connects, connects, connects + 1);
}

static void a_hanging_query_is_asked_apart_and_does_not_hold_up_its_neighbours(void **state)
{
    (void)state;
    struct query *good = hold("1");
    struct query *hanging = hold("hang");
    WAIT_UNTIL(fails(hanging, "no answer within 300 ms"));
    WAIT_UNTIL(stats().slow_queries == 1);
    int64_t start = clock_now_ms();
    for (int i = 10; i < 15; i++) {
        fake_set_queue("1", i);
        WAIT_UNTIL(waiting(good) == i);
    }
    assert_true(clock_now_ms() - start < 2000); /* five times interval and deadline */
    assert_true(fails(hanging, "no answer"));
}

static void a_hanging_query_returns_after_one_answer_in_time(void **state)
{
    (void)state;
    struct query *good = hold("1");
    struct query *hanging = hold("hang");
    WAIT_UNTIL(stats().slow_queries == 1);
    fake_set_queue("hang", 12);
    WAIT_UNTIL(waiting(hanging) == 12);
    WAIT_UNTIL(stats().slow_queries == 0);
    fake_set_queue("hang", 13);
    WAIT_UNTIL(waiting(hanging) == 13);
    assert_true(waiting(good) == 1);
}

static void what_became_slow_with_all_the_others_returns_with_them(void **state)
{
    (void)state;
    struct query *queries[40];
    char name[16];
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof(name), "q%d", i);
        fake_set_queue(name, FAKE_HANGS);
        queries[i] = hold(name);
    }
    WAIT_UNTIL(stats().slow_queries == 40);
    int batches = fake_counts().batches;
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof(name), "q%d", i);
        fake_set_queue(name, i);
    }
    for (int i = 0; i < 40; i++)
        WAIT_UNTIL(waiting(queries[i]) == i);
    assert_in_range(fake_counts().batches - batches, 1, 10); /* and not 40 */
}

static void a_query_that_hangs_alone_does_not_fail_its_neighbours(void **state)
{
    (void)state;
    struct query *good = hold("1");
    WAIT_UNTIL(waiting(good) == 1);
    struct query *hanging = hold("hang");
    for (int i = 0; i < 200; i++) {
        assert_true(waiting(good) == 1);
        usleep(5000);
    }
    assert_true(fails(hanging, "no answer"));
}

/* It may be the first of a batch or the last. */
static void a_query_that_breaks_its_client_is_asked_apart(void **state)
{
    (void)state;
    struct query *first = hold("1");
    struct query *breaking = hold("break");
    struct query *last = hold("2");
    WAIT_UNTIL(stats().slow_queries == 1 && waiting(first) == 1 && waiting(last) == 2);
    for (int i = 0; i < 200; i++) {
        assert_true(waiting(first) == 1);
        assert_true(waiting(last) == 2);
        usleep(5000);
    }
    assert_true(fails(breaking, "the fake connection broke"));
    fake_set_queue("break", 3);
    WAIT_UNTIL(waiting(breaking) == 3 && stats().slow_queries == 0);
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

static void a_slow_query_can_be_released_too(void **state)
{
    (void)state;
    struct query *hanging = hold("hang");
    struct query *good = hold("1");
    WAIT_UNTIL(stats().slow_queries == 1);
    query_release(hanging, INTERVAL_MS);
    WAIT_UNTIL(stats().queries == 1);
    query_release(good, INTERVAL_MS);
    WAIT_UNTIL(stats().connections == 0);
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

static void an_heir_knows_what_was_known_until_it_knows_better(void **state)
{
    (void)state;
    struct query *former = hold("7");
    WAIT_UNTIL(waiting(former) == 7);
    fake_set_queue("8", FAKE_HANGS);
    struct query *heir = hold("8");
    query_inherit(heir, former);
    assert_true(waiting(heir) == 7);
    WAIT_UNTIL(fails(heir, "no answer"));
    fake_set_queue("8", 8);
    WAIT_UNTIL(waiting(heir) == 8);
    query_inherit(heir, former);
    assert_true(waiting(heir) == 8);
}

static void a_thread_that_cannot_be_had_refuses_its_connection_alone(void **state)
{
    (void)state;
    const size_t more_than_there_is = (size_t)1 << 47;
    pthread_attr_t usual;
    pthread_attr_t huge;
    struct query *good = hold("1");
    assert_int_equal(pthread_getattr_default_np(&usual), 0);
    pthread_attr_init(&huge);
    pthread_attr_setstacksize(&huge, more_than_there_is);
    assert_int_equal(pthread_setattr_default_np(&huge), 0);

    _cleanup_(error_done) struct error error = {0};
    _cleanup_(fake_values_done) struct fake_values values = fake_values("b", "1");
    struct query *query = NULL;
    bool held = engine_hold(engine, &fake_scaler, values.scopes[OPTION_CONNECTION],
                            values.scopes[OPTION_QUERY], INTERVAL_MS, &query, &error);
    struct query *hanging = hold("hang");
    usleep((useconds_t)(5 * DEADLINE_MS) * 1000);
    assert_int_equal(stats().slow_queries, 0);
    assert_int_equal(pthread_setattr_default_np(&usual), 0);

    assert_false(held);
    assert_int_equal(error.code, ERROR_LIMIT);
    assert_true(fails(hanging, "no answer"));
    WAIT_UNTIL(waiting(good) == 1);
    WAIT_UNTIL(waiting(hold_of(&fake_scaler, "b", "1")) == 1);
    WAIT_UNTIL(stats().slow_queries == 1);
    pthread_attr_destroy(&usual);
    pthread_attr_destroy(&huge);
}

static void the_engine_ends_while_a_measurement_hangs(void **state)
{
    (void)state;
    hold("hang");
    hold("1");
    WAIT_UNTIL(stats().slow_queries == 1);
}

/* From here on the scaler runs in a child process: this program, see main(). */

static void an_isolated_scaler_measures_in_a_process_of_its_own(void **state)
{
    (void)state;
    struct query *query = hold_of(&fake_isolated_scaler, "a", "41");
    struct query *missing = hold_of(&fake_isolated_scaler, "a", "nowhere");
    WAIT_UNTIL(waiting(query) == 41);
    WAIT_UNTIL(fails(missing, "no such queue"));
    assert_int_equal(fake_counts().connects, 0); /* here */
}

static void an_isolated_scaler_that_aborts_fails_its_own_connection_only(void **state)
{
    (void)state;
    struct query *good = hold("1");
    struct query *aborting = hold_of(&fake_isolated_scaler, "a", "abort");
    struct query *isolated = hold_of(&fake_isolated_scaler, "b", "2");
    WAIT_UNTIL(fails(aborting, "the isolated process died: Aborted"));
    WAIT_UNTIL(waiting(good) == 1);
    WAIT_UNTIL(waiting(isolated) == 2);
}

static void
a_query_that_aborts_its_process_does_not_cost_its_neighbours_theirs_for_good(void **state)
{
    (void)state;
    hold_of(&fake_isolated_scaler, "a", "abort");
    struct query *good = hold_of(&fake_isolated_scaler, "a", "7");
    WAIT_UNTIL(stats().slow_queries == 1 && waiting(good) == 7);
    usleep(10 * INTERVAL_MS * 1000);
    assert_true(waiting(good) == 7);
}

static void an_isolated_scaler_that_lets_the_deadline_pass_is_killed(void **state)
{
    (void)state;
    struct query *sleeping = hold_of(&fake_isolated_scaler, "a", "sleep");
    WAIT_UNTIL(fails(sleeping, "the isolated process was killed: no answer in time"));
}

static void an_isolated_scaler_tells_why_it_cannot_connect(void **state)
{
    (void)state;
    struct query *query = hold_of(&fake_isolated_scaler, "down", "1");
    WAIT_UNTIL(fails(query, "the fake source is down"));
}

static void a_killed_child_is_started_again(void **state)
{
    (void)state;
    struct query *query = hold_of(&fake_isolated_scaler, "a", "3");
    WAIT_UNTIL(waiting(query) == 3);
    uint64_t connects = stats().connects;
    pid_t child = find_child();
    assert_true(child > 0);
    kill(child, SIGKILL);
    WAIT_UNTIL(stats().connects > connects && waiting(query) == 3);
}

static bool file_has(FILE *file, const char *words)
{
    char content[4096] = {0};
    return pread(fileno(file), content, sizeof(content) - 1, 0) > 0 && strstr(content, words);
}

static void an_isolated_scaler_logs_as_this_process_does(void **state)
{
    (void)state;
    FILE *log = tmpfile();
    int standard_error = dup(STDERR_FILENO);
    assert_non_null(log);
    assert_true(standard_error >= 0);
    dup2(fileno(log), STDERR_FILENO);
    log_init(LOG_DEBUG, LOG_JSON);
    struct query *query = hold_of(&fake_isolated_scaler, "a", "log");
    WAIT_UNTIL(fails(query, "no such queue"));
    dup2(standard_error, STDERR_FILENO);
    log_init(LOG_ERROR, LOG_PLAIN);
    assert_true(file_has(log, "\"level\":\"debug\",\"message\":\"the fake source was asked\""));
    close(standard_error);
    fclose(log);
}

static void limits_count_the_processes(void **state)
{
    (void)state;
    struct engine_settings settings = ENGINE_DEFAULTS;
    settings.most_isolated = 1;
    restart_engine(&settings);
    hold_of(&fake_isolated_scaler, "a", "1");

    _cleanup_(error_done) struct error error = {0};
    _cleanup_(fake_values_done) struct fake_values values = fake_values("b", "1");
    struct query *query = NULL;
    assert_false(engine_hold(engine, &fake_isolated_scaler, values.scopes[OPTION_CONNECTION],
                             values.scopes[OPTION_QUERY], INTERVAL_MS, &query, &error));
    assert_int_equal(error.code, ERROR_LIMIT);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "agent") == 0)
        return agent_run(fake_scalers);

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
        TEST(a_broken_connection_comes_back_without_a_restart),
        TEST(a_broken_connection_backs_off),
        TEST(who_joins_a_broken_connection_is_refused_at_once),
        TEST(a_hanging_query_is_asked_apart_and_does_not_hold_up_its_neighbours),
        TEST(a_hanging_query_returns_after_one_answer_in_time),
        TEST(what_became_slow_with_all_the_others_returns_with_them),
        TEST(a_query_that_hangs_alone_does_not_fail_its_neighbours),
        TEST(a_query_that_breaks_its_client_is_asked_apart),
        TEST(what_is_released_is_forgotten_with_its_connection),
        TEST(a_slow_query_can_be_released_too),
        TEST(a_limit_on_connections_is_told_by_name),
        TEST(connections_on_their_way_out_do_not_count),
        TEST(an_heir_knows_what_was_known_until_it_knows_better),
        TEST(a_thread_that_cannot_be_had_refuses_its_connection_alone),
        TEST(the_engine_ends_while_a_measurement_hangs),
        TEST(an_isolated_scaler_measures_in_a_process_of_its_own),
        TEST(an_isolated_scaler_that_aborts_fails_its_own_connection_only),
        TEST(a_query_that_aborts_its_process_does_not_cost_its_neighbours_theirs_for_good),
        TEST(an_isolated_scaler_that_lets_the_deadline_pass_is_killed),
        TEST(an_isolated_scaler_tells_why_it_cannot_connect),
        TEST(a_killed_child_is_started_again),
        TEST(an_isolated_scaler_logs_as_this_process_does),
        TEST(limits_count_the_processes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
