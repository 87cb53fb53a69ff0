#include "client/grpc_socket.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/pem.h"
#include "base/system/file.h"
#include "base/system/host_port.h"
#include "base/text.h"
#include "base/tls_name.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LARGEST_FILE = 1 << 20, MAX_WAIT_MS = 60 * 1000 };

struct grpc_socket {
    int fd;
    SSL *tls; /* NULL: plain text */
};

void grpc_socket_free(struct grpc_socket *socket)
{
    if (socket == NULL)
        return;
    if (socket->tls != NULL)
        SSL_shutdown(socket->tls);
    ERR_clear_error();
    SSL_free(socket->tls);
    if (socket->fd >= 0)
        close(socket->fd);
    free(socket);
}

int grpc_socket_fd(const struct grpc_socket *socket)
{
    return socket->fd;
}

/* ---- TCP ---- */

static bool wait_for(int fd, short events, int64_t deadline_ms)
{
    struct pollfd poll_fd = {.fd = fd, .events = events};
    for (;;) {
        int left_ms = clock_left_ms(deadline_ms, MAX_WAIT_MS);
        int ready = poll(&poll_fd, 1, left_ms);
        if (ready > 0)
            return true;
        if ((ready < 0 && errno != EINTR) || left_ms == 0)
            return false;
    }
}

/* The socket, or -1 with errno. */
static int connect_to(const struct addrinfo *place, int64_t deadline_ms)
{
    int fd = socket(place->ai_family, place->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC,
                    place->ai_protocol);
    if (fd < 0)
        return -1;
    int failure = connect(fd, place->ai_addr, place->ai_addrlen) == 0 ? 0 : errno;
    if (failure == EINPROGRESS) {
        socklen_t size = sizeof(failure);
        if (!wait_for(fd, POLLOUT, deadline_ms))
            failure = ETIMEDOUT;
        else
            getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size);
    }
    if (failure == 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        return fd;
    }
    close(fd);
    errno = failure;
    return -1;
}

static bool open_tcp(const char *address, const char *host, const char *port, int64_t deadline_ms,
                     int *ret_fd, struct error *error)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC};
    struct addrinfo *places = NULL;
    int code = getaddrinfo(host, port, &hints, &places);
    if (code != 0)
        return error_unavailable(error, "%s: name lookup failed: %s", address, gai_strerror(code));
    *ret_fd = -1;
    for (const struct addrinfo *place = places; *ret_fd < 0 && place != NULL;
         place = place->ai_next)
        *ret_fd = connect_to(place, deadline_ms);
    freeaddrinfo(places);
    return *ret_fd >= 0 ||
           error_unavailable(error, "%s: connection failed: %s", address, strerror(errno));
}

/* ---- TLS ---- */

static bool read_file(const char *path, struct text *text, struct error *error)
{
    return file_read(path, LARGEST_FILE, text, error);
}

static bool trust(SSL_CTX *context, const struct grpc_socket_tls *files, struct error *error)
{
    _cleanup_(text_done) struct text ca = {0};
    SSL_CTX_set_verify(context, files->skips_verification ? SSL_VERIFY_NONE : SSL_VERIFY_PEER,
                       NULL);
    if (files->trusts_own || files->ca != NULL) /* as KEDA: no authority needs those above it */
        X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN);
    if (files->trusts_own) {
        _cleanup_(text_done) struct text own = {0};
        if (!read_file(files->certificate, &own, error))
            return false;
        if (own.bytes == NULL || !pem_trust(context, own.bytes))
            return error_invalid(error, "%s must hold a PEM certificate", files->certificate);
        if (files->ca == NULL)
            return true;
    }
    if (files->ca == NULL) {
        SSL_CTX_set_default_verify_paths(context);
        return true;
    }
    if (!read_file(files->ca, &ca, error))
        return false;
    return (ca.bytes != NULL && pem_trust(context, ca.bytes)) ||
           error_invalid(error, "%s must hold PEM certificates", files->ca);
}

static void key_release(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

static bool show(SSL_CTX *context, const struct grpc_socket_tls *files, struct error *error)
{
    _cleanup_(text_done) struct text certificate = {0};
    _cleanup_(text_done) struct text key_text = {0};
    if (files->certificate == NULL)
        return true;
    if (files->key == NULL)
        return error_invalid(error, "the certificate in %s needs its private key",
                             files->certificate);
    if (!read_file(files->certificate, &certificate, error) ||
        !read_file(files->key, &key_text, error))
        return false;
    _cleanup_(key_release) EVP_PKEY *key =
        key_text.bytes == NULL ? NULL : pem_key(key_text.bytes, NULL);
    if (key == NULL)
        return error_invalid(error, "%s must hold a PEM private key that is not encrypted",
                             files->key);
    if (certificate.bytes == NULL || !pem_show(context, certificate.bytes))
        return error_invalid(error, "%s must hold a PEM certificate", files->certificate);
    return pem_use_key(context, key) ||
           error_invalid(error, "%s is not the private key of the certificate in %s", files->key,
                         files->certificate);
}

/* NULL with the error set. */
static SSL_CTX *new_context(const struct grpc_socket_tls *files, struct error *error)
{
    static const unsigned char h2[] = "\x02h2";
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_alpn_protos(context, h2, sizeof(h2) - 1);
    SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY); /* tickets without end: the time is seen */
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (trust(context, files, error) && show(context, files, error))
        return context;
    SSL_CTX_free(context);
    return NULL;
}

