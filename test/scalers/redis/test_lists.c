/* The lengths of lists, sets, sorted sets and hashes: one key, or several. */
#include "base/memory.h"
#include "base/text.h"
#include "measure/scaler.h"
#include "redis/options.h"
#include "scalers/redis/outcome.h"
#include "scalers/redis/peer.h"
#include "scalers/trigger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

extern const struct scaler scaler_redis;
extern const struct scaler scaler_redis_streams;

#define ONE_LIST PAIRS("listName", "jobs")
#define VIDEOS PAIRS("library", "bullmq", "queueName", "videos")

static void an_invalid_count_is_an_error(void **state)
{
    (void)state;
    static const char *const bad[] = {"+OK\r\n", "$1\r\n3\r\n", ":-1\r\n", "$-1\r\n", "*0\r\n"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        const struct redis_line *script =
            SCRIPT({"LLEN", bad[i]}, {"XLEN", bad[i]}, {"XPENDING", bad[i]});
        const char *words = "unexpected reply";
        assert_error(measure(&scaler_redis, script, ONE_LIST, 1, 2000), words);
        assert_error(measure(&scaler_redis_streams, script, PAIRS("stream", "s"), 1, 2000), words);
        assert_error(measure(&scaler_redis_streams, script,
                             PAIRS("stream", "s", "consumerGroup", "g"), 1, 2000),
                     words);
    }
}

static void a_key_that_never_keeps_its_kind_is_given_up(void **state)
{
    (void)state;
    const struct redis_line *script =
        SCRIPT({"LLEN", "-WRONGTYPE x\r\n"}, {"SCARD", "-WRONGTYPE x\r\n"}, {"TYPE", "+set\r\n"});
    assert_error(measure(&scaler_redis, script, ONE_LIST, 1, 2000), "key \"jobs\": Redis at");
}

static void a_key_of_any_kind_has_its_length(void **state)
{
    (void)state;
    static const struct {
        const char *type, *command;
    } kinds[] = {{"+set\r\n", "SCARD"}, {"+zset\r\n", "ZCARD"}, {"+hash\r\n", "HLEN"}};
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        struct outcome outcome =
            measure(&scaler_redis,
                    SCRIPT({"LLEN", "-WRONGTYPE x\r\n"}, {"TYPE", kinds[i].type},
                           {kinds[i].command, ":7\r\n"}),
                    ONE_LIST, 1, 2000);
        assert_int_equal(outcome.answers, 1);
        assert_true(outcome.reading.waiting == 7);
    }
    struct outcome outcome =
        measure(&scaler_redis, SCRIPT({"LLEN", "-WRONGTYPE x\r\n"}, {"TYPE", "+none\r\n"}),
                ONE_LIST, 1, 2000);
    assert_true(outcome.answers == 1 && outcome.reading.waiting == 0); /* deleted meanwhile */
    assert_error(measure(&scaler_redis,
                         SCRIPT({"LLEN", "-WRONGTYPE x\r\n"}, {"TYPE", "-NOPERM x\r\n"}), ONE_LIST,
                         1, 2000),
                 "key \"jobs\": Redis at");
}

#define KEYS PAIRS("keys", "a, b")

static void the_lengths_of_keys_are_added(void **state)
{
    (void)state;
    struct outcome outcome =
        measure(&scaler_redis, SCRIPT({"EXEC", "*2\r\n:3\r\n:4\r\n"}), KEYS, 3, 2000);
    assert_int_equal(outcome.answers, 3);
    assert_true(outcome.reading.waiting == 7);
}

static void each_key_is_read(void **state)
{
    (void)state;
    struct redis_peer peer;
    redis_peer_start(&peer, SCRIPT({"LLEN a", "+QUEUED\r\n"}, {"LLEN b", "+QUEUED\r\n"},
                                   {"EXEC", "*2\r\n:3\r\n:4\r\n"}));
    _cleanup_(trigger_done) struct trigger trigger =
        trigger_of(&scaler_redis, PAIRS("address", peer.address, "keys", "a, b"));
    struct outcome outcome = {0};
    run(&scaler_redis, &trigger, 1, 2000, &outcome);
    assert_int_equal(outcome.answers, 1);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(redis_peer_used(&peer, i), 1);
    redis_peer_stop(&peer);
}

