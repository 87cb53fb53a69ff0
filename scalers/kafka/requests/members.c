#include "kafka/requests/members.h"

#include "base/hash_table.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "kafka/requests/serial.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>
#include <sys/param.h>
#include <utlist.h>

enum {
    ABANDONED_MS = 1000,  /* no task waits for an older request */
    SERIAL_MS = 3000,     /* an older request on the serial handle is given up; it may connect
                             first */
    HANGS_MS = 60 * 1000, /* an older request needs another handle, if it is still wanted */
};

struct member_group {
    struct kafka_serial_request base;
    struct kafka_members *members;
    char *name;
    int64_t wanted_ms; /* when a task last wanted it */
    size_t users;      /* requests that are not released */
    int64_t sent_ms;   /* 0: no request is under way */
    int64_t received_ms;
    bool was_lost;   /* its connection was closed, and it was sent again */
    bool is_known;   /* `assigned` has all consumers */
    bool has_warned; /* of an error */
    bool has_warned_of_none;
    bool has_warned_of_memory;
    rd_kafka_topic_partition_list_t *assigned;
    double bytes; /* of it, in memory.h */
    UT_hash_handle hh;
};
_Static_assert(offsetof(struct member_group, base) == 0, "a pointer to it is one to the struct");

struct kafka_members {
    struct kafka_client *client;
    rd_kafka_queue_t *answers;
    struct kafka_serial *serial;
    struct member_group *groups;
};

void kafka_members_open_handle(struct kafka_members *members)
{
    members->answers = kafka_client_new_queue(members->client, members->client->rk);
}

/* NULL: the answer has no description, but an error. */
static const rd_kafka_ConsumerGroupDescription_t *answer_description(rd_kafka_event_t *event)
{
    size_t count = 0;
    const rd_kafka_DescribeConsumerGroups_result_t *result =
        rd_kafka_event_DescribeConsumerGroups_result(event);
    const rd_kafka_ConsumerGroupDescription_t **descriptions =
        result == NULL ? NULL : rd_kafka_DescribeConsumerGroups_result_groups(result, &count);
    return count == 0 ? NULL : descriptions[0];
}

static rd_kafka_resp_err_t answer_error(rd_kafka_event_t *event)
{
    const rd_kafka_ConsumerGroupDescription_t *description = answer_description(event);
    rd_kafka_resp_err_t error = rd_kafka_event_error(event);
    if (description != NULL)
        return rd_kafka_error_code(rd_kafka_ConsumerGroupDescription_error(description));
    return error == RD_KAFKA_RESP_ERR_NO_ERROR ? RD_KAFKA_RESP_ERR__FAIL : error;
}

struct kafka_members *kafka_members_new(struct kafka_client *client)
{
    struct kafka_members *members = memory_new(sizeof(*members));
    members->client = client;
    members->serial = kafka_serial_new(client, answer_error, "set ratePerReplica to a number");
    kafka_members_open_handle(members);
    return members;
}

static void forget_members(struct member_group *group)
{
    if (group->assigned != NULL)
        rd_kafka_topic_partition_list_destroy(TAKE(group->assigned));
    kafka_memory_add(&group->members->client->memory, KAFKA_ACCOUNT_MEMBERS, -group->bytes);
    group->bytes = 0;
    group->is_known = false;
}

/* Known members stay: they have nothing of the handle. */
void kafka_members_close_handle(struct kafka_members *members)
{
    for (struct member_group *group = members->groups; group != NULL; group = group->hh.next)
        if (!group->base.is_here)
            group->sent_ms = 0;
    kafka_client_end_queue(members->client, TAKE(members->answers));
}

/* Whether the group's request on the main handle hangs. Only the time until it was last wanted
 * counts: a group is no longer wanted once its tasks end, or are isolated as its commits hang. */
static bool main_request_hangs(const struct member_group *group, int64_t now_ms)
{
    return group->sent_ms != 0 && !group->base.is_here &&
           (group->wanted_ms - group->sent_ms >= HANGS_MS ||
            now_ms - group->sent_ms >= KAFKA_MAX_CALL_MS);
}

