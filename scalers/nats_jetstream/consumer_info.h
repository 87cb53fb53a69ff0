/*
 * What NATS reports of a consumer, as the reply to $JS.API.CONSUMER.INFO or as a part of /jsz: JSON
 * in, a reading or an error for the user out.
 *
 * Threads: any; nothing is kept.
 */
#ifndef BACKLOG_SCALERS_NATS_JETSTREAM_CONSUMER_INFO_H
#define BACKLOG_SCALERS_NATS_JETSTREAM_CONSUMER_INFO_H

#include "base/error.h"
#include "measure/task.h"
#include "nats_jetstream/options.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Whose counts they are. */
enum nats_consumer_source {
    NATS_CONSUMER_COUNTED,   /* the leader's in a cluster, or a server's that is in none */
    NATS_CONSUMER_NO_LEADER, /* of a cluster, where the consumer has none now */

    /* All are 0, and no cluster is named. Either it is a standalone server's consumer, without
     * messages so far; or that of a node of a cluster which is to have a replica of the consumer
     * and has not opened it, or cannot (max_ha_assets). Such a node does not leave the request to
     * the consumer's leader. */
    NATS_CONSUMER_DEFAULTS,
};

struct nats_consumer_origin {
    enum nats_consumer_source source;
    double paused_seconds; /* how long the consumer stays paused (2.11 and later); 0: it is not */
};

struct nats_consumer_origin nats_consumer_info_origin(const json_t *info);

/* Notes with the task, before it is answered, that its consumer is paused: its pending messages are
 * delivered to nobody, and do not count. Messages that were delivered before do. */
void nats_consumer_info_note(const struct nats_consumer_origin *origin, struct task *task);

/* `query` names stream and consumer in errors. */
bool nats_consumer_info_counts(const json_t *info, const struct nats_query *query,
                               struct reading *ret_reading, struct error *error);
bool nats_consumer_info_no_stream(const struct nats_query *query, struct error *error);
bool nats_consumer_info_no_consumer(const struct nats_query *query, struct error *error);
bool nats_consumer_info_no_leader(const struct nats_query *query, struct error *error);
bool nats_consumer_info_not_opened(const struct nats_query *query, struct error *error);

/* Of the error in an answer of JetStream's API: that the stream or the consumer does not exist. */
bool nats_consumer_info_is_absent(const json_t *api_error);

/* The whole answer to $JS.API.CONSUMER.INFO. */
bool nats_consumer_info_parse(const char *bytes, size_t length, const struct nats_query *query,
                              struct reading *ret_reading, struct nats_consumer_origin *ret_origin,
                              struct error *error);

#endif
