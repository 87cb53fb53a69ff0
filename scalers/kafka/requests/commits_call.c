#include "kafka/requests/commits_call.h"

#include "base/memory.h"
#include "base/text.h"
#include "kafka/memory.h"

#include <assert.h>
#include <stdlib.h>

static double copied_bytes(const struct kafka_commits_call *call)
{
    return (double)call->copied * KAFKA_MEMORY_PER_ABANDONED;
}

/* The hook of struct kafka_serial_request. */
static double send_request(struct kafka_serial_request *serial, rd_kafka_t *rk,
                           rd_kafka_queue_t *answers)
{
    struct kafka_commits_call *call = kafka_commits_call_of(serial);
    size_t partitions = call->partitions == NULL ? 0 : (size_t)call->partitions->cnt;
    call->copied = partitions + KAFKA_MEMORY_REQUEST;
    rd_kafka_ListConsumerGroupOffsets_t *request =
        rd_kafka_ListConsumerGroupOffsets_new(call->group, call->partitions);
    rd_kafka_AdminOptions_t *options =
        kafka_client_new_call_options(rk, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS, call);
    rd_kafka_ListConsumerGroupOffsets(rk, &request, 1, options, answers);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_ListConsumerGroupOffsets_destroy(request);
    return copied_bytes(call);
}

struct kafka_commits_call *kafka_commits_call_new(enum kafka_commits_call_place place,
                                                  struct kafka_commits_request *request,
                                                  const rd_kafka_topic_partition_list_t *partitions)
{
    struct kafka_commits_call *call = memory_new(sizeof(*call));
    call->place = place;
    call->request = request;
    call->group = text_copy(request->group);
    call->serial.send = send_request;
    call->serial.group = call->group;
    if (partitions != NULL)
        call->partitions = rd_kafka_topic_partition_list_copy(partitions);
    return call;
}

void kafka_commits_call_free(struct kafka_commits_call *call)
{
    kafka_commits_call_cancel(call);
    free(call->group);
    free(call);
}

void kafka_commits_call_send(struct kafka_commits_call *call, const struct kafka_serial *serial,
                             rd_kafka_t *rk, rd_kafka_queue_t *answers)
{
    kafka_serial_note_sent(serial, &call->serial);
    send_request(&call->serial, rk, answers);
}

bool kafka_commits_call_send_again(struct kafka_commits_call *call,
                                   const struct kafka_serial *serial, rd_kafka_t *rk,
                                   rd_kafka_queue_t *answers)
{
    if (call->request == NULL || call->was_lost)
        return false;
    call->was_lost = true;
    kafka_commits_call_send(call, serial, rk, answers);
    return true;
}

enum kafka_serial_outcome kafka_commits_call_retry(struct kafka_commits_call *call,
                                                   struct kafka_commits_call **calls,
                                                   struct kafka_serial *serial, rd_kafka_t *rk,
                                                   rd_kafka_queue_t *answers)
{
    if (call->request == NULL || call->state == KAFKA_CALL_ON_BOTH)
        return KAFKA_SERIAL_FAILED;
    enum kafka_serial_outcome outcome = kafka_serial_retry(serial, &call->serial, rk, answers);
    if (outcome == KAFKA_SERIAL_MOVED) {
        HASH_DEL(*calls, call);
        call->place = KAFKA_CALL_SERIAL;
        call->state = KAFKA_CALL_WAITING;
        call->copied = 0;
    }
    return outcome;
}

void kafka_commits_call_cancel(struct kafka_commits_call *call)
{
    call->request = NULL;
    if (call->partitions != NULL)
        rd_kafka_topic_partition_list_destroy(TAKE(call->partitions));
}

void kafka_commits_call_abandon(struct kafka_commits_call *call, struct kafka_abandoned *abandoned)
{
    assert(call->place != KAFKA_CALL_SERIAL && call->request != NULL);
    abandoned->partitions += call->copied;
    kafka_memory_add(abandoned->memory, KAFKA_ACCOUNT_ABANDONED, copied_bytes(call));
    call->state = KAFKA_CALL_ABANDONED;
    kafka_commits_call_cancel(call);
}

void kafka_abandoned_remove(struct kafka_abandoned *abandoned,
                            const struct kafka_commits_call *call)
{
    if (call->state != KAFKA_CALL_ABANDONED)
        return;
    abandoned->partitions -= call->copied;
    kafka_memory_add(abandoned->memory, KAFKA_ACCOUNT_ABANDONED, -copied_bytes(call));
}

bool kafka_abandoned_is_too_much(const struct kafka_abandoned *abandoned)
{
    return abandoned->partitions > KAFKA_COMMITS_MAX_ABANDONED;
}
