/*
 * Which streams have a single replica, as they report themselves, and so have their consumers: all
 * those of a standalone server. Where a consumer has more, a node that has not opened its own
 * replies with defaults (consumer_info.h). What is not known yet is requested.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_SCALERS_NATS_JETSTREAM_CLIENT_REPLICAS_H
#define BACKLOG_SCALERS_NATS_JETSTREAM_CLIENT_REPLICAS_H

#include "base/error.h"
#include "nats_jetstream/client/connection.h"
#include "nats_jetstream/options.h"

#include <nats/nats.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nats_replicas;

/* Requests are sent over the connection, which outlives it. */
struct nats_replicas *nats_replicas_new(struct nats_client_connection *connection);
void nats_replicas_free(struct nats_replicas *replicas);

enum nats_replicas_state {
    NATS_REPLICAS_SINGLE,
    NATS_REPLICAS_REQUESTED,  /* a reply will come */
    NATS_REPLICAS_NOT_SINGLE, /* or not known: the error says why defaults do not count */
};

enum nats_replicas_state nats_replicas_find(struct nats_replicas *replicas,
                                            const struct nats_query *query, struct error *error);

/* The error of a request that was made, and had no reply. */
void nats_replicas_explain_silence(const struct nats_query *query, struct error *error);

/* Takes a reply of the connection, or a right that is missing, which is of one stream: it is
 * requested once. False: it is of a request of somebody else. */
bool nats_replicas_take(struct nats_replicas *replicas, uint64_t number, natsMsg *message);
bool nats_replicas_deny(struct nats_replicas *replicas, const struct nats_refusal *refusal);

/* Of the reply to STREAM.INFO. For tests, too. */
enum nats_replicas_count {
    NATS_REPLICAS_UNKNOWN,
    NATS_REPLICAS_ONE,
    NATS_REPLICAS_SEVERAL,
};
enum nats_replicas_count nats_replicas_parse(const char *bytes, size_t length);

#endif
