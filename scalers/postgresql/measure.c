#include "postgresql/measure.h"

#include "base/clock.h"
#include "postgresql/client.h"
#include "postgresql/dispatch.h"
#include "postgresql/results.h"
#include "postgresql/sessions.h"

/* What is taken from the feed before it can be sent: slow ones, so that quick ones behind them are
 * not kept waiting, and few others, so that whoever waits in the feed longest is first. */
enum { MAX_SLOW_WAITING = 64, MAX_QUICK_WAITING = 8 };

static bool has_capacity(const struct postgresql_client *client)
{
    return client->slow.count < MAX_SLOW_WAITING && client->quick.count < MAX_QUICK_WAITING;
}

static size_t count_tasks(const struct postgresql_client *client)
{
    size_t count = client->quick.count + client->slow.count;
    for (size_t i = 0; i < client->max_sessions; i++)
        count += client->sessions[i].tasks;
    return count;
}

/* Without capacity the feed must have nothing to give, or waiting for it would not wait. */
static void set_max_tasks(struct postgresql_client *client, struct feed *feed)
{
    size_t max_tasks =
        has_capacity(client) ? POSTGRESQL_PIPELINE * client->max_sessions : count_tasks(client);
    size_t isolated = client->max_sessions / POSTGRESQL_ISOLATED_SHARE;
    feed_set_max_tasks(feed, max_tasks, isolated > 0 ? isolated : 1);
}

static void take_tasks(struct postgresql_client *client, struct feed *feed)
{
    bool is_empty = false;
    postgresql_dispatch(client);
    while (!is_empty && has_capacity(client)) {
        struct task *task = NULL;
        while (has_capacity(client) && (task = feed_take(feed)) != NULL)
            postgresql_dispatch_add(client, task);
        is_empty = task == NULL;
        postgresql_dispatch(client);
    }
    set_max_tasks(client, feed);
}

/* Their late answers are ignored. */
static void abandon_tasks(struct postgresql_client *client)
{
    for (size_t i = 0; i < client->max_sessions; i++)
        for (size_t j = 0; j < client->sessions[i].count; j++)
            postgresql_session_take_task(&client->sessions[i],
                                         postgresql_session_entry(&client->sessions[i], j));
    while (client->quick.count > 0)
        postgresql_queue_remove(&client->quick, client->quick.tasks);
    while (client->slow.count > 0)
        postgresql_queue_remove(&client->slow, client->slow.tasks);
}

bool postgresql_measure(void *opaque, struct feed *feed, struct error *error)
{
    struct postgresql_client *client = opaque;
    bool usable = true;
    while (usable && !feed_is_stopping(feed)) {
        take_tasks(client, feed);
        usable = postgresql_sessions_adjust(client, feed, error);
        if (!usable || (count_tasks(client) == 0 && postgresql_sessions_are_idle(client)))
            break;
        usable = postgresql_sessions_wait(client, feed, error);
    }
    abandon_tasks(client);
    return usable;
}
