/*
 * The connections of the HTTP port: how many there are, and how long each may take; evhttp limits
 * neither. Each has 5 s to send its request, and then 5 s for each 64 KiB of the one response that
 * it gets, or becomes that of a reader of a stream (web_stream.h). How long a page is written, and
 * waits for others, is not the client's time.
 *
 * Beyond the limit the first one of the address that has the most is closed for each that comes or
 * waits, so that silent ones do not lock out probes and scrapers.
 *
 * Responses that are not read yet take memory. One of more than 16 KiB is sent if
 *
 *     unread bytes of all others + unread bytes of others of its address + its own <= 16 MiB
 *
 * so that at least as much remains for other addresses as this one has taken before. Where no other
 * response is unread, one may have any size: the page of metrics of 100,000 triggers is larger than
 * the limit.
 *
 * Threads: the HTTP server's.
 */
#ifndef BACKLOG_WEB_HTTP_WEB_CONNECTIONS_H
#define BACKLOG_WEB_HTTP_WEB_CONNECTIONS_H

#include "web/http/web_stream.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of a request. A proxy in front of the server passes on the cookies in which it keeps its session:
 * of oauth2-proxy two or three with 4 KiB each are usual. */
enum { WEB_CONNECTION_MAX_HEADER_BYTES = 32 << 10 };

struct evconnlistener;
struct evhttp;
struct web_connection;
struct web_connections;

/* Watches over the connections of `http` from now on, each of which has so much time for its
 * request, and for its response; 0: 5 s. `http` takes the listener over. */
struct web_connections *web_connections_new(struct evhttp *http, struct evconnlistener *listener,
                                            int64_t connection_ms);

/* Frees the connections, and `http` with them. */
void web_connections_free(struct web_connections *connections, struct evhttp *http);

/* The connection that has sent a request; from now on evhttp reports its end. NULL: it was closed
 * for another one, or is a reader's. */
struct web_connection *web_connections_begin_request(const struct web_connections *connections,
                                                     struct evhttp_connection *evhttp_connection);

/* Counts the bytes of the response that the connection is to be sent, until they are read. False:
 * with other responses that are not read yet they would be too many. */
bool web_connection_reserve_bytes(struct web_connection *connection, size_t bytes);

/* Gives the client its time from now on: here to read the response, which is sent next, or 64 KiB
 * of it, and then as much again. */
void web_connection_begin_deadline(struct web_connection *connection);

/* Makes the connection a reader's, which neither the deadline nor the limit concerns. */
void web_connection_set_reader(struct web_connection *connection, struct web_stream_reader *reader);

#endif
