/*
 * The settings of librdkafka: the same for each handle on a cluster.
 *
 * Threads: the measuring thread.
 */
#ifndef BACKLOG_SCALERS_KAFKA_CLIENT_SETTINGS_H
#define BACKLOG_SCALERS_KAFKA_CLIENT_SETTINGS_H

#include "kafka/options.h"

#include <librdkafka/rdkafka.h>

/* Makes the settings, which the caller ends with rd_kafka_conf_destroy(). NULL with an error: the
 * library refuses something. */
rd_kafka_conf_t *kafka_settings_new(const struct kafka_connection_options *options,
                                    struct error *error);

/* Sets one of them; a value of NULL sets nothing. False: the library refuses it. */
bool kafka_settings_set(rd_kafka_conf_t *conf, const char *name, const char *value,
                        struct error *error);

#endif
