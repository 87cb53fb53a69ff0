#include "postgresql/results.h"

#include "base/clock.h"
#include "base/text.h"
#include "postgresql/answer.h"

/* By the quick ones it is found out that many can be sent at once. */
static void note_duration(struct postgresql_client *client,
                          const struct postgresql_session *session,
                          const struct postgresql_entry *entry)
{
    bool is_quick = clock_now_ms() - session->begun_ms < POSTGRESQL_QUICK_MS;
    if (!is_quick)
        client->max_unknown = POSTGRESQL_MIN_UNKNOWN;
    else if (entry->last_duration_ms < 0 && client->max_unknown < POSTGRESQL_PIPELINE)
        client->max_unknown++;
}

/* By its limit, or by somebody. One that was not given its whole time runs alone next; the feed
 * knows how many of these may run beside others. */
static void take_stopped(const struct postgresql_session *session,
                         const struct postgresql_entry *entry, struct task *task,
                         const PGresult *result)
{
    bool has_used_limit = clock_now_ms() - session->begun_ms >= entry->limit_ms * 9 / 10;
    if (entry->limit_ms < task->timeout_ms)
        task_return(task, true);
    else if (has_used_limit)
        task_time_out(task);
    else
        postgresql_answer_take(task, result);
}

static void take_error(struct postgresql_client *client, struct postgresql_session *session,
                       struct postgresql_entry *entry, const PGresult *result)
{
    struct task *task = postgresql_session_take_task(session, entry);
    if (postgresql_answer_is_cancelled(result))
        take_stopped(session, entry, task, result);
    else if (session->step == POSTGRESQL_STEP_LIMIT && entry->watches_client) {
        client->watches_client = false; /* not on every system */
        postgresql_queue_add(&client->slow, task);
    } else
        postgresql_answer_take(task, result);
}

/* A query's later rows are received as well, and end nothing any more. */
static void take_result(struct postgresql_client *client, struct postgresql_session *session,
                        const PGresult *result)
{
    struct postgresql_entry *entry = postgresql_session_entry(session, 0);
    ExecStatusType status = PQresultStatus(result);
    if (session->step == POSTGRESQL_STEP_BEGIN && status == PGRES_COMMAND_OK) {
        session->begun_ms = clock_now_ms();
        if (entry->task != NULL)
            task_started(entry->task);
    }
    if (session->step > POSTGRESQL_STEP_QUERY || entry->task == NULL ||
        status == PGRES_PIPELINE_ABORTED)
        return;
    if (session->step == POSTGRESQL_STEP_QUERY)
        note_duration(client, session, entry);
    if (status == PGRES_FATAL_ERROR)
        take_error(client, session, entry, result);
    else if (session->step == POSTGRESQL_STEP_QUERY)
        postgresql_answer_take(postgresql_session_take_task(session, entry), result);
}

static void next_step(struct postgresql_client *client, struct postgresql_session *session)
{
    bool was_alone = session->runs_alone;
    if (++session->step < POSTGRESQL_STEPS)
        return;
    struct task *task = postgresql_session_take_task(session, postgresql_session_entry(session, 0));
    if (task != NULL) /* all replies to it have come, and none was a result or an error */
        task_failf(task, "PostgreSQL at %s: unexpected reply", client->address);
    postgresql_session_next(session);
    client->is_turn_of_quick = was_alone;
    if (session->state == POSTGRESQL_TRIAL)
        session->state = POSTGRESQL_READY;
}

static bool ends_session(const PGresult *result)
{
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    ExecStatusType status = PQresultStatus(result);
    return status == PGRES_COPY_OUT || status == PGRES_COPY_IN || status == PGRES_COPY_BOTH ||
           text_equal(severity, "FATAL") || text_equal(severity, "PANIC");
}

bool postgresql_results_take(struct postgresql_client *client, struct postgresql_session *session)
{
    PGconn *connection = session->connection;
    bool lives = PQconsumeInput(connection);
    while (lives && session->count > 0 && !PQisBusy(connection)) {
        PGresult *result = PQgetResult(connection);
        lives = PQstatus(connection) == CONNECTION_OK && !ends_session(result);
        if (lives && (result == NULL || PQresultStatus(result) == PGRES_PIPELINE_SYNC)) {
            next_step(client, session);
            PQsetSingleRowMode(
                connection); /* of the next: a result of a million rows is not kept */
        } else if (lives)
            take_result(client, session, result);
        PQclear(result);
    }
    /* We subscribe to nothing, but a pooler may give us a session where another client did: libpq
     * keeps the notifications until they are taken. */
    for (PGnotify *notification; (notification = PQnotifies(connection)) != NULL;)
        PQfreemem(notification);
    return lives;
}
