/* Streams of Redis: lengths, pending entries, lags and consumers. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/recent_log.h"
#include "base/text.h"
#include "measure/scaler.h"
#include "redis/options.h"
#include "scalers/ended.h"
#include "scalers/redis/outcome.h"
#include "scalers/redis/peer.h"
#include "scalers/trigger.h"
#include "support/fast_time.h"
#include "support/feed.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

extern const struct scaler scaler_redis_streams;

#define ONE_LAG PAIRS("stream", "orders", "consumerGroup", "workers", "lagCount", "5")

#define GROUP_OF_7                                                                                 \
    "$4\r\nname\r\n$7\r\nworkers\r\n$9\r\nconsumers\r\n:1\r\n$7\r\npending\r\n:2\r\n"              \
    "$17\r\nlast-delivered-id\r\n$3\r\n1-1\r\n"

static void a_redis_before_7_has_no_lag_and_is_named(void **state)
{
    (void)state;
    const struct redis_line *script =
        SCRIPT({"INFO", "$37\r\n# Server\r\nredis_version:6.2.14\r\nx:1\r\n\r\n"},
               {"XINFO", "*1\r\n*8\r\n" GROUP_OF_7});
    assert_error(measure(&scaler_redis_streams, script, ONE_LAG, 1, 2000),
                 "has version 6.2.14 and reports no lag: lagCount needs Redis 7");
    script = SCRIPT({"INFO", "-NOPERM no\r\n"}, {"XINFO", "*1\r\n*8\r\n" GROUP_OF_7});
    assert_error(measure(&scaler_redis_streams, script, ONE_LAG, 1, 2000), "has version unknown");
}

static void a_lag_is_a_number_or_an_error(void **state)
{
    (void)state;
    const char *good = "*1\r\n*10\r\n" GROUP_OF_7 "$3\r\nlag\r\n:3\r\n";
    struct outcome outcome =
        measure(&scaler_redis_streams, SCRIPT({"XINFO", good}), ONE_LAG, 1, 2000);
    assert_true(outcome.usable && outcome.answers == 1);
    assert_true(outcome.reading.waiting == 3 && outcome.reading.in_flight == 2);

    static const char *const bad[] = {"$-1\r\n", ":-1\r\n", "$1\r\n3\r\n"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        _cleanup_(memory_free) char *answer =
            text_format("*1\r\n*10\r\n%s$3\r\nlag\r\n%s", GROUP_OF_7, bad[i]);
        assert_error(measure(&scaler_redis_streams, SCRIPT({"XINFO", answer}), ONE_LAG, 1, 2000),
                     "stream \"orders\", group \"workers\": Redis at 127.0.0.1");
    }
}

#define GROUP_AT_5(lag)                                                                            \
    "*1\r\n*8\r\n$4\r\nname\r\n$7\r\nworkers\r\n$17\r\nlast-delivered-id\r\n$3\r\n5-0\r\n"         \
    "$12\r\nentries-read\r\n:2\r\n$3\r\nlag\r\n" lag "\r\n"
#define STREAM(length, last) "*4\r\n$6\r\nlength\r\n" length "\r\n$10\r\nlast-entry\r\n" last "\r\n"
#define ENTRY(id) "*2\r\n" id "\r\n*2\r\n$1\r\na\r\n$1\r\nb"

/* Redis 7.0 counts what was trimmed before the group has read it, for ever. */
static void a_lag_is_what_there_is_behind_the_group(void **state)
{
    static const char denied[] = "-NOPERM no\r\n";
    static const struct {
        const char *groups, *stream, *length;
        double waiting; /* NAN: not known */
    } rows[] = {
        {GROUP_AT_5(":3"), STREAM(":1", ENTRY("$3\r\n5-0")), denied, 0},
        {GROUP_AT_5(":4"), STREAM(":2", ENTRY("$3\r\n6-0")), denied, 2},
        {GROUP_AT_5(":1"), STREAM(":2", ENTRY("$3\r\n5-1")), denied, 1},
        {GROUP_AT_5(":1"), STREAM(":2", ENTRY("$4\r\n10-0")), denied, 1},
        {GROUP_AT_5(":1"), STREAM(":9", ENTRY("$3\r\n4-9")), denied, 0},
        {GROUP_AT_5(":-90"), STREAM(":9", ENTRY("$3\r\n5-0")), denied, 0},
        {GROUP_AT_5(":-90"), STREAM(":9", ENTRY("$3\r\n6-0")), denied, NAN},
        {GROUP_AT_5("$-1"), STREAM(":9", ENTRY("$3\r\n5-0")), denied, 0},
        {GROUP_AT_5("$-1"), STREAM(":9", ENTRY("$3\r\n6-0")), denied, NAN},
        {GROUP_AT_5("$-1"), STREAM(":0", "$-1"), denied, 0},
        {GROUP_AT_5(":0"), denied, denied, 0},
        {GROUP_AT_5(":4"), denied, ":2\r\n", 2},
        {GROUP_AT_5(":4"), denied, denied, 4},
        {GROUP_AT_5("$-1"), denied, ":0\r\n", 0},
        {GROUP_AT_5("$-1"), denied, denied, NAN},
        {GROUP_AT_5(":4"), STREAM("$-1", "$-1"), denied, 4},
        {GROUP_AT_5(":4"), STREAM(":9", ENTRY("$3\r\n5_0")), denied, 4},
        {GROUP_AT_5(":4"), STREAM(":9", "*1\r\n:5"), denied, 4},
        {GROUP_AT_5(":4"), "+OK\r\n", denied, 4},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct outcome outcome = measure(&scaler_redis_streams,
                                         SCRIPT({"XINFO GROUPS", rows[i].groups},
                                                {"XINFO STREAM orders", rows[i].stream},
                                                {"XLEN orders", rows[i].length}),
                                         ONE_LAG, 2, 2000);
        if (isnan(rows[i].waiting)) {
            assert_error(outcome, "does not know the lag");
            continue;
        }
        if (outcome.answers != 2 || outcome.reading.waiting != rows[i].waiting)
            fail_msg("row %zu: %zu answers, %g", i, outcome.answers, outcome.reading.waiting);
    }
}

