/*
 * A session of a database, in libpq's pipeline mode. Nothing here blocks, but looking up a host's
 * name where the parameters have no hostaddr.
 *
 * Each query is a transaction of its own, and many of them can be in flight; they are answered in
 * order. What comes back is read by results.h.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_SCALERS_POSTGRESQL_SESSION_H
#define BACKLOG_SCALERS_POSTGRESQL_SESSION_H

#include "measure/scaler.h"
#include "postgresql/parameters.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    POSTGRESQL_PIPELINE = 256, /* queries in flight per session */
};

enum postgresql_session_state {
    POSTGRESQL_CLOSED,
    POSTGRESQL_CONNECTING,
    POSTGRESQL_TRIAL, /* connected, but a pooler may not give it a session of the server */
    POSTGRESQL_READY,
};

/* What is sent for a query, in this order. */
enum postgresql_step {
    POSTGRESQL_STEP_BEGIN,
    POSTGRESQL_STEP_LIMIT,
    POSTGRESQL_STEP_QUERY,
    POSTGRESQL_STEP_QUERY_SYNC,
    POSTGRESQL_STEP_ROLL_BACK,
    POSTGRESQL_STEP_UNLOCK,
    POSTGRESQL_STEP_SYNC,
    POSTGRESQL_STEPS,
};

/* A query in flight. */
struct postgresql_entry {
    struct task *task;        /* NULL: it has ended, and what is still received is ignored */
    int64_t limit_ms;         /* after this time the server stops it */
    int64_t last_duration_ms; /* of the task */
    bool alone;               /* with its whole deadline, and nothing behind it */
    bool watches_client;      /* the server is to see that we have closed the session */
    size_t bytes;             /* of its text; set when it is sent */
};

struct postgresql_session {
    enum postgresql_session_state state;
    PGconn *connection;
    short connect_events; /* that CONNECTING waits for */
    bool has_unsent;
    bool is_broken;
    bool runs_alone;

    /* CLOSED: it must not be opened before. CONNECTING, TRIAL: when that began. READY: since when
     * it has been idle, or the server has owed the first entry its BEGIN. */
    int64_t since_ms;
    int64_t begun_ms;          /* when BEGIN of the first entry was answered; 0: not yet */
    enum postgresql_step step; /* of the first entry, that is being answered */

    struct postgresql_entry *entries; /* a ring of POSTGRESQL_PIPELINE */
    size_t first;
    size_t count;
    size_t tasks;    /* of them, those that have not ended */
    size_t unknown;  /* of them, those of an unknown duration */
    int64_t load_ms; /* how long they take together, as far as that is known */
    size_t bytes;    /* of their texts */
};

/* A session to open: READY in the end, or false with the error. */
bool postgresql_session_open(struct postgresql_session *session,
                             const struct postgresql_parameters *parameters, struct error *error);

/* Goes on where it is CONNECTING, once the socket is ready. False where it failed; the connection
 * has the error. A trial follows, and results.h ends it. */
bool postgresql_session_advance(struct postgresql_session *session);

/* At once, in any state. Tasks in flight must have been ended. */
void postgresql_session_close(struct postgresql_session *session, int64_t closed_until_ms);

/* Sends a query; the session must have capacity. Where it is broken, postgresql_session_flush()
 * fails. */
void postgresql_session_send(struct postgresql_session *session, const char *query,
                             const struct postgresql_entry *entry);

/* False: the session broke. */
bool postgresql_session_flush(struct postgresql_session *session);

/* What poll() is to wait for. */
short postgresql_session_events(const struct postgresql_session *session);

struct postgresql_entry *postgresql_session_entry(const struct postgresql_session *session,
                                                  size_t index);

/* Takes the task out of an entry; what is still received for it is ignored. NULL: it had ended. */
struct task *postgresql_session_take_task(struct postgresql_session *session,
                                          struct postgresql_entry *entry);

/* The first entry is over: the next one is first. */
void postgresql_session_next(struct postgresql_session *session);

#endif
