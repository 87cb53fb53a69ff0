#include "kafka/requests/commits.h"

#include "base/hash_table.h"
#include "base/memory.h"
#include "kafka/requests/second.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

enum { SILENT_MS = 1000 }; /* a call on the main handle that is so old is also sent on the second */

struct kafka_commits {
    struct kafka_client *client;
    rd_kafka_queue_t *answers;        /* of the main handle */
    struct kafka_commits_call *calls; /* of the main handle, the oldest first */
    struct kafka_abandoned abandoned;
    bool is_stale; /* a call is misdirected */
    /* A group was answered on the second handle while its call on the main one hangs. */
    bool has_recovered;
    struct kafka_second *second;
    struct kafka_serial *serial;
};

static void main_call_send(struct kafka_commits *commits, struct kafka_commits_call *call,
                           int64_t now_ms)
{
    call->sent_ms = now_ms;
    call->failed_on_second = false;
    kafka_commits_call_send(call, commits->serial, commits->client->rk, commits->answers);
}

void kafka_commits_open_handle(struct kafka_commits *commits)
{
    commits->answers = kafka_client_new_queue(commits->client, commits->client->rk);
    commits->is_stale = false;
    for (struct kafka_commits_call *call = commits->calls; call != NULL; call = call->hh.next)
        main_call_send(commits, call, commits->client->opened_ms);
}

struct kafka_commits *kafka_commits_new(struct kafka_client *client)
{
    struct kafka_commits *commits = memory_new(sizeof(*commits));
    commits->client = client;
    commits->abandoned.memory = &client->memory;
    commits->serial = kafka_serial_new(client, rd_kafka_event_error,
                                       "its consumers must commit less metadata with their "
                                       "offsets; retrying every 5 minutes");
    commits->second = kafka_second_new(client, commits->serial);
    kafka_commits_open_handle(commits);
    return commits;
}

static struct kafka_commits_call *main_call_find(const struct kafka_commits *commits,
                                                 const char *group)
{
    struct kafka_commits_call *call;
    HASH_FIND_STR(commits->calls, group, call);
    return call;
}

static void main_call_free(struct kafka_commits *commits, struct kafka_commits_call *call)
{
    kafka_abandoned_remove(&commits->abandoned, call);
    HASH_DEL(commits->calls, call);
    kafka_commits_call_free(call);
}

/* The library keeps its copies until the handle is gone. */
void kafka_commits_close_handle(struct kafka_commits *commits)
{
    size_t copied = 0;
    struct kafka_commits_call *call;
    struct kafka_commits_call *next;
    HASH_ITER(hh, commits->calls, call, next) {
        copied += call->copied;
        if (call->state != KAFKA_CALL_WAITING)
            main_call_free(commits, call);
    }
    kafka_handles_add_bytes(&commits->client->handles, commits->client->rk,
                            (double)copied * KAFKA_MEMORY_PER_ABANDONED);
    kafka_client_end_queue(commits->client, TAKE(commits->answers));
    commits->has_recovered = false;
}

void kafka_commits_free(struct kafka_commits *commits)
{
    struct kafka_serial_request *request;
    struct kafka_commits_call *call;
    struct kafka_commits_call *next;
    HASH_ITER(hh, commits->calls, call, next)
        main_call_free(commits, call);
    kafka_commits_close_handle(commits);
    kafka_second_free(commits->second);
    while ((request = kafka_serial_first(commits->serial)) != NULL) {
        kafka_serial_cancel(commits->serial, request);
        kafka_commits_call_free(kafka_commits_call_of(request));
    }
    kafka_serial_free(commits->serial);
    assert(commits->client->memory.bytes[KAFKA_ACCOUNT_ABANDONED] == 0);
    free(commits);
}

/* ---- which handle ---- */

/* Whether the answer may never come. False for NULL. */
static bool main_call_hangs(const struct kafka_commits_call *call, int64_t now_ms)
{
    return call != NULL &&
           (call->state == KAFKA_CALL_MISDIRECTED || now_ms - call->sent_ms >= SILENT_MS);
}

static bool any_main_call_hangs(const struct kafka_commits *commits, int64_t now_ms)
{
    for (const struct kafka_commits_call *call = commits->calls; call != NULL; call = call->hh.next)
        if (main_call_hangs(call, now_ms))
            return true;
    return false;
}

/* `call` is the group's on the main handle; NULL: none. */
static bool uses_second(const struct kafka_commits *commits, const struct kafka_commits_call *call,
                        bool isolate, int64_t now_ms)
{
    return isolate || (call == NULL ? kafka_abandoned_is_too_much(&commits->abandoned)
                                    : main_call_hangs(call, now_ms));
}

