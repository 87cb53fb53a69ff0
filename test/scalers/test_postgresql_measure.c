#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "postgresql/dispatch.h"
#include "scalers/ended.h"
#include "scalers/feed_limits.h"
#include "scalers/postgresql_setting.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void begin_with(struct setting *setting, int max_sessions)
{
    setting->peer.version = 150000;
    postgresql_peer_start(&setting->peer);
    setting_connect(setting, max_sessions);
}

static void begin(struct setting *setting)
{
    begin_with(setting, 4);
}

static void end(struct setting *setting)
{
    setting_disconnect(setting);
    postgresql_peer_stop(&setting->peer);
}

static void quick_queries_are_sent_many_at_a_time(void **state)
{
    (void)state;
    struct setting setting = {0};
    begin(&setting);
    add(&setting, "SELECT 7", 1000);
    measure_all(&setting);
    assert_all_ended(setting.feed, 0, 1000, TASK_ANSWERED);
    assert_int_equal(setting.peer.queries, 1000);
    assert_true(test_feed_task(setting.feed, 999)->reading.value == 7);
    assert_int_equal(test_feed_task(setting.feed, 999)->started, 1);
    end(&setting);
}

/* It keeps them between measurements, and another process may have to be told. */
static void the_feed_gets_its_limits_once(void **state)
{
    (void)state;
    struct setting setting = {0};
    begin(&setting);
    add(&setting, "SELECT 7", 1);
    struct feed_limits limits;
    feed_limits_note(&limits, setting.feed);
    for (int i = 0; i < 3; i++) {
        test_feed_again(setting.feed);
        measure_all(&setting);
        assert_all_ended(setting.feed, 0, 1, TASK_ANSWERED);
    }
    assert_int_equal(limits.set_count, 1);
    end(&setting);
}

/* libpq keeps each twice where the server does not read them. */
static void few_long_queries_are_in_flight(void **state)
{
    enum { LENGTH = 16 << 10, TASKS = 100 };
    (void)state;
    struct setting setting = {0};
    begin_with(&setting, 1);
    struct postgresql_client *client = setting.client;
    const struct postgresql_session *session = &client->sessions[0];
    _cleanup_(memory_free) char *sql = text_format("SELECT 7 --%*s", LENGTH, "jobs");
    const struct postgresql_query longer = {.query = sql};
    const struct postgresql_query shorter = {.query = "SELECT 7"};
    struct task tasks[2 * TASKS];
    for (size_t i = 0; i < ARRAY_LENGTH(tasks); i++) {
        tasks[i] = (struct task){.query = i < TASKS ? &shorter : &longer, .timeout_ms = ENOUGH_MS};
        postgresql_dispatch_add(client, &tasks[i]);
    }
    postgresql_dispatch(client);
    assert_in_range(session->count, TASKS + 4, TASKS + 32);
    for (size_t i = 0; i < ARRAY_LENGTH(tasks); i++)
        if (tasks[i].data == &client->quick)
            postgresql_queue_remove(&client->quick, &tasks[i]);
    end(&setting);
}

/* Each in lines of its own, as it may end with a comment; a semicolon would end all of them. */
static void all_queries_of_a_trigger_are_one_statement(void **state)
{
    (void)state;
    static const struct postgresql_query queries[] = {
        {.query = "SELECT 5", .in_flight_query = "SELECT 6;"},
        {.query = "SELECT 5 ;\n\t", .arrival_query = "SELECT 7 -- jobs"},
        {.query = "SELECT 5 -- ;", .consumption_query = "SELECT 8"},
        {.query = "SELECT 5",
         .in_flight_query = "SELECT 6",
         .arrival_query = "SELECT 7",
         .consumption_query = "SELECT 8"},
    };
    struct setting setting = {0};
    begin(&setting);
    for (size_t i = 0; i < ARRAY_LENGTH(queries); i++) {
        setting.queries[i] = queries[i];
        test_feed_add(setting.feed, &setting.queries[i], (struct notifier){0});
    }
    measure_all(&setting);
    assert_all_ended(setting.feed, 0, ARRAY_LENGTH(queries), TASK_ANSWERED);
    for (size_t i = 0; i < ARRAY_LENGTH(queries); i++) {
        const struct reading *reading = &test_feed_task(setting.feed, i)->reading;
        assert_true(reading->value == 5);
        assert_true(queries[i].in_flight_query == NULL || reading->in_flight == 6);
        assert_true(queries[i].arrival_query == NULL || reading->arrived == 7);
        assert_true(queries[i].consumption_query == NULL || reading->consumed == 8);
    }
    end(&setting);
}

