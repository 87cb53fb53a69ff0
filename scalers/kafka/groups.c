#include "groups.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"

#include <string.h>

/* The longest that librdkafka takes. */
enum { NEVER_MS = 3600000 };

/* The library looks once a second for what it may forget. Below the usual interval of 5 s. */
enum { REST_MS = KAFKA_REMEMBER_MS + 1200 };

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
        if (call->rests_until_ms == 0 && now_ms - call->since_ms > oldest_ms)
            oldest_ms = now_ms - call->since_ms;
    return oldest_ms;
}

static void group_fail(struct group *group, const char *what)
{
    for (struct reader *reader = group->readers; reader != NULL; reader = reader->next)
        for (struct ask *ask = reader->asks; ask != NULL; ask = ask->next)
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

static void group_ask(struct batch *batch, struct group *group)
{
    struct kafka_client *client = batch->client;
    struct group_call *call;
    HASH_FIND_STR(client->calls, group->name, call);
    if (call != NULL) {
        group_fail(group, call->rests_until_ms == 0 ? "its coordinator does not answer"
                                                    : "its coordinator has changed");
        return;
    }
    call = memory_new(sizeof(*call));
    call->name = text_copy(group->name);
    call->since_ms = clock_now_ms();
    call->group = group;
    HASH_ADD_KEYPTR(hh, client->calls, call->name, strlen(call->name), call);

    rd_kafka_topic_partition_list_t *partitions = rd_kafka_topic_partition_list_new(0);
    for (struct reader *reader = group->readers; reader != NULL; reader = reader->next)
        for (int32_t i = 0; i < reader->key.topic->count; i++)
            rd_kafka_topic_partition_list_add(partitions, reader->key.topic->name, i);
    call_send(client, call, partitions);
    rd_kafka_topic_partition_list_destroy(partitions);
}

static void end_rests(struct kafka_client *client)
{
    int64_t now_ms = clock_now_ms();
    struct group_call *call;
    struct group_call *next;
    HASH_ITER(hh, client->calls, call, next)
    if (call->rests_until_ms != 0 && call->rests_until_ms <= now_ms)
        forget(client, call);
}

void groups_ask(struct batch *batch)
{
    end_rests(batch->client);
    for (struct group *group = batch->groups; group != NULL; group = group->hh.next)
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
        struct reader *reader = reader_of(batch, group, told->topic);
        if (reader == NULL || told->partition < 0 || told->partition >= reader->key.topic->count)
            continue;
        reader->commits[told->partition] = (struct offset){
            .state = told->err == RD_KAFKA_RESP_ERR_NO_ERROR ? OFFSET_KNOWN : OFFSET_FAILED,
            .value = told->offset < 0 ? -1 : told->offset,
            .error = told->err,
        };
    }
}

/* A partition that the answer leaves out is an error, not one without a commit. */
static void group_answered(struct batch *batch, struct group *group)
{
    group->answered = ++batch->step;
    for (struct reader *reader = group->readers; reader != NULL; reader = reader->next) {
        for (int32_t i = 0; i < reader->key.topic->count; i++)
            if (reader->commits[i].state == OFFSET_UNKNOWN)
                reader->commits[i] =
                    (struct offset){.state = OFFSET_FAILED, .error = RD_KAFKA_RESP_ERR__BAD_MSG};
        for (struct ask *ask = reader->asks; ask != NULL; ask = ask->next)
            ask_try(batch, ask);
    }
}

static void group_hear(struct batch *batch, struct group *group, rd_kafka_event_t *event)
{
    size_t count = 0;
    const rd_kafka_ListConsumerGroupOffsets_result_t *result =
        rd_kafka_event_ListConsumerGroupOffsets_result(event);
    const rd_kafka_group_result_t **results =
        result == NULL ? NULL : rd_kafka_ListConsumerGroupOffsets_result_groups(result, &count);
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        group_fail(group, rd_kafka_err2str(rd_kafka_event_error(event)));
        return;
    }
    const rd_kafka_error_t *trouble = count == 0 ? NULL : rd_kafka_group_result_error(results[0]);
    if (count == 0 || trouble != NULL) {
        group_fail(group, trouble == NULL ? "an empty answer" : rd_kafka_error_string(trouble));
        return;
    }
    const rd_kafka_topic_partition_list_t *partitions =
        rd_kafka_group_result_partitions(results[0]);
    if (partitions != NULL)
        take_commits(batch, group, partitions);
    group_answered(batch, group);
}

void groups_hear(struct batch *batch, rd_kafka_event_t *event)
{
    struct group_call *call = rd_kafka_event_opaque(event);
    if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_LISTCONSUMERGROUPOFFSETS_RESULT &&
        call != NULL) {
        if (call->group != NULL)
            group_hear(batch, call->group, event);
        call->group = NULL;
        if (rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_NOT_COORDINATOR)
            call->rests_until_ms = clock_now_ms() + REST_MS;
        else
            forget(batch->client, call);
    }
    rd_kafka_event_destroy(event);
}
