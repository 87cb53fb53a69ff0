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
 * All pages are in one table: of the server in daemon/http_port.c, of a rehearsal in
 * lab/rehearsal_http.c. The first row that fits a path is its page: a row after one whose path ends
 * with "/" and begins its own is never found, and none after "/".
 *
 * A page writes plain text itself, JSON with web/content/web_json.h, and lists with
 * web/content/list_part.h.
 *
 * Threads: a page is written on the HTTP server's, one at a time.
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

/* What a page reads of a request: it is valid while the page is written. web_route_find() fills it,
 * and web.c frees it. */
struct page_request {
    char *below[PAGE_REQUEST_MAX_SEGMENTS]; /* the path's segments below the page's own, decoded */
    size_t below_count;
    char *target;                 /* path and query, as they came: still percent-encoded */
    struct evkeyvalq *parameters; /* for page_request_parameter() */
    /* When the session of whoever requests it ends; INT64_MAX: there is no session, as no login is
     * needed or the request shows the token. */
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
    bool is_open; /* whoever has no login reads it, too */
};

/* ---- the request ---- */

void page_request_done(struct page_request *request);

/* The value of ?name=value, decoded; NULL where there is none. */
const char *page_request_parameter(const struct page_request *request, const char *name);

/* Reads a number that is digits and nothing else. False: it is not, or has too many of them. */
bool page_request_parse_number(const char *text, uint64_t *ret_number);

/* ---- the response ---- */

/* Responds with the status `code` and a line that says why, in the place of what was written. */
void page_response_refuse(struct page_response *response, int code, const char *why);

/* Responds that no page has the path: 404, in plain text. */
void page_response_refuse_path(struct page_response *response);

#endif
