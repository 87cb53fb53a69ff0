#include "kafka/requests/offsets.h"

#include "base/clock.h"
#include "base/hash_table.h"
#include "base/memory.h"
#include "base/text.h"
#include "kafka/client/background.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <utlist.h>

enum {
    CALL_PARTITIONS = 1000, /* workaround 9 of client.h */
    MAX_THREADS = KAFKA_MEMORY_THREADS,
    MAX_TRIES = 5, /* of a request, as the replies of others are too long (workaround 14) */
};

/* A request for the first, or the last, offsets of partitions of one leader and one owner. Its list
 * is never given to the library, so that it may outlive a handle. */
struct offsets_request {
    int32_t leader;
    bool is_earliest;
    int64_t deadline_ms;
    void *owner; /* NULL: nobody waits for it any more */
    rd_kafka_topic_partition_list_t *list;
    rd_kafka_resp_err_t error;
    unsigned tries;  /* that failed, as the reply to another request was too long */
    bool has_shared; /* its call had other requests, too: the error may be theirs */
    bool goes_alone; /* it shares no call any more: a call with it had the error of a partition */
    struct offsets_request *prev, *next;
};

/* A partition of a request, and the one of the call that has its offset. */
struct offsets_target {
    rd_kafka_topic_partition_t *partition;
    int index;
};

/* A call of the library for several requests. A partition that several of them have is in the call
 * once: a broker refuses a partition that is named twice. */
struct offsets_call {
    struct kafka_background_call base;
    struct leader *leader;
    rd_kafka_t *rk; /* the call holds this handle, as the list has structs of it */
    rd_kafka_topic_partition_list_t *list;
    int64_t deadline_ms;
    rd_kafka_resp_err_t error;
    struct offsets_request *requests; /* utlist */
    struct offsets_target *targets;   /* of all requests */
    size_t count;
};
_Static_assert(offsetof(struct offsets_call, base) == 0, "a pointer to it is one to the struct");

/* A broker, as long as there is a request for it. */
struct leader {
    int32_t id;
    struct offsets_request *collecting[2]; /* latest, earliest: not full yet */
    struct offsets_request *waiting;       /* utlist */
    struct offsets_call *running;
    const char *reason_unsent; /* why no request has a thread; NULL: one had */
    UT_hash_handle hh;
};

struct kafka_offsets {
    struct kafka_client *client;
    struct kafka_background *background;
    struct leader *leaders;
    struct offsets_request *ended;  /* utlist: their calls have ended */
    struct offsets_request *answer; /* the one that was given out last */
    size_t running;
};

struct kafka_offsets *kafka_offsets_new(struct kafka_client *client)
{
    struct kafka_offsets *offsets = memory_new(sizeof(*offsets));
    offsets->client = client;
    offsets->background = kafka_background_new(client->event_fd);
    return offsets;
}

static void request_free(struct offsets_request *request)
{
    if (request == NULL)
        return;
    rd_kafka_topic_partition_list_destroy(request->list);
    free(request);
}

static void requests_free(struct offsets_request *requests)
{
    struct offsets_request *request;
    struct offsets_request *next;
    DL_FOREACH_SAFE(requests, request, next)
        request_free(request);
}

static void call_free(struct kafka_offsets *offsets, struct offsets_call *call)
{
    if (call == NULL)
        return;
    requests_free(call->requests);
    rd_kafka_topic_partition_list_destroy(call->list);
    kafka_handles_release(&offsets->client->handles, call->rk);
    free(call->targets);
    free(call);
}

void kafka_offsets_free(struct kafka_offsets *offsets)
{
    kafka_background_free(offsets->background);
    request_free(offsets->answer);
    requests_free(offsets->ended);
    struct leader *leader;
    struct leader *next;
    HASH_ITER(hh, offsets->leaders, leader, next) {
        requests_free(leader->waiting);
        call_free(offsets, leader->running);
        request_free(leader->collecting[false]);
        request_free(leader->collecting[true]);
        HASH_DEL(offsets->leaders, leader);
        free(leader);
    }
    free(offsets);
}

