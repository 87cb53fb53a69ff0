#include "kafka/requests/second.h"

#include "base/clock.h"
#include "base/hash_table.h"
#include "base/log.h"
#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    RENEW_MS = 2000, /* it is renewed at most once in this time */
    STALE_MS = 500,  /* at most once in this time if its coordinator is stale */
    IDLE_MS = 60 * 1000,
    MAX_MOVED = 16,
};

struct kafka_second {
    struct kafka_client *client;
    struct kafka_serial *serial;
    rd_kafka_t *rk;            /* NULL: there is no handle */
    rd_kafka_queue_t *answers; /* NULL with it */
    bool is_stale;             /* the handle takes a former coordinator for the present one */
    struct kafka_commits_call *calls;
    size_t waiting; /* calls with a request */
    struct kafka_abandoned abandoned;
    int64_t opened_ms;
    int64_t used_ms;
};

struct kafka_second *kafka_second_new(struct kafka_client *client, struct kafka_serial *serial)
{
    struct kafka_second *second = memory_new(sizeof(*second));
    second->client = client;
    second->serial = serial;
    second->abandoned.memory = &client->memory;
    return second;
}

static struct kafka_commits_call *find(const struct kafka_second *second, const char *group)
{
    struct kafka_commits_call *call;
    HASH_FIND_STR(second->calls, group, call);
    return call;
}

void kafka_second_end(struct kafka_second *second, struct kafka_commits_call *call)
{
    second->waiting -= call->request != NULL;
    kafka_abandoned_remove(&second->abandoned, call);
    HASH_DEL(second->calls, call);
    kafka_commits_call_free(call);
}

/* The library keeps its copies of the calls until the handle is gone. */
static void close_handle(struct kafka_second *second, int64_t now_ms)
{
    size_t copied = 0;
    struct kafka_handles *handles = &second->client->handles;
    if (second->rk == NULL)
        return;
    for (const struct kafka_commits_call *call = second->calls; call != NULL; call = call->hh.next)
        copied += call->copied;
    kafka_handles_add_bytes(handles, second->rk, (double)copied * KAFKA_MEMORY_PER_ABANDONED);
    kafka_handles_end(handles, TAKE(second->rk), TAKE(second->answers), now_ms);
}

static void end_handle(struct kafka_second *second, int64_t now_ms)
{
    struct kafka_commits_call *call;
    struct kafka_commits_call *next;
    close_handle(second, now_ms);
    HASH_ITER(hh, second->calls, call, next)
        kafka_second_end(second, call);
}

void kafka_second_free(struct kafka_second *second)
{
    end_handle(second, clock_now_ms());
    free(second);
}

/* ---- the handle ---- */

bool kafka_second_is_open(const struct kafka_second *second)
{
    return second->rk != NULL;
}

static int64_t renewable_ms(const struct kafka_second *second)
{
    return second->opened_ms + (second->is_stale ? STALE_MS : RENEW_MS);
}

static bool may_renew(const struct kafka_second *second, int64_t now_ms)
{
    return now_ms >= renewable_ms(second);
}

/* Whether abandoned calls have too many partitions, or may be too old: as long as other groups use
 * the handle it never becomes idle. */
static bool has_too_much(const struct kafka_second *second, int64_t now_ms)
{
    return kafka_abandoned_is_too_much(&second->abandoned) ||
           (second->abandoned.partitions > 0 && now_ms - second->opened_ms >= KAFKA_MAX_CALL_MS);
}

/* Calls that still wait on the former handle are sent again on the new one. Where there is no
 * memory for both, a former handle that no call waits for ends: the next request finds its memory,
 * or its threads.
 */
static bool open_handle(struct kafka_second *second, int64_t now_ms, struct error *error)
{
    struct kafka_client *client = second->client;
    rd_kafka_t *rk = kafka_client_new_side_handle(client, now_ms, error);
    if (rk == NULL) {
        if (second->waiting == 0 && second->rk != NULL) {
            end_handle(second, now_ms);
            client->side_retry_ms = 0;
        }
        return false;
    }
    log_debug("another connection to Kafka requests commits%s",
              second->rk == NULL ? "" : ", in place of the last one");
    close_handle(second, now_ms);
    second->rk = rk;
    second->answers = kafka_client_new_queue(client, rk);
    second->is_stale = false;
    second->opened_ms = second->used_ms = now_ms;
    struct kafka_commits_call *call;
    struct kafka_commits_call *next;
    HASH_ITER(hh, second->calls, call, next) {
        if (call->state == KAFKA_CALL_ABANDONED) {
            kafka_second_end(second, call);
            continue;
        }
        /* A call on its last try is WAITING again on the next handle. That ends at the deadline of
         * its tasks, which abandons the call. */
        call->state =
            call->state == KAFKA_CALL_AWAITS_HANDLE ? KAFKA_CALL_LAST_TRY : KAFKA_CALL_WAITING;
        kafka_commits_call_send(call, second->serial, rk, second->answers);
    }
    return true;
}

