/* Which idle queries are subscribed to, by which id. When one is, push.c decides. */
#include "measure/connection/connection_internal.h"

#include "base/memory.h"

static void forget(struct query *query)
{
    struct connection *connection = query->connection;
    if (query->subscription_id == 0)
        return;
    HASH_DELETE(hh_subscribed, connection->subscribed, query);
    connection->stats.counts.subscribed_queries -= query->is_subscribed;
    query->is_subscribed = false;
    query->subscription_id = 0;
}

void subscription_drop(struct query *query, uint64_t id)
{
    struct connection *connection = query->connection;
    if (id == 0)
        return;
    forget(query);
    connection->unsubscribes =
        memory_grow(connection->unsubscribes, &connection->unsubscribes_capacity,
                    connection->unsubscribes_count + 1, sizeof(*connection->unsubscribes));
    connection->unsubscribes[connection->unsubscribes_count++] = id;
}

/* The least interval counts; the triggers of one query hardly ever differ in it. */
void connection_set_idle(struct watcher *watcher, int64_t interval_ms, int64_t now_ms)
{
    struct query *query = watcher->query;
    struct push *push = &query->push;
    if (watcher->idle_interval_ms == interval_ms)
        return;
    query->idle_streams += (interval_ms > 0) - (watcher->idle_interval_ms > 0);
    watcher->idle_interval_ms = interval_ms;
    int64_t min_ms = interval_ms;
    if (push->idle_interval_ms > 0 && (interval_ms == 0 || push->idle_interval_ms < interval_ms))
        min_ms = push->idle_interval_ms;
    if (query->idle_streams == 0)
        min_ms = 0;
    subscription_drop(query,
                      push_set_idle(push, min_ms, query->connection->scaler->subscribes, now_ms));
    query_plan(query, now_ms);
}

void subscription_take(struct query *query, int64_t now_ms)
{
    struct connection *connection = query->connection;
    uint64_t id = connection->last_id + 1;
    query->task.notifier = connection->notifier;
    if (!push_take(&query->push, id, now_ms))
        return;
    connection->last_id = id;
    query->task.notifier.id = id;
    query->subscription_id = id;
    HASH_ADD(hh_subscribed, connection->subscribed, subscription_id, sizeof(id), query);
}

void subscription_end(struct query *query, int64_t now_ms)
{
    struct connection *connection = query->connection;
    const struct task *task = &query->task;
    if (task->notifier.id == 0 || query->subscription_id != task->notifier.id)
        return; /* it was notified of meanwhile, or nobody waits any more */
    bool is_refused = !task->is_subscribed && error_is_set(&task->subscribe_error);
    uint64_t ended =
        push_taken(&query->push, task->notifier.id, task->is_subscribed, is_refused, now_ms);
    subscription_drop(query, ended);
    if (ended == 0) {
        query->is_subscribed = true;
        connection->stats.counts.subscribed_queries++;
    }
    if (!is_refused)
        return;
    connection->stats.counts.failed_subscriptions++;
    if (!connection->has_warned_of_subscribing)
        connection_warn(connection, &task->subscribe_error,
                        "cannot subscribe to idle queries, which are polled instead");
    connection->has_warned_of_subscribing = true;
}

void connection_notify(struct connection *connection, uint64_t id, int64_t now_us)
{
    struct query *query = NULL;
    HASH_FIND(hh_subscribed, connection->subscribed, &id, sizeof(id), query);
    if (query == NULL)
        return;
    int64_t now_ms = now_us / 1000;
    connection->stats.counts.notifications++;
    if (query->notified_at_us == 0)
        query->notified_at_us = now_us;
    forget(query);
    query->outdated_from_us = now_us;
    query->known.is_outdated = true;
    bool was_alert = query->push.alert_ms > 0;
    push_notify(&query->push);
    /* An attempt in flight was sent before the message came. While the query is alert it is measured again and
     * again anyway. */
    if (!was_alert) {
        bool in_flight = query->job.state == JOB_IN_FLIGHT;
        int64_t from_ms = in_flight ? query->job.sent_ms + 1 : now_ms;
        schedule_want(&connection->schedule, &query->job, from_ms, now_ms);
    }
    query_plan(query, now_ms);
}

bool connection_next_unsubscribe(struct connection *connection, uint64_t *ret_id)
{
    if (connection->unsubscribes_count == 0 || connection->state != CONNECTED)
        return false;
    *ret_id = connection->unsubscribes[--connection->unsubscribes_count];
    return true;
}

void subscriptions_forget(struct connection *connection, int64_t now_ms)
{
    struct query *query;
    struct query *next;
    HASH_ITER(hh_subscribed, connection->subscribed, query, next)
    {
        forget(query);
        push_forget(&query->push, now_ms);
        query_plan(query, now_ms);
    }
    connection->unsubscribes_count = 0;
}
