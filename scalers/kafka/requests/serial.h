/*
 * Requests about groups that are sent one at a time, on a handle of their own, and which requests
 * are (workaround 14 of client.h).
 *
 * A reply that is longer than KAFKA_MAX_REPLY_BYTES fails all that is under way to its broker, and
 * who was it is not known. A request that has failed with it is sent again where it was, but for
 * the first ones, of which one is the reason: they are sent again here, where they can fail for
 * their own reply only (kafka_serial_decide()). The groups that do are remembered: their requests
 * come here until one succeeds, and some minutes apart, so that they disturb others once.
 *
 * The handle is made for the first request, and ends with the last one. Who uses it has one of its
 * own for each kind of request.
 *
 * Threads: the measuring thread. Owner: who sends the requests.
 */
#ifndef BACKLOG_SCALERS_KAFKA_REQUESTS_SERIAL_H
#define BACKLOG_SCALERS_KAFKA_REQUESTS_SERIAL_H

#include "kafka/client/client.h"

#include <stdbool.h>
#include <stdint.h>

/* Why a request fails that was sent again too often: others at its broker were the reason. */
#define KAFKA_SERIAL_OTHERS_TOO_LONG                                                               \
    "those of too many groups of its coordinator are longer than 4 MiB, or malformed; retrying"

/* A request is the first member of what the caller wants to send. It is the caller's, again from
 * kafka_serial_receive() or kafka_serial_cancel() on. */
struct kafka_serial_request {
    /* Sends it. It is called once more with the next handle, where this one's does not answer. */
    void (*send)(const struct kafka_serial_request *request, rd_kafka_t *rk,
                 rd_kafka_queue_t *answers);
    const char *group;
    struct kafka_serial_request *prev, *next;
};

struct kafka_serial;

/* `error_of` finds the error of an answer; none is where it has what was requested. */
struct kafka_serial *kafka_serial_new(struct kafka_client *client,
                                      rd_kafka_resp_err_t (*error_of)(rd_kafka_event_t *answer));

/* Frees all of it. The requests are the callers' again, and their answers do not come any more. */
void kafka_serial_free(struct kafka_serial *serial);

/* Sends a request, now or in its turn, with kafka_serial_maintain(). */
void kafka_serial_add(struct kafka_serial *serial, struct kafka_serial_request *request);

/* Nobody waits for the request any more. One that is under way goes on, so that it is known whether
 * its reply is too long. */
void kafka_serial_cancel(struct kafka_serial *serial, struct kafka_serial_request *request);

/* Whether the request waits for others. */
bool kafka_serial_is_waiting(const struct kafka_serial *serial,
                             const struct kafka_serial_request *request);

/* Takes an answer, which the caller destroys. Its request has ended; NULL: it was cancelled. */
rd_kafka_event_t *kafka_serial_receive(struct kafka_serial *serial,
                                       struct kafka_serial_request **ret_request, int64_t now_ms);

/* Sends what is to be sent. A handle that has not answered for long is renewed, and another request
 * has its turn. */
void kafka_serial_maintain(struct kafka_serial *serial, int64_t now_ms);

/* When kafka_serial_maintain() may renew the handle, if no answer comes. */
int64_t kafka_serial_next_ms(const struct kafka_serial *serial);

/* ---- which requests ---- */

/* Of a request that is sent on another handle. */
struct kafka_serial_tries {
    unsigned failed; /* as a reply could not be read */
    unsigned round;  /* of failures, before which it was sent */
};

enum kafka_serial_decision {
    KAFKA_SERIAL_AGAIN, /* send it again where it was */
    KAFKA_SERIAL_HERE,  /* kafka_serial_add() */
    KAFKA_SERIAL_FAIL,
};

/* The tries of a request that is sent for the first time. */
struct kafka_serial_tries kafka_serial_first_try(const struct kafka_serial *serial);

/* What to do with a request that has failed on another handle (kafka_client_is_unreadable()). Each
 * time a connection closes, a round, the first request comes here, and others while few wait here;
 * the rest is sent again, some times. */
enum kafka_serial_decision kafka_serial_decide(struct kafka_serial *serial,
                                               struct kafka_serial_tries *tries);

/* Whether the group's reply was too long here, or a request about it was sent here that has had no
 * answer: the next one comes here, too. */
bool kafka_serial_has(const struct kafka_serial *serial, const char *group);

/* Whether its reply was too long here some minutes ago: no request is to be sent now. */
bool kafka_serial_is_suspended(const struct kafka_serial *serial, const char *group,
                               int64_t now_ms);

#endif