bool kafka_members_needs_renewal(const struct kafka_members *members, int64_t now_ms)
{
    for (const struct member_group *group = members->groups; group != NULL; group = group->hh.next)
        if (main_request_hangs(group, now_ms))
            return true;
    return false;
}

static void group_free(struct kafka_members *members, struct member_group *group)
{
    HASH_DEL(members->groups, group);
    forget_members(group);
    free(group->name);
    free(group);
}

void kafka_members_free(struct kafka_members *members)
{
    struct member_group *group;
    struct member_group *next;
    kafka_members_close_handle(members);
    kafka_serial_free(members->serial);
    HASH_ITER(hh, members->groups, group, next)
        group_free(members, group);
    assert(members->client->memory.bytes[KAFKA_ACCOUNT_MEMBERS] == 0);
    free(members);
}

static struct member_group *group_find(const struct kafka_members *members, const char *name)
{
    struct member_group *group;
    HASH_FIND_STR(members->groups, name, group);
    return group;
}

void kafka_members_forget_old(struct kafka_members *members, int64_t now_ms)
{
    struct member_group *group;
    struct member_group *next;
    HASH_ITER(hh, members->groups, group, next)
        if (group->sent_ms == 0 && group->users == 0 &&
            now_ms - group->wanted_ms >= KAFKA_FORGET_MS)
            group_free(members, group);
}

/* ---- requests ---- */

static void warn_once(const struct member_group *group, bool *has_warned, const char *reason)
{
    if (!*has_warned)
        log_warning("the members of Kafka group %s: %s; ratePerReplica: measured needs them",
                    group->name, reason);
    *has_warned = true;
}

/* The answer points to the group, which stays until then, or until the handle ends. The library
 * copies nothing but its name. */
static double send_request(struct kafka_serial_request *base, rd_kafka_t *rk,
                           rd_kafka_queue_t *answers)
{
    const char *name = base->group;
    rd_kafka_AdminOptions_t *options =
        kafka_client_new_call_options(rk, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS, base);
    rd_kafka_DescribeConsumerGroups(rk, &name, 1, options, answers);
    rd_kafka_AdminOptions_destroy(options);
    return 0;
}

static struct member_group *group_for(struct kafka_members *members, const char *name)
{
    struct member_group *group = group_find(members, name);
    if (group != NULL)
        return group;
    group = memory_new(sizeof(*group));
    group->base.send = send_request;
    group->members = members;
    group->name = text_copy(name);
    group->base.group = group->name;
    HASH_ADD_KEYPTR(hh, members->groups, group->name, strlen(group->name), group);
    return group;
}

void kafka_members_request(struct kafka_members *members, const char *name, int64_t now_ms)
{
    struct member_group *group = group_for(members, name);
    group->wanted_ms = now_ms;
    group->users++;
    if (group->sent_ms != 0 || kafka_serial_reason_suspended(members->serial, name, now_ms) != NULL)
        return;
    group->sent_ms = now_ms;
    group->was_lost = false;
    if (kafka_serial_remembers(members->serial, name)) {
        kafka_serial_add(members->serial, &group->base);
        return;
    }
    kafka_serial_note_sent(members->serial, &group->base);
    send_request(&group->base, members->client->rk, members->answers);
}

void kafka_members_release(struct kafka_members *members, const char *name)
{
    struct member_group *group = group_find(members, name);
    if (--group->users == 0)
        forget_members(group);
}

bool kafka_members_maintain(struct kafka_members *members, int64_t now_ms)
{
    bool are_given_up = false;
    struct kafka_serial_request *first = kafka_serial_first(members->serial);
    struct kafka_serial_request *each;
    struct kafka_serial_request *next;
    DL_FOREACH_SAFE(first, each, next) {
        struct member_group *group = (struct member_group *)each;
        if (now_ms - group->sent_ms < SERIAL_MS)
            continue;
        kafka_serial_cancel(members->serial, each);
        group->sent_ms = 0;
        are_given_up = true;
        if (error_is_set(kafka_serial_failure(members->serial)))
            warn_once(group, &group->has_warned, error_text(kafka_serial_failure(members->serial)));
    }
    kafka_serial_maintain(members->serial, now_ms);
    return are_given_up;
}

