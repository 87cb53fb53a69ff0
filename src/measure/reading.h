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
 * `arrived` and `consumed` are totals. Each source counts them from a moment of its own, so that
 * only the difference of two readings means something. Two readings with other partitions
 * (reading_has_other_partitions()) have no such difference.
 *
 * All fields are doubles: history.c keeps them as an array, with a bit for each of at most 16. A
 * new field goes before `value`, which stays last.
 */
struct reading {
    double waiting; /* not delivered yet or, where the source counts that, not done yet */
    double waiting_for_activation; /* if activity goes by another count than the value */
    double in_flight;              /* delivered and not acknowledged */
    double consumers;
    double partitions;
    double partitions_with_lag;
    double arrived;          /* a total */
    double consumed;         /* a total: done, or delivered if the source knows no more */
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

/* Whether a topic or a partition was added or removed between the two readings. Then the totals
 * differ by all messages that it ever had, and `waiting` by all that wait there. False if the
 * source reports no partitions. */
static inline bool reading_has_other_partitions(const struct reading *before,
                                                const struct reading *now)
{
    return before->partitions < now->partitions || before->partitions > now->partitions;
}

/*
 * Fields that a trigger's policy needs besides what its query counts; bits of a set. A field that
 * costs the source more is measured only if a task wants it. A scaler leaves out a wanted field
 * that it cannot measure, and does not fail for it.
 *
 * A new bit goes at the end, as agents get the bits, and has a row in policy_need_rows
 * (scale/policy/policy.c).
 */
enum reading_want {
    READING_WANT_IN_FLIGHT = 1 << 0,
    READING_WANT_CONSUMERS = 1 << 1,
    READING_WANT_RATES = 1 << 2, /* arrived and consumed, or their rates */
};
enum { READING_WANTS = 3 }; /* the number of bits */

#endif