static void a_field_without_a_value_is_none(void **state)
{
    (void)state;
    static const char odd[] = "*1\r\n*9\r\n" GROUP_OF_7 "$3\r\nlag\r\n";
    assert_error(measure(&scaler_redis_streams, SCRIPT({"XINFO", odd}), ONE_LAG, 1, 2000),
                 "reports no lag");
}

static void a_lag_has_what_came_and_what_was_consumed(void **state)
{
    (void)state;
    static const char read[] =
        "*1\r\n*12\r\n" GROUP_OF_7 "$12\r\nentries-read\r\n:9\r\n$3\r\nlag\r\n:3\r\n";
    struct outcome outcome =
        measure(&scaler_redis_streams, SCRIPT({"XINFO", read}), ONE_LAG, 1, 2000);
    assert_int_equal(outcome.answers, 1);
    assert_true(outcome.reading.waiting == 3 && outcome.reading.in_flight == 2);
    assert_true(outcome.reading.arrived == 9 + 3 && outcome.reading.consumed == 9 - 2);
    assert_true(isnan(outcome.reading.consumption_rate));

    static const char unread[] =
        "*1\r\n*12\r\n" GROUP_OF_7 "$12\r\nentries-read\r\n$-1\r\n$3\r\nlag\r\n:3\r\n";
    outcome = measure(&scaler_redis_streams, SCRIPT({"XINFO", unread}), ONE_LAG, 1, 2000);
    assert_int_equal(outcome.answers, 1);
    assert_true(outcome.reading.consumption_rate == 0);
    assert_true(isnan(outcome.reading.arrived) && isnan(outcome.reading.consumed));
}

/* The count comes before the first and the last entry, and the consumers. */
static void pending_entries_are_in_flight(void **state)
{
    (void)state;
    static const char three[] = "*4\r\n:3\r\n$3\r\n1-0\r\n$3\r\n9-0\r\n"
                                "*1\r\n*2\r\n$5\r\nalice\r\n$1\r\n3\r\n";
    static const char none[] = "*4\r\n:0\r\n$-1\r\n$-1\r\n*-1\r\n";
    static const char *const replies[] = {none, three};
    for (size_t i = 0; i < ARRAY_LENGTH(replies); i++) {
        struct outcome outcome =
            measure(&scaler_redis_streams, SCRIPT({"XPENDING orders workers", replies[i]}),
                    PAIRS("stream", "orders", "consumerGroup", "workers"), 1, 2000);
        assert_int_equal(outcome.answers, 1);
        assert_true(outcome.reading.in_flight == 3 * (double)i && isnan(outcome.reading.waiting));
    }
}

