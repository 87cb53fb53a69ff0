/*
 * A walk over all triggers, or those of one ScaledObject, from the HTTP server's thread: in pieces
 * under the turn lock, since calls wait meanwhile. A piece of all triggers is bounded in number and
 * time; of an object it is one trigger, and as long as its visit takes. Other pages wait for the
 * whole walk: it fails where the pieces of it wait for too long in sum.
 *
 * Threads: the HTTP server's, one walk at a time: the table keeps its place (triggers_next()).
 */
#ifndef BACKLOG_WEB_CONTENT_TRIGGER_WALK_H
#define BACKLOG_WEB_CONTENT_TRIGGER_WALK_H

#include "scale/table/triggers.h"

#include <stdbool.h>

struct page_response;

struct trigger_walk {
    struct triggers *triggers;
    /* Has `call` run under the turn lock. False: that was not possible in time. */
    bool (*run)(void *context, void (*call)(void *call_context), void *call_context);
    void *run_context;
    int64_t visited_us; /* what visits took, of all walks */
};

/* What the pieces of a walk wait for the turn lock at most, and what each may wait as usual. */
enum { TRIGGER_WALK_MAX_WAIT_MS = 3000, TRIGGER_WALK_USUAL_WAIT_MS = 2 };

/* Visits a trigger under the turn lock; the trigger may be gone afterwards. */
typedef void trigger_walk_visit(void *context, struct trigger *trigger, int64_t now_ms);

/* Visits all triggers by ascending ids. False: it did not finish, as the server's loop is busy or
 * has ended; some may have been visited. */
bool trigger_walk_all(struct trigger_walk *walk, trigger_walk_visit *visit, void *context);

/* Visits the triggers of an object as KEDA called for them, the last one first, at most
 * TRIGGER_WALK_PER_OBJECT, and gives up the turn lock after each. There is a limit since a caller
 * can invent metadata, and a page of an object says much about each. False: as
 * trigger_walk_all(). */
enum { TRIGGER_WALK_PER_OBJECT = 100 };
bool trigger_walk_object(struct trigger_walk *walk, const char *namespace, const char *name,
                         trigger_walk_visit *visit, void *context);

/* Whether the trigger is of this ScaledObject. NULL stands for any namespace, or any name. */
bool trigger_walk_is_of(const struct trigger *trigger, const char *namespace, const char *name);

/* The response of a page whose walk did not finish, and for one whose object has no trigger. */
void trigger_walk_refuse_busy(struct page_response *response);
void trigger_walk_refuse_unknown_object(struct page_response *response);

#endif
