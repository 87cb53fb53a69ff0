#include "scale/table/triggers_internal.h"

#include "base/memory.h"
#include "scale/trigger/trigger_objects.h"
#include "scale/trigger/trigger_peers.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/param.h>
#include <utlist.h>

void triggers_reserve_for_file(struct triggers *triggers)
{
    const struct lifecycle *lifecycle = &triggers->lifecycle;
    const struct connections *connections = lifecycle->parse.connections;
    size_t count = 0;
    size_t agents = 0;
    if (lifecycle->engine == NULL)
        return;
    for (size_t i = 0; connections != NULL && i < connections->count; i++) {
        const struct named_connection *connection = &connections->items[i];
        const struct scaler *scaler =
            named_connection_is_usable(connection)
                ? scaler_find(lifecycle->parse.scalers, connection->scaler)
                : NULL;
        count += scaler != NULL;
        agents += scaler != NULL && engine_uses_agent(lifecycle->engine, scaler);
    }
    engine_reserve(lifecycle->engine, count, agents);
}

struct triggers *triggers_new(const struct triggers_settings *settings)
{
    struct triggers *triggers = memory_new(sizeof(*triggers));
    triggers->settings = *settings;
    triggers->settings.connections = NULL; /* the lifecycle has those of the moment */
    triggers->lifecycle = (struct lifecycle){
        .parse = {.scalers = settings->scalers,
                  .connections = settings->connections,
                  .rules = settings->rules,
                  .deny_inline = settings->deny_inline,
                  .own = &triggers->settings.own},
        .engine = settings->engine,
        .revision = 1,
    };
    connections_number(settings->connections, NULL, triggers->lifecycle.revision);
    triggers_reserve_for_file(triggers);
    return triggers;
}

/* Ends the trigger, which may be pinned. */
static void drop(struct triggers *triggers, struct trigger *trigger)
{
    assert(triggers->by_identity != NULL); /* the trigger is in it */
    if (triggers->next_walked == trigger)
        triggers->next_walked = trigger->hh.next;
    if (triggers->next_renewed == trigger)
        triggers->next_renewed = trigger->hh.next;
    HASH_DELETE(hh, triggers->by_identity, trigger);
    if (trigger->pins == 0)
        DL_DELETE(triggers->by_age, trigger);
    triggers->places -= trigger->places;
    trigger_objects_leave(&triggers->objects, trigger);
    lifecycle_end_need(&triggers->lifecycle, trigger);
    lifecycle_end(&triggers->lifecycle, trigger);
}

void triggers_free(struct triggers *triggers)
{
    struct trigger *trigger;
    struct trigger *next;
    if (triggers == NULL)
        return;
    triggers->lifecycle.is_stopping = true;
    HASH_ITER(hh, triggers->by_identity, trigger, next)
        drop(triggers, trigger);
    connections_free(triggers->lifecycle.parse.connections);
    free(triggers);
}

void triggers_touch(struct triggers *triggers, struct trigger *trigger, int64_t now_ms)
{
    trigger_objects_touch(trigger, triggers->resumed_ms, now_ms);
    if (trigger->pins > 0)
        return;
    DL_DELETE(triggers->by_age, trigger);
    DL_APPEND(triggers->by_age, trigger);
}

void triggers_pin(struct triggers *triggers, struct trigger *trigger)
{
    trigger->object->pins++;
    if (trigger->pins++ == 0)
        DL_DELETE(triggers->by_age, trigger);
}

void triggers_unpin(struct triggers *triggers, struct trigger *trigger, int64_t now_ms)
{
    if (trigger->pins == 1)
        trigger_objects_touch(trigger, triggers->resumed_ms, now_ms);
    trigger->object->pins--;
    if (--trigger->pins == 0)
        DL_APPEND(triggers->by_age, trigger);
}

/* Not by HASH_FIND(): a prepared identity has no bytes to compare. */
struct trigger *triggers_lookup(const struct triggers *triggers, const struct trigger_ref *ref,
                                const struct identity *identity)
{
    if (triggers->by_identity == NULL)
        return NULL;
    UT_hash_table *table = triggers->by_identity->hh.tbl;
    unsigned bucket;
    HASH_TO_BKT(identity->hash, table->num_buckets, bucket);
    for (UT_hash_handle *at = table->buckets[bucket].hh_head; at != NULL; at = at->hh_next)
        if (at->hashv == identity->hash && at->keylen == identity->length &&
            identity_is(at->key, ref))
            return ELMT_FROM_HH(table, at);
    return NULL;
}

void triggers_add(struct triggers *triggers, struct trigger *trigger)
{
    trigger->id = ++triggers->last_id;
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, triggers->by_identity, trigger->identity.bytes,
                                trigger->identity.length, trigger->identity.hash, trigger);
    triggers->places += trigger->places;
    trigger_objects_join(&triggers->objects, trigger);
    trigger_peers_take_peaks(trigger, trigger->first_call_ms);
    DL_APPEND(triggers->by_age, trigger);
}

bool triggers_make_place(struct triggers *triggers, size_t places, int64_t now_ms,
                         struct error *error)
{
    size_t max = triggers->settings.max;
    while (triggers->places + places > max) {
        struct trigger *oldest = triggers->by_age;
        if (oldest == NULL ||
            now_ms - MAX(oldest->last_call_ms, triggers->resumed_ms) < TRIGGERS_IN_USE_MS)
            return error_set(error, ERROR_LIMIT, "all %zu triggers are in use (--max-triggers)",
                             max);
        drop(triggers, oldest);
    }
    return true;
}

void triggers_resume(struct triggers *triggers, int64_t now_ms)
{
    triggers->resumed_ms = now_ms;
}

int64_t triggers_expire(struct triggers *triggers, int64_t now_ms)
{
    int64_t forget_ms = triggers->settings.forget_ms;
    struct trigger *oldest;
    for (int i = 0; (oldest = triggers->by_age) != NULL; i++) {
        int64_t from_ms = MAX(oldest->last_call_ms, triggers->resumed_ms);
        if (from_ms + forget_ms > now_ms)
            return from_ms + forget_ms;
        if (i == TRIGGERS_EXPIRED_AT_ONCE)
            return now_ms;
        drop(triggers, oldest);
    }
    return now_ms + forget_ms;
}

size_t triggers_count(const struct triggers *triggers)
{
    return HASH_COUNT(triggers->by_identity);
}