static const struct kafka_serial_request *serial_call_find(const struct kafka_commits *commits,
                                                           const char *group)
{
    const struct kafka_serial_request *request = kafka_serial_first(commits->serial);
    while (request != NULL && strcmp(request->group, group) != 0)
        request = request->next;
    return request;
}

/* Whether another handle cannot be had, so that an isolated request waits for the group's call on
 * the main one. */
static bool main_is_all(const struct kafka_commits *commits)
{
    return !kafka_second_is_open(commits->second) &&
           !kafka_memory_has_for_side_handle(&commits->client->memory);
}

bool kafka_commits_is_free(const struct kafka_commits *commits, const char *group, bool isolate,
                           int64_t now_ms)
{
    const struct kafka_commits_call *call = main_call_find(commits, group);
    if (serial_call_find(commits, group) != NULL)
        return false;
    if (kafka_serial_remembers(commits->serial, group))
        return true;
    if (isolate && call != NULL && !main_call_hangs(call, now_ms) && main_is_all(commits))
        return false;
    return uses_second(commits, call, isolate, now_ms)
               ? kafka_second_is_free(commits->second, group, now_ms)
               : call == NULL;
}

const char *kafka_commits_reason_suspended(const struct kafka_commits *commits, const char *group,
                                           int64_t now_ms)
{
    return kafka_serial_reason_suspended(commits->serial, group, now_ms);
}

bool kafka_commits_is_waiting(const struct kafka_commits *commits, const char *group)
{
    const struct kafka_serial_request *request = serial_call_find(commits, group);
    return request != NULL && kafka_serial_is_waiting(commits->serial, request);
}

const struct error *kafka_commits_failure(const struct kafka_commits *commits)
{
    return kafka_serial_failure(commits->serial);
}

/* ---- requests ---- */

static void main_call_start(struct kafka_commits *commits, struct kafka_commits_request *request,
                            const rd_kafka_topic_partition_list_t *partitions, int64_t now_ms)
{
    struct kafka_commits_call *call = kafka_commits_call_new(KAFKA_CALL_MAIN, request, partitions);
    HASH_ADD_KEYPTR(hh, commits->calls, call->group, strlen(call->group), call);
    main_call_send(commits, call, now_ms);
}

static void serial_call_start(struct kafka_commits *commits, struct kafka_commits_request *request,
                              const rd_kafka_topic_partition_list_t *partitions)
{
    struct kafka_commits_call *call =
        kafka_commits_call_new(KAFKA_CALL_SERIAL, request, partitions);
    kafka_serial_add(commits->serial, &call->serial);
}

bool kafka_commits_send(struct kafka_commits *commits, struct kafka_commits_request *request,
                        const rd_kafka_topic_partition_list_t *partitions, int64_t now_ms,
                        struct error *error)
{
    const struct kafka_commits_call *call = main_call_find(commits, request->group);
    if (kafka_serial_remembers(commits->serial, request->group))
        serial_call_start(commits, request, partitions);
    else if (!uses_second(commits, call, request->isolate, now_ms))
        main_call_start(commits, request, partitions, now_ms);
    else if (!kafka_second_send(commits->second, request, partitions, now_ms, error)) {
        if (call != NULL || kafka_abandoned_is_too_much(&commits->abandoned))
            return false;
        error_done(error);
        main_call_start(commits, request, partitions, now_ms);
    }
    return true;
}

/* Abandons the request's call on the main handle, if it has one there. */
static void main_call_abandon(struct kafka_commits *commits,
                              const struct kafka_commits_request *request)
{
    struct kafka_commits_call *call = main_call_find(commits, request->group);
    if (call != NULL && call->request == request)
        kafka_commits_call_abandon(call, &commits->abandoned);
}

void kafka_commits_cancel(struct kafka_commits *commits, struct kafka_commits_request *request)
{
    main_call_abandon(commits, request);
    kafka_second_cancel(commits->second, request);
    struct kafka_serial_request *serial = kafka_serial_first(commits->serial);
    while (serial != NULL && kafka_commits_call_of(serial)->request != request)
        serial = serial->next;
    if (serial == NULL)
        return;
    kafka_serial_cancel(commits->serial, serial);
    kafka_commits_call_free(kafka_commits_call_of(serial));
}

/* Sends the call's request on the second handle, too, if that can be. */
static void main_call_send_on_second(struct kafka_commits *commits, struct kafka_commits_call *call,
                                     int64_t now_ms)
{
    _cleanup_(error_done) struct error error = {0};
    if (kafka_second_is_free(commits->second, call->group, now_ms) &&
        kafka_second_send(commits->second, call->request, call->partitions, now_ms, &error))
        call->state = KAFKA_CALL_ON_BOTH;
}

