#include "subjects.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"

#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum {
    LARGEST_ANSWER = 1 << 20,
    MOST_SUBJECTS = 64, /* of one stream or consumer */
    LONGEST_SUBJECT = 1024,
    MOST_KNOWN = 200000,   /* beyond them all are forgotten, and asked for anew */
    MOST_PENDING = 200000, /* answers */
    FRESH_MS = 60 * 1000,  /* then it is asked for again: a stream's subjects may change */
    ANSWER_MS = 5000,      /* what is not answered in it will not be */
};

/* A stream or a consumer. */
struct known {
    UT_hash_handle hh; /* by name */
    UT_hash_handle hh_number;
    uint64_t number;
    int64_t asked_at_ms;
    bool is_told;
    bool is_refused; /* the answer was none that we can use */
    struct nats_subjects_told told;
    char name[]; /* the subject of the request */
};

struct nats_subjects {
    natsConnection *connection;
    natsInbox *inbox;
    natsSubscription *answers; /* to `inbox`.NUMBER */
    struct known *by_name;
    struct known *by_number;
    uint64_t asked;
    uint64_t open_questions; /* since the last update */
};

static void free_known(struct nats_subjects *subjects, struct known *known)
{
    HASH_DELETE(hh, subjects->by_name, known);
    HASH_DELETE(hh_number, subjects->by_number, known);
    nats_subjects_told_done(&known->told);
    free(known);
}

static void forget_all(struct nats_subjects *subjects)
{
    while (subjects->by_name != NULL)
        free_known(subjects, subjects->by_name);
}

struct nats_subjects *nats_subjects_new(natsConnection *connection)
{
    struct nats_subjects *subjects = memory_new(sizeof(*subjects));
    subjects->connection = connection;
    natsStatus status = natsInbox_Create(&subjects->inbox);
    if (status == NATS_OK) {
        _cleanup_(memory_free) char *subject = text_format("%s.*", subjects->inbox);
        status = natsConnection_SubscribeSync(&subjects->answers, connection, subject);
    }
    if (status == NATS_OK)
        status = natsSubscription_SetPendingLimits(subjects->answers, MOST_PENDING, -1);
    if (status == NATS_OK)
        return subjects;
    nats_subjects_free(subjects);
    return NULL;
}

void nats_subjects_free(struct nats_subjects *subjects)
{
    forget_all(subjects);
    natsSubscription_Destroy(subjects->answers);
    natsInbox_Destroy(subjects->inbox);
    free(subjects);
}

static void release_json(json_t **json)
{
    json_decref(*json);
}

void nats_subjects_told_done(struct nats_subjects_told *told)
{
    for (size_t i = 0; i < told->list.count; i++)
        free(told->list.items[i]);
    free(told->list.items);
    *told = (struct nats_subjects_told){0};
}

