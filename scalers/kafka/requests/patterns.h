/*
 * Patterns, and the topics of the cluster that match them.
 *
 * An answer that lists all topics is matched with all patterns, but for those that came after it
 * was requested: topics.h has the numbers.
 *
 * Threads: the measuring thread. Owner: struct kafka_metadata.
 */
#ifndef BACKLOG_SCALERS_KAFKA_REQUESTS_PATTERNS_H
#define BACKLOG_SCALERS_KAFKA_REQUESTS_PATTERNS_H

#include "base/hash_table.h"
#include "kafka/requests/topics.h"
#include "shared/regex.h"

/* A regular expression, and the topics that matched it when all of the cluster were last listed. */
struct kafka_pattern {
    char *text;
    struct regex *regex;
    struct kafka_topic **topics; /* NULL in it: the library refuses the name, or it lacks room */
    size_t count;           /* of all that matched; `topics` has them where they are not too many */
    size_t partition_count; /* of those */
    bool lacks_room;        /* one of them does: see kafka_topics_has_room() */

    /* patterns.c and metadata.c: */
    size_t max_partitions; /* `topics` has no more */
    size_t capacity;
    int64_t used_ms;
    int64_t received_ms;    /* 0: never */
    uint64_t first_request; /* the first one that can answer for it */
    bool is_outdated; /* a broker does not know one of its topics: only a listing tells whether that
                         is gone */
    UT_hash_handle hh;
};

struct kafka_patterns {
    struct kafka_topics *topics;
    struct kafka_pattern *table;
};

/* The pattern with this text; it is made where there is none, and used now. NULL: it cannot be
 * compiled. */
struct kafka_pattern *kafka_patterns_for(struct kafka_patterns *patterns, const char *text,
                                         int64_t now_ms);

/* The pattern with this text, which does not count as used. NULL: there is none. */
const struct kafka_pattern *kafka_patterns_find(const struct kafka_patterns *patterns,
                                                const char *text);

/* Forgets those that nobody has used for KAFKA_FORGET_MS, or all where it is CLOCK_NEVER; before
 * topics are forgotten, which they point to. */
void kafka_patterns_forget_old(struct kafka_patterns *patterns, int64_t now_ms);

/* Whether `topics` has all that matched. If not, the pattern cannot be measured. */
bool kafka_patterns_has_all_topics(const struct kafka_pattern *pattern);

/* Whether the last listing is new enough, and nothing has shown since that topics are gone. */
bool kafka_patterns_is_listed(const struct kafka_pattern *pattern, int64_t now_ms);

/* Matches all topics of the cluster, as the request of this number listed them. Those that match
 * are made where there are none yet; kafka_topics_take() then takes what is known of them. */
void kafka_patterns_take(struct kafka_patterns *patterns, uint64_t number,
                         const rd_kafka_metadata_t *listing, int64_t now_ms);

/* Outdates the patterns with a topic that, since it was listed, a broker did not know. */
void kafka_patterns_outdate(struct kafka_patterns *patterns);

#endif