#if RD_KAFKA_VERSION >= 0x020300ff

/* The answer has the order of the request. A partition that is out of place stays without an
 * offset. */
static void take_result(rd_kafka_topic_partition_list_t *list, const rd_kafka_event_t *event)
{
    size_t count = 0;
    const rd_kafka_ListOffsetsResultInfo_t **infos = rd_kafka_ListOffsets_result_infos(
        rd_kafka_event_ListOffsets_result((rd_kafka_event_t *)event), &count);
    for (size_t i = 0; i < count && i < (size_t)list->cnt; i++) {
        const rd_kafka_topic_partition_t *result =
            rd_kafka_ListOffsetsResultInfo_topic_partition(infos[i]);
        if (result->partition != list->elems[i].partition ||
            !text_equal(result->topic, list->elems[i].topic))
            continue;
        list->elems[i].offset = result->offset;
        list->elems[i].err = result->err;
    }
}

/* Each partition has an error of its own. */
static rd_kafka_resp_err_t list_offsets(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list,
                                        int left_ms)
{
    char reason[128];
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_LISTOFFSETS);
    rd_kafka_AdminOptions_set_request_timeout(options, left_ms, reason, sizeof(reason));
    rd_kafka_ListOffsets(rk, list, options, queue);
    rd_kafka_AdminOptions_destroy(options);

    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, left_ms);
    rd_kafka_resp_err_t error =
        event == NULL ? RD_KAFKA_RESP_ERR__TIMED_OUT : rd_kafka_event_error(event);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
        take_result(list, event);
    if (event != NULL)
        rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    return error;
}

#else

/* One partition's error is the error of the call (workaround 10): request_split() finds out whose
 * it is. */
static rd_kafka_resp_err_t list_offsets(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list,
                                        int left_ms)
{
    return rd_kafka_offsets_for_times(rk, list, left_ms);
}

#endif

/* Whether the answer has neither an offset of the partition nor an error. */
static bool is_left_out(const rd_kafka_topic_partition_t *partition)
{
    return partition->offset < 0 && partition->err == RD_KAFKA_RESP_ERR_NO_ERROR;
}

static bool are_left_out(const rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; i < list->cnt; i++)
        if (!is_left_out(&list->elems[i]))
            return false;
    return true;
}

/* On a thread of its own. The library's time-out may come just before ours, and then has no error
 * (workaround 15). */
static void call_run(struct kafka_background_call *base)
{
    struct offsets_call *call = (struct offsets_call *)base;
    int left_ms = clock_left_ms(call->deadline_ms, INT32_MAX);
    call->error =
        left_ms == 0 ? RD_KAFKA_RESP_ERR__TIMED_OUT : list_offsets(call->rk, call->list, left_ms);
    if (call->error == RD_KAFKA_RESP_ERR_NO_ERROR && are_left_out(call->list) &&
        clock_left_ms(call->deadline_ms, 1) == 0)
        call->error = RD_KAFKA_RESP_ERR__TIMED_OUT;
}

/* ---- what is requested ---- */

static struct leader *leader_for(struct kafka_offsets *offsets, int32_t id)
{
    struct leader *leader;
    HASH_FIND(hh, offsets->leaders, &id, sizeof(id), leader);
    if (leader != NULL)
        return leader;
    leader = memory_new(sizeof(*leader));
    leader->id = id;
    HASH_ADD(hh, offsets->leaders, id, sizeof(leader->id), leader);
    return leader;
}

/* The request that was collected waits for a thread from now on. */
static void leader_flush(struct leader *leader, bool is_earliest)
{
    struct offsets_request *request = TAKE(leader->collecting[is_earliest]);
    if (request != NULL)
        DL_APPEND(leader->waiting, request);
}

static struct offsets_request *collect_begin(struct leader *leader,
                                             const struct kafka_offset_request *added)
{
    struct offsets_request *request = memory_new(sizeof(*request));
    *request = (struct offsets_request){.leader = leader->id,
                                        .is_earliest = added->is_earliest,
                                        .deadline_ms = added->deadline_ms,
                                        .owner = added->owner,
                                        .list = rd_kafka_topic_partition_list_new(0)};
    leader->collecting[added->is_earliest] = request;
    return request;
}

