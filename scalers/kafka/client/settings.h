/*
 * The settings of librdkafka: the same for each handle on a cluster.
 *
 * Threads: the measuring thread.
 */
#ifndef BACKLOG_SCALERS_KAFKA_CLIENT_SETTINGS_H
#define BACKLOG_SCALERS_KAFKA_CLIENT_SETTINGS_H

#include "kafka/options.h"

#include <librdkafka/rdkafka.h>

/*
 * How long the library remembers a group's coordinator to which nothing is sent, and metadata.
 * Above the usual interval, or each measurement would look for the coordinators first.
 */
enum { KAFKA_REMEMBER_MS = 15000 };

/*
 * The longest reply that is read of a broker, in bytes: the library has it in memory as a whole,
 * and up to 17 times as much of what it says. All topics of a cluster, for a regular expression,
 * take some 50 bytes a partition. A batch of messages that is longer notifies nobody.
 */
enum { KAFKA_MAX_REPLY = 4 << 20 };

/* NULL where the library refuses something. The caller ends it with rd_kafka_conf_destroy(). */
rd_kafka_conf_t *kafka_settings_new(const struct kafka_connection_options *options,
                                    struct error *error);

bool kafka_settings_set(rd_kafka_conf_t *conf, const char *name, const char *value,
                        struct error *error);

#endif
