/*
 * The rules across keys: KEDA's kafka has them all, and its apache-kafka fewer.
 *
 * Threads: any; nothing is kept.
 */
#ifndef BACKLOG_SCALERS_KAFKA_CHECK_H
#define BACKLOG_SCALERS_KAFKA_CHECK_H

#include "base/error.h"
#include "config/option.h"

void kafka_check_connection(const void *connection_options, struct error *mistakes);
void kafka_check_trigger(const struct options *options, struct error *mistakes);
void kafka_check_apache(const struct options *options, struct error *mistakes);

#endif
