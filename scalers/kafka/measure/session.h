/*
 * All that is kept of one cluster between two measurements.
 *
 * Threads: the measuring thread. Owner: whoever connected.
 */
#ifndef BACKLOG_SCALERS_KAFKA_MEASURE_SESSION_H
#define BACKLOG_SCALERS_KAFKA_MEASURE_SESSION_H

#include "kafka/client.h"
#include "kafka/measure/persistence.h"
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
    struct kafka_persistence *persistence; /* of each group and topic */
};

/* The hooks of struct scaler; `client` is a struct kafka_session. */
bool kafka_session_connect(const void *connection_options, int64_t deadline_ms, void **ret_client,
                           struct error *error);
void kafka_session_disconnect(void *client);

/* Takes another main handle in the place of one that holds on to what is wrong, if nobody waits for
 * it. */
void kafka_session_maintain(struct kafka_session *session, int64_t now_ms);

#endif
