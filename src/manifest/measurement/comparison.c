#include "manifest/measurement/comparison.h"

#include "base/memory.h"
#include "config/value.h"
#include "scale/connections/named_connections.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    USUAL_POLLING_S = 30,
    MAX_POLLING_S = 24 * 3600,
    MAX_KEPT_VALUES = 4096,
    MIN_ONE_SIDED = 5,
    FEW = 10, /* at most one of so many */
    SLACK_MS = 2000,
    STATISTICS_MS = 5000, /* how old those of RabbitMQ's management API are */
};

/* KEDA's values have three decimals. */
static const double precision = 0.001;

const char *const comparison_verdict_names[COMPARISON_VERDICTS] = {
    [COMPARISON_EQUAL] = "equal",     [COMPARISON_DIFFERENT] = "different",
    [COMPARISON_UNCLEAR] = "unclear", [COMPARISON_FAILED] = "failed",
    [COMPARISON_ABSENT] = "absent",
};

/* ---- rows ---- */

static int64_t window_of(const struct manifest_object *object, const char *type,
                         int64_t interval_ms)
{
    int64_t older_ms = text_equal(type, "rabbitmq") ? STATISTICS_MS : 0;
    const char *text = yaml_tree_text(object->tree, "spec.pollingInterval");
    long long polling_s = text == NULL ? USUAL_POLLING_S : strtoll(text, NULL, 10);
    polling_s = polling_s < 1 || polling_s > MAX_POLLING_S ? USUAL_POLLING_S : polling_s;
    return polling_s * 1000 + interval_ms + older_ms + SLACK_MS;
}

void comparison_begin(const struct scaler *const *scalers, const struct measurement *measurement,
                      int64_t interval_ms, struct comparison *ret_comparison)
{
    size_t all = 0;
    for (size_t i = 0; i < measurement->count; i++)
        all += measurement->items[i].count;
    *ret_comparison =
        (struct comparison){.items = memory_array(all + 1, sizeof(*ret_comparison->items))};
    for (size_t i = 0; i < measurement->count; i++) {
        const struct measured_object *measured = &measurement->items[i];
        for (size_t t = 0; t < measured->count; t++) {
            const struct measured_trigger *trigger = &measured->triggers[t];
            const struct yaml_tree *tree =
                manifest_triggers(measured->object)->items[trigger->index];
            if (scaler_find(scalers, trigger->type) == NULL)
                continue;
            ret_comparison->items[ret_comparison->count++] = (struct comparison_row){
                .object = measured->object,
                .trigger = trigger,
                .metadata = yaml_tree_find(tree, "metadata"),
                .keda = NAN,
                .own = NAN,
                .first_ms = -1,
                .window_ms = window_of(measured->object, trigger->type, interval_ms),
            };
        }
    }
}

void comparison_done(struct comparison *comparison)
{
    for (size_t i = 0; i < comparison->count; i++) {
        free(comparison->items[i].values);
        free(comparison->items[i].failure);
    }
    free(comparison->items);
    *comparison = (struct comparison){0};
}

/* ---- a round ---- */

static void keep_value(struct comparison_row *row, int64_t now_ms, double value)
{
    size_t old = 0;
    while (old < row->count && (row->values[old].at_ms < now_ms - row->window_ms ||
                                row->count - old >= MAX_KEPT_VALUES))
        old++;
    if (old > 0)
        memmove(row->values, row->values + old, (row->count - old) * sizeof(*row->values));
    row->count -= old;
    row->values = memory_grow(row->values, &row->capacity, row->count + 1, sizeof(*row->values));
    row->values[row->count++] = (struct comparison_value){now_ms, value};
    row->first_ms = row->first_ms < 0 ? now_ms : row->first_ms;
}

static void note_values(struct comparison_row *row, double keda, double own)
{
    row->keda = keda;
    row->own = own;
}

