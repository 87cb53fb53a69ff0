/*
 * An http:// or https:// URL in parts: what may be shown of it, and what requests are sent with.
 *
 * Threads: any; nothing is kept.
 */
#ifndef BACKLOG_SCALERS_SHARED_HTTP_ADDRESS_H
#define BACKLOG_SCALERS_SHARED_HTTP_ADDRESS_H

#include "base/text.h"

#include <stdbool.h>

struct http_address {
    char *host_port; /* fit to be shown */
    char *base;      /* scheme://host:port/path, without user and without a slash at its end */
    char *user;      /* of the URL, decoded; NULL where it has none */
    char *password;
};

/* False where it is no such URL, or has parameters. Whatever it returned, end it with
 * http_address_done(). */
bool http_address_parse(const char *url, struct http_address *ret_address);
void http_address_done(struct http_address *address);

/* "SERVICE at HOST", the host with its port where the URL has one. The caller frees it. */
char *http_server_name(const char *service, const char *url);

/* Adds the string to a URL, with what is special there percent-encoded. */
void http_add_escaped(struct text *url, const char *string);

#endif
