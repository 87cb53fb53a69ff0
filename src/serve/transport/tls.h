/*
 * The certificate that the server shows, and the authority of its clients, as read from files and
 * checked: whichever transport uses it can rely on it.
 *
 * Threads: any; it does not change.
 */
#ifndef BACKLOG_SERVE_TRANSPORT_TLS_H
#define BACKLOG_SERVE_TRANSPORT_TLS_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* PEM files. */
struct tls_files {
    const char *certificate; /* and behind it its chain */
    const char *key;
    const char *client_ca; /* NULL: anybody may call; else who shows a certificate of these */
};

struct tls {
    /* PEM */
    char *certificate;
    char *key;
    char *client_ca; /* NULL: clients need not show a certificate */

    struct ssl_ctx_st
        *context;   /* OpenSSL's, of all of that; ALPN is h2, and no session is resumed */
    int64_t ends_s; /* Unix time: the certificate is valid until then */
};

/* The caller frees it. */
bool tls_load(const struct tls_files *files, struct tls **ret_tls, struct error *error);
void tls_free(struct tls *tls); /* NULL is none */

#endif
