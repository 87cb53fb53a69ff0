/*
 * The ScaledObjects of the triggers that are known: which triggers each has, and when KEDA called
 * for any of them. KEDA does not report that metadata was changed; it shows in that other triggers
 * of the object are called for.
 *
 * Threads: one at a time (the server's turn lock).
 */
#ifndef BACKLOG_SCALE_TRIGGER_TRIGGER_OBJECTS_H
#define BACKLOG_SCALE_TRIGGER_TRIGGER_OBJECTS_H

#include "scale/trigger/trigger.h"

struct trigger_object {
    char *key;                 /* "namespace/name" */
    struct trigger *triggers;  /* utlist (next_of_object), the one called for last at the end */
    size_t pins;               /* of all its triggers */
    int64_t newest_at_ms;      /* the first call for the trigger that came last; it may have gone */
    int64_t called_at_ms;      /* the last call for any of them */
    int64_t poll_at_ms;        /* when the calls of the last poll began, about */
    int64_t former_poll_at_ms; /* ... and those of the poll before */
    UT_hash_handle hh;
};

/* `objects`: by key; NULL where there are no triggers. The trigger was called for at its
 * last_call_ms. */
void trigger_objects_join(struct trigger_object **objects, struct trigger *trigger);
void trigger_objects_leave(struct trigger_object **objects, struct trigger *trigger);

/* NULL: it has no triggers. */
struct trigger_object *trigger_objects_find(struct trigger_object *objects, const char *namespace,
                                            const char *name);

/* The trigger was called for again. One that is pinned was called for all the time. Nobody could
 * call for a while until resumed_ms (triggers_resume()). */
void trigger_objects_touch(struct trigger *trigger, int64_t resumed_ms, int64_t now_ms);

/* Whether a trigger of the same object that comes now is called for in the poll in which this one
 * came: then it is no edit of it. */
bool trigger_objects_are_siblings(const struct trigger *trigger, int64_t now_ms);

/* Whether the metadata of the trigger's object was changed: KEDA calls for other triggers of the
 * object, and no longer for this one. This one has had no call since another one came, or for more
 * than twice the longest pause between its own calls. Of a trigger that was called for in a single
 * poll this is not known, unless another one came later. */
bool trigger_objects_superseded(const struct trigger *trigger, int64_t now_ms);

#endif
