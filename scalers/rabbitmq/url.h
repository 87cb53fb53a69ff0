/*
 * The `host` of a trigger: amqp://user:password@host:port/vhost, or the management API as
 * http://user:password@host:port/prefix/vhost; amqps and https likewise.
 *
 * Threads: any. No error of this file shows a part of the URL: a mistyped one may have its password
 * anywhere.
 */
#ifndef BACKLOG_SCALERS_RABBITMQ_URL_H
#define BACKLOG_SCALERS_RABBITMQ_URL_H

#include "base/error.h"
#include "rabbitmq/options.h"

#include <stdbool.h>
#include <stddef.h>

/* SASL's, of a login over AMQP. */
enum rabbitmq_mechanism {
    RABBITMQ_MECHANISM_PLAIN,
    RABBITMQ_MECHANISM_AMQPLAIN,
    RABBITMQ_MECHANISM_EXTERNAL, /* the client's certificate identifies the user */
};
enum { RABBITMQ_MECHANISMS = RABBITMQ_MECHANISM_EXTERNAL + 1 };

extern const char *const rabbitmq_mechanisms[]; /* their names, by enum rabbitmq_mechanism */

struct rabbitmq_url {
    bool is_http; /* the management API, else AMQP */
    bool has_tls;
    char *host; /* an IPv6 address stands without its brackets */
    int port;
    char *user; /* NULL: none were given (the management API only: AMQP has guest, guest) */
    char *password;
    enum rabbitmq_mechanism mechanisms[RABBITMQ_MECHANISMS]; /* AMQP: the preferred one first */
    size_t mechanisms_count;
    char *vhost;  /* decoded */
    char *prefix; /* of the management API: "" or "/some/path", encoded as it was written */
};

/* Takes `host`, and username, password and vhostName, which override its parts. */
bool rabbitmq_url_parse(const struct rabbitmq_connection_options *options,
                        struct rabbitmq_url *ret_url, struct error *error);
void rabbitmq_url_done(struct rabbitmq_url *url);

/* A name for a path or a query, percent-encoded; the caller frees it. */
char *rabbitmq_url_escaped(const char *name);

/* The same as Go's url.QueryEscape writes it, with + for a space; the caller frees it. */
char *rabbitmq_url_query_escaped(const char *name);

#endif
