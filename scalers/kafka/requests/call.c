#include "kafka/requests/call.h"

#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>

void kafka_call_init(struct kafka_call *call, struct kafka_commits_request *request,
                     const rd_kafka_topic_partition_list_t *partitions)
{
    *call = (struct kafka_call){
        .request = request,
        .group = text_copy(request->group),
        .partitions = partitions == NULL ? NULL : rd_kafka_topic_partition_list_copy(partitions),
    };
}

void kafka_call_done(struct kafka_call *call)
{
    if (call->partitions != NULL)
        rd_kafka_topic_partition_list_destroy(call->partitions);
    free(call->group);
}

void kafka_call_send(const struct kafka_call *call, rd_kafka_t *rk, rd_kafka_queue_t *answers,
                     void *opaque)
{
    rd_kafka_ListConsumerGroupOffsets_t *request =
        rd_kafka_ListConsumerGroupOffsets_new(call->group, call->partitions);
    rd_kafka_AdminOptions_t *options =
        kafka_client_new_call_options(rk, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS, opaque);
    rd_kafka_ListConsumerGroupOffsets(rk, &request, 1, options, answers);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_ListConsumerGroupOffsets_destroy(request);
}
