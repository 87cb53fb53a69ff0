#include "postgresql/measure.h"

#include "base/clock.h"
#include "base/memory.h"
#include "postgresql/answer.h"
#include "postgresql/client.h"
#include "postgresql/options.h"

#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    IN_FLIGHT_MOST = 256, /* enough to keep the server busy; bounds what is buffered */

    /* Of the time that is left: what one of several queries may take, and what the way back of the
     * server's "stopped" is given, so that the session is clean at the deadline and no cancel request,
     * which would need a connection of its own, has to be sent. */
    QUICK_SHARE = 10,
    WAY_BACK_SHARE = 10,
};

/*
 * What is sent for each query, at once. Its transaction is read-only (for good, as one that has looked at
 * something cannot be made writable) and rolled back, and with it all that the query set: a role, a
 * search_path, what it would have notified. Of what it can do only advisory locks outlive that. Whatever
 * fails skips the rest up to a sync, so that one stands before the cleaning up; a pooler such as
 * PgBouncer hands the session to nobody before the transaction is over and what follows it is done.
 */
enum step {
    STEP_BEGIN,
    STEP_LIMIT,
    STEP_QUERY,
    STEP_ASKED,
    STEP_ROLL_BACK,
    STEP_UNLOCK,
    STEP_CLEAN,
    STEPS,
};

static const char *const statements[STEPS] = {
    [STEP_BEGIN] = "BEGIN READ ONLY",
    [STEP_LIMIT] = "SELECT pg_catalog.set_config('statement_timeout', $1, true)",
    [STEP_ROLL_BACK] = "ROLLBACK",
    [STEP_UNLOCK] = "SELECT pg_catalog.pg_advisory_unlock_all()",
};

struct pass {
    struct postgresql_client *client;
    struct probe *const *probes;
    size_t count;
    size_t sent;
    size_t finished;
    enum step step; /* of the probe that is being answered */
    int64_t timeout_ms;
    int64_t deadline_ms;
    struct probe **stopped; /* by the time-out; not ended */
    size_t stopped_count;
};

static bool send_step(PGconn *session, enum step step, const char *query, const char *timeout_ms)
{
    if (step == STEP_ASKED || step == STEP_CLEAN)
        return PQpipelineSync(session);
    const char *statement = step == STEP_QUERY ? query : statements[step];
    return PQsendQueryParams(session, statement, step == STEP_LIMIT, NULL, &timeout_ms, NULL, NULL,
                             0);
}

static bool send_query(const struct pass *pass, const char *query)
{
    char timeout_ms[24];
    snprintf(timeout_ms, sizeof(timeout_ms), "%lld", (long long)pass->timeout_ms);
    for (enum step step = STEP_BEGIN; step < STEPS; step++)
        if (!send_step(pass->client->session, step, query, timeout_ms))
            return false;
    return true;
}

static bool send_more(struct pass *pass)
{
    while (pass->sent < pass->count && pass->sent - pass->finished < IN_FLIGHT_MOST) {
        const struct postgresql_query *query = pass->probes[pass->sent]->query;
        if (!send_query(pass, query->query))
            return false;
        pass->sent++;
    }
    return true;
}

/* A query's later rows come here as well, and end nothing any more. */
static void take_result(struct pass *pass, const PGresult *result)
{
    struct probe *probe = pass->probes[pass->finished];
    bool failed = PQresultStatus(result) == PGRES_FATAL_ERROR;
    if (failed && postgresql_was_cancelled(result) && !probe->ended)
        pass->stopped[pass->stopped_count++] = probe;
    else if (failed || pass->step == STEP_QUERY)
        postgresql_answer(probe, result);
}

static void next_step(struct pass *pass)
{
    pass->step++;
    if (pass->step < STEPS)
        return;
    pass->step = STEP_BEGIN;
    pass->finished++;
}

/* Whatever has arrived. Returns whether the session lives. */
static bool take_results(struct pass *pass)
{
    PGconn *session = pass->client->session;
    while (pass->finished < pass->sent && !PQisBusy(session)) {
        PGresult *result = PQgetResult(session);
        ExecStatusType status = PQresultStatus(result);
        bool lives = PQstatus(session) == CONNECTION_OK && status != PGRES_COPY_OUT &&
                     status != PGRES_COPY_IN && status != PGRES_COPY_BOTH;
        if (lives && (result == NULL || status == PGRES_PIPELINE_SYNC)) {
            next_step(pass);
            PQsetSingleRowMode(session); /* of the next: an answer of a million rows is not kept */
        } else if (lives && pass->step <= STEP_QUERY && status != PGRES_PIPELINE_ABORTED)
            take_result(pass, result);
        PQclear(result);
        if (!lives)
            return false;
    }
    return true;
}

/* Ours listen to nothing, but a pooler may give us a session where another client did: libpq keeps what
 * it is notified of until it is taken. */
static void drop_notifications(PGconn *session)
{
    for (PGnotify *notification; (notification = PQnotifies(session)) != NULL;)
        PQfreemem(notification);
}

static bool run(struct pass *pass, struct error *error)
{
    struct postgresql_client *client = pass->client;
    for (;;) {
        if (!send_more(pass))
            return postgresql_client_broken(client, error);
        int unsent = PQflush(client->session);
        if (unsent < 0 || !take_results(pass))
            return postgresql_client_broken(client, error);
        if (pass->finished == pass->count)
            break;
        if (pass->sent < pass->count && pass->sent - pass->finished < IN_FLIGHT_MOST)
            continue;
        if (!postgresql_client_wait(client, (short)(unsent ? POLLIN | POLLOUT : POLLIN),
                                    pass->deadline_ms))
            return postgresql_client_silent(client, error);
        if (!PQconsumeInput(client->session))
            return postgresql_client_broken(client, error);
    }
    drop_notifications(client->session);
    return true;
}

static int64_t all_ms(int64_t deadline_ms)
{
    int64_t left_ms = clock_left_ms(deadline_ms, INT_MAX);
    return left_ms - left_ms / WAY_BACK_SHARE;
}

/* One after the other, with all the time that is left. What is stopped here remains unanswered. */
static bool ask_again(struct pass *first, struct error *error)
{
    for (size_t i = 0; i < first->stopped_count; i++) {
        struct probe *stopped = NULL;
        struct pass pass = {
            .client = first->client,
            .probes = &first->stopped[i],
            .count = 1,
            .timeout_ms = all_ms(first->deadline_ms),
            .deadline_ms = first->deadline_ms,
            .stopped = &stopped,
        };
        /* What took its share once would be stopped again. */
        if (pass.timeout_ms <= first->timeout_ms)
            break;
        if (!run(&pass, error))
            return false;
    }
    return true;
}

bool postgresql_measure(void *client, struct probe *const *probes, size_t count,
                        int64_t deadline_ms, struct error *error)
{
    _cleanup_(memory_free) struct probe **stopped = memory_array(count, sizeof(struct probe *));
    struct pass pass = {
        .client = client,
        .probes = probes,
        .count = count,
        .timeout_ms = all_ms(deadline_ms),
        .deadline_ms = deadline_ms,
        .stopped = stopped,
    };
    if (count > 1)
        pass.timeout_ms = clock_left_ms(deadline_ms, INT_MAX) / QUICK_SHARE;
    if (pass.timeout_ms < 1) /* 0 would be no limit */
        pass.timeout_ms = 1;
    return run(&pass, error) && (count == 1 || ask_again(&pass, error));
}
