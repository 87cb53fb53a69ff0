/* The trigger that a call is of, and its query. */
#include "scale/table/triggers_internal.h"
#include "scale/trigger/trigger_peers.h"

/* Of the limit on triggers: what one takes grows with its metadata, and with each key. */
static size_t places_of(const struct trigger_ref *ref, const struct identity *identity)
{
    enum { PLACE_BYTES = 2 << 10, KEY_BYTES = 64 };
    return 1 + (identity->length + ref->count * KEY_BYTES) / PLACE_BYTES;
}

static bool parse_new(struct triggers *triggers, const struct trigger_ref *ref,
                      const struct identity *identity, int64_t now_ms, struct trigger **ret_trigger,
                      struct error *error)
{
    if (identity->length > OPTION_MAX_METADATA)
        return error_set(error, ERROR_LIMIT, "scalerMetadata has %zu bytes: at most %d are allowed",
                         identity->length, OPTION_MAX_METADATA);
    size_t places = places_of(ref, identity);
    if (!triggers_make_place(triggers, places, now_ms, error))
        return false;
    struct trigger *trigger = lifecycle_begin(&triggers->lifecycle, ref, *identity, now_ms);
    trigger->places = places;
    triggers_add(triggers, trigger);
    lifecycle_need_object(&triggers->lifecycle, trigger, ref);
    *ret_trigger = trigger;
    return true;
}

bool triggers_find(struct triggers *triggers, const struct trigger_ref *ref, int64_t now_ms,
                   struct trigger **ret_trigger, struct error *error)
{
    struct identity identity;
    if (!identity_prepare(ref, &identity, error))
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
    triggers_refresh_object(triggers, trigger, now_ms);
    if (!lifecycle_measure(&triggers->lifecycle, trigger, error))
        return false;
    *ret_query = trigger->bound.query;
    return true;
}
