/* Redis's Sentinels: which master is taken, when they are asked again, and how long that may take.
 */
#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure/scaler.h"
#include "scalers/ended.h"
#include "scalers/redis/peer.h"
#include "scalers/trigger.h"
#include "support/fast_time.h"
#include "support/feed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

extern const struct scaler scaler_redis_sentinel;

enum {
    SENTINELS = 2,
    MASTERS = 2,
    LINES = 8,
    TEXTS = 32,
    LONG_MS = 20 * 1000,

    /* Of redis/sentinel.c. */
    CONNECT_MS = 1500,
    RETRY_MS = 1000,
    PING_MS = 2000,
    GRACE_MS = 200,
    REFRESH_MS = 60 * 1000,
    SILENT_MS = 3 * REFRESH_MS,
};

/* Lists have as many elements as the number of their master says: 1 or 2. */
static const char *const lengths[MASTERS] = {":1\r\n", ":2\r\n"};

/* A client of two Sentinels, or of one, and two masters that they may name. */
struct world {
    struct redis_peer masters[MASTERS];
    struct redis_line master_lines[MASTERS][4];
    struct redis_peer sentinels[SENTINELS];
    struct redis_line sentinel_lines[SENTINELS][LINES + 1];
    size_t sentinels_count;
    bool is_stopped[SENTINELS];
    bool is_master_stopped[MASTERS];
    char *texts[TEXTS];
    size_t texts_count;
    struct fast_time_peer time;
    void (*on_time)(struct world *world); /* at `at_ms`; NULL: nothing */
    int64_t at_ms;
    struct trigger trigger;
    struct test_feed *feed;
    void *client;
    struct error error;
};

/* ---- what they reply ---- */

static const char *own(struct world *world, char *text)
{
    assert_true(world->texts_count < TEXTS);
    return world->texts[world->texts_count++] = text;
}

static void add_line(struct world *world, size_t sentinel, struct redis_line line)
{
    struct redis_line *lines = world->sentinel_lines[sentinel];
    size_t count = 0;
    while (lines[count].command != NULL)
        count++;
    assert_true(count < LINES);
    lines[count] = line;
}

static const char *epoch_reply(struct world *world, int epoch)
{
    _cleanup_(memory_free) char *number = text_format("%d", epoch);
    return own(world, text_format(
                          "*4\r\n$4\r\nname\r\n$4\r\nshop\r\n$12\r\nconfig-epoch\r\n$%zu\r\n%s\r\n",
                          strlen(number), number));
}

static const char *address_reply(struct world *world, const char *host, const char *port)
{
    return own(world, text_format("*2\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n", strlen(host), host,
                                  strlen(port), port));
}

/* On this of its connections, from 1 on; 0: on all. */
static void names_master(struct world *world, size_t sentinel, size_t connection, int epoch,
                         size_t master)
{
    _cleanup_(memory_free) char *port = text_format("%d", world->masters[master].port);
    add_line(world, sentinel,
             (struct redis_line){.command = "SENTINEL MASTER",
                                 .answer = epoch_reply(world, epoch),
                                 .connection = connection});
    add_line(world, sentinel,
             (struct redis_line){.command = "SENTINEL GET-MASTER-ADDR-BY-NAME",
                                 .answer = address_reply(world, "127.0.0.1", port),
                                 .connection = connection});
}

static void replies_to_pings(struct world *world, size_t sentinel)
{
    add_line(world, sentinel, (struct redis_line){"PING", "*2\r\n$4\r\npong\r\n$0\r\n\r\n"});
}

static void is_silent(struct world *world, size_t sentinel, size_t connection)
{
    add_line(
        world, sentinel,
        (struct redis_line){.command = "SENTINEL MASTER", .answer = "", .connection = connection});
}

/* The master replies so late. */
static void is_busy(struct world *world, size_t master, int ms)
{
    world->master_lines[master][1].wait_ms = ms;
}

/* ---- the world ---- */

