#include "kafka/requests/serial.h"

#include "base/clock.h"
#include "base/hash_table.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

#include <string.h>
#include <utlist.h>

enum {
    MAX_WAITING = 16,
    HANGS_MS = 2000,              /* the coordinator may be another one by now */
    SUSPENDED_MS = 5 * 60 * 1000, /* after a reply that was too long */
};

/* A group whose last reply was. */
struct too_long {
    char *group;
    int64_t noted_ms;
    UT_hash_handle hh;
};

struct kafka_serial {
    struct kafka_client *client;
    rd_kafka_t *rk;                        /* NULL: there is nothing to send */
    rd_kafka_queue_t *answers;             /* NULL with it */
    struct kafka_serial_request *requests; /* utlist */
    size_t count;
    bool is_sent; /* the first of them */
    int64_t sent_ms;
    struct too_long *too_long;
};

struct kafka_serial *kafka_serial_new(struct kafka_client *client)
{
    struct kafka_serial *serial = memory_new(sizeof(*serial));
    serial->client = client;
    return serial;
}

static struct too_long *find(const struct kafka_serial *serial, const char *group)
{
    struct too_long *too_long;
    HASH_FIND_STR(serial->too_long, group, too_long);
    return too_long;
}

static void forget(struct kafka_serial *serial, struct too_long *too_long)
{
    HASH_DEL(serial->too_long, too_long);
    free(too_long->group);
    free(too_long);
}

static void forget_old(struct kafka_serial *serial, int64_t now_ms)
{
    struct too_long *too_long;
    struct too_long *next;
    HASH_ITER(hh, serial->too_long, too_long, next)
        if (now_ms - too_long->noted_ms >= KAFKA_FORGET_MS)
            forget(serial, too_long);
}

static void close_handle(struct kafka_serial *serial, int64_t now_ms)
{
    serial->is_sent = false;
    if (serial->rk != NULL)
        kafka_handles_end(&serial->client->handles, TAKE(serial->rk), TAKE(serial->answers),
                          now_ms);
}

void kafka_serial_free(struct kafka_serial *serial)
{
    close_handle(serial, clock_now_ms());
    forget_old(serial, CLOCK_NEVER);
    free(serial);
}

/* ---- requests ---- */

bool kafka_serial_has_room(const struct kafka_serial *serial)
{
    return serial->count < MAX_WAITING;
}

void kafka_serial_add(struct kafka_serial *serial, struct kafka_serial_request *request)
{
    DL_APPEND(serial->requests, request);
    serial->count++;
}

/* Its answer, if one is under way, goes with the handle. */
void kafka_serial_cancel(struct kafka_serial *serial, struct kafka_serial_request *request,
                         int64_t now_ms)
{
    if (request == serial->requests && serial->is_sent)
        close_handle(serial, now_ms);
    DL_DELETE(serial->requests, request);
    serial->count--;
}

rd_kafka_event_t *kafka_serial_receive(struct kafka_serial *serial)
{
    rd_kafka_event_t *event;
    struct kafka_serial_request *first = serial->requests;
    if (!serial->is_sent || (event = rd_kafka_queue_poll(serial->answers, 0)) == NULL)
        return NULL;
    DL_DELETE(serial->requests, first);
    serial->count--;
    serial->is_sent = false;
    return event;
}

static bool open_handle(struct kafka_serial *serial)
{
    _cleanup_(error_done) struct error error = {0};
    struct kafka_client *client = serial->client;
    if (serial->rk != NULL)
        return true;
    serial->rk =
        kafka_handles_new_handle(&client->handles, rd_kafka_conf_dup(client->settings), &error);
    if (serial->rk == NULL) {
        log_debug("%s", error_text(&error)); /* the tasks run out of time */
        return false;
    }
    serial->answers = kafka_client_new_queue(client, serial->rk);
    return true;
}

void kafka_serial_maintain(struct kafka_serial *serial, int64_t now_ms)
{
    struct kafka_serial_request *first = serial->requests;
    forget_old(serial, now_ms);
    if (serial->is_sent && now_ms - serial->sent_ms >= HANGS_MS) {
        close_handle(serial, now_ms);
        DL_DELETE(serial->requests, first);
        DL_APPEND(serial->requests, first);
        first = serial->requests;
    }
    if (first == NULL)
        close_handle(serial, now_ms);
    else if (!serial->is_sent && open_handle(serial)) {
        first->send(first, serial->rk, serial->answers);
        serial->is_sent = true;
        serial->sent_ms = now_ms;
    }
}

int64_t kafka_serial_next_ms(const struct kafka_serial *serial)
{
    return serial->is_sent ? serial->sent_ms + HANGS_MS : CLOCK_NEVER;
}

/* ---- whose reply was too long ---- */

bool kafka_serial_is_unreadable(rd_kafka_resp_err_t error)
{
    return error == RD_KAFKA_RESP_ERR__BAD_MSG;
}

static void remember(struct kafka_serial *serial, const char *group, int64_t now_ms)
{
    struct too_long *too_long = find(serial, group);
    if (too_long == NULL) {
        too_long = memory_new(sizeof(*too_long));
        too_long->group = text_copy(group);
        HASH_ADD_KEYPTR(hh, serial->too_long, too_long->group, strlen(too_long->group), too_long);
    }
    too_long->noted_ms = now_ms;
}

void kafka_serial_note(struct kafka_serial *serial, const char *group, rd_kafka_resp_err_t error,
                       int64_t now_ms)
{
    struct too_long *too_long = find(serial, group);
    if (kafka_serial_is_unreadable(error))
        remember(serial, group, now_ms);
    else if (too_long != NULL && error >= RD_KAFKA_RESP_ERR_NO_ERROR) /* others are the library's */
        forget(serial, too_long);
}

bool kafka_serial_has(const struct kafka_serial *serial, const char *group)
{
    return find(serial, group) != NULL;
}

bool kafka_serial_is_suspended(const struct kafka_serial *serial, const char *group, int64_t now_ms)
{
    const struct too_long *too_long = find(serial, group);
    return too_long != NULL && now_ms - too_long->noted_ms < SUSPENDED_MS;
}
