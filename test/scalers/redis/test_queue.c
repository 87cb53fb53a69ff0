/* The keys of job libraries' queues: what is due, in progress and paused. */
#include "base/memory.h"
#include "base/text.h"
#include "measure/scaler.h"
#include "scalers/redis/outcome.h"
#include "scalers/redis/peer.h"
#include "scalers/trigger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

extern const struct scaler scaler_redis;

#define VIDEOS PAIRS("library", "bullmq", "queueName", "videos")

/* Time, wait, prioritized, due, active, paused, and what is next. */
#define PARTS_AT(seconds, next)                                                                    \
    "*7\r\n*2\r\n$10\r\n" seconds "\r\n$1\r\n0\r\n:1\r\n:2\r\n:3\r\n:4\r\n:0\r\n" next
#define JOB_OF_2030 "*2\r\n$1\r\n7\r\n$16\r\n7782400000000000\r\n"

/* The server's clock is years ahead of ours, or behind it, and then known. */
static void the_server_says_what_is_due(void **state)
{
    (void)state;
    static const char *const first[] = {PARTS_AT("2000000000", JOB_OF_2030),
                                        PARTS_AT("1000000000", "*0\r\n")};
    static const char *const then[] = {PARTS_AT("2000000000", "*0\r\n"),
                                       PARTS_AT("1000000000", JOB_OF_2030)};
    for (size_t i = 0; i < ARRAY_LENGTH(first); i++) {
        struct outcome outcome =
            measure(&scaler_redis, SCRIPT({"EXEC", first[i], NULL, 0, 1}, {"EXEC", then[i]}),
                    VIDEOS, 1, 2000);
        assert_int_equal(outcome.answers, 1);
        assert_true(outcome.reading.waiting == 6);
        assert_true(outcome.reading.in_flight == 4);
    }
    assert_error(measure(&scaler_redis, SCRIPT({"EXEC", first[0]}), VIDEOS, 1, 2000),
                 "could not be followed");
}

#define JOB_OF_1990 "*2\r\n$1\r\n7\r\n$16\r\n2585186304000000\r\n"

/* Its time goes on by ten seconds with each reply. */
static void a_server_that_replies_too_slowly_is_named(void **state)
{
    (void)state;
    assert_error(measure(&scaler_redis,
                         SCRIPT({"EXEC", PARTS_AT("1000000000", JOB_OF_1990), .times = 1},
                                {"EXEC", PARTS_AT("1000000010", JOB_OF_1990), .times = 1},
                                {"EXEC", PARTS_AT("1000000020", JOB_OF_1990), .times = 1},
                                {"EXEC", PARTS_AT("1000000030", JOB_OF_1990), .times = 1}),
                         VIDEOS, 1, 2000),
                 "replies too slowly");
}

/* Each attempt is answered within the time of a task. */
static void attempts_to_count_what_is_due_end_with_the_tasks_time(void **state)
{
    (void)state;
    assert_error(
        measure(&scaler_redis,
                SCRIPT({"EXEC", PARTS_AT("1000000000", JOB_OF_1990), NULL, .wait_ms = 900}), VIDEOS,
                1, 2000),
        "in 3 attempts");
}

/* At 1000000000.999999 s, one job is due in the same millisecond, the other one in the next. */
static void the_servers_time_is_exact_to_a_millisecond(void **state)
{
    (void)state;
#define PARTS_WITH(next)                                                                           \
    "*7\r\n*2\r\n$10\r\n1000000000\r\n$6\r\n999999\r\n:1\r\n:2\r\n:3\r\n:4\r\n:0\r\n"              \
    "*2\r\n$1\r\n7\r\n$16\r\n" next "\r\n"
    static const char due[] = PARTS_WITH("4096000004091904");
    static const char later[] = PARTS_WITH("4096000004096000");
    assert_error(measure(&scaler_redis, SCRIPT({"EXEC", due}), VIDEOS, 1, 2000),
                 "could not be followed");
    struct outcome outcome = measure(&scaler_redis, SCRIPT({"EXEC", later}), VIDEOS, 1, 2000);
    assert_true(outcome.answers == 1 && outcome.reading.waiting == 6);
}

static void nothing_waits_in_a_paused_queue(void **state)
{
    (void)state;
    static const char paused[] = "*7\r\n*2\r\n$10\r\n1000000000\r\n$1\r\n0\r\n"
                                 ":1\r\n:2\r\n:3\r\n:4\r\n:1\r\n*0\r\n";
    struct outcome outcome =
        measure(&scaler_redis,
                SCRIPT({"EXEC", PARTS_AT("1000000000", "*0\r\n"), NULL, 0, 1}, {"EXEC", paused}),
                VIDEOS, 1, 2000);
    assert_int_equal(outcome.answers, 1);
    assert_true(outcome.reading.waiting == 0 && outcome.reading.in_flight == 4);
}