static int64_t work(void *context)
{
    struct world *world = context;
    int64_t next_ms = CLOCK_NEVER;
    if (world->on_time != NULL && clock_now_ms() >= world->at_ms)
        world->on_time(world);
    if (world->on_time != NULL)
        next_ms = world->at_ms;
    for (size_t i = 0; i < MASTERS; i++)
        if (!world->is_master_stopped[i])
            next_ms = clock_earlier(next_ms, redis_peer_work(&world->masters[i]));
    for (size_t i = 0; i < world->sentinels_count; i++)
        if (!world->is_stopped[i])
            next_ms = clock_earlier(next_ms, redis_peer_work(&world->sentinels[i]));
    return next_ms;
}

static void world_init(struct world *world, size_t sentinels)
{
    *world = (struct world){.sentinels_count = sentinels, .time = {.work = work}};
    for (size_t i = 0; i < MASTERS; i++) {
        struct redis_line *lines = world->master_lines[i];
        lines[0] = (struct redis_line){"ROLE", MASTER};
        lines[1] = (struct redis_line){.command = "LLEN", .answer = lengths[i]};
        redis_peer_start_fast(&world->masters[i], lines);
    }
    for (size_t i = 0; i < sentinels; i++)
        redis_peer_start_fast(&world->sentinels[i], world->sentinel_lines[i]);
    world->time.context = world;
    fast_time_begin(&world->time);
}

static void stop_sentinel(struct world *world, size_t sentinel)
{
    redis_peer_stop(&world->sentinels[sentinel]);
    world->is_stopped[sentinel] = true;
}

static void stop_master(struct world *world, size_t master)
{
    redis_peer_stop(&world->masters[master]);
    world->is_master_stopped[master] = true;
}

static bool connects(struct world *world)
{
    _cleanup_(memory_free) char *addresses = text_copy(world->sentinels[0].address);
    for (size_t i = 1; i < world->sentinels_count; i++) {
        char *more = text_format("%s,%s", addresses, world->sentinels[i].address);
        free(addresses);
        addresses = more;
    }
    world->trigger =
        trigger_of(&scaler_redis_sentinel,
                   PAIRS("addresses", addresses, "sentinelMaster", "shop", "listName", "jobs"));
    assert_true(world->trigger.good);
    return scaler_redis_sentinel.connect(world->trigger.options.connection,
                                         clock_now_ms() + LONG_MS, &world->client, &world->error);
}

static void connect_client(struct world *world)
{
    if (!connects(world))
        fail_msg("%s", error_text(&world->error));
}

static void free_feed(struct world *world)
{
    if (world->feed != NULL)
        test_feed_free(world->feed);
    world->feed = NULL;
}

/* Whether the client is still of use. */
static bool run_feed(struct world *world)
{
    free_feed(world);
    world->feed = test_feed_new(&scaler_redis_sentinel);
    test_feed_add(world->feed, world->trigger.options.query, (struct notifier){0});
    test_feed_set_timeout(world->feed, LONG_MS);
    return test_feed_run(world->feed, world->client, LONG_MS, &world->error);
}

/* How long the list is, at whichever master. */
static double measure(struct world *world)
{
    if (!run_feed(world))
        fail_msg("%s", error_text(&world->error));
    assert_ended(world->feed, 0, TASK_ANSWERED);
    return test_feed_task(world->feed, 0)->reading.waiting;
}

/* So that something is done meanwhile: with nothing to measure, nothing is received. */
static void measure_for(struct world *world, int ms)
{
    is_busy(world, 0, ms);
    int64_t start_ms = clock_now_ms();
    assert_true(measure(world) == 1);
    assert_int_equal(clock_now_ms() - start_ms, ms);
}

static void world_stop(struct world *world)
{
    if (world->client != NULL)
        scaler_redis_sentinel.disconnect(world->client);
    free_feed(world);
    for (size_t i = 0; i < MASTERS; i++)
        if (!world->is_master_stopped[i])
            redis_peer_stop(&world->masters[i]);
    for (size_t i = 0; i < world->sentinels_count; i++)
        if (!world->is_stopped[i])
            redis_peer_stop(&world->sentinels[i]);
    for (size_t i = 0; i < world->texts_count; i++)
        free(world->texts[i]);
    trigger_done(&world->trigger);
    error_done(&world->error);
    fast_time_begin(NULL);
}

