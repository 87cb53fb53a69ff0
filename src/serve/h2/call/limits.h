/*
 * What bounds a call: its deadline, the time that its client has for its part, and its place among
 * all calls.
 *
 * Threads: the loop's.
 */
#ifndef BACKLOG_SERVE_H2_CALL_LIMITS_H
#define BACKLOG_SERVE_H2_CALL_LIMITS_H

#include "serve/h2/state.h"

/* The client has to do its part in time: to send its message, or to take the answer. */
void h2_call_await_client(struct h2_call *call);
void h2_call_await_nobody(struct h2_call *call);
/* Ends calls whose deadline has passed, and those whose client has not done its part in time, as
 * many as the turn has left (server->ends_left). */
void h2_calls_check(struct h2_server *server);

/* CLOCK_NEVER: none. */
void h2_call_set_deadline(struct h2_call *call, int64_t timeout_ms);
void h2_call_drop_deadline(struct h2_call *call);

/* The transport's. The service bounds those that are open; all have a place until they have ended,
 * as many as both kinds may have open. Those that are finished, and whose clients do not take the
 * answer, never become calls again: with these an address could exceed the limit on calls, which is
 * checked when one begins. But an address gets another stream only while these, counted as calls,
 * are within its share. */
bool h2_call_exclude_from_limit(struct call *call);

#endif
