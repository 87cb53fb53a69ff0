#include "redis/link/link.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"

#include <limits.h>
#include <openssl/ssl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <utlist.h>

enum {
    PLAIN_BYTES = 32 << 10, /* of a link that is idle, with what the kernel keeps unread */
    TLS_BYTES = 48 << 10,
    FREE_LINKS = 4, /* of the masters of a small Redis Cluster, or of Sentinels */
    LONG_LIFE_MS = 10 * 1000,
    REOPEN_MS = 250,       /* of one with a shorter life, from its opening on; it doubles: */
    MAX_DOUBLINGS = 3,     /* ... what waits for it is answered within the time of a call */
    MAX_UNSENT = 64 << 10, /* bytes; one request more may have 20 KiB */
};

/* False: too many are open. */
static bool count_link(const struct redis_server *server, int more)
{
    struct redis_link_budget *budget = server->budget;
    if (budget == NULL)
        return true;
    size_t count = budget->count + (size_t)more;
    size_t counted = count > FREE_LINKS ? count - FREE_LINKS : 0;
    if (!source_memory_set(&budget->memory,
                           counted * (server->tls == NULL ? PLAIN_BYTES : TLS_BYTES)))
        return false;
    budget->count = count;
    return true;
}

/* A server that closes what is idle for a few seconds delays nothing by that: the time counts from
 * the opening on. */
void redis_reopening_closed(struct redis_reopening *reopening, int64_t now_ms)
{
    if (now_ms >= reopening->opened_ms + LONG_LIFE_MS) {
        reopening->short_lives = 0;
        reopening->at_ms = now_ms;
        return;
    }
    reopening->at_ms = reopening->opened_ms + (REOPEN_MS << reopening->short_lives);
    if (reopening->short_lives < MAX_DOUBLINGS)
        reopening->short_lives++;
}

struct redis_link *redis_link_open(struct redis_server *server, const char *address,
                                   int64_t deadline_ms, const struct redis_link_owner *owner,
                                   struct error *error)
{
    if (!count_link(server, 1)) {
        redis_server_cannot_connect(
            server,
            "there are too many links: those of a Redis Cluster or its Sentinels may take half of "
            "the 48 MiB for replies that others leave (each 32 KiB, over TLS 48 KiB)",
            error);
        return NULL;
    }
    struct redis_link *link = memory_new(sizeof(*link));
    link->server = server;
    link->number = ++server->links_opened;
    link->owner = *owner;
    link->deadline_ms = deadline_ms;
    link->ping.sent_ms = clock_now_ms();
    if (redis_socket_begin(&link->socket, server, address, error))
        return link;
    redis_link_free(link);
    return NULL;
}

static void free_command(struct redis_command *command)
{
    free(command->kept);
    free(command);
}

void redis_link_free(struct redis_link *link)
{
    if (link == NULL)
        return;
    struct redis_command *command;
    struct redis_command *next;
    DL_FOREACH_SAFE(link->commands, command, next)
        free_command(command);
    redis_socket_done(&link->socket);
    count_link(link->server, -1);
    error_done(&link->refusal);
    free(link);
}

struct pollfd redis_link_poll(const struct redis_link *link)
{
    return redis_socket_poll(&link->socket);
}

bool redis_link_wait(struct redis_link *const *const *places, struct pollfd *ret_polls,
                     size_t count, int64_t until_ms)
{
    for (size_t i = 0; i < count; i++)
        ret_polls[i] = redis_link_poll(*places[i]);
    return poll(ret_polls, count, clock_left_ms(until_ms, INT_MAX)) > 0;
}

const char *redis_link_awaited(const struct redis_link *link)
{
    return redis_socket_awaited(&link->socket);
}

/* Before the first reply. A server that speaks only TLS takes a plain command for a broken record:
 * it hangs up, or sends an alert. One that misses our certificate says so only after the handshake
 * (TLS 1.3), and hangs up, too. */