#define MESSAGE(content) "*3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n" content
#define SWITCH MESSAGE("$32\r\nshop 127.0.0.1 6379 127.0.0.1 81\r\n")

static void push(struct world *world, size_t sentinel, const char *text)
{
    redis_peer_push(&world->sentinels[sentinel], text);
    fast_time_pass(1); /* it arrives */
}

/* ---- which master ---- */

/* After a failover one that was cut off names the former master, until it hears of the new one. */
static void the_sentinel_with_the_newest_epoch_is_believed(void **state)
{
    static const struct {
        int epochs[SENTINELS];
        double length;
    } cases[] = {
        {{7, 8}, 2},
        {{8, 7}, 1},
        {{10, 9}, 1}, /* as numbers, and not as texts */
        {{0, 0}, 1},  /* of one that never saw a failover */
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct world world;
        world_init(&world, SENTINELS);
        for (size_t one = 0; one < SENTINELS; one++)
            names_master(&world, one, 0, cases[i].epochs[one], one);
        int64_t start_ms = clock_now_ms();
        connect_client(&world);
        assert_true(measure(&world) == cases[i].length);
        assert_int_equal(clock_now_ms(), start_ms); /* both have answered: nothing is waited for */
        world_stop(&world);
    }
}

static void a_silent_sentinel_is_waited_for_a_moment_only(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, SENTINELS);
    is_silent(&world, 0, 0);
    names_master(&world, 1, 0, 7, 1);
    int64_t start_ms = clock_now_ms();
    connect_client(&world);
    assert_int_equal(clock_now_ms() - start_ms, GRACE_MS);
    assert_true(measure(&world) == 2);
    world_stop(&world);
}

/* The other one, where there is one. */
static void what_is_no_answer_is_explained_and_another_sentinel_is_enough(void **state)
{
    static const struct {
        struct redis_line lines[2];
        const char *words;
        int ms;
    } cases[] = {
        {{{"SENTINEL MASTER", ""}}, "cannot connect to Redis at 127.0.0.1:", CONNECT_MS},
        {{{"SENTINEL MASTER", "-ERR No such master with that name\r\n"}},
         "does not know the master \"shop\"",
         0},
        {{{"SENTINEL MASTER", "-NOPERM no\r\n"}}, "NOPERM", 0},
        {{{"SENTINEL MASTER", "*2\r\n$4\r\nname\r\n$4\r\nshop\r\n"}}, "no Sentinel names", 0},
        {{{"SENTINEL GET-MASTER-ADDR-BY-NAME", "*-1\r\n"}}, "no Sentinel names", 0},
        {{{"SENTINEL GET-MASTER-ADDR-BY-NAME", "*2\r\n$0\r\n\r\n$4\r\n6379\r\n"}},
         "names no host and port of the master \"shop\"",
         0},
        {{{"SENTINEL GET-MASTER-ADDR-BY-NAME", "*2\r\n$3\r\na b\r\n$4\r\n6379\r\n"}},
         "names no host and port of the master \"shop\"",
         0},
        {{{"SENTINEL GET-MASTER-ADDR-BY-NAME", "*2\r\n$9\r\n127.0.0.1\r\n$1\r\n0\r\n"}},
         "names no host and port of the master \"shop\"",
         0},
        {{{"SENTINEL GET-MASTER-ADDR-BY-NAME", "*2\r\n$9\r\n127.0.0.1\r\n$5\r\n65536\r\n"}},
         "names no host and port of the master \"shop\"",
         0},
        {{{"SUBSCRIBE", "-NOPERM no channel\r\n"}}, NULL, 0}, /* it has answered before */
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        for (size_t count = 1; count <= SENTINELS; count++) {
            struct world world;
            world_init(&world, count);
            add_line(&world, 0, cases[i].lines[0]);
            names_master(&world, 0, 0, 3, 1);
            if (count == SENTINELS)
                names_master(&world, 1, 0, 2, 1);
            int64_t start_ms = clock_now_ms();
            bool is_enough = count == SENTINELS || cases[i].words == NULL;
            assert_true(connects(&world) == is_enough);
            if (is_enough)
                assert_true(measure(&world) == 2);
            else {
                assert_non_null(strstr(error_text(&world.error), cases[i].words));
                assert_int_equal(clock_now_ms() - start_ms, cases[i].ms);
            }
            world_stop(&world);
        }
}

static void
a_master_of_an_older_epoch_is_not_believed_once_the_newer_ones_sentinel_is_gone(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, SENTINELS);
    names_master(&world, 0, 0, 8, 1);
    names_master(&world, 1, 0, 7, 0);
    connect_client(&world);
    stop_sentinel(&world, 0);
    fast_time_pass(RETRY_MS); /* they were connected to just now */
    assert_true(measure(&world) == 2);
    push(&world, 1, SWITCH); /* which names the other one again */
    assert_true(measure(&world) == 2);
    assert_int_equal(redis_peer_connections(&world.sentinels[1]), 2);
    world_stop(&world);
}

