#include "manifest/checks/strategy.h"

#include "base/memory.h"
#include "base/text.h"
#include "config/value.h"

/* Are messages that a job has taken, and not finished, in the value? */
enum in_work { IN_WORK_UNKNOWN, IN_WORK_COUNTED, IN_WORK_NOT_COUNTED };

/* The value may be out of a Secret (secrets.h). */
static bool has_value(const struct entries *entries, const char *key, const char *prefix)
{
    _cleanup_(memory_free) char *variable = text_format("%s" OPTION_VARIABLE_SUFFIX, key);
    const struct entry *entry = entries_find(entries, key);
    if (entry == NULL)
        entry = entries_find(entries, variable);
    return entry != NULL && entry->value != NULL && text_starts_with(entry->value, prefix);
}

static enum in_work of_rabbitmq(const struct entries *entries)
{
    bool is_http = has_value(entries, "protocol", "http") || has_value(entries, "host", "http");
    if (has_value(entries, "excludeUnacknowledged", "true") ||
        has_value(entries, "protocol", "amqp") || has_value(entries, "host", "amqp"))
        return IN_WORK_NOT_COUNTED;
    return is_http ? IN_WORK_COUNTED : IN_WORK_UNKNOWN;
}

/* Of the mode that KEDA's scaler and Backlog's choose (redis_stream_mode() in redis/options.c). The
 * lag is of messages that no consumer has taken yet; pending ones are in work. */
static enum in_work of_redis_streams(const struct entries *entries)
{
    static const struct option row = {.type = OPTION_INT};
    _cleanup_(error_done) struct error ignored = {0};
    const struct entry *group = entries_find(entries, "consumerGroup");
    const struct entry *lag = entries_find(entries, "lagCount");
    int64_t lag_count = 0;
    if (group == NULL || group->value == NULL || text_is_blank(group->value))
        return IN_WORK_UNKNOWN;
    if (lag == NULL || (lag->value != NULL && text_is_blank(lag->value)))
        lag = entries_find(entries, "lagCount" OPTION_VARIABLE_SUFFIX);
    if (lag == NULL)
        return IN_WORK_COUNTED;
    if (lag->value == NULL || !value_parse(&row, lag->value, &lag_count, &ignored))
        return IN_WORK_UNKNOWN;
    return lag_count == 0 ? IN_WORK_COUNTED : IN_WORK_NOT_COUNTED;
}

static enum in_work find_in_work(const char *scaler, const struct entries *entries)
{
    static const struct {
        const char *scaler;
        enum in_work in_work;
    } known[] = {
        {"kafka", IN_WORK_COUNTED},
        {"apache-kafka", IN_WORK_COUNTED},
        {"nats-jetstream", IN_WORK_COUNTED},
        {"redis", IN_WORK_NOT_COUNTED},
        {"redis-sentinel", IN_WORK_NOT_COUNTED},
        {"redis-cluster", IN_WORK_NOT_COUNTED},
    };
    if (text_equal(scaler, "rabbitmq"))
        return of_rabbitmq(entries);
    if (text_starts_with(scaler, "redis") && text_ends_with(scaler, "streams"))
        return of_redis_streams(entries);
    for (size_t i = 0; i < ARRAY_LENGTH(known); i++)
        if (text_equal(scaler, known[i].scaler))
            return known[i].in_work;
    return IN_WORK_UNKNOWN;
}

void strategy_check(const struct manifest_object *object, const struct yaml_tree *trigger,
                    const char *scaler, const struct entries *entries, const char *prefix,
                    struct findings *findings)
{
    const struct yaml_tree *tree = yaml_tree_find(object->tree, "spec.scalingStrategy.strategy");
    const char *strategy = tree == NULL || tree->text == NULL ? "default" : tree->text;
    bool repeats = text_equal(strategy, "accurate") || text_equal(strategy, "eager");
    enum in_work in_work = find_in_work(scaler, entries);
    const struct finding_place place =
        manifest_place(object, tree == NULL ? trigger->line : tree->line);
    if (object->kind != MANIFEST_SCALED_JOB)
        return;
    if (text_equal(strategy, "custom"))
        finding_add(
            findings, &place, FINDING_WARNING,
            "%sscalingStrategy custom starts other jobs than value / target: KEDA takes off "
            "customScalingQueueLengthDeduction and a part of the running jobs",
            prefix);
    else if (repeats && in_work == IN_WORK_COUNTED)
        finding_add(findings, &place, FINDING_WARNING,
                    "%sscalingStrategy %s does not take off running jobs, and this trigger counts "
                    "messages in work, too: KEDA starts a second job for them: use default",
                    prefix, strategy);
    else if (!repeats && in_work == IN_WORK_NOT_COUNTED)
        finding_add(findings, &place, tree == NULL ? FINDING_NOTE : FINDING_WARNING,
                    "%sscalingStrategy default takes off running jobs, and this trigger does not "
                    "count messages in work: jobs start only when others end: use accurate",
                    prefix);
}

void strategy_check_rollout(const struct yaml_tree *spec, bool is_template,
                            const struct finding_place *place, struct findings *findings)
{
    bool is_whole = !is_template && yaml_tree_find(spec, "jobTargetRef") != NULL;
    const char *deprecated = yaml_tree_text(spec, "rolloutStrategy"); /* it wins in KEDA */
    const char *strategy = deprecated != NULL && deprecated[0] != '\0'
                               ? deprecated
                               : yaml_tree_text(spec, "rollout.strategy");
    if (!text_equal(strategy, "gradual")) /* one that is chosen is meant */
        finding_add(findings, place, strategy == NULL && is_whole ? FINDING_WARNING : FINDING_NOTE,
                    "when a ScaledJob changes, KEDA deletes its running jobs: set rollout: "
                    "{strategy: gradual} first");
}
