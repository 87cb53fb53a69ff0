#include "measure/connection/query_plan.h"

#include "base/clock.h"
#include "measure/connection/connection_state.h"
#include "measure/connection/subscription.h"

#include <sys/param.h>

/* In standard intervals of 5 s. */
enum {
    BUSY_INTERVALS = 6,  /* of a stream whose trigger is active: polls measure it, too */
    IDLE_INTERVALS = 12, /* ... or idle: push_due_ms() counts, and this if a notification is lost */
};

/* What a stream needs beside the calls. */
static int64_t stream_interval_ms(const struct query *query)
{
    int64_t standard_ms = query->connection->settings->interval_ms;
    return (query->push.idle_interval_ms > 0 ? IDLE_INTERVALS : BUSY_INTERVALS) * standard_ms;
}

/* The shortest interval that a trigger sets. A trigger that sets none adds one in two cases: there
 * is a stream, or the query is slow. (No poll waits for a slow query, so that its reading must be
 * there before.) Otherwise its query is measured when its polls come. */
int64_t query_interval_ms(const struct query *query)
{
    int64_t standard_ms = query->connection->settings->interval_ms;
    int64_t interval_ms = interval_set_shortest_ms(&query->intervals);
    if (query->uses_without_interval > 0 && query->known.duration_ms >= CONNECTION_SLOW_MS)
        interval_ms = MIN(interval_ms, standard_ms);
    else if (query->uses_without_interval > 0 && query->streams > 0)
        interval_ms = MIN(interval_ms, stream_interval_ms(query));
    if (interval_ms == INT64_MAX)
        return 0;
    /* A long interval says that an old reading is good enough. An old error never is. */
    return query->known.last_attempt == ATTEMPT_FAILED ? MIN(interval_ms, standard_ms)
                                                       : interval_ms;
}

/* Queries are due at the same times, so that one round trip measures many of them: at multiples of
 * the interval, or of the standard interval where that is shorter, from when the connection was
 * made. Example: with an interval of 5 s, a query that was sent 12 s after that is due again after
 * 15 s. */
static int64_t interval_due_ms(const struct query *query, int64_t wanted_from_ms)
{
    int64_t interval_ms = query_interval_ms(query);
    int64_t made_at_ms = query->connection->made_at_ms;
    int64_t sent_ms = query->job.sent_ms;
    if (interval_ms == 0)
        return CLOCK_NEVER;
    bool lacks_wanted = (query->wants & ~query->task.wants) != 0; /* a new use wants more */
    if (sent_ms == INT64_MIN || lacks_wanted || query->was_away)
        return wanted_from_ms;
    /* A stream waits for the first message, whatever interval is set. */
    if (query->push.idle_interval_ms > 0)
        interval_ms = MIN(interval_ms, stream_interval_ms(query));
    int64_t latest_ms = sent_ms + interval_ms;
    int64_t standard_ms = query->connection->settings->interval_ms;
    return latest_ms - (latest_ms - made_at_ms) % MIN(interval_ms, standard_ms);
}

void query_plan(struct query *query, int64_t wanted_from_ms)
{
    struct connection *connection = query->connection;
    int64_t push_ms =
        push_due_ms(&query->push, query->job.sent_ms, subscription_spacing_ms(connection));
    int64_t due_ms = clock_earlier(interval_due_ms(query, wanted_from_ms), push_ms);
    due_ms = clock_earlier(due_ms, zero_due_ms(&query->zero, connection->scaler->zero_settles_ms));
    schedule_want(&connection->schedule, &query->job, due_ms, wanted_from_ms);
}
