#include "kafka/requests/metadata.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "kafka/client/background.h"
#include "kafka/client/settings.h"

#include <assert.h>
#include <stddef.h>
#include <sys/param.h>

/* Each try goes to a random broker, which may hang (workaround 8). The last one takes half of the
 * time that those who wait have left, as all brokers may be slow; but not much more, as others wait
 * for the same request. With the default of --measure-timeout the tries take 0.3, 0.6 and 1 s. */
enum {
    TRIES = 3,
    FIRST_TRY_MS = 300,
    SECOND_TRY_MS = 600,
    LAST_TRY_MIN_MS = 900,
    LAST_TRY_MAX_MS = 5000,
};

/* All tries of a request may have met the broker that hangs, but hardly those of two requests. */
enum { MAX_FAILURES = 2 };

/*
 * How long after its failure a request is sent again:
 *
 *     topics                        at once
 *     no thread could be started    500 ms
 *     topics, the reply too long    500 ms
 *     listing                       500 ms
 *     listing, the reply too long   30 s: it is suspended until then
 */
enum {
    AGAIN_MS = 500,
    TOO_LONG_AGAIN_MS = 30 * 1000,
};

struct request {
    struct kafka_background_call base;
    rd_kafka_t *rk; /* held (kafka_handles_hold()) */
    enum kafka_metadata_kind kind;
    uint64_t number;
    int64_t sent_ms;
    int tries_ms[TRIES];
    rd_kafka_resp_err_t error;
    const rd_kafka_metadata_t *result;
};
_Static_assert(offsetof(struct request, base) == 0, "a pointer to it is one to the struct");

/* One kind of requests. A listing that counts for topics, too, raises `received` of both kinds. */
struct kind_state {
    struct request *running;
    uint64_t received;    /* the highest number that is answered */
    uint64_t wanted;      /* the highest number that a batch needs */
    int64_t again_ms;     /* no request is sent before */
    bool is_suspended;    /* until again_ms: the last reply, of a listing, was too long */
    struct error failure; /* of the last request; not set if it was answered */
};

struct kafka_metadata {
    struct kafka_client *client;
    struct kafka_topics topics;
    struct kafka_patterns patterns;
    struct kafka_background *background;
    struct kind_state kinds[KAFKA_METADATA_KINDS];
    int64_t deadline_ms;         /* of the last one of all who have waited */
    unsigned failures;           /* of requests for topics, since brokers last answered anything */
    int64_t unanswered_since_ms; /* when the first request that failed since then was sent */
};

struct kafka_metadata *kafka_metadata_new(struct kafka_client *client)
{
    struct kafka_metadata *metadata = memory_new(sizeof(*metadata));
    metadata->client = client;
    metadata->topics = (struct kafka_topics){
        .client = client, .next_number = 1, .in_handle.memory = &client->memory};
    metadata->patterns.topics = &metadata->topics;
    metadata->background = kafka_background_new(client->event_fd);
    return metadata;
}

struct kafka_topics *kafka_metadata_topics(struct kafka_metadata *metadata)
{
    return &metadata->topics;
}

struct kafka_patterns *kafka_metadata_patterns(struct kafka_metadata *metadata)
{
    return &metadata->patterns;
}

void kafka_metadata_forget_old(struct kafka_metadata *metadata, int64_t now_ms)
{
    kafka_patterns_forget_old(&metadata->patterns, now_ms);
    kafka_topics_forget_old(&metadata->topics, now_ms);
}

static void request_free(struct kafka_metadata *metadata, struct request *request)
{
    if (request->result != NULL)
        rd_kafka_metadata_destroy(request->result);
    kafka_handles_release(&metadata->client->handles, request->rk);
    free(request);
}

void kafka_metadata_free(struct kafka_metadata *metadata)
{
    kafka_background_free(metadata->background);
    for (size_t i = 0; i < KAFKA_METADATA_KINDS; i++) {
        if (metadata->kinds[i].running != NULL)
            request_free(metadata, metadata->kinds[i].running);
        error_done(&metadata->kinds[i].failure);
    }
    kafka_metadata_forget_old(metadata, CLOCK_NEVER);
    assert(metadata->client->memory.bytes[KAFKA_ACCOUNT_PATTERNS] == 0);
    free(metadata);
}

/* ---- which request to wait for ---- */

/* Until when topics wait for the listing that runs. 0: they do not wait. */
static int64_t listing_until_ms(const struct kafka_metadata *metadata, int64_t now_ms)
{
    const struct kind_state *listings = &metadata->kinds[KAFKA_METADATA_LISTING];
    if (listings->running == NULL || error_is_set(&listings->failure))
        return 0;
    int64_t until_ms = listings->running->sent_ms + FIRST_TRY_MS;
    return until_ms > now_ms ? until_ms : 0;
}

