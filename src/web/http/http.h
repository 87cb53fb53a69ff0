/*
 * The HTTP port: what people and machines read of this server. Nothing here changes anything. With
 * a login (login.h) pages that are not open get 401 without it, and /login is where browsers show
 * the token.
 *
 * A page is one row: a path, and the function that writes it. A connection carries one request: it
 * is closed after the answer, or after 5 s in any case. There are only so many of them at a time:
 * at the limit, the oldest of the address that has the most is closed, as many as new ones wait.
 * Streams (stream.h) stay open, and have a limit of their own. A request for a host that is not
 * permitted (host.h) gets 403.
 *
 * Threads: a server has one of its own, on which every page is written, one at a time.
 */
#ifndef BACKLOG_WEB_HTTP_HTTP_H
#define BACKLOG_WEB_HTTP_HTTP_H

#include "base/error.h"
#include "base/text.h"
#include "web/http/host.h"
#include "web/http/login.h"
#include "web/http/stream.h"

#include <stddef.h>

enum { WEB_MAX_SEGMENTS = 4 };

/* The request for a page, decoded; valid while it is written. */
struct web_request {
    char *below[WEB_MAX_SEGMENTS]; /* the path's segments below the page's own */
    size_t below_count;
    const char *target; /* path and query, as they came: still percent-encoded */
    void *parameters;   /* for web_parameter() */
};

/* The value of ?name=value; NULL where there is none. */
const char *web_parameter(const struct web_request *request, const char *name);

struct web_answer {
    int code;         /* 200, if the page sets no other */
    const char *type; /* static; plain text, if the page sets no other */
    struct text body;
};

struct web_page {
    const char *path; /* "/metrics"; "/api/triggers/" stands for what lies below it */
    void (*get)(void *context, const struct web_request *request, struct web_answer *answer);
    void *context;
    const struct stream_hooks *stream; /* instead of `get`: an answer that goes on; or NULL */
    bool is_open;                      /* without a login, too */
};

struct web;

/* Borrowed: what they point to lives as long as the server. */
struct web_settings {
    const char
        *listen; /* "host:port" or ":port"; where host is a name, it is permitted as a Host, too */
    const struct web_page *pages; /* ends with an empty row */
    struct web_hosts hosts;
    struct login *login;         /* NULL: all pages are open */
    void (*tick)(void *context); /* once per second, on the thread of the pages; or NULL */
    void *tick_context;
};

bool web_start(const struct web_settings *settings, struct web **ret_web, struct error *error);
int web_port(const struct web *web);
void web_stop(struct web *web); /* from another thread than its own; NULL is harmless */

#endif
