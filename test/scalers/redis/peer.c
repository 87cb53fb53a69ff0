#include "scalers/redis/peer.h"

#include "base/clock.h"
#include "base/memory.h"
#include "support/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

enum { READ_BYTES = 4096, KEPT_WORDS = 3, MAX_COMMAND = 3000 };

/* A connection. */
struct redis_call {
    int socket;
    size_t number; /* from 1 on */
    bool has_ended;
    bool is_silent;
    const struct redis_line *line; /* to be answered then; NULL: none */
    int64_t due_ms;
    char *input; /* no whole command */
    size_t length;
    size_t capacity;
};

/* ---- commands ---- */

/* The number of a line as "*2" or "$4". NULL: the line is not complete. */
static const char *read_number(const char *at, const char *end, char kind, size_t *ret_number)
{
    const char *line_end = memchr(at, '\n', (size_t)(end - at));
    if (line_end == NULL)
        return NULL;
    if (*at != kind)
        abort();
    *ret_number = strtoul(at + 1, NULL, 10);
    return line_end + 1;
}

/* Reads one command: "*2", then "$4", "LLEN", "$4", "jobs". Keeps the first three words. False: it
 * is not complete. */
static bool take_command(struct redis_call *call, char command[MAX_COMMAND])
{
    const char *end = call->input + call->length;
    size_t words = 0;
    size_t kept = 0;
    const char *at = read_number(call->input, end, '*', &words);
    for (size_t i = 0; at != NULL && i < words; i++) {
        size_t length = 0;
        at = at == end ? NULL : read_number(at, end, '$', &length);
        if (at == NULL || (size_t)(end - at) < length + strlen("\r\n"))
            return false;
        if (i < KEPT_WORDS && kept < MAX_COMMAND)
            kept += (size_t)snprintf(command + kept, MAX_COMMAND - kept, "%s%.*s", i > 0 ? " " : "",
                                     (int)length, at);
        at += length + strlen("\r\n");
    }
    if (at == NULL)
        return false;
    call->length = (size_t)(end - at);
    memmove(call->input, at, call->length);
    return true;
}

static bool fits(const char *line, const char *command)
{
    size_t length = strlen(line);
    return strncmp(line, command, length) == 0 &&
           (command[length] == '\0' || command[length] == ' ');
}

static const struct redis_line *find_line(struct redis_peer *peer, const char *command,
                                          size_t connection)
{
    static const struct redis_line other = {.answer = "+OK\r\n"};
    for (size_t i = 0; peer->script[i].command != NULL; i++) {
        const struct redis_line *line = &peer->script[i];
        bool is_of_other = line->connection > 0 && line->connection != connection;
        bool is_used_up = line->times > 0 && peer->used[i] >= line->times;
        if (!fits(line->command, command) || is_of_other || is_used_up)
            continue;
        peer->used[i]++;
        return line;
    }
    return &other;
}

/* ---- connections ---- */

static bool send_bytes(const struct redis_call *call, const char *bytes, size_t count)
{
    return send(call->socket, bytes, count, MSG_NOSIGNAL) >= 0;
}

static void send_text(const struct redis_call *call, const char *text)
{
    send_bytes(call, text, strlen(text));
}

static bool send_answer(const struct redis_call *call, const struct redis_line *line)
{
    size_t count = line->answer_bytes == 0 ? strlen(line->answer) : line->answer_bytes;
    return send_bytes(call, line->answer, count);
}

static void hang_up(struct redis_call *call)
{
    shutdown(call->socket, SHUT_RDWR);
    call->has_ended = true;
}

static void take_line(struct redis_peer *peer, struct redis_call *call, const char *command)
{
    pthread_mutex_lock(&peer->lock);
    if (fits("SUBSCRIBE", command))
        peer->subscriber = call;
    call->line = find_line(peer, command, call->number);
    if (call->line->push != NULL && peer->subscriber != NULL)
        send_text(peer->subscriber, call->line->push);
    pthread_mutex_unlock(&peer->lock);
    call->due_ms = clock_now_ms() + call->line->wait_ms;
}

static void answer(struct redis_call *call)
{
    const struct redis_line *line = TAKE(call->line);
    call->is_silent = call->is_silent || (line->answer != NULL && line->answer[0] == '\0');
    if (line->answer == NULL || (!call->is_silent && (!send_answer(call, line) || line->hangs_up)))
        hang_up(call);
}

/* False: there is nothing now. */
static bool receive(struct redis_call *call)
{
    call->input =
        memory_grow(call->input, &call->capacity, call->length + READ_BYTES, sizeof(*call->input));
    ssize_t size = recv(call->socket, call->input + call->length, READ_BYTES, MSG_DONTWAIT);
    if (size == 0 || (size < 0 && errno != EAGAIN))
        hang_up(call);
    if (size <= 0)
        return false;
    call->length += (size_t)size;
    return true;
}

