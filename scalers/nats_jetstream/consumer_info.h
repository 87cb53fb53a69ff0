/*
 * The answer to $JS.API.CONSUMER.INFO: JSON in, a reading or an error for the user out.
 *
 * Threads: any; nothing is kept.
 */
#ifndef BACKLOG_SCALERS_NATS_JETSTREAM_CONSUMER_INFO_H
#define BACKLOG_SCALERS_NATS_JETSTREAM_CONSUMER_INFO_H

#include "base/error.h"
#include "measure/scaler.h"
#include "options.h"

#include <stdbool.h>
#include <stddef.h>

/* `query` names stream and consumer in errors. */
bool nats_consumer_info_parse(const char *bytes, size_t length,
                              const struct nats_query_options *query, struct reading *ret_reading,
                              struct error *error);

#endif