static void a_group_whose_name_has_a_nul_is_another_one(void **state)
{
    (void)state;
    static const char groups[] = "*2\r\n*4\r\n$4\r\nname\r\n$9\r\nworkers\0x\r\n$3\r\nlag\r\n:9\r\n"
                                 "*4\r\n$4\r\nname\r\n$7\r\nworkers\r\n$3\r\nlag\r\n:3\r\n";
    static const char other[] = "*1\r\n*4\r\n$4\r\nname\r\n$9\r\nworkers\0x\r\n$3\r\nlag\r\n:9\r\n";
    const struct redis_line *script = SCRIPT({"XINFO", groups, .answer_bytes = sizeof(groups) - 1});
    struct outcome outcome = measure(&scaler_redis_streams, script, ONE_LAG, 1, 2000);
    assert_true(outcome.answers == 1 && outcome.reading.waiting == 3);
    script = SCRIPT({"XINFO", other, .answer_bytes = sizeof(other) - 1}, {"XLEN", ":5\r\n"});
    outcome = measure(&scaler_redis_streams, script, ONE_LAG, 1, 2000);
    assert_true(outcome.answers == 1 && outcome.reading.waiting == 5);
}

static void before_there_is_a_group_all_entries_wait(void **state)
{
    (void)state;
    static const char other[] = "*1\r\n*4\r\n$4\r\nname\r\n$5\r\nworks\r\n$3\r\nlag\r\n:3\r\n";
    static const char *const groups[] = {"*0\r\n", other};
    for (size_t i = 0; i < ARRAY_LENGTH(groups); i++) {
        struct outcome outcome =
            measure(&scaler_redis_streams, SCRIPT({"XINFO", groups[i]}, {"XLEN", ":9\r\n"}),
                    ONE_LAG, 2, 2000);
        assert_int_equal(outcome.answers, 2);
        assert_true(outcome.reading.waiting == 9 && outcome.reading.in_flight == 0);
    }
}

#define LAG_OF(lag) "*1\r\n*10\r\n" GROUP_OF_7 "$3\r\nlag\r\n" lag "\r\n"

enum { MAX_STREAMS = 3, CONNECT_MS = 2000, LONG_MS = 20 * 1000 };

/* A client of a server with a script, and tasks for the lag of a group of each of these streams. */
struct world {
    struct redis_peer peer;
    struct trigger triggers[MAX_STREAMS];
    size_t count; /* of the streams */
    struct test_feed *feed;
    void *client;
    struct error error;
};

/* With so many tasks for each stream, in turns. */
static void world_start(struct world *world, const struct redis_line *script,
                        const char *const *streams, size_t tasks_each, int connect_ms)
{
    *world = (struct world){0};
    redis_peer_start(&world->peer, script);
    world->feed = test_feed_new(&scaler_redis_streams);
    for (; streams[world->count] != NULL; world->count++) {
        assert_true(world->count < MAX_STREAMS);
        world->triggers[world->count] =
            trigger_of(&scaler_redis_streams,
                       PAIRS("address", world->peer.address, "stream", streams[world->count],
                             "consumerGroup", "workers", "lagCount", "5"));
    }
    for (size_t i = 0; i < world->count * tasks_each; i++)
        test_feed_add(world->feed, world->triggers[i % world->count].options.query,
                      (struct notifier){0});
    assert_true(scaler_redis_streams.connect(world->triggers[0].options.connection,
                                             clock_now_ms() + connect_ms, &world->client,
                                             &world->error));
}

static void world_run(struct world *world)
{
    assert_true(test_feed_run(world->feed, world->client, LONG_MS, &world->error));
}

static void world_stop(struct world *world)
{
    test_feed_free(world->feed);
    scaler_redis_streams.disconnect(world->client);
    redis_peer_stop(&world->peer);
    for (size_t i = 0; i < world->count; i++)
        trigger_done(&world->triggers[i]);
    error_done(&world->error);
}

