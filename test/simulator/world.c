#include "simulator/world.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

struct world world;

static jmp_buf *escape; /* where a violation leads to, if not to the end of the process */
static char violation[1024];

/* ---- time and chance ---- */

static int64_t now_us(void)
{
    return world.now_us;
}

int64_t now_ms(void)
{
    return world.now_us / 1000;
}

/* splitmix64 */
uint64_t random_number(uint64_t below)
{
    uint64_t number = world.random += 0x9e3779b97f4a7c15U;
    number = (number ^ (number >> 30)) * 0xbf58476d1ce4e5b9U;
    number = (number ^ (number >> 27)) * 0x94d049bb133111ebU;
    return (number ^ (number >> 31)) % below;
}

bool chance(unsigned percent)
{
    return random_number(100) < percent;
}

static uint32_t jitter(uint32_t below)
{
    return (uint32_t)random_number(below);
}

void trace(const char *format, ...)
{
    va_list arguments;
    if (!world.trace)
        return;
    printf("%10llu %12.6f ", (unsigned long long)world.steps, (double)world.now_us / 1e6);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
}

void violated(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(violation, sizeof(violation), format, arguments);
    va_end(arguments);
    if (escape != NULL)
        longjmp(*escape, 1);
    printf("VIOLATED at %.6f s: %s\n", (double)world.now_us / 1e6, violation);
    printf("replay: simulator --seed %llu --worlds 1 --steps %llu --trace\n",
           (unsigned long long)world.seed, (unsigned long long)world.steps + 1);
    exit(1);
}

/* ---- events: a heap ---- */

static bool is_before(const struct event *one, const struct event *other)
{
    return one->at_us < other->at_us || (one->at_us == other->at_us && one->number < other->number);
}

void plan(int64_t at_us, enum event_kind kind, int who, int item, uint64_t id)
{
    struct event event = {at_us, world.events_made++, kind, who, item, id};
    world.events = memory_grow(world.events, &world.events_capacity, world.events_count + 1,
                               sizeof(*world.events));
    size_t position = world.events_count++;
    while (position > 0 && is_before(&event, &world.events[(position - 1) / 2])) {
        world.events[position] = world.events[(position - 1) / 2];
        position = (position - 1) / 2;
    }
    world.events[position] = event;
}

void plan_in(int64_t in_us, enum event_kind kind, int who, int item, uint64_t id)
{
    plan(world.now_us + in_us, kind, who, item, id);
}

static struct event take_event(void)
{
    struct event first = world.events[0];
    struct event last = world.events[--world.events_count];
    size_t position = 0;
    for (;;) {
        size_t child = 2 * position + 1;
        if (child + 1 < world.events_count &&
            is_before(&world.events[child + 1], &world.events[child]))
            child++;
        if (child >= world.events_count || !is_before(&world.events[child], &last))
            break;
        world.events[position] = world.events[child];
        position = child;
    }
    world.events[position] = last;
    return first;
}

/* ---- what happens ---- */

static struct client *client_at(const struct event *event)
{
    struct client *client = world.clients[event->who];
    return client->is_used ? client : NULL;
}

static void handle_request(const struct event *event)
{
    struct client *client = client_at(event);
    if (client == NULL)
        return;
    const struct model *model = &client->models[event->item];
    if (!model->in_flight || model->generation != event->id)
        return;
    if (event->kind == EVENT_REPLY)
        client_reply(client, event->item);
    else
        client_deadline(client, event->item);
}

static void handle_client(const struct event *event)
{
    struct client *client = client_at(event);
    if (client == NULL)
        return;
    if (event->kind == EVENT_CONNECTED && client->generation == event->id)
        client_connected(client);
    else if (event->kind == EVENT_NOTIFY)
        client_notify(client, event->id);
    else if (event->kind == EVENT_WORK && client->work_at_us == event->at_us) {
        client->work_at_us = INT64_MAX;
        client_work(client);
    }
}

/* The machine slept: nothing ran meanwhile. */
static void jump(void)
{
    static const int64_t longest_ms[] = {100, 3000, 20000, 600000, 3600000};
    if (world.is_ending)
        return;
    int64_t by_ms = 1 + (int64_t)random_number((uint64_t)longest_ms[random_number(5)]);
    trace("the clock jumps by %lld ms", (long long)by_ms);
    world.now_us += by_ms * 1000;
    world.jumped_ms = now_ms();
    plan_in((int64_t)random_number(600) * 1000000, EVENT_JUMP, 0, 0, 0);
}

static void handle(const struct event *event)
{
    switch (event->kind) {
    case EVENT_REPLY:
    case EVENT_DEADLINE:
        handle_request(event);
        break;
    case EVENT_WORK:
    case EVENT_CONNECTED:
    case EVENT_NOTIFY:
        handle_client(event);
        break;
    case EVENT_CHANGE:
        source_change(&world.sources[event->who], event->item);
        break;
    case EVENT_DISTURB:
        source_disturb(&world.sources[event->who]);
        break;
    case EVENT_POLL:
        user_poll(&world.users[event->who]);
        break;
    case EVENT_IS_ACTIVE:
        user_is_active(&world.users[event->who]);
        break;
    case EVENT_CALL_DUE:
        if (world.calls[event->who]->generation == event->id)
            call_due(world.calls[event->who]);
        break;
    case EVENT_STREAM:
        if (world.users[event->who].stream_generation == event->id)
            user_stream(&world.users[event->who]);
        break;
    case EVENT_READY:
        callers_take_news();
        break;
    case EVENT_RELOAD:
        callers_reload();
        break;
    case EVENT_JUMP:
        jump();
        break;
    case EVENT_FORGET:
        user_forget(&world.users[event->who]);
        break;
    case EVENT_KINDS:
        break;
    }
}

