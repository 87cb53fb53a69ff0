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
 * A page reads its request with page_request.h, and responds to it with page_response.h. It writes
 * JSON with web/web_json.h, and lists with web/paged_list.h.
 *
 * Threads: a page is written on the HTTP server's, one at a time.
 */
#ifndef BACKLOG_WEB_HTTP_WEB_PAGE_H
#define BACKLOG_WEB_HTTP_WEB_PAGE_H

#include "web/http/web_stream.h"

#include <stdbool.h>

struct page_request;
struct page_response;

struct web_page {
    const char *path; /* "/metrics"; "/api/triggers/" stands for what lies below it */
    void (*get)(void *context, const struct page_request *request, struct page_response *response);
    void *context;
    /* NULL, or a response that goes on, in the place of `get`. */
    const struct web_stream_hooks *stream;
    bool is_open; /* whoever has no login reads it, too */
};

#endif
