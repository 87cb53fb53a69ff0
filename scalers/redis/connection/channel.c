#include "redis/connection/channel.h"

#include "base/clock.h"
#include "base/memory.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <utlist.h>

enum {
    MAX_REPLY_BYTES = 2 << 20, /* a consumer group is 150 bytes of XINFO GROUPS */
    MAX_ELEMENTS = 1 << 16,    /* of all arrays of a reply; it is 13 of them */
    MAX_DEPTH = 7,             /* of arrays in arrays; CLUSTER SLOTS has 4 */
    PLAIN_BYTES = 8 << 10,     /* of a channel that is idle */
    TLS_BYTES = 48 << 10,
    ELEMENT_BYTES = sizeof(redisReply *) + sizeof(redisReply) + 16, /* with malloc()'s own */
};

/* False: other connections have the memory for it. */
static bool count_memory(struct redis_channel *channel)
{
    return reply_memory_set(&channel->memory,
                            channel->partial_bytes + channel->elements * ELEMENT_BYTES);
}

static bool is_too_deep(const redisReadTask *task)
{
    size_t depth = 0;
    for (; task != NULL && depth <= MAX_DEPTH; task = task->parent)
        depth++;
    return depth > MAX_DEPTH;
}

/* hiredis allocates as many as are announced, and each is a value of the reply: there are no more
 * values than that. From 1.0 on it has no limit of depth: it keeps a task for each level until the
 * connection is closed, and frees a reply by recursion. */
static void *create_limited_array(const redisReadTask *task, redis_element_count elements)
{
    struct redis_channel *channel = task->privdata;
    if ((size_t)elements > MAX_ELEMENTS - channel->elements || is_too_deep(task))
        return NULL;
    channel->elements += (size_t)elements;
    if (!count_memory(channel))
        return NULL;
    return channel->create_array(task, elements);
}

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

static void lookup_release(struct redis_lookup **lookup)
{
    redis_lookup_release(*lookup);
}

static bool cannot_connect(const struct redis_server *server, const char *words,
                           struct error *error)
{
    return error_unavailable(error, "cannot connect to Redis at %s: %s", server->address, words);
}

static void limit_arrays(struct redis_channel *channel)
{
    redisReader *reader = channel->context->reader;
    channel->functions = *reader->fn;
    channel->create_array = channel->functions.createArray;
    channel->functions.createArray = create_limited_array;
    reader->fn = &channel->functions;
    reader->privdata = channel;
}

/* False: it failed at once. */
static bool begin_connect(struct redis_channel *channel, const char *address, struct error *error)
{
    const struct redis_server *server = channel->server;
    redisContext *context = redisConnectNonBlock(address, server->port);
    if (context == NULL)
        return error_set(error, ERROR_INTERNAL, "hiredis made no connection");
    if (context->err != 0) {
        cannot_connect(server, context->errstr, error);
        redisFree(context);
        return false;
    }
    channel->context = context;
    channel->state = REDIS_CONNECTING;
    limit_arrays(channel);
    return true;
}

/* To the first of the addresses that can be connected to at all. */
static bool finish_lookup(struct redis_channel *channel, struct error *error)
{
    _cleanup_(lookup_release) struct redis_lookup *lookup = TAKE(channel->lookup);
    const char *address = redis_lookup_address(lookup, 0);
    if (address == NULL)
        return cannot_connect(channel->server, redis_lookup_failure(lookup), error);
    for (size_t i = 0; address != NULL; address = redis_lookup_address(lookup, ++i)) {
        error_done(error);
        if (begin_connect(channel, address, error))
            return true;
    }
    return false;
}

static bool begin_lookup(struct redis_channel *channel, struct error *error)
{
    _cleanup_(error_done) struct error reason = {0};
    channel->state = REDIS_RESOLVING;
    channel->lookup = redis_lookup_start(channel->server->host, &reason);
    return channel->lookup != NULL || cannot_connect(channel->server, error_text(&reason), error);
}

