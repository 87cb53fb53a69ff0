/*
 * What is known of topics: which partitions they have, and which brokers lead those. metadata.h
 * requests it.
 *
 * All requests for metadata share one sequence of numbers, from 1 on, in the order in which they
 * are sent. A topic, or a pattern (patterns.h), has the number of the first request that can answer
 * for it: the next one to be sent when it was made, or outdated. Of two answers that of the later
 * request is the newer one, whichever comes first.
 *
 * Threads: the measuring thread. Owner: struct kafka_metadata.
 */
#ifndef BACKLOG_SCALERS_KAFKA_REQUESTS_TOPICS_H
#define BACKLOG_SCALERS_KAFKA_REQUESTS_TOPICS_H

#include "base/hash_table.h"
#include "kafka/client/client.h"

/* A topic that the library requests with all the others, and what is known of it. Only topics.c
 * writes its fields. It stays until kafka_topics_forget_old() frees it: not while somebody holds
 * it, and not before it has been unused for KAFKA_FORGET_MS. */
struct kafka_topic {
    char *name;
    int64_t received_ms;       /* 0: nothing is known */
    rd_kafka_resp_err_t error; /* of the topic as a whole */
    int32_t *leaders;          /* a broker's id per partition; -1: none */
    int32_t partition_count;

    /* topics.c and, to read them, metadata.c: */
    rd_kafka_topic_t *rkt;
    size_t holds;   /* see kafka_topics_hold() */
    size_t counted; /* partitions, in `partitions` of the topics */
    bool is_sized;  /* their number was answered once */
    int64_t used_ms;
    int64_t confirmed_ms;   /* see kafka_topics_confirm() */
    uint64_t first_request; /* the first one that can answer for it */
    uint64_t known_from;    /* the one that what is known comes from; 0: nothing is */
    uint64_t listing;       /* see kafka_topics_note_listed() */
    bool is_outdated;       /* what is known turned out wrong, and that was not answered yet */
    UT_hash_handle hh;
};

/*
 * A query that is idle and watched is measured several times a second. New partitions and leaders
 * may wait a little longer, as one request is for all topics of the client.
 */
enum { KAFKA_TOPICS_FRESH_MS = 2000 };

struct kafka_topics {
    struct kafka_client *client;
    struct kafka_topic *table;
    uint64_t next_number; /* of a request; metadata.c counts */

    /* topics.c, of all topics that the main handle was given, as it frees none of them: */
    size_t made;
    size_t partitions;           /* of those in the table, and of former ones */
    size_t counted;              /* topics that have these */
    size_t largest;              /* how many of them one topic has, at most */
    size_t unsized;              /* topics in the table that are not sized yet */
    struct former_topic *former; /* forgotten since, by name */
    bool has_refused;            /* a topic, since the handle was made: it lacked room */
};

/* The topic of this name; it is made where there is none, and used now. NULL: there is no room for
 * it (kafka_topics_has_room()), or the library refuses the name. */
struct kafka_topic *kafka_topics_for(struct kafka_topics *topics, const char *name, int64_t now_ms);

/* The same of a topic of which a listing has the number of partitions. */
struct kafka_topic *kafka_topics_for_listed(struct kafka_topics *topics,
                                            const rd_kafka_metadata_topic_t *listed,
                                            int64_t now_ms);

/*
 * Whether the main handle has the topic, or room for it with so many partitions (0: not known).
 *
 * The number of a topic's partitions is known only once the handle has it. Until then it counts as
 * 100, or, once other topics are known, as twice their average, the largest one left out. Example
 * with room for 9,000 partitions, and 600 new topics of 20:
 *
 *     90 are requested, and then have 1,800 partitions; a further topic counts as 40
 *     180 more are requested, which makes 5,400 partitions; then 90 more, 45, 23 and so on
 *     150 are refused in the end, as 450 topics have 9,000 partitions
 */
bool kafka_topics_has_room(const struct kafka_topics *topics, const char *name, size_t partitions);

/* Notes that a task has failed as a topic has no room: a renewal that gives some back is of use. */
void kafka_topics_note_refused(struct kafka_topics *topics);

/* The topic of this name, which does not count as used. NULL: there is none. */
struct kafka_topic *kafka_topics_find(const struct kafka_topics *topics, const char *name);

/* As kafka_topics_for(), for whoever keeps the topic: it stays until kafka_topics_release(), which
 * takes NULL, too. */
struct kafka_topic *kafka_topics_hold(struct kafka_topics *topics, const char *name,
                                      int64_t now_ms);
void kafka_topics_release(struct kafka_topic *topic);

/* Forgets those that nobody has used for KAFKA_FORGET_MS, or all where it is CLOCK_NEVER: the main
 * handle ends. */
void kafka_topics_forget_old(struct kafka_topics *topics, int64_t now_ms);

/* Whether what is known of the topic is new enough, and not outdated. */
bool kafka_topics_is_fresh(const struct kafka_topic *topic, int64_t now_ms);

/* The id of the broker that leads the partition. -1: none is known. */
int32_t kafka_topics_leader(const struct kafka_topic *topic, int32_t partition);

/* Notes that what is known of the topic turned out wrong (a leader moved): it is needed again, by a
 * request that is sent from now on. */
void kafka_topics_outdate(const struct kafka_topics *topics, struct kafka_topic *topic);

/*
 * Notes that a message of the topic has just come from the broker that was taken for its leader:
 * the measurement that this hastens need not request the topic again, unless a long time has
 * passed.
 */
void kafka_topics_confirm(struct kafka_topics *topics, const char *name, int64_t now_ms);

/*
 * Takes what the request of this number answered of the topics. Those that it does not name are not
 * known any more, but for a listing: a broker leaves out of it what does not exist, and what we
 * have no right to describe; only a request by name tells the two apart.
 */
void kafka_topics_take(struct kafka_topics *topics, uint64_t number,
                       const rd_kafka_metadata_t *result, bool is_listing, int64_t now_ms);

/* Whether the listing of this number, which was taken, left out a topic that is held, and that
 * nothing else has answered for. */
bool kafka_topics_lacks_answer(const struct kafka_topics *topics, uint64_t number, int64_t now_ms);

/* Notes that the request of this number, which listed all topics, named this one. False: it did so
 * before. */
bool kafka_topics_note_listed(struct kafka_topic *topic, uint64_t number);

/* Whether a broker did not know the topic that an earlier request listed. */
bool kafka_topics_is_gone_since_listed(const struct kafka_topic *topic);

/* How many partitions all topics have. */
size_t kafka_topics_partitions(const struct kafka_topics *topics);

/* ---- the main handle is renewed: see session.h ---- */

/* Whether the handle holds on to many topics that nobody uses any more (workaround 6 of client.h),
 * or to any whose room others need. */
bool kafka_topics_has_too_many(const struct kafka_topics *topics);
void kafka_topics_close_handle(struct kafka_topics *topics);
void kafka_topics_open_handle(struct kafka_topics *topics);

#endif
