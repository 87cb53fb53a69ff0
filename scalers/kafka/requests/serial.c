#include "kafka/requests/serial.h"

#include "base/clock.h"
#include "base/hash_table.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "kafka/client/settings.h"

#include <string.h>
#include <utlist.h>

enum {
    MAX_WAITING = 16,             /* requests in the queue: a broker that is far away is slow */
    MAX_TRIES = 5,                /* of a request on another handle */
    HANGS_MS = 2000,              /* without an answer: the coordinator may have moved */
    SUSPENDED_MS = 5 * 60 * 1000, /* of a group after a reply that was too long */
};

#define OTHERS_TOO_LONG                                                                            \
    "those of too many groups of its coordinator are longer than 4 MiB, or malformed; retrying"
_Static_assert(KAFKA_MAX_REPLY_BYTES == 4 << 20, "texts name it");

/* A group whose requests come here. */
struct remembered {
    char *group;
    int64_t noted_ms;
    bool is_too_long; /* its last reply was too long; false: its request was sent, without an answer
                         yet */
    UT_hash_handle hh;
};

struct kafka_serial {
    struct kafka_client *client;
    rd_kafka_resp_err_t (*error_of)(rd_kafka_event_t *);
    char *too_long;                        /* why a group fails whose reply is too long */
    rd_kafka_t *rk;                        /* NULL: there is no handle */
    rd_kafka_queue_t *answers;             /* NULL: there is no handle */
    struct kafka_serial_request *requests; /* utlist: the queue; the first may have been sent */
    size_t count;                          /* of the queue */
    struct kafka_serial_request
        *sent;        /* the request under way; NULL: none is, or it was cancelled */
    char *sent_group; /* NULL: nothing is under way */
    int64_t sent_ms;
    double sent_bytes;    /* of the library's copy of it */
    struct error failure; /* of the last attempt to make the handle */
    unsigned round;       /* the last one: see kafka_serial_retry() */
    struct remembered *remembered;
};

struct kafka_serial *kafka_serial_new(struct kafka_client *client,
                                      rd_kafka_resp_err_t (*error_of)(rd_kafka_event_t *),
                                      const char *advice)
{
    struct kafka_serial *serial = memory_new(sizeof(*serial));
    serial->client = client;
    serial->error_of = error_of;
    serial->too_long = text_format("they are longer than 4 MiB, or malformed: %s", advice);
    return serial;
}

static struct remembered *find(const struct kafka_serial *serial, const char *group)
{
    struct remembered *found;
    HASH_FIND_STR(serial->remembered, group, found);
    return found;
}

static struct remembered *remember(struct kafka_serial *serial, const char *group, int64_t now_ms)
{
    struct remembered *found = find(serial, group);
    if (found != NULL)
        return found;
    found = memory_new(sizeof(*found));
    found->group = text_copy(group);
    found->noted_ms = now_ms;
    HASH_ADD_KEYPTR(hh, serial->remembered, found->group, strlen(found->group), found);
    return found;
}

static void forget(struct kafka_serial *serial, struct remembered *remembered)
{
    HASH_DEL(serial->remembered, remembered);
    free(remembered->group);
    free(remembered);
}

static void forget_old(struct kafka_serial *serial, int64_t now_ms)
{
    struct remembered *remembered;
    struct remembered *next;
    HASH_ITER(hh, serial->remembered, remembered, next)
        if (now_ms - remembered->noted_ms >= KAFKA_FORGET_MS)
            forget(serial, remembered);
}

static void count_bytes(const struct kafka_serial *serial, double bytes)
{
    kafka_handles_add_bytes(&serial->client->handles, serial->rk, bytes);
}

/* Nobody waits on this handle any more for what is under way. */
static void abandon(struct kafka_serial *serial)
{
    if (serial->sent != NULL)
        count_bytes(serial, serial->sent_bytes);
    serial->sent = NULL;
}

static void close_handle(struct kafka_serial *serial, int64_t now_ms)
{
    abandon(serial);
    free(TAKE(serial->sent_group));
    if (serial->rk != NULL)
        kafka_handles_end(&serial->client->handles, TAKE(serial->rk), TAKE(serial->answers),
                          now_ms);
}

void kafka_serial_free(struct kafka_serial *serial)
{
    close_handle(serial, clock_now_ms());
    forget_old(serial, CLOCK_NEVER);
    error_done(&serial->failure);
    free(serial->too_long);
    free(serial);
}

/* ---- requests ---- */

void kafka_serial_add(struct kafka_serial *serial, struct kafka_serial_request *request)
{
    DL_APPEND(serial->requests, request);
    serial->count++;
    request->is_here = true;
}

static void leave_queue(struct kafka_serial *serial, struct kafka_serial_request *request)
{
    DL_DELETE(serial->requests, request);
    serial->count--;
    request->is_here = false;
}

void kafka_serial_cancel(struct kafka_serial *serial, struct kafka_serial_request *request)
{
    leave_queue(serial, request);
    if (request == serial->sent)
        abandon(serial);
}

struct kafka_serial_request *kafka_serial_first(const struct kafka_serial *serial)
{
    return serial->requests;
}

bool kafka_serial_is_waiting(const struct kafka_serial *serial,
                             const struct kafka_serial_request *request)
{
    return request != serial->sent;
}

