/*
 * The rules across keys: what the option table cannot express. Every mistake is added to the error.
 *
 * Threads: any; nothing is kept.
 */
#ifndef BACKLOG_SCALERS_POSTGRESQL_CHECK_H
#define BACKLOG_SCALERS_POSTGRESQL_CHECK_H

#include "base/error.h"
#include "config/option.h"

void postgresql_check_connection(const void *connection_options, struct error *mistakes);
void postgresql_check_trigger(const struct options *options, struct error *mistakes);

#endif
