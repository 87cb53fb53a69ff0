#include "kafka/requests/commits.h"

#include "base/clock.h"
#include "base/hash_table.h"
#include "base/memory.h"
#include "kafka/client/settings.h"
#include "kafka/requests/second.h"

#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <utlist.h>

enum { SILENT_MS = 1000 }; /* a call on the main handle that is so old is also sent on the second */

#define TOO_LONG                                                                                   \
    "they are longer than 4 MiB, or malformed: its consumers must commit less metadata with "      \
    "their offsets; retrying every 5 minutes"
_Static_assert(KAFKA_MAX_REPLY_BYTES == 4 << 20, "TOO_LONG names it");

/*
 * A call on the main handle. Its request is on the second handle, too, once it has been silent, and
 * nobody waits for it any more once the other call was answered. It is gone with its answer, but
 * for one that is misdirected.
 */
struct main_call {
    struct kafka_call base; /* first */
    int64_t sent_ms;
    bool is_moved;       /* its request is on the second handle, too */
    bool is_misdirected; /* a stale coordinator answered it: the handle would send the group's next
                            call there, too. It has no request */
    UT_hash_handle hh;
};

/* A call on the serial handle, or that waits for its turn there. */
struct serial_call {
    struct kafka_serial_request base; /* first */
    struct kafka_call call;
    struct serial_call *prev, *next;
};

struct kafka_commits {
    struct kafka_client *client;
    rd_kafka_queue_t *answers; /* of the main handle, which is the client's */
    struct main_call *calls;   /* on the main handle, by group, the oldest first */
    bool is_stale;             /* one of them is misdirected */
    bool has_recovered;        /* a group was answered on the second handle, whose call on the
                                    main one hangs */
    struct kafka_second *second;
    struct kafka_serial *serial;
    struct serial_call *serial_calls; /* utlist: few */
};

void kafka_commits_open_handle(struct kafka_commits *commits)
{
    commits->answers = kafka_client_new_queue(commits->client, commits->client->rk);
    commits->is_stale = false;
}

struct kafka_commits *kafka_commits_new(struct kafka_client *client)
{
    struct kafka_commits *commits = memory_new(sizeof(*commits));
    commits->client = client;
    commits->second = kafka_second_new(client);
    commits->serial = kafka_serial_new(client, rd_kafka_event_error);
    kafka_commits_open_handle(commits);
    return commits;
}

static struct main_call *main_find(const struct kafka_commits *commits, const char *group)
{
    struct main_call *call;
    HASH_FIND_STR(commits->calls, group, call);
    return call;
}

static void main_free(struct kafka_commits *commits, struct main_call *call)
{
    HASH_DEL(commits->calls, call);
    kafka_call_done(&call->base);
    free(call);
}

static void serial_free(struct kafka_commits *commits, struct serial_call *call)
{
    DL_DELETE(commits->serial_calls, call);
    kafka_call_done(&call->call);
    free(call);
}

void kafka_commits_close_handle(struct kafka_commits *commits)
{
    struct main_call *call;
    struct main_call *next;
    HASH_ITER(hh, commits->calls, call, next)
        main_free(commits, call);
    kafka_client_end_queue(commits->client, TAKE(commits->answers));
    commits->has_recovered = false;
}

void kafka_commits_free(struct kafka_commits *commits)
{
    struct serial_call *call;
    struct serial_call *next;
    kafka_commits_close_handle(commits);
    kafka_second_free(commits->second);
    kafka_serial_free(commits->serial);
    DL_FOREACH_SAFE(commits->serial_calls, call, next)
        serial_free(commits, call);
    free(commits);
}

/* ---- which handle ---- */

/* A call on the main handle whose answer may never come. */
static bool main_hangs(const struct main_call *call, int64_t now_ms)
{
    return call != NULL && (call->is_misdirected || now_ms - call->sent_ms >= SILENT_MS);
}

static bool any_hangs(const struct kafka_commits *commits, int64_t now_ms)
{
    for (const struct main_call *call = commits->calls; call != NULL; call = call->hh.next)
        if (main_hangs(call, now_ms))
            return true;
    return false;
}

static bool uses_second(const struct kafka_commits *commits, const char *group, bool isolate,
                        int64_t now_ms)
{
    return isolate || main_hangs(main_find(commits, group), now_ms);
}

