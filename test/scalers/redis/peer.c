#include "scalers/redis/peer.h"

#include "base/clock.h"
#include "base/memory.h"
#include "support/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
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
    const char *output; /* of an answer, what there was no room for yet */
    size_t left;
    bool hangs_up; /* after it */
    char *input;   /* no whole command */
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

static void send_text(const struct redis_call *call, const char *text)
{
    ssize_t sent = send(call->socket, text, strlen(text), MSG_NOSIGNAL);
    (void)sent; /* the client may have gone */
}

static void hang_up(struct redis_call *call)
{
    shutdown(call->socket, SHUT_RDWR);
    call->has_ended = true;
}

static void take_line(struct redis_peer *peer, struct redis_call *call, const char *command)
{
    if (fits("SUBSCRIBE", command))
        peer->subscriber = call;
    call->line = find_line(peer, command, call->number);
    if (call->line->push != NULL && peer->subscriber != NULL)
        send_text(peer->subscriber, call->line->push);
    call->due_ms = clock_now_ms() + call->line->wait_ms;
}

static void answer(struct redis_call *call)
{
    const struct redis_line *line = TAKE(call->line);
    call->is_silent = call->is_silent || (line->answer != NULL && line->answer[0] == '\0');
    if (line->answer == NULL)
        hang_up(call);
    if (line->answer == NULL || call->is_silent)
        return;
    call->output = line->answer;
    call->left = line->answer_bytes == 0 ? strlen(line->answer) : line->answer_bytes;
    call->hangs_up = line->hangs_up;
}

/* False: there is no room until the client reads. */
static bool send_output(struct redis_call *call)
{
    ssize_t sent = send(call->socket, call->output, call->left, MSG_NOSIGNAL | MSG_DONTWAIT);
    bool is_full = sent < 0 && errno == EAGAIN;
    call->output += sent > 0 ? sent : 0;
    call->left -= sent > 0 ? (size_t)sent : 0;
    if ((sent < 0 && !is_full) || (call->left == 0 && call->hangs_up))
        hang_up(call);
    return !is_full;
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
        else if (call->left > 0) {
            if (!send_output(call))
                break;
        } else if (call->length > 0 && take_command(call, command))
            take_line(peer, call, command);
        else if (!receive(call))
            break;
    }
    return CLOCK_NEVER;
}

static void accept_all(struct redis_peer *peer)
{
    int socket;
    while ((socket = accept4(peer->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)); /* as Redis */
        if (peer->connections == REDIS_PEER_CONNECTIONS)
            abort();
        struct redis_call *call = memory_new(sizeof(*call));
        peer->calls[peer->connections++] = call;
        *call = (struct redis_call){.socket = socket, .number = peer->connections};
    }
}

static int64_t serve_all(struct redis_peer *peer)
{
    int64_t next_ms = CLOCK_NEVER;
    for (size_t i = 0; i < peer->connections; i++)
        next_ms = clock_earlier(next_ms, serve(peer, peer->calls[i]));
    return next_ms;
}

static int64_t work(void *context)
{
    struct redis_peer *peer = context;
    accept_all(peer);
    int64_t next_ms = serve_all(peer);
    for (size_t i = 0; i < peer->connections; i++)
        if (!socket_is_settled(peer->calls[i]->socket))
            return clock_now_ms();
    return next_ms;
}

/* ---- all of it ---- */

void redis_peer_start_at(struct redis_peer *peer, const char *address, int port,
                         const struct redis_line *script)
{
    *peer = (struct redis_peer){.script = script, .time = {.work = work, .context = peer}};
    peer->listener = listener_open_at(address, port, REDIS_PEER_CONNECTIONS, &peer->port);
    fcntl(peer->listener, F_SETFL, O_NONBLOCK);
    snprintf(peer->address, sizeof(peer->address), "%s:%d", address, peer->port);
    fast_time_add(&peer->time);
}

void redis_peer_start(struct redis_peer *peer, const struct redis_line *script)
{
    redis_peer_start_at(peer, "127.0.0.1", 0, script);
}

void redis_peer_stop(struct redis_peer *peer)
{
    fast_time_remove(&peer->time);
    close(peer->listener);
    for (size_t i = 0; i < peer->connections; i++) {
        close(peer->calls[i]->socket);
        free(peer->calls[i]->input);
        free(peer->calls[i]);
    }
}

void redis_peer_push(struct redis_peer *peer, const char *text)
{
    assert_non_null(peer->subscriber);
    send_text(peer->subscriber, text);
}

int redis_peer_used(const struct redis_peer *peer, size_t line)
{
    return peer->used[line];
}

size_t redis_peer_connections(const struct redis_peer *peer)
{
    return peer->connections;
}
