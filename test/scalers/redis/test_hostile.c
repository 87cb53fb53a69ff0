/* Redis servers that start, stand still, reply with too much, or are none. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure/scaler.h"
#include "redis/client.h"
#include "scalers/redis/outcome.h"
#include "scalers/redis/peer.h"
#include "scalers/trigger.h"
#include "support/feed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

extern const struct scaler scaler_redis;

#define ONE_LIST PAIRS("listName", "jobs")

static void a_starting_server_is_not_connected_to(void **state)
{
    (void)state;
    struct outcome outcome =
        measure(&scaler_redis, SCRIPT({"PING", "-LOADING Redis is loading the dataset\r\n"}),
                ONE_LIST, 1, 2000);
    assert_false(outcome.connected);
    assert_error(outcome, "is still loading its data");
}

static void a_server_that_repeats_our_password_is_not_quoted(void **state)
{
    (void)state;
    const struct redis_line *script =
        SCRIPT({"AUTH", "-ERR unknown command `AUTH`, with args beginning with: `sesame`\r\n"});
    assert_error(
        measure(&scaler_redis, script, PAIRS("listName", "jobs", "password", "sesame"), 1, 2000),
        "authentication failed");
}

static void a_silent_server_costs_no_more_than_the_deadline(void **state)
{
    (void)state;
    int64_t start_ms = clock_now_ms();
    struct outcome outcome = measure(&scaler_redis, SCRIPT({"PING", ""}), ONE_LIST, 1, 300);
    assert_false(outcome.connected);
    assert_error(outcome, "no answer in time");
    assert_int_equal(clock_now_ms() - start_ms, 300);
}

static void a_server_that_does_not_reply_is_a_lost_connection(void **state)
{
    (void)state;
    int64_t start_ms = clock_now_ms();
    struct outcome outcome = measure(
        &scaler_redis, SCRIPT({"PING", "+PONG\r\n", .times = 1}, {"PING", ""}, {"LLEN", ""}),
        ONE_LIST, 3, 300);
    assert_true(outcome.connected);
    assert_false(outcome.usable);
    assert_int_equal(outcome.failures, 0); /* the engine ends them with the client's error */
    assert_error(outcome, "no answer in time");
    assert_int_equal(clock_now_ms() - start_ms, 300);
}

static void an_answer_without_a_question_is_not_taken(void **state)
{
    (void)state;
    struct outcome outcome =
        measure(&scaler_redis, SCRIPT({"LLEN", ":1\r\n:2\r\n"}), ONE_LIST, 1, 2000);
    assert_false(outcome.usable);
    assert_non_null(strstr(error_text(&outcome.error), "unexpected reply, to no command"));
    error_done(&outcome.error);
}

static void a_server_that_is_not_redis_is_reported(void **state)
{
    (void)state;
    struct outcome outcome = measure(
        &scaler_redis, SCRIPT({"CLIENT", "HTTP/1.1 400 Bad Request\r\n"}), ONE_LIST, 1, 2000);
    assert_false(outcome.connected);
    assert_error(outcome, "Protocol error");
}

static void a_huge_answer_is_refused(void **state)
{
    (void)state;
    static const char *const huge[] = {"*1000000000\r\n", "*1\r\n*131073\r\n"};
    for (size_t i = 0; i < ARRAY_LENGTH(huge); i++)
        assert_error(measure(&scaler_redis, SCRIPT({"LLEN", huge[i]}), ONE_LIST, 1, 2000),
                     "the reply is too large");

    size_t length = 5 << 20;
    _cleanup_(memory_free) char *answer = text_format("$1000000000\r\n%*s", (int)length, "");
    assert_error(measure(&scaler_redis, SCRIPT({"LLEN", answer}), ONE_LIST, 1, 2000),
                 "the reply is too large");
}

/* Were the answers read only once all is sent, both sides would wait for the other to read. */
static void a_flood_of_answers_holds_up_neither_side(void **state)
{
    (void)state;
    enum { TASKS = 20000, ANSWER_BYTES = 1000 };
    char name[999] = "";
    memset(name, 'x', sizeof(name) - 1);
    _cleanup_(memory_free) char *answer = text_format("-ERR %*s\r\n", ANSWER_BYTES, "no");
    struct outcome outcome =
        measure(&scaler_redis, SCRIPT({"LLEN", answer}), PAIRS("listName", name), TASKS, 20000);
    assert_true(outcome.usable);
    assert_int_equal(outcome.failures, TASKS);
    error_done(&outcome.error);
}

