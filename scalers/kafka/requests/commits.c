#include "kafka/requests/commits.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "kafka/client/settings.h"
#include "kafka/requests/serial.h"

#include <string.h>
#include <sys/param.h>

enum {
    SILENT_MS = 1000, /* a call on the main handle that is so old is also sent on the second */
    SECOND_RENEW_MS = 2000, /* the second handle is renewed at most once in this time */
    STALE_MS = 500,         /* at most once in this time if its coordinator is stale */
    IDLE_MS = 60 * 1000,    /* the second handle ends when it has not been used for so long */
    MAX_MOVED = 16, /* groups, so that a cluster that stalls as a whole costs few requests more */
};

#define TOO_LONG                                                                                   \
    "they are longer than 4 MiB, or malformed: its consumers must commit less metadata with "      \
    "their offsets"
_Static_assert(KAFKA_MAX_REPLY_BYTES == 4 << 20, "TOO_LONG names it");

enum handle_state {
    HANDLE_CLOSED,
    HANDLE_OPEN,
    HANDLE_STALE, /* it takes a broker for a group's coordinator that is not any more */
};

struct handle {
    enum handle_state state;
    rd_kafka_t *rk;             /* the main one is the client's */
    rd_kafka_queue_t *answers;  /* NULL where it is closed */
    struct commits_call *calls; /* by group, the oldest first */
    int64_t opened_ms;          /* only of the second one */
    int64_t used_ms;
    size_t waiting; /* calls with a request */
};

/*
 * The states of a call, what changes them, and which function does.
 *
 * On the main handle:
 *
 *     sent -> moved                 no answer for a second           kafka_commits_maintain()
 *     sent, moved -> misdirected    NOT_COORDINATOR: its request is  main_misdirect();
 *                                   on the second handle then, or    call_end()
 *                                   fails
 *     abandoned -> misdirected      NOT_COORDINATOR                  call_end()
 *     sent, moved -> abandoned      the request was cancelled, or    kafka_commits_cancel()
 *                                   answered on the second handle
 *
 * On the second one:
 *
 *     sent -> resend                NOT_COORDINATOR                  second_misdirect()
 *     resend -> last try            the next second handle           second_open()
 *     sent, last try -> sent        the same                         second_open()
 *     any -> abandoned              the request was cancelled, or    kafka_commits_cancel()
 *                                   answered on the main handle
 *
 * If the reply cannot be read, the request goes to the third handle, where all calls are sent ones.
 * If that has no room, it is sent on the same one once more, and the state stays (call_retry()).
 *
 * A call with any other answer is gone (call_end()). So are those of the main handle when that is
 * closed, abandoned ones when the next second handle is opened, and those of the third one when
 * their request is cancelled.
 */
enum call_state {
    CALL_SENT,
    CALL_MOVED,       /* and its request was sent on the second handle, too */
    CALL_MISDIRECTED, /* a stale coordinator answered it: the handle would send the group's next
                         call there, too */
    CALL_RESEND,      /* it met one, and waits for the next second handle to be sent again */
    CALL_LAST_TRY,    /* it is sent again, and fails where it meets another */
    CALL_ABANDONED,   /* nobody waits for its answer any more */
};

/* The one for a group on a handle. */
struct commits_call {
    struct kafka_serial_request base; /* first; of the third handle */
    struct handle *handle;
    enum call_state state;
    bool is_resent; /* its reply could not be read, and it was sent on the same handle once more */
    char *group;
    int64_t sent_ms;
    struct kafka_commits_request *request; /* NULL: CALL_MISDIRECTED, CALL_ABANDONED */
    rd_kafka_topic_partition_list_t *partitions;
    UT_hash_handle hh;
};

struct kafka_commits {
    struct kafka_client *client;
    struct handle main;
    struct handle second;
    struct handle third; /* only its calls: it is that of `serial` */
    struct kafka_serial *serial;
    bool has_recovered; /* a group was answered on the second handle, whose call on the main one
                           hangs */
};

static void handle_open(struct kafka_commits *commits, struct handle *handle, rd_kafka_t *rk)
{
    handle->state = HANDLE_OPEN;
    handle->rk = rk;
    handle->answers = kafka_client_new_queue(commits->client, rk);
}

