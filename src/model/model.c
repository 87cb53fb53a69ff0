#include "model/model.h"

#include "base/memory.h"
#include "base/text.h"
#include "scale/answer/answer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { NEVER_ACTIVE = -1, DEFAULT_POLLING_MS = 30 * 1000, DEFAULT_COOLDOWN_MS = 300 * 1000 };

struct model_settings model_default_settings(void)
{
    return (struct model_settings){
        .polling_ms = DEFAULT_POLLING_MS,
        .cooldown_ms = DEFAULT_COOLDOWN_MS,
        .idle_replicas = MODEL_NO_IDLE,
        .types = {HPA_AVERAGE_VALUE},
        .trigger_count = 1,
        .sync_ms = HPA_SYNC_MS,
        .hpa = hpa_default_settings(),
    };
}

void model_init(struct model *model, const struct model_settings *settings, int64_t replicas,
                int64_t now_ms)
{
    *model = (struct model){
        .settings = *settings,
        .replicas = replicas,
        .pods = replicas,
        .ready_pods = replicas,
        .created_ms = now_ms,
        .last_active_ms = NEVER_ACTIVE,
        .next_poll_ms = now_ms,
        .next_sync_ms = now_ms,
    };
    model->settings.hpa.min_replicas = settings->min_replicas > 0 ? settings->min_replicas : 1;
}

void model_done(struct model *model)
{
    hpa_done(&model->hpa);
}

/* The timer of an interval always comes a little late and goes on from there: nothing is caught up.
 */
static int64_t next_due(int64_t interval_ms, int64_t now_ms)
{
    return now_ms + interval_ms;
}

static struct model_decision set_replicas(struct model *model, enum model_reason reason,
                                          int64_t replicas)
{
    struct model_decision decision = {
        .reason = reason, .before = model->replicas, .replicas = replicas};
    model->replicas = replicas;
    model->pods = replicas;
    if (model->ready_pods > replicas)
        model->ready_pods = replicas;
    return decision;
}

static struct model_decision keep_replicas(struct model *model, enum model_reason reason)
{
    return set_replicas(model, reason, model->replicas);
}

/* ---- fallback (pkg/fallback) ---- */

static int64_t fallback_replicas(const struct model *model)
{
    int64_t replicas = model->settings.fallback.replicas;
    switch (model->settings.fallback.behavior) {
    case MODEL_FALLBACK_CURRENT:
        return model->replicas;
    case MODEL_FALLBACK_CURRENT_IF_HIGHER:
        return model->replicas > replicas ? model->replicas : replicas;
    case MODEL_FALLBACK_CURRENT_IF_LOWER:
        return model->replicas < replicas ? model->replicas : replicas;
    case MODEL_FALLBACK_NONE:
    case MODEL_FALLBACK_STATIC:
        break;
    }
    return replicas;
}

/* The value that makes the HPA want the fallback's replicas. False: a Value has none without ready
 * pods. */
static bool fallback_value(const struct model *model, enum hpa_target_type type,
                           int64_t target_milli, int64_t *ret_value_milli)
{
    double replicas = (double)fallback_replicas(model);
    if (type == HPA_VALUE && model->ready_pods == 0)
        return false;
    if (type == HPA_VALUE)
        replicas /= (double)model->ready_pods;
    *ret_value_milli = (int64_t)((double)target_milli / 1000 * 1000 * replicas);
    return true;
}

/* An answer after KEDA's fallback: what the HPA and the poll get to see. */
struct seen {
    struct hpa_metric metric;
    bool is_active;
    bool is_fallback;
};

/* Each call for a metric counts, a poll's and a sync's alike. */
static struct seen look(struct model *model, size_t trigger, const struct model_answer *answer)
{
    struct seen seen = {.metric = {.type = model->settings.types[trigger], .is_failed = true}};
    if (!answer->has_target)
        return seen;
    seen.metric.target_milli = answer_milli(answer->target);
    if (!answer->is_failed) {
        model->failures[trigger] = 0;
        seen.metric.is_failed = false;
        seen.metric.value_milli = answer_milli(answer->value);
        seen.is_active = answer->is_active;
        return seen;
    }
    if (model->settings.fallback.behavior != MODEL_FALLBACK_NONE &&
        ++model->failures[trigger] > model->settings.fallback.failure_threshold)
        seen.is_fallback = seen.is_active = fallback_value(
            model, seen.metric.type, seen.metric.target_milli, &seen.metric.value_milli);
    seen.metric.is_failed = !seen.is_fallback;
    return seen;
}

/* ---- KEDA's poll (pkg/scaling/executor/scale_scaledobjects.go) ---- */

static struct model_decision scale_up(struct model *model, enum model_reason reason, int64_t now_ms)
{
    int64_t min_replicas = model->settings.min_replicas;
    model->last_active_ms = now_ms;
    return set_replicas(model, reason, min_replicas > 0 ? min_replicas : 1);
}

static bool is_below_active(const struct model *model)
{
    bool idles = model->settings.idle_replicas != MODEL_NO_IDLE;
    return model->replicas == 0 || (idles && model->replicas < model->settings.min_replicas);
}

static struct model_decision poll_active(struct model *model, bool failed, int64_t now_ms)
{
    if (is_below_active(model))
        return scale_up(model, MODEL_ACTIVATED, now_ms);
    if (failed)
        return keep_replicas(model, MODEL_ACTIVE_WITH_ERROR);
    model->last_active_ms = now_ms;
    return keep_replicas(model, MODEL_ACTIVE);
}

/* KEDA's `Before` excludes the very moment; but it keeps the last activity in whole seconds,
 * rounded down, and its timer comes late, so the poll that falls on the end of the cooldown is
 * behind it. */
