/* The trigger that a call is of, and its query. */
#include "scale/triggers_internal.h"

#include "base/clock.h"
#include "base/memory.h"
#include "scale/trigger_peers.h"

#include <stdlib.h>
#include <utlist.h>

static struct trigger *trigger_new(struct triggers *triggers, const struct trigger_ref *ref,
                                   struct identity identity, int64_t now_ms)
{
    struct trigger *trigger = memory_new(sizeof(*trigger));
    trigger->name = text_copy(ref->name);
    trigger->namespace = text_copy(ref->namespace);
    triggers_parse(triggers, trigger, ref);
    trigger->revision = triggers->revision;
    identity_write(&identity, ref);
    trigger->identity = identity;
    trigger->first_call_ms = trigger->last_call_ms = now_ms;
    return trigger;
}

/* What it takes is known when it has been parsed, which is not done where there is no room anyway.
 */
static bool parse_new(struct triggers *triggers, const struct trigger_ref *ref,
                      const struct identity *identity, int64_t now_ms, struct trigger **ret_trigger,
                      struct error *error)
{
    if (identity->length > TRIGGERS_MAX_METADATA)
        return error_set(error, ERROR_LIMIT, "scalerMetadata has %zu bytes: at most %d are allowed",
                         identity->length, TRIGGERS_MAX_METADATA);
    if (!triggers_make_room_for_bytes(triggers, ref->namespace, budget_min(identity->length),
                                      now_ms, error))
        return false;
    struct trigger *trigger = trigger_new(triggers, ref, *identity, now_ms);
    if (triggers_make_room_for_bytes(triggers, ref->namespace,
                                     budget_of(&triggers->budgets, trigger), now_ms, error) &&
        triggers_make_room(triggers, error)) {
        triggers_add(triggers, trigger);
        if (trigger->wants_credentials || trigger->wants_hpa)
            triggers->settings.own.add(triggers->settings.own.context, &trigger->identity, ref,
                                       trigger->wants_hpa ? NULL : trigger->scaler->options);
        *ret_trigger = trigger;
        return true;
    }
    triggers_free_trigger(triggers, trigger);
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
    trigger_take_from_peers(*ret_trigger, triggers->settings.peers, now_ms);
    return true;
}

/* ---- its query ---- */

static int64_t replicas_ms(const struct trigger *trigger)
{
    return trigger->credentials == NULL ? 0 : trigger->credentials->hpa.replicas_ms;
}

/* What KEDA was answered last is no reading, or an old one: the source may have refused the
 * credentials. Ever less often while it is so: what changes is noticed without it, too, and the
 * triggers of a source that is away for long are many. */
static void doubt_credentials(const struct triggers *triggers, struct trigger *trigger)
{
    enum { FIRST_DOUBT_MS = 1000, LONGEST_DOUBT_MS = 60 * 1000 };
    int64_t now_ms = clock_now_ms();
    bool is_failing =
        error_is_set(&trigger->mistakes) || trigger->is_held ||
        (trigger->last_answer.call != NULL && trigger->last_answer.answer.kind == ANSWER_REFUSED);
    if (!is_failing || trigger->last_answer.answer.failing_since_ms > trigger->doubted_ms)
        trigger->doubt_interval_ms = 0;
    int64_t interval_ms =
        trigger->doubt_interval_ms < FIRST_DOUBT_MS ? FIRST_DOUBT_MS : trigger->doubt_interval_ms;
    bool is_due = trigger->doubted_ms == 0 || now_ms - trigger->doubted_ms >= interval_ms;
    bool needs_replicas = trigger->wants_hpa && trigger->is_held &&
                          triggers->settings.own.reads_hpas &&
                          replicas_ms(trigger) < trigger->last_answer.answer.failing_since_ms;
    if (!(trigger->wants_credentials || needs_replicas) || trigger->awaits_secret || !is_failing ||
        !is_due)
        return;
    trigger->doubted_ms = now_ms;
    if (trigger->doubt_interval_ms > 0)
        interval_ms = interval_ms * 2 > LONGEST_DOUBT_MS ? LONGEST_DOUBT_MS : interval_ms * 2;
    trigger->doubt_interval_ms = interval_ms;
    triggers->settings.own.doubt(triggers->settings.own.context, &trigger->identity);
}

bool triggers_acquire_query(struct triggers *triggers, struct trigger *trigger,
                            struct query **ret_query, struct error *error)
{
    doubt_credentials(triggers, trigger);
    if (error_is_set(&trigger->mistakes)) {
        error_copy(error, &trigger->mistakes);
        return false;
    }
    struct watcher *watcher;
    if (!trigger_query_acquire(&triggers->query_settings, trigger, error))
        return false;
    DL_FOREACH2(trigger->watchers, watcher, next_owned)
        if (watcher->query == NULL)
            watcher_start(watcher, trigger->query, watcher->is_stream);
    *ret_query = trigger->query;
    return true;
}