static bool begin(struct redis_channel *channel, bool to_same_peer, struct error *error)
{
    const struct redis_server *server = channel->server;
    if (to_same_peer && server->peer != NULL)
        return begin_connect(channel, server->peer, error);
    if (!redis_lookup_is_needed(server->host))
        return begin_connect(channel, server->host, error);
    return begin_lookup(channel, error);
}

struct redis_channel *redis_channel_open(struct redis_server *server, bool to_same_peer,
                                         int64_t deadline_ms, struct error *error)
{
    if (!count_channel(server, 1)) {
        cannot_connect(server,
                       "its Redis Cluster has too many nodes: those of all Redis Clusters of a "
                       "namespace may take 12 MiB of memory (over TLS 48 KiB each), and less where "
                       "others use it",
                       error);
        return NULL;
    }
    struct redis_channel *channel = memory_new(sizeof(*channel));
    channel->server = server;
    channel->deadline_ms = deadline_ms;
    if (begin(channel, to_same_peer, error))
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
    tls_socket_free(channel->tls);
    redis_lookup_release(channel->lookup);
    redisFree(channel->context);
    reply_memory_set(&channel->memory, 0);
    count_channel(channel->server, -1);
    redis_output_done(&channel->output);
    error_done(&channel->refusal);
    free(channel);
}

static short events_of(const struct redis_channel *channel)
{
    if (channel->state == REDIS_CONNECTING)
        return POLLOUT;
    if (channel->state == REDIS_TLS_HANDSHAKE)
        return tls_socket_events(channel->tls);
    return (short)(redis_output_is_empty(&channel->output) ? POLLIN : POLLIN | POLLOUT);
}

struct pollfd redis_channel_poll(const struct redis_channel *channel)
{
    if (channel->state == REDIS_RESOLVING)
        return (struct pollfd){.fd = redis_lookup_descriptor(channel->lookup), .events = POLLIN};
    return (struct pollfd){.fd = channel->context->fd, .events = events_of(channel)};
}

static bool is_too_large(const struct redis_channel *channel, struct error *error)
{
    return error_unavailable(error, "Redis at %s: the reply is too large",
                             channel->server->address);
}

/* Before the first reply. A server that speaks only TLS takes a plain command for a broken record:
 * it hangs up, or sends an alert. One that misses our certificate says so only after the handshake
 * (TLS 1.3), and hangs up, too. */
