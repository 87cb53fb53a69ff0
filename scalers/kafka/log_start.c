#include "kafka/log_start.h"

#include <sys/param.h>

/* Whether the last answer is too old. */
static bool is_old(const struct kafka_log_start *log_start, int64_t now_ms)
{
    int64_t stayed_ms = log_start->answered_ms - log_start->unmoved_ms;
    int64_t wait_ms = MIN(MAX(stayed_ms, KAFKA_LOG_START_MS), KAFKA_LOG_START_MAX_MS);
    return log_start->answered_ms == 0 || now_ms - log_start->answered_ms >= wait_ms;
}

bool kafka_log_start_is_due(const struct kafka_log_start *log_start, int64_t committed,
                            int64_t latest, int64_t now_ms)
{
    if (committed >= latest)
        return false;
    if (latest < log_start->offset) /* the topic is another one, or the end is the older one */
        return true;
    bool was_at_the_end = committed >= log_start->caught_up &&
                          (log_start->behind_since_ms == 0 ||
                           now_ms - log_start->behind_since_ms < KAFKA_LOG_START_MS);
    return !was_at_the_end && is_old(log_start, now_ms);
}

void kafka_log_start_answer(struct kafka_log_start *log_start, int64_t offset, int64_t now_ms)
{
    if (offset < log_start->offset)
        *log_start = KAFKA_LOG_START_UNKNOWN;
    if (offset != log_start->offset || log_start->answered_ms == 0)
        log_start->unmoved_ms = now_ms;
    log_start->offset = offset;
    log_start->answered_ms = now_ms;
}

void kafka_log_start_note(struct kafka_log_start *log_start, int64_t committed, int64_t latest,
                          int64_t now_ms)
{
    if (committed == latest && latest != log_start->caught_up) {
        log_start->caught_up = latest;
        log_start->behind_since_ms = 0;
    } else if (committed < latest && committed >= log_start->caught_up &&
               log_start->behind_since_ms == 0) {
        log_start->behind_since_ms = now_ms;
    }
    if (committed < log_start->offset)
        log_start->removed_until = log_start->offset;
}
