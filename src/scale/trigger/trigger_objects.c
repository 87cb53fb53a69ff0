#include "scale/trigger/trigger_objects.h"

#include "base/hash_table.h"
#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <utlist.h>

/* In one poll KEDA calls for each trigger of an object, one after the other. */
enum { POLL_MS = 10000 };

/* Names come from outside, so the hash is keyed. */
struct trigger_object *trigger_objects_find(struct trigger_object *objects, const char *namespace,
                                            const char *name)
{
    _cleanup_(memory_free) char *key = text_format("%s/%s", namespace, name);
    struct trigger_object *object;
    HASH_FIND_STR(objects, key, object);
    return object;
}

void trigger_objects_join(struct trigger_object **objects, struct trigger *trigger)
{
    struct trigger_object *object =
        trigger_objects_find(*objects, trigger->namespace, trigger->name);
    if (object == NULL) {
        object = memory_new(sizeof(*object));
        object->key = text_format("%s/%s", trigger->namespace, trigger->name);
        object->called_at_ms = object->poll_at_ms = object->former_poll_at_ms = INT64_MIN;
        HASH_ADD_KEYPTR(hh, *objects, object->key, strlen(object->key), object);
    }
    DL_APPEND2(object->triggers, trigger, prev_of_object, next_of_object);
    object->newest_at_ms = trigger->first_call_ms;
    trigger->object = object;
    trigger_objects_touch(trigger, 0, trigger->last_call_ms);
}

void trigger_objects_leave(struct trigger_object **objects, struct trigger *trigger)
{
    struct trigger_object *object = TAKE(trigger->object);
    object->pins -= trigger->pins;
    DL_DELETE2(object->triggers, trigger, prev_of_object, next_of_object);
    if (object->triggers != NULL)
        return;
    HASH_DELETE(hh, *objects, object);
    free(object->key);
    free(object);
}

void trigger_objects_touch(struct trigger *trigger, int64_t resumed_ms, int64_t now_ms)
{
    struct trigger_object *object = trigger->object;
    int64_t pause_ms = now_ms - MAX(trigger->last_call_ms, resumed_ms);
    if (trigger->pins == 0)
        trigger->longest_pause_ms = MAX(trigger->longest_pause_ms, pause_ms);
    trigger->last_call_ms = now_ms;
    DL_DELETE2(object->triggers, trigger, prev_of_object, next_of_object);
    DL_APPEND2(object->triggers, trigger, prev_of_object, next_of_object);
    object->called_at_ms = MAX(object->called_at_ms, now_ms);
    if (now_ms > object->poll_at_ms + POLL_MS) {
        object->former_poll_at_ms = object->poll_at_ms;
        object->poll_at_ms = now_ms;
    }
}

bool trigger_objects_are_siblings(const struct trigger *trigger, int64_t now_ms)
{
    return now_ms <= trigger->first_call_ms + POLL_MS;
}

/* It was called for in several polls, and misses those of now. Between polls the HPA's calls may be
 * for others alone, so that only the trigger's own pauses say how long it is without one. At the
 * beginning of a poll others are called for first. */
static bool is_left_out(const struct trigger *trigger)
{
    const struct trigger_object *object = trigger->object;
    return trigger->last_call_ms > trigger->first_call_ms + POLL_MS &&
           trigger->last_call_ms < object->former_poll_at_ms &&
           object->called_at_ms > trigger->last_call_ms + 2 * trigger->longest_pause_ms + POLL_MS;
}

/* One whose stream is open is called for all the time; a call that waits is a pin, too. */
bool trigger_objects_superseded(const struct trigger *trigger, int64_t now_ms)
{
    const struct trigger_object *object = trigger->object;
    if (object == NULL || trigger->pins > 0)
        return false;
    int64_t called_at_ms = object->pins > 0 ? now_ms : object->called_at_ms;
    bool is_former = object->newest_at_ms >= trigger->last_call_ms &&
                     called_at_ms > trigger->last_call_ms + POLL_MS;
    return is_former || is_left_out(trigger);
}
