#include "manifest/checks/strategy.h"

#include "base/memory.h"
#include "base/text.h"
#include "config/option.h"
#include "scale/metadata/general.h"

static enum scaler_in_work ask(const struct scaler *scaler, const struct option_entry *plain,
                               size_t count)
{
    _cleanup_(error_done) struct error ignored = {0}; /* others report mistakes */
    struct option_values *values[OPTION_SCOPES];
    const struct option_input input = {plain, count, OPTION_FROM_TRIGGER, general_table};
    option_parse(scaler->options, scaler->sizes, &input, values, &ignored);
    const struct options options = {.connection = values[OPTION_CONNECTION]->data,
                                    .query = values[OPTION_QUERY]->data,
                                    .target = values[OPTION_TARGET]->data};
    enum scaler_in_work in_work = scaler->in_work(&options);
    for (int scope = 0; scope < OPTION_SCOPES; scope++)
        option_values_free(values[scope]);
    return in_work;
}

/* What is not known, as it is in a variable of the worker or in a Secret, may be anything: it is
 * known what the scaler counts where that is always the same. */
static enum scaler_in_work find_in_work(const struct scaler *scaler, const struct entries *entries)
{
    _cleanup_(memory_free) struct option_entry *plain = entries_plain(entries, scaler->options);
    if (scaler->in_work == NULL)
        return SCALER_IN_WORK_UNKNOWN;
    enum scaler_in_work in_work = ask(scaler, plain, entries->count);
    for (size_t i = 0; i < entries->count; i++) {
        const char *values[ENTRIES_MAX_OTHERS + 1] = {NULL};
        const char *stand_in = plain[i].value;
        const struct option *row =
            option_find(scaler->options, entries->items[i].key, OPTION_FROM_TRIGGER);
        if (entries->items[i].value == NULL && row != NULL)
            entries_other_values(row, values);
        for (size_t n = 0; values[n] != NULL; n++) {
            plain[i].value = values[n];
            if (ask(scaler, plain, entries->count) != in_work)
                return SCALER_IN_WORK_UNKNOWN;
        }
        plain[i].value = stand_in;
    }
    return in_work;
}

void strategy_check(const struct manifest_object *object, const struct yaml_tree *trigger,
                    const struct scaler *scaler, const struct entries *entries, const char *prefix,
                    struct findings *findings)
{
    const struct yaml_tree *tree = yaml_tree_find(object->tree, "spec.scalingStrategy.strategy");
    const char *strategy = tree == NULL || tree->text == NULL ? "default" : tree->text;
    bool repeats = text_equal(strategy, "accurate") || text_equal(strategy, "eager");
    const struct finding_place place =
        manifest_place(object, tree == NULL ? trigger->line : tree->line);
    if (object->kind != MANIFEST_SCALED_JOB)
        return;
    enum scaler_in_work in_work = find_in_work(scaler, entries);
    if (text_equal(strategy, "custom"))
        finding_add(
            findings, &place, FINDING_WARNING,
            "%sscalingStrategy custom starts other jobs than value / target: KEDA takes off "
            "customScalingQueueLengthDeduction and a part of the running jobs",
            prefix);
    else if (repeats && in_work == SCALER_IN_WORK_COUNTED)
        finding_add(findings, &place, FINDING_WARNING,
                    "%sscalingStrategy %s does not take off running jobs, and this trigger counts "
                    "messages in work, too: KEDA starts a second job for them: use default",
                    prefix, strategy);
    else if (!repeats && in_work == SCALER_IN_WORK_NOT_COUNTED)
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
