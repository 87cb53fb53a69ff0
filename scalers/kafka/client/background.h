/*
 * Calls of librdkafka that block run in the background, each on a thread of its own, so that a
 * broker that does not answer delays nobody but who waits for it.
 *
 * Threads: the functions are for the measuring thread. Owner: a call is the caller's, again from
 * kafka_background_next() on.
 */
#ifndef BACKLOG_SCALERS_KAFKA_CLIENT_BACKGROUND_H
#define BACKLOG_SCALERS_KAFKA_CLIENT_BACKGROUND_H

#include <stdbool.h>
#include <stdint.h>

/* A call is the first member of what the caller wants to run. */
struct kafka_background_call {
    /* Runs on the thread, and touches the call and nothing else of ours. */
    void (*run)(struct kafka_background_call *call);
    struct kafka_background_call *next;
};

struct kafka_background;

/* Each call that ends makes `event_fd` (an eventfd) readable. */
struct kafka_background *kafka_background_new(int event_fd);

/* Waits until no thread is running. False: one still is at the deadline. */
bool kafka_background_wait(struct kafka_background *background, int64_t deadline_ms);

/* Waits for the threads. Calls that have ended and were not taken stay the caller's. */
void kafka_background_free(struct kafka_background *background);

/* Starts the call on a thread. False: no thread can be started, and nothing has happened. */
bool kafka_background_start(struct kafka_background *background,
                            struct kafka_background_call *call);

/* Takes a call that has ended. NULL: there is none. */
struct kafka_background_call *kafka_background_next(struct kafka_background *background);

#endif
