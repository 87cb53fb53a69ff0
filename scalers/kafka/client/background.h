/*
 * Runs blocking calls of librdkafka, each on a thread of its own: a broker that hangs delays only
 * whoever waits for it.
 *
 *     kafka_background_start()   the thread has the call
 *     its run() returns          event_fd is readable
 *     kafka_background_next()    the caller has the call again
 *
 * Threads: the functions are for the measuring thread.
 */
#ifndef BACKLOG_SCALERS_KAFKA_CLIENT_BACKGROUND_H
#define BACKLOG_SCALERS_KAFKA_CLIENT_BACKGROUND_H

#include <stdbool.h>
#include <stdint.h>

/* The first member of the caller's struct. */
struct kafka_background_call {
    /* Runs on the thread, and uses nothing of ours but the caller's struct. */
    void (*run)(struct kafka_background_call *call);
    struct kafka_background_call *next;
};

struct kafka_background;

/* Each call that has ended makes `event_fd` (an eventfd) readable. */
struct kafka_background *kafka_background_new(int event_fd);

/* Waits until all calls have ended. False: not by the deadline. */
bool kafka_background_wait(struct kafka_background *background, int64_t deadline_ms);

/* Waits until all calls have ended. Those that were not taken are the caller's. */
void kafka_background_free(struct kafka_background *background);

/* Starts the call. False: no thread can be started, and the call is still the caller's. */
bool kafka_background_start(struct kafka_background *background,
                            struct kafka_background_call *call);

/* Takes a call that has ended. NULL: there is none. */
struct kafka_background_call *kafka_background_next(struct kafka_background *background);

#endif
