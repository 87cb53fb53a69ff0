/* A scaler in an agent process: this program, see main(). */
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure/agent/agent.h"
#include "measure/agent/agent_client_internal.h"
#include "measure/engine_fixture.h"
#include "measure/task_internal.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static void a_scaler_measures_in_an_agent(void **state)
{
    (void)state;
    struct query *query = acquire_of(&fake_agent_scaler, "a", "41");
    struct query *missing = acquire_of(&fake_agent_scaler, "a", "nowhere");
    WAIT_UNTIL(waiting(query) == 41);
    WAIT_UNTIL(fails(missing, "no such queue"));
    assert_int_equal(fake_counts().connects, 0); /* here */
}

/* It kills no agent because a busy machine keeps that from beginning, or from answering. */
static void start_patient_engine(void)
{
    struct engine_settings settings = ENGINE_DEFAULTS;
    settings.interval_ms = INTERVAL_MS;
    settings.timeout_ms = settings.connect_timeout_ms = PATIENCE_MS;
    settings.backoff_min_ms = 50;
    restart_engine(&settings);
}

/* The server ends an agent whose message is longer than it should be. */
static void a_long_error_is_cut_and_ends_no_agent(void **state)
{
    (void)state;
    enum { LENGTH = 2 << 20 };
    _cleanup_(memory_free) char *name = memory_new(LENGTH + 1);
    memset(name, 'x', LENGTH);
    start_patient_engine();
    struct query *query = acquire_of(&fake_agent_scaler, "a", name);
    WAIT_UNTIL(fails(query, "no such queue: xxx"));
}

/* A process that ends with its client does not know by itself that there was another one. */
static void an_agent_knows_that_it_reconnects(void **state)
{
    (void)state;
    start_patient_engine();
    struct query *query = acquire_of(&fake_agent_scaler, "a", "again");
    WAIT_UNTIL(waiting(query) == 0);
    pid_t agent = find_agent();
    assert_true(agent > 0);
    kill(agent, SIGKILL);
    WAIT_UNTIL(waiting(query) == 1);
}

static void an_agent_that_aborts_fails_its_own_connection_only(void **state)
{
    (void)state;
    struct query *good = acquire("1");
    struct query *aborting = acquire_of(&fake_agent_scaler, "a", "abort");
    struct query *isolated = acquire_of(&fake_agent_scaler, "b", "2");
    WAIT_UNTIL(fails(aborting, "the isolated agent process died: Aborted"));
    WAIT_UNTIL(waiting(good) == 1);
    WAIT_UNTIL(waiting(isolated) == 2);
}

static void a_query_that_aborts_its_agent_is_spaced_out_so_that_others_are_measured(void **state)
{
    (void)state;
    acquire_of(&fake_agent_scaler, "a", "abort");
    struct query *good = acquire_of(&fake_agent_scaler, "a", "7");
    WAIT_UNTIL(waiting(good) == 7);
    uint64_t answered = stats().counts[COUNT_ANSWERED];
    WAIT_UNTIL(stats().counts[COUNT_ANSWERED] >= answered + 3);
}

static void an_agent_that_does_not_respond_is_killed(void **state)
{
    (void)state;
    struct query *sleeping = acquire_of(&fake_agent_scaler, "a", "sleep");
    WAIT_UNTIL(fails(sleeping, "the isolated agent process was killed: it did not respond"));
}

static void a_notification_without_subscription_is_ignored(void **state)
{
    (void)state;
    struct query *gossip = acquire_of(&fake_agent_scaler, "a", "gossip");
    struct query *query = acquire_of(&fake_agent_scaler, "a", "6");
    WAIT_UNTIL(waiting(query) == 6 && waiting(gossip) == 0);
    uint64_t answered = stats().counts[COUNT_ANSWERED];
    WAIT_UNTIL(stats().counts[COUNT_ANSWERED] >= answered + 4);
    assert_true(waiting(query) == 6);
    assert_int_equal(stats().counts[COUNT_NOTIFICATIONS], 0);
}

static void an_agent_reports_why_it_cannot_connect(void **state)
{
    (void)state;
    struct query *query = acquire_of(&fake_agent_scaler, "down", "1");
    WAIT_UNTIL(fails(query, "the fake source is down"));
}

static void a_killed_agent_is_started_again(void **state)
{
    (void)state;
    struct query *query = acquire_of(&fake_agent_scaler, "a", "3");
    WAIT_UNTIL(waiting(query) == 3);
    uint64_t connects = stats().counts[COUNT_CONNECTS];
    pid_t agent = find_agent();
    assert_true(agent > 0);
    kill(agent, SIGKILL);
    WAIT_UNTIL(stats().counts[COUNT_CONNECTS] > connects && waiting(query) == 3);
}

