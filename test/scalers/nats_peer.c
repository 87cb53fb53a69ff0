#include "scalers/nats_peer.h"

#include "base/memory.h"
#include "base/text.h"
#include "support/listener.h"
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

enum { MAX_LINE = 2048 };

struct call {
    struct nats_peer *peer;
    int socket;
    bool is_greeted;
    char late[MAX_LINE];
    bool is_deaf;
};

static void send_text(int socket, const char *text)
{
    ssize_t sent = send(socket, text, strlen(text), MSG_NOSIGNAL);
    (void)sent; /* the client may have gone */
}

static void send_message(int socket, const char *subject, const char *id, size_t bytes)
{
    _cleanup_(memory_free) char *text =
        text_format("MSG %s %s %zu\r\n%0*d\r\n", subject, id, bytes, (int)bytes, 0);
    send_text(socket, text);
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text);
    return length >= strlen(end) && strcmp(text + length - strlen(end), end) == 0;
}

/* The id of the inbox that the reply subject belongs to. */
static const char *inbox_id(struct nats_peer *peer, int socket, const char *reply)
{
    for (size_t i = 0; i < peer->subscriptions_count; i++) {
        size_t length = strlen(peer->subscriptions[i].subject);
        if (peer->subscriptions[i].socket == socket && length > 1 &&
            peer->subscriptions[i].subject[length - 1] == '*' &&
            strncmp(reply, peer->subscriptions[i].subject, length - 1) == 0)
            return peer->subscriptions[i].id;
    }
    return "0";
}

static void publish(struct nats_peer *peer, const char *subject, size_t bytes)
{
    for (size_t i = 0; i < peer->subscriptions_count; i++)
        if (strcmp(peer->subscriptions[i].subject, subject) == 0)
            send_message(peer->subscriptions[i].socket, subject, peer->subscriptions[i].id,
                         bytes == 0 ? 1 : bytes);
}

static bool is_for(const struct call *call, const struct nats_line *line)
{
    return line->connection == 0 || (line->connection <= call->peer->connections &&
                                     call->peer->sockets[line->connection - 1] == call->socket);
}

static const struct nats_line *find_line(const struct call *call, const char *subject)
{
    static const struct nats_line none = {.subject = ""};
    struct nats_peer *peer = call->peer;
    for (size_t i = 0; peer->script[i].subject != NULL; i++) {
        const struct nats_line *line = &peer->script[i];
        if (!ends_with(subject, line->subject) || !is_for(call, line) ||
            (line->times > 0 && peer->used[i] >= line->times))
            continue;
        peer->used[i]++;
        return line;
    }
    return &none;
}

static void answer(struct call *call, const char *subject, const char *reply)
{
    struct nats_peer *peer = call->peer;
    const struct nats_line *line = find_line(call, subject);
    const char *id = inbox_id(peer, call->socket, reply);
    char text[MAX_LINE];
    call->is_deaf = call->is_deaf || line->is_deaf;
    if (line->message_on != NULL)
        publish(peer, line->message_on, line->message_bytes);
    if (line->raw != NULL) {
        send_text(call->socket, line->raw);
        return;
    }
    if (line->has_no_responders)
        snprintf(text, sizeof(text), "HMSG %s %s 16 16\r\nNATS/1.0 503\r\n\r\n\r\n", reply, id);
    else if (line->is_denied)
        snprintf(text, sizeof(text), "-ERR 'Permissions Violation for Publish to \"%s\"'\r\n",
                 subject);
    else if (line->answer != NULL)
        snprintf(text, sizeof(text), "MSG %s %s %zu\r\n%s\r\n", reply, id, strlen(line->answer),
                 line->answer);
    else
        return;
    if (line->is_late) {
        snprintf(call->late, sizeof(call->late), "%s", text);
        return;
    }
    send_text(call->socket, call->late);
    call->late[0] = '\0';
    send_text(call->socket, text);
}

