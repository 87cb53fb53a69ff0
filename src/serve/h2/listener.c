/*
 * New connections, and the limits on them.
 *
 * At the limit a connection that has not sent its SETTINGS is closed, or else one of the address
 * that has the most, so that nobody who opens connections locks others out.
 */

#include "serve/h2/listener.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/system/listen.h"
#include "base/text.h"
#include "serve/h2/connection.h"
#include "serve/h2/io.h"
#include "serve/h2/output.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Accepted in one turn; the rest in the next. */
enum { MAX_ACCEPTS_PER_TURN = 64 };

/* ---- limits ---- */

static int open_spare(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* GOAWAY, with ENHANCE_YOUR_CALM as the reason, behind SETTINGS, which have to come first. Who
 * speaks TLS gets a fatal alert: internal_error, as there is none for a server that is full. */
static void refuse(struct h2_server *server, int fd)
{
    static const uint8_t alert[] = {SSL3_RT_ALERT,        3, 1, 0, 2, SSL3_AL_FATAL,
                                    SSL_AD_INTERNAL_ERROR};
    static const uint8_t goaway[] = {
        0, 0, 0, NGHTTP2_SETTINGS,
        0, 0, 0, 0,
        0, /* nothing to set */
        0, 0, 8, NGHTTP2_GOAWAY,
        0, 0, 0, 0,
        0, /* of the connection */
        0, 0, 0, 0,
        0, 0, 0, NGHTTP2_ENHANCE_YOUR_CALM, /* no stream was seen */
    };
    pthread_mutex_lock(&server->tls_lock);
    bool has_tls = server->tls != NULL;
    pthread_mutex_unlock(&server->tls_lock);
    if (has_tls)
        send(fd, alert, sizeof(alert), MSG_NOSIGNAL);
    else
        send(fd, goaway, sizeof(goaway), MSG_NOSIGNAL);
    close(fd);
}

static bool is_silent(const struct h2_connection *connection)
{
    return !connection->has_settings || connection->phase == H2_LINGERING;
}

/* The oldest of one address, or (NULL) of all. */
static struct h2_connection *oldest_silent(const struct h2_server *server,
                                           const struct h2_peer *peer)
{
    struct h2_connection *connection;
    TAILQ_FOREACH(connection, &server->connections, all)
        if (is_silent(connection) && (peer == NULL || connection->peer == peer))
            return connection;
    return NULL;
}

/* Of the address with the largest number, the oldest without a call, or else the oldest. NULL where
 * the newcomer's address would not have fewer than that one then. */
static struct h2_connection *greediest(const struct h2_server *server,
                                       const struct h2_peer *newcomer)
{
    const struct h2_peer *largest = NULL;
    for (const struct h2_peer *peer = server->peers; peer != NULL; peer = peer->hh.next)
        if (largest == NULL || peer->connections > largest->connections)
            largest = peer;
    size_t of_newcomer = newcomer == NULL ? 0 : newcomer->connections;
    if (largest == NULL || largest->connections <= of_newcomer + 1)
        return NULL;
    struct h2_connection *oldest = NULL;
    struct h2_connection *connection;
    TAILQ_FOREACH(connection, &server->connections, all) {
        if (connection->peer != largest)
            continue;
        if (LIST_EMPTY(&connection->calls))
            return connection;
        if (oldest == NULL)
            oldest = connection;
    }
    return oldest;
}

/* Whether there is a place, after another connection had to leave one: a silent one (of the peer,
 * or of anybody), or one of the greediest. */
static bool free_place(struct h2_server *server, enum h2_limit limit, size_t count,
                       const char *address, const struct h2_peer *peer)
{
    if (count < (size_t)server->limits.max[limit])
        return true;
    h2_limit_hit(&server->limits, limit, address, server->now_ms);
    bool is_of_all = limit == H2_CONNECTIONS;
    struct h2_connection *leaver = oldest_silent(server, is_of_all ? NULL : peer);
    if (leaver == NULL && is_of_all)
        leaver = greediest(server, peer);
    if (leaver == NULL)
        return false;
    h2_output_abort(leaver);
    return true;
}

static void name_address(const struct sockaddr *address, socklen_t length, char *name, size_t size)
{
    static const char mapped[] = "::ffff:"; /* an IPv4 client, as an IPv6 socket sees it */
    if (getnameinfo(address, length, name, (socklen_t)size, NULL, 0, NI_NUMERICHOST) != 0)
        snprintf(name, size, "unknown");
    if (text_starts_with(name, mapped))
        memmove(name, name + strlen(mapped), strlen(name) - strlen(mapped) + 1);
}

static bool has_place(struct h2_server *server, const char *address)
{
    const struct h2_peer *peer = h2_peer_find(server->peers, address);
    size_t of_peer = peer == NULL ? 0 : peer->connections;
    if (!free_place(server, H2_PEER_CONNECTIONS, of_peer, address, peer))
        return false;
    peer = h2_peer_find(server->peers, address); /* its last connection may have been closed */
    return free_place(server, H2_CONNECTIONS, server->connection_count, address, peer);
}

static void accept_connection(struct h2_server *server, int fd, const char *address)
{
    if (!has_place(server, address)) {
        refuse(server, fd);
        return;
    }
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    h2_io_accept(server, fd, address);
}

/* ---- accepting ---- */

static int accept_one(const struct h2_server *server, char *name, size_t size)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof(address);
    int fd = accept4(server->listen_fd, (struct sockaddr *)&address, &length,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0)
        name_address((const struct sockaddr *)&address, length, name, size);
    return fd;
}

