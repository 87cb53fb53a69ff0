#include "measure/recent_samples.h"

#include <math.h>
#include <string.h>
#include <sys/param.h>

/* A longer time without a measurement is a gap, unless it is the wait for a turn. */
enum { GAP_INTERVALS = 4 };

double recent_samples_waiting(const struct reading *reading)
{
    return isnan(reading->waiting) ? reading->value : reading->waiting;
}

int64_t recent_samples_unseen_ms(const struct recent_samples *recent, int64_t distance_ms)
{
    int64_t seen_ms = GAP_INTERVALS * MAX(recent->interval_ms, recent->duration_ms);
    return MAX(distance_ms - seen_ms, 0);
}

bool recent_samples_is_gap(const struct recent_samples *recent, int64_t distance_ms)
{
    return recent_samples_unseen_ms(recent, distance_ms - recent->waited_ms) > 0;
}

void recent_samples_add_gap(struct recent_samples *recent)
{
    recent->has_gap = true;
}

/* Whether the reading joins the last sample. It does until it is a whole interval later than the
 * sample before that one. Example: with an interval of 5 s and samples at 0 and 3, a reading at 4
 * joins the second one, and one at 5 does not. */
static bool joins_last(const struct recent_samples *recent, int64_t at_ms)
{
    if (recent->count < 2 || recent->has_gap)
        return false;
    return at_ms - recent->samples[recent->count - 2].at_ms < recent->interval_ms;
}

/* The larger one. If one is unknown, so is the result, unless the other one is above 0: an unknown
 * count must not look idle. */
static double max_or_unknown(double left, double right)
{
    bool is_unknown = isnan(left) || isnan(right);
    double known = fmax(left, right);
    return is_unknown && !(known > 0) ? NAN : known;
}

void recent_samples_add(struct recent_samples *recent, int64_t at_ms, const struct reading *reading)
{
    const struct recent_sample *last =
        recent->count == 0 ? NULL : &recent->samples[recent->count - 1];
    struct recent_sample sample = {
        .at_ms = at_ms,
        .reading = *reading,
        .max_waiting = recent_samples_waiting(reading),
        .max_in_flight = reading->in_flight,
    };
    if (last != NULL && at_ms < recent->last_ms)
        return;
    recent->last_ms = at_ms;
    if (last != NULL) /* notifications may come in the same millisecond */
        sample.at_ms = at_ms = MAX(at_ms, last->at_ms + 1);
    sample.is_after_gap =
        last == NULL || recent->has_gap || recent_samples_is_gap(recent, at_ms - last->at_ms);
    if (!sample.is_after_gap && joins_last(recent, at_ms)) {
        sample.max_waiting = max_or_unknown(sample.max_waiting, last->max_waiting);
        sample.max_in_flight = max_or_unknown(sample.max_in_flight, last->max_in_flight);
        sample.is_after_gap = last->is_after_gap;
        recent->count--;
    }
    if (recent->count == RECENT_SAMPLES_MAX)
        memmove(recent->samples, recent->samples + 1, --recent->count * sizeof(*recent->samples));
    recent->samples[recent->count++] = sample;
    recent->has_gap = false;
}
