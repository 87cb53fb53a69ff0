#include "manifest/checks/relations.h"

#include "base/memory.h"
#include "base/text.h"
#include "config/value.h"
#include "scale/answer/hold.h"
#include "scale/metadata/general.h"

#include <inttypes.h>
#include <stdlib.h>

enum { USUAL_POLLING_S = 30, MIN_HOLD_MS = 600 * 1000 };

struct relation {
    const struct manifest_object *object;
    const struct yaml_tree *spec;
    const struct yaml_tree *trigger;
    const struct entries *entries;
    const char *prefix;
    struct findings *findings;
};

/* Of the spec; `usual` where it is missing, or no number that Kubernetes takes (an int32). */
static int64_t number(const struct relation *relation, const char *key, int64_t usual)
{
    const char *text = yaml_tree_text(relation->spec, key);
    char *end = NULL;
    long long value = text == NULL ? 0 : strtoll(text, &end, 10);
    bool is_number = text != NULL && end != text && *end == '\0';
    return is_number && value >= INT32_MIN && value <= INT32_MAX ? value : usual;
}

static bool has_duration(const struct relation *relation, const char *key, int64_t *ret_ms)
{
    static const struct option row = {.type = OPTION_DURATION};
    _cleanup_(error_done) struct error ignored = {0};
    const struct entry *entry = entries_find_given(relation->entries, key);
    return entry != NULL && entry->value != NULL && entry->value[0] != '\0' &&
           value_parse(&row, entry->value, ret_ms, &ignored);
}

/* Is it given by a variable, whose value nobody knows here? */
static bool is_unknown(const struct relation *relation, const char *key)
{
    const struct entry *entry = entries_find_given(relation->entries, key);
    return entry != NULL && entry->value == NULL;
}

static void check_max_replicas(const struct relation *relation)
{
    const struct entry *entry = entries_find_given(relation->entries, "maxReplicaCount");
    int64_t max = manifest_max_replicas(relation->object);
    char *end = NULL;
    if (entry == NULL || entry->value == NULL || max < 0)
        return;
    long long value = strtoll(entry->value, &end, 10);
    const struct finding_place place = manifest_place(relation->object, entry->line);
    if (end != entry->value && *end == '\0' && value != max)
        finding_add(relation->findings, &place, FINDING_WARNING,
                    "%smaxReplicaCount is %lld here and %" PRId64
                    " in the ScaledObject: set both to the same number",
                    relation->prefix, value, max);
}

static void check_fallback(const struct relation *relation)
{
    const struct yaml_tree *fallback = yaml_tree_find(relation->spec, "fallback");
    const char *replicas = yaml_tree_text(fallback, "replicas");
    int64_t hold_ms = 0;
    bool holds = has_duration(relation, "hold", &hold_ms);
    if (fallback != NULL && !holds && !is_unknown(relation, "hold")) {
        const struct finding_place place = manifest_place(relation->object, fallback->line);
        finding_add(relation->findings, &place, FINDING_WARNING,
                    "%sthe fallback takes over only after `hold`, which is an hour by default: set "
                    "hold: \"" RELATIONS_HOLD_WITH_FALLBACK "\" in the trigger",
                    relation->prefix);
    }
    if (text_equal(replicas, "0")) {
        const struct finding_place place = manifest_place(relation->object, fallback->line);
        finding_add(relation->findings, &place, FINDING_WARNING,
                    "%sfallback.replicas is 0: an outage of the source leaves one worker, one of "
                    "Backlog none",
                    relation->prefix);
    }
    const struct entry *entry = entries_find_given(relation->entries, "hold");
    bool is_job = relation->object->kind == MANIFEST_SCALED_JOB;
    if (fallback == NULL && !is_job && holds && hold_ms < MIN_HOLD_MS &&
        number(relation, "minReplicaCount", 0) == 0) {
        const struct finding_place place = manifest_place(relation->object, entry->line);
        finding_add(relation->findings, &place, FINDING_WARNING,
                    "%shold is %s, and minReplicaCount is 0: KEDA 2.21 can remove all workers in "
                    "an outage longer than hold and cooldownPeriod together",
                    relation->prefix, entry->value);
    }
}

static void check_hold_of_jobs(const struct relation *relation)
{
    const struct yaml_tree *type = yaml_tree_find(relation->trigger, "type");
    const struct finding_place place = manifest_place(relation->object, type->line);
    if (relation->object->kind == MANIFEST_SCALED_JOB &&
        entries_find_given(relation->entries, "hold") == NULL)
        finding_add(relation->findings, &place, FINDING_WARNING, "%s" RELATIONS_HOLD_OF_JOBS,
                    relation->prefix);
}

