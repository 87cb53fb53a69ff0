#include "scalers/http_peer.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "support/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_CONNECTIONS = 64, RELEASED_MS = 100 };

struct http_connection {
    int socket;  /* 0: none */
    char *reply; /* NULL: all has been sent */
    size_t sent; /* of it */
    size_t length;
    bool in_flight;
    int64_t answer_at_ms;
    bool drops; /* instead of an answer */
    char word[32];
};

static void hang_up(struct http_connection *connection)
{
    close(connection->socket);
    free(connection->reply);
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
    connection->reply = text_format("HTTP/1.1 %d Some\r\nContent-Length: %d\r\n\r\n%-*s", status,
                                    length, padded_size, body);
    connection->sent = 0;
    connection->length = strlen(connection->reply);
    connection->in_flight = false;
}

/* As much as there is room for, which the client makes by reading. */
static void send_reply(struct http_connection *connection)
{
    ssize_t sent = send(connection->socket, connection->reply + connection->sent,
                        connection->length - connection->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN) {
        hang_up(connection);
        return;
    }
    connection->sent += sent > 0 ? (size_t)sent : 0;
    if (connection->sent == connection->length)
        free(TAKE(connection->reply));
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
    const char *ping = strcmp(connection->word, "1") == 0 ? TAKE(peer->ping) : NULL;
    if (ping == NULL)
        return;
    snprintf(connection->word, sizeof(connection->word), "%s", ping);
    peer->was_pinged = true;
}

static void take_request(struct http_peer *peer, struct http_connection *connections,
                         struct http_connection *connection)
{
    ssize_t length =
        recv(connection->socket, peer->request, sizeof(peer->request) - 1, MSG_DONTWAIT);
    if (length < 0 && errno == EAGAIN)
        return;
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
}

static void count_in_flight(struct http_peer *peer, const struct http_connection *connections)
{
    size_t count = 0;
    for (size_t i = 0; i < MAX_CONNECTIONS; i++)
        count += connections[i].in_flight;
    if (count > peer->max_in_flight)
        peer->max_in_flight = count;
}

static void accept_all(const struct http_peer *peer)
{
    for (size_t i = 0; i < MAX_CONNECTIONS; i++) {
        int socket = peer->connections[i].socket == 0 ? accept(peer->listener, NULL, NULL) : 0;
        if (socket < 0)
            return;
        if (socket > 0)
            peer->connections[i].socket = socket;
    }
}

/* Returns when there is more to do. */
static int64_t serve(struct http_peer *peer, struct http_connection *connection)
{
    if (connection->socket != 0)
        take_request(peer, peer->connections, connection);
    if (connection->in_flight && connection->answer_at_ms <= clock_now_ms())
        answer(connection);
    if (connection->reply != NULL)
        send_reply(connection);
    if (connection->socket != 0 && !socket_is_settled(connection->socket))
        return clock_now_ms();
    return connection->in_flight ? connection->answer_at_ms : CLOCK_NEVER;
}

static int64_t work(void *context)
{
    struct http_peer *peer = context;
    int64_t next_ms = CLOCK_NEVER;
    accept_all(peer);
    for (size_t i = 0; i < MAX_CONNECTIONS; i++)
        next_ms = clock_earlier(next_ms, serve(peer, &peer->connections[i]));
    count_in_flight(peer, peer->connections);
    return next_ms;
}

void http_peer_start(struct http_peer *peer)
{
    *peer = (struct http_peer){
        .connections = memory_array(MAX_CONNECTIONS, sizeof(*peer->connections)),
        .time = {.work = work, .context = peer},
    };
    int port = 0;
    peer->listener = listener_open(MAX_CONNECTIONS, &port);
    fcntl(peer->listener, F_SETFL, O_NONBLOCK);
    snprintf(peer->address, sizeof(peer->address), "http://127.0.0.1:%d", port);
    fast_time_add(&peer->time);
}

void http_peer_stop(struct http_peer *peer)
{
    fast_time_remove(&peer->time);
    for (size_t i = 0; i < MAX_CONNECTIONS; i++)
        if (peer->connections[i].socket != 0)
            hang_up(&peer->connections[i]);
    free(peer->connections);
    close(peer->listener);
}
