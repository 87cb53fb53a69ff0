/*
 * Which topics there are, which partitions they have, and which brokers lead them.
 *
 * A request is for all topics in use. Where a pattern is in use it is for all topics of the
 * cluster: a listing, whose answer has the topics in use, too. Requests run in the background, and
 * are numbered from 1. A batch collects what it needs in a struct kafka_metadata_need, which holds
 * the numbers of the requests that the batch must wait for. It is empty if all is known already:
 *
 *     struct kafka_metadata_need need = {0};
 *     kafka_metadata_need_topic(), kafka_metadata_need_pattern(), ... of all that is needed
 *     kafka_metadata_request(metadata, &need);
 *     ... event_fd is readable: kafka_metadata_receive(), until kafka_metadata_has(&need)
 *
 * A cluster may be too large to be listed, or too slow. So the topics in use wait for a listing for
 * a short time only, and then are requested as well. After a listing that failed they do not wait
 * at all, until one is answered again. There is one request of each kind at a time.
 *
 * Threads: the measuring thread. Owner: the session.
 */
#ifndef BACKLOG_SCALERS_KAFKA_REQUESTS_METADATA_H
#define BACKLOG_SCALERS_KAFKA_REQUESTS_METADATA_H

#include "base/hash_table.h"
#include "kafka/client/client.h"
#include "shared/regex.h"

/* A topic that the library requests with all the others, and what is known of it. It stays until
 * kafka_metadata_forget_old() frees it: not while somebody holds it, and not before it has been
 * unused for KAFKA_FORGET_MS. */
struct kafka_topic {
    char *name;
    rd_kafka_topic_t *handle;
    size_t holds; /* see kafka_metadata_hold_topic() */
    int64_t used_ms;
    int64_t received_ms;       /* 0: nothing is known */
    int64_t confirmed_ms;      /* see kafka_metadata_confirm() */
    uint64_t first_request;    /* the first one that can answer for it */
    uint64_t last_request;     /* the one that what is known comes from; 0: nothing is */
    uint64_t listing;          /* the last one that named it, and that patterns were matched with */
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
    bool is_outdated; /* a broker does not know one of its topics: only a listing tells whether that
                         is gone */
    struct kafka_topic **topics;
    size_t count; /* of all that matched; `topics` has them where they are not too many */
    size_t partitions;
    size_t capacity;
    UT_hash_handle hh;
};

enum kafka_metadata_kind {
    KAFKA_METADATA_TOPICS, /* a request for all topics in use */
    KAFKA_METADATA_LISTING,
    KAFKA_METADATA_KINDS,
};

/* By kind: a request with this number, or a later one, must be answered. 0: none. */
struct kafka_metadata_need {
    uint64_t numbers[KAFKA_METADATA_KINDS];
};

struct kafka_metadata;

struct kafka_metadata *kafka_metadata_new(struct kafka_client *client);

/* Frees all of it, after waiting for a request that is running. Nobody holds a topic any more. */
void kafka_metadata_free(struct kafka_metadata *metadata);

/* The topic of this name; it is made where there is none, and used now. NULL: the library refuses
 * the name. */
struct kafka_topic *kafka_metadata_topic_for(struct kafka_metadata *metadata, const char *name,
                                             int64_t now_ms);

/* The same, for whoever keeps the topic: it stays until kafka_metadata_release_topic(), which takes
 * NULL, too. */
struct kafka_topic *kafka_metadata_hold_topic(struct kafka_metadata *metadata, const char *name,
                                              int64_t now_ms);
void kafka_metadata_release_topic(struct kafka_topic *topic);

/* The pattern with this text; it is made where there is none, and used now. NULL: it cannot be
 * compiled. */
struct kafka_pattern *kafka_metadata_pattern_for(struct kafka_metadata *metadata, const char *text,
                                                 int64_t now_ms);

/* The pattern with this text, which does not count as used. NULL: there is none. */
const struct kafka_pattern *kafka_metadata_find_pattern(const struct kafka_metadata *metadata,
                                                        const char *text);

/* Adds the request to wait for to the need, unless the topic, or pattern, is known well enough. */
void kafka_metadata_need_topic(const struct kafka_metadata *metadata,
                               const struct kafka_topic *topic, int64_t now_ms,
                               struct kafka_metadata_need *need);
void kafka_metadata_need_pattern(const struct kafka_metadata *metadata,
                                 const struct kafka_pattern *pattern, int64_t now_ms,
                                 struct kafka_metadata_need *need);

/* Whether the pattern with this text, which there may not be yet, needs a listing. */
bool kafka_metadata_needs_listing(const struct kafka_metadata *metadata, const char *text,
                                  int64_t now_ms);

/* Sees to it that the requests that are needed are sent, each in its time. */
void kafka_metadata_request(struct kafka_metadata *metadata, const struct kafka_metadata_need *need,
                            int64_t now_ms);

/* Forgets the topics and patterns that nobody has used for KAFKA_FORGET_MS. */
void kafka_metadata_forget_old(struct kafka_metadata *metadata, int64_t now_ms);

/* Whether all that is needed has been answered. */
bool kafka_metadata_has(const struct kafka_metadata *metadata,
                        const struct kafka_metadata_need *need);

/* When kafka_metadata_receive() is to be called at the latest, as a request is to be sent again.
 * CLOCK_NEVER: once event_fd is readable. */
int64_t kafka_metadata_next_ms(const struct kafka_metadata *metadata, int64_t now_ms);

enum kafka_metadata_event {
    KAFKA_METADATA_NOTHING,
    KAFKA_METADATA_RECEIVED,
    KAFKA_METADATA_FAILED, /* the error says why; who waits calls kafka_metadata_request() again */
    KAFKA_METADATA_LOST,   /* the error says why, and no broker has answered anything since */
};
/* Takes an answer, and sends what can be sent now. It is called until there is none. */
enum kafka_metadata_event kafka_metadata_receive(struct kafka_metadata *metadata, int64_t now_ms,
                                                 struct error *error);

/* Why the last request of this kind failed; no error: it was answered, or none has ended yet. */
const struct error *kafka_metadata_failure(const struct kafka_metadata *metadata,
                                           enum kafka_metadata_kind kind);

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
void kafka_metadata_confirm(struct kafka_metadata *metadata, const char *name, int64_t now_ms);

/* ---- the main handle is renewed: see measure/session.h ---- */

/* Whether a new main handle would help, as the library holds on to many topics that nobody measures
 * any more. */
bool kafka_metadata_needs_renewal(const struct kafka_metadata *metadata);

/* Whether no request is running. */
bool kafka_metadata_is_quiet(const struct kafka_metadata *metadata);
void kafka_metadata_close_handle(struct kafka_metadata *metadata);
void kafka_metadata_open_handle(struct kafka_metadata *metadata);

#endif
