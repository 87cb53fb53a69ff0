#include "kafka/requests/metadata.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "kafka/client/settings.h"
#include "kafka/selection.h"

#include <string.h>
#include <sys/param.h>

/*
 * A query that is idle and watched is measured several times a second. New partitions and leaders
 * may wait a little longer, as one request is for all topics of the client.
 */
enum { FRESH_MS = 2000 };

/* For the one measurement that a message hastens, what is known may be older: it is right for that
 * one. */
enum { CONFIRMED_MS = 100, CONFIRMED_FRESH_MS = 30 * 1000 };

/* A handle that has so many more than are used is to be replaced (workaround 6 of client.h). */
enum { SPARE_TOPICS = 100 };

/* The broker that is tried first may hang (workaround 8). All tries together take less time than a
 * task. */
static const int tries_ms[] = {300, 600, 900};

/* All tries may have met the one that hangs. */
enum { MAX_FAILURES = 2 };

/* A listing that failed is sent again so much later: where its answer was too long, the library has
 * closed the connection, with all requests on it. So is any request without a thread. */
enum { AGAIN_MS = 500 };

/* A request for metadata, on a thread of its own. */
struct request {
    struct kafka_background_call base;
    rd_kafka_t *rk;
    enum kafka_metadata_kind kind;
    uint64_t number;
    int64_t sent_ms;
    rd_kafka_resp_err_t error;
    const rd_kafka_metadata_t *result;
};

/* The requests of one kind. */
struct requests {
    struct request *running;
    uint64_t received;    /* the number of the last one that was answered */
    uint64_t wanted;      /* the last one that somebody needs */
    int64_t again_ms;     /* none is sent before */
    struct error failure; /* of the last one; none where it was answered */
};

struct kafka_metadata {
    struct kafka_client *client;
    struct kafka_topic *topics;
    struct kafka_pattern *patterns;
    struct kafka_background *background;
    struct requests requests[KAFKA_METADATA_KINDS];
    uint64_t started; /* the number of the last request */
    bool has_too_many_topics;
    unsigned failures;     /* in a row, but for listings, which may just be too long */
    int64_t unanswered_ms; /* when the first of them was sent */
};

struct kafka_metadata *kafka_metadata_new(struct kafka_client *client)
{
    struct kafka_metadata *metadata = memory_new(sizeof(*metadata));
    metadata->client = client;
    metadata->background = kafka_background_new(client->event_fd);
    return metadata;
}

/* ---- what is remembered ---- */

static void forget_topic(struct kafka_metadata *metadata, struct kafka_topic *topic)
{
    HASH_DEL(metadata->topics, topic);
    if (topic->handle != NULL)
        rd_kafka_topic_destroy(topic->handle);
    free(topic->leaders);
    free(topic->name);
    free(topic);
}

