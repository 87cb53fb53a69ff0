#include "kafka/requests/offsets.h"

#include "base/clock.h"
#include "base/hash_table.h"
#include "base/memory.h"
#include "base/text.h"
#include "kafka/client/background.h"

#include <utlist.h>

enum {
    CALL_PARTITIONS = 1000, /* workaround 9 of client.h */
    MAX_THREADS = 32,
    MAX_TRIES = 5, /* each time another's reply was too long (workaround 14) */
};

/* Partitions of one leader and one owner, all the first or all the last offsets. */
struct offsets_call {
    struct kafka_background_call base; /* first */
    struct leader *leader;
    rd_kafka_t *rk; /* it holds this handle; NULL: it is not running, and has not run */
    rd_kafka_topic_partition_list_t *list;
    bool is_earliest;
    int64_t deadline_ms;
    void *owner; /* NULL: nobody waits for it any more */
    rd_kafka_resp_err_t error;
    unsigned tries; /* that have ended */
    struct offsets_call *prev, *next;
};

/* What is to be requested from one broker, as long as there is any. */
struct leader {
    int32_t id;
    struct offsets_call *collecting[2]; /* latest, earliest: not full yet */
    struct offsets_call *waiting;       /* utlist */
    struct offsets_call *running;
    const char *reason_unsent; /* why nothing that waits has a thread; NULL: something had one */
    UT_hash_handle hh;
};

struct kafka_offsets {
    struct kafka_client *client;
    struct kafka_background *background;
    struct leader *leaders;
    struct offsets_call *answer; /* the one that was given out last */
    size_t running;
};

struct kafka_offsets *kafka_offsets_new(struct kafka_client *client)
{
    struct kafka_offsets *offsets = memory_new(sizeof(*offsets));
    offsets->client = client;
    offsets->background = kafka_background_new(client->event_fd);
    return offsets;
}

/* The list has structs of the handle, once it was in a call. */
static void call_destroy_list(struct kafka_offsets *offsets, struct offsets_call *call)
{
    rd_kafka_topic_partition_list_destroy(TAKE(call->list));
    if (call->rk != NULL)
        kafka_handles_release(&offsets->client->handles, TAKE(call->rk));
}

static void call_free(struct kafka_offsets *offsets, struct offsets_call *call)
{
    if (call == NULL)
        return;
    call_destroy_list(offsets, call);
    free(call);
}

void kafka_offsets_free(struct kafka_offsets *offsets)
{
    kafka_background_free(offsets->background);
    call_free(offsets, offsets->answer);
    struct leader *leader;
    struct leader *next;
    HASH_ITER(hh, offsets->leaders, leader, next) {
        struct offsets_call *call;
        struct offsets_call *next_call;
        DL_FOREACH_SAFE(leader->waiting, call, next_call)
            call_free(offsets, call);
        call_free(offsets, leader->running);
        call_free(offsets, leader->collecting[false]);
        call_free(offsets, leader->collecting[true]);
        HASH_DEL(offsets->leaders, leader);
        free(leader);
    }
    free(offsets);
}

#if RD_KAFKA_VERSION >= 0x020300ff

/* The answer is in the order of the request; what is out of place stays without an offset. */
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

/* Has the error of each partition. */
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

/* One partition's error is that of all (workaround 10), and call_split() finds out which. */
static rd_kafka_resp_err_t list_offsets(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list,
                                        int left_ms)
{
    return rd_kafka_offsets_for_times(rk, list, left_ms);
}

#endif

/* On a thread of its own. */
static void call_run(struct kafka_background_call *base)
{
    struct offsets_call *call = (struct offsets_call *)base;
    int left_ms = clock_left_ms(call->deadline_ms, INT32_MAX);
    call->error =
        left_ms == 0 ? RD_KAFKA_RESP_ERR__TIMED_OUT : list_offsets(call->rk, call->list, left_ms);
}

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

/* What was collected waits for a thread. */
static void leader_flush(struct leader *leader, bool is_earliest)
{
    struct offsets_call *call = TAKE(leader->collecting[is_earliest]);
    if (call != NULL)
        DL_APPEND(leader->waiting, call);
}

static struct offsets_call *collect_begin(struct leader *leader,
                                          const struct kafka_offset_request *request)
{
    struct offsets_call *call = memory_new(sizeof(*call));
    *call = (struct offsets_call){.base = {.run = call_run},
                                  .leader = leader,
                                  .list = rd_kafka_topic_partition_list_new(0),
                                  .is_earliest = request->is_earliest,
                                  .deadline_ms = request->deadline_ms,
                                  .owner = request->owner};
    leader->collecting[request->is_earliest] = call;
    return call;
}

static void list_add(rd_kafka_topic_partition_list_t *list, const char *topic, int32_t partition,
                     bool is_earliest, void *context)
{
    rd_kafka_topic_partition_t *added = rd_kafka_topic_partition_list_add(list, topic, partition);
    added->offset = is_earliest ? RD_KAFKA_OFFSET_BEGINNING : RD_KAFKA_OFFSET_END;
    added->opaque = context;
}

static void collect(struct leader *leader, const struct kafka_offset_request *request)
{
    struct offsets_call *call = leader->collecting[request->is_earliest];
    if (call != NULL && call->owner != request->owner) {
        leader_flush(leader, request->is_earliest);
        call = NULL;
    }
    if (call == NULL)
        call = collect_begin(leader, request);
    list_add(call->list, request->topic, request->partition, request->is_earliest,
             request->context);
    if (call->list->cnt == CALL_PARTITIONS)
        leader_flush(leader, request->is_earliest);
}

