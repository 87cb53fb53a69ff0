/*
 * A walk over all triggers from the HTTP server's thread: under the turn lock, a bounded number at
 * a time, since calls wait meanwhile.
 *
 * Threads: the HTTP server's, one walk at a time.
 */
#ifndef BACKLOG_WEB_WALK_H
#define BACKLOG_WEB_WALK_H

#include "scale/table/triggers.h"

#include <stdbool.h>

struct walk_source {
    struct triggers *triggers;
    /* Has it run under the turn lock; false where that was not possible in time. */
    bool (*run)(void *context, void (*call)(void *call_context), void *call_context);
    void *run_context;
};

enum walk_step {
    WALK_ON,
    WALK_PAUSE, /* that was much work: calls come first */
};

/* False: it did not finish, because the server's loop is busy or has ended. */
bool walk(const struct walk_source *source,
          enum walk_step (*visit)(void *context, struct trigger *trigger, int64_t now_ms),
          void *context);

/* A page of one object has at most so many triggers of it: a caller can invent names. */
enum { WALK_TRIGGERS_PER_OBJECT = 100 };

/* NULL: any. */
bool walk_is_of(const struct trigger *trigger, const char *namespace, const char *name);

#endif
