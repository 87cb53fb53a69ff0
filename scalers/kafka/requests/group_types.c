#include "kafka/requests/group_types.h"

#include "base/clock.h"
#include "base/hash_table.h"
#include "base/memory.h"
#include "base/text.h"
#include "kafka/client/background.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum {
    KNOWN_MS = 60 * 1000,
    SUSPEND_MS = 10 * 60 * 1000,
    CALL_MS = 500,    /* each of the two */
    MAX_PENDING = 32, /* tasks wait for all of them */
};

struct look_up {
    struct kafka_background_call base;
    rd_kafka_t *rk; /* held (kafka_handles_hold()) */
    char *group;
    bool is_share;
    bool has_failed;
};
_Static_assert(offsetof(struct look_up, base) == 0, "a pointer to it is one to the struct");

struct known_type {
    char *group;
    bool is_pending;
    bool is_share;
    int64_t known_ms; /* when it was looked up; 0: never */
    UT_hash_handle hh;
};

struct kafka_group_types {
    struct kafka_client *client;
    struct kafka_background *background;
    struct known_type *known;
    size_t pending;
    struct look_up *running;
    int64_t suspended_until_ms;
};

struct kafka_group_types *kafka_group_types_new(struct kafka_client *client)
{
    struct kafka_group_types *types = memory_new(sizeof(*types));
    types->client = client;
    types->background = kafka_background_new(client->event_fd);
    return types;
}

static void look_up_free(struct kafka_group_types *types, struct look_up *look_up)
{
    kafka_handles_release(&types->client->handles, look_up->rk);
    free(look_up->group);
    free(look_up);
}

static void forget(struct kafka_group_types *types, struct known_type *known)
{
    types->pending -= known->is_pending;
    HASH_DEL(types->known, known);
    free(known->group);
    free(known);
}

void kafka_group_types_forget_old(struct kafka_group_types *types, int64_t now_ms)
{
    struct known_type *known;
    struct known_type *next;
    HASH_ITER(hh, types->known, known, next)
        if (!known->is_pending && now_ms - known->known_ms >= KAFKA_FORGET_MS)
            forget(types, known);
}

void kafka_group_types_free(struct kafka_group_types *types)
{
    struct known_type *known;
    struct known_type *next;
    kafka_background_free(types->background);
    if (types->running != NULL)
        look_up_free(types, types->running);
    HASH_ITER(hh, types->known, known, next)
        forget(types, known);
    free(types);
}

/* ---- a look-up, on a thread of its own ---- */

/* Whether a broker has the group, and describes it as if it had none. */
static bool is_listed_dead(struct look_up *look_up)
{
    const struct rd_kafka_group_list *list = NULL;
    bool is_dead = false;
    look_up->has_failed = rd_kafka_list_groups(look_up->rk, look_up->group, &list, CALL_MS) !=
                          RD_KAFKA_RESP_ERR_NO_ERROR;
    for (int i = 0; list != NULL && i < list->group_cnt; i++) {
        const struct rd_kafka_group_info *info = &list->groups[i];
        is_dead |= info->err == RD_KAFKA_RESP_ERR_NO_ERROR && info->state != NULL &&
                   text_equal(info->group, look_up->group) && text_equal(info->state, "Dead");
    }
    if (list != NULL)
        rd_kafka_group_list_destroy(list);
    return is_dead && !look_up->has_failed;
}

static bool has_group(const rd_kafka_event_t *event, const char *group)
{
    size_t count = 0;
    const rd_kafka_ConsumerGroupListing_t **listed = rd_kafka_ListConsumerGroups_result_valid(
        rd_kafka_event_ListConsumerGroups_result((rd_kafka_event_t *)event), &count);
    for (size_t i = 0; i < count; i++)
        if (text_equal(rd_kafka_ConsumerGroupListing_group_id(listed[i]), group))
            return true;
    return false;
}