static const char *tls_hint(const struct redis_link *link)
{
    if (link->state != REDIS_LINK_SETTING_UP || link->replied_ms != 0)
        return "";
    if (link->socket.tls == NULL)
        return " (where the port is for TLS, set brokerTls: enable)";
    return SSL_CTX_get0_certificate(link->server->tls) == NULL
               ? " (where it wants a client's certificate, set cert and key)"
               : "";
}

static bool broke(const struct redis_link *link, const char *words, struct error *error)
{
    return error_unavailable(error, "the connection to Redis at %s broke: %s%s",
                             link->server->address, words, tls_hint(link));
}

static bool hung_up(struct redis_link *link, const char *words, struct error *error)
{
    link->end = REDIS_LINK_HUNG_UP;
    return broke(link, words, error);
}

/* The reply to ASKING. Where it is refused, so is what comes after it, for another reason. */
static void on_asking(struct redis_link *link, struct redis_command *command,
                      const redisReply *reply)
{
    _cleanup_(error_done) struct error error = {0};
    if (reply->type != REDIS_REPLY_ERROR)
        return;
    redis_server_explain(link->server, reply, &error);
    for (struct task *task; (task = redis_command_take_task(command)) != NULL;)
        task_fail(task, &error);
}

struct redis_command *redis_link_send(struct redis_link *link, const struct redis_request *request)
{
    struct redis_command *command = memory_new(sizeof(*command));
    command->on_reply = request->on_reply;
    command->on_first_reply = request->on_first_reply;
    if (link->commands == NULL) {
        link->progress_ms = clock_now_ms();
        link->was_idle = true;
        redis_socket_expect(&link->socket, true);
    }
    DL_APPEND(link->commands, command);
    command->is_asking = link->is_asking;
    if (link->is_asking) { /* then nothing else may be sent before it */
        command->on_first_reply = on_asking;
        redis_socket_add(&link->socket, (const char *const[]){"ASKING", NULL});
    } else if (request->on_first_reply != NULL)
        redis_socket_add(&link->socket, request->first_words);
    if (request->transaction_count == 0) {
        redis_socket_add(&link->socket, request->words);
        return command;
    }
    command->queued_replies = 1 + request->transaction_count;
    redis_socket_add(&link->socket, (const char *const[]){"MULTI", NULL});
    for (size_t i = 0; i < request->transaction_count; i++)
        redis_socket_add(&link->socket, request->transaction[i]);
    redis_socket_add(&link->socket, (const char *const[]){"EXEC", NULL});
    return command;
}

struct redis_command *redis_link_send_for(struct redis_link *link,
                                          const struct redis_request *request,
                                          struct task *const *tasks, size_t count)
{
    struct redis_command *command = redis_link_send(link, request);
    command->is_for_tasks = true;
    link->in_flight++;
    for (size_t i = 0; i < count; i++) {
        DL_APPEND(command->tasks, tasks[i]);
        tasks[i]->data = command;
    }
    return command;
}

bool redis_link_check(struct redis_link *link, int64_t now_ms, int64_t *next_ms,
                      struct error *error)
{
    if (now_ms >= link->deadline_ms)
        return redis_server_cannot_connect(link->server, redis_link_awaited(link), error);
    *next_ms = clock_earlier(*next_ms, link->deadline_ms);
    return redis_socket_check(&link->socket, link->server, now_ms, link->deadline_ms, next_ms,
                              error);
}

bool redis_link_flush(struct redis_link *link, struct error *error)
{
    const char *reason = NULL;
    if (link->state == REDIS_LINK_OPENING || redis_socket_write(&link->socket, &reason))
        return true;
    return hung_up(link, reason, error);
}

bool redis_link_has_capacity(struct redis_link *link)
{
    const struct redis_socket *socket = &link->socket;
    _cleanup_(error_done) struct error ignored = {0}; /* the next step finds it, too */
    if (link->window > 0 && link->in_flight >= link->window)
        return false;
    return socket->end - socket->start < MAX_UNSENT ||
           (redis_link_flush(link, &ignored) && socket->end - socket->start < MAX_UNSENT);
}

