#include "nats_jetstream/client/subjects.h"

#include "base/clock.h"
#include "base/hash_table.h"
#include "base/json_cleanup.h"
#include "base/json_text.h"
#include "base/memory.h"
#include "base/text.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_TREE_BYTES = 4 << 20, /* of a reply */
    MAX_SUBJECTS = 64,        /* of one stream or consumer */
    MAX_SUBJECT_LENGTH = 1024,
    MAX_KNOWN = 200000,   /* beyond them all are dropped, and requested again */
    FRESH_MS = 60 * 1000, /* then it is requested again: a stream's subjects may change */
    REPLY_MS = 5000,      /* there will be no reply after it */
};

/* A stream or a consumer. */
struct known {
    UT_hash_handle hh; /* by name */
    UT_hash_handle hh_number;
    uint64_t number;
    int64_t requested_ms;
    bool is_known;
    bool is_refused; /* the reply was none that we can use */
    struct nats_subjects_info info;
    char name[]; /* the subject of the request */
};

struct nats_subjects {
    struct nats_client_connection *connection;
    struct known *by_name;
    struct known *by_number;
};

static void free_known(struct nats_subjects *subjects, struct known *known)
{
    HASH_DELETE(hh, subjects->by_name, known);
    HASH_DELETE(hh_number, subjects->by_number, known);
    nats_subjects_info_done(&known->info);
    free(known);
}

static void forget_all(struct nats_subjects *subjects)
{
    while (subjects->by_name != NULL)
        free_known(subjects, subjects->by_name);
}

struct nats_subjects *nats_subjects_new(struct nats_client_connection *connection)
{
    struct nats_subjects *subjects = memory_new(sizeof(*subjects));
    subjects->connection = connection;
    return subjects;
}

void nats_subjects_free(struct nats_subjects *subjects)
{
    forget_all(subjects);
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
    if (list->items == NULL)
        list->items = memory_array(MAX_SUBJECTS, sizeof(*list->items));
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

bool nats_subjects_parse(const char *bytes, size_t length, struct nats_subjects_info *ret_info)
{
    _cleanup_(json_done) json_t *reply =
        json_text_tree((struct json_text){bytes, length}, 0, MAX_TREE_BYTES);
    const json_t *config = json_object_get(reply, "config");
    if (!json_is_object(config))
        return false;

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
        return true;
    }
    nats_subjects_info_done(&info);
    return false;
}

bool nats_subjects_take(struct nats_subjects *subjects, uint64_t number, natsMsg *message)
{
    struct known *known = NULL;
    HASH_FIND(hh_number, subjects->by_number, &number, sizeof(number), known);
    if (known == NULL)
        return false;
    if (natsMsg_IsNoResponders(message))
        return true;
    nats_subjects_info_done(&known->info);
    known->is_known = nats_subjects_parse(natsMsg_GetData(message),
                                          (size_t)natsMsg_GetDataLength(message), &known->info);
    known->is_refused = !known->is_known;
    return true;
}

static void request(struct nats_subjects *subjects, struct known *known)
{
    known->requested_ms = clock_now_ms();
    known->is_refused = false;
    nats_client_connection_send(subjects->connection, known->name, &known->number);
    HASH_ADD(hh_number, subjects->by_number, number, sizeof(known->number), known);
}

/* What was learned a while ago still counts until it is learned again. */
static struct known *find_or_request(struct nats_subjects *subjects, const char *name)
{
    struct known *known = NULL;
    HASH_FIND_STR(subjects->by_name, name, known);
    if (known == NULL) {
        size_t length = strlen(name);
        known = memory_new(sizeof(*known) + length + 1);
        memcpy(known->name, name, length);
        HASH_ADD_STR(subjects->by_name, name, known);
        request(subjects, known);
    } else if (clock_now_ms() > known->requested_ms + FRESH_MS) {
        HASH_DELETE(hh_number, subjects->by_number, known);
        request(subjects, known);
    }
    return known;
}

/* NATS_SUBJECTS_KNOWN: of this one. */
static enum nats_subjects_state state_of(const struct known *known, struct error *error)
{
    if (known->is_known)
        return NATS_SUBJECTS_KNOWN;
    if (known->is_refused)
        error_unavailable(error, "NATS replied to %s without subjects that can be subscribed to",
                          known->name);
    else if (clock_now_ms() < known->requested_ms + REPLY_MS)
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
                                            const struct nats_query *query,
                                            const struct nats_subject_list **ret_list,
                                            struct error *error)
{
    _cleanup_(text_done) struct text name = {0};
    if (HASH_COUNT(subjects->by_name) > MAX_KNOWN)
        forget_all(subjects);
    nats_add_api(&name, query);
    text_addf(&name, ".STREAM.INFO.%s", query->stream);
    const struct known *stream = find_or_request(subjects, name.bytes);
    text_clear(&name);
    nats_add_api(&name, query);
    text_addf(&name, ".CONSUMER.INFO.%s.%s", query->stream, query->consumer);
    const struct known *consumer = find_or_request(subjects, name.bytes);

    enum nats_subjects_state state = state_of(stream, error);
    if (state == NATS_SUBJECTS_KNOWN)
        state = state_of(consumer, error);
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
