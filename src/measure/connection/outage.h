/*
 * Outage: since when there is no usable reading of a query. An active reading is held from then on
 * (scale/answer/answer.h), and a hold must not begin twice.
 *
 *     a call waits              unanswered, until an attempt ends: a reading, or it failed
 *     an attempt failed         failing, since it failed or, if that was earlier, since it is
 *                               unanswered or its connection failed; until a reading
 *     the connection failed     of all its queries then; the time is the connection's, passed in
 *     it is connected again     the query notes that time, until a reading: a connection alone ends
 *                               no outage
 *     it takes another's place  the other one's outage goes on in it; what kept this one from a
 *                               reading, or its connection, counts from then on
 *     a reading                 ends all of it
 *
 * All times are milliseconds of one clock that the caller passes in; 0: there is none.
 *
 * Threads: as connection.h has it. Owner: its query, which it is a part of.
 */
#ifndef BACKLOG_MEASURE_CONNECTION_OUTAGE_H
#define BACKLOG_MEASURE_CONNECTION_OUTAGE_H

#include <stdint.h>

struct outage {
    int64_t unanswered_since_ms; /* the first call that waits */
    /* Since when no reading came, whether a call waits or not: its connection failed then, which is
     * connected again; or the query whose place it takes had none since then. */
    int64_t no_reading_since_ms;
    int64_t failing_since_ms; /* the last attempt failed */
    int64_t joined_ms;        /* it took another one's place, and no reading came since */
};

/* A call waits. The first one since the last attempt ended counts. */
void outage_call(struct outage *outage, int64_t now_ms);

void outage_attempt_failed(struct outage *outage, int64_t now_ms);
void outage_connected(struct outage *outage, int64_t connection_failed_ms);
void outage_reading(struct outage *outage);

/* The query takes the place of another one, whose outage goes on until this one has a reading:
 * since when that one was failing, and its outage_no_reading_since_ms(). */
void outage_inherit(struct outage *outage, int64_t failing_since_ms, int64_t no_reading_since_ms,
                    int64_t now_ms);

/* Of a query whose last attempt did not fail: since when no reading came, though a call waits or
 * its connection failed. */
int64_t outage_no_reading_since_ms(const struct outage *outage);

/* Since when measuring it fails. connection_failed_ms: when its connection failed, if that is
 * failed now. */
int64_t outage_since_ms(const struct outage *outage, int64_t connection_failed_ms);

#endif
