/*
 * A cluster: how to log in, what librdkafka last complained of, and the main handle.
 *
 * Threads: the measuring thread, but for the library's own callbacks. Owner: the session.
 */
#ifndef BACKLOG_SCALERS_KAFKA_CLIENT_H
#define BACKLOG_SCALERS_KAFKA_CLIENT_H

#include "base/error.h"
#include "kafka/background.h"
#include "kafka/options.h"

#include <librdkafka/rdkafka.h>
#include <stdint.h>

struct kafka_client {
    const struct kafka_connection *options;
    rd_kafka_conf_t *settings;       /* for each handle */
    struct kafka_kerberos *kerberos; /* NULL: another way to log in */
    rd_kafka_t *rk;                  /* the main handle */
    int64_t opened_ms;               /* when it was */
    int event_fd;                    /* readable when something has come, on any handle or thread */
    int64_t answered_ms;             /* when a broker last answered something */

    /* The library's last complaint, where nothing else explains a failure. */
    struct error last_error;
    bool is_refused; /* the cluster refuses our login: waiting is useless */
    /* Since when all brokers are down, as the library reports; 0: they are not. */
    int64_t all_down_ms;

    struct kafka_background *closing; /* handles that are being destroyed */
    struct kafka_ending *endings;     /* utlist, the oldest first */
};

/* Both fail where the cluster is not reached by the deadline; kafka_client_close() is called
 * anyway. */
bool kafka_client_open(struct kafka_client *client, const struct kafka_connection *options,
                       int64_t deadline_ms, struct error *error);

/* A handle that does not end soon is left to the end of the process. */
void kafka_client_close(struct kafka_client *client);

/* Another handle on the cluster; takes the settings over. NULL with an error. Waits for no broker.
 */
rd_kafka_t *kafka_client_new_handle(const struct kafka_client *client, rd_kafka_conf_t *settings,
                                    struct error *error);

/* A queue of the handle's, which makes event_fd readable. The caller ends it. */
rd_kafka_queue_t *kafka_client_new_queue(const struct kafka_client *client, rd_kafka_t *rk);

/* Destroys the handle in the background, as that may wait for its threads, and the queue (or NULL).
 */
void kafka_client_end_handle(struct kafka_client *client, rd_kafka_t *rk, rd_kafka_queue_t *queue);

/*
 * How many handles do not end. librdkafka may lose count of who uses a broker when the broker goes
 * and comes back while a request for commits is under way; the handle's threads then run for ever.
 */
size_t kafka_client_stuck(const struct kafka_client *client, int64_t now_ms);

/*
 * Puts a new main handle, which remembers nothing, in the place of the old one. Nothing of ours
 * must use that any more. Waits for no broker; on failure all is as it was.
 */
bool kafka_client_renew(struct kafka_client *client, struct error *error);

/* Takes in the library's complaints, without waiting. */
void kafka_client_poll(struct kafka_client *client);

/* "Kafka at ...: what: the last complaint". Returns false. */
bool kafka_client_fail(const struct kafka_client *client, struct error *error, const char *what);

#endif