/* Only a success shows that the reply is not too long: an error has no offsets or members. */
static void note(struct kafka_serial *serial, const char *group, rd_kafka_resp_err_t error,
                 int64_t now_ms)
{
    struct remembered *remembered = find(serial, group);
    if (kafka_client_is_unreadable(error)) {
        remembered = remember(serial, group, now_ms);
        log_debug("the replies about Kafka group %s: %s", group, serial->too_long);
        remembered->is_too_long = true;
        remembered->noted_ms = now_ms;
    } else if (error == RD_KAFKA_RESP_ERR_NO_ERROR && remembered != NULL)
        forget(serial, remembered);
}

rd_kafka_event_t *kafka_serial_receive(struct kafka_serial *serial,
                                       struct kafka_serial_request **ret_request, int64_t now_ms)
{
    rd_kafka_event_t *event;
    if (serial->sent_group == NULL || (event = rd_kafka_queue_poll(serial->answers, 0)) == NULL)
        return NULL;
    _cleanup_(memory_free) char *group = TAKE(serial->sent_group);
    note(serial, group, serial->error_of(event), now_ms);
    if (serial->sent != NULL)
        leave_queue(serial, serial->sent);
    else
        count_bytes(serial, -serial->sent_bytes);
    *ret_request = TAKE(serial->sent);
    return event;
}

static bool open_handle(struct kafka_serial *serial, int64_t now_ms)
{
    if (serial->rk != NULL)
        return true;
    error_done(&serial->failure);
    serial->rk = kafka_client_new_side_handle(serial->client, now_ms, &serial->failure);
    if (serial->rk == NULL) /* the tasks run out of time, with this reason */
        return false;
    serial->answers = kafka_client_new_queue(serial->client, serial->rk);
    return true;
}

const struct error *kafka_serial_failure(const struct kafka_serial *serial)
{
    return &serial->failure;
}

static void send_first(struct kafka_serial *serial, int64_t now_ms)
{
    struct kafka_serial_request *first = serial->requests;
    remember(serial, first->group, now_ms);
    serial->sent_bytes = first->send(first, serial->rk, serial->answers);
    serial->sent = first;
    serial->sent_group = text_copy(first->group);
    serial->sent_ms = now_ms;
}

void kafka_serial_maintain(struct kafka_serial *serial, int64_t now_ms)
{
    struct kafka_serial_request *hanging = serial->sent;
    forget_old(serial, now_ms);
    if (serial->sent_group != NULL && now_ms - serial->sent_ms >= HANGS_MS) {
        close_handle(serial, now_ms);
        if (hanging != NULL) {
            DL_DELETE(serial->requests, hanging);
            DL_APPEND(serial->requests, hanging);
        }
    }
    if (serial->sent_group != NULL)
        return;
    if (serial->requests == NULL)
        close_handle(serial, now_ms);
    else if (open_handle(serial, now_ms))
        send_first(serial, now_ms);
}

int64_t kafka_serial_next_ms(const struct kafka_serial *serial)
{
    return serial->sent_group != NULL ? serial->sent_ms + HANGS_MS : CLOCK_NEVER;
}

/* ---- which requests ---- */

void kafka_serial_note_sent(const struct kafka_serial *serial, struct kafka_serial_request *request)
{
    request->failed = 0;
    request->round = serial->round;
}

/*
 * A broker answers requests in their order. So the request with the long reply is the first to
 * fail, or among the first where the connections of several brokers were closed. For example, the
 * replies for A and B are too long, and all requests were sent elsewhere in round 0:
 *
 *     A fails         it is of the last round, 0: it comes here, and begins round 1
 *     B, C, D fail    they are of round 0, which is not the last: they are sent again, in round 1
 *                     (the first of them come here, as long as the queue is short)
 *     B fails         it is of the last round, 1: it comes here, and begins round 2
 *     C, D fail       they are sent again, in round 2, and answered
 */
enum kafka_serial_outcome kafka_serial_retry(struct kafka_serial *serial,
                                             struct kafka_serial_request *request, rd_kafka_t *rk,
                                             rd_kafka_queue_t *answers)
{
    bool is_first = request->round == serial->round;
    serial->round += is_first;
    request->round = serial->round;
    if (is_first || serial->count < MAX_WAITING) {
        kafka_serial_add(serial, request);
        return KAFKA_SERIAL_MOVED;
    }
    if (++request->failed >= MAX_TRIES)
        return KAFKA_SERIAL_FAILED;
    request->send(request, rk, answers);
    return KAFKA_SERIAL_SENT_AGAIN;
}

bool kafka_serial_remembers(const struct kafka_serial *serial, const char *group)
{
    return find(serial, group) != NULL;
}

const char *kafka_serial_reason_unreadable(const struct kafka_serial *serial, const char *group)
{
    return kafka_serial_remembers(serial, group) ? serial->too_long : OTHERS_TOO_LONG;
}

const char *kafka_serial_reason_suspended(const struct kafka_serial *serial, const char *group,
                                          int64_t now_ms)
{
    const struct remembered *remembered = find(serial, group);
    bool is_suspended = remembered != NULL && remembered->is_too_long &&
                        now_ms - remembered->noted_ms < SUSPENDED_MS;
    return is_suspended ? serial->too_long : NULL;
}