static int64_t sent_ms(struct query *query)
{
    _cleanup_(snapshot_done) struct snapshot now;
    query_snapshot(query, &now);
    return now.known.sent_ms;
}

static void signals_for_the_server_end_no_agent(void **state)
{
    (void)state;
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1};
    start_patient_engine();
    struct query *query = acquire_of(&fake_agent_scaler, "a", "3");
    WAIT_UNTIL(waiting(query) == 3);
    uint64_t connects = stats().counts[COUNT_CONNECTS];
    pid_t agent = find_agent();
    assert_true(agent > 0);
    for (size_t i = 0; i < ARRAY_LENGTH(signals); i++)
        kill(agent, signals[i]);
    int64_t signalled_ms = clock_now_ms();
    WAIT_UNTIL(sent_ms(query) > signalled_ms && waiting(query) == 3);
    assert_int_equal(stats().counts[COUNT_CONNECTS], connects);
    assert_int_equal(find_agent(), agent);
}

static bool file_has(FILE *file, const char *words)
{
    char content[4096] = {0};
    return pread(fileno(file), content, sizeof(content) - 1, 0) > 0 && strstr(content, words);
}

static void an_agent_logs_as_this_process_does(void **state)
{
    (void)state;
    FILE *log = tmpfile();
    int standard_error = dup(STDERR_FILENO);
    assert_non_null(log);
    assert_true(standard_error >= 0);
    dup2(fileno(log), STDERR_FILENO);
    log_init(LOG_LEVEL_DEBUG, LOG_JSON);
    struct query *query = acquire_of(&fake_agent_scaler, "a", "log");
    WAIT_UNTIL(fails(query, "no such queue"));
    dup2(standard_error, STDERR_FILENO);
    log_init(LOG_LEVEL_ERROR, LOG_PLAIN);
    assert_true(file_has(log, "\"level\":\"debug\",\"message\":\"the fake source was asked\""));
    close(standard_error);
    fclose(log);
}

/* More than a socket holds as messages, both ways at a time. */
static void thousands_of_queries_and_their_errors_fit_through_the_socket(void **state)
{
    (void)state;
    enum { COUNT = 3000 };
    _cleanup_(memory_free) struct query **queries = memory_array(COUNT, sizeof(struct query *));
    char name[128];
    start_patient_engine();
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof(name), "%d-%080d", i, i);
        queries[i] = acquire_of(&fake_agent_scaler, "a", name);
    }
    for (int i = 0; i < COUNT; i++)
        WAIT_UNTIL(waiting(queries[i]) == i);
    assert_int_equal(stats().counts[COUNT_CONNECTS], 1);
    assert_int_equal(stats().counts[COUNT_TIMED_OUT], 0);
}

/* Its loop goes on: it answers pings, and its neighbours. One that is silent for a second longer
 * than the time-out is killed, and on a busy machine one that works may be, where that is short. */
static void an_agent_with_a_query_that_hangs_is_not_killed(void **state)
{
    (void)state;
    struct engine_settings settings = ENGINE_DEFAULTS;
    settings.interval_ms = INTERVAL_MS;
    restart_engine(&settings);
    struct query *good = acquire_of(&fake_agent_scaler, "a", "7");
    WAIT_UNTIL(waiting(good) == 7);
    pid_t agent = find_agent();
    uint64_t connects = stats().counts[COUNT_CONNECTS];
    struct query *hanging = acquire_of(&fake_agent_scaler, "a", "hang");
    WAIT_UNTIL(fails(hanging, "no answer within"));
    int64_t failed_ms = clock_now_ms();
    WAIT_UNTIL(sent_ms(good) >= failed_ms && waiting(good) == 7);
    assert_int_equal(find_agent(), agent);
    assert_int_equal(stats().counts[COUNT_CONNECTS], connects);
}

static void limits_count_the_agents(void **state)
{
    (void)state;
    struct engine_settings settings = ENGINE_DEFAULTS;
    settings.max_agents = 1;
    restart_engine(&settings);
    acquire_of(&fake_agent_scaler, "a", "1");

    _cleanup_(error_done) struct error error = {0};
    struct query *query = NULL;
    assert_false(try_to_acquire(&fake_agent_scaler, "b", "1", NULL, &query, &error));
    assert_int_equal(error.code, ERROR_LIMIT);
}

static void notifications_come_out_of_an_agent(void **state)
{
    (void)state;
    struct watcher watcher;
    start_calm_engine();
    struct query *query = watch_idle_of(&fake_agent_scaler, "late", &watcher, 2500);
    WAIT_UNTIL(waiting(query) == 1);
    assert_int_equal(stats().counts[COUNT_NOTIFICATIONS], 1);
    watcher_stop(&watcher);
}