static void an_epoch_counts_with_its_address_only(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, SENTINELS);
    names_master(&world, 0, 1, 5, 0);
    add_line(&world, 0,
             (struct redis_line){"SENTINEL MASTER", epoch_reply(&world, 9), .connection = 2});
    add_line(&world, 0,
             (struct redis_line){"SENTINEL GET-MASTER-ADDR-BY-NAME",
                                 address_reply(&world, "no host", "1"), .connection = 2});
    names_master(&world, 1, 0, 7, 1);
    connect_client(&world);
    fast_time_pass(RETRY_MS);
    push(&world, 0, SWITCH);
    assert_true(measure(&world) == 2);
    assert_int_equal(redis_peer_connections(&world.sentinels[0]), 2);
    world_stop(&world);
}

/* ---- +switch-master ---- */

static void a_sentinel_is_asked_again_after_a_failover_of_its_master(void **state)
{
    static const struct {
        const char *message;
        size_t connections;
    } cases[] = {
        {SWITCH, 2},
        {MESSAGE("$36\r\nshop-eu 127.0.0.1 6379 127.0.0.1 808\r\n"), 1}, /* of another master */
        {MESSAGE("$4\r\nshop\r\n"), 1},
        {MESSAGE("$-1\r\n"), 1},
        {MESSAGE("*1\r\n$32\r\nshop 127.0.0.1 6379 127.0.0.1 81\r\n"), 1},
        {"*2\r\n$4\r\npong\r\n$0\r\n\r\n", 1},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct world world;
        world_init(&world, 1);
        names_master(&world, 0, 1, 1, 0);
        names_master(&world, 0, 2, 2, 1);
        connect_client(&world);
        assert_true(measure(&world) == 1);
        fast_time_pass(RETRY_MS);
        push(&world, 0, cases[i].message);
        assert_true(measure(&world) == (double)cases[i].connections);
        assert_int_equal(redis_peer_connections(&world.sentinels[0]), cases[i].connections);
        world_stop(&world);
    }
}

static void nothing_is_sent_to_the_former_master_while_the_sentinel_is_asked_again(void **state)
{
    enum { SLOW_MS = 700 };
    (void)state;
    struct world world;
    world_init(&world, 1);
    names_master(&world, 0, 1, 1, 0);
    add_line(&world, 0, (struct redis_line){"CLIENT SETNAME", "+OK\r\n", .wait_ms = SLOW_MS});
    world.sentinel_lines[0][2].connection = 2;
    names_master(&world, 0, 2, 2, 1);
    connect_client(&world);
    fast_time_pass(RETRY_MS);
    push(&world, 0, SWITCH);
    int64_t start_ms = clock_now_ms();
    assert_true(measure(&world) == 2);
    assert_int_equal(clock_now_ms() - start_ms, SLOW_MS);
    assert_int_equal(redis_peer_used(&world.masters[0], 1), 0);
    world_stop(&world);
}

