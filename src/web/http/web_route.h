/*
 * A request of the HTTP port: who may read, which page it is for, and what the response is.
 *
 * Threads: the HTTP server's.
 */
#ifndef BACKLOG_WEB_HTTP_WEB_ROUTE_H
#define BACKLOG_WEB_HTTP_WEB_ROUTE_H

#include "web/http/web_settings.h"

/* The largest body of a request: the form of the login page, with the longest token. Each byte of
 * that may be percent-encoded, as three. */
enum { WEB_ROUTE_MAX_FORM_BYTES = 4 * WEB_LOGIN_MAX_BYTES };

struct evhttp_request;

/* Writes the response, and returns NULL. Where the page is a stream, it writes nothing and returns
 * the page. */
const struct web_page *web_route_respond(const struct web_settings *settings,
                                         struct evhttp_request *evhttp_request,
                                         struct page_response *response);

#endif
