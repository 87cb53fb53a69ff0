#include "scalers/http_peer.h"

#include "base/clock.h"
#include "support/listener.h"

#include <arpa/inet.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_CONNECTIONS = 64 };

struct http_connection {
    int socket; /* 0: none */
    bool in_flight;
    int64_t answer_at_ms;
    char word[32];
};

static void hang_up(struct http_connection *connection)
{
    close(connection->socket);
    *connection = (struct http_connection){0};
}

static void answer(struct http_connection *connection)
{
    char body[256];
    int length = snprintf(body, sizeof(body),
                          "{\"status\":\"success\",\"data\":{\"resultType\":\"scalar\",\"result\":"
                          "[1,\"%d\"]}}",
                          atoi(connection->word));
    char reply[512];
    int size = snprintf(reply, sizeof(reply), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s",
                        length, body);
    connection->in_flight = false;
    if (send(connection->socket, reply, (size_t)size, MSG_NOSIGNAL) != size)
        hang_up(connection);
}

static void take_request(struct http_peer *peer, struct http_connection *connection)
{
    char request[4096];
    ssize_t length = read(connection->socket, request, sizeof(request) - 1);
    if (length <= 0) {
        hang_up(connection);
        return;
    }
    request[length] = '\0';
    const char *query = strstr(request, "?query=");
    if (query == NULL || sscanf(query, "?query=%31[a-z0-9]", connection->word) != 1)
        abort();
    int wait_ms = 0;
    bool is_slow = sscanf(connection->word, "slow%d", &wait_ms) == 1;
    peer->requests++;
    connection->in_flight = true;
    connection->answer_at_ms = is_slow ? clock_now_ms() + wait_ms : CLOCK_NEVER;
    if (strcmp(connection->word, "drop") == 0)
        hang_up(connection);
    else if (!is_slow && strcmp(connection->word, "hang") != 0)
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
        struct pollfd sockets[MAX_CONNECTIONS + 2] = {{peer->stop[0], POLLIN, 0},
                                                      {peer->listener, POLLIN, 0}};
        for (size_t i = 0; i < MAX_CONNECTIONS; i++)
            sockets[i + 2] = (struct pollfd){
                .fd = connections[i].socket == 0 ? -1 : connections[i].socket, .events = POLLIN};
        poll(sockets, MAX_CONNECTIONS + 2, answer_due(connections));
        if (sockets[0].revents != 0)
            break;
        for (size_t i = 0; i < MAX_CONNECTIONS; i++)
            if (sockets[i + 2].revents != 0)
                take_request(peer, &connections[i]);
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
