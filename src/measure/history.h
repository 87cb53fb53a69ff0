/*
 * History: the readings of the last hour of each query, in one bounded pool of memory.
 *
 *     age            kept
 *     up to 10 min   one reading per second
 *     up to 30 min   one reading per 15 s
 *     up to 60 min   one reading per minute
 *
 * A kept reading is one that was measured, never an average. Where measuring began or ceased to
 * fail, the readings before and after that are both kept. If the pool is full, the oldest readings
 * of the coarsest tier are dropped first.
 *
 * Threads: any; one lock, held for copies. Time is a parameter.
 * Owner:   the engine has the history. A series is a field of its owner, which calls history_drop()
 *          before it is freed.
 */
#ifndef BACKLOG_MEASURE_HISTORY_H
#define BACKLOG_MEASURE_HISTORY_H

#include "measure/reading.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HISTORY_TIERS = 3,
    HISTORY_SPAN_MS = 3600 * 1000,
    HISTORY_CHUNK_BYTES = 256, /* of the pool, taken at a time */
};

struct history;
struct history_chunk;

/* {0} is an empty series. Only history.c reads and writes its fields. */
struct history_series {
    struct {
        struct history_chunk *oldest, *newest;
    } tiers[HISTORY_TIERS];
    int64_t counted_at_ms; /* the time of the last reading that counted for `consumed`; 0: none */
    /* The fields of that reading; NAN: unknown. */
    double counted_waiting, counted_consumed, counted_partitions;
    double consumed;
    double arrival_rate, consumption_rate; /* of the last minute, by the changes of `waiting` */
};

struct history_sample {
    int64_t at_ms;          /* of clock_now_ms() */
    bool is_failed;         /* measuring failed: there is no reading */
    struct reading reading; /* its fields have 7 significant digits */
};

/* A pool of `max_bytes`. The caller frees it with history_free(), after history_drop() of all
 * series. */
struct history *history_new(size_t max_bytes);
void history_free(struct history *history); /* NULL is none */

/* A measurement has ended; `reading` is NULL if it failed. The times of a series ascend, with one
 * exception: after newer readings were moved into the series, a failure may have an earlier time.
 * Like the other functions it does nothing if `history` is NULL. */
void history_add(struct history *history, struct history_series *series,
                 const struct reading *reading, int64_t at_ms);

/* Drops the readings of the series, which is empty then. */
void history_drop(struct history *history, struct history_series *series);

/* Moves all of `from` to `to`. Does nothing if `to` is not empty. */
void history_move(struct history *history, struct history_series *from, struct history_series *to);

/* Copies all of `from` to `to`, or moves it if the pool has no room for both. Does nothing if `to`
 * is not empty. */
void history_copy(struct history *history, struct history_series *from, struct history_series *to);

/* Copies the samples from `from_ms` on, in the order of history_add(). Returns their number; the
 * caller frees them. */
size_t history_read(struct history *history, const struct history_series *series, int64_t from_ms,
                    struct history_sample **ret_samples);

/* Lower bounds of what arrived and what was consumed, for people; policies use scale/policy/flow.h.
 * NAN: not known. Two readings with different partitions are not compared. */
struct history_throughput {
    /* Messages consumed since the series began: the sum over each two successive readings of the
     * first that is known:
     *   1. the difference of the source's own count
     *   2. the source's consumption rate, multiplied by the time between the readings
     *   3. by how much `waiting` fell */
    double consumed;
    /* Per second, averaged over about a minute: by how much `waiting` grew, and by how much it
     * fell, from one reading to the next. */
    double arrival_rate, consumption_rate;
};

void history_get_throughput(struct history *history, const struct history_series *series,
                            struct history_throughput *ret_throughput);

struct history_stats {
    size_t bytes;     /* in use */
    size_t max_bytes; /* of the pool */
    uint64_t dropped; /* samples of the last hour that were dropped, as the pool was full */
    double consumed;  /* of all series together, also those that were dropped */
};

void history_get_stats(struct history *history, struct history_stats *ret_stats);

#endif
