/*
 * What other threads have read goes to the triggers, which only the server's loop uses: it takes it
 * between two events.
 *
 * Threads: any but the loop's.
 * Owner:   each function takes what it hands over, also where it fails.
 */
#ifndef BACKLOG_DAEMON_HAND_OVER_H
#define BACKLOG_DAEMON_HAND_OVER_H

#include "scale/table/triggers.h"
#include "serve/services/loop_call.h"

/* Where to; both are borrowed. */
struct hand_over {
    struct loop_calls *loop_calls;
    struct triggers *triggers;
};

/* As triggers_set_connections() and triggers_set_credentials(). False: the event loop does not
 * respond, and what was handed over is freed. */
bool hand_over_connections(const struct hand_over *to, struct connections *connections);
bool hand_over_credentials(const struct hand_over *to, const char *identity, size_t length,
                           struct credentials *credentials, const struct hpa_facts *hpa);

#endif
