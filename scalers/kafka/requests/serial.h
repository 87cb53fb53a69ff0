/*
 * Requests about groups that are sent one at a time, on a handle of their own (workaround 14 of
 * client.h).
 *
 * A reply that is longer than KAFKA_MAX_REPLY_BYTES fails all that is under way to its broker, and
 * who was it is not known. So each request that has failed with it is sent again here, where it can
 * fail for its own reply only. The groups that do are remembered: their requests come here until
 * one is answered, and some minutes apart, so that they disturb others once.
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

/* A request is the first member of what the caller wants to send. It is the caller's, again from
 * kafka_serial_receive() or kafka_serial_cancel() on. */
struct kafka_serial_request {
    /* Sends it. It is called once more with the next handle, where this one's does not answer. */
    void (*send)(const struct kafka_serial_request *request, rd_kafka_t *rk,
                 rd_kafka_queue_t *answers);
    struct kafka_serial_request *prev, *next;
};

struct kafka_serial;

struct kafka_serial *kafka_serial_new(struct kafka_client *client);

/* Frees all of it. The requests are the callers' again, and their answers do not come any more. */
void kafka_serial_free(struct kafka_serial *serial);

/* Whether only few requests are waiting, as each may take the time of a broker that is far away. */
bool kafka_serial_has_room(const struct kafka_serial *serial);

/* Sends a request, now or in its turn, with kafka_serial_maintain(). */
void kafka_serial_add(struct kafka_serial *serial, struct kafka_serial_request *request);
void kafka_serial_cancel(struct kafka_serial *serial, struct kafka_serial_request *request,
                         int64_t now_ms);

/* Takes an answer, which the caller destroys; its request has ended. NULL: there is none. */
rd_kafka_event_t *kafka_serial_receive(struct kafka_serial *serial);

/* Sends what is to be sent. A handle that has not answered for long is renewed, and another request
 * has its turn. */
void kafka_serial_maintain(struct kafka_serial *serial, int64_t now_ms);

/* When kafka_serial_maintain() may renew the handle, if no answer comes. */
int64_t kafka_serial_next_ms(const struct kafka_serial *serial);

/* ---- whose reply was too long ---- */

/* Whether this is the error of a reply that is too long, and of all that was under way to its
 * broker; or of one that is malformed. */
bool kafka_serial_is_unreadable(rd_kafka_resp_err_t error);

/* Remembers, or forgets, whether the reply to a request which was sent here is too long. */
void kafka_serial_note(struct kafka_serial *serial, const char *group, rd_kafka_resp_err_t error,
                       int64_t now_ms);

/* Whether the last reply about the group was too long: the next request comes here. */
bool kafka_serial_has(const struct kafka_serial *serial, const char *group);

/* Whether it was so a few minutes ago: no request is to be sent now. */
bool kafka_serial_is_suspended(const struct kafka_serial *serial, const char *group,
                               int64_t now_ms);

#endif
