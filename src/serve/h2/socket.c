/*
 * A connection's bytes: the socket's, or what TLS makes of them. OpenSSL reads one record at a time
 * and leaves what follows to the socket, so that whatever there is to be read, the loop sees.
 */

#include "serve/h2/socket.h"
#include "base/log.h"
#include "base/memory.h"
#include "serve/h2/tls_bio.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

bool h2_socket_wrap(struct h2_connection *connection)
{
    struct h2_server *server = connection->server;
    pthread_mutex_lock(&server->tls_lock);
    bool is_secure = server->tls != NULL;
    if (is_secure)
        connection->tls = SSL_new(server->tls->context);
    pthread_mutex_unlock(&server->tls_lock);
    if (!is_secure)
        return false;
    if (connection->tls == NULL)
        abort(); /* for want of memory alone, which ends the process (base/memory.h) */
    BIO *bio = tls_bio_new(connection->tls, connection->fd);
    SSL_set_bio(connection->tls, bio, bio);
    SSL_set_accept_state(connection->tls);
    return true;
}

void h2_socket_unwrap(struct h2_connection *connection)
{
    if (connection->tls == NULL)
        return;
    ERR_clear_error();
    if (SSL_is_init_finished(connection->tls))
        SSL_shutdown(connection->tls);
    SSL_free(connection->tls);
    connection->tls = NULL;
    ERR_clear_error();
}

void h2_socket_close(struct h2_connection *connection)
{
    SSL_free(TAKE(connection->tls));
    close(connection->fd);
    connection->fd = -1;
}

/* ---- the handshake ---- */

static void add_alternative_names(struct client_names *names, const X509 *certificate)
{
    GENERAL_NAMES *found = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(found); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(found, i);
        if (name->type == GEN_DNS || name->type == GEN_URI)
            client_names_add(names, (const char *)ASN1_STRING_get0_data(name->d.ia5),
                             (size_t)ASN1_STRING_length(name->d.ia5));
    }
    GENERAL_NAMES_free(found);
}

static void add_common_name(struct client_names *names, const X509 *certificate)
{
    const X509_NAME *subject = X509_get_subject_name(certificate);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at < 0)
        return;
    unsigned char *text = NULL;
    int length =
        ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    if (length > 0)
        client_names_add(names, (const char *)text, (size_t)length);
    OPENSSL_free(text);
}

/* The names in the client's certificate, where one was requested; OpenSSL has verified it. */
static void identify(struct h2_connection *connection)
{
    const struct h2_server *server = connection->server;
    const X509 *certificate = SSL_get0_peer_certificate(connection->tls);
    if (certificate == NULL)
        return;
    connection->names = client_names_new();
    add_alternative_names(connection->names, certificate);
    if (connection->names->given == 0)
        add_common_name(connection->names, certificate);
    if (server->client_rule != NULL)
        connection->refusal = client_names_refusal(connection->names, server->client_rule);
}

/* Has the interval passed since the last time? Then this is the next one. */
static bool is_due(const struct h2_connection *connection, int64_t *warned_ms, int64_t interval_ms)
{
    int64_t now_ms = connection->server->now_ms;
    if (*warned_ms != 0 && now_ms - *warned_ms < interval_ms)
        return false;
    *warned_ms = now_ms;
    return true;
}

enum { WARN_INTERVAL_MS = 10 * 1000, WARN_CHANNEL_INTERVAL_MS = 60 * 1000 };

void h2_socket_warn_no_tls(struct h2_connection *connection, const uint8_t *data, size_t length)
{
    enum { HANDSHAKE = 22, VERSION = 3 }; /* RFC 8446, section 5.1 */
    bool is_hello = length >= 2 && data[0] == HANDSHAKE && data[1] == VERSION;
    if (is_hello && connection->tls == NULL &&
        is_due(connection, &connection->server->channel_warned_ms, WARN_CHANNEL_INTERVAL_MS))
        log_warning("%s connects with TLS, which this server does not have: remove enableTLS from "
                    "the metadata of its triggers (for TLS to the source its scaler has another "
                    "key), or set --tls-cert and --tls-key",
                    connection->peer->address);
}

/* At most once in ten seconds: clients without a certificate reconnect again and again. They do not
 * hide a client whose name is refused, which may connect only once: that has a
 * time of its own. */
static void warn_handshake(const struct h2_connection *connection, int64_t *warned_ms,
                           const char *why)
{
    if (is_due(connection, warned_ms, WARN_INTERVAL_MS))
        log_warning("TLS handshake with %s failed: %s", connection->peer->address, why);
}

static const char *reason_of(const struct h2_connection *connection, unsigned long error)
{
    long verified = SSL_get_verify_result(connection->tls);
    if (verified != X509_V_OK)
        return X509_verify_cert_error_string(verified); /* more than "certificate verify failed" */
    const char *reason = ERR_reason_error_string(error);
    return reason == NULL ? "the connection was closed" : reason;
}

