/*
 * History: the readings of the last hour of each query, in one bounded pool of memory.
 *
 * The latest are kept at one per second, older ones at one per 15 s, then one per minute; a kept
 * reading is one that was measured, never an average. A change between success and failure is kept
 * at every age. Where the pool is full, what is oldest and coarsest is dropped first.
 *
 * Threads: any; one lock, held for copies. Time is a parameter.
 * Owner:   the engine has the history. A series is embedded in its owner, which ends it with
 *          history_drop() before it is freed.
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
    int64_t counted_at_ms; /* when the last reading came that counted for `consumed`; 0: none */
    /* What that reading had; NAN: it did not say. */
    double counted_waiting, counted_consumed, counted_partitions;
    double consumed;
    double arrival_rate, consumption_rate; /* in the last minute, as far as `waiting` shows them */
};

struct history_sample {
    int64_t at_ms;          /* of clock_now_ms() */
    bool is_failed;         /* measuring failed: there is no reading */
    struct reading reading; /* with 7 significant digits */
};

/* Uses at most so many bytes. The caller frees it with history_free(), after all series have ended.
 */
struct history *history_new(size_t max_bytes);
void history_free(struct history *history); /* NULL is none */

/* A measurement has ended; `reading` is NULL where it failed. Times of a series ascend, but for a
 * failure that is noted at an earlier time, after newer readings were moved in: it keeps its time.
 * Does nothing where there is no history (NULL). */
void history_add(struct history *history, struct history_series *series,
                 const struct reading *reading, int64_t at_ms);

/* Ends the series, and forgets it. */
void history_drop(struct history *history, struct history_series *series);

/* `to` gets what `from` had, which is empty then. Does nothing where `to` has something. */
void history_move(struct history *history, struct history_series *from, struct history_series *to);

/* The same, and `from` keeps it. Where the pool has no room for both, it is moved. */
void history_copy(struct history *history, struct history_series *from, struct history_series *to);

/* All samples from `from_ms` on, in the order of history_add(), the oldest first. Returns how many;
 * the caller frees them. */
size_t history_read(struct history *history, const struct history_series *series, int64_t from_ms,
                    struct history_sample **ret_samples);

/* How much came and went at least. It is for people: policies have scale/policy/flow.h. NAN where
 * it is not known. */
struct history_throughput {
    /* How many messages were consumed since the series began, between each two readings: as the
     * source counts them, else by the consumption rate that it reports, else what `waiting` fell
     * by. Nothing between two with other partitions. */
    double consumed;
    /* Per second, in the last minute or so: what `waiting` grew and fell by between two readings
     * with the same partitions. */
    double arrival_rate, consumption_rate;
};

void history_get_throughput(struct history *history, const struct history_series *series,
                            struct history_throughput *ret_throughput);

struct history_stats {
    size_t bytes;     /* in use */
    size_t max_bytes; /* of the pool */
    uint64_t dropped; /* samples that were less than an hour old, because the pool was full */
    double consumed;  /* by all series together, those that have ended included */
};

void history_get_stats(struct history *history, struct history_stats *ret_stats);

#endif
