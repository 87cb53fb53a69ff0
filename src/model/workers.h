/*
 * A model of workers and of the queue that they work off, second by second: a fluid, not single
 * messages.
 *
 * Replicas that were started together are one batch. A batch is ready after its start-up time; the
 * youngest replicas are stopped first, and what they had in flight is in the queue again.
 *
 * Threads: any; workers belong to whoever declared them.
 */
#ifndef BACKLOG_MODEL_WORKERS_H
#define BACKLOG_MODEL_WORKERS_H

#include <stddef.h>
#include <stdint.h>

struct workers_settings {
    double rate;         /* per replica and second */
    int64_t startup_s;   /* from the start of a replica until it works */
    double prefetch;     /* that a replica takes in advance; 0: it takes what it works on at once */
    double noise;        /* standard deviation of arrivals and of the rate, as a share of each */
    uint64_t seed;       /* equal seeds, equal runs */
    int64_t change_at_s; /* from this second on the rate is `change` times as much; 0: never */
    double change;
};

struct workers_batch {
    int64_t replicas;
    int64_t ready_at_s;
    double in_flight;
};

struct workers {
    struct workers_settings settings;
    struct workers_batch *batches; /* the oldest first */
    size_t count, capacity;
    double waiting;
    double arrived, done; /* since the beginning */
    uint64_t random;
};

/* The caller ends them with workers_done(). */
void workers_init(struct workers *workers, const struct workers_settings *settings);
void workers_done(struct workers *workers);

/* There are to be so many replicas from now on. */
void workers_scale(struct workers *workers, int64_t replicas, int64_t now_s);

/* The second that begins at `now_s`: so much arrives, and what is ready works. */
void workers_run(struct workers *workers, double arrivals, int64_t now_s);

int64_t workers_ready(const struct workers *workers, int64_t now_s);
double workers_in_flight(const struct workers *workers);

#endif
