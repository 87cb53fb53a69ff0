/*
 * The dashboard of a rehearsal (`--http`): its ScaledObjects and its workers. With the address of
 * the server's HTTP port it shows what the server's own dashboard shows, too, and passes the
 * requests for its API on to it. With a token file it asks for that token, as the server does: what
 * it passes on was read with it.
 *
 * Threads: rehearsal_http_update() from the rehearsal's; the pages are written by the HTTP
 * server's, from what that left.
 */
#ifndef BACKLOG_LAB_REHEARSAL_HTTP_H
#define BACKLOG_LAB_REHEARSAL_HTTP_H

#include "client/http_client.h"
#include "lab/rehearsal.h"
#include "lab/worker_logs.h"

struct rehearsal_http;

/* `server` is the server's HTTP port; its address may be NULL, and with its token file these pages
 * have a login. It and `logs` are borrowed. */
bool rehearsal_http_begin(const char *listen, const struct http_server *server,
                          struct worker_logs *logs, struct rehearsal_http **ret_http,
                          struct error *error);
void rehearsal_http_end(struct rehearsal_http *http); /* NULL is none */

/* The pages show this from now on; does nothing without a reader or more than once per second. NULL
 * is none. */
void rehearsal_http_update(struct rehearsal_http *http, const struct rehearsal *rehearsal,
                           int64_t now_ms);

#endif