static void a_query_beyond_the_quick_limit_runs_alone_and_has_not_failed(void **state)
{
    (void)state;
    struct setting setting = {0};
    begin(&setting);
    add(&setting, "SELECT slow 600", 1);
    add(&setting, "SELECT 7", 20);
    measure_all(&setting);
    const struct test_task *slow = test_feed_task(setting.feed, 0);
    assert_all_ended(setting.feed, 0, 21, TASK_ANSWERED);
    assert_true(slow->reading.value == 3);
    assert_int_equal(slow->given, 2);
    assert_int_equal(slow->returned, 1);
    assert_int_equal(slow->started, 2);
    assert_int_equal(slow->task.last_duration_ms, 600); /* of the second: the first had 200 */
    assert_int_equal(setting.peer.queries, 22);

    test_feed_again(setting.feed); /* it is known to be slow now */
    measure_all(&setting);
    assert_all_ended(setting.feed, 0, 21, TASK_ANSWERED);
    assert_int_equal(setting.peer.queries, 43);
    end(&setting);
}

static void slow_queries_share_no_more_than_the_allowed_sessions(void **state)
{
    (void)state;
    struct setting setting = {0};
    begin(&setting);
    add(&setting, "SELECT slow 300", 12);
    int64_t start_ms = clock_now_ms();
    measure_all(&setting);
    assert_all_ended(setting.feed, 0, 12, TASK_ANSWERED);
    assert_in_range(clock_now_ms() - start_ms, 0, 3000);
    assert_int_equal(setting.peer.max_sessions, 4);
    end(&setting);
}

static void a_query_that_times_out_delays_no_other(void **state)
{
    (void)state;
    struct setting setting = {0};
    begin(&setting);
    add(&setting, "SELECT slow 60000", 1);
    add(&setting, "SELECT 7", 100);
    setting.queries[0].timeout_ms = 600;
    measure_all(&setting);
    const struct test_task *slow = test_feed_task(setting.feed, 0);
    assert_all_ended(setting.feed, 0, 1, TASK_TIMED_OUT);
    assert_string_equal(error_text(&slow->error), "no answer within 600 ms");
    assert_all_ended(setting.feed, 1, 100, TASK_ANSWERED);
    assert_int_equal(slow->order, 101);
    end(&setting);
}

static void a_session_that_the_server_does_not_stop_fails_its_query_alone(void **state)
{
    (void)state;
    struct setting setting = {0};
    begin(&setting);
    add(&setting, "SELECT hang", 1);
    add(&setting, "SELECT 7", 100);
    setting.queries[0].timeout_ms = 300;
    measure_all(&setting);
    assert_all_ended(setting.feed, 0, 1, TASK_TIMED_OUT);
    assert_all_ended(setting.feed, 1, 100, TASK_ANSWERED);
    end(&setting);
}

static void a_query_that_fails_fails_alone(void **state)
{
    (void)state;
    struct setting setting = {0};
    begin(&setting);
    add(&setting, "SELECT 7", 5);
    add(&setting, "SELECT error", 1);
    add(&setting, "SELECT 7", 5);
    measure_all(&setting);
    assert_all_ended(setting.feed, 0, 5, TASK_ANSWERED);
    assert_all_ended(setting.feed, 5, 1, TASK_FAILED);
    assert_all_ended(setting.feed, 6, 5, TASK_ANSWERED);
    assert_string_equal(error_text(&test_feed_task(setting.feed, 5)->error),
                        "PostgreSQL refused the query: no luck");
    end(&setting);
}

