/*
 * The life of librdkafka's handles on a cluster: the main one (client.h), the second one
 * (requests/second.h), the serial ones (requests/serial.h), and the fetchers
 * (requests/subscriptions.h). They are destroyed in the background: that may wait for their threads
 * for ever (workaround 4 of client.h).
 *
 *     in use            until kafka_handles_end()
 *     ended             while somebody holds it, until the last kafka_handles_release()
 *     being destroyed   by a thread; after 10 s it is stuck
 *     gone              once the thread has ended, and kafka_handles_poll() has seen that
 *
 * Threads: the measuring thread. Owner: the client. A handle is its user's until
 * kafka_handles_end().
 */
#ifndef BACKLOG_SCALERS_KAFKA_CLIENT_HANDLES_H
#define BACKLOG_SCALERS_KAFKA_CLIENT_HANDLES_H

#include "base/error.h"
#include "kafka/memory.h"

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kafka_handles {
    struct kafka_handle *in_use;      /* utlist */
    struct kafka_handle *endings;     /* utlist, the oldest first: ended, or being destroyed */
    struct kafka_background *closing; /* has the threads that destroy handles */
    struct kafka_memory *memory;      /* has the bytes of handles that are not gone */
};

/* Each handle that is destroyed makes `event_fd`, an eventfd, readable. The struct was zeroed. */
void kafka_handles_open(struct kafka_handles *handles, struct kafka_memory *memory, int event_fd);

/* Waits for the handles that are ending. False: one has not ended within some seconds, and is left
 * to the end of the process. */
bool kafka_handles_close(struct kafka_handles *handles);

/* Makes a handle, which takes the settings over, and waits for no broker. It counts for so many
 * bytes until it is gone; the main handle counts for none before it ends, as memory is measured
 * beside it. NULL with an error. */
rd_kafka_t *kafka_handles_new_handle(struct kafka_handles *handles, rd_kafka_conf_t *settings,
                                     bool is_fetcher, double bytes, struct error *error);

/* The handle, which has not ended, takes so many bytes more, or fewer where they are negative; or
 * all others that have not ended do, each as many. */
void kafka_handles_add_bytes(struct kafka_handles *handles, const rd_kafka_t *rk, double bytes);
void kafka_handles_add_bytes_to_others(struct kafka_handles *handles, const rd_kafka_t *rk,
                                       double bytes);

/* A thread that is in a call of the handle holds it. So does whoever has the result of such a call:
 * a list of partitions, for one, has structs of the library that must not outlive the handle. */
void kafka_handles_hold(struct kafka_handles *handles, const rd_kafka_t *rk);
void kafka_handles_release(struct kafka_handles *handles, const rd_kafka_t *rk);

/* Whether somebody holds the handle, which has not ended. The header has it for tests. */
bool kafka_handles_is_held(const struct kafka_handles *handles, const rd_kafka_t *rk);

/* Ends the queue (NULL: there is none), and destroys the handle in the background as soon as nobody
 * holds it. */
void kafka_handles_end(struct kafka_handles *handles, rd_kafka_t *rk, rd_kafka_queue_t *queue,
                       int64_t now_ms);

/* Takes the errors of all handles, without waiting: the library keeps each error of a broker until
 * somebody takes it. Notes which handles are gone. */
void kafka_handles_poll(struct kafka_handles *handles);

/* Whether a handle has ended that is not gone: it still has its memory. */
bool kafka_handles_are_ending(const struct kafka_handles *handles);

/* Counts the handles that are stuck: their threads run for ever. */
size_t kafka_handles_stuck(const struct kafka_handles *handles, int64_t now_ms);

/* An event on the queue makes `event_fd`, an eventfd, readable, until kafka_handles_end_queue(). */
void kafka_handles_signal(rd_kafka_queue_t *queue, int event_fd);
void kafka_handles_end_queue(rd_kafka_queue_t *queue);

#endif
