#include "measure/connection/outage.h"

#include <sys/param.h>

static int64_t earlier(int64_t one_ms, int64_t other_ms)
{
    if (one_ms == 0 || other_ms == 0)
        return MAX(one_ms, other_ms);
    return MIN(one_ms, other_ms);
}

void outage_call(struct outage *outage, int64_t now_ms)
{
    if (outage->unanswered_since_ms == 0)
        outage->unanswered_since_ms = now_ms;
}

void outage_attempt_failed(struct outage *outage, int64_t now_ms)
{
    if (outage->failing_since_ms == 0)
        outage->failing_since_ms = earlier(now_ms, outage_no_reading_since_ms(outage));
    outage->unanswered_since_ms = 0;
}

void outage_connected(struct outage *outage, int64_t connection_failed_ms)
{
    if (outage->no_reading_since_ms == 0)
        outage->no_reading_since_ms = MAX(connection_failed_ms, outage->joined_ms);
}

void outage_reading(struct outage *outage)
{
    *outage = (struct outage){0};
}

void outage_inherit(struct outage *outage, int64_t failing_since_ms, int64_t no_reading_since_ms,
                    int64_t now_ms)
{
    outage->joined_ms = now_ms;
    if (outage->unanswered_since_ms > 0)
        outage->unanswered_since_ms = now_ms;
    outage->failing_since_ms = failing_since_ms;
    outage->no_reading_since_ms = earlier(outage->no_reading_since_ms, no_reading_since_ms);
}

int64_t outage_no_reading_since_ms(const struct outage *outage)
{
    return earlier(outage->unanswered_since_ms, outage->no_reading_since_ms);
}

int64_t outage_since_ms(const struct outage *outage, int64_t connection_failed_ms)
{
    if (connection_failed_ms == 0)
        return outage->failing_since_ms;
    return earlier(MAX(connection_failed_ms, outage->joined_ms),
                   earlier(outage_no_reading_since_ms(outage), outage->failing_since_ms));
}