static void forget_pattern(struct kafka_metadata *metadata, struct kafka_pattern *pattern)
{
    /* The analyzer takes two elements of the table for the same.
     * NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
    HASH_DEL(metadata->patterns, pattern);
    regex_free(&pattern->regex);
    free(pattern->topics);
    free(pattern->text);
    free(pattern);
}

/* It has no topics until all of the cluster are listed again. */
static void forget_matches(struct kafka_pattern *pattern)
{
    pattern->received_ms = 0;
    pattern->count = pattern->partitions = 0;
}

/* The patterns go first: they point to topics, which were used when these matched. A pattern that
 * is used again after a long time stays, and these do not. */
void kafka_metadata_forget_old(struct kafka_metadata *metadata, int64_t now_ms)
{
    int64_t before_ms = now_ms - KAFKA_FORGET_MS;
    struct kafka_pattern *pattern;
    struct kafka_pattern *next_pattern;
    HASH_ITER(hh, metadata->patterns, pattern, next_pattern)
        if (pattern->used_ms < before_ms)
            forget_pattern(metadata, pattern);
        else if (pattern->received_ms < before_ms)
            forget_matches(pattern);
    struct kafka_topic *topic;
    struct kafka_topic *next;
    HASH_ITER(hh, metadata->topics, topic, next)
        if (topic->used_ms < before_ms && topic->holds == 0)
            forget_topic(metadata, topic);
}

static void request_free(struct request *request)
{
    if (request->result != NULL)
        rd_kafka_metadata_destroy(request->result);
    free(request);
}

void kafka_metadata_free(struct kafka_metadata *metadata)
{
    kafka_background_free(metadata->background);
    for (size_t i = 0; i < KAFKA_METADATA_KINDS; i++) {
        if (metadata->requests[i].running != NULL)
            request_free(metadata->requests[i].running);
        error_done(&metadata->requests[i].failure);
    }
    kafka_metadata_forget_old(metadata, CLOCK_NEVER);
    free(metadata);
}

static struct kafka_topic *topic_find(const struct kafka_metadata *metadata, const char *name)
{
    struct kafka_topic *topic;
    HASH_FIND_STR(metadata->topics, name, topic);
    return topic;
}

struct kafka_topic *kafka_metadata_topic_for(struct kafka_metadata *metadata, const char *name,
                                             int64_t now_ms)
{
    struct kafka_topic *topic = topic_find(metadata, name);
    if (topic == NULL) {
        rd_kafka_topic_t *handle = rd_kafka_topic_new(metadata->client->rk, name, NULL);
        if (handle == NULL)
            return NULL;
        topic = memory_new(sizeof(*topic));
        topic->name = text_copy(name);
        topic->handle = handle;
        topic->first_request = metadata->started + 1;
        HASH_ADD_KEYPTR(hh, metadata->topics, topic->name, strlen(topic->name), topic);
    }
    topic->used_ms = MAX(topic->used_ms, now_ms);
    return topic;
}

struct kafka_topic *kafka_metadata_hold_topic(struct kafka_metadata *metadata, const char *name,
                                              int64_t now_ms)
{
    struct kafka_topic *topic = kafka_metadata_topic_for(metadata, name, now_ms);
    if (topic != NULL)
        topic->holds++;
    return topic;
}

void kafka_metadata_release_topic(struct kafka_topic *topic)
{
    if (topic != NULL)
        topic->holds--;
}

const struct kafka_pattern *kafka_metadata_find_pattern(const struct kafka_metadata *metadata,
                                                        const char *text)
{
    const struct kafka_pattern *pattern;
    HASH_FIND_STR(metadata->patterns, text, pattern);
    return pattern;
}

struct kafka_pattern *kafka_metadata_pattern_for(struct kafka_metadata *metadata, const char *text,
                                                 int64_t now_ms)
{
    struct kafka_pattern *pattern;
    HASH_FIND_STR(metadata->patterns, text, pattern);
    if (pattern == NULL) {
        _cleanup_(error_done) struct error reported_already = {0};
        pattern = memory_new(sizeof(*pattern));
        if (!regex_compile(text, &pattern->regex, &reported_already)) {
            free(pattern);
            return NULL;
        }
        pattern->text = text_copy(text);
        pattern->first_request = metadata->started + 1;
        HASH_ADD_KEYPTR(hh, metadata->patterns, pattern->text, strlen(pattern->text), pattern);
    }
    pattern->used_ms = MAX(pattern->used_ms, now_ms);
    return pattern;
}

/* ---- which request to wait for ---- */

static bool is_running(const struct kafka_metadata *metadata, enum kafka_metadata_kind kind)
{
    return metadata->requests[kind].running != NULL;
}

/* Until when the topics wait for the listing; 0: for none, or they have waited long enough. */
static int64_t listing_until_ms(const struct kafka_metadata *metadata, int64_t now_ms)
{
    const struct requests *listings = &metadata->requests[KAFKA_METADATA_LISTING];
    if (listings->running == NULL || error_is_set(&listings->failure))
        return 0;
    int64_t until_ms = listings->running->sent_ms + tries_ms[0];
    return until_ms > now_ms ? until_ms : 0;
}

/* A running request answers for what was known when it was sent. */
static uint64_t number_for(const struct kafka_metadata *metadata, enum kafka_metadata_kind kind,
                           uint64_t first_request)
{
    const struct request *running = metadata->requests[kind].running;
    bool is_covered = running != NULL && first_request <= running->number;
    return is_covered ? running->number : metadata->started + 1;
}

static void add_number(struct kafka_metadata_need *need, enum kafka_metadata_kind kind,
                       uint64_t number)
{
    need->numbers[kind] = MAX(need->numbers[kind], number);
}

void kafka_metadata_need_topic(const struct kafka_metadata *metadata,
                               const struct kafka_topic *topic, int64_t now_ms,
                               struct kafka_metadata_need *need)
{
    bool is_confirmed = now_ms - topic->confirmed_ms <= CONFIRMED_MS;
    int64_t fresh_ms = is_confirmed ? CONFIRMED_FRESH_MS : FRESH_MS;
    if (topic->received_ms > 0 && now_ms - topic->received_ms <= fresh_ms && !topic->is_outdated)
        return;
    enum kafka_metadata_kind kind =
        listing_until_ms(metadata, now_ms) > 0 ? KAFKA_METADATA_LISTING : KAFKA_METADATA_TOPICS;
    add_number(need, KAFKA_METADATA_TOPICS, number_for(metadata, kind, topic->first_request));
}

/* If not, it cannot be measured. */
static bool has_all_topics(const struct kafka_pattern *pattern)
{
    return pattern->count <= KAFKA_SELECTION_MAX_TOPICS &&
           pattern->partitions <= KAFKA_SELECTION_MAX_PARTITIONS;
}

/* A request for those that are known is enough for leaders. */
static void need_outdated(const struct kafka_metadata *metadata,
                          const struct kafka_pattern *pattern, int64_t now_ms,
                          struct kafka_metadata_need *need)
{
    if (!has_all_topics(pattern))
        return;
    for (size_t i = 0; i < pattern->count; i++) {
        const struct kafka_topic *topic = pattern->topics[i];
        if (topic != NULL && topic->is_outdated)
            kafka_metadata_need_topic(metadata, topic, now_ms, need);
    }
}

static bool is_listed(const struct kafka_pattern *pattern, int64_t now_ms)
{
    return pattern->received_ms > 0 && !pattern->is_outdated &&
           now_ms - pattern->received_ms <= FRESH_MS;
}

bool kafka_metadata_needs_listing(const struct kafka_metadata *metadata, const char *text,
                                  int64_t now_ms)
{
    const struct kafka_pattern *pattern = kafka_metadata_find_pattern(metadata, text);
    return pattern == NULL || !is_listed(pattern, now_ms);
}

void kafka_metadata_need_pattern(const struct kafka_metadata *metadata,
                                 const struct kafka_pattern *pattern, int64_t now_ms,
                                 struct kafka_metadata_need *need)
{
    if (is_listed(pattern, now_ms))
        need_outdated(metadata, pattern, now_ms, need);
    else
        add_number(need, KAFKA_METADATA_LISTING,
                   number_for(metadata, KAFKA_METADATA_LISTING, pattern->first_request));
}

/* ---- a request ---- */

/* As an answer is that is longer than KAFKA_MAX_REPLY_BYTES. */
static bool is_unreadable(rd_kafka_resp_err_t error)
{
    return error == RD_KAFKA_RESP_ERR__BAD_MSG;
}

/* Whether a broker answered, be it with an error of its own. */
static bool is_answer(rd_kafka_resp_err_t error)
{
    return error >= RD_KAFKA_RESP_ERR_NO_ERROR || is_unreadable(error);
}

static void request_metadata(struct kafka_background_call *base)
{
    struct request *request = (struct request *)base;
    bool is_for_all = request->kind == KAFKA_METADATA_LISTING;
    bool has_answer = false;
    for (size_t i = 0; i < ARRAY_LENGTH(tries_ms) && !has_answer; i++) {
        request->error =
            rd_kafka_metadata(request->rk, is_for_all, NULL, &request->result, tries_ms[i]);
        has_answer = is_answer(request->error);
    }
}

static void start_request(struct kafka_metadata *metadata, enum kafka_metadata_kind kind,
                          int64_t now_ms)
{
    struct requests *requests = &metadata->requests[kind];
    struct request *request = memory_new(sizeof(*request));
    *request = (struct request){.base = {.run = request_metadata},
                                .rk = metadata->client->rk,
                                .kind = kind,
                                .number = metadata->started + 1,
                                .sent_ms = now_ms};
    if (!kafka_background_start(metadata->background, &request->base)) {
        error_unavailable(&requests->failure, "no thread can be started for a request");
        requests->again_ms = now_ms + AGAIN_MS;
        free(request);
        return;
    }
    requests->running = request;
    metadata->started++;
}

static bool is_wanted(const struct kafka_metadata *metadata, enum kafka_metadata_kind kind)
{
    const struct requests *requests = &metadata->requests[kind];
    return requests->running == NULL && requests->wanted > requests->received;
}

/* A listing goes first, as it answers for the topics, too. With no topic at all their request would
 * be for all of the cluster (workaround 7). */
static void start(struct kafka_metadata *metadata, int64_t now_ms)
{
    struct requests *topics = &metadata->requests[KAFKA_METADATA_TOPICS];
    const struct requests *listings = &metadata->requests[KAFKA_METADATA_LISTING];
    if (is_wanted(metadata, KAFKA_METADATA_LISTING) && now_ms >= listings->again_ms)
        start_request(metadata, KAFKA_METADATA_LISTING, now_ms);
    if (!is_wanted(metadata, KAFKA_METADATA_TOPICS) || now_ms < topics->again_ms ||
        listing_until_ms(metadata, now_ms) > 0)
        return;
    if (metadata->topics != NULL)
        start_request(metadata, KAFKA_METADATA_TOPICS, now_ms);
    else {
        topics->received = topics->wanted;
        metadata->started = MAX(metadata->started, topics->wanted);
    }
}

void kafka_metadata_request(struct kafka_metadata *metadata, const struct kafka_metadata_need *need,
                            int64_t now_ms)
{
    for (size_t i = 0; i < KAFKA_METADATA_KINDS; i++)
        metadata->requests[i].wanted = MAX(metadata->requests[i].wanted, need->numbers[i]);
    start(metadata, now_ms);
}

bool kafka_metadata_has(const struct kafka_metadata *metadata,
                        const struct kafka_metadata_need *need)
{
    bool has = true;
    for (size_t i = 0; i < KAFKA_METADATA_KINDS; i++)
        has = has && metadata->requests[i].received >= need->numbers[i];
    return has;
}

int64_t kafka_metadata_next_ms(const struct kafka_metadata *metadata, int64_t now_ms)
{
    int64_t next_ms = CLOCK_NEVER;
    if (is_wanted(metadata, KAFKA_METADATA_LISTING))
        next_ms = metadata->requests[KAFKA_METADATA_LISTING].again_ms;
    if (is_wanted(metadata, KAFKA_METADATA_TOPICS))
        next_ms = MIN(next_ms, MAX(metadata->requests[KAFKA_METADATA_TOPICS].again_ms,
                                   listing_until_ms(metadata, now_ms)));
    return next_ms;
}

/* ---- its answer ---- */

static void take_topic(struct kafka_topic *topic, const rd_kafka_metadata_topic_t *result,
                       int64_t now_ms)
{
    topic->received_ms = now_ms;
    topic->error = result->err;
    topic->partitions = result->partition_cnt;
    free(topic->leaders);
    topic->leaders = memory_array((size_t)result->partition_cnt + 1, sizeof(*topic->leaders));
    for (int32_t i = 0; i < result->partition_cnt; i++)
        topic->leaders[i] = -1;
    /* Kafka numbers a topic's partitions from 0 on, and lists them in any order. */
    for (int i = 0; i < result->partition_cnt; i++) {
        const rd_kafka_metadata_partition_t *partition = &result->partitions[i];
        if (partition->id >= 0 && partition->id < topic->partitions)
            topic->leaders[partition->id] = partition->leader;
    }
}

/* Kafka's own topics are no work; a consumer's pattern leaves them out, too. */
static bool is_internal(const char *name)
{
    return text_equal(name, "__consumer_offsets") || text_equal(name, "__transaction_state");
}

/* Where too many match, those beyond are counted only (workaround 6). */
static void pattern_match(struct kafka_metadata *metadata, struct kafka_pattern *pattern,
                          const rd_kafka_metadata_topic_t *topic, int64_t now_ms)
{
    if (!regex_matches(pattern->regex, topic->topic))
        return;
    pattern->partitions += (size_t)topic->partition_cnt;
    if (pattern->count++ >= KAFKA_SELECTION_MAX_TOPICS ||
        pattern->partitions > KAFKA_SELECTION_MAX_PARTITIONS)
        return;
    pattern->topics = memory_grow(pattern->topics, &pattern->capacity, pattern->count,
                                  sizeof(struct kafka_topic *));
    pattern->topics[pattern->count - 1] = kafka_metadata_topic_for(metadata, topic->topic, now_ms);
}

/* A pattern that came after the request was sent waits for the next. */
static bool is_for_pattern(const struct request *request, const struct kafka_pattern *pattern)
{
    return pattern->first_request <= request->number;
}

/* A broker may name a topic twice (workaround 13): its messages would count double. */
static void match_listed(struct kafka_metadata *metadata, const struct request *request,
                         const rd_kafka_metadata_topic_t *listed, int64_t now_ms)
{
    struct kafka_topic *topic = topic_find(metadata, listed->topic);
    if (is_internal(listed->topic) || (topic != NULL && topic->listing == request->number))
        return;
    for (struct kafka_pattern *pattern = metadata->patterns; pattern != NULL;
         pattern = pattern->hh.next)
        if (is_for_pattern(request, pattern))
            pattern_match(metadata, pattern, listed, now_ms);
    topic = topic_find(metadata, listed->topic);
    if (topic != NULL)
        topic->listing = request->number;
}

static void take_patterns(struct kafka_metadata *metadata, const struct request *request,
                          int64_t now_ms)
{
    const rd_kafka_metadata_t *result = request->result;
    for (struct kafka_pattern *pattern = metadata->patterns; pattern != NULL;
         pattern = pattern->hh.next)
        if (is_for_pattern(request, pattern)) {
            pattern->count = 0;
            pattern->partitions = 0;
            pattern->is_outdated = false;
            pattern->received_ms = now_ms;
        }
    for (int i = 0; i < result->topic_cnt; i++)
        match_listed(metadata, request, &result->topics[i], now_ms);
}

/* To leave the topic out at once would count too little where only that broker does not know it
 * yet. */
static void outdate_patterns(struct kafka_metadata *metadata)
{
    for (struct kafka_pattern *pattern = metadata->patterns; pattern != NULL;
         pattern = pattern->hh.next)
        for (size_t i = 0; has_all_topics(pattern) && i < pattern->count; i++) {
            const struct kafka_topic *topic = pattern->topics[i];
            pattern->is_outdated =
                pattern->is_outdated ||
                (topic != NULL && topic->error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART &&
                 topic->last_request > topic->listing);
        }
}

/* A request that was sent later may have been answered sooner: what is known of it stays. */
static void take_result(struct kafka_metadata *metadata, const struct request *request,
                        int64_t now_ms)
{
    const rd_kafka_metadata_t *result = request->result;
    for (struct kafka_topic *topic = metadata->topics; topic != NULL; topic = topic->hh.next)
        if (topic->first_request <= request->number && topic->last_request <= request->number) {
            topic->received_ms = 0;
            topic->is_outdated = false;
        }
    if (request->kind == KAFKA_METADATA_LISTING)
        take_patterns(metadata, request, now_ms);
    else
        metadata->has_too_many_topics =
            result->topic_cnt > 2 * (int)HASH_COUNT(metadata->topics) + SPARE_TOPICS;
    for (int i = 0; i < result->topic_cnt; i++) {
        struct kafka_topic *topic = topic_find(metadata, result->topics[i].topic);
        if (topic == NULL || topic->last_request > request->number)
            continue;
        topic->last_request = request->number;
        take_topic(topic, &result->topics[i], now_ms);
    }
    outdate_patterns(metadata);
}

static void succeed(struct kafka_metadata *metadata, const struct request *request, int64_t now_ms)
{
    struct requests *topics = &metadata->requests[KAFKA_METADATA_TOPICS];
    struct requests *requests = &metadata->requests[request->kind];
    take_result(metadata, request, now_ms);
    topics->received = MAX(topics->received, request->number);
    requests->received = MAX(requests->received, request->number);
    metadata->failures = 0;
    error_done(&requests->failure);
    kafka_client_note_answer(metadata->client);
    kafka_client_clear_errors(metadata->client);
}

/* The caller frees it. */
static char *failure_text(const struct request *request)
{
    enum { MAX_MIB = KAFKA_MAX_REPLY_BYTES >> 20 };
    bool is_listing = request->kind == KAFKA_METADATA_LISTING;
    if (is_unreadable(request->error))
        return text_format("the list of %s is longer than %d MiB, or malformed%s",
                           is_listing ? "all topics" : "topics", MAX_MIB,
                           is_listing ? ": set topic to names" : "");
    return text_format(is_answer(request->error) ? "a request for metadata was refused: %s"
                                                 : "no broker answers a request for metadata: %s",
                       rd_kafka_err2str(request->error));
}

/* It is not wanted any more, unless somebody still waits. */
static enum kafka_metadata_event fail(struct kafka_metadata *metadata,
                                      const struct request *request, int64_t now_ms,
                                      struct error *error)
{
    struct kafka_client *client = metadata->client;
    struct requests *requests = &metadata->requests[request->kind];
    bool is_listing = request->kind == KAFKA_METADATA_LISTING;
    _cleanup_(memory_free) char *what = failure_text(request);
    kafka_client_fail(client, error, what);
    error_copy(&requests->failure, error);
    requests->wanted = requests->received;
    if (is_answer(request->error))
        kafka_client_note_answer(client);
    if (is_listing)
        requests->again_ms = now_ms + AGAIN_MS;
    if (metadata->failures == 0)
        metadata->unanswered_ms = request->sent_ms;
    metadata->failures += !is_listing;
    bool is_silent = client->answered_ms < metadata->unanswered_ms;
    bool is_lost = client->all_down_ms != 0 || metadata->failures >= MAX_FAILURES;
    return is_silent && is_lost ? KAFKA_METADATA_LOST : KAFKA_METADATA_FAILED;
}

enum kafka_metadata_event kafka_metadata_receive(struct kafka_metadata *metadata, int64_t now_ms,
                                                 struct error *error)
{
    enum kafka_metadata_event event = KAFKA_METADATA_NOTHING;
    struct request *request = (struct request *)kafka_background_next(metadata->background);
    if (request != NULL) {
        metadata->requests[request->kind].running = NULL;
        kafka_client_poll(metadata->client);
        event = KAFKA_METADATA_RECEIVED;
        if (request->error == RD_KAFKA_RESP_ERR_NO_ERROR)
            succeed(metadata, request, now_ms);
        else
            event = fail(metadata, request, now_ms, error);
        request_free(request);
    }
    if (event != KAFKA_METADATA_LOST)
        start(metadata, now_ms);
    return event;
}

const struct error *kafka_metadata_failure(const struct kafka_metadata *metadata,
                                           enum kafka_metadata_kind kind)
{
    return &metadata->requests[kind].failure;
}

/* ---- what is known of a topic ---- */

int32_t kafka_metadata_leader(const struct kafka_topic *topic, int32_t partition)
{
    return partition < topic->partitions ? topic->leaders[partition] : -1;
}

void kafka_metadata_outdate(struct kafka_metadata *metadata, struct kafka_topic *topic)
{
    topic->is_outdated = true;
    topic->first_request = metadata->started + 1;
}

void kafka_metadata_confirm(struct kafka_metadata *metadata, const char *name, int64_t now_ms)
{
    struct kafka_topic *topic = topic_find(metadata, name);
    if (topic != NULL)
        topic->confirmed_ms = now_ms;
}

/* ---- the main handle is renewed ---- */

bool kafka_metadata_needs_renewal(const struct kafka_metadata *metadata)
{
    return metadata->has_too_many_topics;
}

bool kafka_metadata_is_quiet(const struct kafka_metadata *metadata)
{
    return !is_running(metadata, KAFKA_METADATA_TOPICS) &&
           !is_running(metadata, KAFKA_METADATA_LISTING);
}

void kafka_metadata_close_handle(struct kafka_metadata *metadata)
{
    for (struct kafka_topic *topic = metadata->topics; topic != NULL; topic = topic->hh.next)
        if (topic->handle != NULL)
            rd_kafka_topic_destroy(TAKE(topic->handle));
    metadata->has_too_many_topics = false;
}

void kafka_metadata_open_handle(struct kafka_metadata *metadata)
{
    for (struct kafka_topic *topic = metadata->topics; topic != NULL; topic = topic->hh.next)
        topic->handle = rd_kafka_topic_new(metadata->client->rk, topic->name, NULL);
}