/* A poll of KEDA that is late is on one side of a value that only grows, until the next one. */
static void note_side(struct comparison_row *row, bool is_above, int64_t now_ms)
{
    if (row->run.rounds == 0 || row->run.is_above != is_above)
        row->run = (struct comparison_run){.is_above = is_above, .since_ms = now_ms};
    row->run.rounds++;
    row->above += is_above;
    row->below += !is_above;
    if (row->run.rounds >= MIN_ONE_SIDED && now_ms - row->run.since_ms >= row->window_ms)
        row->is_one_sided = true;
}

static void add_values(struct comparison_row *row, double keda, double own, int64_t now_ms)
{
    double min = own, max = own;
    for (size_t i = 0; i < row->count; i++) {
        min = fmin(min, row->values[i].value);
        max = fmax(max, row->values[i].value);
    }
    double margin = precision + fabs(keda) * 1e-9;
    bool differed = row->different + row->above + row->below > 0;
    if (keda >= min - margin && keda <= max + margin) {
        row->equal++;
        row->equal_changing += max - min > precision;
        row->run.rounds = 0;
        if (!differed)
            note_values(row, keda, own);
        return;
    }
    /* What KEDA measured before the first round here is not known. */
    if (now_ms - row->first_ms < row->window_ms)
        return;
    note_values(row, keda, own);
    if (max - min <= precision)
        row->different++;
    else
        note_side(row, keda > max, now_ms);
}

/* What was measured until now is not known to be all that there was. */
static void restart_window(struct comparison_row *row)
{
    row->count = 0;
    row->first_ms = -1;
}

void comparison_add(struct comparison *comparison, const struct keda_metrics *metrics,
                    const char *default_namespace, int64_t now_ms)
{
    for (size_t i = 0; i < comparison->count; i++) {
        struct comparison_row *row = &comparison->items[i];
        const struct manifest_object *object = row->object;
        const struct model_answer *answer = &row->trigger->answer;
        const struct keda_metric *metric = keda_metrics_find(
            metrics, object->namespace == NULL ? default_namespace : object->namespace,
            object->name, object->kind == MANIFEST_SCALED_JOB, row->trigger->index);
        row->is_failing = answer->is_failed;
        row->is_absent = !answer->is_failed && metric == NULL;
        row->absent += row->is_absent;
        if (answer->is_failed) {
            row->failed++;
            restart_window(row);
            free(row->failure);
            row->failure = text_copy(error_text(&row->trigger->error));
        } else
            keep_value(row, now_ms, answer->value);
        if (metric != NULL && !answer->is_failed)
            add_values(row, metric->value, answer->value, now_ms);
    }
}

void comparison_skip(struct comparison *comparison)
{
    for (size_t i = 0; i < comparison->count; i++)
        restart_window(&comparison->items[i]);
}

/* ---- the end ---- */

size_t comparison_rounds(const struct comparison_row *row)
{
    return row->equal + row->different + row->above + row->below + row->failed;
}

static bool is_few(size_t count, size_t rounds)
{
    return count * FEW <= rounds;
}

enum comparison_verdict comparison_verdict(const struct comparison_row *row)
{
    size_t unequal = row->above + row->below;
    bool are_few = is_few(unequal, unequal + row->equal_changing);
    /* Always on one side of a value that changes is no chance. */
    bool is_of_one_side = unequal >= MIN_ONE_SIDED && (row->above == 0 || row->below == 0);
    if (row->different > 0 || row->is_one_sided || (is_of_one_side && !are_few))
        return COMPARISON_DIFFERENT;
    if (row->is_failing || !is_few(row->failed, comparison_rounds(row)))
        return COMPARISON_FAILED;
    if (row->is_absent)
        return COMPARISON_ABSENT;
    return row->equal > 0 && are_few ? COMPARISON_EQUAL : COMPARISON_UNCLEAR;
}

static bool is_set(const struct comparison_row *row, const char *key)
{
    static const struct option option = {.type = OPTION_BOOL};
    _cleanup_(error_done) struct error ignored = {0};
    const char *text = yaml_tree_text(row->metadata, key);
    bool is_set = false;
    return text != NULL && value_parse(&option, text, &is_set, &ignored) && is_set;
}