static void a_query_without_result_or_error_fails_alone(void **state)
{
    (void)state;
    struct setting setting = {0};
    begin(&setting);
    add(&setting, "SELECT 7", 2);
    add(&setting, "SELECT mute", 1);
    add(&setting, "SELECT 7", 2);
    measure_all(&setting);
    assert_all_ended(setting.feed, 0, 2, TASK_ANSWERED);
    assert_all_ended(setting.feed, 2, 1, TASK_FAILED);
    assert_all_ended(setting.feed, 3, 2, TASK_ANSWERED);
    end(&setting);
}

static void refused_sessions_cost_no_query_anything(void **state)
{
    (void)state;
    struct setting setting = {0};
    setting.peer.accepts = 1;
    begin(&setting);
    add(&setting, "SELECT slow 250", 4);
    add(&setting, "SELECT 7", 8);
    measure_all(&setting);
    assert_all_ended(setting.feed, 0, 12, TASK_ANSWERED);
    assert_int_equal(setting.peer.opened, 2); /* and not tried again and again */
    end(&setting);
}

static void sessions_that_a_pooler_keeps_waiting_cost_no_query_anything(void **state)
{
    (void)state;
    struct setting setting = {0};
    setting.peer.begins = 1;
    begin(&setting);
    add(&setting, "SELECT slow 250", 4);
    add(&setting, "SELECT 7", 8);
    measure_all(&setting);
    assert_all_ended(setting.feed, 0, 12, TASK_ANSWERED);
    for (size_t i = 0; i < 12; i++)
        assert_int_equal(test_feed_task(setting.feed, i)->returned, i < 4); /* to run alone */
    assert_int_equal(setting.peer.opened, 2);
    end(&setting);
}

static void a_session_that_becomes_late_costs_no_query_anything(void **state)
{
    (void)state;
    struct setting setting = {0};
    begin(&setting);
    add(&setting, "SELECT slow 250", 6);
    measure_all(&setting); /* now there are some sessions */
    assert_in_range(setting.peer.max_sessions, 2, 4);
    assert_int_equal(test_feed_task(setting.feed, 1)->returned, 1); /* to run alone */
    setting.peer.serves_first = true;
    test_feed_again(setting.feed);
    measure_all(&setting);
    assert_all_ended(setting.feed, 0, 6, TASK_ANSWERED);
    assert_int_equal(test_feed_task(setting.feed, 1)->returned, 2);
    end(&setting);
}

static void a_query_that_ends_its_session_fails_alone(void **state)
{
    (void)state;
    struct setting setting = {0};
    begin(&setting);
    add(&setting, "SELECT slow 300", 12);
    measure_all(&setting); /* now there are four sessions */
    add(&setting, "SELECT die", 1);
    add(&setting, "SELECT 7", 20);
    test_feed_again(setting.feed);
    measure_all(&setting);
    assert_all_ended(setting.feed, 0, 12, TASK_ANSWERED);
    assert_all_ended(setting.feed, 12, 1, TASK_FAILED);
    assert_all_ended(setting.feed, 13, 20, TASK_ANSWERED);
    end(&setting);
}

static void a_query_that_ends_the_only_session_fails_alone(void **state)
{
    (void)state;
    struct setting setting = {0};
    begin(&setting);
    add(&setting, "SELECT die", 1);
    add(&setting, "SELECT 7", 20);
    measure_all(&setting);
    assert_all_ended(setting.feed, 0, 1, TASK_FAILED);
    assert_all_ended(setting.feed, 1, 20, TASK_ANSWERED);
    end(&setting);
}

static void a_server_that_is_gone_is_of_no_further_use(void **state)
{
    (void)state;
    struct setting setting = {0};
    _cleanup_(error_done) struct error error = {0};
    begin(&setting);
    add(&setting, "SELECT 7", 20);
    postgresql_peer_stop(&setting.peer);
    assert_false(test_feed_run(setting.feed, setting.client, ENOUGH_MS, &error));
    assert_non_null(strstr(error_text(&error), "PostgreSQL at 127.0.0.1:"));
    for (size_t i = 0; i < 20; i++)
        assert_false(test_feed_task(setting.feed, i)->ended);
    setting_disconnect(&setting);
}

static void assert_one_line(const char *text)
{
    if (strpbrk(text, "\n\t") != NULL || strstr(text, "  ") != NULL ||
        text[strlen(text) - 1] == ' ')
        fail_msg("\"%s\" is more than a line", text);
}