struct kafka_commits *kafka_commits_new(struct kafka_client *client)
{
    struct kafka_commits *commits = memory_new(sizeof(*commits));
    commits->client = client;
    commits->serial = kafka_serial_new(client);
    handle_open(commits, &commits->main, client->rk);
    return commits;
}

static struct commits_call *call_find(const struct handle *handle, const char *group)
{
    struct commits_call *call;
    HASH_FIND_STR(handle->calls, group, call);
    return call;
}

/* To a state in which nobody waits for it. */
static void call_detach(struct commits_call *call, enum call_state state)
{
    call->handle->waiting -= call->request != NULL;
    call->request = NULL;
    call->state = state;
}

static void call_free(struct commits_call *call)
{
    call_detach(call, CALL_ABANDONED);
    HASH_DEL(call->handle->calls, call);
    if (call->partitions != NULL)
        rd_kafka_topic_partition_list_destroy(call->partitions);
    free(call->group);
    free(call);
}

static void calls_free(struct handle *handle)
{
    struct commits_call *call;
    struct commits_call *next;
    HASH_ITER(hh, handle->calls, call, next)
        call_free(call);
}

static void second_close(struct kafka_commits *commits, int64_t now_ms)
{
    struct handle *second = &commits->second;
    if (second->state == HANDLE_CLOSED)
        return;
    kafka_handles_end(&commits->client->handles, TAKE(second->rk), TAKE(second->answers), now_ms);
    second->state = HANDLE_CLOSED;
}

void kafka_commits_close_handle(struct kafka_commits *commits)
{
    struct handle *handle = &commits->main;
    calls_free(handle);
    kafka_client_end_queue(commits->client, TAKE(handle->answers));
    handle->state = HANDLE_CLOSED;
    commits->has_recovered = false;
}

void kafka_commits_open_handle(struct kafka_commits *commits)
{
    handle_open(commits, &commits->main, commits->client->rk);
}

void kafka_commits_free(struct kafka_commits *commits)
{
    kafka_commits_close_handle(commits);
    calls_free(&commits->second);
    second_close(commits, clock_now_ms());
    kafka_serial_free(commits->serial);
    calls_free(&commits->third);
    free(commits);
}

/* ---- which handle ---- */

/* A call on the main handle whose answer may never come. */
static bool call_hangs(const struct commits_call *call, int64_t now_ms)
{
    return call != NULL && (call->state == CALL_MISDIRECTED || now_ms - call->sent_ms >= SILENT_MS);
}

static bool any_hangs(const struct handle *handle, int64_t now_ms)
{
    for (const struct commits_call *call = handle->calls; call != NULL; call = call->hh.next)
        if (call_hangs(call, now_ms))
            return true;
    return false;
}

static bool uses_third(const struct kafka_commits *commits, const char *group)
{
    return call_find(&commits->third, group) != NULL || kafka_serial_has(commits->serial, group);
}

static bool uses_second(const struct kafka_commits *commits, const char *group, bool isolate,
                        int64_t now_ms)
{
    return isolate || call_hangs(call_find(&commits->main, group), now_ms);
}

static int64_t renewable_ms(const struct handle *second)
{
    return second->opened_ms + (second->state == HANDLE_STALE ? STALE_MS : SECOND_RENEW_MS);
}

static bool may_renew(const struct handle *second, int64_t now_ms)
{
    return now_ms >= renewable_ms(second);
}

bool kafka_commits_is_free(const struct kafka_commits *commits, const char *group, bool isolate,
                           int64_t now_ms)
{
    if (uses_third(commits, group))
        return call_find(&commits->third, group) == NULL;
    if (!uses_second(commits, group, isolate, now_ms))
        return call_find(&commits->main, group) == NULL;
    const struct commits_call *call = call_find(&commits->second, group);
    return call == NULL || (call->state == CALL_ABANDONED && may_renew(&commits->second, now_ms));
}

static void call_send_on(struct commits_call *call, rd_kafka_t *rk, rd_kafka_queue_t *answers)
{
    rd_kafka_ListConsumerGroupOffsets_t *request =
        rd_kafka_ListConsumerGroupOffsets_new(call->group, call->partitions);
    rd_kafka_AdminOptions_t *options =
        kafka_client_new_call_options(rk, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS, call);
    rd_kafka_ListConsumerGroupOffsets(rk, &request, 1, options, answers);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_ListConsumerGroupOffsets_destroy(request);
}

static void call_send(struct commits_call *call)
{
    call_send_on(call, call->handle->rk, call->handle->answers);
}

