/*
 * The HTTP port: what people and machines read of this server, in pages (http/page.h). A
 * request is refused, or finds its page (http/web_route.h). No page changes what is measured or
 * scaled. With a login (http/web_login.h) pages that are not open get 401 without it, and /login is
 * where browsers show the token.
 *
 * A connection carries one request, and is closed after the response. A client has 5 s to send the
 * request, and 5 s for each 64 KiB of the response (http/web_connections.h). Streams
 * (http/web_stream.h) stay open, and have a limit of their own. A request for a host that is not
 * permitted (http/web_host.h) gets 403, and one of another site's page (http/web_route.h).
 *
 * The modules of web/; each uses only those above it. Functions begin with the module's name, or
 * its singular:
 *
 *   http/web_address       clients by address, for limits
 *   http/web_host          which Host a request may have
 *   http/web_instance      which process of the server responds
 *   http/web_login         the token, and the cookie that stands for it
 *   http/web_stream        responses that go on
 *   http/page              what a page is: its path and function, what it reads and what it writes
 *   http/web_settings      what the port serves, and to whom
 *   http/web_connections   how many connections there are, and for how long
 *   http/web_route         a request finds its page, or is refused
 *   content/web_json       JSON as pages write it, and respond with
 *   content/trigger_fields what the views of a trigger show: a table
 *   content/trigger_walk   over all triggers, some at a time under the turn lock
 *   content/list_part      a part of a list, which is read in parts
 *   content/live_tables    rows that change, as server-sent events
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
 * How old what a page shows may be. Of each part: how it is renewed, how old it is at most while
 * all works, and what the page shows where it is older. To what the page requests comes the time
 * of the response: at most 10 s, or there is an error (requests.js).
 *
 *   the stream of events (web_stream.c)
 *     renewed:  by what has changed, or by the event `alive`
 *     at most:  10 s
 *     older:    after 30 s "Connection lost"; the page connects again (stream.js)
 *
 *   rows, figures and log (dashboard.c)
 *     renewed:  by an update: 1 s and 20 times its cost after the last one (web_stream.h), 5 s
 *               after one that failed
 *     at most:  the time between two updates, and what sending one takes
 *     older:    after 10 s "Not live since" the time of the figures, which close each update; the
 *               ages of readings grow (stream.js)
 *
 *   sums over triggers (trigger_rows.c)
 *     renewed:  with the figures; a held trigger counts with its last reading, for its holdSeconds
 *     at most:  as the figures, but for held triggers
 *     older:    as the figures; how many triggers are held is beside each sum (cards.js)
 *
 *   the order of a table (table.js)
 *     renewed:  once per second, if rows have changed
 *     at most:  1 s older than the rows
 *     older:    nothing
 *
 *   curves of the cards, /api/trend (server_figures.c)
 *     renewed:  every 15 s by the server; the page requests them once, and adds points of its own
 *               (trend.js)
 *     at most:  15 s
 *     older:    a point is missing, and the line goes on to the next
 *
 *   the page of an object (object_panels.js)
 *     renewed:  2 s after a row of its triggers has changed, otherwise every 10 s
 *     at most:  10 s
 *     older:    "not renewed since" (poll.js)
 *
 *   its plots (object_panels.js)
 *     renewed:  every 5 s
 *     at most:  5 s
 *     older:    "not renewed since" (poll.js)
 *
 *   its actual replicas (object_replicas.js)
 *     renewed:  every 3 s by the page; the server reads them every 3 s
 *     at most:  30 s, for which a sample holds
 *     older:    a dash, and a gap in their plot
 *
 *   workers (workers.js)
 *     renewed:  every 2 s by the page; the server reads each object every 3 s
 *               (kubernetes/workers/worker_monitor.h)
 *     at most:  5 s
 *     older:    "not renewed since" (poll.js); what the server read 15 s ago or earlier, or could
 *               not read, is named with its age
 *
 *   the card of workers (cards.js)
 *     renewed:  with the figures, from what the server has read of the workers
 *     at most:  as the figures, and 3 s
 *     older:    as the figures; how many objects could not be read, and the age of what was read
 *               30 s ago or earlier
 *
 *   the log of a worker (log_dialog.js)
 *     renewed:  every 1 s by the page, and by the server
 *     at most:  2 s; at first 60 s, where somebody else has read it before
 *     older:    "not renewed since" (poll.js)
 *
 *   /api/server (dashboard.c)
 *     renewed:  by the request; while a stream has readers, its sums are those of the last update
 *     at most:  as rows
 *     older:    `time` says so; 503 where the server is too busy to count
 *
 * These are noticed with the next hello or response:
 *
 *   another pod (web_instance.h): its stream empties the page (updates.js); its other responses are
 *   refused, as "another pod of Backlog answered" (instance.js)
 *   another build (assets.h): the page asks to be loaded again (top.js)
 *   a session at a proxy that has ended (requests.js): the page asks to sign in again
 *
 * For a page that nobody sees, nothing is requested: when it is shown again, it has what it had
 * until the response.
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
