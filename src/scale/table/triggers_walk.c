/* Walks over the triggers, in pieces between which others come and go. */
#include "scale/table/triggers_internal.h"
#include "scale/trigger/trigger_objects.h"

struct trigger *triggers_next(struct triggers *triggers)
{
    struct trigger *trigger = triggers->next_walked;
    if (trigger != NULL)
        triggers->next_walked = trigger->hh.next;
    return trigger;
}

struct trigger *triggers_first(struct triggers *triggers)
{
    triggers->next_walked = triggers->by_identity;
    return triggers_next(triggers);
}

struct trigger *triggers_of_object(const struct triggers *triggers, const char *namespace,
                                   const char *name, uint64_t after)
{
    const struct trigger_object *object = trigger_objects_find(triggers->objects, namespace, name);
    struct trigger *trigger = object == NULL ? NULL : object->triggers;
    while (trigger != NULL && trigger->id <= after)
        trigger = trigger->next_of_object;
    return trigger;
}

/* Where uthash doubles the buckets, half of the triggers of each move to a later one. */
uint64_t triggers_buckets(const struct triggers *triggers)
{
    return triggers->by_identity == NULL ? 0 : triggers->by_identity->hh.tbl->num_buckets;
}

struct trigger *triggers_at(const struct triggers *triggers, uint64_t bucket,
                            const struct trigger *before)
{
    UT_hash_table *table = triggers->by_identity->hh.tbl;
    UT_hash_handle *handle = before == NULL ? table->buckets[bucket].hh_head : before->hh.hh_next;
    return handle == NULL ? NULL : ELMT_FROM_HH(table, handle);
}
