/* A scaler in a child process: this program, see main(). */
#include "base/log.h"
#include "base/memory.h"
#include "measure/fixture.h"
#include "measure/remote.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

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

static void a_wake_that_nobody_armed_wakes_nobody(void **state)
{
    (void)state;
    struct query *gossip = hold_of(&fake_isolated_scaler, "a", "gossip");
    struct query *query = hold_of(&fake_isolated_scaler, "a", "6");
    WAIT_UNTIL(waiting(query) == 6 && waiting(gossip) == 0);
    usleep(3 * INTERVAL_MS * 1000);
    assert_true(waiting(query) == 6);
    assert_int_equal(stats().wakes, 0);
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

static void many_that_are_disarmed_at_once_hold_up_no_measurement(void **state)
{
    (void)state;
    struct engine_settings settings = ENGINE_DEFAULTS;
    struct watcher
        watchers[400]; /* more than a socket holds as messages, and eight seconds' work */
    char name[32];
    restart_engine(&settings);
    for (int i = 0; i < 400; i++) {
        snprintf(name, sizeof(name), "sticky%d", i);
        watch_idle_of(&fake_isolated_scaler, name, &watchers[i], 50);
    }
    WAIT_UNTIL(stats().armed_queries == 400);
    for (int i = 0; i < 400; i++)
        watcher_stop(&watchers[i]);
    usleep(50000); /* the lane has told of them */
    struct query *query = hold_of(&fake_isolated_scaler, "a", "7");
    WAIT_UNTIL(waiting(query) == 7);
    assert_int_equal(stats().connects, 1);
    assert_int_equal(stats().unanswered_probes, 0);
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

static void wakes_come_out_of_a_process(void **state)
{
    (void)state;
    struct watcher watcher;
    start_calm_engine();
    struct query *query = watch_idle_of(&fake_isolated_scaler, "late", &watcher, 2500);
    int64_t start = clock_now_ms();
    WAIT_UNTIL(waiting(query) == 1);
    assert_true(clock_now_ms() - start < 2000);
    assert_int_equal(stats().wakes, 1);
    watcher_stop(&watcher);
}

static void arms_of_a_killed_process_are_made_again_at_once(void **state)
{
    (void)state;
    struct watcher watcher;
    start_calm_engine();
    watch_idle_of(&fake_isolated_scaler, "0", &watcher, 50);
    WAIT_UNTIL(stats().armed_queries == 1);
    int64_t start = clock_now_ms();
    uint64_t connects = stats().connects;
    pid_t child = find_child();
    assert_true(child > 0);
    kill(child, SIGKILL);
    WAIT_UNTIL(stats().connects > connects && stats().armed_queries == 1);
    assert_true(clock_now_ms() - start < 2000);
    watcher_stop(&watcher);
}

static void a_process_is_told_to_disarm(void **state)
{
    (void)state;
    struct watcher watcher;
    start_calm_engine();
    struct query *query = watch_idle_of(&fake_isolated_scaler, "late", &watcher, 50);
    WAIT_UNTIL(stats().armed_queries == 1);
    watcher_stop(&watcher); /* before its message */
    usleep(400000);
    assert_int_equal(stats().wakes, 0);
    assert_true(waiting(query) == 0);
    watcher_start(&watcher, query);
    watcher_set_idle_interval(&watcher, 50);
    WAIT_UNTIL(waiting(query) == 1);
    watcher_stop(&watcher);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "agent") == 0)
        return agent_run(fake_scalers);

    log_init(LOG_ERROR, LOG_PLAIN);
    const struct CMUnitTest tests[] = {
        TEST(an_isolated_scaler_measures_in_a_process_of_its_own),
        TEST(an_isolated_scaler_that_aborts_fails_its_own_connection_only),
        TEST(a_query_that_aborts_its_process_does_not_cost_its_neighbours_theirs_for_good),
        TEST(an_isolated_scaler_that_lets_the_deadline_pass_is_killed),
        TEST(a_wake_that_nobody_armed_wakes_nobody),
        TEST(an_isolated_scaler_tells_why_it_cannot_connect),
        TEST(a_killed_child_is_started_again),
        TEST(an_isolated_scaler_logs_as_this_process_does),
        TEST(many_that_are_disarmed_at_once_hold_up_no_measurement),
        TEST(limits_count_the_processes),
        TEST(wakes_come_out_of_a_process),
        TEST(arms_of_a_killed_process_are_made_again_at_once),
        TEST(a_process_is_told_to_disarm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
