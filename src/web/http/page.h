/*
 * The pages of the HTTP port: each is a row of a table, with its path and the function that writes
 * it; and the settings that all of them share.
 *
 * Threads: a page is written on the HTTP server's, one at a time.
 */
#ifndef BACKLOG_WEB_HTTP_PAGE_H
#define BACKLOG_WEB_HTTP_PAGE_H

#include "base/text.h"
#include "web/http/host.h"
#include "web/http/login.h"
#include "web/http/stream.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

/* Digits and nothing else; false: they are none, or too many. */
bool web_parse_number(const char *text, uint64_t *ret_number);

struct web_answer {
    int code;         /* 200, if the page sets no other */
    const char *type; /* static; plain text, if the page sets no other */
    struct text body;
};

struct web_page {
    const char *path; /* "/metrics"; "/api/triggers/" stands for what lies below it */
    void (*get)(void *context, const struct web_request *request, struct web_answer *answer);
    void *context;
    const struct web_stream *stream; /* instead of `get`: an answer that goes on; or NULL */
    bool is_open;                    /* without a login, too */
};

/* Borrowed: what they point to lives as long as the server. */
struct web_settings {
    /* "host:port" or ":port"; where host is a name, it is permitted as a Host, too. */
    const char *listen;
    const struct web_page *pages; /* ends with an empty row */
    struct web_hosts hosts;
    struct web_login *login;     /* NULL: all pages are open */
    void (*tick)(void *context); /* once per second, on the thread of the pages; or NULL */
    void *tick_context;
};

#endif
