/* How many sessions are open, for how long, and which query has which of them, in fast time. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "postgresql/client.h"
#include "scalers/ended.h"
#include "scalers/postgresql_setting.h"
#include "support/fast_time.h"
#include "support/listener.h"

#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { LONG_MS = 60 * 1000, IDLE_MS = 10 * 1000 /* of sessions.c */ };

static void begin_with(struct setting *setting, int max_sessions)
{
    if (setting->peer.version == 0)
        setting->peer.version = 150000;
    postgresql_peer_start(&setting->peer);
    setting_connect(setting, max_sessions);
}

/* With both of two sessions open. The first two queries are known to be slow. */
static void begin_with_two(struct setting *setting)
{
    begin_with(setting, 2);
    add_known(setting, "SELECT slow 600", 2, 600);
    test_feed_stay(setting->feed, 1000); /* until all is received */
    measure_all(setting);
    assert_int_equal(setting->peer.opened, 2);
}

static void end(struct setting *setting)
{
    setting_disconnect(setting);
    postgresql_peer_stop(&setting->peer);
}

static void assert_answered(struct setting *setting, size_t from, size_t count)
{
    assert_all_ended(setting->feed, from, count, TASK_ANSWERED);
}

/* ---- which session ---- */

static void a_session_takes_any_number_of_quick_queries(void **state)
{
    (void)state;
    struct setting setting = {0};
    begin_with(&setting, 1);
    add(&setting, "SELECT 7", 300);
    measure_all(&setting);
    assert_answered(&setting, 0, 300);
    end(&setting);
}

/* Together more than may be in flight at a time. */
static void long_queries_are_measured(void **state)
{
    enum { LENGTH = 16 << 10, TASKS = 40 };
    (void)state;
    struct setting setting = {0};
    begin_with(&setting, 1);
    _cleanup_(memory_free) char *sql = text_format("SELECT 7 --%*s", LENGTH, "jobs");
    add(&setting, sql, TASKS);
    measure_all(&setting);
    assert_answered(&setting, 0, TASKS);
    end(&setting);
}

/* A socket takes each in several parts. Once it has all of them, the client waits for the result.
 */
static void longer_ones_are_sent_to_their_end(void **state)
{
    enum { LENGTH = 512 << 10, TASKS = 10 };
    (void)state;
    struct setting setting = {0};
    begin_with(&setting, 1);
    char *sql[TASKS];
    for (int i = 0; i < TASKS; i++) {
        sql[i] = text_format("SELECT slow 100 --%*s", (i + 1) * LENGTH, "jobs");
        add_known(&setting, sql[i], 1, 100);
    }
    measure_all(&setting);
    assert_answered(&setting, 0, TASKS);
    for (size_t i = 0; i < TASKS; i++)
        memory_free(&sql[i]);
    end(&setting);
}

static void quick_and_slow_queries_take_turns_in_one_session(void **state)
{
    (void)state;
    struct setting setting = {0};
    begin_with(&setting, 1);
    add_known(&setting, "SELECT slow 30", 4, 1000);
    add(&setting, "SELECT 7", 1);
    measure_all(&setting);
    assert_answered(&setting, 0, 5);
    assert_int_equal(test_feed_task(setting.feed, 4)->order, 2);
    end(&setting);
}

/* Quick ones that come later would otherwise keep the session busy. Another is not needed yet. */
static void the_only_open_session_becomes_free_for_a_slow_query(void **state)
{
    (void)state;
    struct setting setting = {0};
    begin_with(&setting, 2);
    add_known(&setting, "SELECT slow 10", 8, 10);
    add_known(&setting, "SELECT slow 10", 1, 1000);
    add_known(&setting, "SELECT slow 10", 7, 10);
    measure_all(&setting);
    assert_answered(&setting, 0, 16);
    assert_int_equal(test_feed_task(setting.feed, 8)->order, 9);
    end(&setting);
}

static void one_of_two_sessions_is_left_to_quick_queries(void **state)
{
    enum { QUICK = 12 }; /* more than are taken from the feed at once */
    (void)state;
    struct setting setting = {0};
    begin_with_two(&setting);
    size_t ended = setting.count;
    add_known(&setting, "SELECT slow 600", 2, 600);
    add_known(&setting, "SELECT 7", QUICK, 1);
    measure_all(&setting);
    assert_answered(&setting, ended, 2 + QUICK);
    for (size_t i = ended + 2; i < setting.count; i++)
        assert_in_range(test_feed_task(setting.feed, i)->order, ended + 1, ended + QUICK);
    end(&setting);
}

/* What the feed may give meanwhile would keep the client from waiting. */
static void a_busy_session_is_waited_for(void **state)
{
    (void)state;
    struct setting setting = {0};
    begin_with(&setting, 1);
    add_known(&setting, "SELECT 7", 50, 10);
    add_known(&setting, "SELECT slow 100", 1, 10);
    add_known(&setting, "SELECT 7", 100, 10);
    measure_all(&setting);
    assert_answered(&setting, 0, 151);
    end(&setting);
}

