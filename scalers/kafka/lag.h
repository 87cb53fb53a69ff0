/*
 * What one partition counts, from its offsets: the group's commit (-1: there is none), the end, and
 * the log start.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_SCALERS_KAFKA_LAG_H
#define BACKLOG_SCALERS_KAFKA_LAG_H

#include "kafka/options.h"

/*
 * A commit beyond the end is of an earlier topic of this name: its consumers would start by
 * offsetResetPolicy, as if there were none, so it counts as none. (KEDA sums it as a negative lag.)
 */
bool kafka_lag_is_invalid(int64_t committed, int64_t latest);

/* Whether kafka_lag_of() begins at `earliest`, as there is no valid commit. */
bool kafka_lag_needs_earliest(const struct kafka_query *query, int64_t committed, int64_t latest);

/* Counts the messages behind a valid commit that were not removed: those before `earliest` were.
 * Without a valid commit the lag is 0, 1 or all that the partition has, as the query says. */
double kafka_lag_of(const struct kafka_query *query, int64_t committed, int64_t latest,
                    int64_t earliest);

#endif
