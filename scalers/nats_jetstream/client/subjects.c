#include "nats_jetstream/client/subjects.h"

#include "base/hash_table.h"
#include "base/json_cleanup.h"
#include "base/json_text.h"
#include "base/memory.h"
#include "base/text.h"
#include "nats_jetstream/consumer_info.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_TREE_BYTES = 4 << 20, /* of a reply */
    MAX_SUBJECTS = 64,        /* of one stream or consumer */
    MAX_SUBJECT_LENGTH = 1024,
    MAX_BYTES = 4 << 20,  /* of all that is known: a consumer takes about 300 */
    FRESH_MS = 60 * 1000, /* then it is requested again: a stream's subjects may change */
    REPLY_MS = 5000,      /* there will be no reply after it */
    LATER_MS = 1500,      /* it is requested again after an error that will not last */
};

/* A stream or a consumer. In the table by name they are in the order of their requests. */
struct known {
    UT_hash_handle hh; /* by name */
    UT_hash_handle hh_number;
    uint64_t number; /* 0: no reply is awaited */
    int64_t requested_ms;
    bool is_known;
    bool is_denied;                 /* the user has no right to know */
    enum nats_subjects_reply reply; /* the last one; LEARNED before the first, too */
    struct nats_subjects_info info;
    size_t bytes;
    char name[]; /* the subject of the request */
};

struct nats_subjects {
    struct nats_client_connection *connection;
    struct known *by_name;
    struct known *by_number; /* while a reply is awaited */
    size_t bytes;
};

static void await_no_reply(struct nats_subjects *subjects, struct known *known)
{
    if (known->number != 0)
        HASH_DELETE(hh_number, subjects->by_number, known);
    known->number = 0;
}

static void free_known(struct nats_subjects *subjects, struct known *known)
{
    HASH_DELETE(hh, subjects->by_name, known);
    await_no_reply(subjects, known);
    subjects->bytes -= known->bytes;
    nats_subjects_info_done(&known->info);
    free(known);
}

struct nats_subjects *nats_subjects_new(struct nats_client_connection *connection)
{
    struct nats_subjects *subjects = memory_new(sizeof(*subjects));
    subjects->connection = connection;
    return subjects;
}

void nats_subjects_free(struct nats_subjects *subjects)
{
    while (subjects->by_name != NULL)
        free_known(subjects, subjects->by_name);
    free(subjects);
}

void nats_subjects_info_done(struct nats_subjects_info *info)
{
    for (size_t i = 0; i < info->list.count; i++)
        free(info->list.items[i]);
    free(info->list.items);
    *info = (struct nats_subjects_info){0};
}

static bool add_subject(struct nats_subject_list *list, const json_t *subject)
{
    const char *text = json_string_value(subject);
    if (text == NULL || text[0] == '\0' || strlen(text) > MAX_SUBJECT_LENGTH ||
        list->count == MAX_SUBJECTS)
        return false;
    list->items = memory_resize(list->items, (list->count + 1) * sizeof(*list->items));
    list->items[list->count++] = text_copy(text);
    return true;
}

/* Absent is none. */
static bool add_subjects(struct nats_subject_list *list, const json_t *subjects)
{
    for (size_t i = 0; i < json_array_size(subjects); i++)
        if (!add_subject(list, json_array_get(subjects, i)))
            return false;
    return true;
}

enum nats_subjects_reply nats_subjects_parse(const char *bytes, size_t length,
                                             struct nats_subjects_info *ret_info)
{
    _cleanup_(json_done) json_t *reply =
        json_text_tree((struct json_text){bytes, length}, JSON_DECODE_INT_AS_REAL, MAX_TREE_BYTES);
    const json_t *api_error = json_object_get(reply, "error");
    if (json_is_object(api_error))
        return nats_consumer_info_is_absent(api_error) ? NATS_SUBJECTS_ABSENT : NATS_SUBJECTS_LATER;
    const json_t *config = json_object_get(reply, "config");
    if (!json_is_object(config))
        return NATS_SUBJECTS_UNUSABLE;