/* NULL: none, where the group may still use the handle, as its reply may be too long. */
static const struct serial_call *serial_find(const struct kafka_commits *commits, const char *group)
{
    const struct serial_call *call = commits->serial_calls;
    while (call != NULL && strcmp(call->call.group, group) != 0)
        call = call->next;
    return call;
}

bool kafka_commits_is_free(const struct kafka_commits *commits, const char *group, bool isolate,
                           int64_t now_ms)
{
    if (serial_find(commits, group) != NULL)
        return false;
    if (kafka_serial_has(commits->serial, group))
        return true;
    return uses_second(commits, group, isolate, now_ms)
               ? kafka_second_is_free(commits->second, group, now_ms)
               : main_find(commits, group) == NULL;
}

const char *kafka_commits_reason_suspended(const struct kafka_commits *commits, const char *group,
                                           int64_t now_ms)
{
    return kafka_serial_is_suspended(commits->serial, group, now_ms) ? TOO_LONG : NULL;
}

bool kafka_commits_is_waiting(const struct kafka_commits *commits, const char *group)
{
    const struct serial_call *call = serial_find(commits, group);
    return call != NULL && kafka_serial_is_waiting(commits->serial, &call->base);
}

/* ---- requests ---- */

static void main_send_again(const struct kafka_commits *commits, struct main_call *call)
{
    kafka_call_send(&call->base, commits->client->rk, commits->answers, call);
}

static void main_send(struct kafka_commits *commits, struct kafka_commits_request *request,
                      const rd_kafka_topic_partition_list_t *partitions, int64_t now_ms)
{
    struct main_call *call = memory_new(sizeof(*call));
    kafka_call_init(&call->base, request, partitions);
    call->base.tries = kafka_serial_first_try(commits->serial);
    call->sent_ms = now_ms;
    HASH_ADD_KEYPTR(hh, commits->calls, call->base.group, strlen(call->base.group), call);
    main_send_again(commits, call);
}

static bool second_send(struct kafka_commits *commits, struct kafka_commits_request *request,
                        const rd_kafka_topic_partition_list_t *partitions, int64_t now_ms,
                        struct error *error)
{
    struct kafka_call *call =
        kafka_second_send(commits->second, request, partitions, now_ms, error);
    if (call != NULL)
        call->tries = kafka_serial_first_try(commits->serial);
    return call != NULL;
}

/* In its turn on the serial handle. */
static void serial_send_now(const struct kafka_serial_request *base, rd_kafka_t *rk,
                            rd_kafka_queue_t *answers)
{
    kafka_call_send(&((const struct serial_call *)base)->call, rk, answers, NULL);
}

static void serial_send(struct kafka_commits *commits, struct kafka_commits_request *request,
                        const rd_kafka_topic_partition_list_t *partitions)
{
    struct serial_call *call = memory_new(sizeof(*call));
    kafka_call_init(&call->call, request, partitions);
    call->base.send = serial_send_now;
    call->base.group = call->call.group;
    DL_APPEND(commits->serial_calls, call);
    kafka_serial_add(commits->serial, &call->base);
}

bool kafka_commits_send(struct kafka_commits *commits, struct kafka_commits_request *request,
                        const rd_kafka_topic_partition_list_t *partitions, int64_t now_ms,
                        struct error *error)
{
    if (kafka_serial_has(commits->serial, request->group))
        serial_send(commits, request, partitions);
    else if (!uses_second(commits, request->group, request->isolate, now_ms))
        main_send(commits, request, partitions, now_ms);
    else if (!second_send(commits, request, partitions, now_ms, error))
        return false;
    return true;
}

/* Nobody waits for the request on the main handle any more. */
static void main_cancel(const struct kafka_commits *commits,
                        const struct kafka_commits_request *request)
{
    struct main_call *call = main_find(commits, request->group);
    if (call != NULL && call->base.request == request)
        call->base.request = NULL;
}

void kafka_commits_cancel(struct kafka_commits *commits, struct kafka_commits_request *request)
{
    main_cancel(commits, request);
    kafka_second_cancel(commits->second, request);
    struct serial_call *call = commits->serial_calls;
    while (call != NULL && call->call.request != request)
        call = call->next;
    if (call == NULL)
        return;
    kafka_serial_cancel(commits->serial, &call->base);
    serial_free(commits, call);
}

/* On the second handle, too. */
static void main_move(struct kafka_commits *commits, struct main_call *call, int64_t now_ms)
{
    _cleanup_(error_done) struct error error = {0};
    call->is_moved =
        kafka_second_is_free(commits->second, call->base.group, now_ms) &&
        second_send(commits, call->base.request, call->base.partitions, now_ms, &error);
}