static bool is_consumer_group(struct look_up *look_up)
{
    char reason[128];
    rd_kafka_queue_t *queue = rd_kafka_queue_new(look_up->rk);
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(look_up->rk, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPS);
    rd_kafka_AdminOptions_set_request_timeout(options, CALL_MS, reason, sizeof(reason));
    rd_kafka_ListConsumerGroups(look_up->rk, options, queue);
    rd_kafka_AdminOptions_destroy(options);

    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, CALL_MS);
    look_up->has_failed =
        event == NULL || rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR;
    bool is_listed = !look_up->has_failed && has_group(event, look_up->group);
    if (event != NULL)
        rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    return is_listed;
}

static void run(struct kafka_background_call *base)
{
    struct look_up *look_up = (struct look_up *)base;
    look_up->is_share =
        is_listed_dead(look_up) && !is_consumer_group(look_up) && !look_up->has_failed;
}

/* ---- which groups are looked up ---- */

static struct known_type *find(const struct kafka_group_types *types, const char *group)
{
    struct known_type *known;
    HASH_FIND_STR(types->known, group, known);
    return known;
}

static void set_known(struct kafka_group_types *types, struct known_type *known, bool is_share,
                      int64_t now_ms)
{
    types->pending -= known->is_pending;
    known->is_pending = false;
    known->is_share = is_share;
    known->known_ms = now_ms;
}

void kafka_group_types_suspend(struct kafka_group_types *types, int64_t now_ms)
{
    types->suspended_until_ms = now_ms + SUSPEND_MS;
    for (struct known_type *known = types->known; known != NULL; known = known->hh.next)
        if (known->is_pending)
            set_known(types, known, false, now_ms);
}

static void start_next(struct kafka_group_types *types, int64_t now_ms)
{
    const struct known_type *known = types->known;
    while (known != NULL && !known->is_pending)
        known = known->hh.next;
    if (known == NULL || types->running != NULL)
        return;
    struct look_up *look_up = memory_new(sizeof(*look_up));
    *look_up = (struct look_up){
        .base = {.run = run}, .rk = types->client->rk, .group = text_copy(known->group)};
    kafka_handles_hold(&types->client->handles, look_up->rk);
    if (kafka_background_start(types->background, &look_up->base)) {
        types->running = look_up;
        return;
    }
    look_up_free(types, look_up);
    kafka_group_types_suspend(types, now_ms);
}

bool kafka_group_types_is_known(struct kafka_group_types *types, const char *group, int64_t now_ms)
{
    struct known_type *known = find(types, group);
    if (known != NULL && known->known_ms > 0 && now_ms - known->known_ms < KNOWN_MS)
        return true;
    if (now_ms < types->suspended_until_ms || types->pending >= MAX_PENDING)
        return true;
    if (known == NULL) {
        known = memory_new(sizeof(*known));
        known->group = text_copy(group);
        HASH_ADD_KEYPTR(hh, types->known, known->group, strlen(known->group), known);
    }
    types->pending += !known->is_pending;
    known->is_pending = true;
    start_next(types, now_ms);
    return !known->is_pending;
}

bool kafka_group_types_is_pending(const struct kafka_group_types *types, const char *group)
{
    const struct known_type *known = types->pending == 0 ? NULL : find(types, group);
    return known != NULL && known->is_pending;
}

bool kafka_group_types_is_share(const struct kafka_group_types *types, const char *group)
{
    const struct known_type *known = find(types, group);
    return known != NULL && known->is_share;
}

void kafka_group_types_receive(struct kafka_group_types *types, int64_t now_ms)
{
    struct look_up *look_up = (struct look_up *)kafka_background_next(types->background);
    if (look_up == NULL)
        return;
    types->running = NULL;
    struct known_type *known = find(types, look_up->group);
    if (look_up->has_failed)
        kafka_group_types_suspend(types, now_ms);
    else if (known != NULL)
        set_known(types, known, look_up->is_share, now_ms);
    look_up_free(types, look_up);
    start_next(types, now_ms);
}