    struct nats_subjects_info info = {
        .is_transformed = json_is_object(json_object_get(config, "subject_transform")),
        .is_remote = json_is_object(json_object_get(config, "mirror")) ||
                     json_array_size(json_object_get(config, "sources")) > 0,
    };
    const json_t *filter = json_object_get(config, "filter_subject");
    bool has_filter = json_string_length(filter) > 0;
    if (add_subjects(&info.list, json_object_get(config, "subjects")) &&
        add_subjects(&info.list, json_object_get(config, "filter_subjects")) &&
        (!has_filter || add_subject(&info.list, filter))) {
        *ret_info = info;
        return NATS_SUBJECTS_LEARNED;
    }
    nats_subjects_info_done(&info);
    return NATS_SUBJECTS_UNUSABLE;
}

/* With the tables. */
static void count_bytes(struct nats_subjects *subjects, struct known *known)
{
    enum { ENTRY_BYTES = 32 };
    const struct nats_subject_list *list = &known->info.list;
    size_t bytes = memory_heap_bytes(sizeof(*known) + strlen(known->name) + 1) + ENTRY_BYTES;
    if (list->count > 0)
        bytes += memory_heap_bytes(list->count * sizeof(*list->items));
    for (size_t i = 0; i < list->count; i++)
        bytes += memory_heap_bytes(strlen(list->items[i]) + 1);
    subjects->bytes += bytes - known->bytes;
    known->bytes = bytes;
}

/* Takes the info, which is empty where the reply has none. */
static void learn(struct nats_subjects *subjects, struct known *known,
                  struct nats_subjects_info *info)
{
    nats_subjects_info_done(&known->info);
    known->info = *info;
    known->is_known = known->reply == NATS_SUBJECTS_LEARNED;
    count_bytes(subjects, known);
    if (subjects->bytes <= MAX_BYTES)
        return;
    nats_subjects_info_done(&known->info);
    known->is_known = false;
    known->reply = NATS_SUBJECTS_UNUSABLE;
    count_bytes(subjects, known);
}

bool nats_subjects_take(struct nats_subjects *subjects, uint64_t number, natsMsg *message)
{
    struct known *known = NULL;
    HASH_FIND(hh_number, subjects->by_number, &number, sizeof(number), known);
    if (known == NULL)
        return false;
    await_no_reply(subjects, known);
    known->is_denied = natsMsg_IsNoResponders(message);
    if (known->is_denied)
        return true;
    struct nats_subjects_info info = {0};
    known->reply = nats_subjects_parse(natsMsg_GetData(message),
                                       (size_t)natsMsg_GetDataLength(message), &info);
    if (known->reply != NATS_SUBJECTS_LATER)
        learn(subjects, known, &info);
    return true;
}

bool nats_subjects_deny(struct nats_subjects *subjects, const struct nats_refusal *refusal)
{
    struct known *known;
    struct known *next;
    HASH_ITER(hh_number, subjects->by_number, known, next) {
        if (!nats_refusal_is_of(refusal, known->name))
            continue;
        await_no_reply(subjects, known);
        known->is_denied = true;
        return true;
    }
    return false;
}

static void request(struct nats_subjects *subjects, struct known *known, int64_t now_ms)
{
    known->requested_ms = now_ms;
    known->reply = NATS_SUBJECTS_LEARNED;
    known->is_denied = false;
    nats_client_connection_send(subjects->connection, known->name, &known->number);
    HASH_ADD(hh_number, subjects->by_number, number, sizeof(known->number), known);
}

static bool is_old(const struct known *known, int64_t now_ms)
{
    return now_ms > known->requested_ms + FRESH_MS;
}

static bool must_request_again(const struct known *known, int64_t now_ms)
{
    bool is_later = known->reply == NATS_SUBJECTS_LATER;
    return is_old(known, now_ms) || (is_later && now_ms > known->requested_ms + LATER_MS);
}

/* Where all is in use, what is new has to wait: to forget what was requested just now would have
 * all requested again and again. */
