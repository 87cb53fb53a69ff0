#include "postgresql/session.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/system/process.h"
#include "base/system/socket.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * A query's transaction is read-only (for good: one that has read something cannot be made
 * writable) and rolled back, and with it all that the query set: a role, a search_path, what it
 * would have notified. Of what it can do only advisory locks outlive that. An error skips the rest
 * up to a sync, so one stands before the cleaning up; a pooler such as PgBouncer gives the session
 * to nobody else before the transaction is over and what follows it is done.
 */
static const char *const statements[POSTGRESQL_STEPS] = {
    [POSTGRESQL_STEP_BEGIN] = "BEGIN READ ONLY",
    [POSTGRESQL_STEP_ROLL_BACK] = "ROLLBACK",
    [POSTGRESQL_STEP_UNLOCK] = "SELECT pg_catalog.pg_advisory_unlock_all()",
};

/* A role or a database may have standard_conforming_strings off: a backslash would then hide the
 * end of a string from postgresql_statement_check(). */
#define LIMIT                                                                                      \
    "SELECT pg_catalog.set_config('statement_timeout', $1, true), "                                \
    "pg_catalog.set_config('standard_conforming_strings', 'on', true)"

static const char limit[] = LIMIT;

/* A server that watches its client stops a query soon after we have closed the session. */
static const char limit_and_watch[] =
    LIMIT ", pg_catalog.set_config('client_connection_check_interval', '250', true)";

/* Of CPU time for a step of the login; a million iterations of SCRAM take about 1. libpq computes
 * any number of them. */
enum { TRIAL_LIMIT_MS = 200, MAX_LOGIN_CPU_S = 1 };

/* A query's RAISE NOTICE is not for our log. */
static void ignore_notice(void *context, const PGresult *notice)
{
    (void)context, (void)notice;
}

bool postgresql_session_open(struct postgresql_session *session,
                             const struct postgresql_parameters *parameters, struct error *error)
{
    session->connection = PQconnectStartParams(parameters->keywords, parameters->values, 0);
    if (session->connection == NULL)
        return error_set(error, ERROR_INTERNAL, "libpq did not start");
    PQsetNoticeReceiver(session->connection, ignore_notice, NULL);
    socket_bound_buffers(PQsocket(session->connection), SOCKET_SOURCE_BYTES);
    session->state = POSTGRESQL_CONNECTING;
    session->connect_events = POLLOUT;
    session->since_ms = clock_now_ms();
    session->entries = memory_array(POSTGRESQL_PIPELINE, sizeof(*session->entries));
    return true;
}

static bool begin_trial(struct postgresql_session *session)
{
    static const struct postgresql_entry nobody = {.limit_ms = TRIAL_LIMIT_MS};
    session->state = POSTGRESQL_TRIAL;
    if (PQsetnonblocking(session->connection, 1) != 0 || !PQenterPipelineMode(session->connection))
        return false;
    postgresql_session_send(session, "SELECT 1", &nobody);
    return !session->is_broken;
}

bool postgresql_session_advance(struct postgresql_session *session)
{
    if (PQstatus(session->connection) == CONNECTION_BAD)
        return false;
    process_limit_cpu(MAX_LOGIN_CPU_S);
    PostgresPollingStatusType status = PQconnectPoll(session->connection);
    /* It may be that of the next address. */
    socket_bound_buffers(PQsocket(session->connection), SOCKET_SOURCE_BYTES);
    process_limit_cpu(0);
    switch (status) {
    case PGRES_POLLING_FAILED:
        return false;
    case PGRES_POLLING_OK:
        return begin_trial(session);
    case PGRES_POLLING_READING:
        session->connect_events = POLLIN;
        return true;
    default:
        session->connect_events = POLLOUT;
        return true;
    }
}

void postgresql_session_close(struct postgresql_session *session, int64_t closed_until_ms)
{
    PQfinish(session->connection);
    free(session->entries);
    *session = (struct postgresql_session){.since_ms = closed_until_ms};
}

static bool send_step(PGconn *connection, enum postgresql_step step, const char *query,
                      const char *limit_ms, bool watch_client)
{
    if (step == POSTGRESQL_STEP_QUERY_SYNC || step == POSTGRESQL_STEP_SYNC)
        return PQpipelineSync(connection);
    const char *statement = step == POSTGRESQL_STEP_QUERY                   ? query
                            : step == POSTGRESQL_STEP_LIMIT && watch_client ? limit_and_watch
                            : step == POSTGRESQL_STEP_LIMIT                 ? limit
                                                                            : statements[step];
    return PQsendQueryParams(connection, statement, step == POSTGRESQL_STEP_LIMIT, NULL, &limit_ms,
                             NULL, NULL, 0) &&
           (step != POSTGRESQL_STEP_BEGIN ||
            PQsendFlushRequest(connection)); /* its answer is the start */
}

void postgresql_session_send(struct postgresql_session *session, const char *query,
                             const struct postgresql_entry *entry)
{
    char limit_ms[24];
    snprintf(limit_ms, sizeof(limit_ms), "%lld", (long long)entry->limit_ms);
    for (enum postgresql_step step = POSTGRESQL_STEP_BEGIN; step < POSTGRESQL_STEPS; step++)
        session->is_broken = session->is_broken || !send_step(session->connection, step, query,
                                                              limit_ms, entry->watches_client);

    if (session->count == 0)
        session->since_ms = clock_now_ms();
    struct postgresql_entry *sent = postgresql_session_entry(session, session->count++);
    *sent = *entry;
    sent->bytes = strlen(query);
    session->bytes += sent->bytes;
    session->has_unsent = true;
    session->runs_alone = entry->alone;
    session->tasks += entry->task != NULL;
    session->unknown += entry->last_duration_ms < 0;
    session->load_ms += entry->last_duration_ms < 0 ? 0 : entry->last_duration_ms;
}

bool postgresql_session_flush(struct postgresql_session *session)
{
    int unsent = session->has_unsent ? PQflush(session->connection) : 0;
    session->has_unsent = unsent > 0;
    session->is_broken = session->is_broken || unsent < 0;
    return !session->is_broken;
}

short postgresql_session_events(const struct postgresql_session *session)
{
    if (session->state == POSTGRESQL_CONNECTING)
        return session->connect_events;
    return (short)(session->has_unsent ? POLLIN | POLLOUT : POLLIN);
}

struct postgresql_entry *postgresql_session_entry(const struct postgresql_session *session,
                                                  size_t index)
{
    return &session->entries[(session->first + index) % POSTGRESQL_PIPELINE];
}

struct task *postgresql_session_take_task(struct postgresql_session *session,
                                          struct postgresql_entry *entry)
{
    session->tasks -= entry->task != NULL;
    return TAKE(entry->task);
}

void postgresql_session_next(struct postgresql_session *session)
{
    const struct postgresql_entry *entry = postgresql_session_entry(session, 0);
    session->unknown -= entry->last_duration_ms < 0;
    session->load_ms -= entry->last_duration_ms < 0 ? 0 : entry->last_duration_ms;
    session->bytes -= entry->bytes;
    session->runs_alone = false;
    session->first = (session->first + 1) % POSTGRESQL_PIPELINE;
    session->count--;
    session->step = POSTGRESQL_STEP_BEGIN;
    session->begun_ms = 0;
    session->since_ms = clock_now_ms();
}
