#include "redis/link/socket.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/system/socket.h"
#include "base/text.h"
#include "shared/address_time.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    MAX_NUMBER = 32,               /* characters */
    MAX_REPLY_BYTES = 2 << 20,     /* a consumer group is 150 bytes of XINFO GROUPS */
    KEPT_BYTES = 16 << 10,         /* of a buffer that is empty */
    FREE_OUTPUT_BYTES = 192 << 10, /* as much as redis_link_has_capacity() permits */
    MAX_DEPTH = 7,                 /* of arrays in arrays; CLUSTER SLOTS has 4 */
    ELEMENT_BYTES = sizeof(redisReply *) + sizeof(redisReply) + 16, /* with malloc()'s own */
};

/* ---- the limits of replies ---- */

/* What replies make us send counts, too: a server may reply, and read nothing. False: other
 * connections have the memory for it. */
static bool count_memory(struct redis_socket *socket)
{
    size_t output_bytes =
        socket->capacity > FREE_OUTPUT_BYTES ? socket->capacity - FREE_OUTPUT_BYTES : 0;
    return source_memory_set(&socket->memory, socket->partial_bytes +
                                                  socket->elements * ELEMENT_BYTES + output_bytes);
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
    struct redis_socket *socket = task->privdata;
    if ((size_t)elements > REDIS_MAX_ELEMENTS - socket->elements || is_too_deep(task))
        return NULL;
    socket->elements += (size_t)elements;
    if (!count_memory(socket))
        return NULL;
    return socket->create_array(task, elements);
}

static void limit_replies(struct redis_socket *socket)
{
    redisReader *reader = socket->context->reader;
    socket->functions = *reader->fn;
    socket->create_array = socket->functions.createArray;
    socket->functions.createArray = create_limited_array;
    reader->fn = &socket->functions;
    reader->privdata = socket;
}

/* ---- connecting ---- */

/* False: it failed at once. */
static bool begin_connect(struct redis_socket *socket, const struct redis_server *server,
                          const char *address, struct error *error)
{
    redisContext *context = redisConnectNonBlock(address, server->port);
    if (context == NULL)
        return error_set(error, ERROR_INTERNAL, "hiredis made no connection");
    if (context->err != 0) {
        redis_server_cannot_connect(server, context->errstr, error);
        redisFree(context);
        return false;
    }
    /* It is connecting already: what was announced by now is less than the bound. */
    socket_bound_buffers(context->fd, SOCKET_SOURCE_BYTES);
    free(socket->address);
    socket->address = text_copy(address);
    socket->context = context;
    socket->state = REDIS_SOCKET_CONNECTING;
    limit_replies(socket);
    return true;
}

bool redis_socket_begin(struct redis_socket *socket, const struct redis_server *server,
                        const char *address, struct error *error)
{
    _cleanup_(error_done) struct error reason = {0};
    if (address != NULL)
        return begin_connect(socket, server, address, error);
    if (!redis_lookup_is_needed(server->host))
        return begin_connect(socket, server, server->host, error);
    socket->state = REDIS_SOCKET_RESOLVING;
    socket->lookup = redis_lookup_start(server->host, &reason);
    return socket->lookup != NULL ||
           redis_server_cannot_connect(server, error_text(&reason), error);
}

void redis_socket_done(struct redis_socket *socket)
{
    tls_socket_free(socket->tls);
    redis_lookup_release(socket->lookup);
    redisFree(socket->context);
    free(socket->address);
    free(socket->output);
    source_memory_set(&socket->memory, 0);
}

struct pollfd redis_socket_poll(const struct redis_socket *socket)
{
    bool is_resolving = socket->state == REDIS_SOCKET_RESOLVING;
    if (is_resolving ? socket->lookup == NULL : socket->context == NULL) /* it failed */
        return (struct pollfd){.fd = -1};
    switch (socket->state) {
    case REDIS_SOCKET_RESOLVING:
        return (struct pollfd){.fd = redis_lookup_descriptor(socket->lookup), .events = POLLIN};
    case REDIS_SOCKET_CONNECTING:
        return (struct pollfd){.fd = socket->context->fd, .events = POLLOUT};
    case REDIS_SOCKET_HANDSHAKE:
        return (struct pollfd){.fd = socket->context->fd, .events = tls_socket_events(socket->tls)};
    default:
        return (struct pollfd){
            .fd = socket->context->fd,
            .events = (short)(socket->start < socket->end ? POLLIN | POLLOUT : POLLIN)};
    }
}

/* The next of the addresses that can be connected to at all. False: there is none, and the error is
 * that of the last one. */
static bool try_next(struct redis_socket *socket, const struct redis_server *server, int64_t now_ms,
                     int64_t deadline_ms, struct error *error)
{
    size_t count = redis_lookup_count(socket->lookup);
    redisFree(TAKE(socket->context));
    while (socket->tried < count) {
        int remaining = (int)(count - socket->tried);
        const char *address = redis_lookup_address(socket->lookup, socket->tried++);
        socket->address_deadline_ms = address_deadline(now_ms, deadline_ms, remaining);
        error_done(error);
        if (begin_connect(socket, server, address, error))
            return true;
    }
    return false;
}