void kafka_commits_maintain(struct kafka_commits *commits, int64_t now_ms)
{
    kafka_serial_maintain(commits->serial, now_ms);
    kafka_second_maintain(commits->second, now_ms);
    for (struct kafka_commits_call *call = commits->calls;
         call != NULL && now_ms - call->sent_ms >= SILENT_MS; call = call->hh.next) {
        if (call->state != KAFKA_CALL_WAITING || call->failed_on_second ||
            !kafka_second_has_room(commits->second))
            continue;
        main_call_send_on_second(commits, call, now_ms);
        if (!kafka_second_is_open(commits->second))
            return; /* no handle can be made now, nor for the other calls */
    }
}

int64_t kafka_commits_next_ms(const struct kafka_commits *commits, int64_t now_ms)
{
    int64_t next_ms =
        MIN(kafka_serial_next_ms(commits->serial), kafka_second_next_ms(commits->second, now_ms));
    const struct kafka_commits_call *call = commits->calls;
    while (call != NULL && now_ms - call->sent_ms >= SILENT_MS)
        call = call->hh.next;
    return call == NULL ? next_ms : MIN(next_ms, call->sent_ms + SILENT_MS);
}

/* ---- answers ---- */

/* On the main or the second handle: commits.h says what becomes of the request. */
enum answer {
    FINAL, /* the commits, or any other error of a broker */
    MISDIRECTED,
    UNREADABLE,
    LOST,
    FAILED, /* any other error of the library: it says nothing of the other handle */
};

static enum answer answer_kind(rd_kafka_resp_err_t error)
{
    if (kafka_client_is_unreadable(error))
        return UNREADABLE;
    if (error == RD_KAFKA_RESP_ERR__TRANSPORT)
        return LOST;
    if (error < RD_KAFKA_RESP_ERR_NO_ERROR)
        return FAILED;
    return error == RD_KAFKA_RESP_ERR_NOT_COORDINATOR ? MISDIRECTED : FINAL;
}

/* These return the request that has ended. NULL: it goes on, or the call was abandoned. */

static struct kafka_commits_request *main_call_misdirected(struct kafka_commits *commits,
                                                           struct kafka_commits_call *call,
                                                           int64_t now_ms)
{
    commits->is_stale = true;
    if (call->state == KAFKA_CALL_WAITING)
        main_call_send_on_second(commits, call, now_ms);
    kafka_abandoned_remove(&commits->abandoned, call);
    struct kafka_commits_request *request =
        call->state == KAFKA_CALL_WAITING ? call->request : NULL;
    call->state = KAFKA_CALL_MISDIRECTED;
    call->copied = 0;
    kafka_commits_call_cancel(call);
    return request;
}

/* The call on the second handle, if there is one, goes on. */
static struct kafka_commits_request *main_call_failed(struct kafka_commits *commits,
                                                      struct kafka_commits_call *call)
{
    struct kafka_commits_request *request =
        call->state == KAFKA_CALL_ON_BOTH ? NULL : call->request;
    main_call_free(commits, call);
    return request;
}

static struct kafka_commits_request *main_call_answered(struct kafka_commits *commits,
                                                        struct kafka_commits_call *call,
                                                        rd_kafka_resp_err_t error, int64_t now_ms)
{
    assert(call->place == KAFKA_CALL_MAIN);
    struct kafka_commits_request *request = call->request;
    switch (answer_kind(error)) {
    case MISDIRECTED:
        return main_call_misdirected(commits, call, now_ms);
    case UNREADABLE:
        if (kafka_commits_call_retry(call, &commits->calls, commits->serial, commits->client->rk,
                                     commits->answers) != KAFKA_SERIAL_FAILED)
            return NULL;
        return main_call_failed(commits, call);
    case LOST:
        if (kafka_commits_call_send_again(call, commits->serial, commits->client->rk,
                                          commits->answers))
            return NULL;
        return main_call_failed(commits, call);
    case FAILED:
        return main_call_failed(commits, call);
    case FINAL:
        if (request != NULL)
            kafka_second_cancel(commits->second, request);
        break;
    }
    main_call_free(commits, call);
    return request;
}

