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
 * The longest reply that is read of a broker: the library has it in memory as a whole, and up to 17
 * times as much of what it says. All topics of a cluster, for a regular expression, take some 50
 * bytes per partition; a group's members the names of all topics that each subscribes to; its
 * commits up to 4 KB of the consumer's own metadata per partition. What a longer one does to others
 * is workaround 14 of client.h. A batch of messages that is longer notifies nobody.
 */
enum { KAFKA_MAX_REPLY_BYTES = 4 << 20 };

/* Makes the settings, which the caller ends with rd_kafka_conf_destroy(). `tls_path` is that of the
 * file with `cert` and `key`, which each new handle reads; NULL: there is none. NULL with an error:
 * the library refuses something. */
rd_kafka_conf_t *kafka_settings_new(const struct kafka_connection_options *options,
                                    const char *tls_path, struct error *error);

/* bootstrapServers without the white space around each address, which the library takes for a part
 * of the host. The caller frees the text. */
char *kafka_settings_brokers(const struct kafka_connection_options *options);

/* Sets one of them; a value of NULL sets nothing. False: the library refuses it. */
bool kafka_settings_set(rd_kafka_conf_t *conf, const char *name, const char *value,
                        struct error *error);

#endif
