#include "groups.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "metadata.h"

#include <string.h>

/* The longest that librdkafka takes. */
enum { NEVER_MS = 3600000 };

static void forget(struct kafka_client *client, struct group_call *call)
{
    HASH_DEL(client->calls, call);
    free(call->name);
    free(call);
}

void groups_forget(struct kafka_client *client)
{
    struct group_call *call;
    struct group_call *next;
    HASH_ITER(hh, client->calls, call, next)
    forget(client, call);
}

void groups_abandon(struct kafka_client *client)
{
    for (struct group_call *call = client->calls; call != NULL; call = call->hh.next)
        call->group = NULL;
}

int64_t groups_oldest_ms(const struct kafka_client *client)
{
    int64_t now_ms = clock_now_ms();
    int64_t oldest_ms = 0;
    for (struct group_call *call = client->calls; call != NULL; call = call->hh.next)
        if (now_ms - call->since_ms > oldest_ms)
            oldest_ms = now_ms - call->since_ms;
    return oldest_ms;
}

static void group_fail(struct group *group, const char *what)
{
    for (struct ask *ask = group->asks; ask != NULL; ask = ask->next)
        probe_failf(ask->probe, "the commits of Kafka group %s: %s", group->name, what);
}

static void call_send(struct kafka_client *client, struct group_call *call,
                      const rd_kafka_topic_partition_list_t *partitions)
{
    char reason[128];
    rd_kafka_ListConsumerGroupOffsets_t *request =
        rd_kafka_ListConsumerGroupOffsets_new(call->name, partitions);
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(client->rk, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
    rd_kafka_AdminOptions_set_request_timeout(options, NEVER_MS, reason, sizeof(reason));
    rd_kafka_AdminOptions_set_opaque(options, call);
    rd_kafka_ListConsumerGroupOffsets(client->rk, &request, 1, options, client->answers);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_ListConsumerGroupOffsets_destroy(request);
}

/* NULL: all that there are. The caller destroys it. */
static rd_kafka_topic_partition_list_t *partitions_of(const struct group *group)
{
    if (group->wants_all)
        return NULL;
    rd_kafka_topic_partition_list_t *partitions = rd_kafka_topic_partition_list_new(0);
    for (struct reader *reader = group->readers; reader != NULL; reader = reader->next)
        for (int32_t i = 0; i < reader->key.topic->count; i++)
            if (reader->commits[i].state == OFFSET_ASKED)
                rd_kafka_topic_partition_list_add(partitions, reader->key.topic->name, i);
    return partitions;
}

static void group_ask(struct batch *batch, struct group *group)
{
    struct kafka_client *client = batch->client;
    struct group_call *call;
    HASH_FIND_STR(client->calls, group->name, call);
    if (call != NULL) {
        group_fail(group, "its coordinator does not answer");
        return;
    }
    call = memory_new(sizeof(*call));
    call->name = text_copy(group->name);
    call->since_ms = clock_now_ms();
    call->group = group;
    HASH_ADD_KEYPTR(hh, client->calls, call->name, strlen(call->name), call);

    rd_kafka_topic_partition_list_t *partitions = partitions_of(group);
    call_send(client, call, partitions);
    if (partitions != NULL)
        rd_kafka_topic_partition_list_destroy(partitions);
}

void groups_ask(struct batch *batch)
{
    for (struct group *group = batch->groups; group != NULL; group = group->hh.next)
        if (group->asks != NULL)
            group_ask(batch, group);
}

static struct reader *reader_of(struct batch *batch, struct group *group, const char *topic_name)
{
    struct reader *reader = NULL;
    struct topic *topic;
    HASH_FIND_STR(batch->topics, topic_name, topic);
    if (topic != NULL) {
        struct reader wanted = {.key = {group, topic}};
        HASH_FIND(hh, batch->readers, &wanted.key, sizeof(wanted.key), reader);
    }
    return reader;
}

static void take_commits(struct batch *batch, struct group *group,
                         const rd_kafka_topic_partition_list_t *partitions)
{
    for (int i = 0; i < partitions->cnt; i++) {
        const rd_kafka_topic_partition_t *told = &partitions->elems[i];
        struct reader *reader = group->wants_all && told->offset >= 0
                                    ? batch_add_reader(batch, group, told->topic)
                                    : reader_of(batch, group, told->topic);
        if (reader == NULL || told->partition < 0)
            continue;
        reader->has_commit = reader->has_commit || told->offset >= 0;
        if (told->partition >= reader->key.topic->count)
            continue;
        reader->commits[told->partition] = (struct offset){
            .state = told->err == RD_KAFKA_RESP_ERR_NO_ERROR ? OFFSET_KNOWN : OFFSET_FAILED,
            .value = told->offset < 0 ? -1 : told->offset,
            .error = told->err,
        };
    }
}

/* Where all was asked for, what has no commit is left out; where partitions were named, nothing may be. */
static void fill_gaps(struct group *group)
{
    const struct offset none = {.state = OFFSET_KNOWN, .value = -1};
    const struct offset missing = {.state = OFFSET_FAILED, .error = RD_KAFKA_RESP_ERR__BAD_MSG};
    for (struct reader *reader = group->readers; reader != NULL; reader = reader->next)
        for (int32_t i = 0; i < reader->key.topic->count; i++)
            if (reader->commits[i].state == OFFSET_UNKNOWN ||
                reader->commits[i].state == OFFSET_ASKED)
                reader->commits[i] = group->wants_all ? none : missing;
}

static void group_take(struct batch *batch, struct group *group,
                       const rd_kafka_topic_partition_list_t *partitions)
{
    group->answered = ++batch->step;
    if (partitions != NULL)
        take_commits(batch, group, partitions);
    fill_gaps(group);
    for (struct ask *ask = group->asks; ask != NULL; ask = ask->next) {
        if (ask->selection.kind == SELECTION_OF_GROUP)
            ask_open_committed(batch, ask);
        ask_try(batch, ask);
    }
}

/* Whether the topics of the commits are known well enough; from now on they are asked for. */
static bool topics_are_fresh(struct kafka_client *client,
                             const rd_kafka_topic_partition_list_t *partitions)
{
    bool fresh = true;
    const char *last = NULL;
    for (int i = 0; i < partitions->cnt; i++) {
        const rd_kafka_topic_partition_t *told = &partitions->elems[i];
        if (told->offset < 0 || (last != NULL && text_equal(last, told->topic)))
            continue;
        last = told->topic;
        const struct known_topic *topic = topic_use(client, told->topic);
        fresh = fresh && (topic == NULL || topic_is_fresh(topic));
    }
    return fresh;
}

static const rd_kafka_topic_partition_list_t *partitions_told(rd_kafka_event_t *event,
                                                              const char **ret_trouble)
{
    size_t count = 0;
    const rd_kafka_ListConsumerGroupOffsets_result_t *result =
        rd_kafka_event_ListConsumerGroupOffsets_result(event);
    const rd_kafka_group_result_t **results =
        result == NULL ? NULL : rd_kafka_ListConsumerGroupOffsets_result_groups(result, &count);
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        *ret_trouble = rd_kafka_err2str(rd_kafka_event_error(event));
        return NULL;
    }
    const rd_kafka_error_t *trouble = count == 0 ? NULL : rd_kafka_group_result_error(results[0]);
    if (count == 0 || trouble != NULL) {
        *ret_trouble = trouble == NULL ? "an empty answer" : rd_kafka_error_string(trouble);
        return NULL;
    }
    return rd_kafka_group_result_partitions(results[0]);
}

