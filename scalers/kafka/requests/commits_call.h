/*
 * A call: a request for a group's commits on one handle, sent or waiting for its turn there.
 *
 * Threads: the measuring thread. Owner: commits.c, or second.c.
 */
#ifndef BACKLOG_SCALERS_KAFKA_REQUESTS_COMMITS_CALL_H
#define BACKLOG_SCALERS_KAFKA_REQUESTS_COMMITS_CALL_H

#include "kafka/requests/serial.h"

#include <stddef.h>

/*
 * The most partitions of abandoned calls on a handle: with more it takes no request, and is renewed
 * as soon as that may be. The library keeps a copy of a call's partitions until the answer comes,
 * or the handle ends, and a coordinator that hangs leaves such calls. Each call counts as
 * KAFKA_MEMORY_REQUEST partitions more: so 50 calls of 93 partitions are too much.
 */
enum { KAFKA_COMMITS_MAX_ABANDONED = 5000 };

/* A request for a group's commits. It is a member of the struct of whoever waits for them. */
struct kafka_commits_request {
    const char *group;
    bool isolate;
};

/* The first member of commits.c's struct of a call on the main handle, and of second.c's. A call
 * that begins on the serial handle has only this. commits.h says in whose table a call is. */
struct kafka_commits_call {
    struct kafka_serial_request serial;
    struct kafka_commits_request *request; /* NULL: the call is abandoned */
    char *group;
    rd_kafka_topic_partition_list_t *partitions; /* NULL: all commits of the group; or abandoned */
    size_t copied; /* partitions that the library keeps, and KAFKA_MEMORY_REQUEST more; 0: the call
                      is not sent yet, or answered */
};
_Static_assert(offsetof(struct kafka_commits_call, serial) == 0,
               "a pointer to it is one to the struct");

/* Copies the group's name and the partitions. */
void kafka_commits_call_init(struct kafka_commits_call *call, struct kafka_commits_request *request,
                             const rd_kafka_topic_partition_list_t *partitions);

/* Frees the call, with the struct that it is the first member of: whoever has it last does not know
 * which one that is. */
void kafka_commits_call_free(struct kafka_commits_call *call);

/* Abandons the call: nobody waits for its answer any more. Frees the partitions. */
void kafka_commits_call_cancel(struct kafka_commits_call *call);

/* The partitions of all abandoned calls on a handle, which is counted in memory.h, too. */
struct kafka_abandoned {
    struct kafka_memory *memory;
    size_t partitions;
};

/* The call, which has no request, is abandoned from now on; or it is answered, or ends. */
void kafka_abandoned_add(struct kafka_abandoned *abandoned, const struct kafka_commits_call *call);
void kafka_abandoned_remove(struct kafka_abandoned *abandoned,
                            const struct kafka_commits_call *call);
bool kafka_abandoned_is_too_much(const struct kafka_abandoned *abandoned);

/* Sends the call, which is the `opaque` of the answer. */
void kafka_commits_call_send(struct kafka_commits_call *call, rd_kafka_t *rk,
                             rd_kafka_queue_t *answers);

#endif
