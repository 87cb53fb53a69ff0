/*
 * A walk over all triggers, or those of one ScaledObject, from the HTTP server's thread. Triggers
 * are visited under the turn lock, for which calls of KEDA wait. So a walk is done in pieces, and
 * gives up the turn lock after each:
 *
 *     of all triggers     up to 500 triggers or about 0.5 ms
 *     of an object        one trigger, as its page says much about each
 *
 * Other pages wait for the whole walk. It fails in two cases:
 *
 *     run() returns false                   in the server: one piece has waited for 1 s (probes.c)
 *     all pieces have waited for too long   3 s, and 2 ms for each piece: 20 pieces for 10,000
 *                                           triggers may wait for 3.04 s in sum
 *
 * The last piece may exceed the sum, so that a walk waits for about 4 s at most.
 *
 * Threads: the HTTP server's begins a walk and waits for its end, one walk at a time, as the table
 * keeps the walk's place (triggers_next()). The visits run on the thread of the server's loop,
 * which answers KEDA: a visit must not block. It may use what belongs to the HTTP server's thread,
 * which waits meanwhile.
 */
#ifndef BACKLOG_WEB_CONTENT_TRIGGER_WALK_H
#define BACKLOG_WEB_CONTENT_TRIGGER_WALK_H

#include "scale/table/triggers.h"

#include <stdbool.h>

struct page_response;

struct trigger_walk {
    struct triggers *triggers;
    /* Has the server's loop run `call` under the turn lock, and waits until it has. False: the loop
     * did not begin it in time. */
    bool (*run)(void *context, void (*call)(void *call_context), void *call_context);
    void *run_context;
    int64_t visited_us; /* the time of all visits of all walks, by the clock: KEDA's calls waited */
};

/* What a walk waits for the turn lock at most, beyond what each piece usually waits. */
enum { TRIGGER_WALK_MAX_WAIT_MS = 3000, TRIGGER_WALK_USUAL_WAIT_MS = 2 };

/* Visits a trigger under the turn lock, on the thread of the server's loop. The trigger may be gone
 * afterwards. */
typedef void trigger_walk_visit(void *context, struct trigger *trigger, int64_t now_ms);

/* Visits all triggers by ascending ids. False: the walk did not finish, as the server's loop is
 * busy or has ended; some triggers may have been visited. */
bool trigger_walk_all(struct trigger_walk *walk, trigger_walk_visit *visit, void *context);

/* Visits the triggers of an object, the one that KEDA called for last first. There is a limit as a
 * caller can invent metadata, each of which is a trigger. False: as trigger_walk_all(). */
enum { TRIGGER_WALK_PER_OBJECT = 100 };
bool trigger_walk_object(struct trigger_walk *walk, const char *namespace, const char *name,
                         trigger_walk_visit *visit, void *context);

/* Whether the trigger is of this ScaledObject. NULL is any namespace, or any name. */
bool trigger_walk_is_of(const struct trigger *trigger, const char *namespace, const char *name);

/* The responses of a page whose walk did not finish, and of one whose object has no trigger. */
void trigger_walk_refuse_busy(struct page_response *response);
void trigger_walk_refuse_unknown_object(struct page_response *response);

#endif
