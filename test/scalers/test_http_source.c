/* What kit/http_source.h does for any source. More of it: test_prometheus_measure.c. */
#include "kit/http_source.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure/scaler.h"
#include "scalers/ended.h"
#include "scalers/http_peer.h"
#include "support/feed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { ENOUGH_MS = 20000, TIMEOUT_MS = 1000, MANY = 100 };

/* A source of the numbers that a peer returns: how to connect is its address. */
struct test_query {
    const char *word;
    double factor; /* the number is multiplied by it; 0: it is an error */
};

static const struct option options[] = {{.key = "word",
                                         .scope = OPTION_QUERY,
                                         OPTION_FIELD(struct test_query, word),
                                         .type = OPTION_STRING},
                                        {0}};

static const struct tls_options no_tls;

static bool log_in(const void *connection, struct http_login *ret_login, struct error *error)
{
    (void)connection;
    (void)error;
    ret_login->tls = &no_tls;
    return true;
}

static bool request(const void *connection, const void *query, struct http_request *ret_request,
                    struct error *error)
{
    const struct http_peer *peer = connection;
    const char *word = ((const struct test_query *)query)->word;
    if (word == NULL)
        return error_invalid(error, "there is no word");
    ret_request->url = text_format("%s/?query=%s", peer->address, word);
    return true;
}

static bool parse(const void *query, const struct http_answer *answer, struct reading *ret_reading,
                  struct error *error)
{
    double factor = ((const struct test_query *)query)->factor;
    const char *number = strrchr(answer->body.bytes, ',');
    assert_null(answer->json);
    if (!(factor > 0))
        return error_unavailable(error, "%s has no number", answer->name);
    ret_reading->waiting = factor * strtod(number + strlen(",\""), NULL);
    return true;
}

static const struct http_source source = {
    .service = "The peer",
    .few_gets = 2,
    .most_gets = 4,
    .isolated_share = 2,
    .max_body_bytes = 4096,
    .log_in = log_in,
    .request = request,
    .parse = parse,
};

static bool connect_client(const void *connection_options, int64_t deadline_ms, void **ret_client,
                           struct error *error)
{
    return http_source_connect(&source, connection_options, deadline_ms, ret_client, error);
}

static const struct scaler scaler = {
    .name = "peer",
    .options = options,
    .sizes = {[OPTION_QUERY] = sizeof(struct test_query)},
    .connect = connect_client,
    .measure = http_source_measure,
    .disconnect = http_source_disconnect,
    .timeout_ms = TIMEOUT_MS,
    .max_tasks = 2,
    .isolated = 1,
};

struct setting {
    struct http_peer peer;
    struct test_query queries[MANY];
    struct test_feed *feed;
    size_t count;
    void *client;
};

static void begin(struct setting *setting)
{
    _cleanup_(error_done) struct error error = {0};
    *setting = (struct setting){0};
    http_peer_start(&setting->peer);
    setting->feed = test_feed_new(&scaler);
    assert_true(
        scaler.connect(&setting->peer, clock_now_ms() + ENOUGH_MS, &setting->client, &error));
}

static void add(struct setting *setting, const char *word, double factor)
{
    struct test_query *query = &setting->queries[setting->count++];
    *query = (struct test_query){word, factor};
    test_feed_add(setting->feed, query, (struct notifier){0});
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
    scaler.disconnect(setting->client);
    http_peer_stop(&setting->peer);
}

/* Also more of them than there may be requests. */
static void tasks_with_one_url_share_a_request(void **state)
{
    (void)state;
    struct setting setting;
    begin(&setting);
    for (size_t i = 0; i < MANY; i++)
        add(&setting, "7", (double)i);
    measure_all(&setting);
    assert_int_equal(setting.peer.requests, 1);
    assert_ended_with(setting.feed, 0, TASK_FAILED, "The peer at 127.0.0.1:");
    for (size_t i = 1; i < MANY; i++)
        assert_true(test_feed_task(setting.feed, i)->reading.waiting == 7.0 * (double)i);
    end(&setting);
}

/* Its answer may be older than the task. */
static void no_task_joins_a_request_that_was_sent_before(void **state)
{
    (void)state;
    struct setting setting;
    begin(&setting);
    add(&setting, "slow300", 1);
    add(&setting, "slow200", 1);
    for (size_t i = 0; i < 3; i++) /* the first of them has the place of slow200, and waits */
        add(&setting, "slow300", 1);
    int64_t start_ms = clock_now_ms();
    measure_all(&setting);
    assert_all_ended(setting.feed, 0, 5, TASK_ANSWERED);
    assert_int_equal(setting.peer.requests, 3);
    for (size_t i = 2; i < 5; i++) {
        assert_in_range(test_feed_task(setting.feed, i)->started, 1, 1);
        assert_in_range(test_feed_task(setting.feed, i)->sent_ms - start_ms, 300, 350);
    }
    end(&setting);
}

static void all_that_share_a_request_time_out_with_it(void **state)
{
    (void)state;
    struct setting setting;
    begin(&setting);
    for (size_t i = 0; i < 10; i++)
        add(&setting, "hang", 1);
    add(&setting, "7", 1);
    measure_all(&setting);
    assert_all_ended(setting.feed, 0, 10, TASK_TIMED_OUT);
    assert_ended(setting.feed, 10, TASK_ANSWERED);
    assert_int_equal(setting.peer.requests, 2);
    end(&setting);
}

static void a_status_that_is_no_success_fails_its_tasks_alone(void **state)
{
    (void)state;
    struct setting setting;
    begin(&setting);
    add(&setting, "status500", 1);
    add(&setting, "status401", 1);
    add(&setting, "status302", 1);
    add(&setting, "size5000", 1);
    add(&setting, NULL, 1);
    add(&setting, "7", 1);
    measure_all(&setting);
    assert_ended_with(setting.feed, 0, TASK_FAILED, "HTTP status 500");
    assert_ended_with(setting.feed, 1, TASK_FAILED, "HTTP status 401");
    assert_ended_with(setting.feed, 2, TASK_FAILED, "HTTP status 302");
    assert_ended_with(setting.feed, 3, TASK_FAILED, "has more than 4096 bytes");
    assert_ended_with(setting.feed, 4, TASK_FAILED, "there is no word");
    assert_ended(setting.feed, 5, TASK_ANSWERED);
    end(&setting);
}

static void without_a_ping_each_failure_is_its_tasks_own(void **state)
{
    (void)state;
    struct setting setting;
    begin(&setting);
    add(&setting, "drop", 1);
    measure_all(&setting);
    assert_ended_with(setting.feed, 0, TASK_FAILED, "request to The peer at 127.0.0.1:");
    assert_int_equal(setting.peer.requests, 1);
    end(&setting);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tasks_with_one_url_share_a_request),
        cmocka_unit_test(no_task_joins_a_request_that_was_sent_before),
        cmocka_unit_test(all_that_share_a_request_time_out_with_it),
        cmocka_unit_test(a_status_that_is_no_success_fails_its_tasks_alone),
        cmocka_unit_test(without_a_ping_each_failure_is_its_tasks_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
