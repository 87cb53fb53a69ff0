#include "rabbitmq/amqp/socket.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/system/socket.h"
#include "base/text.h"
#include "shared/address_time.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_WAIT_MS = 60 * 1000 };

bool rabbitmq_socket_wait(const struct rabbitmq_socket *socket, short events, int64_t deadline_ms)
{
    struct pollfd descriptor = {.fd = socket->fd, .events = events};
    for (;;) {
        int left_ms = clock_left_ms(deadline_ms, MAX_WAIT_MS);
        if (left_ms == 0)
            return false;
        if (poll(&descriptor, 1, left_ms) > 0)
            return true;
    }
}

/* Returns an errno. */
static int connect_to(struct rabbitmq_socket *rabbitmq, const struct addrinfo *place,
                      int64_t deadline_ms)
{
    int failure = 0;
    socklen_t size = sizeof(failure);
    rabbitmq->fd = socket(place->ai_family, place->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC,
                          place->ai_protocol);
    if (rabbitmq->fd < 0)
        return errno;
    socket_bound_buffers(rabbitmq->fd, SOCKET_SOURCE_BYTES);
    setsockopt(rabbitmq->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    setsockopt(rabbitmq->fd, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int));
    if (connect(rabbitmq->fd, place->ai_addr, place->ai_addrlen) == 0)
        return 0;
    failure = errno;
    if (failure == EINPROGRESS && !rabbitmq_socket_wait(rabbitmq, POLLOUT, deadline_ms))
        failure = ETIMEDOUT;
    else if (failure == EINPROGRESS)
        getsockopt(rabbitmq->fd, SOL_SOCKET, SO_ERROR, &failure, &size);
    if (failure == 0)
        return 0;
    close(rabbitmq->fd);
    rabbitmq->fd = -1;
    return failure;
}

static bool cannot_connect(const struct rabbitmq_url *url, const char *why, struct error *error)
{
    return error_unavailable(error, "cannot connect to RabbitMQ at %s:%d: %s", url->host, url->port,
                             why);
}

/* The host name is looked up by getaddrinfo(), whose own time-outs may exceed the deadline. */
static bool open_tcp(struct rabbitmq_socket *socket, const struct rabbitmq_url *url,
                     int64_t deadline_ms, struct error *error)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC};
    struct addrinfo *places = NULL;
    _cleanup_(memory_free) char *port = text_format("%d", url->port);
    int code = getaddrinfo(url->host, port, &hints, &places);
    if (code != 0)
        return cannot_connect(url, gai_strerror(code), error);
    int remaining = 0;
    for (const struct addrinfo *place = places; place != NULL; place = place->ai_next)
        remaining++;
    int failure = 0;
    for (const struct addrinfo *place = places; socket->fd < 0 && place != NULL;
         place = place->ai_next)
        failure =
            connect_to(socket, place, address_deadline(clock_now_ms(), deadline_ms, remaining--));
    freeaddrinfo(places);
    return failure == 0 || cannot_connect(url, strerror(failure), error);
}

static bool handshake_failed(const struct rabbitmq_url *url, const char *why, struct error *error)
{
    return error_unavailable(error, "cannot connect to RabbitMQ at %s:%d: TLS handshake failed: %s",
                             url->host, url->port, why);
}

static bool handshake(const struct rabbitmq_socket *socket, const struct rabbitmq_url *url,
                      int64_t deadline_ms, struct error *error)
{
    for (;;) {
        enum tls_result result = tls_socket_handshake(socket->tls);
        if (result == TLS_DONE)
            return true;
        if (result != TLS_WAITING)
            return handshake_failed(url, tls_socket_reason(socket->tls), error);
        if (!rabbitmq_socket_wait(socket, tls_socket_events(socket->tls), deadline_ms))
            return handshake_failed(url, "no answer in time (does this port speak TLS?)", error);
    }
}

bool rabbitmq_socket_open(struct rabbitmq_socket *ret_socket, const struct rabbitmq_url *url,
                          const struct tls_options *tls, int64_t deadline_ms, struct error *error)
{
    *ret_socket = (struct rabbitmq_socket){.fd = -1};
    if (url->has_tls) {
        ret_socket->context = tls_context_new(tls, error);
        if (ret_socket->context == NULL)
            return false;
    }
    if (!open_tcp(ret_socket, url, deadline_ms, error))
        return false;
    if (!url->has_tls)
        return true;
    ret_socket->tls = tls_socket_new(ret_socket->context, url->host, ret_socket->fd);
    if (ret_socket->tls == NULL)
        return error_set(error, ERROR_INTERNAL, "OpenSSL made no connection");
    return handshake(ret_socket, url, deadline_ms, error);
}

void rabbitmq_socket_close(struct rabbitmq_socket *socket)
{
    tls_socket_shut_down(socket->tls);
    tls_socket_free(socket->tls);
    SSL_CTX_free(socket->context);
    if (socket->fd >= 0)
        close(socket->fd);
    *socket = (struct rabbitmq_socket){.fd = -1};
}

/* What recv() or send() returned. */
static bool moved(ssize_t length, size_t *ret_length, const char **ret_reason)
{
    *ret_length = length > 0 ? (size_t)length : 0;
    if (length >= 0 || errno == EAGAIN || errno == EINTR)
        return true;
    *ret_reason = strerror(errno);
    return false;
}

static bool moved_over_tls(const struct rabbitmq_socket *socket, enum tls_result result,
                           const char **ret_reason)
{
    if (result == TLS_DONE || result == TLS_WAITING)
        return true;
    *ret_reason = tls_socket_reason(socket->tls);
    return false;
}

bool rabbitmq_socket_read(const struct rabbitmq_socket *socket, void *buffer, size_t size,
                          size_t *ret_length, const char **ret_reason)
{
    if (socket->tls != NULL)
        return moved_over_tls(socket, tls_socket_read(socket->tls, buffer, size, ret_length),
                              ret_reason);
    ssize_t length = recv(socket->fd, buffer, size, 0);
    *ret_reason = "the broker closed the connection";
    return length != 0 && moved(length, ret_length, ret_reason);
}

bool rabbitmq_socket_write(const struct rabbitmq_socket *socket, const char *bytes, size_t length,
                           size_t *ret_length, const char **ret_reason)
{
    if (socket->tls != NULL)
        return moved_over_tls(socket, tls_socket_write(socket->tls, bytes, length, ret_length),
                              ret_reason);
    return moved(send(socket->fd, bytes, length, MSG_NOSIGNAL), ret_length, ret_reason);
}
