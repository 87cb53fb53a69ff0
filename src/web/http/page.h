/*
 * What a page of the HTTP port is: a path, and the function that writes what a GET of it returns.
 *
 *     static void write_version(void *context, const struct web_request *request,
 *                               struct web_response *response)
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
 * A page reads its request with page_request.h, and responds to it with page_response.h: in JSON
 * with web/json_response.h, and web/json.h; lists with web/list_page.h.
 *
 * The modules of web/; each uses only those above it:
 *
 *   http/address           clients by address, for limits
 *   http/host              which Host a request may have
 *   http/login             the token, and the cookie that stands for it
 *   http/stream            responses that go on
 *   http/page              this header
 *   http/settings          what the port serves, and to whom
 *   http/page_request      what a page reads of a request
 *   http/page_response     what a page writes, or a refusal
 *   http/http_connections  how many connections there are, and for how long
 *   http/route             a request finds its page, or is refused
 *   http/http              the port
 *   json                   numbers, times and texts as pages write them
 *   json_response          responses in JSON
 *   log_json               recent lines of the log
 *   trigger_json           what a trigger measures, and its options without what is secret
 *   trigger_fields         what the views of a trigger show: a table
 *   walk                   over all triggers, some at a time under the turn lock
 *   list_page              lists that are read a page at a time
 *   live_tables            rows that change, as server-sent events
 *   pages/trigger_metrics  /metrics of single triggers
 *   pages/trigger_rows     the dashboard's rows of triggers
 *   pages/server_figures   figures of the server, now and in the last hour
 *   pages/dashboard        /api/events and what is in it: triggers, connections, figures, log
 *   pages/explain          /api/triggers: why a trigger is answered what it is answered
 *   pages/history_page     /api/history: the readings of the last hour
 *   pages/assets           the dashboard's own files, for the browser (assets/app.js lists them)
 *
 * Threads: a page is written on the HTTP server's, one at a time.
 */
#ifndef BACKLOG_WEB_HTTP_PAGE_H
#define BACKLOG_WEB_HTTP_PAGE_H

#include "web/http/stream.h"

#include <stdbool.h>

struct web_request;
struct web_response;

struct web_page {
    const char *path; /* "/metrics"; "/api/triggers/" stands for what lies below it */
    void (*get)(void *context, const struct web_request *request, struct web_response *response);
    void *context;
    const struct web_stream *stream; /* NULL, or a response that goes on, in the place of `get` */
    bool is_open;                    /* whoever has no login reads it, too */
};

#endif
