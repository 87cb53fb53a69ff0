/*
 * The rules across keys: what the tables of options cannot express. Every mistake is added to the
 * error.
 *
 * Threads: any; nothing is kept.
 */
#ifndef BACKLOG_SCALERS_REDIS_CHECK_H
#define BACKLOG_SCALERS_REDIS_CHECK_H

#include "base/error.h"
#include "config/option.h"

void redis_check_connection(const void *connection_options, struct error *mistakes);
void redis_check_list(const struct options *options, struct error *mistakes);
void redis_check_stream(const struct options *options, struct error *mistakes);
void redis_check_cluster_list(const struct options *options, struct error *mistakes);

#endif