/* One command has the groups of a stream, for all of its tasks and no others. */
static void each_stream_has_its_own_groups(void **state)
{
    enum { STREAMS = 3, EACH = 20 };
    (void)state;
    struct world world;
    world_start(&world,
                SCRIPT({"XINFO GROUPS orders", LAG_OF(":3")}, {"XINFO GROUPS mails", LAG_OF(":5")},
                       {"XINFO GROUPS videos", LAG_OF(":7")}),
                PAIRS("orders", "mails", "videos"), EACH, CONNECT_MS);
    world_run(&world);
    for (size_t i = 0; i < (size_t)STREAMS * EACH; i++)
        assert_waiting(world.feed, i, (double)(3 + 2 * (i % STREAMS)));
    for (size_t i = 0; i < STREAMS; i++)
        assert_int_equal(redis_peer_used(&world.peer, i), 1);
    world_stop(&world);
}

/* Few commands are sent then at a time, but not for few tasks each. */
static void the_groups_of_a_stream_are_read_together_after_a_stall(void **state)
{
    enum { STREAMS = 3, EACH = 20, HANGS_LINE = 0 };
    (void)state;
    struct world world;
    world_start(&world,
                SCRIPT({"XINFO GROUPS hangs", "", .connection = 1}, {"XINFO GROUPS", LAG_OF(":5")},
                       {"XLEN", ":1\r\n"}),
                PAIRS("hangs", "mails", "videos"), EACH, CONNECT_MS);
    world_run(&world);
    for (size_t i = 0; i < (size_t)STREAMS * EACH; i++)
        assert_waiting(world.feed, i, 5);
    assert_int_equal(redis_peer_used(&world.peer, HANGS_LINE), 1);
    /* Twice, of which the first is behind the stall, and once where it is isolated. */
    assert_in_range(redis_peer_used(&world.peer, HANGS_LINE + 1), 3, 5);
    world_stop(&world);
}

/* A stream before it, whose group is missing, is replied to each time, and read again with it. */
static void a_stream_that_breaks_each_connection_keeps_none_behind_it_waiting(void **state)
{
    (void)state;
    struct world world;
    world_start(&world,
                SCRIPT({"XINFO GROUPS audits", "*0\r\n"}, {"XINFO GROUPS breaks", NULL},
                       {"XINFO GROUPS", LAG_OF(":5")}, {"XLEN", ":9\r\n"}),
                PAIRS("audits", "breaks", "videos"), 1, LONG_MS);
    test_feed_set_timeout(world.feed, LONG_MS);
    world_run(&world);
    assert_waiting(world.feed, 0, 9);
    assert_ended_with(world.feed, 1, TASK_FAILED, "broke");
    assert_waiting(world.feed, 2, 5);
    world_stop(&world);
}

#define CONSUMER(pending, idle)                                                                    \
    "*6\r\n$4\r\nname\r\n$1\r\nc\r\n$7\r\npending\r\n" pending "\r\n$4\r\nidle\r\n" idle "\r\n"

/* One that waits is seen every few seconds; one that works is seen again after its message. */
static void consumers_that_were_seen_lately_count(void **state)
{
    (void)state;
    static const struct {
        const char *consumers;
        double count; /* NAN: not known */
    } rows[] = {
        {"*0\r\n", 0},
        {"*1\r\n" CONSUMER(":0", ":14000"), 1},
        {"*1\r\n" CONSUMER(":0", ":16000"), 0},
        {"*1\r\n" CONSUMER(":1", ":16000"), 1},
        {"*1\r\n" CONSUMER(":1", ":299000"), 1},
        {"*1\r\n" CONSUMER(":1", ":301000"), 0},
        {"*1\r\n" CONSUMER("$-1", ":0"), NAN},
        {"*1\r\n" CONSUMER(":0", "$-1"), NAN},
        {"*2\r\n" CONSUMER(":0", ":0") "*2\r\n$4\r\nname\r\n$1\r\nc\r\n", NAN},
        {"*3\r\n" CONSUMER(":0", ":0") CONSUMER(":0", ":16000") CONSUMER(":2", ":20000"), 2},
    };
    static const char group[] = LAG_OF(":3");
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct redis_line *script =
            SCRIPT({"XINFO CONSUMERS", rows[i].consumers}, {"XINFO", group});
        struct outcome outcome =
            measure_with(READING_WANT_CONSUMERS, &scaler_redis_streams, script, ONE_LAG, 1, 2000);
        assert_int_equal(outcome.answers, 1);
        assert_true(outcome.reading.waiting == 3);
        if (outcome.reading.consumers != rows[i].count &&
            !(isnan(outcome.reading.consumers) && isnan(rows[i].count)))
            fail_msg("row %zu: %g consumers", i, outcome.reading.consumers);
        outcome = measure(&scaler_redis_streams, script, ONE_LAG, 1, 2000);
        assert_true(isnan(outcome.reading.consumers)); /* nobody wants them */
    }
}

