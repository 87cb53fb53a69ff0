/*
 * The HTTP port: what people and machines read of this server, in pages (http/page.h). A
 * request is refused, or finds its page (http/web_route.h). No page changes what is measured or
 * scaled. With a login (http/web_login.h) pages that are not open get 401 without it, and /login is
 * where browsers show the token.
 *
 * A connection carries one request: it is closed after the response, or after 5 s in any case
 * (http/web_connections.h). Streams (http/web_stream.h) stay open, and have a limit of their own. A
 * request for a host that is not permitted (http/web_host.h) gets 403.
 *
 * The modules of web/; each uses only those above it. Functions begin with the module's name, or
 * its singular:
 *
 *   http/web_address       clients by address, for limits
 *   http/web_host          which Host a request may have
 *   http/web_login         the token, and the cookie that stands for it
 *   http/web_stream        responses that go on
 *   http/page              what a page is: its path and function, what it reads and what it writes
 *   http/web_settings      what the port serves, and to whom
 *   http/web_connections   how many connections there are, and for how long
 *   http/web_route         a request finds its page, or is refused
 *   web_json               JSON as pages write it, and respond with
 *   trigger_fields         what the views of a trigger show: a table
 *   trigger_walk           over all triggers, some at a time under the turn lock
 *   list_part              a part of a list, which is read in parts
 *   live_tables            rows that change, as server-sent events
 *   pages/trigger_metrics  /metrics of single triggers
 *   pages/trigger_rows     the dashboard's rows of triggers
 *   pages/connection_rows  the dashboard's rows of connections
 *   pages/server_figures   figures of the server, now and in the last hour
 *   pages/dashboard        /api/events and what is in it: triggers, connections, figures, log
 *   pages/explain          /api/triggers: why a trigger is answered what it is answered
 *   pages/history_page     /api/history: the readings of the last hour
 *   pages/assets           the dashboard's own files, for the browser (assets/app.js lists them)
 *   web                    this port
 *
 * How old is what a page shows at most, and what its reader sees where it is older:
 *
 *   a stream (web_stream.c)       something at least every 10 s. Nothing for 30 s: "Connection
 *                                 lost", and another connection (assets/store.js)
 *   rows, figures, log            1 s, and 20 times what the update takes (pages/dashboard.c).
 *                                 10 s: "Not live since" (assets/store.js); ages grow on
 *   order of a table              another second (assets/table.js)
 *   curves, /api/trend            15 s (pages/server_figures.c)
 *   the page of an object         2 s after a change of its row, else 10 s, and 10 s for the
 *                                 response; then an error above it (assets/trigger_panels.js)
 *   its plots                     5 s, of replicas 3 s, and the response (assets/trigger.js)
 *   workers                       2 s, the card 5 s, and the age of what the server has of them;
 *                                 then an error, on the card a dash (assets/workers.js, cards.js)
 *   /api/server                   the last update, where a stream has readers, else now; a server
 *                                 that is too busy: 503 (pages/dashboard.c), as other pages
 *
 * /metrics and the pages of workers are in daemon/ (http_port.h), a rehearsal's pages in lab/.
 *
 * Threads: a server has one of its own, on which every page is written, one at a time.
 */
#ifndef BACKLOG_WEB_WEB_H
#define BACKLOG_WEB_WEB_H

#include "base/error.h"
#include "web/http/web_settings.h"

struct web;

bool web_start(const struct web_settings *settings, struct web **ret_web, struct error *error);
int web_port(const struct web *web); /* where it listens */

/* Stops the server; another thread than its own calls it. NULL is harmless. */
void web_stop(struct web *web);

#endif
