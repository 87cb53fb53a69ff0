#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "kit/http_source.h"
#include "prometheus/options.h"
#include "scalers/ended.h"
#include "scalers/feed_limits.h"
#include "scalers/http_peer.h"
#include "support/feed.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

extern const struct scaler scaler_prometheus;

enum {
    ENOUGH_MS = 20000,
    DEADLINE_MS = 300,
    FEW_QUERIES = 8,
    MOST_QUERIES = 32,
    ISOLATED_SHARE = 4
};

/* A client of a peer, and a feed. */
struct setting {
    struct http_peer peer;
    struct prometheus_connection_options options;
    struct prometheus_query queries[256];
    char *texts[256]; /* of the queries */
    struct test_feed *feed;
    size_t count;
    void *client;
};

static void start(struct setting *setting, int64_t timeout_ms)
{
    *setting = (struct setting){.options = {.timeout_ms = timeout_ms}};
    http_peer_start(&setting->peer);
    setting->options.server_address = setting->peer.address;
    setting->feed = test_feed_new(&scaler_prometheus);
}

static void connect_client(struct setting *setting)
{
    _cleanup_(error_done) struct error error = {0};
    if (!scaler_prometheus.connect(&setting->options, clock_now_ms() + ENOUGH_MS, &setting->client,
                                   &error))
        fail_msg("%s", error_text(&error));
}

static void begin(struct setting *setting, int64_t timeout_ms)
{
    start(setting, timeout_ms);
    connect_client(setting);
}

/* So many queries; no two are the same, so that none shares another's request. */
static void add(struct setting *setting, const char *query, size_t times)
{
    for (size_t i = 0; i < times; i++, setting->count++) {
        setting->texts[setting->count] = text_format("%s #%zu", query, setting->count);
        setting->queries[setting->count].query = setting->texts[setting->count];
        test_feed_add(setting->feed, &setting->queries[setting->count], (struct notifier){0});
    }
}

static void measure_all(struct setting *setting)
{
    _cleanup_(error_done) struct error error = {0};
    if (!test_feed_run(setting->feed, setting->client, ENOUGH_MS, &error))
        fail_msg("%s", error_text(&error));
}

static void end_feed(struct setting *setting)
{
    test_feed_free(setting->feed);
    for (size_t i = 0; i < setting->count; i++)
        free(setting->texts[i]);
}

static void end(struct setting *setting)
{
    end_feed(setting);
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
    assert_int_equal(clock_now_ms() - start_ms, DEADLINE_MS);
    assert_string_equal(error_text(&test_feed_task(setting.feed, 0)->error),
                        "no answer within 300 ms");
    end(&setting);
}

/* A request has no more, whatever the key says: the error must name it. */
static void a_query_has_ten_minutes_at_most(void **state)
{
    (void)state;
    struct setting setting;
    begin(&setting, (int64_t)60 * 60 * 1000);
    assert_int_equal(((struct http_source_client *)setting.client)->login.timeout_ms,
                     10 * 60 * 1000);
    end(&setting);
}

