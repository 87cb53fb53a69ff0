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

/* `query` names stream and consumer in errors. */
bool nats_consumer_info_counts(const json_t *info, const struct nats_query *query,
                               struct reading *ret_reading, struct error *error);
bool nats_consumer_info_no_stream(const struct nats_query *query, struct error *error);
bool nats_consumer_info_no_consumer(const struct nats_query *query, struct error *error);

/* The whole answer to $JS.API.CONSUMER.INFO. */
bool nats_consumer_info_parse(const char *bytes, size_t length, const struct nats_query *query,
                              struct reading *ret_reading, struct error *error);

#endif
