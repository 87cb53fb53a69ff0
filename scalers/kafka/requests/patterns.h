/*
 * Patterns: regular expressions as `topic`, and the topics that match them.
 *
 * A listing, which is a request for all topics of the cluster, is matched with all patterns that
 * were made before it was sent (topics.h has the numbers).
 *
 * Threads: the measuring thread. Owner: struct kafka_metadata.
 */
#ifndef BACKLOG_SCALERS_KAFKA_REQUESTS_PATTERNS_H
#define BACKLOG_SCALERS_KAFKA_REQUESTS_PATTERNS_H

#include "base/hash_table.h"
#include "kafka/requests/topics.h"
#include "shared/regex.h"

/* A regular expression, and the topics that matched it in the last listing. */
struct kafka_pattern {
    char *text;
    struct regex *regex;
    struct kafka_topic **topics; /* if kafka_patterns_has_all_topics(), all that matched. NULL in
                                    it: the library refuses the name, or there is no room */
    size_t count;                /* of topics that matched */
    size_t partition_count;      /* of all these topics */
    bool lacks_room;             /* for one of them: see kafka_handle_topics_has_room() */

    /* measure/partitions.c: */
    uint64_t counting; /* the last kafka_partitions_count() that counted it */

    /* patterns.c and metadata.c: */
    size_t max_partitions; /* with more, `topics` does not have all */
    size_t capacity;
    bool has_no_memory; /* for a longer `topics` */
    int64_t used_ms;
    int64_t received_ms;    /* when the listing came; 0: never */
    uint64_t first_request; /* the first request that can answer for it */
    bool is_outdated;       /* list the topics again: a broker does not know one of them, or one
                               lacked room beside topics of unknown size */
    UT_hash_handle hh;
};

struct kafka_patterns {
    struct kafka_topics *topics;
    struct kafka_pattern *table;

    /* measure/partitions.c: */
    uint64_t counting; /* the number of the last kafka_partitions_count() that met a pattern */
};

/* Finds or makes the pattern with this text, and counts as a use. NULL: it cannot be compiled. */
struct kafka_pattern *kafka_patterns_for(struct kafka_patterns *patterns, const char *text,
                                         int64_t now_ms);

/* Finds the pattern with this text, and does not count as a use. NULL: there is none. */
struct kafka_pattern *kafka_patterns_find(const struct kafka_patterns *patterns, const char *text);

/* Forgets patterns that were not used for KAFKA_FORGET_MS; CLOCK_NEVER: all. To be called before
 * kafka_topics_forget_old(), as patterns point to topics. */
void kafka_patterns_forget_old(struct kafka_patterns *patterns, int64_t now_ms);

/* The bytes of a list of the topics that match, at most: it has a pointer for each, and grows to
 * twice its length. With more topics than may be measured there is no list of them. */
size_t kafka_patterns_list_bytes(const struct kafka_pattern *pattern);

/* Whether a topic lacks room only by an estimate: the next listing shows whether it does. */
bool kafka_patterns_awaits_room(const struct kafka_pattern *pattern);

/* Whether `topics` has all topics that matched. If too many match it has not, and the pattern
 * cannot be measured. */
bool kafka_patterns_has_all_topics(const struct kafka_pattern *pattern);

/* Whether the last listing is new enough, and the pattern is not outdated. */
bool kafka_patterns_is_listed(const struct kafka_pattern *pattern, int64_t now_ms);

/* Matches the topics in the listing of this number, and makes those that match. Topics that were
 * there before have their sizes by then. To be called before kafka_topics_take(), which takes the
 * metadata of all. */
void kafka_patterns_take(struct kafka_patterns *patterns, uint64_t number,
                         const rd_kafka_metadata_t *listing, int64_t now_ms);

/* Outdates the patterns with a topic that may be gone (kafka_topics_is_gone_since_listed()). */
void kafka_patterns_outdate(struct kafka_patterns *patterns);

#endif
