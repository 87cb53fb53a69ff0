/*
 * Where librdkafka may connect. Brokers name the other brokers of a cluster, and what they name is
 * not trusted (workaround 13 of client.h): it could be our own pod, or the metadata service of a
 * cloud.
 *
 * There is one cluster per process, as the scaler runs in an agent process: what is known of it is
 * known of the process, so that nothing has to outlive the library's threads.
 *
 * Threads: any; the library's own.
 */
#ifndef BACKLOG_SCALERS_KAFKA_CLIENT_DESTINATIONS_H
#define BACKLOG_SCALERS_KAFKA_CLIENT_DESTINATIONS_H

#include <librdkafka/rdkafka.h>

/* Connections of this configuration go to a local address (address.h) only once one of these
 * brokers was found at such an address itself. */
void kafka_destinations_limit(rd_kafka_conf_t *conf, const char *bootstrap_servers);

/* Connects, as the library's connect_cb: `broker` is HOST:PORT. Returns 0 or an errno. The header
 * has it for tests. */
int kafka_destinations_connect(int socket, const struct sockaddr *address, int length,
                               const char *broker, void *opaque);

/* Names the last broker that was refused, since kafka_destinations_limit() and
 * kafka_destinations_forget_refused(). The caller frees the name. NULL: none was. */
char *kafka_destinations_refused(void);
void kafka_destinations_forget_refused(void);

#endif
