/*
 * The connections of the HTTP port, of which evhttp limits neither the number nor the time. The
 * life of a connection:
 *
 *     state                 time                                         then
 *     accepted              5 s, until its request is there              closed
 *     page is being written no limit: it is not the client's time        response, or reader
 *     response              5 s for each 64 KiB that the client takes    closed
 *     reader of a stream    that of web_stream.h                         closed
 *
 * There are at most 64 connections that are not readers. For each further one the oldest connection
 * of the address with the most is closed, so that silent clients do not lock out probes and
 * scrapers.
 *
 * A response takes memory until the kernel has taken its last byte, as it is one block. A response
 * of more than 16 KiB is sent if
 *
 *     blocks of all addresses + blocks of its own address + its own block <= 16 MiB
 *
 * and gets 503 otherwise. The blocks of an address count as 8 MiB at most. Example with responses
 * of 5 MiB: address A gets two (5 + 5 + 5 = 15), but no third (8 + 8 + 5 = 21). B gets one then
 * (8 + 0 + 5 = 13), and C none (13 + 0 + 5 = 18).
 *
 * The metrics of 100,000 triggers are larger than the limit. So an address that has no block gets a
 * response of any size while the blocks of all others count as 8 MiB or less: one address cannot
 * lock out the others, though a slow client may need long (64 KiB per 5 s are 21 minutes for
 * 16 MiB), and no more than two have such a response.
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

/* Watches over the connections of `http` from now on. connection_ms: what each has for its request,
 * and for each part of its response; 0: 5 s. `http` takes the listener over. */
struct web_connections *web_connections_new(struct evhttp *http, struct evconnlistener *listener,
                                            int64_t connection_ms);

/* Frees the connections, and `http` with them. */
void web_connections_free(struct web_connections *connections, struct evhttp *http);

/* The connection that has sent a request; from now on evhttp reports its end. NULL: the connection
 * was closed for another one, or is a reader's. */
struct web_connection *web_connections_begin_request(const struct web_connections *connections,
                                                     struct evhttp_connection *evhttp_connection);

/* Counts the block of the connection's response until the connection ends, which is when the kernel
 * has taken all of it. False: there is no room for it (above). */
bool web_connection_reserve_bytes(struct web_connection *connection, size_t bytes);

/* The client's time for its response, which is sent next, begins. */
void web_connection_begin_deadline(struct web_connection *connection);

/* Makes the connection a reader's, which has no deadline here, and no place among the 64. */
void web_connection_set_reader(struct web_connection *connection, struct web_stream_reader *reader);

#endif