/* In its turn on the third handle. */
static void call_send_third(const struct kafka_serial_request *base, rd_kafka_t *rk,
                            rd_kafka_queue_t *answers)
{
    call_send_on((struct commits_call *)base, rk, answers);
}

/* The groups that still wait for the former one are sent again. */
static bool second_open(struct kafka_commits *commits, int64_t now_ms, struct error *error)
{
    struct handle *second = &commits->second;
    rd_kafka_t *rk = kafka_handles_new_handle(&commits->client->handles,
                                              rd_kafka_conf_dup(commits->client->settings), error);
    if (rk == NULL)
        return false;
    second_close(commits, now_ms);
    handle_open(commits, second, rk);
    second->opened_ms = second->used_ms = now_ms;
    struct commits_call *call;
    struct commits_call *next;
    HASH_ITER(hh, second->calls, call, next) {
        if (call->state == CALL_ABANDONED) {
            call_free(call);
            continue;
        }
        call->state = call->state == CALL_RESEND ? CALL_LAST_TRY : CALL_SENT;
        call_send(call);
    }
    return true;
}

static bool second_prepare(struct kafka_commits *commits, const char *group, int64_t now_ms,
                           struct error *error)
{
    struct handle *second = &commits->second;
    bool is_useless = second->state == HANDLE_STALE || call_find(second, group) != NULL;
    if (second->state != HANDLE_CLOSED && !(is_useless && may_renew(second, now_ms)))
        return true;
    return second_open(commits, now_ms, error);
}

static struct commits_call *call_new(struct handle *handle, struct kafka_commits_request *request,
                                     const rd_kafka_topic_partition_list_t *partitions,
                                     int64_t now_ms)
{
    struct commits_call *call = memory_new(sizeof(*call));
    call->base.send = call_send_third;
    call->handle = handle;
    call->group = text_copy(request->group);
    call->sent_ms = now_ms;
    call->request = request;
    call->partitions = partitions == NULL ? NULL : rd_kafka_topic_partition_list_copy(partitions);
    HASH_ADD_KEYPTR(hh, handle->calls, call->group, strlen(call->group), call);
    handle->used_ms = now_ms;
    handle->waiting++;
    return call;
}

static void handle_send(struct handle *handle, struct kafka_commits_request *request,
                        const rd_kafka_topic_partition_list_t *partitions, int64_t now_ms)
{
    call_send(call_new(handle, request, partitions, now_ms));
}

static void third_send(struct kafka_commits *commits, struct kafka_commits_request *request,
                       const rd_kafka_topic_partition_list_t *partitions, int64_t now_ms)
{
    struct commits_call *call = call_new(&commits->third, request, partitions, now_ms);
    kafka_serial_add(commits->serial, &call->base);
}

bool kafka_commits_send(struct kafka_commits *commits, struct kafka_commits_request *request,
                        const rd_kafka_topic_partition_list_t *partitions, int64_t now_ms,
                        struct error *error)
{
    if (kafka_serial_is_suspended(commits->serial, request->group, now_ms))
        return error_unavailable(error, "%s", TOO_LONG);
    if (uses_third(commits, request->group)) {
        third_send(commits, request, partitions, now_ms);
        return true;
    }
    bool is_second = uses_second(commits, request->group, request->isolate, now_ms);
    if (is_second && !second_prepare(commits, request->group, now_ms, error))
        return false;
    handle_send(is_second ? &commits->second : &commits->main, request, partitions, now_ms);
    return true;
}

/* On the second handle, too. */
static bool call_move(struct kafka_commits *commits, struct commits_call *call, int64_t now_ms)
{
    _cleanup_(error_done) struct error error = {0};
    if (!kafka_commits_is_free(commits, call->group, true, now_ms) ||
        !second_prepare(commits, call->group, now_ms, &error))
        return false;
    handle_send(&commits->second, call->request, call->partitions, now_ms);
    call->state = CALL_MOVED;
    return true;
}

/* Another second handle, for the calls that wait for it. */
static void resend(struct kafka_commits *commits, int64_t now_ms)
{
    _cleanup_(error_done) struct error error = {0};
    const struct handle *second = &commits->second;
    if (second->state != HANDLE_STALE || !may_renew(second, now_ms))
        return;
    const struct commits_call *call = second->calls;
    while (call != NULL && call->state != CALL_RESEND)
        call = call->hh.next;
    if (call != NULL && !second_open(commits, now_ms, &error))
        log_debug("%s", error_text(&error)); /* the tasks run out of time */
}

