/*
 * Ends a server whose event loop stands still. Whoever calls it waits for as long as it does:
 * KEDA's polls have no deadline.
 *
 * Threads: the main thread.
 */
#ifndef BACKLOG_DAEMON_WATCHDOG_H
#define BACKLOG_DAEMON_WATCHDOG_H

#include "serve/services/loop_call.h"

struct watchdog {
    struct loop_calls *loop_calls; /* borrowed */
    int looks; /* without a response, one after the other. Counted in these, not in time, so that a
                  machine that was asleep is none */
};

/* Waits for the loop for at most `timeout_ms`, of about a second. Does not return when that was
 * once too often in vain. */
void watchdog_check(struct watchdog *watchdog, int64_t timeout_ms);

#endif
