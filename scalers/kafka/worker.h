/*
 * Calls of librdkafka that block: each runs on a thread of its own, so that a broker that does not
 * answer delays nobody but who waits for it.
 *
 * Threads: the functions are for the measuring thread. Owner: a job is the caller's, again from
 * kafka_workers_next() on.
 */
#ifndef BACKLOG_SCALERS_KAFKA_WORKER_H
#define BACKLOG_SCALERS_KAFKA_WORKER_H

#include <stdbool.h>
#include <stdint.h>

/* The first member of what the caller wants to run. */
struct kafka_job {
    void (*run)(
        struct kafka_job *job); /* on the thread; it touches the job and nothing else of ours */
    struct kafka_job *next;
};

struct kafka_workers;

/* Each job that ends makes `event_fd` (an eventfd) readable. */
struct kafka_workers *kafka_workers_new(int event_fd);

/* False where a thread is still running at the deadline. */
bool kafka_workers_wait(struct kafka_workers *workers, int64_t deadline_ms);

/* Waits for the threads. Jobs that have ended and were not taken are still the caller's. */
void kafka_workers_free(struct kafka_workers *workers);

/* False where no thread can be started; nothing has happened then. */
bool kafka_workers_start(struct kafka_workers *workers, struct kafka_job *job);

/* A job that has ended; NULL: none. */
struct kafka_job *kafka_workers_next(struct kafka_workers *workers);

#endif
