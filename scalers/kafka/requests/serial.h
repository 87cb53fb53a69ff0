/*
 * Requests about groups that are sent one at a time, on a handle of their own.
 *
 * A reply that is longer than KAFKA_MAX_REPLY_BYTES closes the connection to its broker: all
 * requests that are under way there fail, and which of them has the long reply is not known
 * (workaround 14 of client.h). The first of these requests come here, as one of them is the reason;
 * the others are sent again where they were (kafka_serial_retry()). A request here can fail for its
 * own reply only. A group whose request does so is remembered: its next requests come here, one
 * every five minutes, until one succeeds. So it disturbs other groups once.
 *
 *     kafka_serial_retry()      puts the request into the queue
 *     kafka_serial_maintain()   sends the first of the queue. After 2 s without an answer that one
 *                               goes to the end of the queue, and the handle is renewed
 *     kafka_serial_receive()    takes the answer, with which the request has left the queue
 *     kafka_serial_cancel()     takes a request out of the queue that nobody waits for
 *
 * The handle is made for the first request, and ends with the last one. Each kind of request
 * (commits, members) has its own struct kafka_serial.
 *
 * Threads: the measuring thread. Owner: the module that sends the requests.
 */
#ifndef BACKLOG_SCALERS_KAFKA_REQUESTS_SERIAL_H
#define BACKLOG_SCALERS_KAFKA_REQUESTS_SERIAL_H

#include "kafka/client/client.h"

#include <stdbool.h>
#include <stdint.h>

/* A request about a group: the first member of what the caller wants to send. While the request is
 * here, until kafka_serial_receive() or kafka_serial_cancel(), the caller must not free it. */
struct kafka_serial_request {
    /* Sends the request on the handle, any number of times. Returns the bytes of the copy that the
     * library keeps until the answer comes, or the handle is gone. */
    double (*send)(struct kafka_serial_request *request, rd_kafka_t *rk, rd_kafka_queue_t *answers);
    const char *group;

    /* serial.c's: */
    bool is_here;    /* it is in the queue, or was sent from it; others may read this field */
    unsigned failed; /* how often it failed elsewhere, as a reply could not be read */
    unsigned round;  /* the last round (kafka_serial_retry()) when it was sent elsewhere */
    struct kafka_serial_request *prev, *next;
};

struct kafka_serial;

/* `error_of` returns the error of an answer: none if the answer has what was requested. `advice`
 * tells a user what to do about a group whose reply is too long. */
struct kafka_serial *kafka_serial_new(struct kafka_client *client,
                                      rd_kafka_resp_err_t (*error_of)(rd_kafka_event_t *answer),
                                      const char *advice);

/* The requests that are still here are the caller's again: their answers do not come any more. */
void kafka_serial_free(struct kafka_serial *serial);

/* Puts the request at the end of the queue: kafka_serial_maintain() sends it in its turn. */
void kafka_serial_add(struct kafka_serial *serial, struct kafka_serial_request *request);

/* Takes the request out of the queue, as nobody waits for it any more. If it was sent, its answer
 * is still awaited, to learn whether the reply is too long, and the handle counts for the library's
 * copy. */
void kafka_serial_cancel(struct kafka_serial *serial, struct kafka_serial_request *request);

/* The queue (utlist). NULL: it is empty. */
struct kafka_serial_request *kafka_serial_first(const struct kafka_serial *serial);

/* Whether a request that is here was not sent yet. */
bool kafka_serial_is_waiting(const struct kafka_serial *serial,
                             const struct kafka_serial_request *request);

/* Takes an answer, which the caller destroys, and its request, which has left the queue (NULL: it
 * was cancelled). NULL: there is no answer. */
rd_kafka_event_t *kafka_serial_receive(struct kafka_serial *serial,
                                       struct kafka_serial_request **ret_request, int64_t now_ms);

/* Sends the next request. If there was no answer for two seconds the handle is renewed, and another
 * request has its turn. */
void kafka_serial_maintain(struct kafka_serial *serial, int64_t now_ms);

/* Why the last attempt to make the handle failed, so that requests wait here. No error: it did not.
 */
const struct error *kafka_serial_failure(const struct kafka_serial *serial);

/* When kafka_serial_maintain() may renew the handle, if no answer comes. */
int64_t kafka_serial_next_ms(const struct kafka_serial *serial);

/* ---- which requests ---- */

/* Notes that a request is about to be sent elsewhere, for the first time on a handle. */
void kafka_serial_note_sent(const struct kafka_serial *serial,
                            struct kafka_serial_request *request);

enum kafka_serial_outcome {
    KAFKA_SERIAL_MOVED,      /* into the queue here, which has it from now on */
    KAFKA_SERIAL_SENT_AGAIN, /* on the handle where it was */
    KAFKA_SERIAL_FAILED,     /* too often */
};

/*
 * Decides about a request whose answer elsewhere could not be read (kafka_client_is_unreadable()).
 * Each close of a connection is a round. The first request that fails in a round comes here, and
 * further ones do while the queue is short. Others are sent again on `rk`.
 */
enum kafka_serial_outcome kafka_serial_retry(struct kafka_serial *serial,
                                             struct kafka_serial_request *request, rd_kafka_t *rk,
                                             rd_kafka_queue_t *answers);

/* Whether the group's next request comes here at once: its reply was too long here, or its request
 * was sent here and was not answered, or only with an error, which does not show how long a reply
 * with offsets or members is. */
bool kafka_serial_remembers(const struct kafka_serial *serial, const char *group);

/* Why an answer about the group could not be read: its own reply is too long, or those of other
 * groups at its broker are. The text is valid as long as `serial`. */
const char *kafka_serial_reason_unreadable(const struct kafka_serial *serial, const char *group);

/* Why no request about the group is to be sent now: its reply was too long here some minutes ago.
 * NULL: it may be. */
const char *kafka_serial_reason_suspended(const struct kafka_serial *serial, const char *group,
                                          int64_t now_ms);

#endif