void kafka_commits_maintain(struct kafka_commits *commits, int64_t now_ms)
{
    struct handle *second = &commits->second;
    kafka_serial_maintain(commits->serial, now_ms);
    resend(commits, now_ms);
    for (struct commits_call *call = commits->main.calls; call != NULL; call = call->hh.next) {
        if (now_ms - call->sent_ms < SILENT_MS)
            break;
        if (call->state == CALL_SENT && second->waiting < MAX_MOVED)
            call_move(commits, call, now_ms);
    }
    if (second->state != HANDLE_CLOSED && second->waiting == 0 &&
        now_ms - second->used_ms >= IDLE_MS) {
        calls_free(second);
        second_close(commits, now_ms);
    }
}

/* Whether a call waits for the next second handle, or a group may that has an old call there. */
static bool awaits_renewal(const struct handle *second)
{
    for (const struct commits_call *call = second->calls; call != NULL; call = call->hh.next)
        if (call->state == CALL_RESEND || call->state == CALL_ABANDONED)
            return true;
    return false;
}

int64_t kafka_commits_next_ms(const struct kafka_commits *commits, int64_t now_ms)
{
    int64_t next_ms = kafka_serial_next_ms(commits->serial);
    const struct commits_call *call = commits->main.calls;
    while (call != NULL && now_ms - call->sent_ms >= SILENT_MS)
        call = call->hh.next;
    if (call != NULL)
        next_ms = MIN(next_ms, call->sent_ms + SILENT_MS);
    const struct handle *second = &commits->second;
    int64_t renew_ms = renewable_ms(second);
    if (awaits_renewal(second) && renew_ms > now_ms && renew_ms < next_ms)
        next_ms = renew_ms;
    return next_ms;
}

/* ---- answers ---- */

void kafka_commits_cancel(struct kafka_commits *commits,
                          const struct kafka_commits_request *request)
{
    struct handle *const handles[] = {&commits->main, &commits->second};
    for (size_t i = 0; i < ARRAY_LENGTH(handles); i++) {
        struct commits_call *call = call_find(handles[i], request->group);
        if (call != NULL && call->request == request)
            call_detach(call, CALL_ABANDONED);
    }
    struct commits_call *call = call_find(&commits->third, request->group);
    if (call == NULL || call->request != request)
        return;
    kafka_serial_cancel(commits->serial, &call->base, clock_now_ms());
    call_free(call);
}

/* A call on the main handle met a broker that is no coordinator any more, to which the handle would
 * send again and again. True: the request is on the second handle. */
static bool main_misdirect(struct kafka_commits *commits, struct commits_call *call, int64_t now_ms)
{
    commits->main.state = HANDLE_STALE;
    bool is_elsewhere =
        call->state == CALL_MOVED || (call->state == CALL_SENT && call_move(commits, call, now_ms));
    if (is_elsewhere)
        call_detach(call, CALL_MISDIRECTED);
    return is_elsewhere;
}

/* The same on the second handle. True: the request waits for the next one. */
static bool second_misdirect(struct kafka_commits *commits, struct commits_call *call)
{
    commits->second.state = HANDLE_STALE;
    if (call->state == CALL_SENT)
        call->state = CALL_RESEND;
    return call->state == CALL_RESEND;
}

/* Its reply, or another's, was too long. Where many were under way few of them go to the third
 * handle: the reason is among the first that fail, and the others are sent again at once. True: the
 * request is sent again, or is on the second handle as well. */
static bool call_retry(struct kafka_commits *commits, struct commits_call *call, int64_t now_ms)
{
    struct kafka_commits_request *request = call->request;
    if (request == NULL)
        return false;
    if (call->state == CALL_MOVED) {
        call_free(call);
        return true;
    }
    bool may_wait = call_find(&commits->third, call->group) == NULL &&
                    (call->is_resent || kafka_serial_has_room(commits->serial));
    if (may_wait) {
        kafka_commits_cancel(commits, request);
        third_send(commits, request, call->partitions, now_ms);
        call_free(call);
        return true;
    }
    if (call->is_resent)
        return false;
    call->is_resent = true;
    call_send(call);
    return true;
}