void kafka_commits_maintain(struct kafka_commits *commits, int64_t now_ms)
{
    kafka_serial_maintain(commits->serial, now_ms);
    kafka_second_maintain(commits->second, now_ms);
    for (struct main_call *call = commits->calls;
         call != NULL && now_ms - call->sent_ms >= SILENT_MS; call = call->hh.next)
        if (call->base.request != NULL && !call->is_moved && kafka_second_has_room(commits->second))
            main_move(commits, call, now_ms);
}

int64_t kafka_commits_next_ms(const struct kafka_commits *commits, int64_t now_ms)
{
    int64_t next_ms =
        MIN(kafka_serial_next_ms(commits->serial), kafka_second_next_ms(commits->second, now_ms));
    const struct main_call *call = commits->calls;
    while (call != NULL && now_ms - call->sent_ms >= SILENT_MS)
        call = call->hh.next;
    return call == NULL ? next_ms : MIN(next_ms, call->sent_ms + SILENT_MS);
}

/* ---- answers ---- */

/*
 * What an answer means for the request of its call:
 *
 *                    on the main handle                    on the second handle
 *
 *     READABLE       it has ended, on the second, too      it has ended, on the main one, too
 *     MISDIRECTED    it is on the second one now, or       it waits for the next second handle; the
 *                    has failed                            second time it has failed
 *     UNREADABLE     kafka_serial_decide(), unless it      kafka_serial_decide()
 *                    is on the second one, too
 */
enum answer {
    READABLE, /* or an error */
    MISDIRECTED,
    UNREADABLE,
};

static enum answer answer_of(rd_kafka_resp_err_t error)
{
    if (kafka_client_is_unreadable(error))
        return UNREADABLE;
    return error == RD_KAFKA_RESP_ERR_NOT_COORDINATOR ? MISDIRECTED : READABLE;
}

/* What to do with the request of a call that could not be read. It has been sent on the serial
 * handle where it is to go there. */
static enum kafka_serial_decision decide(struct kafka_commits *commits, struct kafka_call *call)
{
    if (call->request == NULL)
        return KAFKA_SERIAL_FAIL;
    enum kafka_serial_decision decision = kafka_serial_decide(commits->serial, &call->tries);
    if (decision == KAFKA_SERIAL_HERE)
        serial_send(commits, call->request, call->partitions);
    return decision;
}

/* These return the request that has ended; NULL: nobody waits for it, or it goes on. */

static struct kafka_commits_request *main_misdirected(struct kafka_commits *commits,
                                                      struct main_call *call, int64_t now_ms)
{
    commits->is_stale = true;
    if (call->base.request != NULL && !call->is_moved)
        main_move(commits, call, now_ms);
    call->is_misdirected = true;
    struct kafka_commits_request *request = TAKE(call->base.request);
    return call->is_moved ? NULL : request;
}

static struct kafka_commits_request *main_end(struct kafka_commits *commits, struct main_call *call,
                                              rd_kafka_resp_err_t error, int64_t now_ms)
{
    struct kafka_commits_request *request = call->base.request;
    bool goes_on = false;
    switch (answer_of(error)) {
    case MISDIRECTED:
        return main_misdirected(commits, call, now_ms);
    case UNREADABLE: {
        enum kafka_serial_decision decision =
            call->is_moved ? KAFKA_SERIAL_HERE : decide(commits, &call->base);
        if (decision == KAFKA_SERIAL_AGAIN) {
            main_send_again(commits, call);
            return NULL;
        }
        goes_on = decision == KAFKA_SERIAL_HERE;
        break;
    }
    case READABLE:
        if (request != NULL)
            kafka_second_cancel(commits->second, request);
        break;
    }
    main_free(commits, call);
    return goes_on ? NULL : request;
}

static struct kafka_commits_request *second_end(struct kafka_commits *commits,
                                                struct kafka_call *call, rd_kafka_resp_err_t error,
                                                int64_t now_ms)
{
    struct kafka_commits_request *request = call->request;
    bool goes_on = false;
    switch (answer_of(error)) {
    case MISDIRECTED:
        if (kafka_second_misdirected(commits->second, call))
            return NULL;
        break;
    case UNREADABLE: {
        enum kafka_serial_decision decision = decide(commits, call);
        if (decision == KAFKA_SERIAL_AGAIN) {
            kafka_second_send_again(commits->second, call);
            return NULL;
        }
        goes_on = decision == KAFKA_SERIAL_HERE;
        break;
    }
    case READABLE:
        if (error == RD_KAFKA_RESP_ERR_NO_ERROR &&
            main_hangs(main_find(commits, call->group), now_ms))
            commits->has_recovered = true;
        break;
    }
    if (request != NULL)
        main_cancel(commits, request);
    kafka_second_end(commits->second, call);
    return goes_on ? NULL : request;
}