void kafka_offsets_add(struct kafka_offsets *offsets, const struct kafka_offset_request *request)
{
    collect(leader_for(offsets, request->leader), request);
}

/* Gives the call a thread. Returns why it has none, NULL where it has. */
static const char *call_start(struct kafka_offsets *offsets, struct offsets_call *call)
{
    if (offsets->running >= MAX_THREADS)
        return "too many other brokers do not answer";
    call->rk = offsets->client->rk;
    kafka_handles_hold(&offsets->client->handles, call->rk);
    if (kafka_background_start(offsets->background, &call->base))
        return NULL;
    kafka_handles_release(&offsets->client->handles, TAKE(call->rk));
    return "no thread can be started";
}

/* Without a thread the call stays, and its tasks time out. Leaders have their turns in the order of
 * the table. */
static void leader_start(struct kafka_offsets *offsets, struct leader *leader)
{
    struct offsets_call *call = leader->waiting;
    if (call == NULL || leader->running != NULL)
        return;
    leader->reason_unsent = call_start(offsets, call);
    if (leader->reason_unsent != NULL)
        return;
    DL_DELETE(leader->waiting, call);
    leader->running = call;
    offsets->running++;
}

/* Its call has ended: what it has more is behind the others, which may be more than there are
 * threads. */
static void leader_end_call(struct kafka_offsets *offsets, struct leader *leader)
{
    leader->running = NULL;
    offsets->running--;
    HASH_DEL(offsets->leaders, leader);
    HASH_ADD(hh, offsets->leaders, id, sizeof(leader->id), leader);
}

/* A cluster may name any number of brokers in time. */
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

/* Only what a thread has goes on, as nobody can stop it. */
static void leader_cancel(struct kafka_offsets *offsets, struct leader *leader, const void *owner)
{
    struct offsets_call *call;
    struct offsets_call *next;
    leader_flush(leader, false);
    leader_flush(leader, true);
    DL_FOREACH_SAFE(leader->waiting, call, next) {
        if (call->owner != owner)
            continue;
        DL_DELETE(leader->waiting, call);
        call_free(offsets, call);
    }
    if (leader->running != NULL && leader->running->owner == owner)
        leader->running->owner = NULL;
}

void kafka_offsets_cancel(struct kafka_offsets *offsets, const void *owner)
{
    for (struct leader *leader = offsets->leaders; leader != NULL; leader = leader->hh.next)
        leader_cancel(offsets, leader, owner);
}

/* One partition's error is the whole call's: request them again in halves till it stands alone. */
static void call_split(const struct offsets_call *call)
{
    const rd_kafka_topic_partition_list_t *list = call->list;
    leader_flush(call->leader, call->is_earliest);
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *partition = &list->elems[i];
        if (i == list->cnt / 2)
            leader_flush(call->leader, call->is_earliest);
        const struct kafka_offset_request request = {.topic = partition->topic,
                                                     .partition = partition->partition,
                                                     .is_earliest = call->is_earliest,
                                                     .deadline_ms = call->deadline_ms,
                                                     .owner = call->owner,
                                                     .context = partition->opaque};
        collect(call->leader, &request);
    }
    leader_flush(call->leader, call->is_earliest);
}

/* Where another's reply was too long; from 2.3 on the library has no error for it, and leaves out
 * the offsets. */
static bool is_unanswered(const struct offsets_call *call)
{
    const rd_kafka_topic_partition_list_t *list = call->list;
    bool is_unanswered = kafka_client_is_unreadable(call->error);
    for (int i = 0; call->error == RD_KAFKA_RESP_ERR_NO_ERROR && i < list->cnt; i++)
        is_unanswered = is_unanswered || (list->elems[i].offset < 0 &&
                                          list->elems[i].err == RD_KAFKA_RESP_ERR_NO_ERROR);
    return is_unanswered;
}

/* With a new list, as the next call may be on another handle. */
static void call_send_again(struct kafka_offsets *offsets, struct offsets_call *call)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(call->list->cnt);
    for (int i = 0; i < call->list->cnt; i++)
        list_add(list, call->list->elems[i].topic, call->list->elems[i].partition,
                 call->is_earliest, call->list->elems[i].opaque);
    call_destroy_list(offsets, call);
    call->list = list;
    DL_PREPEND(call->leader->waiting, call);
}

/* A negative code is the library's: the broker did not answer, so halves would not fare better. */
static bool is_of_a_partition(const struct offsets_call *call)
{
    return call->error > RD_KAFKA_RESP_ERR_NO_ERROR && call->list->cnt > 1;
}

bool kafka_offsets_receive(struct kafka_offsets *offsets, struct kafka_offset_answer *ret_answer,
                           int64_t now_ms)
{
    call_free(offsets, TAKE(offsets->answer));
    for (struct kafka_background_call *base;
         (base = kafka_background_next(offsets->background)) != NULL;) {
        struct offsets_call *call = (struct offsets_call *)base;
        leader_end_call(offsets, call->leader);
        if (call->error >= RD_KAFKA_RESP_ERR_NO_ERROR)
            kafka_client_note_answer(offsets->client, now_ms);
        if (call->owner != NULL && is_unanswered(call) && ++call->tries < MAX_TRIES) {
            call_send_again(offsets, call);
            continue;
        }
        if (call->owner == NULL || is_of_a_partition(call)) {
            if (call->owner != NULL)
                call_split(call);
            call_free(offsets, call);
            continue;
        }
        offsets->answer = call;
        *ret_answer = (struct kafka_offset_answer){.list = call->list,
                                                   .is_earliest = call->is_earliest,
                                                   .error = call->error,
                                                   .owner = call->owner};
        return true;
    }
    return false;
}