/* ---- how many, and for how long ---- */

static void one_session_is_enough_while_no_query_waits(void **state)
{
    (void)state;
    struct setting setting = {0};
    begin_with(&setting, 4);
    add_known(&setting, "SELECT slow 90", 1, 90);
    measure_all(&setting);
    assert_answered(&setting, 0, 1);
    assert_int_equal(setting.peer.opened, 1);
    end(&setting);
}

static void a_session_that_was_idle_is_not_late(void **state)
{
    (void)state;
    struct setting setting = {0};
    begin_with(&setting, 4);
    add(&setting, "SELECT 7", 1);
    measure_all(&setting);
    fast_time_pass(LONG_MS);
    setting.peer.begin_ms = 50;
    test_feed_again(setting.feed);
    measure_all(&setting);
    assert_answered(&setting, 0, 1);
    assert_int_equal(setting.peer.opened, 1);
    end(&setting);
}

static void one_of_two_idle_sessions_is_closed(void **state)
{
    (void)state;
    struct setting setting = {0};
    _cleanup_(error_done) struct error error = {0};
    begin_with_two(&setting);
    test_feed_again(setting.feed);
    measure_all(&setting); /* both become idle at the same time */
    test_feed_stay(setting.feed, LONG_MS);
    int64_t start_ms = clock_now_ms();
    struct feed *feed = test_feed_task(setting.feed, 0)->task.feed;
    assert_true(scaler_postgresql.measure(setting.client, feed, &error));
    assert_int_equal(clock_now_ms() - start_ms, IDLE_MS);

    test_feed_stay(setting.feed, 0);
    test_feed_again(setting.feed);
    measure_all(&setting);
    assert_answered(&setting, 0, 2);
    assert_int_equal(setting.peer.opened, 3);
    end(&setting);
}

/* Nor for as long as a session may take to open. */
static void a_query_may_run_for_longer_than_a_session_may_be_idle(void **state)
{
    enum { RUN_MS = IDLE_MS + 2000 };
    (void)state;
    struct setting setting = {0};
    begin_with(&setting, 2);
    add_known(&setting, "SELECT slow 12000", 2, RUN_MS);
    for (size_t i = 0; i < 2; i++)
        setting.queries[i].timeout_ms = LONG_MS;
    measure_all(&setting);
    assert_answered(&setting, 0, 2);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(test_feed_task(setting.feed, i)->task.last_duration_ms, RUN_MS);
    end(&setting);
}

/* ---- what goes wrong with one ---- */

/* One call of measure, which may go on without tasks. */
static bool measure_once(struct setting *setting, struct error *error)
{
    struct feed *feed = test_feed_task(setting->feed, 0)->task.feed;
    test_feed_stay(setting->feed, LONG_MS);
    bool is_usable = scaler_postgresql.measure(setting->client, feed, error);
    test_feed_stay(setting->feed, 0);
    return is_usable;
}

/* Nobody would wait for it to be open: the server would, even to shut down. */
static void no_session_is_opened_in_place_of_the_only_one_while_no_query_waits(void **state)
{
    (void)state;
    struct setting setting = {0};
    _cleanup_(error_done) struct error error = {0};
    begin_with(&setting, 4);
    add(&setting, "SELECT 7", 1);
    measure_all(&setting);
    add(&setting, "SELECT die", 1);
    assert_true(measure_once(&setting, &error));
    assert_ended_with(setting.feed, 1, TASK_FAILED, "PostgreSQL at 127.0.0.1:");
    assert_int_equal(postgresql_client_count(setting.client, POSTGRESQL_CLOSED), 4);

    add(&setting, "SELECT 7", 1);
    measure_all(&setting);
    assert_answered(&setting, 2, 1);
    assert_int_equal(setting.peer.opened, 2);
    end(&setting);
}

/* As for a task that is cancelled meanwhile. */
static void open_again(struct setting *setting, int login_ms)
{
    _cleanup_(error_done) struct error error = {0};
    struct postgresql_client *client = setting->client;
    postgresql_session_close(&client->sessions[0], 0);
    setting->peer.login_ms = login_ms;
    assert_true(postgresql_client_open(client, &client->sessions[0], &error));
}

static void a_session_that_is_being_opened_is_not_left_so(void **state)
{
    enum { LOGIN_MS = 1000, CONNECT_MS = 3000 /* of sessions.c */ };
    (void)state;
    struct setting setting = {0};
    _cleanup_(error_done) struct error error = {0};
    begin_with(&setting, 1);
    add(&setting, "SELECT 7", 1);
    measure_all(&setting);
    open_again(&setting, LOGIN_MS);
    assert_true(measure_once(&setting, &error));
    assert_int_equal(postgresql_client_count(setting.client, POSTGRESQL_READY), 1);

    open_again(&setting, LONG_MS);
    int64_t start_ms = clock_now_ms();
    assert_false(measure_once(&setting, &error));
    assert_non_null(strstr(error_text(&error), "no answer in time"));
    assert_int_equal(clock_now_ms() - start_ms, CONNECT_MS);
    end(&setting);
}