static struct kafka_commits_request *serial_end(struct kafka_commits *commits,
                                                struct kafka_serial_request *base)
{
    struct serial_call *call = (struct serial_call *)base;
    if (call == NULL)
        return NULL;
    struct kafka_commits_request *request = call->call.request;
    serial_free(commits, call);
    return request;
}

/* The next answer on any handle; NULL: there is none. */
static rd_kafka_event_t *next_event(struct kafka_commits *commits,
                                    struct kafka_commits_request **ret_request, int64_t now_ms)
{
    struct kafka_call *second_call;
    struct kafka_serial_request *serial_request;
    rd_kafka_event_t *event = rd_kafka_queue_poll(commits->answers, 0);
    *ret_request = NULL;
    if (event != NULL) {
        struct main_call *call = rd_kafka_event_opaque(event);
        if (call != NULL) /* others are the library's own */
            *ret_request = main_end(commits, call, rd_kafka_event_error(event), now_ms);
    } else if ((event = kafka_second_receive(commits->second, &second_call)) != NULL)
        *ret_request = second_end(commits, second_call, rd_kafka_event_error(event), now_ms);
    else if ((event = kafka_serial_receive(commits->serial, &serial_request, now_ms)) != NULL)
        *ret_request = serial_end(commits, serial_request);
    return event;
}

struct kafka_commits_request *kafka_commits_receive(struct kafka_commits *commits,
                                                    rd_kafka_event_t **ret_event, int64_t now_ms)
{
    rd_kafka_event_t *event;
    struct kafka_commits_request *request;
    while ((event = next_event(commits, &request, now_ms)) != NULL) {
        if (rd_kafka_event_error(event) >=
            RD_KAFKA_RESP_ERR_NO_ERROR) /* others are the library's own */
            kafka_client_note_answer(commits->client, now_ms);
        if (request != NULL) {
            *ret_event = event;
            break;
        }
        rd_kafka_event_destroy(event);
    }
    if (commits->has_recovered && !any_hangs(commits, now_ms))
        commits->has_recovered = false;
    return event == NULL ? NULL : request;
}

const rd_kafka_topic_partition_list_t *kafka_commits_result(const struct kafka_commits *commits,
                                                            const char *group,
                                                            rd_kafka_event_t *event,
                                                            const char **ret_reason,
                                                            rd_kafka_resp_err_t *ret_error)
{
    size_t count = 0;
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    const rd_kafka_ListConsumerGroupOffsets_result_t *result =
        rd_kafka_event_ListConsumerGroupOffsets_result(event);
    const rd_kafka_group_result_t **results =
        result == NULL ? NULL : rd_kafka_ListConsumerGroupOffsets_result_groups(result, &count);
    const rd_kafka_error_t *error = count == 0 ? NULL : rd_kafka_group_result_error(results[0]);
    *ret_error = code != RD_KAFKA_RESP_ERR_NO_ERROR ? code : rd_kafka_error_code(error);
    if (kafka_client_is_unreadable(code))
        *ret_reason =
            kafka_serial_has(commits->serial, group) ? TOO_LONG : KAFKA_SERIAL_OTHERS_TOO_LONG;
    else if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        *ret_reason = rd_kafka_event_error_string(event);
    else if (count == 0)
        *ret_reason = "unexpected reply without a result";
    else if (error != NULL)
        *ret_reason = rd_kafka_error_string(error);
    else
        return rd_kafka_group_result_partitions(results[0]);
    return NULL;
}

/* ---- the main handle's renewal ---- */

bool kafka_commits_is_quiet(const struct kafka_commits *commits)
{
    for (const struct main_call *call = commits->calls; call != NULL; call = call->hh.next)
        if (call->base.request != NULL && !call->is_moved)
            return false;
    return true;
}

bool kafka_commits_needs_renewal(const struct kafka_commits *commits)
{
    return commits->is_stale || (commits->has_recovered && commits->calls != NULL);
}