static bool has_memory(struct nats_subjects *subjects, int64_t now_ms, struct error *error)
{
    while (subjects->bytes > MAX_BYTES && is_old(subjects->by_name, now_ms))
        free_known(subjects, subjects->by_name);
    return subjects->bytes <= MAX_BYTES ||
           error_set(error, ERROR_LIMIT,
                     "the subjects of NATS streams and consumers take at most %d MiB",
                     MAX_BYTES >> 20);
}

/* What was learned a while ago still counts until it is learned again. NULL: too much is known.
 * With the same `now_ms` nothing is freed that was returned before. */
static struct known *find_or_request(struct nats_subjects *subjects, const char *name,
                                     int64_t now_ms, struct error *error)
{
    struct known *known = NULL;
    HASH_FIND_STR(subjects->by_name, name, known);
    if (known == NULL) {
        if (!has_memory(subjects, now_ms, error))
            return NULL;
        size_t length = strlen(name);
        known = memory_new(sizeof(*known) + length + 1);
        memcpy(known->name, name, length);
        count_bytes(subjects, known);
    } else if (must_request_again(known, now_ms)) {
        HASH_DELETE(hh, subjects->by_name, known);
        await_no_reply(subjects, known);
    } else
        return known;
    HASH_ADD_STR(subjects->by_name, name, known);
    request(subjects, known, now_ms);
    return known;
}

/* NATS_SUBJECTS_KNOWN: of this one. */
static enum nats_subjects_state state_of(const struct known *known, int64_t now_ms,
                                         struct error *error)
{
    if (known->is_known)
        return NATS_SUBJECTS_KNOWN;
    bool may_come = !known->is_denied && now_ms < known->requested_ms + REPLY_MS;
    if (known->reply == NATS_SUBJECTS_ABSENT)
        error_unavailable(error, "NATS replied to %s that it does not exist", known->name);
    else if (known->reply == NATS_SUBJECTS_UNUSABLE)
        error_unavailable(error,
                          "NATS replied to %s without subjects that can be subscribed to, or with "
                          "more than there is memory for",
                          known->name);
    else if (may_come || known->reply == NATS_SUBJECTS_LATER)
        return NATS_SUBJECTS_REQUESTED;
    else
        error_unavailable(
            error,
            "NATS does not report on which subjects its messages are published: the user must be "
            "allowed to publish to %s",
            known->name);
    return NATS_SUBJECTS_IMPOSSIBLE;
}

enum nats_subjects_state nats_subjects_find(struct nats_subjects *subjects,
                                            const struct nats_query *query, int64_t now_ms,
                                            const struct nats_subject_list **ret_list,
                                            struct error *error)
{
    _cleanup_(text_done) struct text name = {0};
    nats_add_api(&name, query);
    text_addf(&name, ".STREAM.INFO.%s", query->stream);
    const struct known *stream = find_or_request(subjects, name.bytes, now_ms, error);
    if (stream == NULL)
        return NATS_SUBJECTS_IMPOSSIBLE;
    text_clear(&name);
    nats_add_api(&name, query);
    text_addf(&name, ".CONSUMER.INFO.%s.%s", query->stream, query->consumer);
    const struct known *consumer = find_or_request(subjects, name.bytes, now_ms, error);
    if (consumer == NULL)
        return NATS_SUBJECTS_IMPOSSIBLE;

    enum nats_subjects_state state = state_of(stream, now_ms, error);
    if (state == NATS_SUBJECTS_KNOWN)
        state = state_of(consumer, now_ms, error);
    if (state != NATS_SUBJECTS_KNOWN)
        return state;

    bool narrow = consumer->info.list.count > 0 && !stream->info.is_transformed;
    *ret_list = narrow ? &consumer->info.list : &stream->info.list;
    if (!stream->info.is_remote && (*ret_list)->count > 0)
        return NATS_SUBJECTS_KNOWN;
    error_unavailable(error,
                      "the messages of NATS stream \"%s\" come from other streams, and cannot be "
                      "subscribed to",
                      query->stream);
    return NATS_SUBJECTS_IMPOSSIBLE;
}