static bool finish_lookup(struct redis_socket *socket, const struct redis_server *server,
                          int64_t deadline_ms, struct error *error)
{
    if (redis_lookup_count(socket->lookup) == 0)
        return redis_server_cannot_connect(server, redis_lookup_failure(socket->lookup), error);
    return try_next(socket, server, clock_now_ms(), deadline_ms, error);
}

bool redis_socket_check(struct redis_socket *socket, const struct redis_server *server,
                        int64_t now_ms, int64_t deadline_ms, int64_t *next_ms, struct error *error)
{
    if (socket->state != REDIS_SOCKET_CONNECTING || socket->lookup == NULL)
        return true;
    if (now_ms >= socket->address_deadline_ms &&
        !try_next(socket, server, now_ms, deadline_ms, error))
        return false;
    *next_ms = clock_earlier(*next_ms, socket->address_deadline_ms);
    return true;
}

static bool finish_connect(struct redis_socket *socket, struct redis_server *server,
                           int64_t deadline_ms, struct error *error)
{
    int failure = 0;
    socklen_t size = sizeof(failure);
    getsockopt(socket->context->fd, SOL_SOCKET, SO_ERROR, &failure, &size);
    if (failure != 0) {
        redis_server_cannot_connect(server, strerror(failure), error);
        return socket->lookup != NULL &&
               try_next(socket, server, clock_now_ms(), deadline_ms, error);
    }
    if (!redis_server_check_peer(server, socket->context->fd, error))
        return false;
    redis_lookup_release(TAKE(socket->lookup));
    socket->state = REDIS_SOCKET_CONNECTED;
    if (server->tls == NULL)
        return true;
    socket->tls = tls_socket_new(server->tls, server->host, socket->context->fd);
    socket->state = REDIS_SOCKET_HANDSHAKE;
    return socket->tls != NULL || error_set(error, ERROR_INTERNAL, "OpenSSL made no connection");
}

/* A server that does not speak TLS replies to the line that it takes the greeting for, hangs up, or
 * waits for its end. */
static bool handshake(struct redis_socket *socket, const struct redis_server *server,
                      struct error *error)
{
    enum tls_result result = tls_socket_handshake(socket->tls);
    if (result == TLS_DONE)
        socket->state = REDIS_SOCKET_CONNECTED;
    if (result == TLS_DONE || result == TLS_WAITING)
        return true;
    const char *reason = tls_socket_reason(socket->tls);
    bool is_plain = result == TLS_CLOSED || strcmp(reason, "wrong version number") == 0;
    return error_unavailable(error, "cannot connect to Redis at %s: TLS handshake failed: %s%s",
                             server->address, reason,
                             is_plain ? " (does this port speak TLS?)" : "");
}

bool redis_socket_connect(struct redis_socket *socket, struct redis_server *server,
                          int64_t deadline_ms, short *revents, struct error *error)
{
    if (socket->state == REDIS_SOCKET_RESOLVING)
        return !redis_lookup_is_done(socket->lookup) ||
               finish_lookup(socket, server, deadline_ms, error);
    if (socket->state == REDIS_SOCKET_CONNECTING) {
        if (*revents == 0)
            return true;
        if (!finish_connect(socket, server, deadline_ms, error))
            return false;
    }
    if (socket->state != REDIS_SOCKET_HANDSHAKE)
        return true;
    if (!handshake(socket, server, error))
        return false;
    *revents = 0; /* what it was readable for is read */
    return true;
}

const char *redis_socket_awaited(const struct redis_socket *socket)
{
    switch (socket->state) {
    case REDIS_SOCKET_RESOLVING:
        return "its name was not looked up in time";
    case REDIS_SOCKET_HANDSHAKE:
        return "no answer to the TLS handshake in time (does this port speak TLS?)";
    default:
        return "no answer in time";
    }
}

/* ---- writing ---- */

void redis_socket_expect(struct redis_socket *socket, bool replies)
{
    enum { IDLE_BYTES = 4 << 10 };
    if (socket->context != NULL)
        socket_bound_received(socket->context->fd, replies ? SOCKET_SOURCE_BYTES : IDLE_BYTES);
}

static void add_bytes(struct redis_socket *socket, const char *bytes, size_t length)
{
    if (socket->start > 0 && socket->capacity - socket->end < length) {
        socket->end -= socket->start;
        memmove(socket->output, socket->output + socket->start, socket->end);
        socket->start = 0;
    }
    socket->output = memory_grow(socket->output, &socket->capacity, socket->end + length, 1);
    memcpy(socket->output + socket->end, bytes, length);
    socket->end += length;
}

/* "*2\r\n" or "$4\r\n" */
static void add_number(struct redis_socket *socket, char kind, size_t number)
{
    char text[MAX_NUMBER];
    int length = snprintf(text, sizeof(text), "%c%zu\r\n", kind, number);
    add_bytes(socket, text, (size_t)length);
}

