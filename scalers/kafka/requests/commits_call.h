/*
 * A call: a request for a group's commits on one handle, sent or waiting for its turn there. The
 * place of a call is its handle. commits.h shows the way of a request.
 *
 *     place, state     request  copied  what ends the state                           who frees it
 *
 *     MAIN                                                                            commits.c
 *       WAITING        yes      > 0     the answer, or a second without one (ON_BOTH)
 *       ON_BOTH        yes      > 0     the answer, that on SECOND (ABANDONED, or
 *                                       WAITING if it failed there), or the end
 *                                       of the handle
 *       ABANDONED      no       > 0     the answer, or the end of the handle
 *       MISDIRECTED    no       0       the end of the handle: the group uses SECOND
 *                                       until then
 *     SECOND                                                                          second.c
 *       WAITING        yes      > 0     the answer
 *       AWAITS_HANDLE  yes      0       the next handle (LAST_TRY)
 *       LAST_TRY       yes      > 0     the answer, or the next handle (WAITING)
 *       ABANDONED      no       >= 0    the answer, or the end of the handle
 *     SERIAL                                                                          commits.c
 *       WAITING        yes      >= 0    the answer
 *
 * An answer frees the call, but for these: a call on MAIN or SECOND whose connection was closed is
 * sent again (kafka_commits_call_send_again()). That of a former coordinator makes a call
 * MISDIRECTED on MAIN, and AWAITS_HANDLE on SECOND if it was WAITING there. One that cannot be read
 * may move the call to SERIAL (kafka_commits_call_retry()).
 *
 * If the tasks of a call with a request end, it is ABANDONED on MAIN and SECOND, and freed on
 * SERIAL. On the next handle a WAITING call is sent again.
 *
 * Threads: the measuring thread. Owner: who frees it.
 */
#ifndef BACKLOG_SCALERS_KAFKA_REQUESTS_COMMITS_CALL_H
#define BACKLOG_SCALERS_KAFKA_REQUESTS_COMMITS_CALL_H

#include "base/hash_table.h"
#include "kafka/requests/serial.h"

#include <stddef.h>

/*
 * The most partitions of abandoned calls on a handle: with more it takes no request, and is renewed
 * as soon as that may be. The library keeps a copy of a call's partitions until the answer comes,
 * or the handle ends, and a coordinator that hangs leaves such calls (workaround 1 of client.h).
 * Each call counts as KAFKA_MEMORY_REQUEST partitions more: so 50 calls of 93 partitions are too
 * much.
 */
enum { KAFKA_COMMITS_MAX_ABANDONED = 5000 };

/* A request for a group's commits. It is a member of the struct of whoever waits for them. */
struct kafka_commits_request {
    const char *group;
    bool isolate;
};

struct kafka_commits_call {
    struct kafka_serial_request serial;
    enum kafka_commits_call_place { KAFKA_CALL_MAIN, KAFKA_CALL_SECOND, KAFKA_CALL_SERIAL } place;
    enum kafka_commits_call_state {
        KAFKA_CALL_WAITING,
        KAFKA_CALL_ON_BOTH,
        KAFKA_CALL_AWAITS_HANDLE,
        KAFKA_CALL_LAST_TRY,
        KAFKA_CALL_ABANDONED,
        KAFKA_CALL_MISDIRECTED,
    } state;
    struct kafka_commits_request *request; /* NULL: nobody waits for the answer */
    char *group;
    rd_kafka_topic_partition_list_t *partitions; /* NULL: all commits of the group; or no request */
    size_t copied;   /* partitions that the library keeps, and KAFKA_MEMORY_REQUEST more; 0: the
                          call is not sent yet, or answered */
    int64_t sent_ms; /* MAIN: when it was last sent on this handle for the first time */
    bool was_lost;   /* and sent again: kafka_commits_call_send_again() */
    bool failed_on_second; /* MAIN: it was ON_BOTH, and goes on alone on this handle */
    UT_hash_handle hh;     /* MAIN and SECOND: each has a table by group */
};
_Static_assert(offsetof(struct kafka_commits_call, serial) == 0, "kafka_commits_call_of() casts");

/* The call of a request in the serial queue of commits. NULL of NULL. */
static inline struct kafka_commits_call *kafka_commits_call_of(struct kafka_serial_request *serial)
{
    return (struct kafka_commits_call *)serial;
}

/* Copies the group's name and the partitions. */
struct kafka_commits_call *
kafka_commits_call_new(enum kafka_commits_call_place place, struct kafka_commits_request *request,
                       const rd_kafka_topic_partition_list_t *partitions);

/* The call is in no table, and not in the queue. */
void kafka_commits_call_free(struct kafka_commits_call *call);

/* Sends the call, which is the `opaque` of the answer, on the handle of its place. */
void kafka_commits_call_send(struct kafka_commits_call *call, const struct kafka_serial *serial,
                             rd_kafka_t *rk, rd_kafka_queue_t *answers);

/* The connection was closed before the answer, by a broker or a proxy that may go on: sends the
 * call again, once. False: it was already, or nobody waits for it. */
bool kafka_commits_call_send_again(struct kafka_commits_call *call,
                                   const struct kafka_serial *serial, rd_kafka_t *rk,
                                   rd_kafka_queue_t *answers);

/* The call's answer could not be read. KAFKA_SERIAL_MOVED: its place is SERIAL now, and it is not
 * in its table `calls` any more. A call fails without a request, and on MAIN if it is ON_BOTH. */
enum kafka_serial_outcome kafka_commits_call_retry(struct kafka_commits_call *call,
                                                   struct kafka_commits_call **calls,
                                                   struct kafka_serial *serial, rd_kafka_t *rk,
                                                   rd_kafka_queue_t *answers);

/* Nobody waits for the answer any more: forgets the request, and frees the partitions. */
void kafka_commits_call_cancel(struct kafka_commits_call *call);

/* The partitions of all abandoned calls on a handle, which is counted in memory.h, too. */
struct kafka_abandoned {
    struct kafka_memory *memory;
    size_t partitions;
};

/* Cancels the call on MAIN or SECOND: it is ABANDONED, and counts. */
void kafka_commits_call_abandon(struct kafka_commits_call *call, struct kafka_abandoned *abandoned);

/* The call is answered, or ends: it does not count any more if it was ABANDONED. */
void kafka_abandoned_remove(struct kafka_abandoned *abandoned,
                            const struct kafka_commits_call *call);
bool kafka_abandoned_is_too_much(const struct kafka_abandoned *abandoned);

#endif