static void collect(struct leader *leader, const struct kafka_offset_request *added)
{
    struct offsets_request *request = leader->collecting[added->is_earliest];
    if (request != NULL && request->owner != added->owner) {
        leader_flush(leader, added->is_earliest);
        request = NULL;
    }
    if (request == NULL)
        request = collect_begin(leader, added);
    rd_kafka_topic_partition_list_add(request->list, added->topic, added->partition)->opaque =
        added->context;
    if (request->list->cnt == CALL_PARTITIONS)
        leader_flush(leader, added->is_earliest);
}

void kafka_offsets_add(struct kafka_offsets *offsets, const struct kafka_offset_request *request)
{
    collect(leader_for(offsets, request->leader), request);
}

/* ---- calls ---- */

static int compare_partitions(const rd_kafka_topic_partition_t *left,
                              const rd_kafka_topic_partition_t *right)
{
    int order = strcmp(left->topic, right->topic);
    return order != 0 ? order
                      : (left->partition > right->partition) - (left->partition < right->partition);
}

static int compare_targets(const void *left, const void *right)
{
    return compare_partitions(((const struct offsets_target *)left)->partition,
                              ((const struct offsets_target *)right)->partition);
}

/* The call's list has each partition of its requests once. */
static void call_fill(struct offsets_call *call, size_t partitions)
{
    const struct offsets_request *request;
    call->targets = memory_array(partitions, sizeof(*call->targets));
    DL_FOREACH(call->requests, request)
        for (int i = 0; i < request->list->cnt; i++)
            call->targets[call->count++].partition = &request->list->elems[i];
    if (call->requests->next != NULL) /* a single request names each of its partitions once */
        qsort(call->targets, call->count, sizeof(*call->targets), compare_targets);
    call->list = rd_kafka_topic_partition_list_new((int)partitions);
    for (size_t i = 0; i < call->count; i++) {
        const rd_kafka_topic_partition_t *partition = call->targets[i].partition;
        if (i == 0 || compare_targets(&call->targets[i - 1], &call->targets[i]) != 0)
            rd_kafka_topic_partition_list_add(call->list, partition->topic, partition->partition)
                ->offset =
                call->requests->is_earliest ? RD_KAFKA_OFFSET_BEGINNING : RD_KAFKA_OFFSET_END;
        call->targets[i].index = call->list->cnt - 1;
    }
}

/*
 * Makes a call of the requests that wait for the leader: of the first, and of all that may share
 * its call. Where the leader is slow many come while a call runs: one by one they would time out.
 */
static struct offsets_call *call_new(const struct kafka_offsets *offsets, struct leader *leader)
{
    struct offsets_call *call = memory_new(sizeof(*call));
    const struct offsets_request *first = leader->waiting;
    struct offsets_request *request;
    struct offsets_request *next;
    size_t partitions = 0;
    *call = (struct offsets_call){
        .base = {.run = call_run}, .leader = leader, .rk = offsets->client->rk};
    kafka_handles_hold(&offsets->client->handles, call->rk);
    DL_FOREACH_SAFE(leader->waiting, request, next) {
        size_t more = (size_t)request->list->cnt;
        bool goes_along = request->is_earliest == first->is_earliest && !request->goes_alone &&
                          !first->goes_alone && partitions + more <= CALL_PARTITIONS;
        if (request != first && !goes_along)
            continue;
        DL_DELETE(leader->waiting, request);
        DL_APPEND(call->requests, request);
        partitions += more;
        call->deadline_ms = MAX(call->deadline_ms, request->deadline_ms);
    }
    call_fill(call, partitions);
    return call;
}

/* The call's requests wait again, before those that came later. */
static void call_undo(struct kafka_offsets *offsets, struct offsets_call *call)
{
    struct offsets_request *requests = TAKE(call->requests);
    DL_CONCAT(requests, call->leader->waiting);
    call->leader->waiting = requests;
    call_free(offsets, call);
}