void redis_socket_add(struct redis_socket *socket, const char *const *words)
{
    size_t count = 0;
    while (words[count] != NULL)
        count++;
    add_number(socket, '*', count);
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(words[i]);
        add_number(socket, '$', length);
        add_bytes(socket, words[i], length);
        add_bytes(socket, "\r\n", 2);
    }
}

static enum tls_result write_plain(int socket, const char *bytes, size_t length, size_t *ret_length,
                                   const char **ret_reason)
{
    ssize_t written = send(socket, bytes, length, MSG_NOSIGNAL);
    if (written >= 0) {
        *ret_length = (size_t)written;
        return TLS_DONE;
    }
    *ret_reason = strerror(errno);
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? TLS_WAITING : TLS_BROKEN;
}

static enum tls_result write_tls(struct tls_socket *tls, const char *bytes, size_t length,
                                 size_t *ret_length, const char **ret_reason)
{
    enum tls_result result = tls_socket_write(tls, bytes, length, ret_length);
    *ret_reason = tls_socket_reason(tls);
    return result;
}

bool redis_socket_write(struct redis_socket *socket, const char **ret_reason)
{
    while (socket->start < socket->end) {
        const char *next = socket->output + socket->start;
        size_t left = socket->end - socket->start;
        size_t written = 0;
        enum tls_result result =
            socket->tls == NULL ? write_plain(socket->context->fd, next, left, &written, ret_reason)
                                : write_tls(socket->tls, next, left, &written, ret_reason);
        if (result != TLS_DONE)
            return result == TLS_WAITING;
        socket->start += written;
    }
    socket->start = socket->end = 0;
    if (socket->capacity > KEPT_BYTES) {
        free(TAKE(socket->output));
        socket->capacity = 0;
        count_memory(socket); /* it is less */
    }
    return true;
}

/* ---- reading ---- */

static enum redis_read explain(const struct redis_socket *socket, const char **ret_reason)
{
    const redisContext *context = socket->context;
    *ret_reason = context->errstr;
    if (context->err == REDIS_ERR_OOM) /* an array beyond our limit, or that of all connections */
        return REDIS_READ_TOO_LARGE;
    return context->err == REDIS_ERR_EOF || context->err == REDIS_ERR_IO ? REDIS_READ_HUNG_UP
                                                                         : REDIS_READ_INVALID;
}

/* One record, whole: OpenSSL keeps nothing that poll() does not know of. */
static enum redis_read read_record(struct redis_socket *socket, const char **ret_reason)
{
    char buffer[TLS_RECORD_BYTES];
    size_t length = 0;
    enum tls_result result = tls_socket_read(socket->tls, buffer, sizeof(buffer), &length);
    *ret_reason = tls_socket_reason(socket->tls);
    if (result == TLS_CLOSED)
        return REDIS_READ_HUNG_UP;
    if (result == TLS_BROKEN)
        return REDIS_READ_INVALID;
    if (result == TLS_WAITING ||
        redisReaderFeed(socket->context->reader, buffer, length) == REDIS_OK)
        return REDIS_READ_DONE;
    return REDIS_READ_TOO_LARGE;
}

enum redis_read redis_socket_read(struct redis_socket *socket, const char **ret_reason)
{
    size_t before = socket->context->reader->len;
    enum redis_read result = REDIS_READ_DONE;
    if (socket->tls != NULL)
        result = read_record(socket, ret_reason);
    else if (redisBufferRead(socket->context) != REDIS_OK)
        result = explain(socket, ret_reason);
    if (result == REDIS_READ_DONE)
        socket->partial_bytes += socket->context->reader->len - before;
    socket->has_grown = socket->has_grown || socket->context->reader->len > KEPT_BYTES;
    return result;
}

/* Between two replies. hiredis keeps the buffer of the largest one until more comes, which may be
 * never, and nothing counts it. */
static void shrink_reader(struct redis_socket *socket)
{
    redisReader *former = socket->context->reader;
    size_t rest = former->len - former->pos;
    if (!socket->has_grown || rest > KEPT_BYTES)
        return;
    redisReader *reader = redisReaderCreateWithFunctions(&socket->functions);
    if (reader == NULL || redisReaderFeed(reader, former->buf + former->pos, rest) != REDIS_OK)
        abort(); /* for want of memory alone, which ends the process (base/memory.h) */
    reader->privdata = socket;
    redisReaderFree(former);
    socket->context->reader = reader;
    socket->has_grown = false;
}

enum redis_read redis_socket_next(struct redis_socket *socket, redisReply **ret_reply,
                                  const char **ret_reason)
{
    void *reply = NULL;
    if (redisGetReplyFromReader(socket->context, &reply) != REDIS_OK)
        return explain(socket, ret_reason);
    *ret_reply = reply;
    if (reply != NULL) {
        socket->elements = 0;
        shrink_reader(socket);
        socket->partial_bytes = socket->context->reader->len - socket->context->reader->pos;
        return REDIS_READ_DONE;
    }
    return count_memory(socket) && socket->partial_bytes <= MAX_REPLY_BYTES ? REDIS_READ_DONE
                                                                            : REDIS_READ_TOO_LARGE;
}
