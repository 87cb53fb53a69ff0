#include "base/clock.h"
#include "base/memory.h"
#include "base/recent_log.h"
#include "base/text.h"
#include "measure/scaler.h"
#include "redis/client.h"
#include "redis/options.h"
#include "redis/requests/key_type.h"
#include "redis/subscriptions.h"
#include "scalers/redis/peer.h"
#include "scalers/trigger.h"
#include "support/feed.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

extern const struct scaler scaler_redis;
extern const struct scaler scaler_redis_streams;

#define LIST(...)                                                                                  \
    trigger_of(&scaler_redis, PAIRS("listName", "jobs", "address", "localhost:6379", __VA_ARGS__))
#define STREAM(...)                                                                                \
    trigger_of(&scaler_redis_streams,                                                              \
               PAIRS("stream", "orders", "address", "localhost:6379", __VA_ARGS__))

static void assert_metric_spec(const struct scaler *scaler, struct trigger trigger,
                               const char *name, double target)
{
    struct metric_spec spec;
    scaler->metric_spec(&trigger.options, &spec);
    assert_string_equal(spec.metric_name, name);
    assert_true(spec.target == target);
    assert_int_equal(spec.idle_interval_ms, 100);
    free(spec.metric_name);
    trigger_done(&trigger);
}

static void metrics_and_targets_are_those_of_keda(void **state)
{
    (void)state;
    const struct scaler *streams = &scaler_redis_streams;
    assert_metric_spec(&scaler_redis, LIST(NULL), "redis-jobs", 5);
    assert_metric_spec(&scaler_redis, LIST("listLength", "3"), "redis-jobs", 3);
    static const char *const keys[] = {"mails", "mails, jobs"};
    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++)
        assert_metric_spec(
            &scaler_redis,
            trigger_of(&scaler_redis, PAIRS("keys", keys[i], "address", "localhost:6379")),
            "redis-mails", 5);
    assert_metric_spec(streams, STREAM(NULL), "redis-streams-orders", 5);
    assert_metric_spec(streams, STREAM("streamLength", "3", "lagCount", "4"),
                       "redis-streams-orders", 3);
    assert_metric_spec(streams, STREAM("consumerGroup", "g", "streamLength", "3"),
                       "redis-streams-orders", 5);
    assert_metric_spec(streams,
                       STREAM("consumerGroup", "g", "pendingEntriesCount", "3", "lagCount", "0"),
                       "redis-streams-orders", 3);
    assert_metric_spec(streams,
                       STREAM("consumerGroup", "g", "pendingEntriesCount", "3", "lagCount", "4"),
                       "redis-streams-orders", 4);
}

static void wrong_metadata_still_has_a_metric_spec(void **state)
{
    (void)state;
    assert_metric_spec(&scaler_redis, trigger_of(&scaler_redis, PAIRS(NULL)), "redis-", 5);
    assert_metric_spec(&scaler_redis_streams, trigger_of(&scaler_redis_streams, PAIRS(NULL)),
                       "redis-streams-", 5);
}

static void the_activation_count_itself_is_not_yet_active(void **state)
{
    (void)state;
    struct trigger triggers[] = {LIST("activationListLength", "2"),
                                 STREAM("activationLagCount", "2", "consumerGroup", "g"),
                                 STREAM("activationLagCount", "2")};
    const struct scaler *const scalers[] = {&scaler_redis, &scaler_redis_streams,
                                            &scaler_redis_streams};
    for (size_t i = 0; i < ARRAY_LENGTH(triggers); i++) {
        struct reading reading = READING_UNKNOWN;
        struct evaluation evaluation;
        for (int count = 2; count <= 3; count++) {
            *(i == 1 ? &reading.in_flight : &reading.waiting) = count;
            assert_true(scalers[i]->evaluate(&triggers[i].options, &reading, &evaluation,
                                             &triggers[i].error));
            assert_true(evaluation.value == count);
            assert_int_equal(evaluation.active, count == 3);
        }
        reading = READING_UNKNOWN;
        assert_false(
            scalers[i]->evaluate(&triggers[i].options, &reading, &evaluation, &triggers[i].error));
        assert_int_equal(triggers[i].error.code, ERROR_UNAVAILABLE);
        trigger_done(&triggers[i]);
    }
}