/* As Redis ends it by closing an idle connection: nothing has come. */
static void a_subscription_that_an_agent_loses_is_made_again_and_notifies_nobody(void **state)
{
    (void)state;
    struct watcher watcher;
    start_calm_engine();
    struct query *query = watch_idle_of(&fake_agent_scaler, "lost", &watcher, 2500);
    WAIT_UNTIL(stats().counts[COUNT_SUBSCRIBED_QUERIES] == 1);
    int64_t first_ms = sent_ms(query);
    WAIT_UNTIL(sent_ms(query) > first_ms && stats().counts[COUNT_SUBSCRIBED_QUERIES] == 1);
    assert_int_equal(stats().counts[COUNT_NOTIFICATIONS], 0);
    assert_true(waiting(query) == 0);
    watcher_stop(&watcher);
}

static void subscriptions_of_a_killed_agent_are_made_again_at_once(void **state)
{
    (void)state;
    struct watcher watcher;
    start_calm_engine();
    watch_idle_of(&fake_agent_scaler, "0", &watcher, 50);
    WAIT_UNTIL(stats().counts[COUNT_SUBSCRIBED_QUERIES] == 1);
    uint64_t connects = stats().counts[COUNT_CONNECTS];
    pid_t agent = find_agent();
    assert_true(agent > 0);
    kill(agent, SIGKILL);
    WAIT_UNTIL(stats().counts[COUNT_CONNECTS] > connects &&
               stats().counts[COUNT_SUBSCRIBED_QUERIES] == 1);
    watcher_stop(&watcher);
}

/* Its process counts as this one does not, so what it did shows in what it does not notify of. */
static void an_agent_unsubscribes(void **state)
{
    (void)state;
    struct watcher watcher;
    start_calm_engine();
    struct query *query = watch_idle_of(&fake_agent_scaler, "late", &watcher, 50);
    WAIT_UNTIL(stats().counts[COUNT_SUBSCRIBED_QUERIES] == 1);
    watcher_stop(&watcher);
    assert_int_equal(stats().counts[COUNT_SUBSCRIBED_QUERIES], 0);
    watcher_start(&watcher, query, true);
    watcher_set_idle_interval(&watcher, 50);
    WAIT_UNTIL(waiting(query) == 1);
    watcher_stop(&watcher);
}

/* Puts the name of a new file into `program`, which ends with XXXXXX; the caller unlinks it. */
static void write_script(char *program, const char *lines)
{
    int file = mkstemp(program);
    assert_true(file >= 0);
    FILE *script = fdopen(file, "w");
    assert_non_null(script);
    fprintf(script, "#!/bin/sh\n%s\n", lines);
    fchmod(fileno(script), S_IRWXU);
    fclose(script);
}

static void start_engine_with(const char *program)
{
    struct engine_settings settings = ENGINE_DEFAULTS;
    settings.program = program;
    restart_engine(&settings);
}

static void an_agent_that_cannot_start_is_no_refusal_of_the_source(void **state)
{
    (void)state;
    start_engine_with("/nowhere");
    struct query *query = acquire_of(&fake_agent_scaler, "a", "1");
    WAIT_UNTIL(fails(query, "cannot start the isolated agent process"));
    assert_int_equal(stats().counts[COUNT_FAILED_CONNECTIONS], 1);
    assert_int_equal(stats().counts[COUNT_FAILED_CONNECTS], 0);
    start_engine_with("/bin/true"); /* which ends at once */
    acquire_of(&fake_agent_scaler, "a", "1");
    WAIT_UNTIL(stats().counts[COUNT_FAILED_CONNECTIONS] == 1);
    assert_int_equal(stats().counts[COUNT_FAILED_CONNECTS], 0);
}

/* It fails only as long as that is so. */
static void an_agent_that_finds_no_descriptor_is_started_later(void **state)
{
    (void)state;
    struct rlimit usual;
    start_patient_engine();
    struct query *query = acquire_of(&fake_agent_scaler, "a", "1");
    WAIT_UNTIL(waiting(query) == 1);
    pid_t agent = find_agent();
    assert_true(agent > 0);
    getrlimit(RLIMIT_NOFILE, &usual);
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){.rlim_cur = 0, .rlim_max = usual.rlim_max});
    kill(agent, SIGKILL);
    int64_t deadline_ms = clock_now_ms() + PATIENCE_MS;
    while (!fails(query, "Too many open files") && clock_now_ms() < deadline_ms)
        usleep(2000);
    bool is_named = fails(query, "cannot start the isolated agent process: Too many open files");
    setrlimit(RLIMIT_NOFILE, &usual);
    assert_true(is_named);
    WAIT_UNTIL(waiting(query) == 1);
}

