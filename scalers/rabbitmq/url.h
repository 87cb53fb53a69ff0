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

struct rabbitmq_url {
    bool is_http; /* the management API, else AMQP */
    bool has_tls;
    char *host; /* an IPv6 address stands without its brackets */
    int port;
    char *user; /* NULL: none were given (the management API only: AMQP has guest, guest) */
    char *password;
    /* AMQP: the client's certificate identifies the user; neither of the two is sent. */
    bool is_external;
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