bool redis_link_ping(struct redis_link *link, int64_t now_ms, struct error *error)
{
    if (link->ping.is_pending)
        return error_unavailable(error, "Redis at %s: no answer in time", link->server->address);
    redis_socket_add(&link->socket, (const char *const[]){"PING", NULL});
    link->ping.is_pending = true;
    link->ping.sent_ms = now_ms;
    return redis_link_flush(link, error);
}

/* What its handler sends is for the same key. */
static void call_handler(struct redis_link *link, struct redis_command *command,
                         const redisReply *reply)
{
    link->is_asking = command->is_asking;
    command->on_reply(link, command, reply);
    link->is_asking = false;
}

static bool is_last_reply(const struct redis_command *command)
{
    return command->on_first_reply == NULL && command->queued_replies == 0;
}

static void note_progress(struct redis_link *link, struct redis_command *command, int64_t now_ms)
{
    int64_t ms = now_ms - link->progress_ms;
    bool is_round_trip =
        link->was_idle && (link->owner.measures_round_trips || link->state != REDIS_LINK_READY);
    command->duration_ms += ms;
    bool was_slow = link->owner.note_duration != NULL && command->tasks != NULL &&
                    is_last_reply(command) && link->owner.note_duration(link, command);
    if (is_round_trip && !was_slow)
        redis_server_add_round_trip(link->server, ms);
    link->was_idle = false;
    link->progress_ms = now_ms;
}

static void handle_oldest(struct redis_link *link, const redisReply *reply, int64_t now_ms)
{
    struct redis_command *command = link->commands;
    note_progress(link, command, now_ms);
    if (command->on_first_reply != NULL) {
        redis_on_reply *on_first_reply = TAKE(command->on_first_reply);
        on_first_reply(link, command, reply);
        return;
    }
    if (command->queued_replies > 0) {
        command->queued_replies--;
        if (reply->type == REDIS_REPLY_ERROR) /* EXEC only says that there was one */
            call_handler(link, command, reply);
        return;
    }
    link->has_answered = link->has_answered || command->tasks != NULL;
    call_handler(link, command, reply);
    DL_DELETE(link->commands, command);
    if (command->is_for_tasks) {
        link->in_flight--;
        link->window += link->window > 0;
    }
    free_command(command);
    if (link->commands == NULL)
        redis_socket_expect(&link->socket, false);
}

/* A master that stood still answers once it runs again, before it hears that it is none. */
static bool is_late(const struct redis_link *link, int64_t now_ms)
{
    const struct redis_reply_limit *limit = &link->owner.reply_limit;
    return limit->max_ms > 0 && link->state == REDIS_LINK_READY && now_ms >= limit->from_ms &&
           now_ms > link->progress_ms + limit->max_ms;
}

/* Once a link is subscribed, messages and pongs are all that the server sends. */
static bool take_message(struct redis_link *link, const redisReply *reply)
{
    if (link->owner.on_message == NULL || link->state != REDIS_LINK_READY)
        return false;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 1 ||
        reply->element[0]->type != REDIS_REPLY_STRING)
        return true;
    if (text_equal(reply->element[0]->str, "pong"))
        link->ping.is_pending = false;
    else if (text_equal(reply->element[0]->str, "message") && reply->elements == 3)
        link->owner.on_message(link, reply->element[2]);
    return true;
}

static bool handle(struct redis_link *link, const redisReply *reply, int64_t now_ms,
                   struct error *error)
{
    link->replied_ms = now_ms;
    if (take_message(link, reply))
        return true;
    if (link->commands == NULL)
        return error_unavailable(error, "Redis at %s: unexpected reply, to no command",
                                 link->server->address);
    if (is_late(link, now_ms)) {
        link->end = REDIS_LINK_LATE;
        return broke(link, "a reply came too late to be believed", error);
    }
    handle_oldest(link, reply, now_ms);
    if (redis_link_is_refused(link) && link->state == REDIS_LINK_READY) {
        error_move(error, &link->refusal);
        return false;
    }
    /* Not only after all that was read: a message may be right behind the last reply. */
    if (!redis_link_is_refused(link) && link->commands == NULL)
        link->state = REDIS_LINK_READY;
    return true;
}

