/*
 * Which topics there are, which partitions they have, and which brokers lead them.
 *
 * One request is for all topics in use, or for all of the cluster where a pattern is; it runs in
 * the background, one at a time, and they are numbered from 1. Who needs something that is not
 * known well enough learns the number of the request to wait for:
 *
 *     uint64_t number = max(kafka_metadata_need_topic(), kafka_metadata_need_pattern(), ...)
 *     kafka_metadata_request(metadata, number);
 *     ... event_fd is readable: kafka_metadata_receive(), until kafka_metadata_has(number)
 *
 * Threads: the measuring thread. Owner: the session.
 */
#ifndef BACKLOG_SCALERS_KAFKA_REQUESTS_METADATA_H
#define BACKLOG_SCALERS_KAFKA_REQUESTS_METADATA_H

#include "base/hash_table.h"
#include "kafka/client/client.h"
#include "shared/regex.h"

/* A topic that the library requests with all the others, and what is known of it. It stays while it
 * is used, and for KAFKA_FORGET_MS more. */
struct kafka_topic {
    char *name;
    rd_kafka_topic_t *handle;
    int64_t used_ms;
    int64_t received_ms;       /* 0: nothing is known */
    int64_t confirmed_ms;      /* see kafka_metadata_confirm() */
    uint64_t first_request;    /* the first one that can answer for it */
    bool is_outdated;          /* what is known turned out wrong, and that was not answered yet */
    rd_kafka_resp_err_t error; /* of the topic as a whole */
    int32_t *leaders;          /* a broker's id per partition; -1: none */
    int32_t partitions;
    UT_hash_handle hh;
};

/* A regular expression, and the topics that matched it when all of the cluster were last listed. */
struct kafka_pattern {
    char *text;
    struct regex *regex;
    int64_t used_ms;
    int64_t received_ms; /* 0: never */
    uint64_t first_request;
    struct kafka_topic **topics;
    size_t count; /* of all that matched; `topics` has them where they are not too many */
    size_t partitions;
    size_t capacity;
    UT_hash_handle hh;
};

struct kafka_metadata;

struct kafka_metadata *kafka_metadata_new(struct kafka_client *client);

/* Frees all of it, after waiting for a request that is running. */
void kafka_metadata_free(struct kafka_metadata *metadata);

/* The topic of this name; it is made where there is none, and used now. NULL: the library refuses
 * the name. */
struct kafka_topic *kafka_metadata_topic_for(struct kafka_metadata *metadata, const char *name);

/* The pattern with this text; it is made where there is none, and used now. NULL: it cannot be
 * compiled. */
struct kafka_pattern *kafka_metadata_pattern_for(struct kafka_metadata *metadata, const char *text);

/* The pattern with this text, which does not count as used. NULL: there is none. */
const struct kafka_pattern *kafka_metadata_find_pattern(const struct kafka_metadata *metadata,
                                                        const char *text);

/* The number of the request to wait for. 0: the topic, or pattern, is known well enough. Where a
 * pattern needs another request than the one that is running, the next one is for all of the
 * cluster, whoever sends it. */
uint64_t kafka_metadata_need_topic(const struct kafka_metadata *metadata,
                                   const struct kafka_topic *topic);
uint64_t kafka_metadata_need_pattern(struct kafka_metadata *metadata,
                                     const struct kafka_pattern *pattern);

/* Sees to it that the request with this number is sent, once the one before has ended. */
void kafka_metadata_request(struct kafka_metadata *metadata, uint64_t number);

/* Whether the request with this number has been answered. */
bool kafka_metadata_has(const struct kafka_metadata *metadata, uint64_t number);

enum kafka_metadata_event {
    KAFKA_METADATA_NOTHING,
    KAFKA_METADATA_RECEIVED,
    KAFKA_METADATA_FAILED, /* the error says why; who waits calls kafka_metadata_request() again */
    KAFKA_METADATA_LOST,   /* the error says why, and no broker has answered anything since */
};
enum kafka_metadata_event kafka_metadata_receive(struct kafka_metadata *metadata,
                                                 struct error *error);

/* Why the last request failed; no error: it was answered, or none has ended yet. */
const struct error *kafka_metadata_failure(const struct kafka_metadata *metadata);

/* The id of the broker that leads the partition. -1: none is known. */
int32_t kafka_metadata_leader(const struct kafka_topic *topic, int32_t partition);

/* Notes that what is known of the topic turned out wrong (a leader moved): it is needed again, by a
 * request that is sent from now on. */
void kafka_metadata_outdate(struct kafka_metadata *metadata, struct kafka_topic *topic);

/*
 * Notes that a message of the topic has just come from the broker that was taken for its leader:
 * the measurement that this hastens need not request the topic again, unless a long time has
 * passed.
 */
void kafka_metadata_confirm(struct kafka_metadata *metadata, const char *name);

/* ---- the main handle is renewed: see measure/session.h ---- */

/* Whether a new main handle would help, as the library holds on to many topics that nobody measures
 * any more. */
bool kafka_metadata_need_renewal(const struct kafka_metadata *metadata);

/* Whether no request is running. */
bool kafka_metadata_is_quiet(const struct kafka_metadata *metadata);
void kafka_metadata_close_handle(struct kafka_metadata *metadata);
void kafka_metadata_open_handle(struct kafka_metadata *metadata);

#endif