static void the_former_master_is_measured_where_the_sentinel_does_not_answer_again(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 1);
    names_master(&world, 0, 1, 1, 0);
    is_silent(&world, 0, 2);
    connect_client(&world);
    fast_time_pass(RETRY_MS);
    push(&world, 0, SWITCH);
    int64_t start_ms = clock_now_ms();
    assert_true(measure(&world) == 1);
    assert_int_equal(clock_now_ms() - start_ms, CONNECT_MS);
    world_stop(&world);
}

/* Both are read at once where our thread comes to it late. */
static void a_failover_right_behind_the_reply_to_subscribe_is_noticed(void **state)
{
    static const char subscribed[] =
        "*3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n" SWITCH;
    (void)state;
    struct world world;
    world_init(&world, 1);
    names_master(&world, 0, 1, 1, 0);
    names_master(&world, 0, 2, 2, 1);
    add_line(&world, 0, (struct redis_line){"SUBSCRIBE", subscribed, .times = 1});
    connect_client(&world);
    assert_true(measure(&world) == 2);
    assert_int_equal(redis_peer_connections(&world.sentinels[0]), 2);
    assert_int_equal(redis_peer_used(&world.masters[0], 1), 0);
    world_stop(&world);
}

static void push_once(struct world *world)
{
    redis_peer_push(&world->sentinels[0], SWITCH);
    world->on_time = NULL;
}

static void what_is_in_flight_at_the_former_master_is_sent_to_the_new_one(void **state)
{
    enum { PUSHED_AFTER_MS = 1200 };
    (void)state;
    struct world world;
    world_init(&world, 1);
    names_master(&world, 0, 1, 1, 0);
    names_master(&world, 0, 2, 2, 1);
    is_busy(&world, 0, LONG_MS);
    connect_client(&world);
    int64_t start_ms = clock_now_ms();
    world.at_ms = start_ms + PUSHED_AFTER_MS;
    world.on_time = push_once;
    assert_true(measure(&world) == 2);
    assert_int_equal(clock_now_ms() - start_ms, PUSHED_AFTER_MS);
    assert_int_equal(redis_peer_used(&world.masters[0], 1), 1);
    world_stop(&world);
}

/* The second time it does so while nothing is in flight: nothing may be sent until it is known
 * which master is meant. */
static void a_master_that_hangs_up_during_a_failover_ends_no_client(void **state)
{
    enum { PUSHED_AFTER_MS = 50, HANGS_UP_AFTER_MS = 100, SLOW_MS = 700 };
    (void)state;
    struct world world;
    world_init(&world, 1);
    names_master(&world, 0, 1, 1, 0);
    add_line(&world, 0,
             (struct redis_line){"CLIENT SETNAME", "+OK\r\n", .wait_ms = SLOW_MS, .connection = 2});
    names_master(&world, 0, 2, 2, 1);
    world.master_lines[0][1].answer = NULL;
    world.master_lines[0][2] = (struct redis_line){.command = "PING",
                                                   .answer = "+PONG\r\n",
                                                   .wait_ms = HANGS_UP_AFTER_MS,
                                                   .hangs_up = true,
                                                   .connection = 2};
    connect_client(&world);
    fast_time_pass(RETRY_MS);
    int64_t start_ms = clock_now_ms();
    world.at_ms = start_ms + PUSHED_AFTER_MS;
    world.on_time = push_once;
    assert_true(measure(&world) == 2);
    assert_int_equal(clock_now_ms() - start_ms, PUSHED_AFTER_MS + SLOW_MS);
    assert_int_equal(redis_peer_connections(&world.masters[0]), 2);
    assert_int_equal(redis_peer_used(&world.masters[0], 1), 1);
    world_stop(&world);
}

