#include "redis/connection/channel.h"

#include "base/clock.h"
#include "base/memory.h"

#include <openssl/ssl.h>
#include <stdlib.h>
#include <utlist.h>

enum {
    PLAIN_BYTES = 8 << 10, /* of a channel that is idle */
    TLS_BYTES = 48 << 10,
    LONG_LIFE_MS = 10 * 1000,
    REOPEN_MS = 250,   /* of one with a shorter life, from its opening on; it doubles: */
    MAX_DOUBLINGS = 3, /* ... what waits for it is answered within the time of a call */
};

/* False: too many are open. */
static bool count_channel(const struct redis_server *server, int more)
{
    struct redis_channels *channels = server->channels;
    if (channels == NULL)
        return true;
    size_t count = channels->count + (size_t)more;
    if (!reply_memory_set(&channels->memory,
                          count * (server->tls == NULL ? PLAIN_BYTES : TLS_BYTES)))
        return false;
    channels->count = count;
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

struct redis_channel *redis_channel_open(struct redis_server *server, bool to_same_peer,
                                         int64_t deadline_ms, struct error *error)
{
    if (!count_channel(server, 1)) {
        redis_server_cannot_connect(
            server,
            "its Redis Cluster has too many nodes: those of all Redis Clusters of a "
            "namespace may take 12 MiB of memory (over TLS 48 KiB each), and less where "
            "others use it",
            error);
        return NULL;
    }
    struct redis_channel *channel = memory_new(sizeof(*channel));
    channel->server = server;
    channel->deadline_ms = deadline_ms;
    if (redis_socket_begin(&channel->socket, server, to_same_peer, error))
        return channel;
    redis_channel_free(channel);
    return NULL;
}

void redis_channel_free(struct redis_channel *channel)
{
    if (channel == NULL)
        return;
    struct redis_command *command;
    struct redis_command *next;
    DL_FOREACH_SAFE(channel->commands, command, next)
        free(command);
    redis_socket_done(&channel->socket);
    redis_reader_done(&channel->reader);
    count_channel(channel->server, -1);
    redis_output_done(&channel->output);
    error_done(&channel->refusal);
    free(channel);
}

struct pollfd redis_channel_poll(const struct redis_channel *channel)
{
    return redis_socket_poll(&channel->socket, !redis_output_is_empty(&channel->output));
}

const char *redis_channel_awaited(const struct redis_channel *channel)
{
    return redis_socket_awaited(&channel->socket);
}

/* Before the first reply. A server that speaks only TLS takes a plain command for a broken record:
 * it hangs up, or sends an alert. One that misses our certificate says so only after the handshake
 * (TLS 1.3), and hangs up, too. */
static const char *tls_hint(const struct redis_channel *channel)
{
    if (channel->state != REDIS_SETTING_UP || channel->replied_ms != 0)
        return "";
    if (channel->socket.tls == NULL)
        return " (where the port is for TLS, set brokerTls: enable)";
    return SSL_CTX_get0_certificate(channel->server->tls) == NULL
               ? " (where it wants a client's certificate, set cert and key)"
               : "";
}

static bool broke(const struct redis_channel *channel, const char *words, struct error *error)
{
    return error_unavailable(error, "the connection to Redis at %s broke: %s%s",
                             channel->server->address, words, tls_hint(channel));
}

static bool hung_up(struct redis_channel *channel, const char *words, struct error *error)
{
    channel->is_hung_up = true;
    return broke(channel, words, error);
}

/* Where it is refused, so is what comes after it. */
static void ignore(struct redis_channel *channel, struct redis_command *command,
                   const redisReply *reply)
{
    (void)channel;
    (void)command;
    (void)reply;
}

struct redis_command *redis_channel_send(struct redis_channel *channel,
                                         const struct redis_request *request)
{
    struct redis_command *command = memory_new(sizeof(*command));
    command->on_reply = request->on_reply;
    command->on_first_reply = request->on_first_reply;
    if (channel->commands == NULL) {
        channel->progress_ms = clock_now_ms();
        channel->was_idle = true;
    }
    DL_APPEND(channel->commands, command);
    command->is_asking = channel->is_asking;
    if (channel->is_asking) { /* then nothing else may be sent before it */
        command->on_first_reply = ignore;
        redis_output_add(&channel->output, (const char *const[]){"ASKING", NULL});
    } else if (request->on_first_reply != NULL)
        redis_output_add(&channel->output, request->first_words);
    if (request->transaction_count == 0) {
        redis_output_add(&channel->output, request->words);
        return command;
    }
    command->queued_replies = 1 + request->transaction_count;
    redis_output_add(&channel->output, (const char *const[]){"MULTI", NULL});
    for (size_t i = 0; i < request->transaction_count; i++)
        redis_output_add(&channel->output, request->transaction[i]);
    redis_output_add(&channel->output, (const char *const[]){"EXEC", NULL});
    return command;
}

bool redis_channel_flush(struct redis_channel *channel, struct error *error)
{
    const char *reason = NULL;
    const struct redis_socket *socket = &channel->socket;
    if (channel->state == REDIS_OPENING ||
        redis_output_write(&channel->output, socket->context->fd, socket->tls, &reason))
        return true;
    return hung_up(channel, reason, error);
}

static void handle_oldest(struct redis_channel *channel, const redisReply *reply, int64_t now_ms)
{
    struct redis_command *command = channel->commands;
    if (channel->was_idle && (channel->measures_round_trips || channel->state != REDIS_READY))
        redis_server_add_round_trip(channel->server, now_ms - channel->progress_ms);
    channel->was_idle = false;
    channel->progress_ms = now_ms;
    if (command->on_first_reply != NULL) {
        redis_on_reply *on_first_reply = TAKE(command->on_first_reply);
        on_first_reply(channel, command, reply);
        return;
    }
    if (command->queued_replies > 0) {
        command->queued_replies--;
        if (reply->type == REDIS_REPLY_ERROR) /* EXEC only says that there was one */
            command->on_reply(channel, command, reply);
        return;
    }
    channel->has_answered = channel->has_answered || command->tasks != NULL;
    channel->is_asking = command->is_asking; /* what its handler sends is for the same key */
    command->on_reply(channel, command, reply);
    channel->is_asking = false;
    DL_DELETE(channel->commands, command);
    free(command);
}

/* A master that stood still answers once it runs again, before it hears that it is none. */
static bool is_late(const struct redis_channel *channel, int64_t now_ms)
{
    return channel->max_reply_ms > 0 && channel->state == REDIS_READY &&
           now_ms >= channel->max_reply_from_ms &&
           now_ms > channel->progress_ms + channel->max_reply_ms;
}

static bool handle(struct redis_channel *channel, const redisReply *reply, int64_t now_ms,
                   struct error *error)
{
    channel->replied_ms = now_ms;
    if (channel->on_push != NULL && channel->on_push(channel, reply))
        return true;
    if (channel->commands == NULL)
        return error_unavailable(error, "Redis at %s: unexpected reply, to no command",
                                 channel->server->address);
    if (is_late(channel, now_ms)) {
        channel->is_late = true;
        return hung_up(channel, "a reply came too late to be believed", error);
    }
    handle_oldest(channel, reply, now_ms);
    return true;
}

static bool reading_failed(struct redis_channel *channel, enum redis_read result,
                           const char *reason, struct error *error)
{
    if (result == REDIS_READ_TOO_LARGE)
        return error_unavailable(error, "Redis at %s: the reply is too large",
                                 channel->server->address);
    return result == REDIS_READ_HUNG_UP ? hung_up(channel, reason, error)
                                        : broke(channel, reason, error);
}

static bool read_replies(struct redis_channel *channel, struct error *error)
{
    const char *reason = NULL;
    enum redis_read result = redis_reader_read(&channel->reader, channel->socket.tls, &reason);
    int64_t now_ms = clock_now_ms();
    while (result == REDIS_READ_DONE) {
        redisReply *reply = NULL;
        result = redis_reader_next(&channel->reader, &reply, &reason);
        if (result == REDIS_READ_DONE && reply == NULL)
            return true;
        if (result != REDIS_READ_DONE)
            break;
        bool good = handle(channel, reply, now_ms, error);
        freeReplyObject(reply);
        if (!good)
            return false;
    }
    return reading_failed(channel, result, reason, error);
}

/* A server that refuses may send the reason, and close the connection. */
static bool end_setup(struct redis_channel *channel, bool good, struct error *error)
{
    if (channel->state == REDIS_READY || (good && channel->commands != NULL))
        return good;
    if (error_is_set(&channel->refusal)) {
        error_move(error, &channel->refusal);
        return false;
    }
    if (good)
        channel->state = REDIS_READY;
    return good;
}

bool redis_channel_step(struct redis_channel *channel, short revents, struct error *error)
{
    if (channel->state == REDIS_OPENING) {
        struct redis_socket *socket = &channel->socket;
        if (!redis_socket_connect(socket, channel->server, &revents, error))
            return false;
        if (socket->state != REDIS_SOCKET_CONNECTED)
            return true;
        channel->state = REDIS_SETTING_UP;
        redis_reader_begin(&channel->reader, socket->context);
        channel->on_connected(channel);
    }
    bool good = (revents & ~POLLOUT) == 0 || read_replies(channel, error);
    return end_setup(channel, good && redis_channel_flush(channel, error), error);
}

void redis_command_add_task(struct redis_command *command, struct task *task)
{
    DL_APPEND(command->tasks, task);
    task->data = command;
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

static bool any_has_tasks(const struct redis_command *command)
{
    while (command != NULL && command->tasks == NULL)
        command = command->next;
    return command != NULL;
}

bool redis_channel_has_tasks(const struct redis_channel *channel)
{
    return any_has_tasks(channel->commands);
}

bool redis_channel_has_tasks_behind(const struct redis_channel *channel)
{
    return channel->commands != NULL && any_has_tasks(channel->commands->next);
}