/* What KEDA counts in another way, by scaler (scalers/README.md). */
static const char *reason_of_kafka(const struct comparison_row *row)
{
    double target = row->trigger->answer.target;
    double more = row->keda - row->own;
    if (is_set(row, "excludePersistentLag"))
        return "excludePersistentLag: KEDA compares with its previous call, Backlog with how long "
               "the commit has not moved";
    if (yaml_tree_text(row->metadata, "topic") == NULL)
        return "without topic KEDA counts all topics of the cluster until the group has committed "
               "(KEDA's issue 8104)";
    if (is_set(row, "ensureEvenDistributionOfPartitions") && row->own <= 0)
        return "ensureEvenDistributionOfPartitions: KEDA has one replica without any lag";
    if (more < 0 && row->keda < 0)
        return "a commit beyond the end of a topic that was made again: KEDA's lag is negative";
    if (more > 0 && more < target && !is_set(row, "allowIdleConsumers"))
        return "KEDA's limit by partitions allows up to one replica more";
    if (text_equal(yaml_tree_text(row->metadata, "offsetResetPolicy"), "earliest") && more > 0)
        return "partitions without a commit: KEDA before 2.21 counts expired messages, too";
    return NULL;
}

static const char *reason_of_scaler(const struct comparison_row *row)
{
    const char *type = row->trigger->type;
    const char *host = yaml_tree_text(row->metadata, "host");
    if (text_equal(type, "kafka") || text_equal(type, "apache-kafka"))
        return reason_of_kafka(row);
    if (text_equal(type, "nats-jetstream"))
        return "KEDA may read a server that does not lead the consumer, whose count only rises "
               "(KEDA's issues 3860, 6042)";
    if (text_equal(type, "rabbitmq") && row->keda <= 0 && row->own > 0)
        return "statistics that the management API does not have are 0 in KEDA (7180)";
    if (text_equal(type, "rabbitmq") && host != NULL && text_starts_with(host, "http"))
        return "the management API renews its numbers every 5 s, and with unacknowledged messages "
               "(excludeUnacknowledged)";
    if (text_equal(type, "rabbitmq") && host == NULL) /* it is in a Secret, or a variable */
        return "over HTTP the management API renews its numbers every 5 s, and counts "
               "unacknowledged messages; over AMQP consumers take and return messages between two "
               "readings";
    if (text_equal(type, "rabbitmq"))
        return "over AMQP only ready messages count: consumers take and return them between two "
               "readings";
    if (text_ends_with(type, "streams") && row->keda <= 0 &&
        yaml_tree_text(row->metadata, "lagCount") != NULL)
        return "a lag that Redis does not know (after XDEL or XGROUP SETID) is 0 in KEDA";
    if (text_equal(type, "prometheus") || text_equal(type, "postgresql"))
        return "the result of the query depends on when it runs, or on the user's rights";
    return NULL;
}

char *comparison_reason(const struct comparison_row *row)
{
    const char *replicas = yaml_tree_text(row->object->tree, "spec.fallback.replicas");
    enum comparison_verdict verdict = comparison_verdict(row);
    if (verdict == COMPARISON_FAILED)
        return text_copy(row->failure);
    if (verdict == COMPARISON_ABSENT)
        return text_copy("KEDA has not measured it: paused, or its scaler fails "
                         "(keda_scaler_detail_errors_total)");
    if (verdict == COMPARISON_UNCLEAR)
        return text_copy(row->keda == row->keda ? "the value changed faster than KEDA measures it"
                                                : "too few rounds: --for must be longer than "
                                                  "pollingInterval");
    if (verdict == COMPARISON_EQUAL)
        return NULL;
    if (replicas != NULL &&
        fabs(strtod(replicas, NULL) * row->trigger->answer.target - row->keda) <= precision)
        return text_copy("KEDA's scaler fails, and its value is that of the fallback");
    const char *reason = reason_of_scaler(row);
    if (reason != NULL)
        return text_copy(reason);
    const char *known = row->equal > 0
                            ? "KEDA's value was older than pollingInterval: its operator "
                              "was late, or restarted"
                            : NULL;
    return text_copy(known);
}
