/* The trigger that a call is of, and its query. */
#include "scale/table/triggers_internal.h"
#include "scale/trigger/trigger_peers.h"

/* How many bytes more the table has with this trigger, by those that are in it now. */
static size_t added_bytes(const struct triggers *triggers, const struct trigger *trigger)
{
    const struct budgets *budgets = &triggers->lifecycle.budgets;
    const struct namespace_secret *secret = trigger->secret;
    size_t bytes = budget_of(budgets, trigger);
    if (secret != NULL && budgets_find(budgets, trigger->namespace) == NULL)
        bytes += connections_bytes(secret->connections);
    return bytes;
}

/* The last trigger of its namespace, or of its connection, may be dropped for it: then it adds what
 * it would have shared with that. */
static bool evict_for(struct triggers *triggers, const struct trigger *trigger,
                      struct eviction_request *request, struct error *error)
{
    do {
        request->bytes = added_bytes(triggers, trigger);
        if (!triggers_evict(triggers, request, error))
            return false;
    } while (added_bytes(triggers, trigger) > request->bytes);
    return true;
}

/* What it takes is known when it has been parsed, which is not done where not even the least that
 * it can take fits, or all places are in use: what is refused comes again with each poll. */
static bool parse_new(struct triggers *triggers, const struct trigger_ref *ref,
                      const struct identity *identity, int64_t now_ms, struct trigger **ret_trigger,
                      struct error *error)
{
    if (identity->length > OPTION_MAX_METADATA)
        return error_set(error, ERROR_LIMIT, "scalerMetadata has %zu bytes: at most %d are allowed",
                         identity->length, OPTION_MAX_METADATA);
    struct eviction_request request = {
        .namespace = ref->namespace,
        .bytes = budget_min(identity->length),
        .guaranteed_bytes = triggers_bytes_of(triggers, ref->namespace),
        .now_ms = now_ms,
    };
    if (!triggers_have_place(triggers, &request, error) ||
        !triggers_evict(triggers, &request, error))
        return false;
    struct trigger *trigger = lifecycle_begin(&triggers->lifecycle, ref, *identity, now_ms);
    request.is_new_trigger = true;
    if (evict_for(triggers, trigger, &request, error)) {
        triggers_add(triggers, trigger);
        lifecycle_need_object(&triggers->lifecycle, trigger, ref);
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
