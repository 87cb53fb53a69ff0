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

/* What its own attempts have shown. */
struct query_known {
    enum last_attempt { ATTEMPT_NONE, ATTEMPT_GOOD, ATTEMPT_FAILED } last_attempt;
    bool is_measured; /* there is a reading, of the last good attempt */
    bool is_outdated; /* the source has notified us since the reading was sent */
    struct reading reading;
    int64_t sent_ms;      /* when the request for the reading was sent */
    int64_t began_at_us;  /* sent_ms, or when the source notified us, if that was earlier */
    int64_t duration_ms;  /* of the last good attempt; -1: not known */
    int64_t failed_at_ms; /* where the last attempt failed: when */
    struct error error;   /* of the last attempt */
};

struct snapshot {
    struct query_known known; /* if its connection has failed, so did the last attempt, just now */
    bool is_retried;          /* the last attempt failed, and it is tried again without a call */
    int64_t failing_since_ms; /* since when all attempts failed; 0: the last one did not */
    int64_t no_reading_since_ms; /* when the first call began to wait, or the connection failed, and
                                    no reading came since: the earlier; 0: neither */
    int64_t effective_interval_ms; /* what the source keeps up with */
    int64_t stuck_for_ms; /* requests are in flight, and nothing was answered for so long; 0: it
                             works */
};

/* Both write over `ret_copy`; whoever has it ends it, too. */
void snapshot_copy(const struct snapshot *snapshot, struct snapshot *ret_copy);
void snapshot_copy_known(const struct query_known *known, struct query_known *ret_copy);
void snapshot_done(struct snapshot *snapshot);

/* For how long a reading is as good as a new one where no user set an interval: ten times what its
 * measurement took, half a second at least, `interval_ms` at most. Pure. */
int64_t snapshot_fresh_ms(const struct query_known *known, int64_t interval_ms);

#endif
