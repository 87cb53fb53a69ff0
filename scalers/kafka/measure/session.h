/*
 * All that is kept of one cluster between two measurements: `client` of the scaler's hooks.
 *
 * Threads: the measuring thread. Owner: whoever connected.
 */
#ifndef BACKLOG_KAFKA_MEASURE_SESSION_H
#define BACKLOG_KAFKA_MEASURE_SESSION_H

#include "kafka/client.h"
#include "kafka/measure/stall.h"
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
    struct kafka_stall *stalls;
};

/* As the hook `connect`. */
bool kafka_session_open(const struct kafka_connection *options, int64_t deadline_ms,
                        struct kafka_session **ret_session, struct error *error);

/* As the hook `disconnect`. */
void kafka_session_close(struct kafka_session *session);

/* Takes another main handle in the place of one that holds on to what is wrong, if nobody waits for
 * it. */
void kafka_session_maintain(struct kafka_session *session, int64_t now_ms);

#endif