/* The request that will answer: the running one, if it can, or the next one. */
static uint64_t number_to_wait_for(const struct kafka_metadata *metadata,
                                   enum kafka_metadata_kind kind, uint64_t first_request)
{
    const struct request *running = metadata->kinds[kind].running;
    bool is_covered = running != NULL && first_request <= running->number;
    return is_covered ? running->number : metadata->topics.next_number;
}

void kafka_metadata_need_topic(const struct kafka_metadata *metadata,
                               const struct kafka_topic *topic, int64_t now_ms,
                               struct kafka_metadata_need *need)
{
    if (kafka_topics_is_fresh(topic, now_ms))
        return;
    enum kafka_metadata_kind kind =
        listing_until_ms(metadata, now_ms) > 0 ? KAFKA_METADATA_LISTING : KAFKA_METADATA_TOPICS;
    need->topics = MAX(need->topics, number_to_wait_for(metadata, kind, topic->first_request));
}

/* For the leaders of known topics no listing is needed. */
static void need_outdated_topics(const struct kafka_metadata *metadata,
                                 const struct kafka_pattern *pattern, int64_t now_ms,
                                 struct kafka_metadata_need *need)
{
    if (!kafka_patterns_has_all_topics(pattern))
        return;
    for (size_t i = 0; i < pattern->count; i++) {
        const struct kafka_topic *topic = pattern->topics[i];
        if (topic != NULL && topic->is_outdated)
            kafka_metadata_need_topic(metadata, topic, now_ms, need);
    }
}

bool kafka_metadata_needs_listing(const struct kafka_metadata *metadata, const char *text,
                                  int64_t now_ms)
{
    const struct kafka_pattern *pattern = kafka_patterns_find(&metadata->patterns, text);
    return pattern == NULL || !kafka_patterns_is_listed(pattern, now_ms);
}

void kafka_metadata_need_pattern(const struct kafka_metadata *metadata,
                                 const struct kafka_pattern *pattern, int64_t now_ms,
                                 struct kafka_metadata_need *need)
{
    if (kafka_patterns_awaits_room(pattern))
        kafka_metadata_need_sizes(metadata, need);
    if (kafka_patterns_is_listed(pattern, now_ms))
        need_outdated_topics(metadata, pattern, now_ms, need);
    else
        need->listing = MAX(need->listing, number_to_wait_for(metadata, KAFKA_METADATA_LISTING,
                                                              pattern->first_request));
}

void kafka_metadata_need_sizes(const struct kafka_metadata *metadata,
                               struct kafka_metadata_need *need)
{
    if (kafka_topics_await_sizes(&metadata->topics))
        need->topics = MAX(need->topics, metadata->topics.next_number);
}

/* ---- a request ---- */

/* Whether a broker answered, even with an error. */
static bool is_answer(rd_kafka_resp_err_t error)
{
    return error >= RD_KAFKA_RESP_ERR_NO_ERROR || kafka_client_is_unreadable(error);
}

/* On a thread of its own. A reply that cannot be read may be that of another request (workaround
 * 14): this one is tried again. */
static void run_request(struct kafka_background_call *base)
{
    struct request *request = (struct request *)base;
    bool is_for_all = request->kind == KAFKA_METADATA_LISTING;
    bool has_answer = false;
    for (size_t i = 0; i < TRIES && !has_answer; i++) {
        request->error = rd_kafka_metadata(request->rk, is_for_all, NULL, &request->result,
                                           request->tries_ms[i]);
        has_answer = is_answer(request->error) && !kafka_client_is_unreadable(request->error);
    }
}

static int last_try_ms(const struct kafka_metadata *metadata, int64_t now_ms)
{
    int64_t half_ms = (metadata->deadline_ms - now_ms) / 2;
    return (int)MIN(MAX(half_ms, LAST_TRY_MIN_MS), LAST_TRY_MAX_MS);
}

static void start_request(struct kafka_metadata *metadata, enum kafka_metadata_kind kind,
                          int64_t now_ms)
{
    struct kind_state *state = &metadata->kinds[kind];
    struct request *request = memory_new(sizeof(*request));
    *request = (struct request){
        .base = {.run = run_request},
        .rk = metadata->client->rk,
        .kind = kind,
        .sent_ms = now_ms,
        .tries_ms = {FIRST_TRY_MS, SECOND_TRY_MS, last_try_ms(metadata, now_ms)},
    };
    kafka_handles_hold(&metadata->client->handles, request->rk);
    state->is_suspended = false;
    if (!kafka_background_start(metadata->background, &request->base)) {
        error_unavailable(&state->failure, "no thread can be started for a request");
        state->again_ms = now_ms + AGAIN_MS;
        request_free(metadata, request);
        return;
    }
    request->number = metadata->topics.next_number++; /* the thread does not read it */
    state->running = request;
}

