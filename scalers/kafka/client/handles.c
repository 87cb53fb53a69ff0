#include "kafka/client/handles.h"

#include "base/clock.h"
#include "base/memory.h"
#include "kafka/client/background.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <utlist.h>

enum {
    STUCK_MS = 10 * 1000, /* a handle that is not gone by then never will be (workaround 4) */
    CLOSE_MS = 3 * 1000,  /* closing waits so long for a handle that may be slow (workaround 5) */
};

struct kafka_handle {
    struct kafka_background_call base; /* destroys the handle */
    rd_kafka_t *rk;
    size_t holds;
    enum kafka_memory_account account;
    double bytes;     /* what it has in the account */
    int64_t ended_ms; /* since when it is being destroyed; CLOCK_NEVER: it is not */
    struct kafka_handle *prev, *next;
};
_Static_assert(offsetof(struct kafka_handle, base) == 0, "a pointer to it is one to the struct");

void kafka_handles_open(struct kafka_handles *handles, struct kafka_memory *memory, int event_fd)
{
    handles->memory = memory;
    handles->closing = kafka_background_new(event_fd);
}

static void destroy(struct kafka_background_call *base)
{
    rd_kafka_destroy_flags(((struct kafka_handle *)base)->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

static void add_bytes(struct kafka_handles *handles, struct kafka_handle *handle, double bytes)
{
    handle->bytes += bytes;
    kafka_memory_add(handles->memory, handle->account, bytes);
}

rd_kafka_t *kafka_handles_new_handle(struct kafka_handles *handles, rd_kafka_conf_t *settings,
                                     bool is_fetcher, double bytes, struct error *error)
{
    char reason[512] = "";
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, settings, reason, sizeof(reason));
    if (rk == NULL) {
        /* Otherwise it is a thread that did not start in time, for one. */
        bool is_mistake = rd_kafka_last_error() == RD_KAFKA_RESP_ERR__INVALID_ARG;
        rd_kafka_conf_destroy(settings);
        error_set(error, is_mistake ? ERROR_INVALID : ERROR_UNAVAILABLE, "Kafka: %s", reason);
        return NULL;
    }
    /* The error where no login needs callbacks is of no interest. */
    rd_kafka_error_destroy(rd_kafka_sasl_background_callbacks_enable(rk));
    struct kafka_handle *handle = memory_new(sizeof(*handle));
    *handle = (struct kafka_handle){
        .base = {.run = destroy},
        .rk = rk,
        .account = is_fetcher ? KAFKA_ACCOUNT_FETCHERS : KAFKA_ACCOUNT_HANDLES,
        .ended_ms = CLOCK_NEVER,
    };
    DL_APPEND(handles->in_use, handle);
    add_bytes(handles, handle, bytes);
    return rk;
}

void kafka_handles_signal(rd_kafka_queue_t *queue, int event_fd)
{
    static const uint64_t one = 1; /* what an eventfd takes */
    rd_kafka_queue_io_event_enable(queue, event_fd, &one, sizeof(one));
}

void kafka_handles_end_queue(rd_kafka_queue_t *queue)
{
    rd_kafka_queue_io_event_enable(queue, -1, NULL, 0);
    rd_kafka_queue_destroy(queue);
}

static struct kafka_handle *find(struct kafka_handle *handle, const rd_kafka_t *rk)
{
    while (handle != NULL && handle->rk != rk)
        handle = handle->next;
    return handle;
}

/* Where no thread can be started the handle stays, and is stuck: to destroy it here could block for
 * ever. */
static void begin_to_destroy(struct kafka_handles *handles, struct kafka_handle *handle,
                             int64_t now_ms)
{
    handle->ended_ms = now_ms;
    kafka_background_start(handles->closing, &handle->base);
}

void kafka_handles_add_bytes(struct kafka_handles *handles, const rd_kafka_t *rk, double bytes)
{
    add_bytes(handles, find(handles->in_use, rk), bytes);
}

void kafka_handles_add_bytes_to_others(struct kafka_handles *handles, const rd_kafka_t *rk,
                                       double bytes)
{
    struct kafka_handle *handle;
    DL_FOREACH(handles->in_use, handle)
        if (handle->rk != rk)
            add_bytes(handles, handle, bytes);
}

void kafka_handles_hold(struct kafka_handles *handles, const rd_kafka_t *rk)
{
    find(handles->in_use, rk)->holds++;
}

void kafka_handles_release(struct kafka_handles *handles, const rd_kafka_t *rk)
{
    struct kafka_handle *handle = find(handles->in_use, rk);
    bool has_ended = handle == NULL;
    if (has_ended)
        handle = find(handles->endings, rk);
    if (--handle->holds == 0 && has_ended)
        begin_to_destroy(handles, handle, clock_now_ms());
}

bool kafka_handles_is_held(const struct kafka_handles *handles, const rd_kafka_t *rk)
{
    return find(handles->in_use, rk)->holds > 0;
}

void kafka_handles_end(struct kafka_handles *handles, rd_kafka_t *rk, rd_kafka_queue_t *queue,
                       int64_t now_ms)
{
    if (queue != NULL)
        kafka_handles_end_queue(queue);
    struct kafka_handle *handle = find(handles->in_use, rk);
    DL_DELETE(handles->in_use, handle);
    DL_APPEND(handles->endings, handle);
    if (handle->holds == 0)
        begin_to_destroy(handles, handle, now_ms);
}

void kafka_handles_poll(struct kafka_handles *handles)
{
    const struct kafka_handle *handle;
    DL_FOREACH(handles->in_use, handle)
        rd_kafka_poll(handle->rk, 0);
    for (struct kafka_background_call *base;
         (base = kafka_background_next(handles->closing)) != NULL;) {
        struct kafka_handle *ended = (struct kafka_handle *)base;
        DL_DELETE(handles->endings, ended);
        add_bytes(handles, ended, -ended->bytes);
        free(ended);
    }
}

bool kafka_handles_are_ending(const struct kafka_handles *handles)
{
    return handles->endings != NULL;
}

size_t kafka_handles_stuck(const struct kafka_handles *handles, int64_t now_ms)
{
    size_t count = 0;
    const struct kafka_handle *handle;
    DL_FOREACH(handles->endings, handle)
        count += handle->ended_ms != CLOCK_NEVER && now_ms - handle->ended_ms >= STUCK_MS;
    return count;
}

bool kafka_handles_close(struct kafka_handles *handles)
{
    kafka_background_wait(handles->closing, clock_now_ms() + CLOSE_MS);
    kafka_handles_poll(handles);
    if (kafka_handles_are_ending(handles))
        return false;
    assert(handles->in_use == NULL && handles->memory->bytes[KAFKA_ACCOUNT_HANDLES] == 0 &&
           handles->memory->bytes[KAFKA_ACCOUNT_FETCHERS] == 0);
    kafka_background_free(handles->closing);
    return true;
}