static void step(void)
{
    struct event event = take_event();
    if (event.at_us > world.now_us)
        world.now_us = event.at_us;
    world.steps++;
    handle(&event);
    if (world.is_observed)
        observers_run();
    if (world.clients_count > 0 && world.steps % 512 == 0) {
        struct client *client = world.clients[random_number((uint64_t)world.clients_count)];
        if (client->is_used)
            check_client(client);
    }
}

/* ---- a world ---- */

static void add_ready(void *context, struct watcher *watcher)
{
    (void)context;
    if (!watcher->is_ready) {
        watcher->is_ready = true;
        DL_APPEND2(world.ready, watcher, prev_ready, next_ready);
    }
    if (world.is_ready_planned)
        return;
    world.is_ready_planned = true;
    plan_in((int64_t)random_number(300), EVENT_READY, 0, 0, 0);
}

static int between(int min, int max)
{
    return min + (int)random_number((uint64_t)max - (uint64_t)min + 1);
}

static void forget(void *context, struct watcher *watcher)
{
    (void)context;
    if (watcher->is_ready)
        DL_DELETE2(world.ready, watcher, prev_ready, next_ready);
    watcher->is_ready = false;
}

/* Small worlds reach strange states sooner; large ones have the numbers. */
static void begin(uint64_t seed, bool traced)
{
    memset(&world, 0, sizeof(world));
    world.seed = world.random = seed;
    world.trace = traced;
    world.now_us = 1000000000 + (int64_t)random_number(1000000);
    world.jumped_ms = now_ms();
    world.is_calm = chance(15);
    world.busy_percent = chance(30) ? 100 : chance(50) ? 30 : 3;
    world.settings =
        (struct connection_settings){.interval_ms = STANDARD_INTERVAL_MS,
                                     .timeout_ms = 2000,
                                     .idle_requests = 250,
                                     .backoff = {.min_ms = 250, .max_ms = 5000, .jitter = jitter},
                                     .now_us = now_us,
                                     .at_a_time = 1,
                                     .hooks.wake_poller = client_wake_for,
                                     .hooks.yield_lock = client_pause,
                                     .hooks.watcher_ready = add_ready,
                                     .hooks.watcher_not_ready = forget};
    int size = chance(70) ? between(1, 12) : chance(80) ? between(20, 200) : between(1000, 3000);
    world.sources_count = between(1, size > 100 ? 4 : 3);
    world.sources = memory_array((size_t)world.sources_count, sizeof(*world.sources));
    for (int i = 0; i < world.sources_count; i++)
        source_init(&world.sources[i], i);
    for (int i = 0; i < world.sources_count; i++) {
        struct source *source = &world.sources[i];
        source->items_count = 1 + size / world.sources_count;
        source->items = memory_array((size_t)source->items_count, sizeof(*source->items));
        source_start(source);
    }
    world.users_count = size + between(0, size);
    world.users = memory_array((size_t)world.users_count, sizeof(*world.users));
    for (int i = 0; i < world.users_count; i++) {
        user_init(&world.users[i], i);
        user_start(&world.users[i]);
    }
    if (!world.is_calm && chance(30))
        plan_in((int64_t)random_number(600) * 1000000, EVENT_JUMP, 0, 0, 0);
    if (chance(30))
        plan_in((int64_t)random_number(300) * 1000000, EVENT_RELOAD, 0, 0, 0);
}

/* Everybody leaves, and what is under way ends. */
static void end(void)
{
    world.is_ending = true;
    for (int i = 0; i < world.users_count; i++)
        user_leave(&world.users[i]);
    uint64_t max_steps = world.steps + 100 * (uint64_t)world.events_count + 100000;
    while (world.events_count > 0 && world.steps < max_steps)
        step();
    for (int i = 0; i < world.clients_count; i++) {
        if (world.clients[i]->is_used)
            violated("a connection is left that nobody uses");
        client_free(world.clients[i]);
    }
    calls_free();
    for (int i = 0; i < world.users_count; i++) {
        trigger_answers_done(&world.users[i].trigger);
        trigger_policy_free(world.users[i].policy);
        free(world.users[i].answered);
    }
    for (int i = 0; i < world.sources_count; i++)
        source_done(&world.sources[i]);
    free(world.clients);
    free(world.users);
    free(world.sources);
    free(world.events);
}

static uint64_t run(uint64_t seed, uint64_t max_steps, bool traced, bool is_observed)
{
    begin(seed, traced);
    world.is_observed = is_observed;
    while (world.events_count > 0 && world.steps < max_steps)
        step();
    end();
    return world.answers;
}

uint64_t world_run(uint64_t seed, uint64_t max_steps, bool traced)
{
    enum { COMPARED = 8 };
    bool is_compared = seed % COMPARED == 0;
    uint64_t unobserved = is_compared ? run(seed, max_steps, false, false) : 0;
    uint64_t observed = run(seed, max_steps, traced, true);
    if (is_compared && observed != unobserved)
        violated("observers change what KEDA is answered");
    return world.steps;
}

const char *world_try(uint64_t seed, uint64_t max_steps)
{
    jmp_buf here;
    escape = &here;
    if (setjmp(here) == 0) {
        world_run(seed, max_steps, false);
        violation[0] = '\0';
    }
    escape = NULL;
    return violation[0] == '\0' ? NULL : violation;
}
