/*
 * What a page of the HTTP port is: a path, and the function that writes what a GET of it returns.
 *
 *     static void write_version(void *context, const struct page_request *request,
 *                               struct page_response *response)
 *     {
 *         text_add(&response->body, "1.2\n");
 *     }
 *
 *     {.path = "/version", .get = write_version}
 *
 * All pages of a port are in one table: of the server in daemon/http_port.c, of a rehearsal in
 * lab/rehearsal_http.c. The first row that fits a path is its page: "/api/" would hide "/api/log"
 * after it, and "/" is last, as all paths are below it.
 *
 * A page writes plain text itself, JSON with web/content/web_json.h, and lists with
 * web/content/list_part.h.
 *
 * Threads: a page is written on the HTTP server's, one at a time. What it reads of triggers is read
 * on the thread of the server's loop, for which it waits (content/trigger_walk.h).
 */
#ifndef BACKLOG_WEB_HTTP_PAGE_H
#define BACKLOG_WEB_HTTP_PAGE_H

#include "base/text.h"
#include "web/http/web_stream.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct evkeyvalq; /* libevent's */

enum { PAGE_REQUEST_MAX_SEGMENTS = 4 };

/* What a page reads of a request, while the page is written. web_route_find() fills it, and web.c
 * frees it. */
struct page_request {
    char *below[PAGE_REQUEST_MAX_SEGMENTS]; /* the path's segments below the page's own, decoded */
    size_t below_count;
    char *target;                 /* path and query, as they came: still percent-encoded */
    struct evkeyvalq *parameters; /* for page_request_parameter() */
    /* When the session of the request ends, in seconds since 1970; INT64_MAX: it has none, as it
     * needs no login, or shows the token. */
    int64_t ends_s;
};

/* Values of `type`; pages may have others. */
extern const char page_response_type_json[];
extern const char page_response_type_text[];

/* What it writes. */
struct page_response {
    int code;          /* 200, if the page sets no other */
    const char *type;  /* static; page_response_type_text, if the page sets no other */
    bool is_immutable; /* what the path responds never changes: browsers may keep it */
    struct text body;
};

struct web_page {
    const char *path; /* "/metrics"; "/api/triggers/" stands for what lies below it */
    void (*get)(void *context, const struct page_request *request, struct page_response *response);
    void *context;
    /* NULL, or a response that goes on, in the place of `get`. */
    const struct web_stream_hooks *stream;
    bool is_open; /* a request needs no login for it */
};

/* ---- the request ---- */

void page_request_done(struct page_request *request);

/* The value of ?name=value, decoded; NULL where there is none. */
const char *page_request_parameter(const struct page_request *request, const char *name);

/* Reads a number of digits and nothing else. False: it has something else, or more than 19. */
bool page_request_parse_number(const char *text, uint64_t *ret_number);

/* ---- the response ---- */

/* Responds with the status `code` and the line `why`. What the page has written is dropped. */
void page_response_refuse(struct page_response *response, int code, const char *why);

/* Responds that no page has the path: 404, in plain text. */
void page_response_refuse_path(struct page_response *response);

#endif
