/*
 * The settings of librdkafka: the same for each handle on a cluster.
 *
 * Threads: the measuring thread.
 */
#ifndef BACKLOG_SCALERS_KAFKA_CLIENT_SETTINGS_H
#define BACKLOG_SCALERS_KAFKA_CLIENT_SETTINGS_H

#include "kafka/options.h"

#include <librdkafka/rdkafka.h>

/* NULL where the library refuses something. The caller ends it with rd_kafka_conf_destroy(). */
rd_kafka_conf_t *kafka_settings_new(const struct kafka_connection_options *options,
                                    struct error *error);

/* A value of NULL sets nothing. */
bool kafka_settings_set(rd_kafka_conf_t *conf, const char *name, const char *value,
                        struct error *error);

#endif