/* Brackets are for the eye: the resolver takes none. */
static void an_address_in_brackets_is_one_without_them(void **state)
{
    (void)state;
    static const struct {
        const char *address, *host, *port;
    } rows[] = {{"[::1]:6379", "", ""}, {"", "[::1]", "6379"}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        _cleanup_(trigger_done) struct trigger trigger =
            trigger_of(&scaler_redis, PAIRS("listName", "jobs", "address", rows[i].address, "host",
                                            rows[i].host, "port", rows[i].port));
        assert_true(trigger.good);
        int port;
        _cleanup_(memory_free) char *host =
            redis_connection_host(trigger.options.connection, 0, &port);
        assert_string_equal(host, "::1");
        assert_int_equal(port, 6379);
    }
}

/* One measurement, and what became of its tasks. */
struct outcome {
    unsigned wants; /* of the tasks */
    bool connected;
    bool usable;
    struct error error; /* of the client, or of the last task that failed */
    struct reading reading;
    size_t answers;
    size_t failures;
    size_t refused_subscriptions;
};

static void count_notifications(void *context, uint64_t id)
{
    uint64_t *notified = context;
    notified[id]++;
}

static void add_end(struct outcome *outcome, const struct test_task *task)
{
    outcome->refused_subscriptions += error_is_set(&task->subscribe_error);
    if (!task->ended)
        return;
    if (task->outcome == TASK_ANSWERED) {
        outcome->reading = task->reading;
        outcome->answers++;
    } else {
        error_copy(&outcome->error, &task->error);
        outcome->failures++;
    }
}

static void run(const struct scaler *scaler, const struct trigger *trigger, size_t count,
                int within_ms, struct outcome *outcome)
{
    void *client = NULL;
    int64_t deadline_ms = clock_now_ms() + within_ms;
    outcome->connected =
        scaler->connect(trigger->options.connection, deadline_ms, &client, &outcome->error);
    if (!outcome->connected)
        return;
    struct test_feed *feed = test_feed_new(scaler);
    for (size_t i = 0; i < count; i++) {
        test_feed_add(feed, trigger->options.query, (struct notifier){0});
        test_feed_task(feed, i)->task.wants = outcome->wants;
    }
    test_feed_set_timeout(feed, within_ms);
    outcome->usable = test_feed_run(feed, client, 20 * (int64_t)within_ms, &outcome->error);
    for (size_t i = 0; i < count; i++)
        add_end(outcome, test_feed_task(feed, i));
    test_feed_free(feed);
    scaler->disconnect(client);
}

/* Measures a server with this script; `pairs` are the keys besides its address. */
static struct outcome measure_with(unsigned wants, const struct scaler *scaler,
                                   const struct redis_line *script, const char *const *pairs,
                                   size_t count, int within_ms)
{
    struct redis_peer peer;
    redis_peer_start(&peer, script);
    const char *all[32] = {"address", peer.address};
    for (size_t i = 0; pairs[i] != NULL; i++)
        all[i + 2] = pairs[i];
    _cleanup_(trigger_done) struct trigger trigger = trigger_of(scaler, all);
    assert_true(trigger.good);
    struct outcome outcome = {.wants = wants};
    run(scaler, &trigger, count, within_ms, &outcome);
    redis_peer_stop(&peer);
    return outcome;
}

static struct outcome measure(const struct scaler *scaler, const struct redis_line *script,
                              const char *const *pairs, size_t count, int within_ms)
{
    return measure_with(0, scaler, script, pairs, count, within_ms);
}

#define SCRIPT(...) ((const struct redis_line[]){__VA_ARGS__, {.command = NULL}})
#define ONE_LIST PAIRS("listName", "jobs")
#define ONE_LAG PAIRS("stream", "orders", "consumerGroup", "workers", "lagCount", "5")

static void assert_error(struct outcome outcome, const char *words)
{
    assert_int_equal(outcome.answers, 0);
    assert_int_equal(outcome.error.code, ERROR_UNAVAILABLE);
    if (strstr(outcome.error.text, words) == NULL)
        fail_msg("\"%s\" lacks \"%s\"", outcome.error.text, words);
    assert_null(strstr(outcome.error.text, "sesame"));
    error_done(&outcome.error);
}

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
        assert_true(outcome.reading.waiting == 9 && isnan(outcome.reading.in_flight));
    }
}

#define LAG_OF(lag) "*1\r\n*10\r\n" GROUP_OF_7 "$3\r\nlag\r\n" lag "\r\n"

