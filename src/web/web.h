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
 * How old what a page shows may be:
 *
 *   what                  computed when            at most        seen where it is older
 *
 *   a stream              a row is new, or as the  10 s           after 30 s "Connection lost", and
 *   (web_stream.c)        event `alive`                           another one is made (stream.js)
 *   rows, figures, log    each second, but after   1 s and 20     after 10 s "Not live since", by
 *   (dashboard.c)         20 times what it took,   updates, and   the time of the figures, which
 *                         5 s after one failed     what reading   close each update; ages grow on
 *                                                  it takes       (stream.js)
 *   sums over triggers    as the figures           that, but of   as the figures; beside a sum is
 *   (trigger_rows.c)                               held triggers  how many are held (cards.js)
 *                                                  holdSeconds
 *   another pod           its hello, or the        at once        its stream empties the page
 *   (web_instance.h)      header of its response                  (updates.js); its responses are
 *                                                                 refused, as "another pod
 *                                                                 answered" (instance.js)
 *   another build         its hello                at once        the page asks to be loaded again
 *   (assets.h)                                                    (top.js)
 *   a session at a proxy  the next response        as that        the same, to sign in
 *   (requests.js)
 *   order of a table      each second              another 1 s    nothing: rows stay where they are
 *   (table.js)
 *   curves, /api/trend    each 15 s; the page      15 s           a point is missing, and the line
 *   (server_figures.c)    asks once (trend.js)                    goes on to the next
 *   page of an object     2 s after its row has    10 s and the   "not renewed since" (poll.js)
 *   (object_panels.js)   changed, else each 10 s  response
 *   its plots             each 5 s                 5 s and the    the same
 *   (object_panels.js)                            response
 *   actual replicas       each 3 s                 30 s           a dash, and a gap in their plot
 *   (object_replicas.js)
 *   workers               each 2 s                 that, and 2 s  "not renewed since" (poll.js); of
 *   (workers.js)                                   and the        what the server could not read an
 *                                                  response       error with its age, and that of
 *                                                                 what it read 15 s ago or earlier
 *   card of workers       as the figures           that, and as   as the figures; of objects that
 *   (cards.js)                                     workers        the server could not read how
 *                                                                 many, and that of what it read
 *                                                                 30 s ago or earlier
 *   log of a worker       each 1 s                 as workers,    "not renewed since" (poll.js); at
 *   (log_dialog.js)                                with 1 s       first it may be what somebody saw
 *                                                                 60 s ago
 *   /api/server           the request, but sums    as rows        503: the server is too busy, as
 *   (dashboard.c)         as rows, while a stream                 for other pages
 *                         has readers
 *
 * A response comes within 10 s, or there is an error (requests.js). For a page that nobody sees,
 * nothing is requested: when it is shown again, it has what it had until the response.
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
