#include "kafka/log_start.h"

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
    return !was_at_the_end &&
           (log_start->answered_ms == 0 || now_ms - log_start->answered_ms >= KAFKA_LOG_START_MS);
}

void kafka_log_start_answer(struct kafka_log_start *log_start, int64_t offset, int64_t now_ms)
{
    if (offset < log_start->offset)
        *log_start = KAFKA_LOG_START_UNKNOWN;
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