/* That the query failed is not the end of it: that nobody listens any more is. */
static void a_server_that_exits_is_of_no_further_use(void **state)
{
    (void)state;
    struct setting setting = {0};
    _cleanup_(error_done) struct error error = {0};
    begin_with(&setting, 1);
    add(&setting, "SELECT exit", 1);
    add(&setting, "SELECT 7", 20);
    assert_false(test_feed_run(setting.feed, setting.client, ENOUGH_MS, &error));
    if (strstr(error_text(&error), "Connection refused") == NULL)
        fail_msg("\"%s\"", error_text(&error));
    assert_one_line(error_text(&error));
    assert_ended_with(setting.feed, 0, TASK_FAILED, "PostgreSQL at 127.0.0.1:");
    assert_one_line(error_text(&test_feed_task(setting.feed, 0)->error));
    for (size_t i = 1; i <= 20; i++)
        assert_false(test_feed_task(setting.feed, i)->ended);
    end(&setting);
}

static void a_server_that_cannot_watch_its_client_is_not_made_to(void **state)
{
    (void)state;
    struct setting setting = {0};
    setting.peer.refuses_watch = true;
    begin(&setting);
    add(&setting, "SELECT slow 250", 2);
    measure_all(&setting);
    assert_all_ended(setting.feed, 0, 2, TASK_ANSWERED);
    end(&setting);
}

/* Those that were sent before the first was refused are refused as well. */
static void nor_is_it_by_queries_that_run_beside_each_other(void **state)
{
    enum { SESSIONS = 4 };
    (void)state;
    struct setting setting = {0};
    begin(&setting);
    /* None ends before all sessions are open. */
    add_known(&setting, "SELECT slow 1000", SESSIONS, 1000);
    measure_all(&setting);
    assert_int_equal(setting.peer.sessions, SESSIONS); /* which stay open for a while */
    setting.peer.refuses_watch = true;
    test_feed_again(setting.feed);
    measure_all(&setting);
    assert_all_ended(setting.feed, 0, SESSIONS, TASK_ANSWERED);
    end(&setting);
}

static void no_source_is_reached_where_no_transaction_begins(void **state)
{
    (void)state;
    struct setting setting = {0};
    _cleanup_(error_done) struct error error = {0};
    setting.peer.begins = 1;
    begin(&setting);
    void *other = NULL; /* as a pooler whose only session is another's */
    assert_false(scaler_postgresql.connect(&setting.options, clock_now_ms() + 300, &other, &error));
    assert_non_null(strstr(error_text(&error), "no answer in time"));
    end(&setting);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quick_queries_are_sent_many_at_a_time),
        cmocka_unit_test(the_feed_gets_its_limits_once),
        cmocka_unit_test(few_long_queries_are_in_flight),
        cmocka_unit_test(all_queries_of_a_trigger_are_one_statement),
        cmocka_unit_test(a_query_beyond_the_quick_limit_runs_alone_and_has_not_failed),
        cmocka_unit_test(slow_queries_share_no_more_than_the_allowed_sessions),
        cmocka_unit_test(a_query_that_times_out_delays_no_other),
        cmocka_unit_test(a_session_that_the_server_does_not_stop_fails_its_query_alone),
        cmocka_unit_test(a_query_that_fails_fails_alone),
        cmocka_unit_test(a_query_without_result_or_error_fails_alone),
        cmocka_unit_test(refused_sessions_cost_no_query_anything),
        cmocka_unit_test(sessions_that_a_pooler_keeps_waiting_cost_no_query_anything),
        cmocka_unit_test(a_session_that_becomes_late_costs_no_query_anything),
        cmocka_unit_test(a_query_that_ends_its_session_fails_alone),
        cmocka_unit_test(a_query_that_ends_the_only_session_fails_alone),
        cmocka_unit_test(a_server_that_is_gone_is_of_no_further_use),
        cmocka_unit_test(a_server_that_exits_is_of_no_further_use),
        cmocka_unit_test(a_server_that_cannot_watch_its_client_is_not_made_to),
        cmocka_unit_test(nor_is_it_by_queries_that_run_beside_each_other),
        cmocka_unit_test(no_source_is_reached_where_no_transaction_begins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