/* The call on the main handle, if there is one, goes on. */
static struct kafka_commits_request *second_call_failed(struct kafka_commits *commits,
                                                        struct kafka_commits_call *call)
{
    struct kafka_commits_request *request = call->request;
    struct kafka_commits_call *main_call = main_call_find(commits, call->group);
    kafka_second_end(commits->second, call);
    if (request == NULL || main_call == NULL || main_call->request != request)
        return request;
    main_call->state = KAFKA_CALL_WAITING;
    main_call->failed_on_second = true;
    return NULL;
}

static struct kafka_commits_request *second_call_answered(struct kafka_commits *commits,
                                                          struct kafka_commits_call *call,
                                                          rd_kafka_resp_err_t error, int64_t now_ms)
{
    enum kafka_serial_outcome outcome;
    struct kafka_commits_request *request = call->request;
    switch (answer_kind(error)) {
    case MISDIRECTED:
        if (kafka_second_misdirected(commits->second, call))
            return NULL;
        return second_call_failed(commits, call);
    case UNREADABLE:
        outcome = kafka_second_retry(commits->second, call);
        if (outcome == KAFKA_SERIAL_MOVED)
            main_call_abandon(commits, request);
        if (outcome != KAFKA_SERIAL_FAILED)
            return NULL;
        return second_call_failed(commits, call);
    case LOST:
        if (kafka_second_send_again(commits->second, call))
            return NULL;
        return second_call_failed(commits, call);
    case FAILED:
        return second_call_failed(commits, call);
    case FINAL:
        if (error == RD_KAFKA_RESP_ERR_NO_ERROR &&
            main_call_hangs(main_call_find(commits, call->group), now_ms))
            commits->has_recovered = true;
        break;
    }
    if (request != NULL)
        main_call_abandon(commits, request);
    kafka_second_end(commits->second, call);
    return request;
}

static struct kafka_commits_request *serial_call_answered(struct kafka_commits_call *call)
{
    if (call == NULL)
        return NULL;
    assert(call->place == KAFKA_CALL_SERIAL);
    struct kafka_commits_request *request = call->request;
    kafka_commits_call_free(call);
    return request;
}

/* Takes the next answer on any handle. NULL: there is none. `ret_request` is NULL if its request
 * goes on, or was abandoned. */
static rd_kafka_event_t *take_next_answer(struct kafka_commits *commits,
                                          struct kafka_commits_request **ret_request,
                                          int64_t now_ms)
{
    struct kafka_commits_call *second_call;
    struct kafka_serial_request *serial_request;
    rd_kafka_event_t *event = rd_kafka_queue_poll(commits->answers, 0);
    *ret_request = NULL;
    if (event != NULL)
        *ret_request = main_call_answered(commits, rd_kafka_event_opaque(event),
                                          rd_kafka_event_error(event), now_ms);
    else if ((event = kafka_second_receive(commits->second, &second_call)) != NULL)
        *ret_request =
            second_call_answered(commits, second_call, rd_kafka_event_error(event), now_ms);
    else if ((event = kafka_serial_receive(commits->serial, &serial_request, now_ms)) != NULL)
        *ret_request = serial_call_answered(kafka_commits_call_of(serial_request));
    return event;
}

struct kafka_commits_request *kafka_commits_receive(struct kafka_commits *commits,
                                                    rd_kafka_event_t **ret_event, int64_t now_ms)
{
    rd_kafka_event_t *event;
    struct kafka_commits_request *request;
    while ((event = take_next_answer(commits, &request, now_ms)) != NULL) {
        if (rd_kafka_event_error(event) >=
            RD_KAFKA_RESP_ERR_NO_ERROR) /* negative errors are the library's own */
            kafka_client_note_answer(commits->client, now_ms);
        if (request != NULL) {
            *ret_event = event;
            break;
        }
        rd_kafka_event_destroy(event);
    }
    if (commits->has_recovered && !any_main_call_hangs(commits, now_ms))
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
        *ret_reason = kafka_serial_reason_unreadable(commits->serial, group);
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

bool kafka_commits_needs_renewal(const struct kafka_commits *commits, int64_t now_ms)
{
    const struct kafka_commits_call *oldest = commits->calls;
    return commits->is_stale || (commits->has_recovered && oldest != NULL) ||
           kafka_abandoned_is_too_much(&commits->abandoned) ||
           (oldest != NULL && now_ms - oldest->sent_ms >= KAFKA_MAX_CALL_MS);
}

bool kafka_commits_has_no_handle(const struct kafka_commits *commits)
{
    return (commits->is_stale || kafka_abandoned_is_too_much(&commits->abandoned)) &&
           main_is_all(commits);
}

bool kafka_commits_has_second_handle(const struct kafka_commits *commits)
{
    return kafka_second_is_open(commits->second);
}
