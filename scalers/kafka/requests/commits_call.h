/*
 * A request for a group's commits that is under way on a handle, or waits for its turn there.
 *
 * Threads: the measuring thread. Owner: commits.c, or second.c.
 */
#ifndef BACKLOG_SCALERS_KAFKA_REQUESTS_COMMITS_CALL_H
#define BACKLOG_SCALERS_KAFKA_REQUESTS_COMMITS_CALL_H

#include "kafka/requests/serial.h"

/*
 * The library copies the partitions of a call, and has them until the answer comes, or the handle
 * ends. A coordinator that hangs leaves calls that nobody waits for any more. If these have more
 * partitions than this on a handle, each call being counted as some, the handle is renewed.
 */
enum { KAFKA_COMMITS_MAX_ABANDONED = 10000 };

/* A request for a group's commits. It is a member of the struct of whoever waits for them. */
struct kafka_commits_request {
    const char *group;
    bool isolate;
};

/* It is the first member of what second.c, or commits.c for the main handle, has of a call. On the
 * serial handle it is all that there is. */
struct kafka_commits_call {
    struct kafka_serial_request serial;    /* first */
    struct kafka_commits_request *request; /* NULL: nobody waits for the answer any more */
    char *group;
    rd_kafka_topic_partition_list_t *partitions; /* NULL: all that have a commit; or nobody waits */
    size_t copied; /* what the library has of it: its partitions, and KAFKA_MEMORY_REQUEST more; 0:
                      nothing, as it was not sent yet, or was answered */
};

/* Copies the group's name and the partitions. */
void kafka_commits_call_init(struct kafka_commits_call *call, struct kafka_commits_request *request,
                             const rd_kafka_topic_partition_list_t *partitions);
void kafka_commits_call_done(struct kafka_commits_call *call);

/* Nobody waits for the answer any more: the partitions are freed. */
void kafka_commits_call_cancel(struct kafka_commits_call *call);

/* Sends it; the answer has the call as its opaque. */
void kafka_commits_call_send(struct kafka_commits_call *call, rd_kafka_t *rk,
                             rd_kafka_queue_t *answers);

#endif