/* Returns when there is more to do. Nothing is read before what was read is answered. */
static int64_t serve(struct redis_peer *peer, struct redis_call *call)
{
    char command[MAX_COMMAND] = {0};
    while (!call->has_ended) {
        if (call->line != NULL && clock_now_ms() < call->due_ms)
            return call->due_ms;
        if (call->line != NULL)
            answer(call);
        else if (call->length > 0 && take_command(call, command))
            take_line(peer, call, command);
        else if (!receive(call))
            break;
    }
    return CLOCK_NEVER;
}

/* False: the peer is stopped. */
static bool accept_all(struct redis_peer *peer)
{
    int socket;
    while ((socket = accept4(peer->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)); /* as Redis */
        if (peer->connections == REDIS_PEER_CONNECTIONS)
            abort();
        struct redis_call *call = memory_new(sizeof(*call));
        pthread_mutex_lock(&peer->lock);
        peer->calls[peer->connections++] = call;
        *call = (struct redis_call){.socket = socket, .number = peer->connections};
        pthread_mutex_unlock(&peer->lock);
    }
    return errno == EAGAIN;
}

static int64_t serve_all(struct redis_peer *peer)
{
    int64_t next_ms = CLOCK_NEVER;
    for (size_t i = 0; i < peer->connections; i++)
        next_ms = clock_earlier(next_ms, serve(peer, peer->calls[i]));
    return next_ms;
}

int64_t redis_peer_work(struct redis_peer *peer)
{
    accept_all(peer);
    int64_t next_ms = serve_all(peer);
    for (size_t i = 0; i < peer->connections; i++)
        if (!socket_is_settled(peer->calls[i]->socket))
            return clock_now_ms();
    return next_ms;
}

static void *peer_thread(void *argument)
{
    struct redis_peer *peer = argument;
    while (accept_all(peer)) {
        struct pollfd descriptors[REDIS_PEER_CONNECTIONS + 1];
        int64_t next_ms = serve_all(peer);
        nfds_t count = 0;
        descriptors[count++] = (struct pollfd){.fd = peer->listener, .events = POLLIN};
        for (size_t i = 0; i < peer->connections; i++)
            if (!peer->calls[i]->has_ended && peer->calls[i]->line == NULL)
                descriptors[count++] =
                    (struct pollfd){.fd = peer->calls[i]->socket, .events = POLLIN};
        poll(descriptors, count, next_ms == CLOCK_NEVER ? -1 : clock_left_ms(next_ms, INT_MAX));
    }
    return NULL;
}

/* ---- all of it ---- */

static void begin(struct redis_peer *peer, const char *address, int port,
                  const struct redis_line *script)
{
    *peer = (struct redis_peer){.script = script};
    pthread_mutex_init(&peer->lock, NULL);
    peer->listener = listener_open_at(address, port, REDIS_PEER_CONNECTIONS, &peer->port);
    fcntl(peer->listener, F_SETFL, O_NONBLOCK);
    snprintf(peer->address, sizeof(peer->address), "%s:%d", address, peer->port);
}

void redis_peer_start_at(struct redis_peer *peer, const char *address, int port,
                         const struct redis_line *script)
{
    begin(peer, address, port, script);
    peer->has_thread = true;
    assert_int_equal(pthread_create(&peer->thread, NULL, peer_thread, peer), 0);
}

void redis_peer_start(struct redis_peer *peer, const struct redis_line *script)
{
    redis_peer_start_at(peer, "127.0.0.1", 0, script);
}

void redis_peer_start_fast(struct redis_peer *peer, const struct redis_line *script)
{
    begin(peer, "127.0.0.1", 0, script);
}

void redis_peer_stop(struct redis_peer *peer)
{
    shutdown(peer->listener, SHUT_RDWR);
    pthread_mutex_lock(&peer->lock);
    for (size_t i = 0; i < peer->connections; i++)
        shutdown(peer->calls[i]->socket, SHUT_RDWR); /* it may be waiting to send */
    pthread_mutex_unlock(&peer->lock);
    if (peer->has_thread)
        pthread_join(peer->thread, NULL);
    close(peer->listener);
    for (size_t i = 0; i < peer->connections; i++) {
        close(peer->calls[i]->socket);
        free(peer->calls[i]->input);
        free(peer->calls[i]);
    }
    pthread_mutex_destroy(&peer->lock);
}

void redis_peer_push(struct redis_peer *peer, const char *text)
{
    pthread_mutex_lock(&peer->lock);
    assert_non_null(peer->subscriber);
    send_text(peer->subscriber, text);
    pthread_mutex_unlock(&peer->lock);
}

int redis_peer_used(struct redis_peer *peer, size_t line)
{
    pthread_mutex_lock(&peer->lock);
    int used = peer->used[line];
    pthread_mutex_unlock(&peer->lock);
    return used;
}

size_t redis_peer_connections(struct redis_peer *peer)
{
    pthread_mutex_lock(&peer->lock);
    size_t connections = peer->connections;
    pthread_mutex_unlock(&peer->lock);
    return connections;
}
