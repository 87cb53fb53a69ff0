/*
 * Errands: what another thread wants done under the server's turn lock, between two events: a look at
 * the triggers, an exchange of what they are made from.
 *
 * Threads: errands_run() from any but the server's own; errands_turn() from the service's turn.
 */
#ifndef BACKLOG_SERVE_SERVICES_ERRAND_H
#define BACKLOG_SERVE_SERVICES_ERRAND_H

#include <stdbool.h>
#include <stdint.h>

struct errands;

/* `wake` has the server take its turn; it may be called from any thread. */
struct errands *errands_new(void (*wake)(void *context), void *context);
void errands_free(struct errands *errands); /* nobody waits any more */

/* Returns once `run` has run. False: the server did not come to it within `most_ms` (it is busy, or has
 * ended), and will not any more. */
bool errands_run(struct errands *errands, void (*run)(void *context), void *context,
                 int64_t most_ms);

void errands_turn(struct errands *errands);

#endif
