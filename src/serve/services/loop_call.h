/*
 * Calls that another thread has run by the server's loop, under its turn lock, between two events:
 * to read the triggers, or to replace the connections.
 *
 * Threads: loop_calls_run() and loop_calls_respond() from any but the server's own;
 * loop_calls_turn() from the service's turn.
 */
#ifndef BACKLOG_SERVE_SERVICES_LOOP_CALL_H
#define BACKLOG_SERVE_SERVICES_LOOP_CALL_H

#include <stdbool.h>
#include <stdint.h>

struct loop_calls;

/* `wake` has the server take its turn; it may be called from any thread. */
struct loop_calls *loop_calls_new(void (*wake)(void *context), void *context);
void loop_calls_free(struct loop_calls *loop_calls); /* nobody waits; NULL is none */

/* Returns once `run` has returned. False: the loop did not start it within `timeout_ms` (it is
 * busy, or has ended), and will not start it any more. */
bool loop_calls_run(struct loop_calls *loop_calls, void (*run)(void *context), void *context,
                    int64_t timeout_ms);

/* Does the loop run calls? */
bool loop_calls_respond(struct loop_calls *loop_calls, int64_t timeout_ms);

/* At most as many as wait when it begins: those that come later have woken the server, so that they
 * run in the next turn, and the loop reads and answers in between. */
void loop_calls_turn(struct loop_calls *loop_calls);

/* The loop takes no turn any more: who waits for one does not wait longer, nor does who comes
 * later. NULL is none. */
void loop_calls_end(struct loop_calls *loop_calls);

#endif