static enum h2_handshake fail(struct h2_connection *connection, const char *why)
{
    atomic_fetch_add(&connection->server->failed_handshakes, 1);
    warn_handshake(connection, &connection->server->handshake_warned_ms, why);
    return H2_HANDSHAKE_FAILED;
}

/* A probe that only connects is no failure. */
static enum h2_handshake handshake_failed(struct h2_connection *connection)
{
    unsigned long error = ERR_peek_last_error();
    int reason = ERR_GET_REASON(error);
    bool has_left = error == 0 || reason == SSL_R_UNEXPECTED_EOF_WHILE_READING;
    ERR_clear_error();
    if (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST) {
        atomic_fetch_add(&connection->server->failed_handshakes, 1);
        if (is_due(connection, &connection->server->channel_warned_ms, WARN_CHANNEL_INTERVAL_MS))
            log_warning("%s connects without TLS (%s): set enableTLS: \"true\" in the metadata of "
                        "its triggers, and authenticationRef",
                        connection->peer->address, ERR_reason_error_string(error));
        return H2_HANDSHAKE_FAILED;
    }
    return has_left ? H2_HANDSHAKE_FAILED : fail(connection, reason_of(connection, error));
}

enum h2_handshake h2_socket_handshake(struct h2_connection *connection)
{
    const unsigned char *protocol = NULL;
    unsigned length = 0;
    ERR_clear_error();
    int result = SSL_do_handshake(connection->tls);
    int wanted = SSL_get_error(connection->tls, result);
    if (wanted == SSL_ERROR_WANT_READ)
        return H2_HANDSHAKE_WANTS_READ;
    if (wanted == SSL_ERROR_WANT_WRITE)
        return H2_HANDSHAKE_WANTS_WRITE;
    if (wanted != SSL_ERROR_NONE)
        return handshake_failed(connection);
    SSL_get0_alpn_selected(connection->tls, &protocol, &length);
    if (length == 0)
        return fail(connection, "the client does not offer HTTP/2 (ALPN)");
    identify(connection);
    if (connection->refusal != NULL)
        warn_handshake(connection, &connection->server->name_warned_ms, connection->refusal);
    return H2_HANDSHAKE_DONE;
}

/* ---- the bytes ---- */

/* The result of a call of OpenSSL that moved nothing: 0: try again later; -1: the connection is
 * broken. */
static ssize_t nothing_moved(struct h2_connection *connection, int result)
{
    int wanted = SSL_get_error(connection->tls, result);
    ERR_clear_error();
    connection->tls_must_write = wanted == SSL_ERROR_WANT_WRITE;
    return wanted == SSL_ERROR_WANT_READ || wanted == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static ssize_t receive_tls(struct h2_connection *connection, uint8_t *buffer, size_t size)
{
    size_t received = 0;
    ERR_clear_error();
    int result = SSL_read_ex(connection->tls, buffer, size, &received);
    if (result == 1)
        return (ssize_t)received;
    ssize_t nothing = nothing_moved(connection, result);
    if (connection->tls_must_write)
        h2_socket_await(connection, false, true);
    return nothing;
}

ssize_t h2_socket_receive(struct h2_connection *connection, uint8_t *buffer, size_t size)
{
    if (connection->tls != NULL)
        return receive_tls(connection, buffer, size);
    ssize_t received = recv(connection->fd, buffer, size, 0);
    if (received > 0)
        return received;
    return received < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

/* A record after the other. What was not taken must be given again, from there on. */
static ssize_t send_tls(struct h2_connection *connection, const uint8_t *data, size_t length)
{
    size_t sent = 0;
    connection->tls_must_write = false;
    while (sent < length) {
        size_t now = 0;
        ERR_clear_error();
        int result = SSL_write_ex(connection->tls, data + sent, length - sent, &now);
        if (result != 1 && nothing_moved(connection, result) < 0)
            return -1;
        if (result != 1)
            break;
        sent += now;
    }
    return (ssize_t)sent;
}

ssize_t h2_socket_send(struct h2_connection *connection, const uint8_t *data, size_t length)
{
    if (connection->tls != NULL)
        return send_tls(connection, data, length);
    ssize_t sent = send(connection->fd, data, length, MSG_NOSIGNAL);
    if (sent >= 0)
        return sent;
    return errno == EAGAIN || errno == EINTR ? 0 : -1;
}

static void set_event(struct event *event, bool is_wanted)
{
    if (is_wanted)
        event_add(event, NULL);
    else
        event_del(event);
}

void h2_socket_await(struct h2_connection *connection, bool readable, bool writable)
{
    if (readable && event_pending(&connection->readable, EV_READ, NULL) == 0)
        connection->reads_since_ms = connection->server->now_ms;
    set_event(&connection->readable, readable);
    set_event(&connection->writable, writable);
}