int64_t kafka_members_next_ms(const struct kafka_members *members)
{
    int64_t next_ms = kafka_serial_next_ms(members->serial);
    const struct kafka_serial_request *each;
    DL_FOREACH(kafka_serial_first(members->serial), each)
        next_ms = MIN(next_ms, ((const struct member_group *)each)->sent_ms + SERIAL_MS);
    return next_ms;
}

bool kafka_members_is_pending(const struct kafka_members *members, const char *name,
                              int64_t since_ms)
{
    const struct member_group *group = group_find(members, name);
    return group != NULL && group->sent_ms != 0 && group->received_ms < since_ms &&
           since_ms - group->sent_ms < (group->base.is_here ? SERIAL_MS : ABANDONED_MS);
}

/* ---- answers ---- */

/* NULL: the member has none. */
static const rd_kafka_topic_partition_list_t *
member_partitions(const rd_kafka_ConsumerGroupDescription_t *description, size_t member)
{
    const rd_kafka_MemberAssignment_t *assignment = rd_kafka_MemberDescription_assignment(
        rd_kafka_ConsumerGroupDescription_member(description, member));
    return assignment == NULL ? NULL : rd_kafka_MemberAssignment_partitions(assignment);
}

/* Returns what the members' partitions will take, and how many they are. */
static double members_bytes(const rd_kafka_ConsumerGroupDescription_t *description,
                            int *ret_partitions)
{
    size_t bytes = KAFKA_MEMORY_MEMBERS;
    *ret_partitions = 0;
    const size_t count = rd_kafka_ConsumerGroupDescription_member_count(description);
    for (size_t member = 0; member < count; member++) {
        const rd_kafka_topic_partition_list_t *partitions = member_partitions(description, member);
        for (int i = 0; partitions != NULL && i < partitions->cnt; i++)
            bytes += KAFKA_MEMORY_PER_ASSIGNED + strlen(partitions->elems[i].topic);
        *ret_partitions += partitions == NULL ? 0 : partitions->cnt;
    }
    return (double)bytes;
}

static void take_member(struct member_group *group,
                        const rd_kafka_ConsumerGroupDescription_t *description, size_t member)
{
    const rd_kafka_topic_partition_list_t *partitions = member_partitions(description, member);
    for (int i = 0; partitions != NULL && i < partitions->cnt; i++) {
        rd_kafka_topic_partition_t *assigned = rd_kafka_topic_partition_list_add(
            group->assigned, partitions->elems[i].topic, partitions->elems[i].partition);
        assigned->opaque = (void *)(member + 1);
    }
}

bool kafka_members_are_assigned(rd_kafka_consumer_group_state_t state, bool is_simple)
{
    return !is_simple && (state == RD_KAFKA_CONSUMER_GROUP_STATE_STABLE ||
                          state == RD_KAFKA_CONSUMER_GROUP_STATE_EMPTY);
}

/* A library that does not know Kafka 4's protocol takes its groups for dead (workaround 12). */
static void take_description(struct member_group *group,
                             const rd_kafka_ConsumerGroupDescription_t *description)
{
    rd_kafka_consumer_group_state_t state = rd_kafka_ConsumerGroupDescription_state(description);
    if (state == RD_KAFKA_CONSUMER_GROUP_STATE_DEAD)
        warn_once(group, &group->has_warned_of_none,
                  "it never had any, or they have group.protocol=consumer, and cannot be seen: "
                  "set ratePerReplica to a number");
    if (!kafka_members_are_assigned(
            state, rd_kafka_ConsumerGroupDescription_is_simple_consumer_group(description)) ||
        group->users == 0)
        return;
    struct kafka_memory *memory = &group->members->client->memory;
    int partitions;
    const double bytes = members_bytes(description, &partitions);
    if (!kafka_memory_has_for_members(memory, bytes)) {
        _cleanup_(memory_free) char *reason =
            text_format("no memory for them: %s", kafka_memory_advice(memory));
        warn_once(group, &group->has_warned_of_memory, reason);
        return;
    }
    kafka_memory_add(memory, KAFKA_ACCOUNT_MEMBERS, bytes);
    group->bytes = bytes;
    group->is_known = true;
    group->assigned = rd_kafka_topic_partition_list_new(partitions); /* or it doubles */
    size_t count = rd_kafka_ConsumerGroupDescription_member_count(description);
    for (size_t i = 0; i < count; i++)
        take_member(group, description, i);
}

