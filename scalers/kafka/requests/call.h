/*
 * A request for a group's commits that is under way on a handle, or waits for its turn there.
 *
 * Threads: the measuring thread. Owner: commits.c, or second.c.
 */
#ifndef BACKLOG_SCALERS_KAFKA_REQUESTS_CALL_H
#define BACKLOG_SCALERS_KAFKA_REQUESTS_CALL_H

#include "kafka/requests/serial.h"

/* A request for a group's commits. It is a member of the struct of whoever waits for them. */
struct kafka_commits_request {
    const char *group;
    bool isolate;
};

struct kafka_call {
    struct kafka_commits_request *request; /* NULL: nobody waits for the answer any more */
    char *group;
    rd_kafka_topic_partition_list_t *partitions; /* NULL: all that have a commit */
    struct kafka_serial_tries tries;             /* on the main or the second handle */
};

/* Copies the group's name and the partitions. */
void kafka_call_init(struct kafka_call *call, struct kafka_commits_request *request,
                     const rd_kafka_topic_partition_list_t *partitions);
void kafka_call_done(struct kafka_call *call);

/* Sends it; the answer has `opaque`. */
void kafka_call_send(const struct kafka_call *call, rd_kafka_t *rk, rd_kafka_queue_t *answers,
                     void *opaque);

#endif