/* Starts a call on a thread. Without a thread the requests stay, and their tasks time out. Leaders
 * have their turns in the order of the table. */
static void leader_start(struct kafka_offsets *offsets, struct leader *leader)
{
    if (leader->waiting == NULL || leader->running != NULL)
        return;
    if (offsets->running >= MAX_THREADS) {
        leader->reason_unsent = "too many other brokers do not answer";
        return;
    }
    struct offsets_call *call = call_new(offsets, leader);
    if (!kafka_background_start(offsets->background, &call->base)) {
        leader->reason_unsent = "no thread can be started";
        call_undo(offsets, call);
        return;
    }
    leader->reason_unsent = NULL;
    leader->running = call;
    offsets->running++;
}

/* Leaders without requests are freed: a cluster may name any number of brokers in time. */
void kafka_offsets_send(struct kafka_offsets *offsets)
{
    struct leader *leader;
    struct leader *next;
    HASH_ITER(hh, offsets->leaders, leader, next) {
        leader_flush(leader, false);
        leader_flush(leader, true);
        leader_start(offsets, leader);
        if (leader->running != NULL || leader->waiting != NULL)
            continue;
        HASH_DEL(offsets->leaders, leader);
        free(leader);
    }
}

const char *kafka_offsets_reason_unsent(const struct kafka_offsets *offsets, int32_t leader)
{
    const struct leader *found;
    HASH_FIND(hh, offsets->leaders, &leader, sizeof(leader), found);
    return found == NULL ? NULL : found->reason_unsent;
}

/* Requests that are on a thread go on, as nobody can stop them. */
static void leader_cancel(struct leader *leader, const void *owner)
{
    struct offsets_request *request;
    struct offsets_request *next;
    leader_flush(leader, false);
    leader_flush(leader, true);
    DL_FOREACH_SAFE(leader->waiting, request, next) {
        if (request->owner != owner)
            continue;
        DL_DELETE(leader->waiting, request);
        request_free(request);
    }
    if (leader->running == NULL)
        return;
    DL_FOREACH(leader->running->requests, request)
        if (request->owner == owner)
            request->owner = NULL;
}

void kafka_offsets_cancel(struct kafka_offsets *offsets, const void *owner)
{
    struct offsets_request *request;
    for (struct leader *leader = offsets->leaders; leader != NULL; leader = leader->hh.next)
        leader_cancel(leader, owner);
    DL_FOREACH(offsets->ended, request)
        if (request->owner == owner)
            request->owner = NULL;
}

/* ---- answers ---- */

/* The leader's next call comes after those of other leaders, as there may be more leaders than
 * threads. */
static void leader_end_call(struct kafka_offsets *offsets, struct leader *leader)
{
    leader->running = NULL;
    offsets->running--;
    HASH_DEL(offsets->leaders, leader);
    HASH_ADD(hh, offsets->leaders, id, sizeof(leader->id), leader);
}

