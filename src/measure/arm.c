/*
 * Arming: idle queries whose first message somebody waits for, and the wakes of their sources.
 *
 *   idle     arm_at_ms has come -> measured with a waker -> armed, or asked each idle_interval_ms
 *   armed    a wake             -> measured at once, and alert
 *   alert    still idle         -> measured after 5 ms (and armed again), 10, 20 ... idle_interval_ms
 *
 * An alert query is measured again because a wake may come before its message is counted: NATS hands a
 * message to its subscribers before the stream has stored it. More wakes while it is alert hasten
 * nothing, so that one whose messages come and go below its activation costs no more than one that
 * is not armed.
 */
#include "measure/inside.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"

#include <stdlib.h>

enum {
    GATHER_MS = 10,     /* those that become idle together are armed together */
    FIRST_ALERT_MS = 5, /* then doubling */
};

/* A waker's context is the lane: it outlives its client, and a query may be freed at any time. */
static void wake(void *context, uint64_t id);

static bool can_arm(const struct query *query)
{
    return query->idle_watchers > 0 && !query->lane->slow &&
           query->connection->scaler->disarm != NULL;
}

void arm_idle(struct query *query)
{
    query->arm_at_ms = clock_now_ms() + GATHER_MS;
}

static void forget_waker(struct query *query)
{
    query->connection->tally->stats.armed_queries -= query->armed;
    HASH_DELETE(hh_armed, query->lane->armed, query);
    query->waker_id = 0;
    query->armed = false;
}

static void calm(struct query *query)
{
    query->woken = false;
    query->woken_again = false;
    query->alert_ms = 0;
}

void arm_drop(struct query *query)
{
    struct lane *lane = query->lane;
    calm(query);
    if (query->waker_id == 0)
        return;
    lane->disarms = memory_grow(lane->disarms, &lane->disarms_capacity, lane->disarms_count + 1,
                                sizeof(*lane->disarms));
    lane->disarms[lane->disarms_count++] = query->waker_id;
    forget_waker(query);
}

int64_t arm_due_ms(const struct query *query)
{
    if (query->woken)
        return 0;
    int64_t due = query->alert_ms > 0 ? query->alert_due_ms : CLOCK_NEVER;
    if (can_arm(query) && query->waker_id == 0 && query->arm_at_ms < due)
        due = query->arm_at_ms;
    return due;
}

static void plan_alert(struct query *query, int64_t now_ms)
{
    if (query->alert_ms >= query->idle_interval_ms && !query->woken_again) {
        calm(query);
        return;
    }
    query->alert_due_ms = now_ms + query->alert_ms;
    if (query->arm_at_ms < query->alert_due_ms)
        query->arm_at_ms = query->alert_due_ms;
    query->woken_again = false;
    query->alert_ms *= 2;
    if (query->alert_ms > query->idle_interval_ms)
        query->alert_ms = query->idle_interval_ms;
}

struct waker arm_take(struct query *query, int64_t now_ms)
{
    /* What was woken is likely to be active now, and only needs to be armed again if it is not. */
    bool wants =
        can_arm(query) && query->waker_id == 0 && !query->woken && query->arm_at_ms <= now_ms;
    if (query->woken || (query->alert_ms > 0 && query->alert_due_ms <= now_ms))
        plan_alert(query, now_ms);
    query->woken = false;
    if (!wants)
        return (struct waker){0};

    struct lane *lane = query->lane;
    query->waker_id = ++lane->wakers_made;
    HASH_ADD(hh_armed, lane->armed, waker_id, sizeof(query->waker_id), query);
    return (struct waker){.wake = wake, .context = lane, .id = query->waker_id};
}

static void tell_unarmed(struct query *query, const struct error *error)
{
    struct lane *lane = query->lane;
    query->connection->tally->stats.failed_arms++;
    if (!lane->told_unarmed)
        log_warning("%s: a query cannot be armed, and is asked each %lld ms while it is idle: %s",
                    query->connection->label, (long long)query->idle_interval_ms,
                    error_text(error));
    lane->told_unarmed = true;
}

void arm_conclude(struct query *query, const struct probe *probe)
{
    if (!probe_wants_arm(probe) || query->waker_id != probe->waker.id)
        return; /* woken or dropped meanwhile */
    if (probe->armed && query->idle_watchers > 0) {
        query->armed = true;
        query->connection->tally->stats.armed_queries++;
        return;
    }
    bool refused = error_is_set(&probe->arm_error);
    /* Somebody may give us the right meanwhile. */
    int64_t again_ms = query->connection->engine->settings.arm_again_ms;
    query->arm_at_ms = clock_now_ms() + (refused ? again_ms : query->idle_interval_ms);
    if (refused)
        tell_unarmed(query, &probe->arm_error);
    arm_drop(query); /* one that is overdue may be half armed */
}

void arm_forget_all(struct lane *lane)
{
    struct query *query;
    struct query *next;
    HASH_ITER(hh_armed, lane->armed, query, next)
    forget_waker(query);
    lane->disarms_count = 0;
}

static void wake_query(struct query *query)
{
    query->connection->tally->stats.wakes++;
    if (query->told_at_us == 0)
        query->told_at_us = clock_now_us();
    forget_waker(query);
    query->woken_again = query->alert_ms > 0;
    if (query->alert_ms > 0)
        return;
    query->woken = true;
    query->alert_ms = FIRST_ALERT_MS;
    if (query->alert_ms > query->idle_interval_ms)
        query->alert_ms = query->idle_interval_ms;
}

static void wake(void *context, uint64_t id)
{
    struct lane *lane = context;
    struct engine *engine = lane->connection->engine;
    struct query *query = NULL;
    pthread_mutex_lock(&engine->lock);
    HASH_FIND(hh_armed, lane->armed, &id, sizeof(id), query);
    if (query != NULL) {
        wake_query(query);
        lane_wake(lane);
    }
    pthread_mutex_unlock(&engine->lock);
}

void arm_wake_all(struct lane *lane)
{
    struct query *query;
    struct query *next;
    HASH_ITER(hh_armed, lane->armed, query, next)
    wake_query(query);
}

bool arm_disarm(struct lane *lane)
{
    if (lane->disarms_count == 0 || lane->client == NULL)
        return false;
    struct engine *engine = lane->connection->engine;
    _cleanup_(memory_free) uint64_t *disarms = TAKE(lane->disarms);
    size_t count = lane->disarms_count;
    lane->disarms_count = 0;
    lane->disarms_capacity = 0;

    pthread_mutex_unlock(&engine->lock);
    client_disarm(lane->client, disarms, count);
    pthread_mutex_lock(&engine->lock);
    return true;
}
