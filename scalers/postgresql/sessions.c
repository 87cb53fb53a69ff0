#include "postgresql/sessions.h"

#include "base/clock.h"
#include "postgresql/results.h"

#include <poll.h>
#include <sys/param.h>
#include <utlist.h>

enum {
    NEED_MS = 100, /* tasks that wait longer than this need another session */
    IDLE_MS = 10 * 1000,
    CONNECT_MS = 3 * 1000,
    LATE_MS = 1000,  /* for BEGIN, while there are other sessions */
    GRACE_MS = 1000, /* for the server to confirm that it has stopped a query */
    MIN_BACKOFF_MS = 5 * 1000,
    MAX_BACKOFF_MS = 60 * 1000,
};

static bool is_open(const struct postgresql_session *session)
{
    return session->state != POSTGRESQL_CLOSED;
}

static size_t count_open(const struct postgresql_client *client)
{
    return client->max_sessions - postgresql_client_count(client, POSTGRESQL_CLOSED);
}

/* ---- opening and closing ---- */

static struct postgresql_session *find_closed(struct postgresql_client *client, int64_t now_ms)
{
    for (size_t i = 0; i < client->max_sessions; i++)
        if (!is_open(&client->sessions[i]) && client->sessions[i].since_ms <= now_ms)
            return &client->sessions[i];
    return NULL;
}

/* Since when the longest has been waiting; CLOCK_NEVER: none waits. */
static int64_t waiting_since_ms(const struct postgresql_client *client)
{
    int64_t quick_ms = client->quick.count > 0 ? client->quick.tasks->queued_ms : CLOCK_NEVER;
    int64_t slow_ms = client->slow.count > 0 ? client->slow.tasks->queued_ms : CLOCK_NEVER;
    return clock_earlier(quick_ms, slow_ms);
}

/* One at a time. In place of the only one, too, not before a task waits: a session that nobody goes
 * on to open keeps a server from shutting down. */
static bool needs_another(const struct postgresql_client *client, struct feed *feed, int64_t now_ms)
{
    size_t ready = postgresql_client_count(client, POSTGRESQL_READY);
    if (count_open(client) > ready || (ready > 0 && now_ms < client->retry_ms))
        return false;
    int64_t since_ms = waiting_since_ms(client);
    if (ready == 0)
        return since_ms != CLOCK_NEVER;
    return (since_ms != CLOCK_NEVER && now_ms - since_ms >= NEED_MS) ||
           (ready < client->max_sessions && feed_delay_ms(feed) > NEED_MS);
}

static void close_idle(struct postgresql_client *client, int64_t now_ms)
{
    for (size_t i = client->max_sessions; i-- > 0 && count_open(client) > 1;) {
        struct postgresql_session *session = &client->sessions[i];
        if (session->state != POSTGRESQL_READY || session->count > 0 ||
            now_ms - session->since_ms < IDLE_MS)
            continue;
        postgresql_session_close(session, now_ms);
        client->backoff_ms = 0; /* it was good */
    }
}

bool postgresql_sessions_adjust(struct postgresql_client *client, struct feed *feed,
                                struct error *error)
{
    int64_t now_ms = clock_now_ms();
    close_idle(client, now_ms);
    struct postgresql_session *session = find_closed(client, now_ms);
    if (session == NULL || !needs_another(client, feed, now_ms))
        return true;
    return postgresql_client_open(client, session, error);
}

bool postgresql_sessions_are_idle(const struct postgresql_client *client)
{
    for (size_t i = 0; i < client->max_sessions; i++)
        if (client->sessions[i].count > 0 || client->sessions[i].state == POSTGRESQL_CONNECTING)
            return false;
    return count_open(client) <= 1;
}

static void back_off(struct postgresql_client *client)
{
    client->backoff_ms =
        client->backoff_ms == 0 ? MIN_BACKOFF_MS : MIN(2 * client->backoff_ms, MAX_BACKOFF_MS);
    client->retry_ms = clock_now_ms() + client->backoff_ms;
}

static void return_tasks(struct postgresql_session *session)
{
    for (size_t i = 0; i < session->count; i++) {
        struct task *task =
            postgresql_session_take_task(session, postgresql_session_entry(session, i));
        if (task != NULL)
            task_return(task, false);
    }
}

/* ---- what goes wrong with one ---- */

/* Its connection failed or was closed. The query that it was running may be the cause and fails;
 * the others go to another session. Where there is none and none was running, all fail. */
static bool drop_broken(struct postgresql_client *client, struct postgresql_session *session,
                        struct error *error)
{
    bool is_running = session->state == POSTGRESQL_READY && session->begun_ms != 0;
    postgresql_client_broken(client, session, error);
    if (count_open(client) == 1 && !is_running)
        return false;
    if (session->state != POSTGRESQL_READY)
        back_off(client);
    else if (is_running) {
        struct task *task =
            postgresql_session_take_task(session, postgresql_session_entry(session, 0));
        if (task != NULL)
            task_fail(task, error);
    }
    return_tasks(session);
    postgresql_session_close(session, 0);
    error_done(error);
    return true;
}

