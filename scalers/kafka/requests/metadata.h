/*
 * Requests for metadata: which topics there are, and what is to be known of them.
 *
 * A request is for all topics in use. Where a pattern is in use it is for all topics of the
 * cluster: a listing, whose answer has the topics in use, too. Requests run in the background, and
 * are numbered (topics.h). A batch collects what it needs in a struct kafka_metadata_need, which
 * holds the numbers of the requests that it must wait for. It is empty if all is known already:
 *
 *     struct kafka_metadata_need need = {0};
 *     kafka_metadata_need_topic(metadata, topic, now_ms, &need), ... of all that is needed
 *     kafka_metadata_request(metadata, &need, now_ms);
 *     ... event_fd is readable: kafka_metadata_receive(), until kafka_metadata_has(metadata, &need)
 *
 * A cluster may be too large to be listed, or too slow. So the topics in use wait for a listing for
 * a short time only, and then are requested as well. After a listing that failed they do not wait
 * at all, until one is answered again. There is one request of each kind at a time.
 *
 * Threads: the measuring thread. Owner: the session.
 */
#ifndef BACKLOG_SCALERS_KAFKA_REQUESTS_METADATA_H
#define BACKLOG_SCALERS_KAFKA_REQUESTS_METADATA_H

#include "kafka/client/client.h"
#include "kafka/requests/patterns.h"
#include "kafka/requests/topics.h"

enum kafka_metadata_kind {
    KAFKA_METADATA_TOPICS, /* a request for all topics in use */
    KAFKA_METADATA_LISTING,
    KAFKA_METADATA_KINDS,
};

/*
 * The numbers of the requests to wait for: this one, or a later one, must be answered. 0: none.
 *
 *     listing    the answer of a listing counts
 *     topics     the answer of either kind counts, so that this may be the number of a listing
 *                that is running. But a broker leaves out of a listing what does not exist, and
 *                what we have no right to describe: where a topic that somebody holds is left out,
 *                the listing does not count, and the topics are requested by name
 */
struct kafka_metadata_need {
    uint64_t topics;
    uint64_t listing;
};

struct kafka_metadata;

struct kafka_metadata *kafka_metadata_new(struct kafka_client *client);

/* Frees all of it, after waiting for a request that is running. Nobody holds a topic any more. */
void kafka_metadata_free(struct kafka_metadata *metadata);

/* What is known. */
struct kafka_topics *kafka_metadata_topics(struct kafka_metadata *metadata);
struct kafka_patterns *kafka_metadata_patterns(struct kafka_metadata *metadata);

/* Adds the request to wait for to the need, unless the topic, or pattern, is known well enough. */
void kafka_metadata_need_topic(const struct kafka_metadata *metadata,
                               const struct kafka_topic *topic, int64_t now_ms,
                               struct kafka_metadata_need *need);
void kafka_metadata_need_pattern(const struct kafka_metadata *metadata,
                                 const struct kafka_pattern *pattern, int64_t now_ms,
                                 struct kafka_metadata_need *need);

/* The same for the sizes of all topics, on which it depends whether there is room for another one.
 */
void kafka_metadata_need_sizes(const struct kafka_metadata *metadata,
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

/* Why what is needed is not even requested now: the last listing was too long, less than half a
 * minute ago. NULL: it is. The text is valid until the next call of kafka_metadata_receive(). */
const char *kafka_metadata_reason_suspended(const struct kafka_metadata *metadata,
                                            const struct kafka_metadata_need *need, int64_t now_ms);

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

/* ---- the main handle is renewed: see session.h ---- */

/* Whether a new main handle would help, as the library holds on to many topics that nobody measures
 * any more. */
bool kafka_metadata_needs_renewal(const struct kafka_metadata *metadata);

/* A request that is running goes on with the handle that it has. */
void kafka_metadata_close_handle(struct kafka_metadata *metadata);
void kafka_metadata_open_handle(struct kafka_metadata *metadata);

#endif
