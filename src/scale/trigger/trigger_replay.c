#include "scale/trigger/trigger_replay.h"

#include "base/memory.h"

#include <math.h>
#include <sys/param.h>

/* What was known before a sample; it learns of the sample. */
struct past {
    const struct trigger *trigger;
    const struct trigger_report *now; /* what its policy found since */
    struct snapshot snapshot;
    struct peak_value peak;
};

/* A failure that goes on began with the first request that nothing answered, before its first
 * sample. */
static int64_t failing_since_ms(const struct past *past, const struct history_sample *sample)
{
    const struct snapshot *now = &past->now->snapshot;
    bool goes_on = now->known.last_attempt == ATTEMPT_FAILED &&
                   now->failing_since_ms >= past->snapshot.known.sent_ms &&
                   now->failing_since_ms < sample->at_ms;
    return goes_on ? now->failing_since_ms : sample->at_ms;
}

static void learn(struct past *past, const struct history_sample *sample)
{
    struct snapshot *snapshot = &past->snapshot;
    if (!sample->is_failed) {
        error_done(&snapshot->known.error);
        snapshot->known.last_attempt = ATTEMPT_GOOD;
        snapshot->known.is_measured = true;
        snapshot->known.reading = sample->reading;
        snapshot->known.sent_ms = sample->at_ms;
    } else if (snapshot->known.last_attempt != ATTEMPT_FAILED) {
        snapshot->known.last_attempt = ATTEMPT_FAILED;
        snapshot->failing_since_ms = failing_since_ms(past, sample);
        error_unavailable(&snapshot->known.error, "measuring failed");
    }
}

/* What would have been answered at that moment. */
static void evaluate(struct past *past, const struct history_sample *sample,
                     struct trigger_figures *row)
{
    struct trigger_report report;
    learn(past, sample);
    trigger_report_past(past->trigger, past->now, &past->snapshot, &past->peak, sample->at_ms,
                        &report);
    if (report.state == ANSWER_STATE_HELD)
        peak_value_hold(&past->peak, report.answer.held_since_ms, sample->at_ms);
    else if (report.state == ANSWER_STATE_ANSWERED)
        peak_value_add(&past->peak, report.answer.value, past->trigger->parsed.rules.hold_window_ms,
                       sample->at_ms);
    trigger_figures(past->trigger, &report, row);
    row->reading = sample->reading; /* of this moment, and not of the one before */
    trigger_report_done(&report);
}

/* What arrived until the next reading, where the source does not say: what waiting grew by, and
 * what was consumed meanwhile where that is known. So it is a lower bound where workers are busy
 * and no rate is known. Of other partitions nothing can be derived. */
static void derive_arrivals(struct trigger_figures *rows, size_t count)
{
    struct trigger_figures *before = NULL;
    for (size_t i = 0; i < count; i++) {
        struct trigger_figures *row = &rows[i];
        row->arrivals = NAN;
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

size_t trigger_replay(const struct trigger *trigger, const struct trigger_report *now, size_t max,
                      struct trigger_figures **ret_rows, bool *ret_has_more)
{
    const struct peer_value *of_peers = trigger->answers.of_peers;
    _cleanup_(memory_free) struct history_sample *samples = NULL;
    size_t all = query_history(trigger->bound.query, now->at_ms - HISTORY_SPAN_MS, &samples);
    size_t count = MIN(all, max);
    size_t first = all - count;
    struct trigger_figures *rows = memory_array(count + 1, sizeof(*rows));
    struct past past = {.trigger = trigger, .now = now};
    if (of_peers != NULL)
        peak_value_add_earlier(&past.peak, of_peers->earlier, of_peers->earlier_count,
                               all == 0 ? of_peers->since_ms : samples[0].at_ms);
    for (size_t i = 0; count > 0 && i < all; i++)
        evaluate(&past, &samples[i], &rows[i < first ? 0 : i - first]);
    derive_arrivals(rows, count);
    snapshot_done(&past.snapshot);
    peak_value_done(&past.peak);
    *ret_rows = rows;
    *ret_has_more = count < all;
    return count;
}