/* The log names each group, once. */
static void groups_whose_consumers_are_not_known_are_named(void **state)
{
    enum { STREAMS = 2, ROUNDS = 3, MAX_LINES = 20 };
    (void)state;
    static const char *const names[STREAMS + 1] = {"mails", "orders"};
    struct world world;
    struct recent_line lines[MAX_LINES];
    recent_log_start();
    world_start(&world, SCRIPT({"XINFO CONSUMERS", "-NOPERM no\r\n"}, {"XINFO", LAG_OF(":3")}),
                names, 1, CONNECT_MS);
    for (size_t i = 0; i < STREAMS; i++)
        test_feed_task(world.feed, i)->task.wants = READING_WANT_CONSUMERS;
    for (size_t i = 0; i < ROUNDS; i++) {
        test_feed_again(world.feed);
        world_run(&world);
    }
    assert_int_equal(recent_log_read(0, lines, MAX_LINES), STREAMS);
    for (size_t i = 0; i < STREAMS; i++) {
        assert_non_null(strstr(lines[i].text, names[i]));
        assert_non_null(strstr(lines[i].text, "the server replied NOPERM"));
        recent_line_done(&lines[i]);
    }
    world_stop(&world);
}

/* Of Redis 7.2, which has 8 elements each: more than fit into a reply are not requested. */
static void consumers_that_are_too_many_are_not_known(void **state)
{
    enum { TASKS = 2 };
    (void)state;
    static const int counts[] = {7000, 8000};
    for (size_t i = 0; i < ARRAY_LENGTH(counts); i++) {
        struct text consumers = {0};
        _cleanup_(memory_free) char *group =
            text_format("*1\r\n*6\r\n$4\r\nname\r\n$7\r\nworkers\r\n$9\r\nconsumers\r\n:%d\r\n"
                        "$3\r\nlag\r\n:3\r\n",
                        counts[i]);
        text_addf(&consumers, "*%d\r\n", counts[i]);
        for (int j = 0; j < counts[i]; j++)
            text_add(&consumers, "*8\r\n$4\r\nname\r\n$1\r\nc\r\n$7\r\npending\r\n:0\r\n"
                                 "$4\r\nidle\r\n:0\r\n$8\r\ninactive\r\n:0\r\n");
        struct outcome outcome = measure_with(
            READING_WANT_CONSUMERS, &scaler_redis_streams,
            SCRIPT({"XINFO CONSUMERS", consumers.bytes}, {"XINFO", group}), ONE_LAG, TASKS, 2000);
        assert_true(outcome.usable);
        assert_int_equal(outcome.answers, TASKS);
        assert_true(outcome.reading.waiting == 3);
        assert_true(i == 0 ? outcome.reading.consumers == counts[i]
                           : isnan(outcome.reading.consumers));
        error_done(&outcome.error);
        text_done(&consumers);
    }
}

enum { GROUP_TASKS = 8000, GROUP_CPU_MS = 800 };

/* The least of some rounds: other work empties the caches. The last one's outcome is returned. */
static struct outcome measure_cheaply(const struct text *reply)
{
    enum { ROUNDS = 5 };
    for (int round = 1;; round++) {
        int64_t began_ms = fast_time_cpu_ms();
        struct outcome outcome = measure(&scaler_redis_streams, SCRIPT({"XINFO", reply->bytes}),
                                         ONE_LAG, GROUP_TASKS, 5000);
        int64_t took_ms = fast_time_cpu_ms() - began_ms;
        if (took_ms <= GROUP_CPU_MS)
            return outcome;
        assert_int_not_equal(round, ROUNDS);
        error_done(&outcome.error);
    }
}

/* As many tasks as groups would compare the names of all with all; and a group may have as many
 * fields as fit into a reply. */
