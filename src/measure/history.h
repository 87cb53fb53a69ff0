/*
 * History: the samples of a query, for policies and people.
 *
 * A sample is a reading, or an attempt that failed. Readings that are closer together than the
 * interval become one sample, as a push measures every few milliseconds; it remembers the most that
 * was waiting and in flight, so that no peak between two samples is lost.
 *
 * The samples span the last hour. Where there are too many, the newest stay as they are, of a query
 * with a policy RECENT_SAMPLES_MAX, and older ones are thinned, the more the older they are. What
 * is left was measured, and is no average. Where measuring began or ceased to fail, the samples
 * before and after that are both kept. How many a query may have depends on how many queries have
 * some.
 *
 * Threads: none; a query has its history under its connection's lock, others have copies.
 */
#ifndef BACKLOG_MEASURE_HISTORY_H
#define BACKLOG_MEASURE_HISTORY_H

#include "measure/reading.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HISTORY_SPAN_MS = 3600 * 1000,
    HISTORY_MAX_SAMPLES = 720, /* of one query, where these are few */
    HISTORY_MIN_SAMPLES = 32,  /* of one query, however many there are; besides those of policies */
    HISTORY_BYTES = 16 << 20,  /* of all queries that may have more than these */
    RECENT_SAMPLES_MAX = 64,
};

struct history_sample {
    int64_t at_ms;  /* when the request for the reading was sent, or the attempt failed */
    bool is_failed; /* there is no reading */
    /* Between the reading before and this one measuring failed, nobody measured, or what was
     * measured is no longer kept. */
    bool is_after_gap;
    struct reading reading; /* the last one of this sample */
    /* The maxima of all readings of this sample. NAN: a reading had no such count, and no other one
     * was above 0. */
    double max_waiting; /* of recent_samples_waiting() */
    double max_in_flight;
};

struct history {
    int64_t interval_ms; /* how far apart samples are to be; 0: a second */
    int64_t duration_ms; /* of the last measurement: samples of a slow source are that far apart */
    int64_t waited_ms;   /* how long the last measurement waited for its turn */
    unsigned wants;      /* bits of enum reading_want: what the last reading was measured with */
    /* With a reading; it stays however long measuring fails. at_ms is INT64_MIN: there is none. */
    struct history_sample last;
    int64_t sent_ms;   /* when its request was sent: at_ms may be a little later */
    int64_t before_ms; /* at_ms of the sample with a reading before that one, or INT64_MIN */
    bool has_gap;      /* since the last reading */

    /* Only history.c uses these. A sample is a row of words: its time, and a field for each bit. */
    uint16_t mask; /* of the fields that some sample has */
    size_t count, capacity;
    uint64_t *words;
};

/* The caller frees it with history_free(), and may set the first four fields at any time. */
struct history *history_new(void);
struct history *history_copy(const struct history *history); /* NULL is none, as below */
void history_free(struct history *history);

/* Requests of readings were sent in this order: one that was sent before the last is dropped. */
void history_add(struct history *history, int64_t at_ms, const struct reading *reading);
void history_add_failure(struct history *history, int64_t at_ms); /* and a gap */
void history_add_gap(struct history *history);

/* Copies the samples from `from_ms` on, the oldest first. Returns their number; the caller frees
 * them. */
size_t history_read(const struct history *history, int64_t from_ms,
                    struct history_sample **ret_samples);

/* Lower bounds of what arrives and is consumed per second, for people; policies use
 * scale/policy/flow.h. By how much `waiting` grew and fell from one reading to the next, in the
 * last minute, or between the last two readings. NAN: not known. Two readings with different
 * partitions are not compared. */
struct history_rates {
    double arrivals, consumption;
};

struct history_rates history_rates(const struct history *history);

/* ---- the recent samples, for policies ---- */

struct recent_samples {
    int64_t interval_ms, duration_ms, waited_ms;       /* as of the history */
    struct history_sample samples[RECENT_SAMPLES_MAX]; /* with a reading, the oldest first */
    size_t count;
};

/* Copies the recent samples that did not fail: at least the last, if there is one. */
void history_recent(const struct history *history, struct recent_samples *ret_recent);

/* Whether a distance between the last sample and one before it is a gap: several samples in between
 * are missing, though it was their turn. */
bool recent_samples_is_gap(const struct recent_samples *recent, int64_t distance_ms);

/* How much of a distance between two samples is too long to say that in between it was as in both:
 * a source that cannot keep up has no gaps, but is seen seldom. */
int64_t recent_samples_unseen_ms(const struct recent_samples *recent, int64_t distance_ms);

/* `waiting`, or `value` if the source has no such count. */
double recent_samples_waiting(const struct reading *reading);

#endif
