#include "nats_jetstream/client/configs.h"

#include "base/hash_table.h"
#include "base/memory.h"
#include "base/text.h"
#include "nats_jetstream/consumer_info.h"
#include "nats_jetstream/limits.h"

#include <stdlib.h>
#include <string.h>

enum {
    FRESH_MS = 60 * 1000, /* then it is requested again: a configuration may change */
    RETRY_MS = 10 * 1000, /* the same, where nothing was learned */
    LATER_MS = 1500,      /* the same, after an error that will not last */
    REPLY_MS = 5000,      /* there will be no reply after it */
};

/* Of a stream or a consumer. */
struct known {
    UT_hash_handle hh;        /* by name, in the order of their requests */
    UT_hash_handle hh_number; /* while a reply is awaited, in the same order */
    uint64_t number;          /* 0: none is */
    int64_t requested_ms;
    enum nats_config_reply reply; /* to the last request */
    bool is_known;                /* from this reply, or one before it */
    struct nats_config config;
    char name[]; /* the subject of the request */
};

struct nats_configs {
    struct nats_client_connection *connection;
    struct known *by_name;
    struct known *by_number;
    size_t bytes;         /* without the subjects, which are others' to choose: */
    size_t subject_bytes; /* nobody is forgotten for them */
};

struct nats_configs *nats_configs_new(struct nats_client_connection *connection)
{
    struct nats_configs *configs = memory_new(sizeof(*configs));
    configs->connection = connection;
    return configs;
}

/* ---- memory ---- */

static size_t bytes_of(const char *name)
{
    enum { TABLE_BYTES = 32 };
    return memory_heap_bytes(sizeof(struct known) + strlen(name) + 1) + TABLE_BYTES;
}

static size_t bytes_of_subjects(const struct nats_subject_list *list)
{
    if (list->count == 0)
        return 0;
    size_t bytes = memory_heap_bytes(list->count * sizeof(*list->items));
    for (size_t i = 0; i < list->count; i++)
        bytes += memory_heap_bytes(strlen(list->items[i]) + 1);
    return bytes;
}

static void forget_config(struct nats_configs *configs, struct known *known)
{
    configs->subject_bytes -= bytes_of_subjects(&known->config.subjects);
    nats_config_done(&known->config);
    known->is_known = false;
}

static void stop_waiting(struct nats_configs *configs, struct known *known)
{
    if (known->number != 0)
        HASH_DELETE(hh_number, configs->by_number, known);
    known->number = 0;
}

static void free_known(struct nats_configs *configs, struct known *known)
{
    HASH_DELETE(hh, configs->by_name, known);
    stop_waiting(configs, known);
    forget_config(configs, known);
    configs->bytes -= bytes_of(known->name);
    free(known);
}

void nats_configs_free(struct nats_configs *configs)
{
    while (configs->by_name != NULL)
        free_known(configs, configs->by_name);
    free(configs);
}

/* To forget what was requested just now would have all requested again and again. */
static bool has_memory(struct nats_configs *configs, int64_t now_ms, struct error *error)
{
    while (configs->bytes > NATS_CONFIGS_BYTES &&
           now_ms > configs->by_name->requested_ms + FRESH_MS)
        free_known(configs, configs->by_name);
    return configs->bytes <= NATS_CONFIGS_BYTES ||
           error_set(error, ERROR_LIMIT,
                     "what is known of NATS streams and consumers takes at most %d MiB",
                     NATS_CONFIGS_BYTES >> 20);
}

/* ---- replies ---- */

/* Takes the configuration, without the subjects where there is no memory for them. */
static void learn(struct nats_configs *configs, struct known *known, struct nats_config *config)
{
    struct nats_config learned = *config;
    forget_config(configs, known);
    size_t bytes = bytes_of_subjects(&learned.subjects);
    if (configs->subject_bytes + bytes > NATS_CONFIG_SUBJECT_BYTES) {
        learned.subjects = (struct nats_subject_list){0};
        learned.has_subjects = false;
        nats_config_done(config);
        bytes = 0;
    }
    known->config = learned;
    known->is_known = true;
    configs->subject_bytes += bytes;
}