static void many_groups_and_fields_are_searched_once(void **state)
{
    (void)state;
    enum { GROUPS = 12000, FIELDS = 15000 };
    struct text many = {0};
    struct text large = {0};
    text_addf(&many, "*%d\r\n", GROUPS + 1);
    for (int i = 0; i < GROUPS; i++)
        text_addf(&many, "*4\r\n$4\r\nname\r\n$6\r\ng%05d\r\n$3\r\nlag\r\n:1\r\n", i);
    text_add(&many, "*10\r\n" GROUP_OF_7 "$3\r\nlag\r\n:3\r\n");
    text_addf(&large, "*1\r\n*%d\r\n" GROUP_OF_7, 8 + 2 * FIELDS + 2);
    for (int i = 0; i < FIELDS; i++)
        text_add(&large, "$3\r\nlaG\r\n:1\r\n");
    text_add(&large, "$3\r\nlag\r\n:3\r\n");

    struct outcome outcome = measure_cheaply(&many);
    assert_int_equal(outcome.answers, GROUP_TASKS);
    assert_true(outcome.reading.waiting == 3);

    outcome = measure_cheaply(&large);
    assert_int_equal(outcome.failures, GROUP_TASKS);
    error_done(&outcome.error);
    text_done(&many);
    text_done(&large);
}

/* What is logged of an error of XINFO CONSUMERS, without which the lag is known. */
static void assert_warning(const char *error, const char *words)
{
    char log[512] = "";
    FILE *file = tmpfile();
    int standard_error = dup(STDERR_FILENO);
    assert_non_null(file);
    assert_true(standard_error >= 0 && dup2(fileno(file), STDERR_FILENO) >= 0);
    struct outcome outcome =
        measure_with(READING_WANT_CONSUMERS, &scaler_redis_streams,
                     SCRIPT({"XINFO CONSUMERS", error}, {"XINFO", LAG_OF(":3")}), ONE_LAG, 1, 2000);
    dup2(standard_error, STDERR_FILENO);
    close(standard_error);
    assert_true(pread(fileno(file), log, sizeof(log) - 1, 0) > 0);
    fclose(file);
    assert_int_equal(outcome.answers, 1);
    assert_non_null(strstr(log, words));
    assert_null(strstr(log, "sesame"));
}

static void of_an_error_only_the_code_is_logged(void **state)
{
    (void)state;
    assert_warning("-NOPERM no right for sesame\r\n", "the server replied NOPERM\n");
    assert_warning("-OOM\r\n", "the server replied OOM\n");
    assert_warning("-sesame\r\n", "the server replied with an error, and no code\n");
    assert_warning("-ERR:sesame\r\n", "with an error, and no code\n");
    assert_warning("-ABCDEFGHIJKLMNOPQRSTU\r\n", "with an error, and no code\n");
}

static void an_error_of_xinfo_is_not_taken_for_a_missing_stream(void **state)
{
    (void)state;
    const struct redis_line *script =
        SCRIPT({"XINFO", "-ERR no such thing\r\n"}, {"XLEN", ":9\r\n"});
    assert_error(measure(&scaler_redis_streams, script, ONE_LAG, 1, 2000), "ERR no such thing");
    script = SCRIPT({"XINFO", "-ERR no such key\r\n"}, {"XLEN", ":9\r\n"});
    struct outcome outcome = measure(&scaler_redis_streams, script, ONE_LAG, 1, 2000);
    assert_true(outcome.answers == 1 && outcome.reading.waiting == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_redis_before_7_has_no_lag_and_is_named),
        cmocka_unit_test(a_lag_is_a_number_or_an_error),
        cmocka_unit_test(a_lag_is_what_there_is_behind_the_group),
        cmocka_unit_test(a_field_without_a_value_is_none),
        cmocka_unit_test(a_lag_has_what_came_and_what_was_consumed),
        cmocka_unit_test(pending_entries_are_in_flight),
        cmocka_unit_test(a_group_whose_name_has_a_nul_is_another_one),
        cmocka_unit_test(before_there_is_a_group_all_entries_wait),
        cmocka_unit_test(each_stream_has_its_own_groups),
        cmocka_unit_test(the_groups_of_a_stream_are_read_together_after_a_stall),
        cmocka_unit_test(a_stream_that_breaks_each_connection_keeps_none_behind_it_waiting),
        cmocka_unit_test(consumers_that_were_seen_lately_count),
        cmocka_unit_test(groups_whose_consumers_are_not_known_are_named),
        cmocka_unit_test(consumers_that_are_too_many_are_not_known),
        cmocka_unit_test(many_groups_and_fields_are_searched_once),
        cmocka_unit_test(of_an_error_only_the_code_is_logged),
        cmocka_unit_test(an_error_of_xinfo_is_not_taken_for_a_missing_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