static struct model_decision poll_cooldown(struct model *model, int64_t now_ms)
{
    const struct model_settings *settings = &model->settings;
    int64_t over_ms = model->last_active_ms == NEVER_ACTIVE
                          ? model->created_ms + settings->initial_cooldown_ms
                          : model->last_active_ms + settings->cooldown_ms;
    if (over_ms > now_ms) {
        struct model_decision decision = keep_replicas(model, MODEL_COOLING_DOWN);
        decision.cooldown_left_ms = over_ms - now_ms;
        return decision;
    }
    return set_replicas(model, MODEL_DEACTIVATED,
                        settings->idle_replicas == MODEL_NO_IDLE ? settings->min_replicas
                                                                 : settings->idle_replicas);
}

static struct model_decision poll_inactive(struct model *model, bool failed, int64_t now_ms)
{
    const struct model_settings *settings = &model->settings;
    bool idles = settings->idle_replicas != MODEL_NO_IDLE;
    bool falls_back = settings->fallback.behavior != MODEL_FALLBACK_NONE;
    if (failed && (!falls_back || settings->fallback.replicas != 0))
        return keep_replicas(model, MODEL_HELD);
    if ((idles && model->replicas > settings->idle_replicas) ||
        (model->replicas > 0 && settings->min_replicas == 0))
        return poll_cooldown(model, now_ms);
    if (!idles && model->replicas < settings->min_replicas)
        return set_replicas(model, MODEL_TO_MIN, settings->min_replicas);
    return keep_replicas(model, MODEL_IDLE);
}

struct model_decision model_poll(struct model *model, const struct model_answer *answers,
                                 int64_t now_ms)
{
    bool active = false, failed = false, fell_back = false;
    for (size_t i = 0; i < model->settings.trigger_count; i++) {
        struct seen seen = look(model, i, &answers[i]);
        active |= seen.is_active;
        failed |= seen.metric.is_failed;
        fell_back |= seen.is_fallback;
    }
    model->next_poll_ms = next_due(model->settings.polling_ms, now_ms);
    struct model_decision decision =
        active ? poll_active(model, failed, now_ms) : poll_inactive(model, failed, now_ms);
    decision.is_fallback = fell_back;
    return decision;
}

struct model_decision model_push(struct model *model, int64_t now_ms)
{
    if (is_below_active(model))
        return scale_up(model, MODEL_PUSHED, now_ms);
    model->last_active_ms = now_ms;
    return keep_replicas(model, MODEL_ACTIVE);
}

/* ---- the HPA ---- */

static bool sync_reads(const struct model *model)
{
    const struct hpa_settings *hpa = &model->settings.hpa;
    return model->replicas >= hpa->min_replicas && model->replicas <= hpa->max_replicas;
}

struct model_decision model_sync(struct model *model, const struct model_answer *answers,
                                 int64_t now_ms)
{
    const struct hpa_replicas replicas = {model->replicas, model->pods, model->ready_pods};
    struct hpa_metric metrics[MODEL_MAX_TRIGGERS];
    bool fell_back = false;
    size_t count = sync_reads(model) ? model->settings.trigger_count : 0;
    for (size_t i = 0; i < count; i++) {
        struct seen seen = look(model, i, &answers[i]);
        metrics[i] = seen.metric;
        fell_back |= seen.is_fallback;
    }
    model->next_sync_ms = next_due(model->settings.sync_ms, now_ms);
    struct hpa_decision hpa =
        hpa_sync(&model->hpa, &model->settings.hpa, &replicas, metrics, count, now_ms);
    struct model_decision decision = set_replicas(model, MODEL_HPA, hpa.replicas);
    decision.hpa = hpa;
    decision.is_fallback = fell_back;
    return decision;
}

/* ---- for people ---- */

static char *hpa_text(const struct model_decision *decision, const struct model_answer *answers)
{
    const struct hpa_decision *hpa = &decision->hpa;
    if (hpa->wanted < 0 || answers == NULL)
        return text_format("HPA: %s", hpa_reason_text(hpa->reason));
    const struct model_answer *answer = &answers[hpa->metric];
    const char *why = hpa->reason == HPA_AS_WANTED ? "" : hpa_reason_text(hpa->reason);
    if (answer->is_failed)
        return text_format("HPA: fallback wants %lld%s%s", (long long)hpa->wanted,
                           why[0] == '\0' ? "" : ", ", why);
    return text_format("HPA: %.10g / %.10g wants %lld%s%s", answer->value, answer->target,
                       (long long)hpa->wanted, why[0] == '\0' ? "" : ", ", why);
}

char *model_decision_text(const struct model_decision *decision, const struct model_answer *answers)
{
    switch (decision->reason) {
    case MODEL_NOTHING_DUE:
        return text_copy("");
    case MODEL_ACTIVATED:
        return text_copy(decision->is_fallback ? "KEDA: activated by fallback" : "KEDA: activated");
    case MODEL_PUSHED:
        return text_copy("KEDA: activated by push");
    case MODEL_ACTIVE:
        return text_copy("KEDA: active");
    case MODEL_ACTIVE_WITH_ERROR:
        return text_copy("KEDA: active, another trigger failed");
    case MODEL_HELD:
        return text_copy("KEDA: trigger failed, replicas held");
    case MODEL_COOLING_DOWN:
        return text_format("KEDA: cooling down, %lld s left",
                           (long long)((decision->cooldown_left_ms + 999) / 1000));
    case MODEL_DEACTIVATED:
        return text_copy("KEDA: cooldown over");
    case MODEL_TO_MIN:
        return text_copy("KEDA: up to minReplicaCount");
    case MODEL_IDLE:
        return text_copy("KEDA: inactive");
    case MODEL_HPA:
        break;
    }
    return hpa_text(decision, answers);
}
