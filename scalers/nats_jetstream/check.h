/*
 * The rules across keys and of NATS names: what the option table cannot express. Every mistake is
 * added to the error.
 *
 * Threads: any; nothing is kept.
 */
#ifndef BACKLOG_SCALERS_NATS_JETSTREAM_CHECK_H
#define BACKLOG_SCALERS_NATS_JETSTREAM_CHECK_H

#include "base/error.h"
#include "config/option.h"

void nats_check_connection(const void *connection_options, struct error *mistakes);
void nats_check_trigger(const struct options *options, struct error *mistakes);

#endif
