/*
 * All that is kept of one cluster between two measurements.
 *
 * The main handle (client.h) is renewed when it holds on to what is wrong (workarounds 3 and 6), to
 * too much, or to a call that is old (workaround 1). A module of requests/ that uses it takes part,
 * and renew() in session.c has the list:
 *
 *     _needs_renewal() a new handle would help the module
 *     _close_handle()  destroys all that the module has of the handle, in any order of modules;
 *                      kafka_client_renew() asserts that no queue is left
 *     _open_handle()   makes it again, of the new handle
 *
 * Commits that somebody waits for are requested on the new handle. Requests for members end with
 * the old one, which the library survives (workaround 1): a task that waits for members is answered
 * without them, and the next measurement requests them again. Threads of metadata.c and offsets.c
 * may be in calls of the old handle, which is not destroyed before (kafka_handles_hold()); so
 * offsets take no part. Subscriptions have handles of their own.
 *
 * Where no new handle can be had, or there is no memory for two, nothing is closed: calls may run
 * on the old one, and a group has at most one there.
 *
 * Threads: the measuring thread. Owner: whoever connected.
 */
#ifndef BACKLOG_SCALERS_KAFKA_SESSION_H
#define BACKLOG_SCALERS_KAFKA_SESSION_H

#include "kafka/client/client.h"
#include "kafka/measure/persistence.h"
#include "kafka/measure/space.h"
#include "kafka/requests/commits.h"
#include "kafka/requests/members.h"
#include "kafka/requests/metadata.h"
#include "kafka/requests/offsets.h"
#include "kafka/requests/subscriptions.h"

struct kafka_session {
    struct kafka_client client;
    struct kafka_metadata *metadata;
    struct kafka_commits *commits;
    struct kafka_members *members;
    struct kafka_offsets *offsets;
    struct kafka_subscriptions *subscriptions;
    struct kafka_persistence_group *persistence; /* of each group and topic */
    struct kafka_space space;
    int64_t forgot_ms;     /* when kafka_session_forget_old() last looked */
    int64_t renewal_at_ms; /* when a new main handle was last tried; 0: never */
    bool has_warned;       /* that no new main handle could be had */
};

/* The hooks of struct scaler; `client` is a struct kafka_session. To disconnect may take some
 * seconds, as it waits for calls that are running, and for handles that end. Nobody waits for that:
 * the server kills the agent process. */
bool kafka_session_connect(const void *connection_options, int64_t deadline_ms, void **ret_client,
                           struct error *error);
void kafka_session_disconnect(void *client);

/* Forgets what has not been of use for KAFKA_FORGET_MS. It looks at all that there is, so only once
 * a second. */
void kafka_session_forget_old(struct kafka_session *session, int64_t now_ms);

/* Renews the main handle where that helps, and not too often. True: it has, and requests for
 * members went with the old handle. */
bool kafka_session_maintain(struct kafka_session *session, int64_t now_ms);

#endif
