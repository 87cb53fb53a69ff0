#include "kafka/lag.h"

#include <sys/param.h>

bool kafka_lag_is_invalid(int64_t committed, int64_t latest)
{
    return committed < 0 || committed > latest;
}

bool kafka_lag_needs_earliest(const struct kafka_query *query, int64_t committed, int64_t latest)
{
    return kafka_lag_is_invalid(committed, latest) && !query->scale_to_zero_on_invalid_offset &&
           query->offset_reset_policy == KAFKA_RESET_EARLIEST;
}

double kafka_lag_of(const struct kafka_query *query, int64_t committed, int64_t latest,
                    int64_t earliest)
{
    bool is_invalid = kafka_lag_is_invalid(committed, latest);
    if (is_invalid && query->scale_to_zero_on_invalid_offset)
        return 0;
    if (is_invalid && query->offset_reset_policy == KAFKA_RESET_LATEST)
        return 1;
    int64_t begin = is_invalid ? earliest : MAX(committed, earliest);
    /* The end was requested before the beginning, which moves on as messages expire. */
    return latest > begin ? (double)(latest - begin) : 0;
}