/* A stale handle serves groups whose coordinators have not moved: it will do where there is no
 * memory for the next one. */
static bool prepare(struct kafka_second *second, const char *group, int64_t now_ms,
                    struct error *error)
{
    bool is_useless = has_too_much(second, now_ms) || find(second, group) != NULL;
    if (second->rk != NULL && !((is_useless || second->is_stale) && may_renew(second, now_ms)))
        return true;
    if (open_handle(second, now_ms, error))
        return true;
    if (second->rk == NULL || is_useless)
        return false;
    error_done(error);
    return true;
}

static bool any_awaits_handle(const struct kafka_second *second)
{
    const struct kafka_commits_call *call = second->calls;
    while (call != NULL && call->state != KAFKA_CALL_AWAITS_HANDLE)
        call = call->hh.next;
    return call != NULL;
}

static void renew_if_needed(struct kafka_second *second, int64_t now_ms)
{
    _cleanup_(error_done) struct error error = {0};
    if (may_renew(second, now_ms) &&
        (has_too_much(second, now_ms) || (second->is_stale && any_awaits_handle(second))) &&
        !open_handle(second, now_ms, &error))
        log_debug("%s", error_text(&error)); /* the tasks run out of time */
}

void kafka_second_maintain(struct kafka_second *second, int64_t now_ms)
{
    bool is_idle = second->waiting == 0 &&
                   (has_too_much(second, now_ms) || now_ms - second->used_ms >= IDLE_MS);
    if (second->rk == NULL)
        return;
    if (is_idle)
        end_handle(second, now_ms);
    else
        renew_if_needed(second, now_ms);
}

/* Whether a call waits for the next handle, or a group may, as it has an abandoned call here. */
static bool awaits_renewal(const struct kafka_second *second)
{
    return HASH_COUNT(second->calls) > second->waiting || any_awaits_handle(second);
}

int64_t kafka_second_next_ms(const struct kafka_second *second, int64_t now_ms)
{
    int64_t renew_ms = renewable_ms(second);
    return renew_ms > now_ms && awaits_renewal(second) ? renew_ms : CLOCK_NEVER;
}

/* ---- calls ---- */

bool kafka_second_is_free(const struct kafka_second *second, const char *group, int64_t now_ms)
{
    const struct kafka_commits_call *call = find(second, group);
    return may_renew(second, now_ms)
               ? call == NULL || call->state == KAFKA_CALL_ABANDONED
               : call == NULL && !kafka_abandoned_is_too_much(&second->abandoned);
}

bool kafka_second_has_room(const struct kafka_second *second)
{
    return second->waiting < MAX_MOVED;
}

bool kafka_second_send(struct kafka_second *second, struct kafka_commits_request *request,
                       const rd_kafka_topic_partition_list_t *partitions, int64_t now_ms,
                       struct error *error)
{
    if (!prepare(second, request->group, now_ms, error))
        return false;
    assert(find(second, request->group) == NULL);
    struct kafka_commits_call *call =
        kafka_commits_call_new(KAFKA_CALL_SECOND, request, partitions);
    HASH_ADD_KEYPTR(hh, second->calls, call->group, strlen(call->group), call);
    second->used_ms = now_ms;
    second->waiting++;
    kafka_commits_call_send(call, second->serial, second->rk, second->answers);
    return true;
}

void kafka_second_cancel(struct kafka_second *second, const struct kafka_commits_request *request)
{
    struct kafka_commits_call *call = find(second, request->group);
    if (call == NULL || call->request != request)
        return;
    second->waiting--;
    kafka_commits_call_abandon(call, &second->abandoned);
}

rd_kafka_event_t *kafka_second_receive(struct kafka_second *second,
                                       struct kafka_commits_call **ret_call)
{
    rd_kafka_event_t *event = second->rk == NULL ? NULL : rd_kafka_queue_poll(second->answers, 0);
    if (event == NULL)
        return NULL;
    *ret_call = rd_kafka_event_opaque(event);
    assert((*ret_call)->place == KAFKA_CALL_SECOND);
    return event;
}

enum kafka_serial_outcome kafka_second_retry(struct kafka_second *second,
                                             struct kafka_commits_call *call)
{
    enum kafka_serial_outcome outcome =
        kafka_commits_call_retry(call, &second->calls, second->serial, second->rk, second->answers);
    second->waiting -= outcome == KAFKA_SERIAL_MOVED;
    return outcome;
}

bool kafka_second_send_again(struct kafka_second *second, struct kafka_commits_call *call)
{
    return kafka_commits_call_send_again(call, second->serial, second->rk, second->answers);
}

bool kafka_second_misdirected(struct kafka_second *second, struct kafka_commits_call *call)
{
    second->is_stale = true;
    if (call->state != KAFKA_CALL_WAITING)
        return false;
    call->copied = 0;
    call->state = KAFKA_CALL_AWAITS_HANDLE;
    return true;
}
