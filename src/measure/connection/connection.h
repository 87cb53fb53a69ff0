/*
 * A connection: the queries of one source, and the state of the client that measures them.
 *
 *     DISCONNECTED  no client; one is made when a query is ready, from retry_at_ms on
 *     CONNECTING    a client is being made, and the last one did not fail
 *     CONNECTED     queries are taken, and end
 *     FAILED        every query fails with its error; connecting is tried again at retry_at_ms, and
 *                   the state stays FAILED until a client is connected
 *
 * It decides everything: what is sent when, what a time-out or a lost client means, who is
 * notified. It has a lock, and no threads, I/O or clock (time is passed in, or its settings have
 * the clock), so that a test can run a thousand of them in any order of events. measure/poller.c is
 * the thread around one; measure/engine.c the map of all.
 *
 * Its queries are in query_internal.h, what is asked of them from outside in query.h, and what both
 * are made of in connection_state.h.
 *
 * Threads: whoever has its lock. Some functions give it away in pauses: these are for the thread
 * that has the client.
 *
 * Pauses: connection_connected(), _refused() and _lost() work on all queries, and
 * connection_query_ended() on all who follow one, while a server's loop may wait for the lock
 * (connection_hooks.yield_lock). In a pause others do what they may at any other time: acquire and
 * inherit, demand, watch, follow and look, notify, and end all of that. Only the thread that pauses
 * changes the state, takes and ends queries, and subscribes. What may go are queries that are not
 * in flight, followers and subscriptions: query_free() and follower_stop() move on the place where
 * a walk is (next_walked, next_followed), and no subscription changes its place in the table.
 *
 *     _connected()   the state is CONNECTED already, and the queries from next_walked on have not
 *                    noted the outage yet: connection_is_catching_up()
 *     _refused()     the state is FAILED already, which is so of all queries at once
 *     _lost()        the state is CONNECTED still, though the client is dead: a query has failed
 *                    once the walk was there. If all fail, it goes on as _refused()
 *     _query_ended() the recent samples have the reading, and `known` has the one before
 */
#ifndef BACKLOG_MEASURE_CONNECTION_CONNECTION_H
#define BACKLOG_MEASURE_CONNECTION_CONNECTION_H

#include "measure/client.h"
#include "measure/scaler.h"

#include <stdbool.h>
#include <stdint.h>

struct connection;
struct connection_settings;
struct query;

/* Takes the address (naming.h). */
void connection_init(struct connection *connection, const struct connection_settings *settings,
                     const struct scaler *scaler, char *address, int64_t now_ms);
void connection_done(struct connection *connection); /* frees all queries, those in use too */

/* Whether a client is to be made now. */
bool connection_wants_client(struct connection *connection, int64_t now_ms);
void connection_connecting(struct connection *connection);
void connection_connected(struct connection *connection, int64_t now_ms);
void connection_refused(struct connection *connection, const struct error *error, int64_t now_ms);

/* The next query to send; NULL: none. */
struct query *connection_take(struct connection *connection, int64_t now_us);

/* The query is in flight, but only now the source can work on it (task_started()). */
void connection_query_started(struct query *query, int64_t now_us);

/* Its task has ended, with a reading or an error where the outcome has one. Frees the query where
 * nobody uses it any more. */
void connection_query_ended(struct query *query, enum task_outcome outcome,
                            const struct reading *reading, const struct error *error,
                            int64_t now_us);

/* A query in flight that is to give up its place (feed_next_cancelled()): it is in flight until it
 * ends. NULL: none. */
struct query *connection_cancel(struct connection *connection, int64_t now_ms);

/* The client is of no further use (the error says why), or was replaced as must_replace_client said
 * (NULL). What was in flight fails, or is sent once more where the client may have died long ago.
 */
void connection_lost(struct connection *connection, const struct error *error, int64_t now_ms);

/* The source has notified of the subscription with this id. Nothing happens where there is none
 * any more. */
void connection_notify(struct connection *connection, uint64_t id, int64_t now_us);

/* The subscription with this id has ended without a message, as notifier_lose() says. Nothing
 * happens where there is none any more. */
void connection_lose_subscription(struct connection *connection, uint64_t id, int64_t now_ms);
bool connection_next_unsubscribe(struct connection *connection, uint64_t *ret_id);

/* When connection_take(), _cancel() or _wants_client() may have something, if nothing else happens.
 */
int64_t connection_next_ms(struct connection *connection, int64_t now_ms);

/* The interval that the connection keeps up with. */
int64_t connection_effective_interval_ms(const struct connection *connection, int64_t now_ms);

enum client_state connection_client_state(const struct connection *connection); /* for people */

bool connection_is_unused(const struct connection *connection); /* nobody uses a query of it */

#endif