static bool is_wanted(const struct kafka_metadata *metadata, enum kafka_metadata_kind kind)
{
    const struct kind_state *state = &metadata->kinds[kind];
    return state->running == NULL && state->wanted > state->received;
}

/* A listing goes first, as topics may wait for it. If there are no topics, their request would be
 * for the whole cluster (workaround 7): it is not sent, and counts as answered. */
static void start_due_requests(struct kafka_metadata *metadata, int64_t now_ms)
{
    struct kind_state *topics = &metadata->kinds[KAFKA_METADATA_TOPICS];
    const struct kind_state *listings = &metadata->kinds[KAFKA_METADATA_LISTING];
    if (is_wanted(metadata, KAFKA_METADATA_LISTING) && now_ms >= listings->again_ms)
        start_request(metadata, KAFKA_METADATA_LISTING, now_ms);
    if (!is_wanted(metadata, KAFKA_METADATA_TOPICS) || now_ms < topics->again_ms ||
        listing_until_ms(metadata, now_ms) > 0)
        return;
    if (metadata->topics.table != NULL)
        start_request(metadata, KAFKA_METADATA_TOPICS, now_ms);
    else {
        topics->received = topics->wanted;
        metadata->topics.next_number = MAX(metadata->topics.next_number, topics->received + 1);
    }
}

void kafka_metadata_request(struct kafka_metadata *metadata, const struct kafka_metadata_need *need,
                            int64_t deadline_ms, int64_t now_ms)
{
    struct kind_state *topics = &metadata->kinds[KAFKA_METADATA_TOPICS];
    struct kind_state *listings = &metadata->kinds[KAFKA_METADATA_LISTING];
    topics->wanted = MAX(topics->wanted, need->topics);
    listings->wanted = MAX(listings->wanted, need->listing);
    metadata->deadline_ms = MAX(metadata->deadline_ms, deadline_ms);
    start_due_requests(metadata, now_ms);
}

bool kafka_metadata_has(const struct kafka_metadata *metadata,
                        const struct kafka_metadata_need *need)
{
    return metadata->kinds[KAFKA_METADATA_TOPICS].received >= need->topics &&
           metadata->kinds[KAFKA_METADATA_LISTING].received >= need->listing;
}

const char *kafka_metadata_reason_suspended(const struct kafka_metadata *metadata,
                                            const struct kafka_metadata_need *need, int64_t now_ms)
{
    const struct kind_state *listings = &metadata->kinds[KAFKA_METADATA_LISTING];
    bool is_suspended =
        need->listing > listings->received && listings->is_suspended && now_ms < listings->again_ms;
    return is_suspended ? error_text(&listings->failure) : NULL;
}

int64_t kafka_metadata_next_ms(const struct kafka_metadata *metadata, int64_t now_ms)
{
    int64_t next_ms = CLOCK_NEVER;
    if (is_wanted(metadata, KAFKA_METADATA_LISTING))
        next_ms = metadata->kinds[KAFKA_METADATA_LISTING].again_ms;
    if (is_wanted(metadata, KAFKA_METADATA_TOPICS))
        next_ms = MIN(next_ms, MAX(metadata->kinds[KAFKA_METADATA_TOPICS].again_ms,
                                   listing_until_ms(metadata, now_ms)));
    return next_ms;
}

/* ---- its answer ---- */

static void take_result(struct kafka_metadata *metadata, const struct request *request,
                        int64_t now_ms)
{
    const rd_kafka_metadata_t *result = request->result;
    bool is_listing = request->kind == KAFKA_METADATA_LISTING;
    kafka_client_note_brokers(metadata->client, (size_t)result->broker_cnt);
    if (is_listing)
        kafka_patterns_take(&metadata->patterns, request->number, result, now_ms);
    kafka_topics_take(&metadata->topics, request->number, result, is_listing, now_ms);
    kafka_patterns_outdate(&metadata->patterns);
}

