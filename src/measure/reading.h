/*
 * A reading: what one measurement of a query found.
 *
 * Threads: any; it belongs to whoever has it.
 */
#ifndef BACKLOG_MEASURE_READING_H
#define BACKLOG_MEASURE_READING_H

#include <math.h>
#include <stdbool.h>

/*
 * Start from READING_UNKNOWN: a field that the source did not report is NAN, never 0. Counts are
 * messages.
 *
 * `arrived` and `consumed` are totals, and each source counts from a moment of its own. So only the
 * difference of two readings means something, unless reading_has_other_partitions().
 *
 * All fields are doubles: history.c keeps them as an array, with a bit for each of at most 16. A
 * new field goes before `value`, which stays last.
 */
struct reading {
    double waiting; /* not delivered to anybody yet, or not done, as the source counts */
    double waiting_for_activation; /* where activity is decided by another count than the value */
    double in_flight;              /* delivered and not acknowledged */
    double consumers;
    double partitions;
    double partitions_with_lag;
    double arrived;          /* a total, see above */
    double consumed;         /* a total, too: done, where the source knows, otherwise delivered */
    double arrival_rate;     /* per second */
    double consumption_rate; /* per second */
    double value;            /* of sources whose result is one number (SQL, PromQL) */
};

#define READING_UNKNOWN                                                                            \
    (struct reading)                                                                               \
    {                                                                                              \
        .waiting = NAN, .waiting_for_activation = NAN, .in_flight = NAN, .consumers = NAN,         \
        .partitions = NAN, .partitions_with_lag = NAN, .arrived = NAN, .consumed = NAN,            \
        .arrival_rate = NAN, .consumption_rate = NAN, .value = NAN                                 \
    }

/* Whether a topic or a partition was added or removed between the two. Then the totals differ by
 * all that it ever had, and `waiting` by all that waits there. False where the source reports none.
 */
static inline bool reading_has_other_partitions(const struct reading *before,
                                                const struct reading *now)
{
    return before->partitions < now->partitions || before->partitions > now->partitions;
}

/*
 * What a trigger may want in the readings of its query besides what the query counts, as its policy
 * goes by it. Several are a set.
 *
 * Where it costs the source more, it is measured only if a task wants it. A scaler leaves out what
 * it cannot measure, and fails for none of it.
 *
 * A new one goes at the end, as agents get the bits; it needs a row in policy_need_rows
 * (scale/policy/policy.c).
 */
enum reading_want {
    READING_WANT_IN_FLIGHT = 1 << 0,
    READING_WANT_CONSUMERS = 1 << 1,
    READING_WANT_RATES = 1 << 2, /* arrived and consumed, or their rates */
};
enum { READING_WANTS = 3 }; /* how many there are */

#endif
