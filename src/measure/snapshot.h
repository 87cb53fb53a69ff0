/*
 * What is known of a query at one moment: a copy, which needs no lock.
 *
 * Threads: any; it belongs to whoever has it.
 */
#ifndef BACKLOG_MEASURE_SNAPSHOT_H
#define BACKLOG_MEASURE_SNAPSHOT_H

#include "base/error.h"
#include "measure/reading.h"

#include <stdbool.h>
#include <stdint.h>

/* What the query's own attempts have shown. */
struct query_known {
    enum last_attempt { ATTEMPT_NONE, ATTEMPT_GOOD, ATTEMPT_FAILED } last_attempt;
    bool is_measured; /* there is a reading, of the last good attempt */
    bool is_outdated; /* since the measurement of the reading began the source has notified us, or
                       * reported a 0 that does not count yet */
    struct reading reading;
    unsigned wants;       /* bits of enum reading_want: what the reading was measured with */
    int64_t sent_ms;      /* when the request for the reading was sent */
    int64_t taken_us;     /* when its measurement began, maybe before that: with another request */
    int64_t began_at_us;  /* sent_ms, or the earlier time at which the source notified us */
    int64_t duration_ms;  /* of the last good attempt; -1: not known */
    int64_t failed_at_ms; /* if the last attempt failed: when */
    struct error error;   /* of the last attempt */
    char *note;           /* task_note() of the reading; NULL: none */
};

struct snapshot {
    /* While the connection has failed, the last attempt failed, just now, with its error. */
    struct query_known known;
    bool is_retried; /* the last attempt failed, and the next one needs no call */
    /* Since when the source has reported 0 where it may be false, until that is confirmed; 0: it
     * has not. */
    int64_t zero_since_ms;
    int64_t effective_interval_ms; /* the interval that the source achieves */
    /* For how long requests have been in flight without any reply; 0: the source works. */
    int64_t stuck_for_ms;
};

/* Overwrites `ret_copy`, which the caller ends with query_known_done(). The copy may be made in its
 * own place. */
void snapshot_copy_known(const struct query_known *known, struct query_known *ret_copy);
void snapshot_done(struct snapshot *snapshot);
void query_known_done(struct query_known *known);

/* For how long a reading is as good as a new one, if no user set an interval: ten times the
 * duration of its measurement, but at least 500 ms, and at most `interval_ms`. Example: if the
 * measurement took 200 ms, for 2 s. Pure. */
int64_t snapshot_fresh_ms(const struct query_known *known, int64_t interval_ms);

#endif