static void pause_listener(struct h2_server *server)
{
    server->is_paused = true;
    event_del(server->listening);
}

/* Left alone, a connection for which there is no descriptor would have the loop spin: it stays in
 * the backlog, and is reported again and again. */
static void refuse_with_spare(struct h2_server *server)
{
    char address[H2_ADDRESS_BYTES];
    h2_limit_hit(&server->limits, H2_DESCRIPTORS, "the server", server->now_ms);
    struct h2_connection *silent = oldest_silent(server, NULL);
    if (silent != NULL) {
        h2_connection_free(silent);
        return;
    }
    if (server->spare_fd >= 0)
        close(server->spare_fd);
    int fd = accept_one(server, address, sizeof(address));
    if (fd >= 0)
        refuse(server, fd);
    server->spare_fd = open_spare();
    if (fd < 0 || server->spare_fd < 0)
        pause_listener(server); /* somebody else took it */
}

static void can_accept(evutil_socket_t listen_fd, short what, void *argument)
{
    (void)listen_fd;
    (void)what;
    struct h2_server *server = argument;
    server->now_ms = clock_now_ms();
    for (int i = 0; i < MAX_ACCEPTS_PER_TURN && !server->is_paused; i++) {
        char address[H2_ADDRESS_BYTES];
        int fd = accept_one(server, address, sizeof(address));
        if (fd >= 0)
            accept_connection(server, fd, address);
        else if (errno == EMFILE || errno == ENFILE) {
            refuse_with_spare(server);
            return; /* without a descriptor it would be this error even if nobody else waits */
        } else if (errno == ENOBUFS || errno == ENOMEM)
            pause_listener(server);
        else if (errno == EAGAIN)
            return;
    }
}

void h2_listener_resume(struct h2_server *server)
{
    if (!server->is_paused)
        return;
    if (server->spare_fd < 0)
        server->spare_fd = open_spare();
    if (server->spare_fd < 0 || server->listening == NULL)
        return;
    server->is_paused = false;
    event_add(server->listening, NULL);
}

bool h2_listener_open(struct h2_server *server, const char *address, struct error *error)
{
    server->listen_fd = listen_open(address, error);
    if (server->listen_fd < 0)
        return false;

    server->server.port = listen_port(server->listen_fd);
    server->spare_fd = open_spare();
    server->listening =
        event_new(server->base, server->listen_fd, EV_READ | EV_PERSIST, can_accept, server);
    event_add(server->listening, NULL);
    return true;
}

void h2_listener_close(struct h2_server *server)
{
    if (server->listening != NULL)
        event_free(TAKE(server->listening));
    if (server->listen_fd >= 0)
        close(server->listen_fd);
    if (server->spare_fd >= 0)
        close(server->spare_fd);
    server->listen_fd = -1;
    server->spare_fd = -1;
}
