/* What a source is like, and how it changes its ways. */
#include "simulator/world.h"

#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>

struct item_options {
    int64_t item;
};

static const struct option options[] = {
    {.key = "item",
     .scope = OPTION_QUERY,
     .type = OPTION_INT,
     OPTION_FIELD(struct item_options, item)},
    {0},
};

int task_item(const struct task *task)
{
    return (int)((const struct item_options *)task->query)->item;
}

/* ---- values that say where they are from ---- */

enum { TIME_BITS = 36, ITEM_BITS = 13, MAX_LOAD = 7, LOAD_SHIFT = 1 + TIME_BITS + ITEM_BITS };

double token_of(const struct item *item, int64_t sent_us)
{
    uint64_t token = (uint64_t)item->number << TIME_BITS | (uint64_t)(sent_us / 1000);
    return (double)(random_number(MAX_LOAD + 1) << LOAD_SHIFT | token << 1 | item->is_active);
}

/* It is idle, and has no load. */
double token_of_lie(const struct item *item, int64_t sent_us)
{
    uint64_t token = (uint64_t)item->number << TIME_BITS | (uint64_t)(sent_us / 1000);
    return (double)(token << 1);
}

double token_load(double token)
{
    return (double)((uint64_t)token >> LOAD_SHIFT);
}

int token_item(double token)
{
    return (int)((uint64_t)token >> (TIME_BITS + 1) & ((1 << ITEM_BITS) - 1));
}

int64_t token_sent_ms(double token)
{
    return (int64_t)((uint64_t)token >> 1 & (((uint64_t)1 << TIME_BITS) - 1));
}

bool token_is_active(double token)
{
    return ((uint64_t)token & 1) != 0;
}

/* ---- making ---- */

static char *bundle(const void *connection_options, const void *query_options)
{
    const struct item_options *item = query_options;
    (void)connection_options;
    return text_format("%lld", (long long)item->item / 8);
}

void source_init(struct source *source, int index)
{
    static const size_t limits[] = {0, 0, 1, 2, 4, 8, 32};
    source->index = index;
    source->is_reachable = true;
    source->invalid_credentials = NONE_INVALID;
    source->slowdown = 1;
    source->latency_us =
        chance(80) ? 200 + (int64_t)random_number(20000) : (int64_t)random_number(400000);
    size_t max_tasks = limits[random_number(ARRAY_LENGTH(limits))];
    source->is_serial = max_tasks > 0 && chance(30);
    source->subscribes_when = (enum subscribe_when)random_number(SUBSCRIBE_TIMES);
    source->scaler = (struct scaler){
        .name = "simulated",
        .options = options,
        .sizes = {0, sizeof(struct item_options), 0},
        .bundle = chance(25) ? bundle : NULL,
        .bundle_costs_the_same = chance(50),
        .subscribes = chance(60),
        .zero_settles_ms = chance(50) ? 0 : 200 + (int64_t)random_number(1300),
        .timeout_ms = chance(60)   ? 0
                      : chance(50) ? 10000
                                   : 300,
        .max_tasks = max_tasks,
        .isolated = max_tasks / 4 > 0 ? max_tasks / 4
                    : max_tasks > 0   ? 1
                    : chance(50)      ? 0
                                      : 2,
    };
}

void source_start(struct source *source)
{
    for (int i = 0; i < source->items_count; i++) {
        struct item *item = &source->items[i];
        _cleanup_(memory_free) char *text = text_format("%d", i);
        const char *texts[] = {text};
        item->values = option_values_new(options, sizeof(struct item_options), OPTION_QUERY, texts);
        item->number = world.items_count++;
        item->is_active = chance(50);
        item->changed_ms = item->active_since_ms = now_ms();
        item->latency_us =
            source->latency_us / 2 + (int64_t)random_number((uint64_t)source->latency_us + 1);
        plan_in((int64_t)random_number(60000000), EVENT_CHANGE, source->index, i, 0);
    }
    source->disturbed_ms = now_ms();
    if (!world.is_calm)
        plan_in((int64_t)random_number(120000000), EVENT_DISTURB, source->index, 0, 0);
}

void source_done(struct source *source)
{
    for (int i = 0; i < source->items_count; i++)
        option_values_free(source->items[i].values);
    free(source->items);
}

/* ---- changes ---- */

static void send_notification(const struct source *source, struct client *client, uint64_t id)
{
    unsigned late = chance(90) ? 3000 : 4000000;
    if (source->loses_notifications && chance(50))
        return;
    plan_in((int64_t)random_number(late), EVENT_NOTIFY, client->index, 0, id);
    if (chance(5))
        plan_in((int64_t)random_number(10000), EVENT_NOTIFY, client->index, 0, id);
}