bool nats_configs_take(struct nats_configs *configs, uint64_t number, natsMsg *message)
{
    struct known *known = NULL;
    struct nats_config config = {0};
    HASH_FIND(hh_number, configs->by_number, &number, sizeof(number), known);
    if (known == NULL)
        return false;
    stop_waiting(configs, known);
    known->reply = natsMsg_IsNoResponders(message)
                       ? NATS_CONFIG_DENIED
                       : nats_config_parse(natsMsg_GetData(message),
                                           (size_t)natsMsg_GetDataLength(message), &config);
    if (known->reply == NATS_CONFIG_LEARNED)
        learn(configs, known, &config);
    else if (known->reply == NATS_CONFIG_UNUSABLE || known->reply == NATS_CONFIG_ABSENT)
        forget_config(configs, known);
    return true;
}

/* Refusals come in the order of the requests, so it is one of the first. */
bool nats_configs_deny(struct nats_configs *configs, const struct nats_refusal *refusal)
{
    struct known *known = configs->by_number;
    while (known != NULL && !nats_refusal_is_of(refusal, known->name))
        known = known->hh_number.next;
    if (known == NULL)
        return false;
    stop_waiting(configs, known);
    known->reply = NATS_CONFIG_DENIED;
    return true;
}

/* ---- requests ---- */

static bool must_request(const struct known *known, int64_t now_ms)
{
    int64_t again_ms = RETRY_MS;
    if (known->reply == NATS_CONFIG_LEARNED)
        again_ms = FRESH_MS;
    else if (known->reply == NATS_CONFIG_LATER)
        again_ms = LATER_MS;
    return now_ms > known->requested_ms + again_ms;
}

static bool has_place(struct nats_configs *configs, int64_t now_ms)
{
    while (configs->by_number != NULL && now_ms > configs->by_number->requested_ms + REPLY_MS)
        stop_waiting(configs, configs->by_number);
    return HASH_CNT(hh_number, configs->by_number) < NATS_MAX_CONFIGS;
}

static void request(struct nats_configs *configs, struct known *known, int64_t now_ms)
{
    known->requested_ms = now_ms;
    known->reply = NATS_CONFIG_NO_REPLY;
    nats_client_connection_send(configs->connection, known->name, &known->number);
    HASH_ADD_STR(configs->by_name, name, known);
    HASH_ADD(hh_number, configs->by_number, number, sizeof(known->number), known);
}

/* With the same `now_ms` nothing is freed that was returned before. NULL: it cannot be requested
 * now, and has not been; where it will not be, the error says why. */
static const struct known *find_or_request(struct nats_configs *configs, const char *name,
                                           int64_t now_ms, struct error *error)
{
    struct known *known = NULL;
    HASH_FIND_STR(configs->by_name, name, known);
    if ((known != NULL && !must_request(known, now_ms)) || !has_place(configs, now_ms))
        return known;
    if (known != NULL) {
        HASH_DELETE(hh, configs->by_name, known);
        stop_waiting(configs, known);
    } else {
        if (!has_memory(configs, now_ms, error))
            return NULL;
        size_t length = strlen(name);
        known = memory_new(sizeof(*known) + length + 1);
        memcpy(known->name, name, length);
        configs->bytes += bytes_of(name);
    }
    request(configs, known, now_ms);
    return known;
}

static char *stream_name(const struct nats_query *query)
{
    struct text name = {0};
    nats_add_api(&name, query);
    text_addf(&name, ".STREAM.INFO.%s", query->stream);
    return text_take(&name);
}

static char *consumer_name(const struct nats_query *query)
{
    struct text name = {0};
    nats_add_api(&name, query);
    text_addf(&name, ".CONSUMER.INFO.%s.%s", query->stream, query->consumer);
    return text_take(&name);
}

/* ---- what is known ---- */

static bool may_be_learned(const struct known *known, int64_t now_ms)
{
    return known->reply == NATS_CONFIG_NO_REPLY && now_ms <= known->requested_ms + REPLY_MS;
}

static const char *why_unknown(enum nats_config_reply reply)
{
    return reply == NATS_CONFIG_DENIED ? "the user must be allowed to publish to"
                                       : "no usable reply to";
}

