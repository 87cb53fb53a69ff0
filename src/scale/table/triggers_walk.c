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

/* NULL: it has none. */
static struct trigger *last_of_object(const struct triggers *triggers, const char *namespace,
                                      const char *name)
{
    const struct trigger_object *object = trigger_objects_find(triggers->objects, namespace, name);
    return object == NULL ? NULL : object->triggers->prev_of_object;
}

/* The one that was called for before this one; NULL: this is the first of the list. */
static struct trigger *called_before(const struct trigger *trigger)
{
    return trigger == trigger->object->triggers ? NULL : trigger->prev_of_object;
}

size_t triggers_of_object(const struct triggers *triggers, const char *namespace, const char *name,
                          uint64_t *ret_ids, size_t max)
{
    const struct trigger *trigger = last_of_object(triggers, namespace, name);
    size_t count = 0;
    for (; trigger != NULL && count < max; trigger = called_before(trigger))
        ret_ids[count++] = trigger->id;
    return count;
}

/* Passes those that were called for since the id was read, and no others: where it was dropped, so
 * were all that had been called for before it. */
struct trigger *triggers_of_object_find(const struct triggers *triggers, const char *namespace,
                                        const char *name, uint64_t id)
{
    struct trigger *trigger = last_of_object(triggers, namespace, name);
    while (trigger != NULL && trigger->id != id)
        trigger = called_before(trigger);
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
