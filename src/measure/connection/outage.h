/*
 * Outage: since when a query has no usable reading. From that time on an active reading is held
 * (scale/answer/answer.h). The time must not change while the outage lasts, or the hold would begin
 * again. Only a reading ends an outage.
 *
 *     a call waits              sets unanswered_since_ms, until an attempt ends
 *     an attempt fails          sets failing_since_ms, once: to now or, if that is earlier, to
 *                               unanswered_since_ms or no_reading_since_ms
 *     the connection fails      sets nothing: the connection has the time, and passes it in
 *     the connection is back    sets no_reading_since_ms, once: to when the connection failed
 *     the query takes another   sets joined_ms to now, and has the two other times of the other
 *     one's place (inherit.h)   query from now on
 *     a reading                 sets all to 0
 *
 * Example: the connection fails at 100 and is back at 200, and an attempt fails at 250.
 * outage_since_ms() is 100 at 150; at 210 it is 0, as nothing fails, and
 * outage_no_reading_since_ms() is 100; at 260 outage_since_ms() is 100 again.
 *
 * Times are milliseconds of one clock, which the caller passes in; 0: there is none.
 *
 * Threads: as connection.h has it. Owner: its query, which it is a part of.
 */
#ifndef BACKLOG_MEASURE_CONNECTION_OUTAGE_H
#define BACKLOG_MEASURE_CONNECTION_OUTAGE_H

#include <stdint.h>

struct outage {
    int64_t unanswered_since_ms; /* since when a call waits: the first one, if several do */
    /* Since when no reading came, whether a call waits or not: the connection, which is back, had
     * failed then; or it is outage_no_reading_since_ms() of the other query. */
    int64_t no_reading_since_ms;
    int64_t failing_since_ms; /* since when all attempts failed */
    int64_t joined_ms;        /* when the query took the place of another one */
};

void outage_call(struct outage *outage, int64_t now_ms);

void outage_attempt_failed(struct outage *outage, int64_t now_ms);
void outage_connected(struct outage *outage, int64_t connection_failed_ms);
void outage_reading(struct outage *outage);

/* The outage of the other query goes on in this one: the times are its outage_since_ms() and its
 * outage_no_reading_since_ms(). A failure of this query's own connection, and the wait of its
 * calls, count from `now_ms` on. */
void outage_inherit(struct outage *outage, int64_t failing_since_ms, int64_t no_reading_since_ms,
                    int64_t now_ms);

/* Since when no reading came though one was due; 0: none was. It is for a query whose last attempt
 * did not fail: a call waits, or the connection had failed and is back. */
int64_t outage_no_reading_since_ms(const struct outage *outage);

/* Since when measuring the query fails; 0: it does not. `connection_failed_ms` is when its
 * connection failed; 0: it works. */
int64_t outage_since_ms(const struct outage *outage, int64_t connection_failed_ms);

#endif