static void a_session_that_a_pooler_ends_costs_no_query_anything(void **state)
{
    (void)state;
    struct setting setting = {0};
    begin_with_two(&setting);
    setting.peer.ends_others = true;
    test_feed_again(setting.feed);
    measure_all(&setting);
    assert_answered(&setting, 0, 2);
    assert_in_range(test_feed_task(setting.feed, 0)->returned +
                        test_feed_task(setting.feed, 1)->returned,
                    1, 2);
    end(&setting);
}

/* Nothing of it is a query's fault: those that were sent and those that wait may be measured by the
 * next client. */
static void a_session_that_does_not_begin_returns_all_queries(void **state)
{
    enum { TASKS = 20 };
    (void)state;
    struct setting setting = {0};
    _cleanup_(error_done) struct error error = {0};
    begin_with(&setting, 1);
    setting.peer.begin_ms = LONG_MS;
    add(&setting, "SELECT 7", TASKS / 2);
    add_known(&setting, "SELECT 7", TASKS / 2, 1000);
    assert_false(test_feed_run(setting.feed, setting.client, ENOUGH_MS, &error));
    assert_non_null(strstr(error_text(&error), "no answer in time"));
    for (size_t i = 0; i < TASKS; i++) {
        const struct test_task *task = test_feed_task(setting.feed, i);
        assert_false(task->ended || task->in_flight);
        assert_int_equal(task->returned, task->given);
    }
    assert_int_equal(test_feed_task(setting.feed, TASKS - 1)->returned, 1);
    end(&setting);
}

/* It stops a query soon after its session was closed. Older ones do not know the setting. */
static void a_server_watches_its_client_from_version_14_on(void **state)
{
    (void)state;
    for (int version = 13; version <= 15; version++) {
        struct setting setting = {.peer = {.version = version * 10000}};
        begin_with(&setting, 1);
        add_known(&setting, "SELECT 7", 1, 1000);
        measure_all(&setting);
        assert_answered(&setting, 0, 1);
        assert_int_equal(setting.peer.watches, version >= 14);
        end(&setting);
    }
}

/* ---- the first one ---- */

int __real_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **ret_found);
int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **ret_found);

/* That of "late" takes all of the time, and fails. */
int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **ret_found)
{
    if (!text_equal(host, "late"))
        return __real_getaddrinfo(host, service, hints, ret_found);
    fast_time_pass(ENOUGH_MS);
    return EAI_AGAIN;
}

static void a_look_up_behind_a_silent_host_may_take_all_of_the_time(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    int port = 0;
    int silent = listener_open(1, &port);
    _cleanup_(memory_free) char *connection =
        text_format("host=127.0.0.1,late port=%d user=me sslmode=disable", port);
    const struct postgresql_connection_options options = {.connection = connection,
                                                          .max_sessions = 1};
    void *client = NULL;
    assert_false(scaler_postgresql.connect(&options, clock_now_ms() + ENOUGH_MS, &client, &error));
    assert_non_null(strstr(error_text(&error), "cannot look up late: "));
    close(silent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_takes_any_number_of_quick_queries),
        cmocka_unit_test(long_queries_are_measured),
        cmocka_unit_test(longer_ones_are_sent_to_their_end),
        cmocka_unit_test(quick_and_slow_queries_take_turns_in_one_session),
        cmocka_unit_test(the_only_open_session_becomes_free_for_a_slow_query),
        cmocka_unit_test(one_of_two_sessions_is_left_to_quick_queries),
        cmocka_unit_test(a_busy_session_is_waited_for),
        cmocka_unit_test(one_session_is_enough_while_no_query_waits),
        cmocka_unit_test(a_session_that_was_idle_is_not_late),
        cmocka_unit_test(one_of_two_idle_sessions_is_closed),
        cmocka_unit_test(a_query_may_run_for_longer_than_a_session_may_be_idle),
        cmocka_unit_test(no_session_is_opened_in_place_of_the_only_one_while_no_query_waits),
        cmocka_unit_test(a_session_that_is_being_opened_is_not_left_so),
        cmocka_unit_test(a_session_that_a_pooler_ends_costs_no_query_anything),
        cmocka_unit_test(a_session_that_does_not_begin_returns_all_queries),
        cmocka_unit_test(a_server_watches_its_client_from_version_14_on),
        cmocka_unit_test(a_look_up_behind_a_silent_host_may_take_all_of_the_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