/* Where one of them is no list, each one's kind is read, and its length by the command of that. */
static void the_kind_of_each_key_is_read(void **state)
{
    (void)state;
    static const char *const commands[] = {"LLEN a", "LLEN b", "LLEN c", "TYPE a",
                                           "TYPE b", "TYPE c", "SCARD a"};
    static const int times[] = {1, 2, 2, 1, 1, 1, 1};
    struct redis_line script[ARRAY_LENGTH(commands) + 4] = {
        {"EXEC", "*3\r\n-WRONGTYPE x\r\n:4\r\n:0\r\n", NULL, 0, 1},
        {"EXEC", "*3\r\n+set\r\n+list\r\n+none\r\n", NULL, 0, 1},
        {"EXEC", "*3\r\n:3\r\n:4\r\n:0\r\n"}};
    for (size_t i = 0; i < ARRAY_LENGTH(commands); i++)
        script[3 + i] = (struct redis_line){commands[i], "+QUEUED\r\n"};
    struct redis_peer peer;
    redis_peer_start(&peer, script);
    _cleanup_(trigger_done) struct trigger trigger =
        trigger_of(&scaler_redis, PAIRS("address", peer.address, "keys", "a, b, c"));
    struct outcome outcome = {0};
    run(&scaler_redis, &trigger, 1, 2000, &outcome);
    assert_int_equal(outcome.answers, 1);
    assert_true(outcome.reading.waiting == 7);
    for (size_t i = 0; i < ARRAY_LENGTH(commands); i++)
        assert_int_equal(redis_peer_used(&peer, 3 + i), times[i]);
    redis_peer_stop(&peer);
}

/* As many as a trigger may list. */
static void the_kinds_of_many_keys_are_read(void **state)
{
    enum { MANY = OPTION_MAX_PIECES };
    (void)state;
    _cleanup_(text_done) struct text keys = {0};
    _cleanup_(text_done) struct text wrong = {0};
    _cleanup_(text_done) struct text types = {0};
    _cleanup_(text_done) struct text lengths = {0};
    text_add(&keys, "0");
    text_addf(&wrong, "*%d\r\n-WRONGTYPE x\r\n", MANY);
    text_addf(&types, "*%d\r\n+set\r\n", MANY);
    text_addf(&lengths, "*%d\r\n:1\r\n", MANY);
    for (int i = 1; i < MANY; i++) {
        text_addf(&keys, ",%d", i);
        text_add(&wrong, ":1\r\n");
        text_add(&types, "+set\r\n");
        text_add(&lengths, ":1\r\n");
    }
    struct outcome outcome =
        measure(&scaler_redis,
                SCRIPT({"EXEC", wrong.bytes, .times = 1}, {"EXEC", types.bytes, .times = 1},
                       {"EXEC", lengths.bytes}),
                PAIRS("keys", keys.bytes), 1, 2000);
    assert_int_equal(outcome.answers, 1);
    assert_true(outcome.reading.waiting == MANY);
}

static void an_error_within_a_transaction_is_named(void **state)
{
    (void)state;
    assert_error(measure(&scaler_redis,
                         SCRIPT({"LLEN b", "-NOPERM no permissions\r\n"},
                                {"EXEC", "-EXECABORT discarded\r\n"}),
                         KEYS, 2, 2000),
                 "key \"a\" and others: Redis at");
    static const char because[] =
        "-EXECABORT Transaction discarded because of: LOADING in progress\r\n";
    assert_error(measure(&scaler_redis, SCRIPT({"EXEC", because}), KEYS, 1, 2000),
                 "is still loading its data: LOADING in progress");
    assert_error(
        measure(&scaler_redis, SCRIPT({"EXEC", "*2\r\n:1\r\n-ERR odd\r\n"}), KEYS, 1, 2000),
        "key \"b\": Redis at");
    assert_error(measure(&scaler_redis, SCRIPT({"EXEC", "*1\r\n:1\r\n"}), KEYS, 1, 2000),
                 "unexpected reply");
    assert_error(measure(&scaler_redis, SCRIPT({"EXEC", "$-1\r\n"}), VIDEOS, 1, 2000),
                 "queue \"bullmq-videos\": Redis at");
    assert_error(measure(&scaler_redis,
                         SCRIPT({"EXEC", "*2\r\n-WRONGTYPE x\r\n:1\r\n", NULL, 0, 1},
                                {"EXEC", "*2\r\n+set\r\n-NOPERM x\r\n"}),
                         KEYS, 1, 2000),
                 "key \"b\": Redis at");
    assert_error(
        measure(&scaler_redis,
                SCRIPT({"EXEC", "*2\r\n-WRONGTYPE x\r\n:1\r\n", NULL, 0, 1},
                       {"EXEC", "*2\r\n+stream\r\n+none\r\n"}),
                KEYS, 1, 2000),
        "key \"a\" is a stream: it must be a list, set, zset or hash (for a stream use scaler "
        "redis-streams)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_invalid_count_is_an_error),
        cmocka_unit_test(a_key_that_never_keeps_its_kind_is_given_up),
        cmocka_unit_test(a_key_of_any_kind_has_its_length),
        cmocka_unit_test(the_lengths_of_keys_are_added),
        cmocka_unit_test(each_key_is_read),
        cmocka_unit_test(the_kind_of_each_key_is_read),
        cmocka_unit_test(the_kinds_of_many_keys_are_read),
        cmocka_unit_test(an_error_within_a_transaction_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
