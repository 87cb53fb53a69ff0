#include "scale/trigger/trigger_history.h"

#include "base/memory.h"

#include <math.h>
#include <sys/param.h>

/* What the sample means for the trigger. Of a policy's decisions none is known but the last. */
static void describe_sample(const struct trigger *trigger, const struct history_sample *sample,
                            struct trigger_figures *row)
{
    struct evaluation_result evaluated = {0};
    *row = (struct trigger_figures){
        .at_ms = sample->at_ms,
        .reading = sample->reading,
        .arrivals = NAN,
        .value = NAN,
        .active = NAN,
        .replicas = NAN,
        .target = trigger->parsed.target,
    };
    if (!sample->is_failed)
        trigger_evaluate(trigger, &sample->reading, &evaluated);
    row->state = evaluated.is_good ? answer_state_name(ANSWER_STATE_ANSWERED) : "failed";
    if (evaluated.is_good && trigger->policy == NULL) {
        row->value = fmax(evaluated.evaluation.value, 0);
        row->active = (double)evaluated.evaluation.active;
        row->replicas = answer_replicas(row->value, row->target);
    }
    error_done(&evaluated.error);
}

/* What arrived until the next reading, where the source does not say: what waiting grew by, and
 * what was consumed meanwhile where that is known. So it is a lower bound where workers are busy
 * and no rate is known. Of other partitions nothing can be derived. */
static void derive_arrivals(struct trigger_figures *rows, size_t count)
{
    struct trigger_figures *before = NULL;
    for (size_t i = 0; i < count; i++) {
        struct trigger_figures *row = &rows[i];
        if (isnan(row->reading.waiting) && isnan(row->reading.arrival_rate))
            continue;
        row->arrivals = row->reading.arrival_rate;
        if (before != NULL && isnan(before->arrivals) && row->at_ms > before->at_ms &&
            !reading_has_other_partitions(&before->reading, &row->reading)) {
            double seconds = (double)(row->at_ms - before->at_ms) / 1000;
            double grown = row->reading.waiting - before->reading.waiting;
            double consumed = before->reading.consumption_rate;
            double arrivals = grown / seconds + (isnan(consumed) ? 0 : consumed);
            before->arrivals = isnan(arrivals) ? NAN : fmax(arrivals, 0);
        }
        before = row;
    }
}

size_t trigger_history(const struct trigger *trigger, int64_t now_ms, size_t max,
                       struct trigger_figures **ret_rows, bool *ret_has_more)
{
    _cleanup_(memory_free) struct history_sample *samples = NULL;
    size_t all = query_history(trigger->bound.query, now_ms - HISTORY_SPAN_MS, &samples);
    size_t count = MIN(all, max);
    struct trigger_figures *rows = memory_array(count + 1, sizeof(*rows));
    for (size_t i = 0; i < count; i++)
        describe_sample(trigger, &samples[all - count + i], &rows[i]);
    derive_arrivals(rows, count);
    *ret_rows = rows;
    *ret_has_more = count < all;
    return count;
}
