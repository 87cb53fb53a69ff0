#include "kafka/requests/commits_call.h"

#include "base/memory.h"
#include "base/text.h"
#include "kafka/memory.h"

#include <stdlib.h>

static double copied_bytes(const struct kafka_commits_call *call)
{
    return (double)call->copied * KAFKA_MEMORY_PER_ABANDONED;
}

/* The hook of struct kafka_serial_request. */
static double send_serial_request(struct kafka_serial_request *base, rd_kafka_t *rk,
                                  rd_kafka_queue_t *answers)
{
    struct kafka_commits_call *call = (struct kafka_commits_call *)base;
    kafka_commits_call_send(call, rk, answers);
    return copied_bytes(call);
}

void kafka_commits_call_init(struct kafka_commits_call *call, struct kafka_commits_request *request,
                             const rd_kafka_topic_partition_list_t *partitions)
{
    char *group = text_copy(request->group);
    *call = (struct kafka_commits_call){
        .serial = {.send = send_serial_request, .group = group},
        .request = request,
        .group = group,
        .partitions = partitions == NULL ? NULL : rd_kafka_topic_partition_list_copy(partitions),
    };
}

void kafka_commits_call_cancel(struct kafka_commits_call *call)
{
    call->request = NULL;
    if (call->partitions != NULL)
        rd_kafka_topic_partition_list_destroy(TAKE(call->partitions));
}

void kafka_commits_call_free(struct kafka_commits_call *call)
{
    kafka_commits_call_cancel(call);
    free(call->group);
    free(call);
}

void kafka_abandoned_add(struct kafka_abandoned *abandoned, const struct kafka_commits_call *call)
{
    abandoned->partitions += call->copied;
    kafka_memory_add(abandoned->memory, KAFKA_ACCOUNT_ABANDONED, copied_bytes(call));
}

void kafka_abandoned_remove(struct kafka_abandoned *abandoned,
                            const struct kafka_commits_call *call)
{
    abandoned->partitions -= call->copied;
    kafka_memory_add(abandoned->memory, KAFKA_ACCOUNT_ABANDONED, -copied_bytes(call));
}

bool kafka_abandoned_is_too_much(const struct kafka_abandoned *abandoned)
{
    return abandoned->partitions > KAFKA_COMMITS_MAX_ABANDONED;
}

void kafka_commits_call_send(struct kafka_commits_call *call, rd_kafka_t *rk,
                             rd_kafka_queue_t *answers)
{
    size_t partitions = call->partitions == NULL ? 0 : (size_t)call->partitions->cnt;
    call->copied = partitions + KAFKA_MEMORY_REQUEST;
    rd_kafka_ListConsumerGroupOffsets_t *request =
        rd_kafka_ListConsumerGroupOffsets_new(call->group, call->partitions);
    rd_kafka_AdminOptions_t *options =
        kafka_client_new_call_options(rk, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS, call);
    rd_kafka_ListConsumerGroupOffsets(rk, &request, 1, options, answers);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_ListConsumerGroupOffsets_destroy(request);
}