/* A negative code is the library's: the broker did not answer, and would not answer halves. */
static bool is_of_a_partition(rd_kafka_resp_err_t error)
{
    return error > RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* The requests of the call end with what it found. */
static void call_end(struct kafka_offsets *offsets, struct offsets_call *call)
{
    struct offsets_request *request;
    bool is_shared = call->requests->next != NULL;
    leader_end_call(offsets, call->leader);
    for (size_t i = 0; i < call->count; i++) {
        const rd_kafka_topic_partition_t *found = &call->list->elems[call->targets[i].index];
        call->targets[i].partition->offset = found->offset;
        call->targets[i].partition->err = found->err;
    }
    DL_FOREACH(call->requests, request) {
        request->error = call->error;
        request->has_shared = is_shared;
    }
    DL_CONCAT(offsets->ended, call->requests);
    call->requests = NULL;
    call_free(offsets, call);
}

/* A request for some of the partitions, from `first` on, which shares no call. */
static struct offsets_request *part_new(const struct offsets_request *request, int first, int count)
{
    struct offsets_request *part = memory_new(sizeof(*part));
    *part = (struct offsets_request){.leader = request->leader,
                                     .is_earliest = request->is_earliest,
                                     .deadline_ms = request->deadline_ms,
                                     .owner = request->owner,
                                     .list = rd_kafka_topic_partition_list_new(count),
                                     .goes_alone = true};
    for (int i = first; i < first + count; i++) {
        const rd_kafka_topic_partition_t *partition = &request->list->elems[i];
        rd_kafka_topic_partition_list_add(part->list, partition->topic, partition->partition)
            ->opaque = partition->opaque;
    }
    return part;
}

/*
 * One partition's error is that of the whole request: the request is sent again in halves, until
 * the partition is alone. The first half is the next one, so that a partition with an error is
 * found after a few calls, and fails its task: all 1,000 partitions may have one. The second half
 * waits behind what other tasks need, and behind larger halves, whose partitions may all be well.
 */
static void request_split(struct leader *leader, const struct offsets_request *request)
{
    const int half = request->list->cnt / 2;
    struct offsets_request *next = part_new(request, 0, half);
    struct offsets_request *last = part_new(request, half, request->list->cnt - half);
    DL_PREPEND(leader->waiting, next);
    DL_APPEND(leader->waiting, last);
}

/* Whether the request was not answered, as the reply to another one was too long. From 2.3 on the
 * library has no error for that, nor for a broker that went away (workaround 15). */
static bool is_unanswered(const struct offsets_request *request)
{
    const rd_kafka_topic_partition_list_t *list = request->list;
    bool is_unanswered = kafka_client_is_unreadable(request->error);
    for (int i = 0; request->error == RD_KAFKA_RESP_ERR_NO_ERROR && i < list->cnt; i++)
        is_unanswered = is_unanswered || is_left_out(&list->elems[i]);
    return is_unanswered;
}

/* Whether the request has no answer yet: it waits again, or its halves do. Frees a request that
 * nobody waits for, and one that was split. */
static bool goes_on(struct kafka_offsets *offsets, struct offsets_request *request)
{
    struct leader *leader = leader_for(offsets, request->leader);
    if (request->owner != NULL) {
        bool is_of_partition = is_of_a_partition(request->error);
        bool may_be_anothers = is_of_partition && request->has_shared;
        request->goes_alone = request->goes_alone || may_be_anothers;
        if (may_be_anothers || (is_unanswered(request) && ++request->tries < MAX_TRIES)) {
            DL_PREPEND(leader->waiting, request);
            return true;
        }
        if (!is_of_partition || request->list->cnt == 1)
            return false;
        request_split(leader, request);
    }
    request_free(request);
    return true;
}

/* Whether a broker has answered the call, be it with an error. */
static bool call_is_answered(const struct offsets_call *call)
{
    return is_of_a_partition(call->error) ||
           (call->error == RD_KAFKA_RESP_ERR_NO_ERROR && !are_left_out(call->list));
}

/* A request that has ended. NULL: there is none. */
static struct offsets_request *next_ended(struct kafka_offsets *offsets, int64_t now_ms)
{
    struct kafka_background_call *base;
    if (offsets->ended == NULL && (base = kafka_background_next(offsets->background)) != NULL) {
        if (call_is_answered((struct offsets_call *)base))
            kafka_client_note_answer(offsets->client, now_ms);
        call_end(offsets, (struct offsets_call *)base);
    }
    struct offsets_request *request = offsets->ended;
    if (request != NULL)
        DL_DELETE(offsets->ended, request);
    return request;
}

bool kafka_offsets_receive(struct kafka_offsets *offsets, struct kafka_offset_answer *ret_answer,
                           int64_t now_ms)
{
    struct offsets_request *request;
    request_free(TAKE(offsets->answer));
    while ((request = next_ended(offsets, now_ms)) != NULL && goes_on(offsets, request))
        continue;
    if (request == NULL)
        return false;
    offsets->answer = request;
    *ret_answer = (struct kafka_offset_answer){.list = request->list,
                                               .is_earliest = request->is_earliest,
                                               .error = request->error,
                                               .owner = request->owner};
    return true;
}
