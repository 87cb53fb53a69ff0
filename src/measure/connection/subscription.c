#include "measure/connection/subscription.h"

#include "base/memory.h"

static void remove_id(struct query *query, uint64_t id)
{
    struct connection *connection = query->connection;
    subscription_table_remove(&connection->subscribed, id);
    connection->stats.counts[COUNT_SUBSCRIBED_QUERIES] -= query->is_subscribed;
    query->is_subscribed = false;
}

/* Queues the id for the scaler, which ends the subscription if there is one with this id. */
static void queue_unsubscribe(struct connection *connection, uint64_t id)
{
    connection->unsubscribes =
        memory_grow(connection->unsubscribes, &connection->unsubscribes_capacity,
                    connection->unsubscribes_count + 1, sizeof(*connection->unsubscribes));
    connection->unsubscribes[connection->unsubscribes_count++] = id;
}

/* `id` 0: there is none. */
static void end_subscription(struct query *query, uint64_t id)
{
    if (id == 0)
        return;
    remove_id(query, id);
    queue_unsubscribe(query->connection, id);
}

bool subscription_set_idle(struct query *query, int64_t former_ms, int64_t interval_ms,
                           int64_t now_ms)
{
    struct interval_set *intervals = &query->idle_intervals;
    if (interval_ms > 0)
        interval_set_add(intervals, interval_ms);
    if (former_ms > 0)
        interval_set_remove(intervals, former_ms);
    int64_t min_ms = intervals->count == 0 ? 0 : interval_set_shortest_ms(intervals);
    if (min_ms == query->push.idle_interval_ms)
        return false;
    query->connection->idle_queries += (min_ms > 0) - (query->push.idle_interval_ms > 0);
    bool can_subscribe = query->connection->scaler->subscribes;
    end_subscription(query, push_set_idle(&query->push, min_ms, can_subscribe, now_ms));
    return true;
}

void subscription_drop(struct query *query)
{
    query->connection->idle_queries -= query->push.idle_interval_ms > 0;
    end_subscription(query, push_set_idle(&query->push, 0, false, 0));
}

int64_t subscription_spacing_ms(const struct connection *connection)
{
    size_t polled = connection->idle_queries - connection->subscribed.used;
    return (int64_t)polled * 1000 / connection->settings->idle_requests;
}

void subscription_sent(struct query *query, int64_t now_ms)
{
    struct connection *connection = query->connection;
    uint64_t id = subscription_table_next_id(&connection->subscribed);
    query->task.notifier.id = 0;
    if (!push_sent(&query->push, id, now_ms))
        return;
    query->task.notifier.id = id;
    subscription_table_add(&connection->subscribed, query);
}

static enum push_result result_of(const struct task *task, enum task_outcome outcome)
{
    if (task->is_subscribed)
        return PUSH_SUBSCRIBED;
    if (error_is_set(&task->subscribe_error))
        return PUSH_REFUSED;
    return outcome == TASK_RETURNED || outcome == TASK_ISOLATED ? PUSH_RETURNED : PUSH_UNCONFIRMED;
}

void subscription_measured(struct query *query, enum task_outcome outcome, int64_t now_ms)
{
    struct connection *connection = query->connection;
    const struct task *task = &query->task;
    if (task->notifier.id == 0)
        return;
    /* A notification came, or no stream waits any more. But the scaler may have
     * subscribed after that: Kafka's does when it answers, and others do when a place is free. */
    if (query->push.id != task->notifier.id) {
        queue_unsubscribe(connection, task->notifier.id);
        return;
    }
    enum push_result result = result_of(task, outcome);
    uint64_t ended = push_measured(&query->push, task->notifier.id, result,
                                   subscription_spacing_ms(connection), now_ms);
    end_subscription(query, ended);
    if (ended == 0) {
        query->is_subscribed = true;
        connection->stats.counts[COUNT_SUBSCRIBED_QUERIES]++;
    }
    if (result != PUSH_REFUSED)
        return;
    connection->stats.counts[COUNT_FAILED_SUBSCRIPTIONS]++;
    if (!connection->has_warned_of_subscribing)
        naming_warn(&connection->naming, &task->subscribe_error,
                    "cannot subscribe to idle queries, which are polled instead");
    connection->has_warned_of_subscribing = true;
}

struct query *subscription_take_ended(struct connection *connection, uint64_t id)
{
    struct query *query = subscription_table_find(&connection->subscribed, id);
    if (query != NULL)
        remove_id(query, id);
    return query;
}

void subscription_forget(struct query *query, int64_t now_ms)
{
    remove_id(query, query->push.id);
    push_forget(&query->push, now_ms);
}
