/*
 * The topics that the main handle has, and what they count for in memory.h. The library frees none
 * of them before the handle ends (workaround 6 of client.h), whether topics.h still uses it or not.
 *
 *     function    the topic                               what it counts for
 *
 *     _use()      is used. A new one has no size          nothing: _has_room() leaves it twice a
 *                                                         typical size
 *     _size()     has as many partitions as it ever had   these and KAFKA_MEMORY_TOPIC, also if it
 *                 in this handle                          does not exist
 *     _leave()    is not used                             the same
 *     _renew()    is gone if it is not used; or has as    the same
 *                 many partitions as were answered last
 *
 * Threads: the measuring thread. Owner: struct kafka_topics.
 */
#ifndef BACKLOG_SCALERS_KAFKA_REQUESTS_HANDLE_TOPICS_H
#define BACKLOG_SCALERS_KAFKA_REQUESTS_HANDLE_TOPICS_H

#include "base/hash_table.h"
#include "kafka/memory.h"

struct kafka_handle_topic {
    char *name;
    size_t partitions; /* the most that were answered; a topic that does not exist has none */
    size_t answered;   /* the last that were answered */
    bool is_used;
    bool is_sized; /* they were answered once */
    UT_hash_handle hh;
};

struct kafka_handle_topics {
    struct kafka_memory *memory;
    struct kafka_handle_topic *all;
    size_t used;       /* topics that are used */
    size_t unsized;    /* used ones without a size */
    size_t populated;  /* topics that have partitions */
    size_t partitions; /* of all */
    size_t largest;    /* partitions of the largest */
};

/* Finds the topic, or adds it, which the caller has just given to the handle. */
struct kafka_handle_topic *kafka_handle_topics_use(struct kafka_handle_topics *topics,
                                                   const char *name);

/* An answer says how many partitions the topic has, which is used. A topic that has fewer than
 * before was created again: the library keeps the former ones. */
void kafka_handle_topics_size(struct kafka_handle_topics *topics, struct kafka_handle_topic *topic,
                              size_t partitions);

/* The topic is not used any more. */
void kafka_handle_topics_leave(struct kafka_handle_topics *topics,
                               struct kafka_handle_topic *topic);

/* Another handle has the used topics, or the handle has ended without any. */
void kafka_handle_topics_renew(struct kafka_handle_topics *topics);

/*
 * Whether the handle has the topic, or room for it with so many partitions (0: not known).
 *
 * The size of a topic is known only once the handle has it. Until then it counts for 100
 * partitions, or, once other topics are known, for twice their average, the largest one left out.
 * So a new topic that is far larger than others may not fit in fact. Example with room for 9,000
 * partitions, and 600 new topics of 18, which count for 20 each:
 *
 *     90 are requested, and then count for 1,800; a further topic counts for 40
 *     180 more are requested, which makes 5,400; then 90 more, 45, 23 and so on
 *     150 are refused in the end, as 450 topics count for 9,000
 */
bool kafka_handle_topics_has_room(const struct kafka_handle_topics *topics, const char *name,
                                  size_t partitions);

/* What the used topics would count for in another handle. */
size_t kafka_handle_topics_of_renewed(const struct kafka_handle_topics *topics);

/* Whether most topics are not used. */
bool kafka_handle_topics_has_too_many(const struct kafka_handle_topics *topics);

#endif