/* The memory behind a held value and the HPA's must be equally long. */
static void check_hold_window(const struct relation *relation)
{
    enum { USUAL_WINDOW_S = HOLD_WINDOW_MS / 1000 };
    static const char key[] =
        "advanced.horizontalPodAutoscalerConfig.behavior.scaleDown.stabilizationWindowSeconds";
    const struct yaml_tree *window = yaml_tree_find(relation->spec, key);
    const struct entry *entry = entries_find_given(relation->entries, general_hold_window);
    int64_t hold_ms = HOLD_WINDOW_MS;
    int64_t window_s = number(relation, key, USUAL_WINDOW_S);
    bool is_set = has_duration(relation, general_hold_window, &hold_ms);
    if (relation->object->kind != MANIFEST_SCALED_OBJECT || hold_ms == window_s * 1000 ||
        (!is_set && window == NULL) || is_unknown(relation, general_hold_window))
        return;
    bool is_shorter = hold_ms < window_s * 1000;
    const struct finding_place place =
        manifest_place(relation->object, is_set ? entry->line : window->line);
    finding_add(relation->findings, &place, is_shorter ? FINDING_WARNING : FINDING_NOTE,
                "%sholdWindow is %s%s, and scaleDown.stabilizationWindowSeconds is %" PRId64
                ": in an outage of the source a held value can %s: set holdWindow: \"%" PRId64
                "s\" in the trigger",
                relation->prefix, is_set ? entry->value : "5m", is_set ? "" : " by default",
                window_s,
                is_shorter ? "remove replicas that are at work"
                           : "start replicas again that the HPA has removed",
                window_s);
}

/* They answer a number of replicas at a target of 1, which the HPA must not multiply. */
static void check_metric_type(const struct relation *relation)
{
    const struct yaml_tree *type = yaml_tree_find(relation->trigger, "metricType");
    if (type == NULL || !text_equal(type->text, "Value"))
        return;
    for (size_t i = 0; i < relation->entries->count; i++) {
        const struct entry *entry = &relation->entries->items[i];
        const char *value = entry->value == NULL ? "unknown" : entry->value;
        const struct finding_place place = manifest_place(relation->object, type->line);
        if (general_gives_policy(entry->key, value))
            finding_add(relation->findings, &place, FINDING_WARNING,
                        "%smetricType Value multiplies by the replicas that there are, which makes "
                        "no sense with %s: use AverageValue",
                        relation->prefix, entry->key);
    }
}

static void check_intervals(const struct relation *relation)
{
    int64_t interval_ms = 0;
    int64_t polling_s = number(relation, "pollingInterval", USUAL_POLLING_S);
    const struct entry *entry = entries_find_given(relation->entries, "interval");
    if (!has_duration(relation, "interval", &interval_ms) || interval_ms <= polling_s * 1000)
        return;
    const struct finding_place place = manifest_place(relation->object, entry->line);
    finding_add(relation->findings, &place, FINDING_WARNING,
                "%sinterval is %s, longer than pollingInterval (%" PRId64
                " s): KEDA gets the same reading several times",
                relation->prefix, entry->value, polling_s);
}

/* By which the first message starts a worker; NULL: none. */
static const char *policy_that_activates(const struct relation *relation)
{
    static const char *const keys[] = {"scaleDownWhenIdle", "maxWait"};
    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++)
        if (entries_find_given(relation->entries, keys[i]) != NULL)
            return keys[i];
    return NULL;
}

/* The activation value decides between 0 and 1 alone. */
static void check_activation(const struct relation *relation)
{
    const char *policy = policy_that_activates(relation);
    bool is_job = relation->object->kind == MANIFEST_SCALED_JOB;
    bool is_idle = yaml_tree_find(relation->spec, "idleReplicaCount") != NULL;
    int64_t min = number(relation, "minReplicaCount", 0);
    for (size_t i = 0; i < relation->entries->count; i++) {
        const struct entry *entry = &relation->entries->items[i];
        bool is_activation = text_starts_with(entry->key, "activation");
        if (!is_activation || entry->value == NULL || text_equal(entry->value, "0"))
            continue;
        const struct finding_place place = manifest_place(relation->object, entry->line);
        if (policy != NULL)
            finding_add(relation->findings, &place, FINDING_WARNING,
                        "%s%s has no effect: with %s the first message starts a worker",
                        relation->prefix, entry->key, policy);
        if (policy != NULL || is_job || is_idle || min == 0)
            continue;
        finding_add(relation->findings, &place, FINDING_WARNING,
                    "%s%s has no effect: it decides between 0 replicas and 1, and minReplicaCount "
                    "is %" PRId64,
                    relation->prefix, entry->key, min);
    }
}

static void check_type(const struct relation *relation)
{
    const struct yaml_tree *type = yaml_tree_find(relation->trigger, "type");
    const struct finding_place place = manifest_place(relation->object, type->line);
    bool is_job = relation->object->kind == MANIFEST_SCALED_JOB;
    bool is_push = text_equal(type->text, "external-push");
    if (is_job && is_push)
        finding_add(relation->findings, &place, FINDING_WARNING,
                    "%sKEDA ignores notifications for a ScaledJob: write type: external",
                    relation->prefix);
    if (!is_job && !is_push && number(relation, "minReplicaCount", 0) == 0)
        finding_add(relation->findings, &place, FINDING_NOTE,
                    "%swith type external-push the first message starts a replica at once, and not "
                    "at the next poll",
                    relation->prefix);
}

void relations_check(const struct manifest_object *object, const struct yaml_tree *trigger,
                     const struct entries *entries, const char *prefix, struct findings *findings)
{
    const struct relation relation = {
        object, yaml_tree_find(object->tree, "spec"), trigger, entries, prefix, findings};
    check_max_replicas(&relation);
    check_fallback(&relation);
    check_hold_of_jobs(&relation);
    check_hold_window(&relation);
    check_metric_type(&relation);
    check_intervals(&relation);
    check_activation(&relation);
    check_type(&relation);
}
