/*
 * Inside of the table of triggers: triggers.c keeps them and finds room for them, triggers_find.c
 * finds the one that a call is of, and its query, and triggers_renewal.c parses them, and parses
 * them again when what they were parsed with changes.
 *
 * Threads: as triggers.h.
 */
#ifndef BACKLOG_SCALE_TRIGGERS_INTERNAL_H
#define BACKLOG_SCALE_TRIGGERS_INTERNAL_H

#include "scale/budget.h"
#include "scale/trigger_query.h"
#include "scale/triggers.h"

struct triggers {
    struct triggers_settings settings;
    struct trigger *by_identity;
    struct trigger
        *by_age; /* utlist of those not pinned, the one without a call for longest first */
    struct trigger_object *objects;
    struct policy_stats policy_stats;
    struct trigger *next_walked;  /* see triggers_next() */
    struct trigger *next_renewed; /* it and those behind it may be of an older revision */
    uint64_t revision;            /* of the connections */
    uint64_t last_id;
    struct budgets budgets;
    bool is_stopping; /* what is released now says nothing about KEDA */
    struct trigger_query_settings query_settings;
    struct namespace_secrets *secrets;
};

/* The trigger with this identity, which was measured; NULL: there is none. */
struct trigger *triggers_lookup(const struct triggers *triggers, const struct trigger_ref *ref,
                                const struct identity *identity);

/* Parses it with what is known now. It has nothing of an earlier time. */
void triggers_parse(struct triggers *triggers, struct trigger *trigger,
                    const struct trigger_ref *ref);

/* Parses it again, if its connection has changed since. */
void triggers_renew_one(struct triggers *triggers, struct trigger *trigger);

/* It was called for just now. */
void triggers_touch(struct triggers *triggers, struct trigger *trigger, int64_t now_ms);

/* Drops triggers that are not in use until there is room for one more, or for so many bytes of this
 * namespace. Fails with ERROR_LIMIT. */
bool triggers_make_room(struct triggers *triggers, struct error *error);
bool triggers_make_room_for_bytes(struct triggers *triggers, const char *namespace, size_t bytes,
                                  int64_t now_ms, struct error *error);

/* The same for what a trigger of the table needs in addition: it is not dropped for itself. */
bool triggers_make_room_beside(struct triggers *triggers, struct trigger *trigger, size_t bytes,
                               int64_t now_ms, struct error *error);

/* Takes the trigger. */
void triggers_add(struct triggers *triggers, struct trigger *trigger);

/* It needs the Secret of its namespace no more; what nobody needs is dropped. */
void triggers_leave_secret(struct triggers *triggers, struct trigger *trigger);

/* Frees one that is in no table. */
void triggers_free_trigger(struct triggers *triggers, struct trigger *trigger);

/* What the connections file names is the administrator's: no trigger's own connection is in its
 * way. */
void triggers_reserve_for_file(struct triggers *triggers);

#endif