/* Time, queue, due, intermediate, started, suspended, and what is next. */
static void the_parts_of_an_rq_queue_are_added(void **state)
{
    (void)state;
    static const char parts[] = "*7\r\n*2\r\n$10\r\n1000000000\r\n$1\r\n0\r\n"
                                ":1\r\n:2\r\n:4\r\n:8\r\n:0\r\n*0\r\n";
    struct outcome outcome = measure(&scaler_redis, SCRIPT({"EXEC", parts}),
                                     PAIRS("library", "rq", "queueName", "videos"), 1, 2000);
    assert_int_equal(outcome.answers, 1);
    assert_true(outcome.reading.waiting == 3 && outcome.reading.in_flight == 12);
}

/* In one transaction, each by the command that fits its kind. */
static void each_part_of_a_queue_is_read(void **state)
{
    enum { LINES = 10 };
    (void)state;
#define READ(command) {command, "+QUEUED\r\n"}
    static const struct redis_line scripts[][LINES] = {
        {READ("TIME"),
         READ("LLEN bull:videos:wait"),
         READ("ZCARD bull:videos:prioritized"),
         READ("ZCOUNT bull:videos:delayed"),
         READ("LLEN bull:videos:active"),
         READ("HEXISTS bull:videos:meta"),
         READ("ZRANGEBYSCORE bull:videos:delayed"),
         {"EXEC", PARTS_AT("1000000000", "*0\r\n")}},
        {READ("TIME"),
         READ("LLEN rq:queue:videos"),
         READ("ZCOUNT rq:scheduled:videos"),
         READ("LLEN rq:queue:videos:intermediate"),
         READ("ZCARD rq:wip:videos"),
         READ("EXISTS rq:suspended"),
         READ("ZRANGEBYSCORE rq:scheduled:videos"),
         {"EXEC", PARTS_AT("1000000000", "*0\r\n")}},
    };
    static const char *const libraries[] = {"bullmq", "rq"};
    for (size_t i = 0; i < ARRAY_LENGTH(scripts); i++) {
        struct redis_peer peer;
        redis_peer_start(&peer, scripts[i]);
        _cleanup_(trigger_done) struct trigger trigger =
            trigger_of(&scaler_redis, PAIRS("address", peer.address, "library", libraries[i],
                                            "queueName", "videos"));
        assert_true(trigger.good);
        struct outcome outcome = {0};
        run(&scaler_redis, &trigger, 1, 2000, &outcome);
        assert_int_equal(outcome.answers, 1);
        for (size_t j = 0; scripts[i][j].command != NULL; j++)
            if (redis_peer_used(&peer, j) != redis_peer_used(&peer, 0))
                fail_msg("%s was sent %d times", scripts[i][j].command, redis_peer_used(&peer, j));
        assert_in_range(redis_peer_used(&peer, 0), 1, 4);
        redis_peer_stop(&peer);
    }
}

static void a_part_that_is_no_count_is_an_error(void **state)
{
    (void)state;
    static const char *const bad[] = {":-1", "$-1", "-WRONGTYPE x"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        _cleanup_(memory_free) char *reply =
            text_format("*7\r\n*2\r\n$10\r\n1000000000\r\n$1\r\n0\r\n"
                        ":1\r\n:2\r\n:3\r\n%s\r\n:0\r\n*0\r\n",
                        bad[i]);
        assert_error(measure(&scaler_redis, SCRIPT({"EXEC", reply}), VIDEOS, 1, 2000),
                     "key \"bull:videos:active\": Redis at");
    }
    static const char *const times[] = {"$2\r\n-1\r\n$1\r\n0\r\n", "$1\r\n1\r\n$2\r\n-1\r\n",
                                        "$1\r\n1\r\n$7\r\n1000000\r\n",
                                        "$12\r\n100000000000\r\n$1\r\n0\r\n", ":1\r\n:0\r\n"};
    for (size_t i = 0; i < ARRAY_LENGTH(times); i++) {
        _cleanup_(memory_free) char *reply =
            text_format("*7\r\n*2\r\n%s:1\r\n:2\r\n:3\r\n:4\r\n:0\r\n*0\r\n", times[i]);
        assert_error(measure(&scaler_redis, SCRIPT({"EXEC", reply}), VIDEOS, 1, 2000),
                     "queue \"bullmq-videos\": Redis at");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_server_says_what_is_due),
        cmocka_unit_test(a_server_that_replies_too_slowly_is_named),
        cmocka_unit_test(attempts_to_count_what_is_due_end_with_the_tasks_time),
        cmocka_unit_test(the_servers_time_is_exact_to_a_millisecond),
        cmocka_unit_test(nothing_waits_in_a_paused_queue),
        cmocka_unit_test(the_parts_of_an_rq_queue_are_added),
        cmocka_unit_test(each_part_of_a_queue_is_read),
        cmocka_unit_test(a_part_that_is_no_count_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
