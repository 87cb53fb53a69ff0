#include "scale/trigger/trigger_objects.h"

#include "base/hash_table.h"
#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

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
        object->last_ms = INT64_MIN;
        HASH_ADD_KEYPTR(hh, *objects, object->key, strlen(object->key), object);
    }
    DL_APPEND2(object->triggers, trigger, prev_of_object, next_of_object);
    object->first_ms = trigger->first_call_ms;
    trigger_objects_touch(object, trigger->last_call_ms);
    trigger->object = object;
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

size_t trigger_objects_bytes(const struct trigger *trigger)
{
    size_t key = strlen(trigger->namespace) + strlen("/") + strlen(trigger->name) + 1;
    return memory_heap_bytes(sizeof(struct trigger_object)) + memory_heap_bytes(key);
}

void trigger_objects_touch(struct trigger_object *object, int64_t now_ms)
{
    if (now_ms > object->last_ms)
        object->last_ms = now_ms;
}

/* One whose stream is open is called for all the time. */
bool trigger_objects_superseded(const struct trigger *trigger)
{
    /* In one poll KEDA calls for each trigger of an object, one after the other. */
    enum { POLL_MS = 10000 };
    const struct trigger_object *object = trigger->object;
    if (object == NULL || trigger->pins > 0)
        return false;
    return object->first_ms >= trigger->last_call_ms &&
           (object->pins > 0 || object->last_ms > trigger->last_call_ms + POLL_MS);
}
