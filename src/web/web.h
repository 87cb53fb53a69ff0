/*
 * The HTTP port: pages that people and machines read of this server. No page changes what is
 * measured or scaled. A request finds its page (http/page.h), or is refused (http/web_route.h):
 *
 *   401  the page is not open, and the request has no login (http/web_login.h); a browser gets 303
 *        instead, to /login, where people enter the token
 *   403  the host of the request is not permitted (http/web_host.h), or a page of another site sent
 *        the request
 *   503  too many responses are unread (http/web_connections.h), or too many readers are connected
 *        (http/web_stream.h)
 *
 * A connection carries one request, and is closed after the response. The client has 5 s to send
 * the request, and 5 s for each 64 KiB of the response (http/web_connections.h). Streams stay open
 * (http/web_stream.h).
 *
 * Responses are not compressed. The dashboard's files are immutable: a browser requests them once
 * per build. Streams would need a compressor per reader, 256 KiB for each of 200. A proxy in front
 * of the server can compress where the network is slow.
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
 *   pages/explain          /api/triggers: why KEDA gets the answer that it gets
 *   pages/history_page     /api/history: the readings of the last hour
 *   pages/assets           the dashboard's own files, for the browser (assets/app.js lists them)
 *   web                    this port
 *
 * How old what the dashboard shows is at most while all works, and how it shows that something is
 * older. The time of a response is added where the page requests the part: at most 10 s, then the
 * request fails (requests.js).
 *
 *   part                 renewed                              at most      older
 *   -------------------  -----------------------------------  -----------  ------------------------
 *   stream of events     by changes, else by `alive`          10 s         30 s: "Connection lost"
 *   rows, figures, log   by an update: each second [1]        a period     "Not live since" [1]
 *   sums over triggers   with the figures [2]                 a period     as the figures
 *   order of a table     each second, if rows have changed    1 s more     nothing
 *   curves of the cards  by each update; each 15 s [3]        15 s         a point is missing
 *   page of an object    2 s after a change of its row, 10 s  10 s         "not renewed since"
 *   its plots            each 5 s                             5 s          "not renewed since"
 *   its actual replicas  each 3 s, by page and server         30 s         a dash, and a gap
 *   workers              each 2 s by page, 3 s by server      5 s          "not renewed since" [4]
 *   card of workers      with the figures; 3 s by server      3 s more     as the figures [4]
 *   log of a worker      each second, by page and server      2 s [5]      "not renewed since"
 *   /api/server          by the request, or an update [6]     a period     `time` in it; 503: busy
 *
 *   [1] A period is 1 s and 20 times the cost of an update (web_stream.h): 7 s where an update
 *       costs 0.3 s. After an update that failed it is at least 5 s. "Not live since" is shown
 *       after 10 s, or after two periods where these are longer (maxAgeMs in live_tables.h).
 *   [2] A held trigger counts with its last reading, for its holdSeconds. How many triggers are
 *       held is beside each sum (cards.js).
 *   [3] The page adds a point with each update (trend.js). The server adds one each 15 s, of which
 *       the page requests those that it lacks (server_figures.h).
 *   [4] What the server has read 15 s ago or earlier (on the card: 30 s), or could not read, is
 *       shown with its age (workers.js, cards.js, kubernetes/workers/worker_monitor.h).
 *   [5] At first up to 60 s: the server keeps the log for so long after somebody has read it.
 *   [6] While a stream has readers, the sums are those of its last update.
 *
 * The page notices these by the next hello or response:
 *
 *   another pod responds (web_instance.h): a hello of it empties the page (updates.js); its other
 *   responses are refused: "another pod of Backlog answered" (instance.js)
 *   another build (assets.h): the page asks to be loaded again (top.js)
 *   a session at a proxy that has ended (requests.js): the page asks to sign in again
 *
 * A page that nobody sees requests nothing. When it is shown again, it shows what it had until the
 * response comes.
 *
 * /metrics and the pages of workers are in daemon/ (http_port.h), a rehearsal's pages in lab/.
 *
 * Threads: the port has a thread of its own, which writes all pages, one at a time (http/page.h).
 */
#ifndef BACKLOG_WEB_WEB_H
#define BACKLOG_WEB_WEB_H

#include "base/error.h"
#include "web/http/web_settings.h"

struct web;

bool web_start(const struct web_settings *settings, struct web **ret_web, struct error *error);
int web_port(const struct web *web); /* on which it listens */

/* Stops the server. Not to be called by the server's own thread. NULL is harmless. */
void web_stop(struct web *web);

#endif
