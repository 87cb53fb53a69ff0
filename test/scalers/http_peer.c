#include "scalers/http_peer.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "support/listener.h"

#include <arpa/inet.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_CONNECTIONS = 64, RELEASED_MS = 100 };

struct http_connection {
    int socket; /* 0: none */
    bool in_flight;
    int64_t answer_at_ms;
    bool drops; /* instead of an answer */
    char word[32];
};

static void hang_up(struct http_connection *connection)
{
    close(connection->socket);
    *connection = (struct http_connection){0};
}

static void answer(struct http_connection *connection)
{
    if (connection->drops) {
        hang_up(connection);
        return;
    }
    int status = 200;
    int padded_size = 0;
    sscanf(connection->word, "status%d", &status);
    sscanf(connection->word, "size%d", &padded_size);
    char body[256];
    snprintf(body, sizeof(body),
             "{\"status\":\"success\",\"data\":{\"resultType\":\"scalar\",\"result\":"
             "[1,\"%d\"]}}",
             atoi(connection->word));
    int length = MAX((int)strlen(body), padded_size);
    _cleanup_(memory_free) char *reply = text_format(
        "HTTP/1.1 %d Some\r\nContent-Length: %d\r\n\r\n%-*s", status, length, padded_size, body);
    ssize_t size = (ssize_t)strlen(reply);
    connection->in_flight = false;
    if (send(connection->socket, reply, (size_t)size, MSG_NOSIGNAL) != size)
        hang_up(connection);
}

static bool is_waiting(const struct http_connection *connection, const char *word)
{
    return connection->in_flight && strcmp(connection->word, word) == 0;
}

/* What waited for these words. */
static void answer_waiting(const struct http_peer *peer, struct http_connection *connections,
                           bool releases)
{
    for (size_t i = 0; i < MAX_CONNECTIONS; i++) {
        if (peer->was_pinged && is_waiting(&connections[i], "pinged"))
            answer(&connections[i]);
        else if (releases && is_waiting(&connections[i], "held"))
            hang_up(&connections[i]);
    }
}

/* When it is answered. */
static int64_t answer_ms(struct http_connection *connection)
{
    static const char *const waiting[] = {"hang", "held", "pinged"};
    const char *word = connection->word;
    int wait_ms = 0;
    connection->drops = strncmp(word, "drop", 4) == 0;
    if (sscanf(word, "slow%d", &wait_ms) == 1 || sscanf(word, "drop%d", &wait_ms) == 1)
        return clock_now_ms() + wait_ms;
    if (strcmp(word, "release") == 0)
        return clock_now_ms() + RELEASED_MS;
    for (size_t i = 0; i < sizeof(waiting) / sizeof(waiting[0]); i++)
        if (strcmp(word, waiting[i]) == 0)
            return CLOCK_NEVER;
    return 0;
}

static void take_word(struct http_peer *peer, struct http_connection *connection)
{
    const char *query = strstr(peer->request, "?query=");
    if (query == NULL || sscanf(query, "?query=%31[a-z0-9]", connection->word) != 1)
        abort();
    const char *ping =
        strcmp(connection->word, "1") == 0 ? atomic_exchange(&peer->ping, NULL) : NULL;
    if (ping == NULL)
        return;
    snprintf(connection->word, sizeof(connection->word), "%s", ping);
    peer->was_pinged = true;
}

static void take_request(struct http_peer *peer, struct http_connection *connections,
                         struct http_connection *connection)
{
    ssize_t length = read(connection->socket, peer->request, sizeof(peer->request) - 1);
    if (length <= 0) {
        hang_up(connection);
        return;
    }
    peer->request[length] = '\0';
    take_word(peer, connection);
    peer->requests++;
    connection->in_flight = true;
    connection->answer_at_ms = answer_ms(connection);
    answer_waiting(peer, connections, strcmp(connection->word, "release") == 0);
    if (connection->in_flight && connection->answer_at_ms == 0)
        answer(connection);
}

static void count_in_flight(struct http_peer *peer, const struct http_connection *connections)
{
    size_t count = 0;
    for (size_t i = 0; i < MAX_CONNECTIONS; i++)
        count += connections[i].in_flight;
    if (count > peer->max_in_flight)
        peer->max_in_flight = count;
}

static int answer_due(struct http_connection *connections)
{
    int64_t next_ms = CLOCK_NEVER;
    for (size_t i = 0; i < MAX_CONNECTIONS; i++) {
        struct http_connection *connection = &connections[i];
        if (!connection->in_flight)
            continue;
        if (connection->answer_at_ms <= clock_now_ms())
            answer(connection);
        else if (connection->answer_at_ms < next_ms)
            next_ms = connection->answer_at_ms;
    }
    return next_ms == CLOCK_NEVER ? -1 : clock_left_ms(next_ms, INT_MAX);
}

static void accept_one(const struct http_peer *peer, struct http_connection *connections)
{
    int socket = accept(peer->listener, NULL, NULL);
    for (size_t i = 0; i < MAX_CONNECTIONS; i++)
        if (connections[i].socket == 0) {
            connections[i].socket = socket;
            return;
        }
    abort();
}

static void *serve(void *opaque)
{
    struct http_peer *peer = opaque;
    struct http_connection connections[MAX_CONNECTIONS] = {0};
    for (;;) {
        int wait_ms = answer_due(connections); /* it closes some */
        struct pollfd sockets[MAX_CONNECTIONS + 2] = {{peer->stop[0], POLLIN, 0},
                                                      {peer->listener, POLLIN, 0}};
        for (size_t i = 0; i < MAX_CONNECTIONS; i++)
            sockets[i + 2] = (struct pollfd){
                .fd = connections[i].socket == 0 ? -1 : connections[i].socket, .events = POLLIN};
        poll(sockets, MAX_CONNECTIONS + 2, wait_ms);
        if (sockets[0].revents != 0)
            break;
        for (size_t i = 0; i < MAX_CONNECTIONS; i++)
            if (sockets[i + 2].revents != 0)
                take_request(peer, connections, &connections[i]);
        if (sockets[1].revents != 0)
            accept_one(peer, connections);
        count_in_flight(peer, connections);
    }
    for (size_t i = 0; i < MAX_CONNECTIONS; i++)
        if (connections[i].socket != 0)
            close(connections[i].socket);
    close(peer->listener);
    return NULL;
}

void http_peer_start(struct http_peer *peer)
{
    *peer = (struct http_peer){0};
    int port = 0;
    peer->listener = listener_open(MAX_CONNECTIONS, &port);
    if (pipe(peer->stop) != 0 || pthread_create(&peer->thread, NULL, serve, peer) != 0)
        abort();
    snprintf(peer->address, sizeof(peer->address), "http://127.0.0.1:%d", port);
}

void http_peer_stop(struct http_peer *peer)
{
    close(peer->stop[1]);
    pthread_join(peer->thread, NULL);
    close(peer->stop[0]);
}