static bool reading_failed(struct redis_link *link, enum redis_read result, const char *reason,
                           struct error *error)
{
    if (result == REDIS_READ_TOO_LARGE) {
        link->end = REDIS_LINK_TOO_LARGE;
        return error_unavailable(error, "Redis at %s: the reply is too large",
                                 link->server->address);
    }
    return result == REDIS_READ_HUNG_UP ? hung_up(link, reason, error) : broke(link, reason, error);
}

static bool read_replies(struct redis_link *link, struct error *error)
{
    const char *reason = NULL;
    enum redis_read result = redis_socket_read(&link->socket, &reason);
    int64_t now_ms = clock_now_ms();
    while (result == REDIS_READ_DONE) {
        redisReply *reply = NULL;
        result = redis_socket_next(&link->socket, &reply, &reason);
        if (result == REDIS_READ_DONE && reply == NULL)
            return true;
        if (result != REDIS_READ_DONE)
            break;
        bool good = handle(link, reply, now_ms, error);
        freeReplyObject(reply);
        if (!good)
            return false;
    }
    return reading_failed(link, result, reason, error);
}

/* A server that refuses may send the reason, and close the connection. */
static bool end_setup(struct redis_link *link, bool good, struct error *error)
{
    if (!redis_link_is_refused(link) || (good && link->commands != NULL))
        return good;
    error_move(error, &link->refusal);
    return false;
}

static bool step(struct redis_link *link, short revents, struct error *error)
{
    if (link->state == REDIS_LINK_OPENING) {
        struct redis_socket *socket = &link->socket;
        if (!redis_socket_connect(socket, link->server, link->deadline_ms, &revents, error))
            return false;
        if (socket->state != REDIS_SOCKET_CONNECTED)
            return true;
        link->state = REDIS_LINK_SETTING_UP;
        link->owner.on_connected(link);
    }
    bool good = (revents & ~POLLOUT) == 0 || read_replies(link, error);
    return end_setup(link, good && redis_link_flush(link, error), error);
}

bool redis_link_step(struct redis_link *link, short revents, struct error *error)
{
    if (step(link, revents, error))
        return true;
    if (link->end == REDIS_LINK_NOT_ENDED)
        link->end = REDIS_LINK_BROKEN;
    return false;
}

void redis_link_refuse(struct redis_link *link, const char *format, ...)
{
    va_list arguments;
    if (redis_link_is_refused(link))
        return;
    va_start(arguments, format);
    error_unavailablev(&link->refusal, format, arguments);
    va_end(arguments);
}

void redis_link_refuse_reply(struct redis_link *link, const redisReply *reply)
{
    if (!redis_link_is_refused(link))
        redis_server_explain(link->server, reply, &link->refusal);
}

bool redis_link_is_refused(const struct redis_link *link)
{
    return error_is_set(&link->refusal);
}

struct task *redis_command_take_task(struct redis_command *command)
{
    struct task *task = command->tasks;
    if (task != NULL)
        redis_command_remove_task(task);
    return task;
}

void redis_command_remove_task(struct task *task)
{
    struct redis_command *command = task->data;
    DL_DELETE(command->tasks, task);
    task->data = NULL;
}

static struct redis_command *first_with_tasks(struct redis_command *command)
{
    while (command != NULL && command->tasks == NULL)
        command = command->next;
    return command;
}

struct redis_command *redis_link_oldest_with_tasks(const struct redis_link *link)
{
    return first_with_tasks(link->commands);
}

bool redis_link_has_tasks(const struct redis_link *link)
{
    return redis_link_oldest_with_tasks(link) != NULL;
}

bool redis_link_has_tasks_behind(const struct redis_link *link)
{
    return link->commands != NULL && first_with_tasks(link->commands->next) != NULL;
}
