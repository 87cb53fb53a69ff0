/*
 * A connection: the queries of one source, and the state of the client that measures them.
 *
 *     DISCONNECTED  there is no client. One is made when a query is ready, from retry_at_ms on
 *     CONNECTING    a client is being made, and the connection has not failed
 *     CONNECTED     there is a client: queries are taken, and end
 *     FAILED        every query fails with the connection's error. From retry_at_ms on a client is
 *                   made; the state stays FAILED until that succeeds
 *
 * The connection decides what is sent when, what a time-out or a lost client means, and who is
 * notified. It has a lock, but no thread and no I/O, and its clock is passed in: a test can run a
 * thousand connections in any order of events. The thread of a connection is in measure/poller.c,
 * the map of all connections in measure/engine.c.
 *
 * What the engine does with its queries is in query_internal.h, what triggers do with them in
 * query.h. The structs are in connection_state.h.
 *
 * Threads: whoever has its lock. The functions that pause are for the thread that has the client.
 *
 * Pauses. Some functions work on thousands of queries, while a server's loop may wait for the lock.
 * They release it for a moment now and then (connection_hooks.yield_lock):
 *
 *     connection_connected(), _refused(), _lost()   all queries
 *     connection_advance()                          the queries that became due, and those of a
 *                                                   bundle, which may be all
 *     connection_query_ended()                      all followers of the query
 *
 * One walk has no pause, however long it is: the one over the watchers of a query, to notify them.
 *
 * In a pause other threads do what they may do at any time: acquire queries, which may take over
 * what is known of others; release, demand and read them; start and stop watchers and followers;
 * notify. So queries may be added, and queries that are not in flight may be freed. What stays
 * true:
 *
 *     - Only the pausing thread changes the state, takes and ends queries, and subscribes.
 *     - A walk goes on at a valid place: query_free() moves next_walked on, bundle_leave()
 *       next_along, and follower_stop() next_followed; subscriptions leave their table without
 *       moving in it.
 *     - The state is the new one from the first pause on:
 *         _connected()   CONNECTED. The histories of queries from next_walked on lack the outage's
 *                        gap (query_remember())
 *         _refused()     FAILED. All queries fail, whether the walk has visited them or not
 *         _lost()        DISCONNECTED. Queries are in flight until the walk has visited them. If
 *                        the connection fails, a second walk is that of _refused()
 *     - In _query_ended() a snapshot shows the reading before, until all followers have got the new
 *       one: no snapshot is newer than what a follower got.
 */
#ifndef BACKLOG_MEASURE_CONNECTION_CONNECTION_H
#define BACKLOG_MEASURE_CONNECTION_CONNECTION_H

#include "measure/client.h"
#include "measure/scaler.h"

#include <stdbool.h>
#include <stdint.h>

struct connection;
struct connection_user;
struct connection_settings;
struct query;

/* Takes ownership of the address (naming.h). */
void connection_init(struct connection *connection, const struct connection_settings *settings,
                     const struct scaler *scaler, char *address, const struct connection_user *user,
                     int64_t now_ms);
void connection_done(struct connection *connection); /* frees all queries, used or not */

/* Whether a client is to be made now. */
bool connection_wants_client(struct connection *connection, int64_t now_ms);
void connection_connecting(struct connection *connection);
void connection_connected(struct connection *connection, int64_t now_ms);
/* No client could be made: the connection fails. An ERROR_NOT_STARTED is not counted as a failed
 * connect. After an ERROR_CANCELLED the connection does not fail: the state is again that before
 * connection_connecting(). */
void connection_refused(struct connection *connection, const struct error *error, int64_t now_ms);

/* Makes all due queries ready, and those of a bundle (bundle_advance()), with pauses. Returns the
 * present time in microseconds, for connection_take() and _next_ms(). With a later time
 * these would make ready, without a pause, what became due in between. */
int64_t connection_advance(struct connection *connection);

/* The next query to send; NULL: none. */
struct query *connection_take(struct connection *connection, int64_t now_us);

/* The source can work on the query, which is in flight, only from now on (task_started()). */
void connection_query_started(struct query *query, int64_t now_us);

/* The query's task has ended; `reading` or `error` is NULL if the outcome has none. Frees the query
 * if nobody uses it any more. */
void connection_query_ended(struct query *query, enum task_outcome outcome,
                            const struct reading *reading, const struct error *error,
                            int64_t now_us);

/* Whether the client may have died before the query was sent, when nothing was measured for
 * CONNECTION_PAUSE_MS. Then the next client sends the query once more before it fails. A query that
 * timed out last is not sent once more: it fails already, and is spaced out. */
bool connection_client_may_have_died(const struct query *query);

/* The client has ended. `error` says why it is of no further use; NULL: it is to be replaced
 * (must_replace_client), or it had to return while queries were in flight. A table in connection.c
 * says what becomes of these queries and of the connection. */
void connection_lost(struct connection *connection, const struct error *error, int64_t now_ms);

/* The source has sent a notification for the subscription with this id. Nothing happens if it was
 * over before. */
void connection_notify(struct connection *connection, uint64_t id, int64_t now_us);

/* The subscription with this id has ended without a message (notifier_lose()). Nothing happens if
 * it was over before. */
void connection_lose_subscription(struct connection *connection, uint64_t id, int64_t now_ms);

/* As feed_next_unsubscribe(). */
bool connection_next_unsubscribe(struct connection *connection, uint64_t *ret_id);

/* When connection_take() or _wants_client() may have something, if nothing else happens.
 */
int64_t connection_next_ms(struct connection *connection, int64_t now_ms);

/* The effective interval: the interval of the settings, and how long queries waited for their turn
 * lately. */
int64_t connection_effective_interval_ms(const struct connection *connection, int64_t now_ms);

enum client_state connection_client_state(const struct connection *connection); /* for people */

bool connection_is_unused(const struct connection *connection); /* nobody uses a query of it */

#endif
