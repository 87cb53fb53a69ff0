#include "postgresql/dispatch.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "postgresql/options.h"

#include <string.h>
#include <utlist.h>

/* What a session may have in flight of queries that are known to be quick, so that what comes next
 * is not kept waiting for longer. */
enum { MAX_LOAD_MS = 200 };

/* What a session may have in flight where the server does not read it: libpq keeps each query, and
 * a buffer of them that grows to twice its size. */
enum { MAX_BYTES = 256 << 10 };

void postgresql_dispatch_add(struct postgresql_client *client, struct task *task)
{
    const struct postgresql_query *query = task->query;
    if (query->timeout_ms > 0)
        task->timeout_ms = query->timeout_ms;
    bool is_slow = task->isolate || task->last_duration_ms >= POSTGRESQL_QUICK_MS;
    postgresql_queue_add(is_slow ? &client->slow : &client->quick, task);
}

static bool is_reserved(const struct postgresql_session *const *reserved, size_t count,
                        const struct postgresql_session *session)
{
    for (size_t i = 0; i < count; i++)
        if (reserved[i] == session)
            return true;
    return false;
}

/* A line break before the parenthesis: the query may end with a comment. */
static void add_subquery(struct text *statement, const char *query)
{
    if (query == NULL)
        return;
    size_t length = strlen(query);
    while (length > 0 && strchr("; \t\r\n\f\v", query[length - 1]) != NULL)
        length--;
    text_addf(statement, "%s(\n%.*s\n)", statement->length == 0 ? "SELECT " : ", ", (int)length,
              query);
}

/* What measures all that the query asks for, a column for each. The caller frees it. */
static char *statement_of(const struct postgresql_query *query)
{
    struct text statement = {0};
    if (query->in_flight_query == NULL && query->arrival_query == NULL &&
        query->consumption_query == NULL)
        return text_copy(query->query);
    add_subquery(&statement, query->query);
    add_subquery(&statement, query->in_flight_query);
    add_subquery(&statement, query->arrival_query);
    add_subquery(&statement, query->consumption_query);
    return text_take(&statement);
}

static void send_to(struct postgresql_client *client, struct postgresql_session *session,
                    struct postgresql_queue *queue)
{
    bool alone = queue == &client->slow;
    struct task *task = queue->tasks;
    const struct postgresql_query *query = task->query;
    int64_t limit_ms = task->timeout_ms;
    if (!alone && limit_ms > POSTGRESQL_QUICK_LIMIT_MS)
        limit_ms = POSTGRESQL_QUICK_LIMIT_MS;
    const struct postgresql_entry entry = {.task = task,
                                           .limit_ms = limit_ms,
                                           .last_duration_ms = task->last_duration_ms,
                                           .alone = alone,
                                           .watches_client = alone && client->watches_client};
    postgresql_queue_remove(queue, task);
    task->data = session;
    _cleanup_(memory_free) char *statement = statement_of(query);
    postgresql_session_send(session, statement, &entry);
}

/* Slow ones run on idle sessions. While quick ones wait, one session is left to them; where there
 * is only one, they take turns. Returns how many sessions were reserved: they are to become idle
 * for those that are left. */
static size_t dispatch_slow(struct postgresql_client *client,
                            const struct postgresql_session **ret_reserved)
{
    size_t ready = postgresql_client_count(client, POSTGRESQL_READY);
    bool quick_wait = client->quick.count > 0;
    size_t allowed = quick_wait && ready > 1 ? ready - 1 : ready;
    if (quick_wait && ready == 1 && client->is_turn_of_quick)
        return 0;

    size_t reserved = 0;
    size_t wanted = client->slow.count;
    for (size_t i = 0; i < client->max_sessions; i++)
        allowed -= client->sessions[i].runs_alone && allowed > 0;
    for (size_t i = 0; i < client->max_sessions && allowed > 0 && wanted > 0; i++) {
        struct postgresql_session *session = &client->sessions[i];
        if (session->state != POSTGRESQL_READY || session->count > 0)
            continue;
        send_to(client, session, &client->slow);
        allowed--;
        wanted--;
    }
    for (size_t i = client->max_sessions; i-- > 0 && allowed > 0 && wanted > 0;) {
        const struct postgresql_session *session = &client->sessions[i];
        if (session->state != POSTGRESQL_READY || session->runs_alone)
            continue;
        ret_reserved[reserved++] = session;
        allowed--;
        wanted--;
    }
    return reserved;
}

static bool has_capacity(const struct postgresql_client *client,
                         const struct postgresql_session *session, const struct task *task)
{
    return session->state == POSTGRESQL_READY && !session->runs_alone &&
           session->count < POSTGRESQL_PIPELINE && session->load_ms < MAX_LOAD_MS &&
           session->bytes < MAX_BYTES &&
           (task->last_duration_ms >= 0 || session->unknown < client->max_unknown);
}

/* What is sent to it now would wait for a query that is slow. */
static bool is_held_up(const struct postgresql_session *session, int64_t now_ms)
{
    return session->count > 0 && session->begun_ms != 0 &&
           now_ms - session->begun_ms >= POSTGRESQL_QUICK_MS;
}

/* The first that has capacity: those behind it become idle, and are closed, when they are not
 * needed. One that is held up only where all are. */
static struct postgresql_session *find_session(struct postgresql_client *client,
                                               const struct postgresql_session *const *reserved,
                                               size_t count, const struct task *task,
                                               int64_t now_ms)
{
    struct postgresql_session *held_up = NULL;
    for (size_t i = 0; i < client->max_sessions; i++) {
        struct postgresql_session *session = &client->sessions[i];
        if (!has_capacity(client, session, task) || is_reserved(reserved, count, session))
            continue;
        if (!is_held_up(session, now_ms))
            return session;
        if (held_up == NULL || session->count < held_up->count)
            held_up = session;
    }
    return held_up;
}

void postgresql_dispatch(struct postgresql_client *client)
{
    const struct postgresql_session *reserved[POSTGRESQL_MAX_SESSIONS];
    size_t count = dispatch_slow(client, reserved);
    int64_t now_ms = clock_now_ms();
    while (client->quick.count > 0) {
        struct postgresql_session *session =
            find_session(client, reserved, count, client->quick.tasks, now_ms);
        if (session == NULL)
            break;
        send_to(client, session, &client->quick);
        client->is_turn_of_quick = false;
    }
}