static void take_answer(struct kafka_metadata *metadata, const struct request *request,
                        int64_t now_ms)
{
    struct kind_state *topics = &metadata->kinds[KAFKA_METADATA_TOPICS];
    struct kind_state *state = &metadata->kinds[request->kind];
    take_result(metadata, request, now_ms);
    if (request->kind == KAFKA_METADATA_LISTING &&
        kafka_topics_lacks_answer(&metadata->topics, request->number, now_ms))
        topics->wanted = metadata->topics.next_number;
    else
        topics->received = MAX(topics->received, request->number);
    state->received = MAX(state->received, request->number);
    metadata->failures = 0;
    error_done(&state->failure);
    kafka_client_note_answer(metadata->client, now_ms);
    kafka_client_clear_errors(metadata->client);
}

static char *failure_text(const struct request *request)
{
    enum { MAX_MIB = KAFKA_MAX_REPLY_BYTES >> 20 };
    bool is_listing = request->kind == KAFKA_METADATA_LISTING;
    if (kafka_client_is_unreadable(request->error))
        return text_format("the list of %s is longer than %d MiB, or malformed%s",
                           is_listing ? "all topics" : "topics", MAX_MIB,
                           is_listing ? ": set topic to names" : "");
    return text_format(is_answer(request->error) ? "a request for metadata was refused: %s"
                                                 : "no broker answers a request for metadata: %s",
                       rd_kafka_err2str(request->error));
}

static void back_off(struct kafka_metadata *metadata, const struct request *request, int64_t now_ms)
{
    bool is_listing = request->kind == KAFKA_METADATA_LISTING;
    bool is_too_long = kafka_client_is_unreadable(request->error);
    struct kind_state *state = &metadata->kinds[request->kind];
    state->is_suspended = is_listing && is_too_long;
    if (is_listing || is_too_long)
        state->again_ms = now_ms + (state->is_suspended ? TOO_LONG_AGAIN_MS : AGAIN_MS);
}

/* Counts the failure, unless it is of a listing, which may just be too long. True: brokers answer
 * nothing any more, so the cluster is lost. */
static bool count_failure(struct kafka_metadata *metadata, const struct request *request)
{
    const struct kafka_client *client = metadata->client;
    if (metadata->failures == 0 || client->answered_ms > metadata->unanswered_since_ms) {
        metadata->failures = 0;
        metadata->unanswered_since_ms = request->sent_ms;
    }
    metadata->failures += request->kind != KAFKA_METADATA_LISTING;
    return client->answered_ms <= metadata->unanswered_since_ms &&
           (client->all_down_since_ms != 0 || metadata->failures >= MAX_FAILURES);
}

static enum kafka_metadata_event take_failure(struct kafka_metadata *metadata,
                                              const struct request *request, int64_t now_ms,
                                              struct error *error)
{
    struct kind_state *state = &metadata->kinds[request->kind];
    _cleanup_(memory_free) char *what = failure_text(request);
    kafka_client_fail(metadata->client, error, what);
    error_copy(&state->failure, error);
    state->wanted = state->received;
    if (is_answer(request->error))
        kafka_client_note_answer(metadata->client, now_ms);
    back_off(metadata, request, now_ms);
    return count_failure(metadata, request) ? KAFKA_METADATA_LOST : KAFKA_METADATA_FAILED;
}

enum kafka_metadata_event kafka_metadata_receive(struct kafka_metadata *metadata, int64_t now_ms,
                                                 struct error *error)
{
    enum kafka_metadata_event event = KAFKA_METADATA_NOTHING;
    struct request *request = (struct request *)kafka_background_next(metadata->background);
    if (request != NULL) {
        metadata->kinds[request->kind].running = NULL;
        kafka_client_poll(metadata->client);
        event = KAFKA_METADATA_RECEIVED;
        if (request->error == RD_KAFKA_RESP_ERR_NO_ERROR)
            take_answer(metadata, request, now_ms);
        else
            event = take_failure(metadata, request, now_ms, error);
        request_free(metadata, request);
    }
    if (event != KAFKA_METADATA_LOST)
        start_due_requests(metadata, now_ms);
    return event;
}

const struct error *kafka_metadata_failure(const struct kafka_metadata *metadata,
                                           enum kafka_metadata_kind kind)
{
    return &metadata->kinds[kind].failure;
}

/* ---- the main handle is renewed ---- */

bool kafka_metadata_needs_renewal(const struct kafka_metadata *metadata)
{
    return kafka_topics_has_too_many(&metadata->topics);
}

void kafka_metadata_close_handle(struct kafka_metadata *metadata)
{
    kafka_topics_close_handle(&metadata->topics);
}

void kafka_metadata_open_handle(struct kafka_metadata *metadata)
{
    kafka_topics_open_handle(&metadata->topics);
}
