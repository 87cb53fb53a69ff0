/* What the Kubernetes API says about the object of a trigger: set, and read again. */
#include "scale/table/triggers_internal.h"

#include "base/memory.h"

#include <stdlib.h>
#include <sys/param.h>

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

bool triggers_set_credentials(struct triggers *triggers, const char *identity, size_t length,
                              struct credentials *credentials, const struct hpa_facts *hpa,
                              int64_t now_ms)
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
        return true;
    }
    struct credentials *refused = credentials_new();
    size_t before =
        trigger->kubernetes.credentials == NULL ? 0 : trigger->kubernetes.credentials->bytes;
    const struct eviction_request request = {
        .namespace = trigger->namespace,
        .bytes = credentials->bytes - before,
        .guaranteed_bytes = triggers->settings.max_bytes / 2,
        .kept = trigger,
        .now_ms = now_ms,
    };
    bool has_memory =
        credentials->bytes <= before || triggers_evict(triggers, &request, &refused->failure);
    refused->state = CREDENTIALS_REFUSED;
    if (has_memory)
        replace_credentials(triggers, trigger, TAKE(credentials), hpa);
    else if (!credentials_equal(trigger->kubernetes.credentials, refused))
        replace_credentials(triggers, trigger, TAKE(refused), &HPA_FACTS_UNKNOWN);
    credentials_free(credentials);
    credentials_free(refused);
    return has_memory;
}

/*
 * Less and less often while measuring fails, from each second to each minute: changes are noticed
 * without it, too, and a source that is down for long has many triggers. Both are read together:
 *
 *     it works                                       nothing; the next failure begins with a second
 *     its credentials are being read (PENDING)       nothing
 *     it has mistakes, is refused, or held           credentials, if it has its own
 *     it is held, and the HPA's replicas were not    replicas: usually once, as nothing more is
 *     read since its outage began                    needed when they have been read
 *     its outage began after the last refresh        as above, and it begins with a second again
 */
void triggers_refresh_object(const struct triggers *triggers, struct trigger *trigger,
                             int64_t now_ms)
{
    enum { MIN_INTERVAL_MS = 1000, MAX_INTERVAL_MS = 60 * 1000 };
    const struct own_credentials_settings *own = &triggers->settings.own;
    const struct trigger_last_answer *last = &trigger->answers.last;
    struct trigger_kubernetes *known = &trigger->kubernetes;
    bool is_held = trigger->answers.hold == TRIGGER_HOLD_ON;
    bool is_refused = last->call != NULL && last->answer.kind == ANSWER_REFUSED;
    bool is_failing = error_is_set(&trigger->parsed.mistakes) || is_held || is_refused;
    if (!is_failing || last->answer.replicas_from_ms > known->refreshed_at_ms)
        known->refresh_interval_ms = 0;
    if (!is_failing || trigger->phase == TRIGGER_PENDING)
        return;

    bool needs_replicas = trigger->parsed.needs & TRIGGER_NEEDS_HPA && is_held && own->reads_hpas &&
                          known->hpa.replicas_at_ms < last->answer.replicas_from_ms;
    if (!(trigger->parsed.needs & TRIGGER_NEEDS_CREDENTIALS) && !needs_replicas)
        return;

    int64_t interval_ms = MAX(known->refresh_interval_ms, MIN_INTERVAL_MS);
    if (known->refreshed_at_ms > 0 && now_ms - known->refreshed_at_ms < interval_ms)
        return;
    known->refreshed_at_ms = now_ms;
    known->refresh_interval_ms =
        known->refresh_interval_ms == 0 ? interval_ms : MIN(2 * interval_ms, MAX_INTERVAL_MS);
    own->refresh(own->context, &trigger->identity);
}
