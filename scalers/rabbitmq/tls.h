/*
 * TLS to RabbitMQ, the same for AMQP and the management API: both libraries let us at OpenSSL's
 * context, so that certificates and keys need not pass through files.
 */
#ifndef BACKLOG_RABBITMQ_TLS_H
#define BACKLOG_RABBITMQ_TLS_H

#include "base/error.h"
#include "rabbitmq/options.h"

#include <openssl/ssl.h>

/* Trusts the system's roots and `ca`, and shows `cert` with `key` where they are given. */
bool rabbitmq_tls_configure(SSL_CTX *context, const struct rabbitmq_connection *options,
                            struct error *error);

/* The certificate must be for this host name or address. librabbitmq's own check knows no addresses. */
bool rabbitmq_tls_expect(SSL_CTX *context, const char *host, struct error *error);

#endif
