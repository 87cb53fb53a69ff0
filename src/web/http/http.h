/*
 * The HTTP port: what people and machines read of this server, in pages (page.h). A request is
 * refused, or finds its page (route.h). No page changes what is measured or scaled. With a login
 * (login.h) pages that are not open get 401 without it, and /login is where browsers show the
 * token.
 *
 * A connection carries one request: it is closed after the response, or after 5 s in any case
 * (http_connections.h). Streams (stream.h) stay open, and have a limit of their own. A request for
 * a host that is not permitted (host.h) gets 403.
 *
 * Threads: a server has one of its own, on which every page is written, one at a time.
 */
#ifndef BACKLOG_WEB_HTTP_HTTP_H
#define BACKLOG_WEB_HTTP_HTTP_H

#include "base/error.h"
#include "web/http/settings.h"

struct web;

bool web_start(const struct web_settings *settings, struct web **ret_web, struct error *error);
int web_port(const struct web *web); /* where it listens */

/* Stops the server; another thread than its own calls it. NULL is harmless. */
void web_stop(struct web *web);

#endif
