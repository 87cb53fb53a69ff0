/*
 * Bytes into a connection of the nghttp2 transport: its greeting, HTTP/2, gRPC's framing, its
 * limits and its end. The first byte says in pieces of which length they arrive, 0: all at once.
 */
#include "require.h"
#include "serve/h2/io.h"
#include "serve/h2/server.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t begun;
static size_t over;

static void on_begin(void *context, struct call *call)
{
    (void)context;
    begun++;
    if (strcmp(call->path, "/hold") != 0)
        call_read(call);
}

/* The message again; "/many" takes more than one. */
static void on_message(void *context, struct call *call, struct bytes message)
{
    (void)context;
    if (!call_send(call, message))
        call_finish(call, STATUS_RESOURCE_EXHAUSTED, "one is in flight");
    else if (strcmp(call->path, "/many") == 0)
        call_read(call);
    else
        call_finish(call, STATUS_OK, NULL);
}

static void on_half_closed(void *context, struct call *call)
{
    (void)context;
    call_finish(call, STATUS_INVALID_ARGUMENT, call->path);
}

static void on_writable(void *context, struct call *call)
{
    (void)context;
    (void)call;
}

static void on_ended(void *context, struct call *call, enum status status)
{
    (void)context;
    (void)call;
    (void)status;
    over++;
}

static int64_t on_turn(void *context, int64_t now_ms)
{
    (void)context;
    return now_ms + 1000;
}

static void on_drain(void *context)
{
    (void)context;
}

static const struct call_handler service = {
    .begin = on_begin,
    .message = on_message,
    .half_closed = on_half_closed,
    .writable = on_writable,
    .ended = on_ended,
    .turn = on_turn,
    .drain = on_drain,
};

static struct h2_server *server_to_fuzz(void)
{
    static struct h2_server *server;
    const struct server_options options = {.max_message_bytes = 4096, .ping_interval_ms = 30000};
    struct error error = {0};
    if (server == NULL)
        require(h2_server_new(&options, &service, &server, &error));
    return server;
}

/* What the server says is read and forgotten. */
static void discard_replies(int fd)
{
    char bytes[65536];
    while (recv(fd, bytes, sizeof(bytes), 0) > 0)
        ;
}

static void send_piece(struct h2_server *server, int fd, const uint8_t *data, size_t length)
{
    if (send(fd, data, length, MSG_NOSIGNAL) < 0)
        return;
    /* Read, served, written; and once more for what that led to. */
    for (int i = 0; i < 3; i++) {
        h2_server_turn(server, EVLOOP_NONBLOCK);
        discard_replies(fd);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct h2_server *server = server_to_fuzz();
    int ends[2];
    if (size == 0)
        return 0;
    require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    h2_io_accept(server, ends[0], "a fuzzer");
    size_t piece = data[0] == 0 ? size : data[0];
    for (size_t at = 1; at < size; at += piece)
        send_piece(server, ends[1], data + at, size - at < piece ? size - at : piece);
    close(ends[1]);
    for (int i = 0; i < 100 && (server->connection_count > 0 || server->call_count > 0); i++)
        h2_server_turn(server, EVLOOP_NONBLOCK);
    require(server->connection_count == 0);
    require(server->call_count == 0 && server->held_bytes == 0 && server->peers == NULL &&
            begun == over);
    return 0;
}
