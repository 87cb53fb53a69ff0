/*
 * Limits where librdkafka may connect. A broker names the addresses of the others, which could be
 * in our own pod, or the metadata service of a cloud (workaround 13 of client.h). So they may be
 * local (address_is_local()) only if one of bootstrapServers is:
 *
 *     bootstrapServers   a broker names   connects
 *
 *     kafka.prod:9092    10.0.0.7:9092    yes: it is not local
 *     kafka.prod:9092    127.0.0.1:9093   no
 *     localhost:9092     127.0.0.1:9093   yes, after localhost:9092: all may be beside a proxy
 *
 * The state is static, as it must outlive the library's threads. An agent process has one cluster.
 *
 * Threads: any, as the library calls it on its own.
 */
#ifndef BACKLOG_SCALERS_KAFKA_CLIENT_DESTINATIONS_H
#define BACKLOG_SCALERS_KAFKA_CLIENT_DESTINATIONS_H

#include <librdkafka/rdkafka.h>

/* Limits the handles with this configuration, and begins again: no bootstrap server is known to be
 * local, and none was refused. */
void kafka_destinations_limit(rd_kafka_conf_t *conf, const char *bootstrap_servers);

/* The library's connect_cb: `broker` is HOST:PORT. Returns 0 or an errno. The header has it for
 * tests. */
int kafka_destinations_connect(int socket, const struct sockaddr *address, int length,
                               const char *broker, void *opaque);

/* The last broker that was refused. NULL: none was. The caller frees the name. */
char *kafka_destinations_refused(void);
void kafka_destinations_forget_refused(void);

#endif
