/*
 * A call: a request for a group's commits on one handle, sent or waiting for its turn there.
 *
 * Threads: the measuring thread. Owner: commits.c, or second.c.
 */
#ifndef BACKLOG_SCALERS_KAFKA_REQUESTS_COMMITS_CALL_H
#define BACKLOG_SCALERS_KAFKA_REQUESTS_COMMITS_CALL_H

#include "kafka/requests/serial.h"

/*
 * The most partitions of abandoned calls on a handle: with more the handle is renewed. The library
 * keeps a copy of a call's partitions until the answer comes, or the handle ends, and a coordinator
 * that hangs leaves such calls. Each call counts as KAFKA_MEMORY_REQUEST partitions more: so 100
 * calls of 93 partitions are too much.
 */
enum { KAFKA_COMMITS_MAX_ABANDONED = 10000 };

/* A request for a group's commits. It is a member of the struct of whoever waits for them. */
struct kafka_commits_request {
    const char *group;
    bool isolate;
};

/* The first member of commits.c's struct of a call on the main handle, and of second.c's. On the
 * serial handle a call has only this. */
struct kafka_commits_call {
    struct kafka_serial_request serial;    /* first */
    struct kafka_commits_request *request; /* NULL: the call is abandoned */
    char *group;
    rd_kafka_topic_partition_list_t *partitions; /* NULL: all commits of the group; or abandoned */
    size_t copied; /* partitions that the library keeps, and KAFKA_MEMORY_REQUEST more; 0: the call
                      is not sent yet, or answered */
};

/* Copies the group's name and the partitions. */
void kafka_commits_call_init(struct kafka_commits_call *call, struct kafka_commits_request *request,
                             const rd_kafka_topic_partition_list_t *partitions);
void kafka_commits_call_done(struct kafka_commits_call *call);

/* Abandons the call: nobody waits for its answer any more. Frees the partitions. */
void kafka_commits_call_cancel(struct kafka_commits_call *call);

/* Sends the call, which is the `opaque` of the answer. */
void kafka_commits_call_send(struct kafka_commits_call *call, rd_kafka_t *rk,
                             rd_kafka_queue_t *answers);

#endif