static bool add_subject(struct nats_subject_list *list, const json_t *subject)
{
    const char *text = json_string_value(subject);
    if (text == NULL || text[0] == '\0' || strlen(text) > LONGEST_SUBJECT ||
        list->count == MOST_SUBJECTS)
        return false;
    if (list->items == NULL)
        list->items = memory_array(MOST_SUBJECTS, sizeof(*list->items));
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

bool nats_subjects_parse(const char *bytes, size_t length, struct nats_subjects_told *ret_told)
{
    _cleanup_(release_json) json_t *info =
        length > LARGEST_ANSWER ? NULL : json_loadb(bytes, length, 0, NULL);
    const json_t *config = json_object_get(info, "config");
    if (!json_is_object(config))
        return false;

    struct nats_subjects_told told = {
        .transformed = json_is_object(json_object_get(config, "subject_transform")),
        .comes_from_afar = json_is_object(json_object_get(config, "mirror")) ||
                           json_array_size(json_object_get(config, "sources")) > 0,
    };
    const json_t *filter = json_object_get(config, "filter_subject");
    bool has_filter = json_string_length(filter) > 0;
    if (add_subjects(&told.list, json_object_get(config, "subjects")) &&
        add_subjects(&told.list, json_object_get(config, "filter_subjects")) &&
        (!has_filter || add_subject(&told.list, filter))) {
        *ret_told = told;
        return true;
    }
    nats_subjects_told_done(&told);
    return false;
}

static void take_answer(struct nats_subjects *subjects, natsMsg *answer)
{
    struct known *known = NULL;
    const char *token = natsMsg_GetSubject(answer) + strlen(subjects->inbox) + strlen(".");
    uint64_t number = strtoull(token, NULL, 10);
    HASH_FIND(hh_number, subjects->by_number, &number, sizeof(number), known);
    if (subjects->open_questions > 0)
        subjects->open_questions--;
    if (known == NULL)
        return;
    nats_subjects_told_done(&known->told);
    known->is_told = nats_subjects_parse(natsMsg_GetData(answer),
                                         (size_t)natsMsg_GetDataLength(answer), &known->told);
    known->is_refused = !known->is_told;
}

void nats_subjects_update(struct nats_subjects *subjects, int64_t wait_until_ms)
{
    for (;;) {
        natsMsg *answer = NULL;
        int left_ms = subjects->open_questions == 0 ? 0 : clock_left_ms(wait_until_ms, INT_MAX);
        natsStatus status = natsSubscription_NextMsg(&answer, subjects->answers, left_ms);
        if (status == NATS_NO_RESPONDERS && subjects->open_questions > 0)
            subjects->open_questions--;
        if (status == NATS_NO_RESPONDERS)
            continue;
        if (status != NATS_OK)
            break;
        take_answer(subjects, answer);
        natsMsg_Destroy(answer);
    }
    subjects->open_questions = 0;
    if (HASH_COUNT(subjects->by_name) > MOST_KNOWN)
        forget_all(subjects);
}

static void ask(struct nats_subjects *subjects, struct known *known)
{
    _cleanup_(memory_free) char *reply =
        text_format("%s.%llu", subjects->inbox, (unsigned long long)known->number);
    known->asked_at_ms = clock_now_ms();
    known->is_refused = false;
    subjects->open_questions++;
    natsConnection_PublishRequest(subjects->connection, known->name, reply, NULL, 0);
}

/* What was told a while ago still counts until it is told again. */
static struct known *know(struct nats_subjects *subjects, const char *name)
{
    struct known *known = NULL;
    HASH_FIND_STR(subjects->by_name, name, known);
    if (known == NULL) {
        size_t length = strlen(name);
        known = memory_new(sizeof(*known) + length + 1);
        memcpy(known->name, name, length);
        known->number = ++subjects->asked;
        HASH_ADD_STR(subjects->by_name, name, known);
        HASH_ADD(hh_number, subjects->by_number, number, sizeof(known->number), known);
        ask(subjects, known);
    } else if (clock_now_ms() > known->asked_at_ms + FRESH_MS)
        ask(subjects, known);
    return known;
}

/* NATS_SUBJECTS_KNOWN: this one is told. */
static enum nats_subjects_state state_of(const struct known *known, struct error *error)
{
    if (known->is_told)
        return NATS_SUBJECTS_KNOWN;
    if (known->is_refused)
        error_unavailable(error, "NATS answered %s with no subjects that can be heard",
                          known->name);
    else if (clock_now_ms() < known->asked_at_ms + ANSWER_MS)
        return NATS_SUBJECTS_ASKED;
    else
        error_unavailable(
            error,
            "NATS does not tell on which subjects its messages come: the user must be "
            "allowed to publish to %s",
            known->name);
    return NATS_SUBJECTS_IMPOSSIBLE;
}

enum nats_subjects_state nats_subjects_find(struct nats_subjects *subjects,
                                            const struct nats_query_options *query,
                                            const struct nats_subject_list **ret_list,
                                            struct error *error)
{
    _cleanup_(text_done) struct text name = {0};
    nats_add_api(&name, query);
    text_addf(&name, ".STREAM.INFO.%s", query->stream);
    const struct known *stream = know(subjects, name.bytes);
    text_clear(&name);
    nats_add_api(&name, query);
    text_addf(&name, ".CONSUMER.INFO.%s.%s", query->stream, query->consumer);
    const struct known *consumer = know(subjects, name.bytes);

    enum nats_subjects_state state = state_of(stream, error);
    if (state == NATS_SUBJECTS_KNOWN)
        state = state_of(consumer, error);
    if (state != NATS_SUBJECTS_KNOWN)
        return state;

    bool narrow = consumer->told.list.count > 0 && !stream->told.transformed;
    *ret_list = narrow ? &consumer->told.list : &stream->told.list;
    if (!stream->told.comes_from_afar && (*ret_list)->count > 0)
        return NATS_SUBJECTS_KNOWN;
    error_unavailable(error,
                      "the messages of NATS stream \"%s\" come from other streams, and cannot be "
                      "heard on their way",
                      query->stream);
    return NATS_SUBJECTS_IMPOSSIBLE;
}