static void subscribe(struct call *call, const char *subject, const char *id)
{
    struct nats_peer *peer = call->peer;
    char text[MAX_LINE];
    if (peer->denied != NULL && strcmp(peer->denied, subject) == 0) {
        snprintf(text, sizeof(text), "-ERR 'Permissions Violation for Subscription to \"%s\"'\r\n",
                 subject);
        send_text(call->socket, peer->refusal == NULL ? text : peer->refusal);
        return;
    }
    size_t i = peer->subscriptions_count++;
    peer->subscriptions = memory_grow(peer->subscriptions, &peer->subscriptions_capacity, i + 1,
                                      sizeof(*peer->subscriptions));
    peer->subscriptions[i].socket = call->socket;
    snprintf(peer->subscriptions[i].subject, sizeof(peer->subscriptions[i].subject), "%s", subject);
    snprintf(peer->subscriptions[i].id, sizeof(peer->subscriptions[i].id), "%s", id);
}

static void handle(struct call *call, const char *line)
{
    char first[NATS_PEER_MAX_WORD];
    char second[NATS_PEER_MAX_WORD];
    pthread_mutex_lock(&call->peer->lock);
    if (call->is_deaf) {
        pthread_mutex_unlock(&call->peer->lock);
        return;
    }
    if (strncmp(line, "PING", 4) == 0) {
        call->peer->pings++;
        send_text(call->socket, "PONG\r\n");
    } else if (text_starts_with(line, "CONNECT "))
        snprintf(call->peer->connect, sizeof(call->peer->connect), "%s", line);
    else if (sscanf(line, "SUB %599s %599s", first, second) == 2)
        subscribe(call, first, second);
    else if (sscanf(line, "PUB %599s %599s 0", first, second) == 2)
        answer(call, first, second);
    pthread_mutex_unlock(&call->peer->lock);
}

static void *serve(void *argument)
{
    struct call *call = argument;
    char *line = NULL;
    size_t capacity = 0;
    int copy = dup(call->socket);
    FILE *input = copy < 0 ? NULL : fdopen(copy, "r");
    if (input == NULL)
        abort();
    if (call->is_greeted)
        send_text(call->socket, "INFO {\"server_id\":\"x\",\"version\":\"2.9.0\",\"proto\":1,"
                                "\"headers\":true,\"max_payload\":1048576}\r\n");
    while (getline(&line, &capacity, input) > 0)
        handle(call, line);
    free(line);
    fclose(input);
    free(call);
    return NULL;
}

static void *peer_thread(void *argument)
{
    struct nats_peer *peer = argument;
    int socket;
    while ((socket = accept(peer->listener, NULL, NULL)) >= 0) {
        struct call *call = calloc(1, sizeof(*call));
        if (call == NULL || peer->connections == NATS_PEER_CONNECTIONS)
            abort();
        call->peer = peer;
        call->socket = socket;
        call->is_greeted = peer->greeted == 0 || peer->connections < peer->greeted;
        peer->sockets[peer->connections] = socket;
        pthread_create(&peer->threads[peer->connections++], NULL, serve, call);
    }
    return NULL;
}

void nats_peer_start(struct nats_peer *peer, const struct nats_line *script)
{
    *peer = (struct nats_peer){.script = script};
    pthread_mutex_init(&peer->lock, NULL);
    int port = 0;
    peer->listener = listener_open(NATS_PEER_CONNECTIONS, &port);
    snprintf(peer->address, sizeof(peer->address), "127.0.0.1:%d", port);
    assert_int_equal(pthread_create(&peer->thread, NULL, peer_thread, peer), 0);
}

void nats_peer_stop(struct nats_peer *peer)
{
    shutdown(peer->listener, SHUT_RDWR);
    pthread_join(peer->thread, NULL);
    close(peer->listener);
    for (size_t i = 0; i < peer->connections; i++) {
        shutdown(peer->sockets[i], SHUT_RDWR);
        pthread_join(peer->threads[i], NULL);
        close(peer->sockets[i]);
    }
    free(peer->subscriptions);
    pthread_mutex_destroy(&peer->lock);
}
