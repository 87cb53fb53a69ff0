/*
 * Zero: whether a reading of nothing counts already. For a moment after a restart or an election
 * some brokers report 0 whatever waits: a new leader that has not counted yet, a queue that has no
 * leader now. A 0 removes workers, so such a 0 must be confirmed.
 *
 * For how long a source may do that is its scaler's zero_settles_ms. Two counts of a reading are
 * looked at, `waiting` and `in_flight`, as a trigger's value may be either of them or their sum. A
 * reading is in doubt if
 *
 *     a count is not above 0 that was above 0 in the reading before, or
 *     neither is above 0, and the client is younger than zero_settles_ms, or the attempt before
 *     failed, or the reading before was in doubt.
 *
 * It counts if its request was sent zero_settles_ms after a reading with the same counts in doubt
 * had come, or later, on the same client, and these were in doubt in all readings since. (The
 * source may have begun to report 0 while it worked on the first request.) A reading that is not in
 * doubt counts at once, and ends the doubt. A failed attempt ends it, too: the next 0 begins
 * another one.
 *
 * What does not count is no reading: the one before stays, and is outdated. The query is due again
 * when the 0 can be confirmed. The attempt was answered all the same: the connection works.
 *
 * Example with 500: at 0 a reading has 7, at 100 and 300 it has 0. Neither counts. The query is due
 * at 600: if it has 0 then, that counts; if it has 7, no 0 was ever seen.
 *
 * Threads: as connection.h has it. Owner: its query, which it is a part of.
 */
#ifndef BACKLOG_MEASURE_CONNECTION_ZERO_H
#define BACKLOG_MEASURE_CONNECTION_ZERO_H

#include "measure/reading.h"

#include <stdbool.h>
#include <stdint.h>

/* Start from {0}. */
struct zero {
    unsigned counts;  /* bits of the counts that are in doubt */
    int64_t since_ms; /* when the first reading in doubt came; 0: none did */
};

/* A reading, and what else is known. */
struct zero_facts {
    const struct reading *reading;
    const struct reading *before; /* that counted last; NULL: none did */
    bool has_failed;              /* the last attempt before that was no reading in doubt */
    int64_t settles_ms;           /* zero_settles_ms */
    int64_t client_since_ms;
    int64_t sent_ms; /* its request */
    int64_t now_ms;  /* it comes */
};

/* False: the reading does not count yet. */
bool zero_counts(struct zero *zero, const struct zero_facts *facts);

/* The query's attempt failed. */
void zero_end(struct zero *zero);

/* When the query is to be measured to confirm its 0; CLOCK_NEVER: it has none in doubt. */
int64_t zero_due_ms(const struct zero *zero, int64_t settles_ms);

#endif