static void explain_subjects(const struct known *known, struct error *error)
{
    if (known->is_known)
        error_unavailable(error,
                          "NATS replied to %s without subjects that can be subscribed to, or with "
                          "more than there is memory for",
                          known->name);
    else if (known->reply == NATS_CONFIG_ABSENT)
        error_unavailable(error, "NATS replied to %s that it does not exist", known->name);
    else
        error_unavailable(
            error, "NATS does not report on which subjects its messages are published: %s %s",
            why_unknown(known->reply), known->name);
}

/* KNOWN: the subjects of this one. */
static enum nats_configs_state state_of(const struct known *known, int64_t now_ms,
                                        struct error *error)
{
    if (error_is_set(error))
        return NATS_CONFIGS_IMPOSSIBLE;
    if (known == NULL)
        return NATS_CONFIGS_REQUESTED;
    if (known->is_known && known->config.has_subjects)
        return NATS_CONFIGS_KNOWN;
    if (!known->is_known && (may_be_learned(known, now_ms) || known->reply == NATS_CONFIG_LATER))
        return NATS_CONFIGS_REQUESTED;
    explain_subjects(known, error);
    return NATS_CONFIGS_IMPOSSIBLE;
}

enum nats_configs_state
nats_configs_find_or_request_subjects(struct nats_configs *configs, const struct nats_query *query,
                                      int64_t now_ms, const struct nats_subject_list **ret_list,
                                      struct error *error)
{
    _cleanup_(memory_free) char *stream_request = stream_name(query);
    _cleanup_(memory_free) char *consumer_request = consumer_name(query);
    const struct known *stream = find_or_request(configs, stream_request, now_ms, error);
    enum nats_configs_state state = state_of(stream, now_ms, error);
    if (state == NATS_CONFIGS_IMPOSSIBLE)
        return state;
    const struct known *consumer = find_or_request(configs, consumer_request, now_ms, error);
    if (state == NATS_CONFIGS_KNOWN || error_is_set(error))
        state = state_of(consumer, now_ms, error);
    if (state != NATS_CONFIGS_KNOWN)
        return state;

    bool is_narrow = consumer->config.subjects.count > 0 && !stream->config.is_transformed;
    *ret_list = is_narrow ? &consumer->config.subjects : &stream->config.subjects;
    if (!stream->config.is_remote && (*ret_list)->count > 0)
        return NATS_CONFIGS_KNOWN;
    error_unavailable(error,
                      "the messages of NATS stream \"%s\" come from other streams, and cannot be "
                      "subscribed to",
                      query->stream);
    return NATS_CONFIGS_IMPOSSIBLE;
}

static void explain_unknown(const struct nats_query *query, const char *why, struct error *error)
{
    _cleanup_(memory_free) char *name = stream_name(query);
    error_unavailable(
        error,
        "NATS answered for consumer \"%s\" of stream \"%s\" with 0 only, which counts if the "
        "stream has one replica, and did not answer how many it has: %s %s",
        query->consumer, query->stream, why, name);
}

void nats_configs_explain_silence(const struct nats_query *query, struct error *error)
{
    explain_unknown(query, why_unknown(NATS_CONFIG_NO_REPLY), error);
}

enum nats_configs_state nats_configs_find_or_request_single_replica(struct nats_configs *configs,
                                                                    const struct nats_query *query,
                                                                    int64_t now_ms,
                                                                    struct error *error)
{
    _cleanup_(memory_free) char *name = stream_name(query);
    const struct known *known = find_or_request(configs, name, now_ms, error);
    if (error_is_set(error))
        return NATS_CONFIGS_IMPOSSIBLE;
    if (known == NULL || may_be_learned(known, now_ms) || must_request(known, now_ms))
        return NATS_CONFIGS_REQUESTED;
    bool is_learned = known->reply == NATS_CONFIG_LEARNED;
    if (is_learned && known->config.replicas == NATS_REPLICAS_ONE)
        return NATS_CONFIGS_KNOWN;
    if (is_learned && known->config.replicas == NATS_REPLICAS_SEVERAL)
        nats_consumer_info_not_opened(query, error);
    else
        explain_unknown(query, why_unknown(known->reply), error);
    return NATS_CONFIGS_IMPOSSIBLE;
}
