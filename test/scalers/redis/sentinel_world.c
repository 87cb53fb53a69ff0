#include "scalers/redis/sentinel_world.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "scalers/ended.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* Lists have as many elements as the number of their master says: 1 or 2. */
static const char *const lengths[MASTERS] = {":1\r\n", ":2\r\n"};

/* ---- what they reply ---- */

static const char *own(struct world *world, char *text)
{
    assert_true(world->texts_count < TEXTS);
    return world->texts[world->texts_count++] = text;
}

void add_line(struct world *world, size_t sentinel, struct redis_line line)
{
    struct redis_line *lines = world->sentinel_lines[sentinel];
    size_t count = 0;
    while (lines[count].command != NULL)
        count++;
    assert_true(count < LINES);
    lines[count] = line;
}

const char *epoch_reply(struct world *world, int epoch)
{
    _cleanup_(memory_free) char *number = text_format("%d", epoch);
    return own(world, text_format(
                          "*4\r\n$4\r\nname\r\n$4\r\nshop\r\n$12\r\nconfig-epoch\r\n$%zu\r\n%s\r\n",
                          strlen(number), number));
}

const char *address_reply(struct world *world, const char *host, const char *port)
{
    return own(world, text_format("*2\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n", strlen(host), host,
                                  strlen(port), port));
}

void names_master(struct world *world, size_t sentinel, size_t connection, int epoch, size_t master)
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

void replies_to_pings(struct world *world, size_t sentinel)
{
    add_line(world, sentinel, (struct redis_line){"PING", "*2\r\n$4\r\npong\r\n$0\r\n\r\n"});
}

void is_silent(struct world *world, size_t sentinel, size_t connection)
{
    add_line(
        world, sentinel,
        (struct redis_line){.command = "SENTINEL MASTER", .answer = "", .connection = connection});
}

void is_busy(struct world *world, size_t master, int ms)
{
    world->master_lines[master][1].wait_ms = ms;
}

/* ---- the world ---- */

static int64_t work(void *context)
{
    struct world *world = context;
    if (world->on_time != NULL && clock_now_ms() >= world->at_ms)
        world->on_time(world);
    return world->on_time == NULL ? CLOCK_NEVER : world->at_ms;
}

void world_init(struct world *world, size_t sentinels)
{
    *world = (struct world){.sentinels_count = sentinels, .time = {.work = work}};
    for (size_t i = 0; i < MASTERS; i++) {
        struct redis_line *lines = world->master_lines[i];
        lines[0] = (struct redis_line){"ROLE", MASTER};
        lines[1] = (struct redis_line){.command = "LLEN", .answer = lengths[i]};
        redis_peer_start(&world->masters[i], lines);
    }
    for (size_t i = 0; i < sentinels; i++)
        redis_peer_start(&world->sentinels[i], world->sentinel_lines[i]);
    world->time.context = world;
    fast_time_add(&world->time);
}

void stop_sentinel(struct world *world, size_t sentinel)
{
    redis_peer_stop(&world->sentinels[sentinel]);
    world->is_stopped[sentinel] = true;
}

void stop_master(struct world *world, size_t master)
{
    redis_peer_stop(&world->masters[master]);
    world->is_master_stopped[master] = true;
}

bool connects(struct world *world)
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

void connect_client(struct world *world)
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

bool run_feed(struct world *world)
{
    free_feed(world);
    world->feed = test_feed_new(&scaler_redis_sentinel);
    test_feed_add(world->feed, world->trigger.options.query, (struct notifier){0});
    test_feed_set_timeout(world->feed, LONG_MS);
    return test_feed_run(world->feed, world->client, LONG_MS, &world->error);
}

double measure(struct world *world)
{
    if (!run_feed(world))
        fail_msg("%s", error_text(&world->error));
    assert_ended(world->feed, 0, TASK_ANSWERED);
    return test_feed_task(world->feed, 0)->reading.waiting;
}

void measure_for(struct world *world, int ms)
{
    is_busy(world, 0, ms);
    int64_t start_ms = clock_now_ms();
    assert_true(measure(world) == 1);
    assert_int_equal(clock_now_ms() - start_ms, ms);
}

void world_stop(struct world *world)
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
    fast_time_remove(&world->time);
}

void push(struct world *world, size_t sentinel, const char *text)
{
    redis_peer_push(&world->sentinels[sentinel], text);
    fast_time_pass(1); /* it arrives */
}