/* It has half a minute for it. */
static void nobody_waits_for_an_agent_to_start_that_is_not_needed(void **state)
{
    (void)state;
    char program[] = "/tmp/never-XXXXXX";
    write_script(program, "exec sleep 600");
    start_engine_with(program);
    struct query *query = acquire_of(&fake_agent_scaler, "a", "1");
    WAIT_UNTIL(find_agent() > 0);
    release(query);
    WAIT_UNTIL(find_agent() == 0);
    assert_int_equal(stats().counts[COUNT_FAILED_CONNECTS], 0);
    acquire_of(&fake_agent_scaler, "a", "1");
    WAIT_UNTIL(find_agent() > 0);
    assert_true(engine_stop(engine, PATIENCE_MS));
    unlink(program);
}

static bool is_stopping(struct feed *feed)
{
    (void)feed;
    return true;
}

/* Its connection may be needed again by then: that is no failure to tell anybody. */
static void an_agent_that_is_not_needed_before_it_runs_has_not_failed(void **state)
{
    (void)state;
    static const struct feed_hooks stopping = {.is_stopping = is_stopping};
    _cleanup_(error_done) struct error error = {0};
    struct feed feed = {.hooks = &stopping};
    struct fake_values values = fake_values("a", "1");
    struct agent_client *client = NULL;
    char program[] = "/tmp/never-XXXXXX";
    write_script(program, "exec sleep 600");
    const struct agent_origin origin = {.program = program, .feed = &feed};
    assert_false(agent_client_open(&fake_agent_scaler, values.scopes[OPTION_CONNECTION], &origin,
                                   TIMEOUT_MS, &client, &error));
    unlink(program);
    assert_int_equal(error.code, ERROR_CANCELLED);
    fake_values_done(&values);
}

/* As where thirty begin at once on a part of a CPU: all are given up, and start again, for ever. */
static void the_time_to_connect_begins_when_the_process_runs(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct fake_values values = fake_values("a", "1");
    struct agent_client *client = NULL;
    char self[PATH_MAX] = "";
    char program[] = "/tmp/slow-XXXXXX";
    assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
    _cleanup_(memory_free) char *slowly = text_format("sleep 2\nexec '%s' agent", self);
    write_script(program, slowly);
    bool is_connected =
        agent_client_open(&fake_agent_scaler, values.scopes[OPTION_CONNECTION],
                          &(struct agent_origin){.program = program}, TIMEOUT_MS, &client, &error);
    unlink(program);
    assert_string_equal(error_text(&error), "");
    assert_true(is_connected);
    agent_client_close(client);
    fake_values_done(&values);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "agent") == 0)
        return agent_run(fake_scalers);

    log_init(LOG_LEVEL_ERROR, LOG_PLAIN);
    const struct CMUnitTest tests[] = {
        TEST(a_scaler_measures_in_an_agent),
        TEST(a_long_error_is_cut_and_ends_no_agent),
        TEST(an_agent_knows_that_it_reconnects),
        TEST(an_agent_that_aborts_fails_its_own_connection_only),
        TEST(a_query_that_aborts_its_agent_is_spaced_out_so_that_others_are_measured),
        TEST(an_agent_that_does_not_respond_is_killed),
        TEST(a_notification_without_subscription_is_ignored),
        TEST(an_agent_reports_why_it_cannot_connect),
        TEST(signals_for_the_server_end_no_agent),
        TEST(a_killed_agent_is_started_again),
        TEST(an_agent_logs_as_this_process_does),
        TEST(thousands_of_queries_and_their_errors_fit_through_the_socket),
        TEST(an_agent_with_a_query_that_hangs_is_not_killed),
        TEST(limits_count_the_agents),
        TEST(notifications_come_out_of_an_agent),
        TEST(a_subscription_that_an_agent_loses_is_made_again_and_notifies_nobody),
        TEST(subscriptions_of_a_killed_agent_are_made_again_at_once),
        TEST(an_agent_unsubscribes),
        TEST(an_agent_that_cannot_start_is_no_refusal_of_the_source),
        TEST(an_agent_that_finds_no_descriptor_is_started_later),
        TEST(nobody_waits_for_an_agent_to_start_that_is_not_needed),
        cmocka_unit_test(an_agent_that_is_not_needed_before_it_runs_has_not_failed),
        cmocka_unit_test(the_time_to_connect_begins_when_the_process_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
