/*
 * The client: a few sessions of one database, and the tasks that wait for one of them.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_SCALERS_POSTGRESQL_CLIENT_H
#define BACKLOG_SCALERS_POSTGRESQL_CLIENT_H

#include "base/error.h"
#include "measure/scaler.h"
#include "postgresql/session.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    POSTGRESQL_MAX_SESSIONS = 16,
    POSTGRESQL_DEFAULT_SESSIONS = 4,
    POSTGRESQL_TIMEOUT_MS = 10 * 1000,
    POSTGRESQL_ISOLATED_SHARE = 4, /* a quarter of the sessions */

    /* What an agent may map. 16 sessions over TLS take 20 MiB, and up to 1 MiB each for what is in
     * flight; queries at most 60 % (agent_client_send.c), or those in flight: 1,024 of 16 KiB. Only
     * the connections file has maxSessions. */
    POSTGRESQL_AGENT_BYTES = 27 << 20,
    POSTGRESQL_AGENT_BYTES_NAMED = 96 << 20,

    /* A query that is not known to be slow is stopped after this time, and runs alone then. */
    POSTGRESQL_QUICK_LIMIT_MS = 200,
    POSTGRESQL_QUICK_MS = 20, /* below: quick */
    POSTGRESQL_MIN_UNKNOWN = 4,

    /* Behind a session that is closed while a query runs, the server may need this time to see
       that. */
    POSTGRESQL_LINGER_MS = 500,
};

/* Tasks that were taken from the feed and not sent yet. */
struct postgresql_queue {
    struct task *tasks; /* utlist */
    size_t count;
};

struct postgresql_client {
    const struct postgresql_connection_options *options;
    char *address; /* for errors: host:port */
    int ca; /* a file in memory with the option's certificates, as libpq reads only files; -1: none
             */

    /* Where a session is opened: lists while the first one is, and then its server, so that the
     * others need no look-up. */
    char *host;
    char *hostaddr;
    char *port;

    struct postgresql_session sessions[POSTGRESQL_MAX_SESSIONS];
    size_t max_sessions;
    int64_t retry_ms;   /* another session must not be opened before: one was refused, or late */
    int64_t backoff_ms; /* the wait after the next such */

    struct postgresql_queue quick; /* or of an unknown duration */
    struct postgresql_queue slow;  /* each runs alone */
    bool is_turn_of_quick;         /* where there is only one session */

    /* How many queries of an unknown duration a session may have in flight: more with each quick
     * one, few again once one was slow. */
    size_t max_unknown;
    bool watches_client; /* the server can see that we have closed a session while a query runs */
};

/* The hook of struct scaler. */
void postgresql_client_disconnect(void *client);

/* So many are in this state. */
size_t postgresql_client_count(const struct postgresql_client *client,
                               enum postgresql_session_state state);

/* Begins to open one more session, in a slot that is CLOSED. */
bool postgresql_client_open(struct postgresql_client *client, struct postgresql_session *session,
                            struct error *error);

/* Set the error that says why a session is of no further use. Return false. */
bool postgresql_client_broken(const struct postgresql_client *client,
                              const struct postgresql_session *session, struct error *error);
bool postgresql_client_silent(const struct postgresql_client *client, struct error *error);

void postgresql_queue_add(struct postgresql_queue *queue, struct task *task);
void postgresql_queue_remove(struct postgresql_queue *queue, struct task *task);

#endif
