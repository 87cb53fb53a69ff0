/*
 * The life of a trigger, in the order of time: it begins, is measured, is parsed again whenever
 * what it was parsed with changes, and ends. Each change of its phase is made here.
 *
 * Threads: one at a time (the server's turn lock).
 */
#ifndef BACKLOG_SCALE_TABLE_LIFECYCLE_H
#define BACKLOG_SCALE_TABLE_LIFECYCLE_H

#include "scale/table/parse.h"
#include "scale/trigger/trigger.h"

/* What triggers are parsed with and measured by, and the limits that they count for. */
struct lifecycle {
    struct parse_settings parse;
    struct engine *engine;
    uint64_t revision; /* of the connections */
    bool is_stopping;  /* what ends now says nothing about KEDA */
};

/* Makes a trigger, which is parsed with what is known now and in no table yet. `identity` was
 * prepared. */
struct trigger *lifecycle_begin(struct lifecycle *lifecycle, const struct trigger_ref *ref,
                                struct identity identity, int64_t now_ms);

/* What the Kubernetes API says about its object is needed from now on, or not any more; where it
 * needs that at all. */
void lifecycle_need_object(const struct lifecycle *lifecycle, const struct trigger *trigger,
                           const struct trigger_ref *ref);
void lifecycle_end_need(const struct lifecycle *lifecycle, const struct trigger *trigger);

/* Has the trigger measured from now on, where it is not yet, and its watchers notified. Fails with
 * its mistakes, or where a limit is reached. */
bool lifecycle_measure(struct lifecycle *lifecycle, struct trigger *trigger, struct error *error);

/*
 * What one of the table was parsed with has changed: it is parsed again. Where it was measured, or
 * is watched, and has another connection now, it and its watchers move to a query of that; or to
 * none where it has mistakes now or a limit is reached. What was known is kept if both lead to the
 * same place.
 */
void lifecycle_renew(struct lifecycle *lifecycle, struct trigger *trigger);

/* Frees a trigger that is in no table, and needs no object any more. */
void lifecycle_end(struct lifecycle *lifecycle, struct trigger *trigger);

#endif
