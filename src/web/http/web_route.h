/*
 * A request of the HTTP port: whether it is permitted, and which page it is for.
 *
 * Threads: the HTTP server's.
 */
#ifndef BACKLOG_WEB_HTTP_WEB_ROUTE_H
#define BACKLOG_WEB_HTTP_WEB_ROUTE_H

#include "web/http/web_settings.h"

/* The largest body of a request: the form of the login page. Percent-encoding makes three bytes of
 * one of the longest token, and the rest is for the name of the field. */
enum { WEB_ROUTE_MAX_FORM_BYTES = 4 * WEB_LOGIN_MAX_BYTES };

struct evhttp_request;

/* Returns the page that is to be written; NULL: the response says why there is none. `request` is
 * {0}; it is filled, and the caller ends it with page_request_done(). */
const struct web_page *web_route_find(const struct web_settings *settings,
                                      struct evhttp_request *evhttp_request,
                                      struct page_request *request, struct page_response *response);

#endif