/* The Sentinel names the one that is gone once more, while it finds out. */
static void the_successor_of_a_master_that_was_killed_is_read_soon(void **state)
{
    enum { PAUSE_MS = 100, SOON_MS = 2 * RETRY_MS };
    (void)state;
    struct world world;
    world_init(&world, 1);
    names_master(&world, 0, 1, 1, 0);
    names_master(&world, 0, 2, 1, 0);
    names_master(&world, 0, 0, 2, 1);
    connect_client(&world);
    assert_true(measure(&world) == 1);
    fast_time_pass(RETRY_MS);
    stop_master(&world, 0);
    int64_t start_ms = clock_now_ms();
    size_t failures = 0;
    while (run_feed(&world) && test_feed_task(world.feed, 0)->outcome == TASK_FAILED) {
        assert_in_range(clock_now_ms() - start_ms, 0, SOON_MS);
        fast_time_pass(PAUSE_MS);
        failures++;
    }
    assert_waiting(world.feed, 0, 2);
    assert_true(failures > 1);
    world_stop(&world);
}

/* +switch-master was missed, as where the Sentinel's connection was just being made again. */
static void sentinels_are_asked_as_soon_as_the_master_fails(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 1);
    names_master(&world, 0, 1, 1, 0);
    names_master(&world, 0, 0, 2, 1);
    connect_client(&world);
    assert_true(measure(&world) == 1);
    fast_time_pass(RETRY_MS);
    stop_master(&world, 0);
    assert_true(run_feed(&world));
    assert_ended(world.feed, 0, TASK_FAILED);
    int64_t start_ms = clock_now_ms();
    assert_true(measure(&world) == 2);
    assert_int_equal(clock_now_ms(), start_ms);
    world_stop(&world);
}

/* Then there is nobody to name another one. */
static void a_client_whose_master_and_sentinels_are_gone_is_of_no_use(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 1);
    names_master(&world, 0, 0, 1, 0);
    connect_client(&world);
    assert_true(measure(&world) == 1);
    stop_sentinel(&world, 0);
    stop_master(&world, 0);
    assert_false(run_feed(&world));
    world_stop(&world);
}

static void push_often(struct world *world)
{
    enum { INTERVAL_MS = 100 };
    redis_peer_push(&world->sentinels[0], SWITCH);
    world->at_ms += INTERVAL_MS;
}

static void a_sentinel_that_reports_failovers_without_end_is_asked_once_per_second(void **state)
{
    enum { SECONDS = 5 };
    (void)state;
    struct world world;
    world_init(&world, 1);
    names_master(&world, 0, 0, 1, 0);
    connect_client(&world);
    world.at_ms = clock_now_ms() + 50;
    world.on_time = push_often;
    measure_for(&world, 1000 * SECONDS + 10);
    assert_int_equal(redis_peer_connections(&world.sentinels[0]), 1 + SECONDS);
    world_stop(&world);
}

/* ---- SENTINEL REMOVE and MONITOR, which are no failover ---- */

static void another_master_is_found_within_a_minute_without_a_failover(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 1);
    names_master(&world, 0, 1, 5, 0);
    names_master(&world, 0, 0, 0, 1);
    replies_to_pings(&world, 0);
    connect_client(&world);
    fast_time_pass(REFRESH_MS - 1000);
    measure_for(&world, 500);
    assert_int_equal(redis_peer_connections(&world.sentinels[0]), 1);
    fast_time_pass(1000);
    assert_true(measure(&world) == 2);
    assert_int_equal(redis_peer_connections(&world.sentinels[0]), 2);
    world_stop(&world);
}

/* A failover is not waited for: it would have been reported. */
static void nothing_is_held_up_while_a_sentinel_is_asked_once_per_minute(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 1);
    names_master(&world, 0, 1, 5, 0);
    is_silent(&world, 0, 2);
    replies_to_pings(&world, 0);
    connect_client(&world);
    fast_time_pass(REFRESH_MS);
    measure_for(&world, CONNECT_MS - 1);
    assert_int_equal(redis_peer_connections(&world.sentinels[0]), 2);
    world_stop(&world);
}

static void a_sentinel_that_is_gone_for_minutes_no_longer_outvotes_the_others(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, SENTINELS);
    names_master(&world, 0, 0, 8, 0);
    names_master(&world, 1, 0, 0, 1);
    replies_to_pings(&world, 1);
    connect_client(&world);
    stop_sentinel(&world, 0);
    for (int64_t ms = 0; ms < SILENT_MS; ms += REFRESH_MS) {
        measure_for(&world, 100);
        fast_time_pass(REFRESH_MS);
    }
    assert_true(measure(&world) == 2);
    world_stop(&world);
}

