/*
 * All that is kept of one cluster between two measurements: its handles, and what is known of it.
 *
 *     handle     is made                    is ended                        costs (memory.h)
 *
 *     main       to connect                 by a renewal, see below         1.9 KB per partition
 *     second     for the first request      a minute after the last one     1 MiB + 0.2 per broker
 *     serial     for the first request      with the last one               1 MiB + 0.2 per broker
 *     fetchers   for 250 partitions each    10 minutes after the last one   2 MiB + 0.2 per broker
 *                                                                           + 1.9 KB per partition
 *                                                                           of their topics
 *
 * commits.h and members.h each have a serial handle; commits.h has the second one, and shows the
 * way of a request over all three.
 *
 * The main handle is renewed when a new one helps: it waits for a former coordinator (workaround 3
 * of client.h), it has topics that nobody uses (workaround 6), it has too much of calls that nobody
 * waits for, or a call on it is half an hour old (workaround 1). A module of requests/ that uses
 * the main handle takes part by three functions; renew_main_handle() in session.c has the list:
 *
 *     _needs_renewal() a new handle would help the module
 *     _close_handle()  destroys all that the module has of the handle, in any order of modules;
 *                      kafka_client_renew() asserts that no queue is left
 *     _open_handle()   makes it again, of the new handle. That of metadata.h comes first: it counts
 *                      the new handle's partitions in memory.h
 *
 * Commits that somebody waits for are requested again on the new handle. Requests for members end
 * with the old one: a task that waits for members is answered without them, and the next
 * measurement requests them again. Subscriptions take no part, as they have handles of their own.
 * Nor do offsets: threads that are in calls of the old handle hold it (kafka_handles_hold()), so
 * that it is destroyed after them.
 *
 * Where no new handle can be made, or there is no memory for two, nothing is closed: calls may run
 * on the old handle, and a group has at most one there. The client is given up at the next moment
 * without tasks (`useless`) if only a new process helps where that memory is missing:
 *
 *     topics that nobody uses    have it. A new process has only the topics in use. Example: with
 *                                28 MiB 2,000 partitions are in use, and 7,000 are not
 *     a coordinator has moved    and there is no memory for the second handle either: fetchers or
 *                                brokers that joined later have it. The main handle of a new
 *                                process finds the coordinator. In the first minute of a main
 *                                handle no client is given up for this, and the tasks of the group
 *                                fail
 *
 * Nothing is renewed while nothing is measured. A call that was left behind does not get an hour
 * old by that, after which it could end the process (workaround 1): a connection lives as long as
 * KEDA calls for one of its triggers at least every 10 minutes (--forget), and calls are measured.
 * With an `interval` or --forget of more than half an hour it may come to that.
 *
 * Threads: the measuring thread. Owner: whoever connected.
 */
#ifndef BACKLOG_SCALERS_KAFKA_SESSION_H
#define BACKLOG_SCALERS_KAFKA_SESSION_H

#include "kafka/client/client.h"
#include "kafka/persistence.h"
#include "kafka/requests/commits.h"
#include "kafka/requests/group_types.h"
#include "kafka/requests/members.h"
#include "kafka/requests/metadata.h"
#include "kafka/requests/offsets.h"
#include "kafka/requests/subscriptions.h"
#include "kafka/space.h"

struct kafka_session {
    struct kafka_client client;
    struct kafka_metadata *metadata;
    struct kafka_commits *commits;
    struct kafka_members *members;
    struct kafka_group_types *group_types;
    struct kafka_offsets *offsets;
    struct kafka_subscriptions *subscriptions;
    struct kafka_persistence_group *persistence; /* of each group and topic */
    struct kafka_space space;
    int64_t forgot_ms;     /* when kafka_session_forget_old() last looked */
    int64_t renewal_at_ms; /* when a new main handle was last tried; 0: never */
    bool has_warned;       /* that no new main handle could be had */
    const char *useless;   /* why only a new process helps; NULL: the client is of use */
};

/* The hooks of struct scaler; `client` is a struct kafka_session. Disconnecting may take some
 * seconds, as it waits for calls that are running, and for handles that end. In an agent nobody
 * waits for it: the server kills the process. */
bool kafka_session_connect(const void *connection_options, int64_t deadline_ms, void **ret_client,
                           struct error *error);
void kafka_session_disconnect(void *client);

/* Forgets what has not been of use for KAFKA_FORGET_MS. It does so once a second at most, as it
 * looks at everything. */
void kafka_session_forget_old(struct kafka_session *session, int64_t now_ms);

/* Once per turn of the loop: maintains commits and members, and renews the main handle where that
 * helps, at most every two seconds. True: requests for members have ended without an answer: they
 * were given up, or the main handle was renewed. */
bool kafka_session_maintain(struct kafka_session *session, int64_t now_ms);

#endif
