/*
 * The metadata of topics: their partitions, and the brokers that lead them. metadata.h requests it.
 *
 * All requests for metadata are numbered from 1 on, in the order in which they are sent. A topic,
 * or a pattern (patterns.h), has the number of the first request that can answer for it. Example:
 *
 *     request 7 is sent
 *     the topic orders is made     its first_request is 8, as request 7 does not name it
 *     request 7 is answered        who needs orders goes on waiting
 *     request 8 is answered        orders is known
 *     a leader of orders moves     orders is outdated, and its first_request is 9
 *
 * Answers may come in another order than the requests: the higher number is newer.
 *
 * Threads: the measuring thread. Owner: struct kafka_metadata.
 */
#ifndef BACKLOG_SCALERS_KAFKA_REQUESTS_TOPICS_H
#define BACKLOG_SCALERS_KAFKA_REQUESTS_TOPICS_H

#include "base/hash_table.h"
#include "kafka/client/client.h"
#include "kafka/log_start.h"
#include "kafka/requests/handle_topics.h"

/* A topic. The library requests the metadata of all that there are together. Only topics.c writes
 * its fields. kafka_topics_forget_old() frees it when it is not held, and has not been used for
 * KAFKA_FORGET_MS. */
struct kafka_topic {
    char *name;
    int64_t received_ms;       /* when the metadata came; 0: it is not known */
    rd_kafka_resp_err_t error; /* of the topic as a whole */
    int32_t *leaders;          /* a broker's id per partition; -1: it has no leader */
    int32_t partition_count;
    struct kafka_log_start *log_starts; /* of each partition; NULL: it was never answered for */

    /* topics.c and, to read them, metadata.c: */
    rd_kafka_topic_t *rkt;
    struct kafka_handle_topic *in_handle;
    size_t holds; /* see kafka_topics_hold() */
    int64_t used_ms;
    int64_t confirmed_ms;   /* see kafka_topics_confirm() */
    uint64_t first_request; /* the first request that can answer for it */
    uint64_t known_from;    /* the last request that named it in its answer; 0: none */
    uint64_t listing;       /* the last listing that named it; 0: none */
    bool is_outdated;       /* the metadata turned out wrong, and no newer one has come */
    UT_hash_handle hh;
};

/* Metadata is used for so long, as docs/reference.md says. An idle query may be measured twice a
 * second, and each request is for all topics of the client: one for each measurement would be four
 * times as many. */
enum { KAFKA_TOPICS_FRESH_MS = 2000 };

struct kafka_topics {
    struct kafka_client *client;
    struct kafka_topic *table;
    uint64_t next_number; /* of the next request; metadata.c writes it */

    struct kafka_handle_topics in_handle; /* those in the table, and those that were */
    bool has_refused;                     /* a topic lacked room since the handle was made */
};

/* Finds or makes the topic, and counts as a use. NULL: there is no room for it
 * (kafka_handle_topics_has_room()), or the library refuses the name. The header has it for tests.
 */
struct kafka_topic *kafka_topics_for(struct kafka_topics *topics, const char *name, int64_t now_ms);

/* The same for a topic of a listing, which has the number of its partitions. */
struct kafka_topic *kafka_topics_for_listed(struct kafka_topics *topics,
                                            const rd_kafka_metadata_topic_t *listed,
                                            int64_t now_ms);

/* Whether a topic's number of partitions is still to be answered. */
bool kafka_topics_await_sizes(const struct kafka_topics *topics);

/* Notes that a task has failed as a topic has no room: now a renewal that frees some is of use. */
void kafka_topics_note_refused(struct kafka_topics *topics);

/* Finds the topic, and does not count as a use. NULL: there is none. */
struct kafka_topic *kafka_topics_find(const struct kafka_topics *topics, const char *name);

/* As kafka_topics_for(), but the topic stays until kafka_topics_release(); that takes NULL, too. */
struct kafka_topic *kafka_topics_hold(struct kafka_topics *topics, const char *name,
                                      int64_t now_ms);
void kafka_topics_release(struct kafka_topic *topic);

/* Frees topics that were not used for KAFKA_FORGET_MS, and are not held. CLOCK_NEVER: all that are
 * not held, as the main handle ends. */
void kafka_topics_forget_old(struct kafka_topics *topics, int64_t now_ms);

/* Whether the metadata is new enough, and not outdated. */
bool kafka_topics_is_fresh(const struct kafka_topic *topic, int64_t now_ms);

/* The id of the broker that leads the partition. -1: it has no leader. */
int32_t kafka_topics_leader(const struct kafka_topic *topic, int32_t partition);

/* What is known of the partition's log start, for whoever counts or has its answer. NULL: the topic
 * has no such partition any more; so it is for a `topic` of NULL. */
struct kafka_log_start *kafka_topics_log_start(struct kafka_topic *topic, int32_t partition);

/* Notes that the metadata turned out wrong (a leader moved): only a request that is sent from now
 * on can answer for the topic. */
void kafka_topics_outdate(const struct kafka_topics *topics, struct kafka_topic *topic);

/* Notes that a message has just come from a broker that we took for the leader. So the measurement
 * that the message leads to need not request the metadata (CONFIRMED_FRESH_MS). */
void kafka_topics_confirm(struct kafka_topics *topics, const char *name, int64_t now_ms);

/* Counts the partitions of topics in the table that the listing of this number names. So patterns
 * match beside topics of known size (kafka_handle_topics_has_room()). */
void kafka_topics_count_listed(struct kafka_topics *topics, uint64_t number,
                               const rd_kafka_metadata_t *listing);

/* Takes the answer of the request of this number. Topics that it does not name are not known any
 * more. Not so for a listing, which leaves out topics (struct kafka_metadata_need). */
void kafka_topics_take(struct kafka_topics *topics, uint64_t number,
                       const rd_kafka_metadata_t *result, bool is_listing, int64_t now_ms);

/* Whether the listing of this number, which was taken, left out a topic that is held and not known
 * from another answer. */
bool kafka_topics_lacks_answer(const struct kafka_topics *topics, uint64_t number, int64_t now_ms);

/* Notes that the listing of this number named the topic. False: for the second time. */
bool kafka_topics_note_listed(struct kafka_topic *topic, uint64_t number);

/* Whether a broker did not know the topic in a request after the last listing that named it. */
bool kafka_topics_is_gone_since_listed(const struct kafka_topic *topic);

/* ---- the main handle is renewed: see session.h ---- */

/* Whether the handle has many topics that are not used any more (workaround 6 of client.h), or any
 * whose room others need. */
bool kafka_topics_has_too_many(const struct kafka_topics *topics);
void kafka_topics_close_handle(struct kafka_topics *topics);
void kafka_topics_open_handle(struct kafka_topics *topics);

#endif
