#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "prometheus/client.h"
#include "scalers/ended.h"
#include "scalers/http_peer.h"
#include "support/feed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

extern const struct scaler scaler_prometheus;

enum { ENOUGH_MS = 20000, DEADLINE_MS = 300 };

/* A client of a peer, and a feed. */
struct setting {
    struct http_peer peer;
    struct prometheus_connection_options options;
    struct prometheus_query queries[256];
    struct test_feed *feed;
    size_t count;
    void *client;
};

static void begin(struct setting *setting, int64_t timeout_ms)
{
    _cleanup_(error_done) struct error error = {0};
    *setting = (struct setting){.options = {.timeout_ms = timeout_ms}};
    http_peer_start(&setting->peer);
    setting->options.server_address = setting->peer.address;
    setting->feed = test_feed_new(&scaler_prometheus);
    if (!scaler_prometheus.connect(&setting->options, clock_now_ms() + ENOUGH_MS, &setting->client,
                                   &error))
        fail_msg("%s", error_text(&error));
}

static void add(struct setting *setting, const char *query, size_t times)
{
    for (size_t i = 0; i < times; i++) {
        setting->queries[setting->count].query = query;
        test_feed_add(setting->feed, &setting->queries[setting->count++], (struct notifier){0});
    }
}

static void measure_all(struct setting *setting)
{
    _cleanup_(error_done) struct error error = {0};
    if (!test_feed_run(setting->feed, setting->client, ENOUGH_MS, &error))
        fail_msg("%s", error_text(&error));
}

static void end(struct setting *setting)
{
    test_feed_free(setting->feed);
    scaler_prometheus.disconnect(setting->client);
    http_peer_stop(&setting->peer);
}

static void a_hanging_query_delays_no_other(void **state)
{
    (void)state;
    struct setting setting;
    begin(&setting, DEADLINE_MS);
    add(&setting, "hang", 3);
    add(&setting, "7", 100);
    measure_all(&setting);
    assert_all_ended(setting.feed, 0, 3, TASK_TIMED_OUT);
    assert_all_ended(setting.feed, 3, 100, TASK_ANSWERED);
    for (size_t i = 0; i < 3; i++)
        assert_true(test_feed_task(setting.feed, i)->order > 100);
    assert_true(test_feed_task(setting.feed, 3)->reading.value == 7);
    end(&setting);
}

static void the_key_timeout_is_each_querys_deadline(void **state)
{
    (void)state;
    struct setting setting;
    begin(&setting, DEADLINE_MS);
    add(&setting, "hang", 1);
    int64_t start_ms = clock_now_ms();
    measure_all(&setting);
    assert_true(clock_now_ms() - start_ms >= DEADLINE_MS - 50);
    assert_string_equal(error_text(&test_feed_task(setting.feed, 0)->error),
                        "no answer within 300 ms");
    end(&setting);
}

/* Also of those that are sent once the server has answered for the first ones. */
static void a_query_whose_connection_breaks_fails_alone(void **state)
{
    enum { DROPPED = 3 * PROMETHEUS_DEFAULT_TASKS };
    (void)state;
    struct setting setting;
    begin(&setting, DEADLINE_MS);
    add(&setting, "drop", DROPPED);
    measure_all(&setting);
    for (size_t i = 0; i < DROPPED; i++)
        assert_ended_with(setting.feed, i, TASK_FAILED, "request to Prometheus at 127.0.0.1:");
    add(&setting, "7", 10);
    test_feed_again(setting.feed);
    measure_all(&setting);
    assert_all_ended(setting.feed, 0, DROPPED, TASK_FAILED);
    assert_all_ended(setting.feed, DROPPED, 10, TASK_ANSWERED);
    end(&setting);
}

static void a_server_that_is_gone_is_of_no_further_use(void **state)
{
    (void)state;
    struct setting setting;
    _cleanup_(error_done) struct error error = {0};
    begin(&setting, DEADLINE_MS);
    add(&setting, "7", 20);
    http_peer_stop(&setting.peer);
    assert_false(test_feed_run(setting.feed, setting.client, ENOUGH_MS, &error));
    assert_non_null(strstr(error_text(&error), "request to Prometheus at 127.0.0.1:"));
    for (size_t i = 0; i < 20; i++)
        assert_false(test_feed_task(setting.feed, i)->ended);
    test_feed_free(setting.feed);
    scaler_prometheus.disconnect(setting.client);
}

static void max_tasks_grows_while_queries_wait(void **state)
{
    (void)state;
    struct setting setting;
    begin(&setting, 0);
    add(&setting, "slow30", 200);
    measure_all(&setting);
    assert_all_ended(setting.feed, 0, 200, TASK_ANSWERED);
    assert_in_range(setting.peer.max_in_flight, PROMETHEUS_DEFAULT_TASKS + 1, PROMETHEUS_MAX_TASKS);
    end(&setting);
}

static void few_queries_do_not_raise_max_tasks(void **state)
{
    (void)state;
    struct setting setting;
    begin(&setting, 0);
    add(&setting, "slow200", 8);
    measure_all(&setting);
    assert_all_ended(setting.feed, 0, 8, TASK_ANSWERED);
    assert_in_range(setting.peer.max_in_flight, 1, PROMETHEUS_DEFAULT_TASKS);
    assert_int_equal(((struct prometheus_client *)setting.client)->max_tasks,
                     PROMETHEUS_DEFAULT_TASKS);
    end(&setting);
}

static void a_cancelled_query_is_returned_and_its_late_answer_ignored(void **state)
{
    (void)state;
    struct setting setting;
    begin(&setting, 0);
    add(&setting, "slow300", 1);
    add(&setting, "7", 3);
    test_feed_cancel_after(setting.feed, 0, 100);
    measure_all(&setting);
    const struct test_task *task = test_feed_task(setting.feed, 0);
    assert_all_ended(setting.feed, 0, 4, TASK_ANSWERED);
    assert_int_equal(task->returned, 1);
    assert_int_equal(task->given, 2);
    assert_true(task->task.isolate);
    assert_in_range(task->task.last_duration_ms, 290,
                    ENOUGH_MS); /* not what was left of the first request */
    assert_true(test_feed_task(setting.feed, 1)->reading.value == 7);
    end(&setting);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hanging_query_delays_no_other),
        cmocka_unit_test(the_key_timeout_is_each_querys_deadline),
        cmocka_unit_test(a_query_whose_connection_breaks_fails_alone),
        cmocka_unit_test(a_server_that_is_gone_is_of_no_further_use),
        cmocka_unit_test(max_tasks_grows_while_queries_wait),
        cmocka_unit_test(few_queries_do_not_raise_max_tasks),
        cmocka_unit_test(a_cancelled_query_is_returned_and_its_late_answer_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