/* The only one that was under way: if it cannot be read, it is the reason itself. */
static struct kafka_commits_request *third_end(struct kafka_commits *commits,
                                               struct commits_call *call, rd_kafka_resp_err_t error,
                                               int64_t now_ms)
{
    struct kafka_commits_request *request = call->request;
    kafka_serial_note(commits->serial, call->group, error, now_ms);
    call_free(call);
    return request;
}

/* The request that the answer is for; NULL: nobody waits for it, or it is sent again. */
static struct kafka_commits_request *call_end(struct kafka_commits *commits,
                                              struct commits_call *call, rd_kafka_resp_err_t error,
                                              int64_t now_ms)
{
    if (call->handle == &commits->third)
        return third_end(commits, call, error, now_ms);
    bool is_second = call->handle == &commits->second;
    bool is_misdirected = error == RD_KAFKA_RESP_ERR_NOT_COORDINATOR;
    if (kafka_serial_is_unreadable(error) && call_retry(commits, call, now_ms))
        return NULL;
    if (is_misdirected &&
        (is_second ? second_misdirect(commits, call) : main_misdirect(commits, call, now_ms)))
        return NULL;
    struct kafka_commits_request *request = call->request;
    if (request != NULL)
        kafka_commits_cancel(commits, request);
    if (is_second && error == RD_KAFKA_RESP_ERR_NO_ERROR &&
        call_hangs(call_find(&commits->main, call->group), now_ms))
        commits->has_recovered = true;
    if (is_misdirected && !is_second)
        call->state = CALL_MISDIRECTED;
    else
        call_free(call);
    if (commits->has_recovered && !any_hangs(&commits->main, now_ms))
        commits->has_recovered = false;
    return request;
}

static struct kafka_commits_request *take_event(struct kafka_commits *commits,
                                                rd_kafka_event_t *event, int64_t now_ms)
{
    struct commits_call *call = rd_kafka_event_opaque(event);
    rd_kafka_resp_err_t error = rd_kafka_event_error(event);
    if (rd_kafka_event_type(event) != RD_KAFKA_EVENT_LISTCONSUMERGROUPOFFSETS_RESULT ||
        call == NULL)
        return NULL;
    if (error >= RD_KAFKA_RESP_ERR_NO_ERROR) /* others are the library's own */
        kafka_client_note_answer(commits->client, now_ms);
    return call_end(commits, call, error, now_ms);
}

static rd_kafka_event_t *next_event(struct kafka_commits *commits)
{
    struct handle *const handles[] = {&commits->main, &commits->second};
    rd_kafka_event_t *event = NULL;
    for (size_t i = 0; i < ARRAY_LENGTH(handles) && event == NULL; i++)
        if (handles[i]->state != HANDLE_CLOSED)
            event = rd_kafka_queue_poll(handles[i]->answers, 0);
    return event == NULL ? kafka_serial_receive(commits->serial) : event;
}

struct kafka_commits_request *kafka_commits_receive(struct kafka_commits *commits,
                                                    rd_kafka_event_t **ret_event, int64_t now_ms)
{
    rd_kafka_event_t *event;
    while ((event = next_event(commits)) != NULL) {
        struct kafka_commits_request *request = take_event(commits, event, now_ms);
        if (request != NULL) {
            *ret_event = event;
            return request;
        }
        rd_kafka_event_destroy(event);
    }
    return NULL;
}

const rd_kafka_topic_partition_list_t *kafka_commits_result(rd_kafka_event_t *event,
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
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        *ret_reason = kafka_serial_is_unreadable(code) ? TOO_LONG : rd_kafka_err2str(code);
        return NULL;
    }
    if (count == 0 || error != NULL) {
        *ret_reason =
            error == NULL ? "unexpected reply without a result" : rd_kafka_error_string(error);
        return NULL;
    }
    return rd_kafka_group_result_partitions(results[0]);
}

/* ---- the main handle's renewal ---- */

bool kafka_commits_is_quiet(const struct kafka_commits *commits)
{
    if (commits->main.waiting == 0)
        return true;
    for (const struct commits_call *call = commits->main.calls; call != NULL; call = call->hh.next)
        if (call->state == CALL_SENT)
            return false;
    return true;
}

bool kafka_commits_needs_renewal(const struct kafka_commits *commits)
{
    return commits->main.state == HANDLE_STALE ||
           (commits->has_recovered && commits->main.calls != NULL);
}
