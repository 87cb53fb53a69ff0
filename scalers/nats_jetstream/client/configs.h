/*
 * The configurations of streams and consumers, by the subject of the request that reports one. What
 * is needed and not known is requested, and who needs it comes again. At most NATS_MAX_CONFIGS
 * requests are in flight.
 *
 * A configuration is requested again after a minute, after an error that will not last in 1.5 s,
 * and after any other failure in 10 s. The least recently requested are forgotten where there is no
 * memory for more (limits.h), but none of the last minute.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_SCALERS_NATS_JETSTREAM_CLIENT_CONFIGS_H
#define BACKLOG_SCALERS_NATS_JETSTREAM_CLIENT_CONFIGS_H

#include "base/error.h"
#include "nats_jetstream/client/config.h"
#include "nats_jetstream/client/connection.h"
#include "nats_jetstream/client/refusal.h"
#include "nats_jetstream/options.h"

#include <nats/nats.h>
#include <stdbool.h>
#include <stdint.h>

struct nats_configs;

/* Requests are sent over the connection, which outlives it. */
struct nats_configs *nats_configs_new(struct nats_client_connection *connection);
void nats_configs_free(struct nats_configs *configs);

/* Takes a reply of the connection, or a right that is missing. False: it is of a request of
 * somebody else. */
bool nats_configs_take(struct nats_configs *configs, uint64_t number, natsMsg *message);
bool nats_configs_deny(struct nats_configs *configs, const struct nats_refusal *refusal);

enum nats_configs_state {
    NATS_CONFIGS_KNOWN,
    NATS_CONFIGS_REQUESTED,  /* or will be: try again soon */
    NATS_CONFIGS_IMPOSSIBLE, /* the error says why */
};

/* On which subjects the messages that a consumer waits for are published. The list is the table's
 * until it takes a reply, or is searched again. What was learned a while ago counts until it is
 * learned again. */
enum nats_configs_state
nats_configs_find_or_request_subjects(struct nats_configs *configs, const struct nats_query *query,
                                      int64_t now_ms, const struct nats_subject_list **ret_list,
                                      struct error *error);

/* KNOWN: the stream has a single replica, and so have its consumers, as all of a standalone server.
 * IMPOSSIBLE: it has more, so that a node which has not opened its own replies with defaults
 * (consumer_info.h); or it is not known. */
enum nats_configs_state nats_configs_find_or_request_single_replica(struct nats_configs *configs,
                                                                    const struct nats_query *query,
                                                                    int64_t now_ms,
                                                                    struct error *error);

/* The error of a request for the replicas that had no reply in time. */
void nats_configs_explain_silence(const struct nats_query *query, struct error *error);

#endif