/* Whether the event is kept for groups_take_told(). */
static bool group_hear(struct batch *batch, struct group *group, rd_kafka_event_t *event)
{
    const char *trouble = NULL;
    const rd_kafka_topic_partition_list_t *partitions = partitions_told(event, &trouble);
    if (trouble != NULL) {
        group_fail(group, trouble);
        return false;
    }
    bool kept =
        group->wants_all && partitions != NULL && !topics_are_fresh(batch->client, partitions);
    if (kept) {
        group->told = event;
        batch->has_told = true;
    } else
        group_take(batch, group, partitions);
    return kept;
}

void groups_hear(struct batch *batch, rd_kafka_event_t *event)
{
    struct group_call *call = rd_kafka_event_opaque(event);
    bool kept = false;
    if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_LISTCONSUMERGROUPOFFSETS_RESULT &&
        call != NULL) {
        if (call->group != NULL)
            kept = group_hear(batch, call->group, event);
        if (rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_NOT_COORDINATOR)
            batch->client->is_misled = true;
        forget(batch->client, call);
    }
    if (!kept)
        rd_kafka_event_destroy(event);
}

bool groups_take_told(struct batch *batch, struct error *error)
{
    if (!batch->has_told)
        return true;
    batch->has_told = false;
    if (!topics_refresh(batch->client, batch->deadline_ms, error))
        return false;
    for (struct group *group = batch->groups; group != NULL; group = group->hh.next) {
        const char *trouble = NULL;
        rd_kafka_event_t *event = TAKE(group->told);
        if (event == NULL)
            continue;
        group_take(batch, group, partitions_told(event, &trouble));
        rd_kafka_event_destroy(event);
    }
    return true;
}
