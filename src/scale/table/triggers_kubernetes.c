/* What the Kubernetes API says about the object of a trigger: set, and read again. */
#include "scale/table/triggers_internal.h"

#include "base/memory.h"

#include <stdlib.h>

/* Takes the credentials. The replicas of the HPA are no reason to parse it again. */
static void replace_credentials(struct triggers *triggers, struct trigger *trigger,
                                struct credentials *credentials, const struct hpa_facts *hpa)
{
    struct trigger_kubernetes *known = &trigger->kubernetes;
    bool is_same = credentials_equal(known->credentials, credentials) &&
                   known->hpa.down_window_ms == hpa->down_window_ms;
    credentials_free(known->credentials);
    known->credentials = credentials;
    known->hpa = *hpa;
    if (!is_same)
        lifecycle_renew(&triggers->lifecycle, trigger);
}

void triggers_set_credentials(struct triggers *triggers, const char *identity, size_t length,
                              struct credentials *credentials, const struct hpa_facts *hpa)
{
    const struct identity bytes = {.bytes = (char *)identity, .length = length};
    _cleanup_(error_done) struct error ignored = {0};
    struct trigger_ref ref = identity_ref(&bytes);
    struct identity prepared;
    struct trigger *trigger = NULL;
    if (identity_prepare(&ref, &prepared, &ignored))
        trigger = triggers_lookup(triggers, &ref, &prepared);
    free(ref.entries);
    if (trigger == NULL || !(trigger->parsed.needs & TRIGGER_NEEDS_OBJECT)) {
        credentials_free(credentials);
        return;
    }
    replace_credentials(triggers, trigger, credentials, hpa);
}

void triggers_refresh_object(const struct triggers *triggers, struct trigger *trigger,
                             int64_t now_ms)
{
    const struct own_credentials_settings *own = &triggers->settings.own;
    const struct trigger_last_answer *last = &trigger->answers.last;
    unsigned needs = trigger->parsed.needs;
    const struct object_refresh_facts facts = {
        .is_pending = trigger->phase == TRIGGER_PENDING,
        .has_mistakes = error_is_set(&trigger->parsed.mistakes),
        .is_refused = last->call != NULL && last->answer.kind == ANSWER_REFUSED,
        .is_held = trigger->answers.hold_state == TRIGGER_HOLD_ON,
        .has_own_credentials = needs & TRIGGER_NEEDS_CREDENTIALS,
        .has_replicas = needs & TRIGGER_NEEDS_HPA && own->reads_hpas,
        .replicas_at_ms = trigger->kubernetes.hpa.replicas_at_ms,
        .failing_since_ms = trigger->answers.hold.failing_since_ms,
    };
    if (object_refresh_is_due(&trigger->kubernetes.refresh, &facts, now_ms))
        own->refresh(own->context, &trigger->identity);
}