static const char *tls_hint(const struct redis_channel *channel)
{
    if (channel->state != REDIS_SETTING_UP || channel->replied_ms != 0)
        return "";
    if (channel->tls == NULL)
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

static bool reader_failed(struct redis_channel *channel, struct error *error)
{
    const redisContext *context = channel->context;
    if (context->err == REDIS_ERR_OOM) /* an array beyond our limit, or that of all connections */
        return is_too_large(channel, error);
    if (context->err == REDIS_ERR_EOF || context->err == REDIS_ERR_IO)
        return hung_up(channel, context->errstr, error);
    return broke(channel, context->errstr, error);
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
    command->is_importing = channel->is_importing;
    if (channel->is_importing) { /* nothing else may be sent before it then */
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
    if (channel->state < REDIS_SETTING_UP ||
        redis_output_write(&channel->output, channel->context->fd, channel->tls, &reason))
        return true;
    return hung_up(channel, reason, error);
}

static void set_up(struct redis_channel *channel)
{
    channel->state = REDIS_SETTING_UP;
    channel->on_connected(channel);
}

static bool finish_connect(struct redis_channel *channel, struct error *error)
{
    const struct redis_server *server = channel->server;
    int failure = 0;
    socklen_t size = sizeof(failure);
    getsockopt(channel->context->fd, SOL_SOCKET, SO_ERROR, &failure, &size);
    if (failure != 0)
        return cannot_connect(server, strerror(failure), error);
    if (!redis_server_check_peer(channel->server, channel->context->fd, error))
        return false;
    if (server->tls == NULL) {
        set_up(channel);
        return true;
    }
    channel->tls = tls_socket_new(server->tls, server->host, channel->context->fd);
    channel->state = REDIS_TLS_HANDSHAKE;
    return channel->tls != NULL || error_set(error, ERROR_INTERNAL, "OpenSSL made no connection");
}

/* A server that does not speak TLS replies to the line that it takes the greeting for, hangs up, or
 * waits for its end. */
static bool handshake(struct redis_channel *channel, struct error *error)
{
    enum tls_result result = tls_socket_handshake(channel->tls);
    if (result == TLS_DONE)
        set_up(channel);
    if (result == TLS_DONE || result == TLS_WAITING)
        return true;
    const char *reason = tls_socket_reason(channel->tls);
    bool is_plain = result == TLS_CLOSED || strcmp(reason, "wrong version number") == 0;
    return error_unavailable(error, "cannot connect to Redis at %s: TLS handshake failed: %s%s",
                             channel->server->address, reason,
                             is_plain ? " (does this port speak TLS?)" : "");
}

const char *redis_channel_awaited(const struct redis_channel *channel)
{
    switch (channel->state) {
    case REDIS_RESOLVING:
        return "its name was not looked up in time";
    case REDIS_TLS_HANDSHAKE:
        return "no answer to the TLS handshake in time (does this port speak TLS?)";
    default:
        return "no answer in time";
    }
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
    channel->is_importing = command->is_importing; /* what its handler sends is for the same key */
    command->on_reply(channel, command, reply);
    channel->is_importing = false;
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

static bool handle_replies(struct redis_channel *channel, struct error *error)
{
    const redisReader *reader = channel->context->reader;
    int64_t now_ms = clock_now_ms();
    for (;;) {
        void *reply = NULL;
        if (redisGetReplyFromReader(channel->context, &reply) != REDIS_OK)
            return reader_failed(channel, error);
        if (reply == NULL)
            break;
        channel->elements = 0;
        bool good = handle(channel, reply, now_ms, error);
        freeReplyObject(reply);
        if (!good)
            return false;
        channel->partial_bytes = reader->len - reader->pos;
    }
    bool may = count_memory(channel) && channel->partial_bytes <= MAX_REPLY_BYTES;
    return may || is_too_large(channel, error);
}

/* One record, whole: OpenSSL keeps nothing that poll() does not know of. */
static bool read_record(struct redis_channel *channel, struct error *error)
{
    char buffer[TLS_RECORD_BYTES];
    size_t length = 0;
    enum tls_result result = tls_socket_read(channel->tls, buffer, sizeof(buffer), &length);
    if (result == TLS_CLOSED)
        return hung_up(channel, tls_socket_reason(channel->tls), error);
    if (result == TLS_BROKEN)
        return broke(channel, tls_socket_reason(channel->tls), error);
    if (result == TLS_WAITING)
        return true;
    return redisReaderFeed(channel->context->reader, buffer, length) == REDIS_OK ||
           is_too_large(channel, error);
}

static bool read_some(struct redis_channel *channel, struct error *error)
{
    size_t before = channel->context->reader->len;
    if (channel->tls != NULL) {
        if (!read_record(channel, error))
            return false;
    } else if (redisBufferRead(channel->context) != REDIS_OK)
        return reader_failed(channel, error);
    channel->partial_bytes += channel->context->reader->len - before;
    return handle_replies(channel, error);
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
    if (channel->state == REDIS_RESOLVING)
        return !redis_lookup_is_done(channel->lookup) || finish_lookup(channel, error);
    if (channel->state == REDIS_CONNECTING && revents == 0)
        return true;
    if (channel->state == REDIS_CONNECTING && !finish_connect(channel, error))
        return false;
    if (channel->state == REDIS_TLS_HANDSHAKE) {
        if (!handshake(channel, error))
            return false;
        if (channel->state == REDIS_TLS_HANDSHAKE)
            return true;
        revents = 0; /* what it was readable for is read */
    }
    bool good = (revents & ~POLLOUT) == 0 || read_some(channel, error);
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