static void return_waiting(struct postgresql_queue *queue)
{
    while (queue->count > 0) {
        struct task *task = queue->tasks;
        postgresql_queue_remove(queue, task);
        task_return(task, false);
    }
}

/* It does not begin: connecting, or BEGIN, takes too long. Nothing of it is a query's fault. */
static bool drop_late(struct postgresql_client *client, struct postgresql_session *session,
                      struct error *error)
{
    return_tasks(session);
    if (count_open(client) == 1) {
        return_waiting(&client->quick);
        return_waiting(&client->slow);
        return postgresql_client_silent(client, error);
    }
    postgresql_session_close(session, 0);
    back_off(client);
    return true;
}

/* A query runs, and the server did not stop it at its limit. */
static void drop_hanging(struct postgresql_session *session)
{
    struct postgresql_entry *entry = postgresql_session_entry(session, 0);
    struct task *task = postgresql_session_take_task(session, entry);
    if (task != NULL && entry->limit_ms >= task->timeout_ms)
        task_time_out(task);
    else if (task != NULL)
        task_return(task, true);
    return_tasks(session);
    postgresql_session_close(session, clock_now_ms() + POSTGRESQL_LINGER_MS);
}

/* ---- waiting ---- */

static int64_t begin_within_ms(const struct postgresql_client *client,
                               const struct postgresql_session *session)
{
    const struct postgresql_entry *entry = postgresql_session_entry(session, 0);
    if (postgresql_client_count(client, POSTGRESQL_READY) > (session->state == POSTGRESQL_READY))
        return LATE_MS;
    return entry->task == NULL ? CONNECT_MS : entry->task->timeout_ms;
}

/* When the session is late; CLOCK_NEVER: never. */
static int64_t deadline_of(const struct postgresql_client *client,
                           const struct postgresql_session *session)
{
    if (!is_open(session) || (session->state == POSTGRESQL_READY && session->count == 0))
        return CLOCK_NEVER;
    if (session->state == POSTGRESQL_CONNECTING)
        return session->since_ms + CONNECT_MS;
    if (session->begun_ms == 0)
        return session->since_ms + begin_within_ms(client, session);
    return session->begun_ms + postgresql_session_entry(session, 0)->limit_ms + GRACE_MS;
}

/* When something is to be done even if nothing is received: a session is late, another is needed,
 * or one is to be closed. */
static int64_t next_ms(const struct postgresql_client *client)
{
    int64_t next = CLOCK_NEVER;
    size_t open = count_open(client);
    int64_t since_ms = waiting_since_ms(client);
    for (size_t i = 0; i < client->max_sessions; i++) {
        const struct postgresql_session *session = &client->sessions[i];
        next = clock_earlier(next, deadline_of(client, session));
        if (session->state == POSTGRESQL_READY && session->count == 0 && open > 1)
            next = clock_earlier(next, session->since_ms + IDLE_MS);
        else if (!is_open(session) && open == 0)
            next = clock_earlier(next, session->since_ms);
        else if (!is_open(session) && since_ms != CLOCK_NEVER &&
                 open == postgresql_client_count(client, POSTGRESQL_READY)) {
            int64_t needed_ms = since_ms + NEED_MS;
            if (needed_ms < client->retry_ms)
                needed_ms = client->retry_ms;
            next =
                clock_earlier(next, needed_ms < session->since_ms ? session->since_ms : needed_ms);
        }
    }
    return next;
}

static bool take_events(struct postgresql_client *client, struct postgresql_session *session,
                        short events, struct error *error)
{
    bool lives = true;
    if (session->state == POSTGRESQL_CONNECTING)
        lives = events == 0 || postgresql_session_advance(session);
    else if (is_open(session))
        lives = postgresql_session_flush(session) &&
                (events == 0 || postgresql_results_take(client, session));
    if (!lives)
        return drop_broken(client, session, error);

    if (deadline_of(client, session) > clock_now_ms())
        return true;
    if (session->state == POSTGRESQL_READY && session->begun_ms != 0) {
        drop_hanging(session);
        return true;
    }
    return drop_late(client, session, error);
}

bool postgresql_sessions_wait(struct postgresql_client *client, struct feed *feed,
                              struct error *error)
{
    struct pollfd sockets[POSTGRESQL_MAX_SESSIONS];
    struct postgresql_session *sessions[POSTGRESQL_MAX_SESSIONS];
    size_t count = 0;
    for (size_t i = 0; i < client->max_sessions; i++) {
        struct postgresql_session *session = &client->sessions[i];
        if (!is_open(session))
            continue;
        if (session->state != POSTGRESQL_CONNECTING && !postgresql_session_flush(session)) {
            if (!drop_broken(client, session, error))
                return false;
            continue;
        }
        sessions[count] = session;
        sockets[count++] = (struct pollfd){.fd = PQsocket(session->connection),
                                           .events = postgresql_session_events(session)};
    }
    feed_wait(feed, sockets, count, next_ms(client));
    for (size_t i = 0; i < count; i++)
        if (!take_events(client, sessions[i], sockets[i].revents, error))
            return false;
    return true;
}