static void nor_does_one_that_makes_us_send_more(void **state)
{
    (void)state;
    enum { TASKS = 5000 };
    char name[999] = "";
    memset(name, 'x', sizeof(name) - 1);
    struct outcome outcome =
        measure(&scaler_redis,
                SCRIPT({"LLEN", "-WRONGTYPE\r\n"}, {"TYPE", "+set\r\n"}, {"SCARD", ":1\r\n"}),
                PAIRS("listName", name), TASKS, 20000);
    assert_true(outcome.usable);
    assert_int_equal(outcome.answers, TASKS);
}

/* It stands still, and would hold up megabytes. What is not sent waits, and is measured later. */
static void a_server_that_reads_nothing_is_sent_little(void **state)
{
    (void)state;
    enum { TASKS = 5000, STILL_MS = 1000, ANSWERED_MS = 2000, RUN_MS = 200 };
    enum { MAX_BYTES = 192 << 10 };
    char name[999] = "";
    memset(name, 'x', sizeof(name) - 1);
    struct redis_peer peer;
    redis_peer_start(
        &peer, SCRIPT({"LLEN", ":1\r\n", .wait_ms = STILL_MS, .times = 1}, {"LLEN", ":1\r\n"}));
    _cleanup_(trigger_done) struct trigger trigger =
        trigger_of(&scaler_redis, PAIRS("address", peer.address, "listName", name));
    _cleanup_(error_done) struct error error = {0};
    void *client = NULL;
    assert_true(scaler_redis.connect(trigger.options.connection, clock_now_ms() + ANSWERED_MS,
                                     &client, &error));
    const struct redis_socket *socket = &((struct redis_client *)client)->links.shared->socket;
    struct test_feed *feed = test_feed_new(&scaler_redis);
    for (size_t i = 0; i < TASKS; i++)
        test_feed_add(feed, trigger.options.query, (struct notifier){0});
    test_feed_set_timeout(feed, ANSWERED_MS);
    test_feed_stay(feed, RUN_MS);
    test_feed_run(feed, client, RUN_MS, &error);
    assert_in_range(socket->capacity, 1, MAX_BYTES);
    test_feed_free(feed);
    scaler_redis.disconnect(client);
    redis_peer_stop(&peer);
}

enum { DEEPEST = 7 };

/* hiredis before 1.0 refuses such a reply itself: the arrays are created as a newer one does. */
static void arrays_in_arrays_have_a_limit(void **state)
{
    (void)state;
    struct redis_peer peer;
    struct redis_server server;
    struct error error = {0};
    redis_peer_start(&peer, SCRIPT({"PING", "+PONG\r\n"}));
    redis_server_init(&server, &(struct redis_login){0}, NULL);
    redis_server_set_address(&server, "127.0.0.1", peer.port);
    struct redis_link *link = redis_link_open(&server, NULL, clock_now_ms() + INT64_C(20) * 1000,
                                              &(struct redis_link_owner){0}, &error);
    assert_non_null(link);

    redisReadTask levels[DEEPEST + 1] = {0};
    redisReplyObjectFunctions *functions = link->socket.context->reader->fn;
    void *outermost = NULL;
    for (size_t i = 0; i < DEEPEST + 1; i++) {
        levels[i].type = REDIS_REPLY_ARRAY;
        levels[i].privdata = &link->socket;
        levels[i].parent = i == 0 ? NULL : &levels[i - 1];
        levels[i].obj = functions->createArray(&levels[i], 1);
        outermost = i == 0 ? levels[i].obj : outermost;
        if (i < DEEPEST)
            assert_non_null(levels[i].obj);
    }
    assert_null(levels[DEEPEST].obj);

    functions->freeObject(outermost);
    redis_link_free(link);
    redis_server_done(&server);
    redis_peer_stop(&peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_starting_server_is_not_connected_to),
        cmocka_unit_test(a_server_that_repeats_our_password_is_not_quoted),
        cmocka_unit_test(a_silent_server_costs_no_more_than_the_deadline),
        cmocka_unit_test(a_server_that_does_not_reply_is_a_lost_connection),
        cmocka_unit_test(an_answer_without_a_question_is_not_taken),
        cmocka_unit_test(a_server_that_is_not_redis_is_reported),
        cmocka_unit_test(a_huge_answer_is_refused),
        cmocka_unit_test(arrays_in_arrays_have_a_limit),
        cmocka_unit_test(a_flood_of_answers_holds_up_neither_side),
        cmocka_unit_test(nor_does_one_that_makes_us_send_more),
        cmocka_unit_test(a_server_that_reads_nothing_is_sent_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