/* Also of those that are sent once the server has answered for the first ones. */
static void a_query_whose_connection_breaks_fails_alone(void **state)
{
    enum { DROPPED = 3 * FEW_QUERIES };
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

/* Else it would fail later, and with it all that is in flight. */
static void an_answer_ends_the_ping(void **state)
{
    (void)state;
    struct setting setting;
    begin(&setting, 0);
    setting.peer.ping = "held";
    add(&setting, "drop", 1);
    add(&setting, "pinged", 1);
    add(&setting, "held", FEW_QUERIES - 2);
    add(&setting, "release", 1); /* there is no place for it before the answer */
    measure_all(&setting);
    assert_ended(setting.feed, 0, TASK_FAILED);
    assert_ended(setting.feed, 1, TASK_ANSWERED);
    assert_all_ended(setting.feed, 2, FEW_QUERIES - 2, TASK_FAILED);
    assert_ended(setting.feed, FEW_QUERIES, TASK_ANSWERED);
    end(&setting);
}

static void a_later_break_has_a_ping_of_its_own(void **state)
{
    (void)state;
    struct setting setting;
    begin(&setting, 0);
    setting.peer.ping = "held";
    add(&setting, "drop", 1);
    add(&setting, "pinged", FEW_QUERIES - 1);
    add(&setting, "drop", 1); /* as above */
    measure_all(&setting);
    assert_ended(setting.feed, 0, TASK_FAILED);
    assert_all_ended(setting.feed, 1, FEW_QUERIES - 1, TASK_ANSWERED);
    assert_ended(setting.feed, FEW_QUERIES, TASK_FAILED);
    end(&setting);
}

static void a_query_that_breaks_after_an_answer_fails_without_a_ping(void **state)
{
    (void)state;
    struct setting setting;
    begin(&setting, 0);
    add(&setting, "drop300", 1);
    add(&setting, "slow100", 1);
    measure_all(&setting);
    assert_ended_with(setting.feed, 0, TASK_FAILED, "request to Prometheus at 127.0.0.1:");
    assert_ended(setting.feed, 1, TASK_ANSWERED);
    end(&setting);
}

static void what_is_in_flight_at_the_end_is_abandoned(void **state)
{
    (void)state;
    struct setting setting;
    _cleanup_(error_done) struct error error = {0};
    begin(&setting, ENOUGH_MS);
    add(&setting, "hang", 3);
    assert_true(test_feed_run(setting.feed, setting.client, 100, &error));
    for (size_t i = 0; i < 3; i++)
        assert_false(test_feed_task(setting.feed, i)->ended);
    const struct http_source_client *client = setting.client;
    assert_int_equal(http_in_flight(client->http), 0);
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
    end_feed(&setting);
    scaler_prometheus.disconnect(setting.client);
}

/* A ping that ends so refuses the server, as does one that follows a query without an answer. */
static void assert_no_client(const char *ping, const char *words)
{
    struct setting setting;
    _cleanup_(error_done) struct error error = {0};
    start(&setting, 0);
    setting.peer.ping = ping;
    if (scaler_prometheus.connect(&setting.options, clock_now_ms() + ENOUGH_MS, &setting.client,
                                  &error))
        fail_msg("a client in spite of %s", ping);
    if (strstr(error_text(&error), words) == NULL)
        fail_msg("%s: \"%s\" lacks \"%s\"", ping, error_text(&error), words);
    test_feed_free(setting.feed);
    http_peer_stop(&setting.peer);
}

static void a_server_that_answers_no_query_has_no_client(void **state)
{
    (void)state;
    assert_no_client("drop", "request to Prometheus at 127.0.0.1:");
    assert_no_client("status401", "HTTP status 401");
    assert_no_client("status500", "HTTP status 500");
    assert_no_client("status503", "HTTP status 503");
    struct setting setting;
    start(&setting, 0);
    setting.peer.ping = "status400"; /* it is there */
    connect_client(&setting);
    end(&setting);
}

/* What the server was sent last, in lower case; it is stopped. */
static const char *request_of(struct setting *setting)
{
    connect_client(setting);
    end(setting);
    for (char *at = setting->peer.request; *at != '\0'; at++)
        *at = (char)tolower((unsigned char)*at);
    return setting->peer.request;
}

static void assert_has_line(const char *request, const char *line)
{
    _cleanup_(memory_free) char *whole = text_format("\r\n%s\r\n", line);
    if (strstr(request, whole) == NULL)
        fail_msg("%s lacks %s", request, line);
}

static void a_request_has_the_headers_and_the_credentials(void **state)
{
    (void)state;
    struct setting setting;
    const char *headers[] = {"X-Scope-OrgID=shop", "X-One= 1", "X-None="};
    const char *tokens[] = {"bearer", "custom"};
    const char *basic[] = {"basic"};

    start(&setting, 0);
    setting.options.custom_headers = (struct option_list){headers, ARRAY_LENGTH(headers)};
    const char *request = request_of(&setting);
    assert_has_line(request, "x-scope-orgid: shop");
    assert_has_line(request, "x-one: 1");
    assert_has_line(request, "x-none:");
    assert_null(strstr(request, "authorization:"));

    start(&setting, 0);
    setting.options.auth_modes = (struct option_list){tokens, ARRAY_LENGTH(tokens)};
    setting.options.bearer_token = "sesame";
    setting.options.custom_auth_header = "X-Key";
    setting.options.custom_auth_value = "open";
    request = request_of(&setting);
    assert_has_line(request, "authorization: bearer sesame");
    assert_has_line(request, "x-key: open");

    start(&setting, 0);
    setting.options.auth_modes = (struct option_list){basic, ARRAY_LENGTH(basic)};
    setting.options.username = "u";
    setting.options.password = "p";
    assert_has_line(request_of(&setting), "authorization: basic dtpw"); /* u:p */
    start(&setting, 0);
    setting.options.auth_modes = (struct option_list){basic, ARRAY_LENGTH(basic)};
    setting.options.username = "u";
    assert_has_line(request_of(&setting), "authorization: basic dto="); /* u: */
}

static void max_tasks_grows_while_queries_wait(void **state)
{
    (void)state;
    struct setting setting;
    begin(&setting, 0);
    add(&setting, "slow30", 200);
    measure_all(&setting);
    assert_all_ended(setting.feed, 0, 200, TASK_ANSWERED);
    assert_in_range(setting.peer.max_in_flight, FEW_QUERIES + 1, MOST_QUERIES);
    assert_in_range(((struct http_source_client *)setting.client)->max_gets, FEW_QUERIES + 1,
                    MOST_QUERIES);
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
    assert_in_range(setting.peer.max_in_flight, 1, FEW_QUERIES);
    assert_int_equal(((struct http_source_client *)setting.client)->max_gets, FEW_QUERIES);
    end(&setting);
}

/* The feed keeps its limits when a client ends. The next client begins with few tasks, and says so.
 * So does a client that has needed few for long. */
static void the_feed_has_the_limits_of_its_client(void **state)
{
    enum { LONG_MS = 60 * 1000 };
    (void)state;
    struct setting setting;
    begin(&setting, 0);
    add(&setting, "7", 1);
    struct feed_limits limits;
    feed_limits_note(&limits, setting.feed);
    struct http_source_client *client = setting.client;
    client->max_gets = MOST_QUERIES;
    client->busy_ms = clock_now_ms();
    measure_all(&setting);
    assert_int_equal(limits.set_count, 1);
    assert_int_equal(limits.max_isolated, MOST_QUERIES / ISOLATED_SHARE);

    scaler_prometheus.disconnect(client);
    connect_client(&setting);
    client = setting.client;
    test_feed_again(setting.feed);
    measure_all(&setting);
    assert_int_equal(limits.set_count, 2);

    client->max_gets = MOST_QUERIES;
    client->busy_ms = clock_now_ms() - LONG_MS;
    test_feed_again(setting.feed);
    measure_all(&setting);
    assert_int_equal(client->max_gets, FEW_QUERIES);
    end(&setting);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hanging_query_delays_no_other),
        cmocka_unit_test(the_key_timeout_is_each_querys_deadline),
        cmocka_unit_test(a_query_has_ten_minutes_at_most),
        cmocka_unit_test(a_query_whose_connection_breaks_fails_alone),
        cmocka_unit_test(an_answer_ends_the_ping),
        cmocka_unit_test(a_later_break_has_a_ping_of_its_own),
        cmocka_unit_test(a_query_that_breaks_after_an_answer_fails_without_a_ping),
        cmocka_unit_test(what_is_in_flight_at_the_end_is_abandoned),
        cmocka_unit_test(a_server_that_is_gone_is_of_no_further_use),
        cmocka_unit_test(a_server_that_answers_no_query_has_no_client),
        cmocka_unit_test(a_request_has_the_headers_and_the_credentials),
        cmocka_unit_test(max_tasks_grows_while_queries_wait),
        cmocka_unit_test(few_queries_do_not_raise_max_tasks),
        cmocka_unit_test(the_feed_has_the_limits_of_its_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
