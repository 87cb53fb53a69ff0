#include "measure/connection/push.h"

#include "base/clock.h"

#include <sys/param.h>

static void end_alert(struct push *push)
{
    push->is_notified = false;
    push->is_notified_again = false;
    push->alert_ms = 0;
}

static uint64_t drop_subscription(struct push *push)
{
    uint64_t id = push->id;
    push->id = 0;
    return id;
}

uint64_t push_set_idle(struct push *push, int64_t interval_ms, bool can_subscribe, int64_t now_ms)
{
    bool was_idle = push->idle_interval_ms > 0;
    push->idle_interval_ms = interval_ms;
    push->can_subscribe = can_subscribe;
    if (interval_ms == 0) {
        end_alert(push);
        return drop_subscription(push);
    }
    if (!was_idle) {
        push->subscribe_at_ms = now_ms + PUSH_GATHER_MS;
        push->resubscribe_ms = 0;
    }
    if (push->alert_ms > interval_ms) {
        push->alert_ms = interval_ms;
        push->alert_due_ms = MIN(push->alert_due_ms, now_ms + interval_ms);
    }
    return 0;
}

/* A round trip wakes a broker up, which may cost it more than the requests: so where there are many
 * these come in rounds, the longer the more there are. */
static int64_t round_ms(int64_t interval_ms, int64_t spacing_ms)
{
    enum { MOST_MS = 1000, ROUNDS = 16 }; /* per spacing, at least */
    int64_t round_ms = interval_ms / 2;
    while (round_ms > 0 && 2 * round_ms <= MOST_MS && ROUNDS * (2 * round_ms) <= spacing_ms)
        round_ms *= 2;
    return round_ms;
}

static int64_t polled_ms(const struct push *push, int64_t sent_ms, int64_t spacing_ms)
{
    int64_t interval_ms = push->idle_interval_ms;
    int64_t round = round_ms(interval_ms, spacing_ms);
    if (sent_ms == INT64_MIN)
        return 0;
    if (spacing_ms <= interval_ms || round == 0)
        return sent_ms + interval_ms;
    int64_t latest_ms = sent_ms + (spacing_ms + round - 1) / round * round;
    return latest_ms - latest_ms % round;
}

int64_t push_due_ms(const struct push *push, int64_t sent_ms, int64_t spacing_ms)
{
    if (push->idle_interval_ms == 0)
        return CLOCK_NEVER;
    if (push->is_notified)
        return 0;
    if (push->alert_ms > 0)
        return push->alert_due_ms;
    if (push->id != 0)
        return CLOCK_NEVER;
    int64_t due_ms = polled_ms(push, sent_ms, spacing_ms);
    return push->can_subscribe ? clock_earlier(due_ms, push->subscribe_at_ms) : due_ms;
}

static void plan_next_alert(struct push *push, int64_t now_ms)
{
    if (push->alert_ms >= push->idle_interval_ms && !push->is_notified_again) {
        end_alert(push);
        return;
    }
    push->alert_due_ms = now_ms + push->alert_ms;
    if (push->subscribe_at_ms < push->alert_due_ms)
        push->subscribe_at_ms = push->alert_due_ms; /* that measurement subscribes: no other does */
    push->is_notified_again = false;
    push->alert_ms = MIN(push->alert_ms * 2, push->idle_interval_ms);
}

bool push_sent(struct push *push, uint64_t id, int64_t now_ms)
{
    /* A query with a notification is likely to be active now. If it is not, the next measurement
     * subscribes. */
    bool subscribes = push->idle_interval_ms > 0 && push->can_subscribe && push->id == 0 &&
                      !push->is_notified && push->subscribe_at_ms <= now_ms;
    if (push->is_notified || (push->alert_ms > 0 && push->alert_due_ms <= now_ms))
        plan_next_alert(push, now_ms);
    push->is_notified = false;
    if (subscribes)
        push->id = id;
    return subscribes;
}

uint64_t push_measured(struct push *push, uint64_t id, enum push_result result, int64_t spacing_ms,
                       int64_t now_ms)
{
    if (push->id != id) /* a notification came, or no stream waits any more */
        return 0;
    if (result == PUSH_SUBSCRIBED || result == PUSH_REFUSED)
        push->resubscribe_ms = 0;
    else if (result == PUSH_UNCONFIRMED)
        push->resubscribe_ms = MIN(MAX(2 * push->resubscribe_ms, push->idle_interval_ms),
                                   MAX(spacing_ms, push->idle_interval_ms));
    if (result == PUSH_SUBSCRIBED)
        return 0;
    push->subscribe_at_ms =
        now_ms + (result == PUSH_REFUSED ? PUSH_REFUSED_MS : push->resubscribe_ms);
    return drop_subscription(push); /* the source may have it all the same, as after a time-out */
}

void push_notify(struct push *push)
{
    drop_subscription(push);
    push->is_notified_again = push->alert_ms > 0;
    if (push->alert_ms > 0)
        return;
    push->is_notified = true;
    push->alert_ms = MIN(PUSH_FIRST_ALERT_MS, push->idle_interval_ms);
}

void push_forget(struct push *push, int64_t now_ms)
{
    if (push->id == 0)
        return;
    drop_subscription(push);
    push->subscribe_at_ms = now_ms;
}