/* Why the answer is an error. The text is valid as long as the answer. */
static const char *error_reason(const struct member_group *group, rd_kafka_event_t *event)
{
    const rd_kafka_ConsumerGroupDescription_t *description = answer_description(event);
    if (kafka_client_is_unreadable(answer_error(event)))
        return kafka_serial_reason_unreadable(group->members->serial, group->name);
    if (description != NULL)
        return rd_kafka_error_string(rd_kafka_ConsumerGroupDescription_error(description));
    return rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_NO_ERROR
               ? "unexpected reply without a result"
               : rd_kafka_event_error_string(event);
}

/* The group's request has ended, on either handle. */
static void take_answer(struct member_group *group, rd_kafka_event_t *event, int64_t now_ms)
{
    forget_members(group);
    group->sent_ms = 0;
    group->received_ms = now_ms;
    if (answer_error(event) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        group->has_warned = false;
        take_description(group, answer_description(event));
    } else
        warn_once(group, &group->has_warned, error_reason(group, event));
}

static void take_main_answer(struct member_group *group, rd_kafka_event_t *event, int64_t now_ms)
{
    const struct kafka_members *members = group->members;
    if (answer_error(event) == RD_KAFKA_RESP_ERR__TRANSPORT && !group->was_lost) {
        group->was_lost = true;
        kafka_serial_note_sent(members->serial, &group->base);
        send_request(&group->base, members->client->rk, members->answers);
        return;
    }
    if (!kafka_client_is_unreadable(answer_error(event))) {
        take_answer(group, event, now_ms);
        return;
    }
    rd_kafka_t *rk = members->client->rk;
    switch (kafka_serial_retry(members->serial, &group->base, rk, members->answers)) {
    case KAFKA_SERIAL_MOVED:
        group->sent_ms = now_ms; /* SERIAL_MS begin now */
        break;
    case KAFKA_SERIAL_SENT_AGAIN:
        break;
    case KAFKA_SERIAL_FAILED:
        take_answer(group, event, now_ms);
        break;
    }
}

/* The caller destroys the answer. NULL: there is none. */
static rd_kafka_event_t *take_next_answer(struct kafka_members *members, int64_t now_ms)
{
    struct kafka_serial_request *request;
    rd_kafka_event_t *event = rd_kafka_queue_poll(members->answers, 0);
    if (event != NULL) {
        take_main_answer(rd_kafka_event_opaque(event), event, now_ms);
        return event;
    }
    event = kafka_serial_receive(members->serial, &request, now_ms);
    if (event != NULL && request != NULL)
        take_answer((struct member_group *)request, event, now_ms);
    return event;
}

bool kafka_members_receive(struct kafka_members *members, int64_t now_ms)
{
    bool has_come = false;
    rd_kafka_event_t *event;
    while ((event = take_next_answer(members, now_ms)) != NULL) {
        rd_kafka_event_destroy(event);
        has_come = true;
    }
    return has_come;
}

const rd_kafka_topic_partition_list_t *kafka_members_assigned(const struct kafka_members *members,
                                                              const char *name, int64_t since_ms)
{
    const struct member_group *group = group_find(members, name);
    bool is_known = group != NULL && group->is_known && group->received_ms >= since_ms;
    return is_known ? group->assigned : NULL;
}
