/* The trigger that a call is of, and its query. */
#include "scale/table/triggers_internal.h"
#include "scale/trigger/trigger_peers.h"

/* What it takes is known when it has been parsed, which is not done where there is no room anyway.
 */
static bool parse_new(struct triggers *triggers, const struct trigger_ref *ref,
                      const struct identity *identity, int64_t now_ms, struct trigger **ret_trigger,
                      struct error *error)
{
    if (identity->length > OPTION_MAX_METADATA)
        return error_set(error, ERROR_LIMIT, "scalerMetadata has %zu bytes: at most %d are allowed",
                         identity->length, OPTION_MAX_METADATA);
    struct room_request room = {
        .namespace = ref->namespace,
        .bytes = budget_min(identity->length),
        .guaranteed_bytes = triggers_bytes_of(triggers, ref->namespace),
        .now_ms = now_ms,
    };
    if (!triggers_make_room(triggers, &room, error))
        return false;
    struct trigger *trigger = lifecycle_begin(&triggers->lifecycle, ref, *identity, now_ms);
    room.bytes = budget_of(&triggers->lifecycle.budgets, trigger);
    room.is_new_trigger = true;
    if (triggers_make_room(triggers, &room, error)) {
        triggers_add(triggers, trigger);
        lifecycle_follow_object(&triggers->lifecycle, trigger, ref);
        *ret_trigger = trigger;
        return true;
    }
    lifecycle_end(&triggers->lifecycle, trigger);
    return false;
}

bool triggers_find(struct triggers *triggers, const struct trigger_ref *ref, int64_t now_ms,
                   struct trigger **ret_trigger, struct error *error)
{
    struct identity identity;
    if (!identity_measure(ref, &identity, error))
        return false;
    struct trigger *trigger = triggers_lookup(triggers, ref, &identity);
    if (trigger != NULL) {
        triggers_touch(triggers, trigger, now_ms);
        triggers_renew_one(triggers, trigger);
        *ret_trigger = trigger;
    } else if (!parse_new(triggers, ref, &identity, now_ms, ret_trigger, error))
        return false;
    trigger_peers_take(*ret_trigger, triggers->settings.peers, now_ms);
    return true;
}

bool triggers_acquire_query(struct triggers *triggers, struct trigger *trigger, int64_t now_ms,
                            struct query **ret_query, struct error *error)
{
    triggers_doubt_kubernetes(triggers, trigger, now_ms);
    if (!lifecycle_measure(&triggers->lifecycle, trigger, error))
        return false;
    *ret_query = trigger->bound.query;
    return true;
}
