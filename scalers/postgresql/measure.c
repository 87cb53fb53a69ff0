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
 * Each query is two statements and a sync, which together are one transaction. The first statement
 * makes it read-only (for good, as a transaction that has begun cannot be made writable) and limits
 * its time. Both end with the transaction, so a pooler such as PgBouncer may hand the session around.
 */
static const char set_limits[] =
    "SELECT pg_catalog.set_config('transaction_read_only', 'on', true), "
    "pg_catalog.set_config('statement_timeout', $1, true)";

struct pass {
    struct postgresql_client *client;
    struct probe *const *probes;
    size_t count;
    size_t sent;
    size_t finished;
    int statement; /* of the probe that is being answered: 0 the limits, 1 the query */
    int64_t timeout_ms;
    int64_t deadline_ms;
    struct probe **stopped; /* by the time-out; not ended */
    size_t stopped_count;
};

static bool send_query(const struct pass *pass, const char *query)
{
    PGconn *session = pass->client->session;
    char timeout_ms[24];
    snprintf(timeout_ms, sizeof(timeout_ms), "%lld", (long long)pass->timeout_ms);
    const char *const values[] = {timeout_ms};
    return PQsendQueryParams(session, set_limits, 1, NULL, values, NULL, NULL, 0) &&
           PQsendQueryParams(session, query, 0, NULL, NULL, NULL, NULL, 0) &&
           PQpipelineSync(session);
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
    ExecStatusType status = PQresultStatus(result);
    bool failed = status == PGRES_FATAL_ERROR;
    if (status == PGRES_PIPELINE_SYNC) {
        pass->finished++;
        pass->statement = 0;
    } else if (failed && postgresql_was_cancelled(result) && !probe->ended)
        pass->stopped[pass->stopped_count++] = probe;
    else if (status != PGRES_PIPELINE_ABORTED && (pass->statement == 1 || failed))
        postgresql_answer(probe, result);
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
        if (lives && result != NULL)
            take_result(pass, result);
        else if (lives) {
            pass->statement++;
            PQsetSingleRowMode(session); /* of the next: an answer of a million rows is not kept */
        }
        PQclear(result);
        if (!lives)
            return false;
    }
    return true;
}

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
