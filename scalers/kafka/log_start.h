/*
 * What is known of the log start of a partition, its first offset. Retention and DeleteRecords move
 * it, maybe beyond the commits of a stopped group: what they removed is not waiting any more.
 *
 * To request it in each measurement would cost each leader one more request. So it is requested
 * where a commit is behind the end, and again after as long as it has stayed where it is: after 5
 * to 60 seconds. (Kafka itself looks every 5 minutes what has expired.) A commit that was at the
 * end when it was last looked at needs none at first, so that the first message of an idle
 * partition is counted by as few requests as it can be.
 *
 *     seconds   commit   end   log start
 *
 *      0        100      100                no message is waiting
 *     60        100      110                10 are, and no request is sent
 *     65        100      110   ?, then 105  the commit has not moved: 5 of them have expired
 *     70        100      110   105, ?       it is asked for again at 75, 85, 105, 145, 205 ...
 *
 * Threads: the measuring thread. Owner: the topic (requests/topics.h).
 */
#ifndef BACKLOG_SCALERS_KAFKA_LOG_START_H
#define BACKLOG_SCALERS_KAFKA_LOG_START_H

#include <stdbool.h>
#include <stdint.h>

enum { KAFKA_LOG_START_MS = 5000, KAFKA_LOG_START_MAX_MS = 60 * 1000 };

struct kafka_log_start {
    int64_t offset;          /* as it was last answered; 0: nothing is known to be removed */
    int64_t answered_ms;     /* 0: never */
    int64_t unmoved_ms;      /* since when each answer was this offset */
    int64_t caught_up;       /* the end where a commit was last found; INT64_MAX: never */
    int64_t behind_since_ms; /* since when commits from there on are behind it; 0: they are not */
    int64_t removed_until;   /* what is before it was removed before a group could consume it */
};

#define KAFKA_LOG_START_UNKNOWN ((struct kafka_log_start){.caught_up = INT64_MAX})

/* Whether the log start is to be requested to count what is between a valid commit and the end. */
bool kafka_log_start_is_due(const struct kafka_log_start *log_start, int64_t committed,
                            int64_t latest, int64_t now_ms);

/* Notes an answer. An offset below the last one is that of another topic of this name. */
void kafka_log_start_answer(struct kafka_log_start *log_start, int64_t offset, int64_t now_ms);

/* Notes what was counted: a commit (-1: none that is valid), and the end. */
void kafka_log_start_note(struct kafka_log_start *log_start, int64_t committed, int64_t latest,
                          int64_t now_ms);

#endif
