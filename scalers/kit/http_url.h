/*
 * An http:// or https:// URL in parts: what may be shown of it, and what requests are sent with.
 *
 * Threads: any; nothing is kept.
 */
#ifndef BACKLOG_SCALERS_KIT_HTTP_URL_H
#define BACKLOG_SCALERS_KIT_HTTP_URL_H

#include "base/text.h"

#include <stdbool.h>

struct http_url {
    char *host_port; /* fit to be shown */
    char *base;      /* scheme://host:port/path, without user and without a slash at its end */
    char *user;      /* of the URL, decoded; NULL where it has none */
    char *password;
};

/* False where it is no such URL, or has parameters. Whatever it returned, end it with
 * http_url_done(). */
bool http_url_parse(const char *url, struct http_url *ret_url);
void http_url_done(struct http_url *url);

/* The same of one that may have parameters. Its `base` has the path as it is, and the parameters;
 * what is special in these must be percent-encoded. */
bool http_url_parse_whole(const char *url, struct http_url *ret_url);

/* "SERVICE at HOST", the host with its port where the URL has one, and never with a user or a
 * password. The caller frees it. */
char *http_url_server(const char *service, const char *url);

/* Adds the string to a URL, with what is special there percent-encoded. */
void http_url_add_escaped(struct text *url, const char *string);

#endif
