/*
 * The life of librdkafka's handles on a cluster: the main one (client.h), the second one of
 * requests/second.h, those of requests/serial.h, and the fetchers of requests/subscriptions.h.
 * They are made here, and destroyed in the background, as that may wait for their threads for ever
 * (workaround 4 of client.h).
 *
 * Threads: the measuring thread. Owner: the client. A handle is its user's until
 * kafka_handles_end().
 */
#ifndef BACKLOG_SCALERS_KAFKA_CLIENT_HANDLES_H
#define BACKLOG_SCALERS_KAFKA_CLIENT_HANDLES_H

#include "base/error.h"

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kafka_handles {
    struct kafka_handle *in_use;      /* utlist */
    struct kafka_handle *endings;     /* utlist, those that have ended, the oldest first: held, or
                                         being destroyed */
    struct kafka_background *closing; /* destroys them */
    double bytes;                     /* that all of them were made with: see memory.h */
};

/* Each handle that is destroyed makes `event_fd`, an eventfd, readable. The struct was zeroed. */
void kafka_handles_open(struct kafka_handles *handles, int event_fd);

/* Waits for the handles that are ending. False: one has not ended within some seconds, and is left
 * to the end of the process. */
bool kafka_handles_close(struct kafka_handles *handles);

/* Makes a handle, which takes the settings over, and waits for no broker. It counts for so many
 * bytes until it is destroyed; the main one for none, as memory is measured beside it. NULL with an
 * error. */
rd_kafka_t *kafka_handles_new_handle(struct kafka_handles *handles, rd_kafka_conf_t *settings,
                                     double bytes, struct error *error);

/* A thread that is in a call of the handle holds it, and so does who has what came of that, such as
 * a list of partitions: the library's structs in it must not outlive the handle. */
void kafka_handles_hold(struct kafka_handles *handles, const rd_kafka_t *rk);
void kafka_handles_release(struct kafka_handles *handles, const rd_kafka_t *rk);

/* Whether somebody holds the handle, which has not ended. The header has it for tests. */
bool kafka_handles_is_held(const struct kafka_handles *handles, const rd_kafka_t *rk);

/* Ends the queue (NULL: there is none), and destroys the handle in the background, once nobody
 * holds it. */
void kafka_handles_end(struct kafka_handles *handles, rd_kafka_t *rk, rd_kafka_queue_t *queue,
                       int64_t now_ms);

/* Takes in the errors of all handles, without waiting: the library keeps each of a broker's until
 * somebody does. And takes note of the handles that have been destroyed. */
void kafka_handles_poll(struct kafka_handles *handles);

/* Whether a handle has ended, and still has its memory. */
bool kafka_handles_are_ending(const struct kafka_handles *handles);

/* Counts the handles that do not end: their threads run for ever. */
size_t kafka_handles_stuck(const struct kafka_handles *handles, int64_t now_ms);

/* What comes on the queue makes `event_fd`, an eventfd, readable from now on. */
void kafka_handles_signal(rd_kafka_queue_t *queue, int event_fd);
void kafka_handles_end_queue(rd_kafka_queue_t *queue);

#endif
