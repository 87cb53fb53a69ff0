/*
 * Where a connection leads to, fit to be shown: hosts, and of URLs no user, password or query.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_CONFIG_SOURCE_ADDRESS_H
#define BACKLOG_CONFIG_SOURCE_ADDRESS_H

#include "config/option.h"

/* The hosts of the rows with OPTION_HOST: "kafka-0.kafka:9092,kafka-1.kafka:9092". NULL where there
 * is none that can be shown. The caller frees it. */
char *source_address(const struct option_values *values);

/* The text of a row as people may see it: secrets and what came out of a variable are "(hidden)",
 * and of a URL there is its scheme and host. The caller frees it. */
char *source_address_shown(const struct option_values *values, size_t row);

#endif
