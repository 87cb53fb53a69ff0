/*
 * Requests for metadata. There are two kinds, and at most one request of each runs at a time, on a
 * thread in the background:
 *
 *     topics     for all topics in use
 *     listing    for all topics of the cluster, as patterns need. Its answer has the topics in use,
 *                too
 *
 * A batch collects in a struct kafka_metadata_need the numbers (topics.h) of the requests that it
 * must wait for. There are none if all is known already:
 *
 *     struct kafka_metadata_need need = {0};
 *     kafka_metadata_need_topic(metadata, topic, now_ms, &need);     for each topic
 *     kafka_metadata_need_pattern(metadata, pattern, now_ms, &need); for each pattern
 *     kafka_metadata_request(metadata, &need, deadline_ms, now_ms);
 *     ... event_fd is readable: kafka_metadata_receive(), until kafka_metadata_has(metadata, &need)
 *
 * Topics wait for a listing that runs, but only for 300 ms: a cluster may be too large to be
 * listed. Then they are requested, too. After a listing has failed they do not wait at all, until
 * one succeeds.
 *
 * Threads: the measuring thread. Owner: the session.
 */
#ifndef BACKLOG_SCALERS_KAFKA_REQUESTS_METADATA_H
#define BACKLOG_SCALERS_KAFKA_REQUESTS_METADATA_H

#include "kafka/client/client.h"
#include "kafka/requests/patterns.h"
#include "kafka/requests/topics.h"

enum kafka_metadata_kind {
    KAFKA_METADATA_TOPICS,
    KAFKA_METADATA_LISTING,
    KAFKA_METADATA_KINDS,
};

/*
 * The numbers of the requests to wait for: one of this number or a higher one must be answered. 0:
 * none.
 *
 *     listing    only a listing counts
 *     topics     both kinds count, so this may be the number of a listing. But a broker leaves out
 *                of a listing topics that do not exist, and topics that we may not describe. If it
 *                left out a topic that a batch holds, it does not count, and the topics are
 *                requested by name, which tells why
 */
struct kafka_metadata_need {
    uint64_t topics;
    uint64_t listing;
};

struct kafka_metadata;

struct kafka_metadata *kafka_metadata_new(struct kafka_client *client);

/* Waits for requests that run. No topic may be held any more. */
void kafka_metadata_free(struct kafka_metadata *metadata);

/* What has been answered. */
struct kafka_topics *kafka_metadata_topics(struct kafka_metadata *metadata);
struct kafka_patterns *kafka_metadata_patterns(struct kafka_metadata *metadata);

/* Adds to the need the request that will answer for the topic, or the pattern, unless it is known
 * well enough. */
void kafka_metadata_need_topic(const struct kafka_metadata *metadata,
                               const struct kafka_topic *topic, int64_t now_ms,
                               struct kafka_metadata_need *need);
void kafka_metadata_need_pattern(const struct kafka_metadata *metadata,
                                 const struct kafka_pattern *pattern, int64_t now_ms,
                                 struct kafka_metadata_need *need);

/* Adds to the need the request that will answer for the sizes of all topics, on which
 * kafka_handle_topics_has_room() depends. */
void kafka_metadata_need_sizes(const struct kafka_metadata *metadata,
                               struct kafka_metadata_need *need);

/* Whether the pattern with this text, which need not exist, needs a listing. */
bool kafka_metadata_needs_listing(const struct kafka_metadata *metadata, const char *text,
                                  int64_t now_ms);

/* Has the requests sent that are needed, now or as soon as they may be. `deadline_ms`: of the last
 * task that waits for them. */
void kafka_metadata_request(struct kafka_metadata *metadata, const struct kafka_metadata_need *need,
                            int64_t deadline_ms, int64_t now_ms);

/* Forgets topics and patterns that were not used for KAFKA_FORGET_MS. */
void kafka_metadata_forget_old(struct kafka_metadata *metadata, int64_t now_ms);

/* Whether all requests of the need are answered. */
bool kafka_metadata_has(const struct kafka_metadata *metadata,
                        const struct kafka_metadata_need *need);

/* Why the listing of the need is not sent now: the last one was too long, less than 30 s ago. NULL:
 * it is sent, or not needed. The text is valid until the next kafka_metadata_receive(). */
const char *kafka_metadata_reason_suspended(const struct kafka_metadata *metadata,
                                            const struct kafka_metadata_need *need, int64_t now_ms);

/* When to call kafka_metadata_receive() even if event_fd is not readable: a request is due then. */
int64_t kafka_metadata_next_ms(const struct kafka_metadata *metadata, int64_t now_ms);

enum kafka_metadata_event {
    KAFKA_METADATA_NOTHING,
    KAFKA_METADATA_RECEIVED,
    KAFKA_METADATA_FAILED, /* `error` says why; who waits calls kafka_metadata_request() again */
    KAFKA_METADATA_LOST,   /* `error` says why; brokers answer nothing else either */
};

/* Takes an answer, and sends the requests that are due. To be called until there is no answer. */
enum kafka_metadata_event kafka_metadata_receive(struct kafka_metadata *metadata, int64_t now_ms,
                                                 struct error *error);

/* Why the last request of this kind failed. No error is set if it was answered, or is the first. */
const struct error *kafka_metadata_failure(const struct kafka_metadata *metadata,
                                           enum kafka_metadata_kind kind);

/* ---- the main handle is renewed: see session.h ---- */

/* kafka_topics_has_too_many() */
bool kafka_metadata_needs_renewal(const struct kafka_metadata *metadata);

/* A request that runs goes on with the former handle. */
void kafka_metadata_close_handle(struct kafka_metadata *metadata);
void kafka_metadata_open_handle(struct kafka_metadata *metadata);

#endif
