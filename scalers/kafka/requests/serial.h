/*
 * Requests about groups that are sent one at a time, on a handle of their own, and which requests
 * are (workaround 14 of client.h).
 *
 * A reply that is longer than KAFKA_MAX_REPLY_BYTES fails all that is under way to its broker, and
 * whose it was is not known. A request that has failed with it is sent again where it was, but for
 * the first ones, of which one is the reason: they are sent again here, where they can fail for
 * their own reply only (kafka_serial_retry()). The groups that do are remembered: their requests
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

/* A request about a group: the first member of what the caller wants to send. While it is here the
 * caller may not free it: until kafka_serial_receive() or kafka_serial_cancel(). */
struct kafka_serial_request {
    /* Sends it, any number of times: here, and again where it was. */
    void (*send)(struct kafka_serial_request *request, rd_kafka_t *rk, rd_kafka_queue_t *answers);
    const char *group;

    /* serial.c's: */
    bool is_here;    /* it is sent here, or waits for that; others may read it */
    unsigned failed; /* so often elsewhere, as a reply could not be read */
    unsigned round;  /* of failures, before which it was sent elsewhere */
    struct kafka_serial_request *prev, *next;
};

struct kafka_serial;

/* `error_of` finds the error of an answer; none is where it has what was requested. `advice` is for
 * whoever has a group whose reply is too long: what to do about it. */
struct kafka_serial *kafka_serial_new(struct kafka_client *client,
                                      rd_kafka_resp_err_t (*error_of)(rd_kafka_event_t *answer),
                                      const char *advice);

/* Frees all of it. The requests are the caller's again, and their answers do not come any more. */
void kafka_serial_free(struct kafka_serial *serial);

/* Sends a request, now or in its turn, with kafka_serial_maintain(). */
void kafka_serial_add(struct kafka_serial *serial, struct kafka_serial_request *request);

/* Nobody waits for the request any more. One that is under way goes on, so that it is known whether
 * its reply is too long. */
void kafka_serial_cancel(struct kafka_serial *serial, struct kafka_serial_request *request);

/* The first of the requests that are here (utlist). NULL: there is none. */
struct kafka_serial_request *kafka_serial_first(const struct kafka_serial *serial);

/* Whether a request that is here waits for others. */
bool kafka_serial_is_waiting(const struct kafka_serial *serial,
                             const struct kafka_serial_request *request);

/* Takes an answer, which the caller destroys. Its request has ended; NULL: it was cancelled. */
rd_kafka_event_t *kafka_serial_receive(struct kafka_serial *serial,
                                       struct kafka_serial_request **ret_request, int64_t now_ms);

/* Sends what is to be sent. A handle that has not answered for long is renewed, and another request
 * has its turn. */
void kafka_serial_maintain(struct kafka_serial *serial, int64_t now_ms);

/* Why the last attempt to make the handle failed, so that requests wait here. No error: it did not.
 */
const struct error *kafka_serial_failure(const struct kafka_serial *serial);

/* When kafka_serial_maintain() may renew the handle, if no answer comes. */
int64_t kafka_serial_next_ms(const struct kafka_serial *serial);

/* ---- which requests ---- */

/* Notes that a request is about to be sent elsewhere, for the first time. */
void kafka_serial_note_sent(const struct kafka_serial *serial,
                            struct kafka_serial_request *request);

/*
 * What comes of a request whose answer elsewhere could not be read (kafka_client_is_unreadable()).
 * Each time a connection closes, a round, the first request comes here, and others while few wait
 * here (`is_here`); the rest is sent again where it was, some times. False: so often that it fails.
 */
bool kafka_serial_retry(struct kafka_serial *serial, struct kafka_serial_request *request,
                        rd_kafka_t *rk, rd_kafka_queue_t *answers);

/* Whether the group's reply was too long here, or a request about it was sent here that has had no
 * answer: the next one comes here, too. */
bool kafka_serial_remembers(const struct kafka_serial *serial, const char *group);

/* Why an answer about the group could not be read: it was too long itself, or others at its broker
 * were. The text is valid as long as `serial`. */
const char *kafka_serial_reason_unreadable(const struct kafka_serial *serial, const char *group);

/* Why no request about the group is to be sent now: its reply was too long here some minutes ago.
 * NULL: it may be. */
const char *kafka_serial_reason_suspended(const struct kafka_serial *serial, const char *group,
                                          int64_t now_ms);

#endif
