/*
 * Inside of the table of triggers, for its files: triggers_find.c is where a call begins, and has
 * nothing that the others call.
 *
 * Threads: as triggers.h.
 */
#ifndef BACKLOG_SCALE_TABLE_TRIGGERS_INTERNAL_H
#define BACKLOG_SCALE_TABLE_TRIGGERS_INTERNAL_H

#include "scale/table/lifecycle.h"
#include "scale/table/triggers.h"

struct triggers {
    struct triggers_settings settings;
    struct lifecycle lifecycle;
    struct trigger *by_identity;
    struct trigger *by_age; /* utlist: not pinned ones, the one without a call for longest first */
    struct trigger_object *objects;
    /* Where walks go on, by ascending ids; NULL: at the end. drop() moves both. */
    struct trigger *next_walked;  /* triggers_next() */
    struct trigger *next_renewed; /* it and those behind it may be of an older revision */
    size_t places;                /* of settings.max, that they take */
    uint64_t last_id;
    int64_t resumed_ms; /* see triggers_resume(); 0: never */
};

/* ---- triggers.c ---- */

/* The trigger of the ref, whose identity was prepared; NULL: there is none. */
struct trigger *triggers_lookup(const struct triggers *triggers, const struct trigger_ref *ref,
                                const struct identity *identity);

/* Drops those that had no call for longest, but none that had one within TRIGGERS_IN_USE_MS, until
 * there are so many places. Fails with ERROR_LIMIT where there are not; what was dropped is
 * gone. */
bool triggers_make_place(struct triggers *triggers, size_t places, int64_t now_ms,
                         struct error *error);

/* Takes the trigger. */
void triggers_add(struct triggers *triggers, struct trigger *trigger);

/* It was called for just now. */
void triggers_touch(struct triggers *triggers, struct trigger *trigger, int64_t now_ms);

/* What the connections file names is the administrator's: no trigger's own connection is in its
 * way. */
void triggers_reserve_for_file(struct triggers *triggers);

/* ---- triggers_renewal.c ---- */

/* Parses the trigger again, if its connection has changed since it was parsed. */
void triggers_renew_one(struct triggers *triggers, struct trigger *trigger);

/* ---- triggers_kubernetes.c ---- */

/* Has the trigger's object in the Kubernetes API read again where it needs that and its last answer
 * was an error or a held value: what is known of the object may be the reason. */
void triggers_refresh_object(const struct triggers *triggers, struct trigger *trigger,
                             int64_t now_ms);

#endif