bool grpc_socket_tls_check(const struct grpc_socket_tls *tls, struct error *error)
{
    SSL_CTX *context = tls->is_on ? new_context(tls, error) : NULL;
    bool good = !tls->is_on || context != NULL;
    SSL_CTX_free(context);
    return good;
}

static bool handshake_failed(const SSL *tls, const char *address, struct error *error)
{
    long verified = SSL_get_verify_result(tls);
    unsigned long code = ERR_peek_last_error();
    const char *reason = verified != X509_V_OK ? X509_verify_cert_error_string(verified)
                         : code != 0           ? ERR_reason_error_string(code)
                                               : "the server closed the connection";
    error_unavailable(error, "%s: TLS handshake failed: %s", address,
                      reason == NULL ? "unknown reason" : reason);
    ERR_clear_error();
    return false;
}

static bool do_handshake(SSL *tls, int fd, const char *address, int64_t deadline_ms,
                         struct error *error)
{
    for (;;) {
        ERR_clear_error();
        int done = SSL_connect(tls);
        if (done == 1)
            break;
        int reason = SSL_get_error(tls, done);
        if (reason != SSL_ERROR_WANT_READ && reason != SSL_ERROR_WANT_WRITE)
            return handshake_failed(tls, address, error);
        if (!wait_for(fd, reason == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, deadline_ms))
            return error_unavailable(error, "%s: TLS handshake timed out", address);
    }
    const unsigned char *protocol = NULL;
    unsigned length = 0;
    SSL_get0_alpn_selected(tls, &protocol, &length);
    return (length == 2 && memcmp(protocol, "h2", 2) == 0) ||
           error_unavailable(error, "%s: the server does not offer HTTP/2", address);
}

static bool start_tls(struct grpc_socket *socket, const char *address, const char *host,
                      const struct grpc_socket_tls *files, int64_t deadline_ms, struct error *error)
{
    SSL_CTX *context = new_context(files, error);
    if (context == NULL)
        return false;
    socket->tls = SSL_new(context);
    SSL_CTX_free(context); /* the connection holds it */
    SSL_set_fd(socket->tls, socket->fd);
    tls_expect_name(socket->tls, files->server_name == NULL ? host : files->server_name);
    return do_handshake(socket->tls, socket->fd, address, deadline_ms, error);
}

/* ---- the connection ---- */

bool grpc_socket_open(const char *address, const struct grpc_socket_tls *tls, int64_t deadline_ms,
                      struct grpc_socket **ret_socket, struct error *error)
{
    _cleanup_(memory_free) char *host = NULL;
    const char *port = NULL;
    int fd = -1;
    if (!host_port_split(address, &host, &port))
        return error_invalid(
            error,
            "address \"%s\" must be HOST:PORT, such as backlog.keda.svc:9090 or [fd00::1]:9090",
            address);
    if (!open_tcp(address, host, port, deadline_ms, &fd, error))
        return false;
    struct grpc_socket *socket = memory_new(sizeof(*socket));
    socket->fd = fd;
    if (tls->is_on && !start_tls(socket, address, host, tls, deadline_ms, error)) {
        SSL_free(TAKE(socket->tls)); /* no goodbye before the handshake is over */
        grpc_socket_free(socket);
        return false;
    }
    *ret_socket = socket;
    return true;
}

static ptrdiff_t tls_result(const struct grpc_socket *socket, int moved)
{
    if (moved > 0)
        return moved;
    int reason = SSL_get_error(socket->tls, moved);
    ERR_clear_error();
    return reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static ptrdiff_t plain_result(ptrdiff_t moved)
{
    if (moved > 0)
        return moved;
    return moved < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) ? 0 : -1;
}

static int clamp_to_int(size_t size)
{
    return size > INT32_MAX ? INT32_MAX : (int)size;
}

ptrdiff_t grpc_socket_read(struct grpc_socket *socket, void *buffer, size_t size)
{
    if (socket->tls != NULL)
        return tls_result(socket, SSL_read(socket->tls, buffer, clamp_to_int(size)));
    return plain_result(recv(socket->fd, buffer, size, 0));
}

ptrdiff_t grpc_socket_write(struct grpc_socket *socket, const void *bytes, size_t length)
{
    if (socket->tls != NULL)
        return tls_result(socket, SSL_write(socket->tls, bytes, clamp_to_int(length)));
    return plain_result(send(socket->fd, bytes, length, MSG_NOSIGNAL));
}