/* A subscription is for one notification. */
static void notify(struct source *source, int number)
{
    for (int i = 0; i < world.clients_count; i++) {
        struct client *client = world.clients[i];
        if (!client->is_used || client->source != source)
            continue;
        struct model *model = &client->models[number];
        for (int j = 0; j < model->subscriptions_count; j++)
            send_notification(source, client, model->subscriptions[j]);
        model->subscriptions_count = 0;
    }
}

void source_change(struct source *source, int number)
{
    struct item *item = &source->items[number];
    if (world.is_ending)
        return;
    bool was_active = item->is_active;
    item->is_active = chance(50);
    if (item->is_active && !was_active)
        item->active_since_ms = now_ms();
    if (item->is_active || chance(20)) /* messages that come and go notify, too */
        notify(source, number);
    trace("source %d: item %d is %s", source->index, item->number,
          item->is_active ? "active" : "idle");
    int64_t period_us = 2000000 + (int64_t)world.items_count * 20000;
    plan_in((int64_t)random_number((uint64_t)(chance(20) ? 20000 : period_us * 20)), EVENT_CHANGE,
            source->index, number, 0);
}

static void change_item(struct source *source)
{
    static const enum behaviour behaviours[] = {ANSWERS, ANSWERS, ANSWERS, SLOW,
                                                HANGS,   HANGS,   FAILS,   BREAKS};
    struct item *item = &source->items[random_number((uint64_t)source->items_count)];
    item->behaviour = behaviours[random_number(ARRAY_LENGTH(behaviours))];
    item->changed_ms = now_ms();
    item->latency_us =
        source->latency_us / 2 + (int64_t)random_number((uint64_t)source->latency_us + 1);
    if (item->behaviour == SLOW)
        item->latency_us = 1000000 + (int64_t)random_number(6000000);
    trace("source %d: item %d behaves %d", source->index, item->number, item->behaviour);
}

/* Silent deaths: the client finds out only when its next request is not answered, or when that is
 * refused. */
static void lose_clients(struct source *source)
{
    for (int i = 0; i < world.clients_count; i++) {
        struct client *client = world.clients[i];
        if (client->is_used && client->source == source)
            client_lose(client, chance(50));
    }
}

/* As after a restart, or an election: for less time than a 0 takes to settle. */
static void lie(struct source *source)
{
    int64_t settles_ms = source->scaler.zero_settles_ms;
    if (settles_ms == 0)
        return;
    source->lies_until_us =
        world.now_us + (int64_t)random_number((uint64_t)(settles_ms - 1) * 1000);
    source->lies++;
}

void source_disturb(struct source *source)
{
    if (world.is_ending)
        return;
    int64_t next_us = 60000000 + (int64_t)random_number(chance(30) ? 600000000 : 60000000);
    uint64_t what = random_number(12);
    if (what == 0) {
        source->is_reachable = !source->is_reachable;
        lose_clients(source);
        lie(source);
        next_us = (int64_t)random_number(60000000);
    } else if (what == 1) {
        source->hangs = !source->hangs;
        next_us = (int64_t)random_number(40000000);
    } else if (what == 2)
        source->slowdown = source->slowdown > 1 ? 1 : 1 + (int)random_number(200);
    else if (what == 3)
        source->refuses_subscriptions = chance(50);
    else if (what == 4)
        source->loses_notifications = chance(50);
    else if (what == 5)
        lose_clients(source);
    else if (what >= 10) { /* an election, or a restart */
        if (what == 11)
            lose_clients(source);
        lie(source);
        next_us = (int64_t)random_number(chance(50) ? 3000000 : 60000000);
    } else if (source->invalid_credentials != NONE_INVALID && chance(50))
        source->invalid_credentials = NONE_INVALID;
    else if (what == 6 && chance(60)) { /* everything works again, for longer than anything lasts */
        source->is_reachable = true;
        source->invalid_credentials = NONE_INVALID;
        source->hangs = source->loses_notifications = false;
        source->slowdown = 1;
        next_us = 600000000;
    } else
        change_item(source);
    source->disturbed_ms = now_ms();
    trace("source %d: reachable %d, hangs %d, slowdown %d", source->index, source->is_reachable,
          source->hangs, source->slowdown);
    plan_in(next_us, EVENT_DISTURB, source->index, 0, 0);
}