/* One command has the groups of a stream, for all of its tasks and no others. */
static void each_stream_has_its_own_groups(void **state)
{
    enum { STREAMS = 3, EACH = 20 };
    (void)state;
    static const char *const names[STREAMS] = {"orders", "mails", "videos"};
    struct redis_peer peer;
    struct trigger triggers[STREAMS];
    _cleanup_(error_done) struct error error = {0};
    void *client = NULL;
    redis_peer_start(&peer, SCRIPT({"XINFO GROUPS orders", LAG_OF(":3")},
                                   {"XINFO GROUPS mails", LAG_OF(":5")},
                                   {"XINFO GROUPS videos", LAG_OF(":7")}));
    for (size_t i = 0; i < STREAMS; i++)
        triggers[i] =
            trigger_of(&scaler_redis_streams, PAIRS("address", peer.address, "stream", names[i],
                                                    "consumerGroup", "workers", "lagCount", "5"));
    struct test_feed *feed = test_feed_new(&scaler_redis_streams);
    for (size_t i = 0; i < (size_t)STREAMS * EACH; i++)
        test_feed_add(feed, triggers[i % STREAMS].options.query, (struct notifier){0});
    assert_true(scaler_redis_streams.connect(triggers[0].options.connection, clock_now_ms() + 2000,
                                             &client, &error));
    assert_true(test_feed_run(feed, client, 20000, &error));
    for (size_t i = 0; i < (size_t)STREAMS * EACH; i++) {
        const struct test_task *task = test_feed_task(feed, i);
        assert_true(task->ended && task->outcome == TASK_ANSWERED);
        assert_true(task->reading.waiting == (double)(3 + 2 * (i % STREAMS)));
    }
    for (size_t i = 0; i < STREAMS; i++)
        assert_int_equal(redis_peer_used(&peer, i), 1);
    test_feed_free(feed);
    scaler_redis_streams.disconnect(client);
    redis_peer_stop(&peer);
    for (size_t i = 0; i < STREAMS; i++)
        trigger_done(&triggers[i]);
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
    static const char group[] = "*1\r\n*10\r\n" GROUP_OF_7 "$3\r\nlag\r\n:3\r\n";
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
    static const char *const names[STREAMS] = {"mails", "orders"};
    struct redis_peer peer;
    struct trigger triggers[STREAMS];
    struct recent_line lines[MAX_LINES];
    _cleanup_(error_done) struct error error = {0};
    void *client = NULL;
    recent_log_start();
    redis_peer_start(&peer, SCRIPT({"XINFO CONSUMERS", "-NOPERM no\r\n"}, {"XINFO", LAG_OF(":3")}));
    struct test_feed *feed = test_feed_new(&scaler_redis_streams);
    for (size_t i = 0; i < STREAMS; i++) {
        triggers[i] =
            trigger_of(&scaler_redis_streams, PAIRS("address", peer.address, "stream", names[i],
                                                    "consumerGroup", "workers", "lagCount", "5"));
        test_feed_add(feed, triggers[i].options.query, (struct notifier){0});
        test_feed_task(feed, i)->task.wants = READING_WANT_CONSUMERS;
    }
    assert_true(scaler_redis_streams.connect(triggers[0].options.connection, clock_now_ms() + 2000,
                                             &client, &error));
    for (size_t i = 0; i < ROUNDS; i++) {
        test_feed_again(feed);
        assert_true(test_feed_run(feed, client, 20000, &error));
    }
    assert_int_equal(recent_log_read(0, lines, MAX_LINES), STREAMS);
    for (size_t i = 0; i < STREAMS; i++) {
        assert_non_null(strstr(lines[i].text, names[i]));
        assert_non_null(strstr(lines[i].text, "the server replied NOPERM"));
        recent_line_done(&lines[i]);
    }
    test_feed_free(feed);
    scaler_redis_streams.disconnect(client);
    redis_peer_stop(&peer);
    for (size_t i = 0; i < STREAMS; i++)
        trigger_done(&triggers[i]);
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

static int64_t cpu_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

enum { GROUP_TASKS = 8000, GROUP_CPU_MS = 800 };

/* The least of some rounds: other work empties the caches. The last one's outcome is returned. */
static struct outcome measure_cheaply(const struct text *reply)
{
    enum { ROUNDS = 5 };
    for (int round = 1;; round++) {
        int64_t began_ms = cpu_now_ms();
        struct outcome outcome = measure(&scaler_redis_streams, SCRIPT({"XINFO", reply->bytes}),
                                         ONE_LAG, GROUP_TASKS, 5000);
        int64_t took_ms = cpu_now_ms() - began_ms;
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
                     SCRIPT({"XINFO CONSUMERS", error},
                            {"XINFO", "*1\r\n*10\r\n" GROUP_OF_7 "$3\r\nlag\r\n:3\r\n"}),
                     ONE_LAG, 1, 2000);
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
#define VIDEOS PAIRS("library", "bullmq", "queueName", "videos")

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

static void a_change_notifies_each_subscriber_of_its_key_once(void **state)
{
    (void)state;
    uint64_t notified[5] = {0};
    struct redis_subscriptions subscriptions = {0};
    static const char *const keys[] = {"a", "b", "a", "c", "c"};
    for (uint64_t id = 1; id < 5; id++) {
        const struct notifier notifier = {count_notifications, notified, id};
        redis_subscriptions_add(&subscriptions, PAIRS(keys[id]), &notifier);
        redis_subscriptions_add(&subscriptions, PAIRS("another"), &notifier);
    }
    redis_subscriptions_remove(&subscriptions, 3);
    redis_subscriptions_remove(&subscriptions, 3);
    redis_subscriptions_notify(&subscriptions, "nobody's", 8);
    redis_subscriptions_notify(&subscriptions, "another", 7);
    assert_int_equal(notified[1] + notified[2] + notified[3] + notified[4], 0);
    redis_subscriptions_notify(&subscriptions, "b", 1);
    redis_subscriptions_notify(&subscriptions, "b", 1);
    assert_int_equal(notified[1], 1);
    redis_subscriptions_notify_all(&subscriptions);
    const uint64_t expected[] = {0, 1, 1, 0, 1};
    assert_memory_equal(notified, expected, sizeof(expected));
    redis_subscriptions_done(&subscriptions);
}

static void each_key_of_a_subscriber_and_its_time_notify_it_once(void **state)
{
    (void)state;
    uint64_t notified[5] = {0};
    struct redis_subscriptions subscriptions = {0};
    for (uint64_t id = 1; id < 5; id++) {
        const struct notifier notifier = {count_notifications, notified, id};
        redis_subscriptions_add(&subscriptions, PAIRS("a", id == 4 ? "d" : "b", "c"), &notifier);
    }
    assert_true(redis_subscriptions_notify_due(&subscriptions, 1000) == CLOCK_NEVER);
    redis_subscriptions_set_time(&subscriptions, 9, 5);
    redis_subscriptions_set_time(&subscriptions, 1, 2000);
    redis_subscriptions_set_time(&subscriptions, 2, 1500);
    redis_subscriptions_set_time(&subscriptions, 4, 3000);
    assert_true(redis_subscriptions_notify_due(&subscriptions, 1499) == 1500);
    assert_true(redis_subscriptions_notify_due(&subscriptions, 1500) == 2000);
    assert_int_equal(notified[2], 1);
    redis_subscriptions_notify(&subscriptions, "b", 1);
    assert_true(redis_subscriptions_notify_due(&subscriptions, 2500) == 3000);
    redis_subscriptions_set_time(&subscriptions, 4, 4000);
    assert_true(redis_subscriptions_notify_due(&subscriptions, 3500) == 4000);
    assert_true(redis_subscriptions_notify_due(&subscriptions, 4000) == CLOCK_NEVER);
    redis_subscriptions_notify(&subscriptions, "c", 1);
    const uint64_t expected[] = {0, 1, 1, 1, 1};
    assert_memory_equal(notified, expected, sizeof(expected));
    assert_null(subscriptions.keys);
    redis_subscriptions_done(&subscriptions);
}

/* A tenant edits a trigger again and again, and each time its key is another set. */
static void types_of_keys_that_are_gone_take_a_bounded_memory(void **state)
{
    enum { NAMES = 600, LONG = 15000 };
    (void)state;
    struct redis_key_types types = {0};
    for (int i = 0; i < NAMES; i++) {
        _cleanup_(memory_free) char *name = text_format("%0*d", LONG, i);
        assert_true(redis_key_types_learn(&types, name, "set", NULL));
        assert_string_equal(redis_key_types_find(&types, name)->name, "set");
        assert_in_range(types.memory.used, LONG, 4 << 20);
    }
    redis_key_types_done(&types);
    assert_int_equal(types.memory.used, 0);
}

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
    assert_in_range(clock_now_ms() - start_ms, 300, 3000);
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
    assert_in_range(clock_now_ms() - start_ms, 300, 3000);
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

static void what_a_client_keeps_of_a_query_grows_with_its_keys(void **state)
{
    (void)state;
    enum { PREFIX = 256, NAME = 1024, MANY = 64 };
    char prefix[PREFIX + 1] = "";
    char name[NAME + 1] = "";
    struct text keys = {0};
    memset(prefix, 'p', PREFIX);
    memset(name, 'q', NAME);
    for (int i = 0; i < MANY; i++)
        text_addf(&keys, "%s%d", i == 0 ? "" : ",", i);
    _cleanup_(trigger_done) struct trigger queue =
        trigger_of(&scaler_redis, PAIRS("address", "localhost:6379", "library", "bullmq", "prefix",
                                        prefix, "queueName", name));
    _cleanup_(trigger_done) struct trigger many =
        trigger_of(&scaler_redis, PAIRS("address", "localhost:6379", "keys", keys.bytes));
    _cleanup_(trigger_done) struct trigger none =
        trigger_of(&scaler_redis, PAIRS("address", "localhost:6379", "library", "bullmq"));
    assert_true(queue.good && many.good);
    assert_in_range(scaler_redis.client_bytes(queue.options.query), 5 * (PREFIX + NAME), 8 << 10);
    assert_in_range(scaler_redis.client_bytes(many.options.query), MANY * 128, MANY * 256);
    assert_in_range(scaler_redis.client_bytes(none.options.query), 0, 1 << 10);
    text_done(&keys);
}

/* They are counted before the mistake is known, where the connection is read later. */
static void keys_beside_a_library_are_not_counted(void **state)
{
    (void)state;
    static const int counts[] = {60, 61, 64};
    _cleanup_(trigger_done) struct trigger alone = trigger_of(
        &scaler_redis, PAIRS("address", "localhost:6379", "library", "bullmq", "queueName", "q"));
    for (size_t i = 0; i < ARRAY_LENGTH(counts); i++) {
        _cleanup_(text_done) struct text keys = {0};
        for (int key = 0; key < counts[i]; key++)
            text_addf(&keys, "%s%d", key == 0 ? "" : ",", key);
        _cleanup_(trigger_done) struct trigger both =
            trigger_of(&scaler_redis, PAIRS("address", "localhost:6379", "keys", keys.bytes,
                                            "library", "bullmq", "queueName", "q"));
        assert_false(both.good);
        assert_int_equal(scaler_redis.client_bytes(both.options.query),
                         scaler_redis.client_bytes(alone.options.query));
    }
}

/* Scaling policies are refused what is not reported. */
static void only_a_library_and_a_lag_report_more_than_what_waits(void **state)
{
    (void)state;
    const char *advice = NULL;
    _cleanup_(trigger_done) struct trigger list =
        trigger_of(&scaler_redis, PAIRS("address", "localhost:6379", "listName", "jobs"));
    _cleanup_(trigger_done) struct trigger queue =
        trigger_of(&scaler_redis,
                   PAIRS("address", "localhost:6379", "library", "bullmq", "queueName", "jobs"));
    _cleanup_(trigger_done) struct trigger pending = trigger_of(
        &scaler_redis_streams, PAIRS("address", "localhost:6379", "stream", "jobs", "consumerGroup",
                                     "workers", "pendingEntriesCount", "5"));
    _cleanup_(trigger_done) struct trigger lag =
        trigger_of(&scaler_redis_streams, PAIRS("address", "localhost:6379", "stream", "jobs",
                                                "consumerGroup", "workers", "lagCount", "5"));
    assert_true(list.good && queue.good && pending.good && lag.good);
    assert_int_equal(scaler_redis.reports(&list.options, &advice), 0);
    assert_int_equal(scaler_redis.reports(&queue.options, &advice), READING_WANT_IN_FLIGHT);
    assert_int_equal(scaler_redis_streams.reports(&pending.options, &advice), 0);
    assert_int_equal(scaler_redis_streams.reports(&lag.options, &advice),
                     READING_WANT_IN_FLIGHT | READING_WANT_RATES | READING_WANT_CONSUMERS);
}

static void the_lags_of_all_groups_of_a_stream_are_one_bundle(void **state)
{
    (void)state;
    _cleanup_(trigger_done) struct trigger pending = trigger_of(
        &scaler_redis_streams, PAIRS("address", "localhost:6379", "stream", "jobs", "consumerGroup",
                                     "workers", "pendingEntriesCount", "5"));
    _cleanup_(trigger_done) struct trigger lag =
        trigger_of(&scaler_redis_streams, PAIRS("address", "localhost:6379", "stream", "jobs",
                                                "consumerGroup", "workers", "lagCount", "5"));
    _cleanup_(memory_free) char *bundle =
        scaler_redis_streams.bundle(lag.options.connection, lag.options.query);
    assert_string_equal(bundle, "jobs");
    assert_null(scaler_redis_streams.bundle(pending.options.connection, pending.options.query));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metrics_and_targets_are_those_of_keda),
        cmocka_unit_test(wrong_metadata_still_has_a_metric_spec),
        cmocka_unit_test(the_activation_count_itself_is_not_yet_active),
        cmocka_unit_test(an_address_in_brackets_is_one_without_them),
        cmocka_unit_test(a_redis_before_7_has_no_lag_and_is_named),
        cmocka_unit_test(a_lag_is_a_number_or_an_error),
        cmocka_unit_test(a_field_without_a_value_is_none),
        cmocka_unit_test(a_lag_has_what_came_and_what_was_consumed),
        cmocka_unit_test(pending_entries_are_in_flight),
        cmocka_unit_test(a_group_whose_name_has_a_nul_is_another_one),
        cmocka_unit_test(before_there_is_a_group_all_entries_wait),
        cmocka_unit_test(each_stream_has_its_own_groups),
        cmocka_unit_test(consumers_that_were_seen_lately_count),
        cmocka_unit_test(groups_whose_consumers_are_not_known_are_named),
        cmocka_unit_test(consumers_that_are_too_many_are_not_known),
        cmocka_unit_test(many_groups_and_fields_are_searched_once),
        cmocka_unit_test(of_an_error_only_the_code_is_logged),
        cmocka_unit_test(an_error_of_xinfo_is_not_taken_for_a_missing_stream),
        cmocka_unit_test(an_invalid_count_is_an_error),
        cmocka_unit_test(a_key_that_never_keeps_its_kind_is_given_up),
        cmocka_unit_test(a_key_of_any_kind_has_its_length),
        cmocka_unit_test(the_lengths_of_keys_are_added),
        cmocka_unit_test(each_key_is_read),
        cmocka_unit_test(the_kind_of_each_key_is_read),
        cmocka_unit_test(an_error_within_a_transaction_is_named),
        cmocka_unit_test(the_server_says_what_is_due),
        cmocka_unit_test(a_server_that_replies_too_slowly_is_named),
        cmocka_unit_test(attempts_to_count_what_is_due_end_with_the_tasks_time),
        cmocka_unit_test(the_servers_time_is_exact_to_a_millisecond),
        cmocka_unit_test(nothing_waits_in_a_paused_queue),
        cmocka_unit_test(the_parts_of_an_rq_queue_are_added),
        cmocka_unit_test(each_part_of_a_queue_is_read),
        cmocka_unit_test(a_part_that_is_no_count_is_an_error),
        cmocka_unit_test(a_change_notifies_each_subscriber_of_its_key_once),
        cmocka_unit_test(each_key_of_a_subscriber_and_its_time_notify_it_once),
        cmocka_unit_test(types_of_keys_that_are_gone_take_a_bounded_memory),
        cmocka_unit_test(a_starting_server_is_not_connected_to),
        cmocka_unit_test(a_server_that_repeats_our_password_is_not_quoted),
        cmocka_unit_test(a_silent_server_costs_no_more_than_the_deadline),
        cmocka_unit_test(a_server_that_does_not_reply_is_a_lost_connection),
        cmocka_unit_test(an_answer_without_a_question_is_not_taken),
        cmocka_unit_test(a_server_that_is_not_redis_is_reported),
        cmocka_unit_test(a_huge_answer_is_refused),
        cmocka_unit_test(a_flood_of_answers_holds_up_neither_side),
        cmocka_unit_test(nor_does_one_that_makes_us_send_more),
        cmocka_unit_test(a_server_that_reads_nothing_is_sent_little),
        cmocka_unit_test(what_a_client_keeps_of_a_query_grows_with_its_keys),
        cmocka_unit_test(keys_beside_a_library_are_not_counted),
        cmocka_unit_test(only_a_library_and_a_lag_report_more_than_what_waits),
        cmocka_unit_test(the_lags_of_all_groups_of_a_stream_are_one_bundle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
