#include "shared/tls_socket.h"

#include "base/memory.h"
#include "base/text.h"
#include "base/tls_name.h"
#include "shared/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

struct tls_socket {
    SSL *session;
    short events;
    const char *reason;
    char *unverified; /* that reason, where it is about the certificate */
};

SSL_CTX *tls_context_new(const struct tls_options *options, struct error *error)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (context == NULL) {
        error_set(error, ERROR_INTERNAL, "OpenSSL made no context");
        return NULL;
    }
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_verify(context, options->unsafe ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    if (tls_configure(context, options, error))
        return context;
    SSL_CTX_free(context);
    return NULL;
}

struct tls_socket *tls_socket_new(SSL_CTX *context, const char *host, int socket)
{
    SSL *session = SSL_new(context);
    if (session == NULL || SSL_set_fd(session, socket) != 1) {
        SSL_free(session);
        ERR_clear_error();
        return NULL;
    }
    tls_expect_name(session, host);
    struct tls_socket *tls = memory_new(sizeof(*tls));
    *tls = (struct tls_socket){.session = session, .events = POLLOUT};
    return tls;
}

void tls_socket_free(struct tls_socket *tls)
{
    if (tls == NULL)
        return;
    SSL_free(tls->session);
    free(tls->unverified);
    free(tls);
}

void tls_socket_shut_down(struct tls_socket *tls)
{
    if (tls != NULL && SSL_is_init_finished(tls->session))
        SSL_shutdown(tls->session);
    ERR_clear_error();
}

static const char *explain(struct tls_socket *tls, int kind, int system_error)
{
    long verified = SSL_get_verify_result(tls->session);
    unsigned long code = ERR_peek_last_error();
    const char *words = NULL;
    if (verified != X509_V_OK && SSL_get_verify_mode(tls->session) != SSL_VERIFY_NONE) {
        free(tls->unverified);
        bool can_be_mended = verified != X509_V_ERR_CERT_HAS_EXPIRED; /* here */
        tls->unverified = text_format("%s%s", X509_verify_cert_error_string(verified),
                                      can_be_mended ? TLS_UNVERIFIED : "");
        return tls->unverified;
    }
    if (kind == SSL_ERROR_SYSCALL && code == 0)
        words = strerror(system_error);
    else
        words = ERR_reason_error_string(code);
    return words == NULL ? "unknown reason" : words;
}

static enum tls_result result_of(struct tls_socket *tls, int returned)
{
    int system_error = errno;
    if (returned > 0)
        return TLS_DONE;
    int kind = SSL_get_error(tls->session, returned);
    if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE) {
        tls->events = kind == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
        ERR_clear_error();
        return TLS_WAITING;
    }
    bool is_closed = kind == SSL_ERROR_ZERO_RETURN ||
                     (kind == SSL_ERROR_SYSCALL && system_error == 0 && ERR_peek_error() == 0) ||
                     ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
    tls->reason = is_closed ? "the server closed the connection" : explain(tls, kind, system_error);
    ERR_clear_error();
    return is_closed ? TLS_CLOSED : TLS_BROKEN;
}

/* OpenSSL reports no error of the socket where errno is of an earlier call. */
static void prepare(void)
{
    ERR_clear_error();
    errno = 0;
}

enum tls_result tls_socket_handshake(struct tls_socket *tls)
{
    prepare();
    return result_of(tls, SSL_connect(tls->session));
}

short tls_socket_events(const struct tls_socket *tls)
{
    return tls->events;
}

enum tls_result tls_socket_read(struct tls_socket *tls, void *buffer, size_t size,
                                size_t *ret_length)
{
    *ret_length = 0;
    prepare();
    return result_of(tls, SSL_read_ex(tls->session, buffer, size, ret_length));
}

enum tls_result tls_socket_write(struct tls_socket *tls, const void *bytes, size_t length,
                                 size_t *ret_length)
{
    *ret_length = 0;
    prepare();
    return result_of(tls, SSL_write_ex(tls->session, bytes, length, ret_length));
}

const char *tls_socket_reason(const struct tls_socket *tls)
{
    return tls->reason;
}
