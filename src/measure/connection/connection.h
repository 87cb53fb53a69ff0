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
 * Threads: whoever has its lock. The functions that pause are for the thread that has the client.
 *
 * Pauses: connection_connected(), _refused() and _lost() work on all queries, connection_advance()
 * on those that have become due or go along in a bundle, which may be all, and
 * connection_query_ended() on all followers of one. A server's loop may wait for the lock
 * meanwhile, so they give it away now and then (connection_hooks.yield_lock). One walk does not,
 * however long it is: it notifies the watchers of a query.
 *
 * In a pause other threads do what they may do at any time: acquire a query, with or without what a
 * former one knew; release it, demand it, read it; start and stop watchers and followers; notify.
 * So queries may be added, and those that are not in flight freed. What stays true:
 *
 *     - Only the pausing thread changes the state, takes and ends queries, and subscribes.
 *     - The place where a walk goes on is valid: query_free() moves next_walked on, bundle_leave()
 *       next_along, and follower_stop() next_followed. A walk by index over the subscriptions is
 *       safe, as they leave the table, and do not move in it.
 *     - The state is the new one from the first pause on:
 *         _connected()    CONNECTED. Queries from next_walked on have not noted the outage that is
 *                         over: ask connection_is_catching_up() where that matters
 *         _refused()      FAILED, and with it all queries fail, whether the walk was there or not
 *         _lost()         DISCONNECTED. Queries that were in flight are still so until the walk
 *                         fails them, one by one; if all fail it goes on as _refused() does
 *     - In _query_ended() followers are given the reading one by one, and `known` still has the
 *       reading before: no snapshot is newer than what a follower found.
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
/* An ERROR_NOT_STARTED is none of the source: it fails the queries all the same. After an
 * ERROR_CANCELLED all is as before connection_connecting(): whoever needs a client by now has
 * another one made. */
void connection_refused(struct connection *connection, const struct error *error, int64_t now_ms);

/* Makes ready the queries that are due, and those that go along in a bundle. Returns the time, in
 * microseconds, at which no other one was, for connection_take(), _cancel() and _next_ms(): with a
 * later one they make ready, without a pause, what became due in between. */
int64_t connection_advance(struct connection *connection);

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