/* They may be back, and nobody says anything else. */
static void sentinels_that_are_all_gone_are_believed(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 1);
    names_master(&world, 0, 0, 8, 0);
    connect_client(&world);
    stop_sentinel(&world, 0);
    fast_time_pass((int64_t)2 * SILENT_MS);
    assert_true(measure(&world) == 1);
    assert_true(measure(&world) == 1);
    world_stop(&world);
}

/* ---- whether it still works ---- */

static void a_sentinel_that_replies_to_no_ping_is_connected_to_again(void **state)
{
    (void)state;
    for (int replies = 0; replies <= 1; replies++) {
        struct world world;
        world_init(&world, 1);
        names_master(&world, 0, 0, 1, 0);
        if (replies)
            replies_to_pings(&world, 0);
        connect_client(&world);
        measure_for(&world, 2 * PING_MS - 1); /* one ping, whose reply has time up to the next */
        assert_int_equal(redis_peer_connections(&world.sentinels[0]), 1);
        measure_for(&world, 2);
        assert_int_equal(redis_peer_connections(&world.sentinels[0]), replies ? 1 : 2);
        world_stop(&world);
    }
}

static void a_sentinel_that_cannot_be_connected_to_is_tried_each_second(void **state)
{
    enum { SECONDS = 4 };
    (void)state;
    struct world world;
    world_init(&world, SENTINELS);
    add_line(&world, 0, (struct redis_line){"SENTINEL MASTER", NULL});
    names_master(&world, 1, 0, 1, 0);
    connect_client(&world);
    measure_for(&world, SECONDS * RETRY_MS + 1);
    assert_int_equal(redis_peer_connections(&world.sentinels[0]), 1 + SECONDS);
    assert_int_equal(redis_peer_connections(&world.sentinels[1]), 2); /* no pong after 2 pings */
    world_stop(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sentinel_with_the_newest_epoch_is_believed),
        cmocka_unit_test(a_silent_sentinel_is_waited_for_a_moment_only),
        cmocka_unit_test(what_is_no_answer_is_explained_and_another_sentinel_is_enough),
        cmocka_unit_test(
            a_master_of_an_older_epoch_is_not_believed_once_the_newer_ones_sentinel_is_gone),
        cmocka_unit_test(an_epoch_counts_with_its_address_only),
        cmocka_unit_test(a_sentinel_is_asked_again_after_a_failover_of_its_master),
        cmocka_unit_test(nothing_is_sent_to_the_former_master_while_the_sentinel_is_asked_again),
        cmocka_unit_test(the_former_master_is_measured_where_the_sentinel_does_not_answer_again),
        cmocka_unit_test(a_failover_right_behind_the_reply_to_subscribe_is_noticed),
        cmocka_unit_test(what_is_in_flight_at_the_former_master_is_sent_to_the_new_one),
        cmocka_unit_test(a_master_that_hangs_up_during_a_failover_ends_no_client),
        cmocka_unit_test(the_successor_of_a_master_that_was_killed_is_read_soon),
        cmocka_unit_test(sentinels_are_asked_as_soon_as_the_master_fails),
        cmocka_unit_test(a_client_whose_master_and_sentinels_are_gone_is_of_no_use),
        cmocka_unit_test(a_sentinel_that_reports_failovers_without_end_is_asked_once_per_second),
        cmocka_unit_test(another_master_is_found_within_a_minute_without_a_failover),
        cmocka_unit_test(nothing_is_held_up_while_a_sentinel_is_asked_once_per_minute),
        cmocka_unit_test(a_sentinel_that_is_gone_for_minutes_no_longer_outvotes_the_others),
        cmocka_unit_test(sentinels_that_are_all_gone_are_believed),
        cmocka_unit_test(a_sentinel_that_replies_to_no_ping_is_connected_to_again),
        cmocka_unit_test(a_sentinel_that_cannot_be_connected_to_is_tried_each_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
