/*
 * A retry: what is read again when its files change is read again a while after it failed, too, for
 * what was wrong may pass while the files rest: no descriptor was free, a volume was away. The log
 * reports a failure once, until another one occurs, the files change, or SIGHUP arrives.
 *
 * Threads: none are involved; a retry belongs to whoever declared it.
 */
#ifndef BACKLOG_DAEMON_RETRY_H
#define BACKLOG_DAEMON_RETRY_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

enum { RETRY_MS = 5000 };

/* Start from {0}. */
struct retry {
    char *failure; /* of the last attempt, as it was logged; NULL: it was good */
    int64_t due_ms;
};

/* Is it time for an attempt? `has_changed`: the files have changed, or SIGHUP has arrived. */
bool retry_is_due(struct retry *retry, bool has_changed, int64_t now_ms);

/* The attempt failed, and the next one is due then. `stays`: what that means for the time being. */
void retry_failed(struct retry *retry, const struct error *error, const char *stays,
                  int64_t due_ms);

/* The attempt was good; or the retry is not needed any more. */
void retry_done(struct retry *retry);

#endif
