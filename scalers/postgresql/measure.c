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

/* A session that runs it alone is closed: the server notices, or stops the query at its limit. What
 * waits has not begun, and is not slow therefore; nor is what is stopped soon anyway. */
static void return_cancelled(struct postgresql_client *client, struct feed *feed)
{
    for (struct task *task; (task = feed_next_cancelled(feed)) != NULL;) {
        if (task->data == &client->quick || task->data == &client->slow) {
            postgresql_queue_remove(task->data, task);
            task_return(task, false);
            continue;
        }
        struct postgresql_session *session = task->data;
        size_t index = 0;
        while (postgresql_session_entry(session, index)->task != task)
            index++;
        struct postgresql_entry *entry = postgresql_session_entry(session, index);
        bool has_begun = index == 0 && session->begun_ms != 0;
        task_return(postgresql_session_take_task(session, entry), has_begun);
        if (entry->alone)
            postgresql_session_close(session,
                                     has_begun ? clock_now_ms() + POSTGRESQL_LINGER_MS : 0);
    }
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
        return_cancelled(client, feed);
        take_tasks(client, feed);
        usable = postgresql_sessions_adjust(client, feed, error);
        if (!usable || (count_tasks(client) == 0 && postgresql_sessions_are_idle(client)))
            break;
        usable = postgresql_sessions_wait(client, feed, error);
    }
    abandon_tasks(client);
    return usable;
}
