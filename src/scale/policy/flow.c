#include "scale/policy/flow.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

/* ---- rates ---- */

/* What happened between two samples that follow one another. */
struct flow_interval {
    double arrived, consumed;
    double seconds;
};

/* What is there, wherever. */
static double present(const struct reading *reading)
{
    return recent_samples_waiting(reading) + (isnan(reading->in_flight) ? 0 : reading->in_flight);
}

/* A total that falls was reset at the source. */
static double difference(double total, double before)
{
    return total >= before ? total - before : NAN;
}

/* fmax() would make a 0 of what is not known. */
static double not_negative(double count)
{
    return count < 0 ? 0 : count;
}

static struct flow_interval interval_of(const struct history_sample *before,
                                        const struct history_sample *sample)
{
    const struct reading *from = &before->reading, *to = &sample->reading;
    struct flow_interval interval = {.seconds = (double)(sample->at_ms - before->at_ms) / 1000};
    if (reading_has_other_partitions(from, to)) {
        interval.arrived = interval.consumed = NAN;
        return interval;
    }
    interval.arrived = difference(to->arrived, from->arrived);
    interval.consumed = difference(to->consumed, from->consumed);
    if (isnan(from->arrived) || isnan(to->arrived))
        interval.arrived = to->arrival_rate * interval.seconds;
    if (isnan(from->consumed) || isnan(to->consumed))
        interval.consumed = to->consumption_rate * interval.seconds;
    double more = present(to) - present(from);
    if (isnan(interval.arrived))
        interval.arrived = not_negative(interval.consumed + more);
    if (isnan(interval.consumed))
        interval.consumed = not_negative(interval.arrived - more);
    return interval;
}

/* The sum of the last intervals that span at least so long, or all that belong together; false:
 * these are too few for a rate. */
static bool sum_of_last(const struct recent_samples *recent, int64_t span_ms,
                        struct flow_interval *ret_sum)
{
    struct flow_interval sum = {0};
    for (size_t i = recent->count; i-- > 1;) {
        if (recent->samples[i].is_after_gap)
            break;
        if (reading_has_other_partitions(&recent->samples[i - 1].reading,
                                         &recent->samples[i].reading))
            continue;
        struct flow_interval interval = interval_of(&recent->samples[i - 1], &recent->samples[i]);
        if (isnan(interval.arrived) || isnan(interval.consumed))
            break;
        sum.arrived += interval.arrived;
        sum.consumed += interval.consumed;
        sum.seconds += interval.seconds;
        if (sum.seconds * 1000 >= (double)span_ms)
            break;
    }
    *ret_sum = sum;
    return sum.seconds * 1000 >= FLOW_RECENT_MS;
}

struct flow flow_of(const struct recent_samples *recent)
{
    struct flow flow = {.arrival_rate = NAN, .consumption_rate = NAN};
    struct flow_interval sum, recent_sum;
    if (!sum_of_last(recent, FLOW_SPAN_MS, &sum) ||
        !sum_of_last(recent, FLOW_RECENT_MS, &recent_sum))
        return flow;
    flow.arrival_rate = sum.arrived / sum.seconds;
    flow.consumption_rate = recent_sum.consumed / recent_sum.seconds;
    flow.span_ms = (int64_t)(sum.seconds * 1000);
    return flow;
}

/* ---- what one consumer does ---- */

enum { FIRST_OBSERVATION_MS = 10 * 1000, OBSERVATION_MS = 20 * 1000, SLOWER_AFTER_MS = 10 * 1000 };

/* Of fewer messages chance says more than consumers do. */
enum { FIRST_MESSAGES = 2, OBSERVED_MESSAGES = 5, CHANCE_DEVIATIONS = 2 };
static const double slower_share = 0.75;

/* Beyond it two observations that agree are another speed, and not noise. */
static const double changed_share = 0.25, agreeing_share = 0.2;

static int compare(const void *left, const void *right)
{
    double one = *(const double *)left, other = *(const double *)right;
    return (one > other) - (one < other);
}

double flow_rate_median(const struct flow_rate *rate)
{
    double sorted[FLOW_OBSERVATIONS];
    if (rate->count == 0)
        return NAN;
    memcpy(sorted, rate->observations, rate->count * sizeof(*sorted));
    qsort(sorted, rate->count, sizeof(*sorted), compare);
    size_t middle = rate->count / 2;
    return rate->count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

double flow_rate_spread(const struct flow_rate *rate)
{
    double min = INFINITY, max = 0;
    for (size_t i = 0; i < rate->count; i++) {
        min = fmin(min, rate->observations[i]);
        max = fmax(max, rate->observations[i]);
    }
    return rate->count == 0 ? NAN : (max - min) / flow_rate_median(rate);
}

static void observe(struct flow_rate *rate, double observed, int64_t at_ms)
{
    double median = flow_rate_median(rate);
    double last = rate->count == 0 ? NAN : rate->observations[rate->count - 1];
    bool is_off = fabs(observed - median) > changed_share * median &&
                  fabs(last - median) > changed_share * median;
    if (is_off && fabs(observed - last) <= agreeing_share * last) {
        rate->observations[0] = last;
        rate->count = 1;
    }
    if (rate->count == FLOW_OBSERVATIONS)
        memmove(rate->observations, rate->observations + 1,
                --rate->count * sizeof(*rate->observations));
    rate->observations[rate->count++] = observed;
    rate->observed_at_ms = at_ms;
}

/* Whether so much waited that hardly a consumer can have been idle: a second of work. */
static bool is_busy(const struct history_sample *sample, const struct flow_interval *interval)
{
    double waiting = recent_samples_waiting(&sample->reading);
    double second = interval->consumed / interval->seconds;
    return waiting >= 1 && waiting >= second;
}

static void forget_busy(struct flow_rate *rate)
{
    rate->busy_ms = rate->quiet_ms = 0;
    rate->consumed = rate->consumer_ms = 0;
}

/* Without one that was consumed it may be a long job, which counts when it is done, or a stall,
 * which never does. Whoever looks seldom cannot say that messages waited all the time. */
static void add_interval(struct flow_rate *rate, const struct recent_samples *recent,
                         const struct history_sample *before, const struct history_sample *sample)
{
    const struct flow_interval interval = interval_of(before, sample);
    int64_t interval_ms = sample->at_ms - before->at_ms;
    double consumers = sample->reading.consumers;
    bool is_seen = !sample->is_after_gap && recent_samples_unseen_ms(recent, interval_ms) == 0;
    bool counts = is_seen && consumers > 0 && interval.consumed >= 0;
    if (!counts || before->reading.consumers != sample->reading.consumers ||
        !is_busy(before, &interval) || !is_busy(sample, &interval)) {
        forget_busy(rate);
        return;
    }
    rate->quiet_ms += interval_ms;
    if (interval.consumed <= 0)
        return;
    rate->consumed += interval.consumed;
    rate->consumer_ms += consumers * (double)rate->quiet_ms;
    rate->busy_ms += rate->quiet_ms;
    rate->quiet_ms = 0;
    bool is_first = rate->count == 0;
    if (rate->busy_ms < (is_first ? FIRST_OBSERVATION_MS : OBSERVATION_MS) ||
        rate->consumed < (is_first ? FIRST_MESSAGES : OBSERVED_MESSAGES))
        return;
    observe(rate, flow_rate_now(rate), sample->at_ms);
    forget_busy(rate);
}

double flow_rate_now(const struct flow_rate *rate)
{
    return rate->consumer_ms > 0 ? rate->consumed / rate->consumer_ms * 1000 : NAN;
}

bool flow_rate_is_slower(const struct flow_rate *rate, double expected)
{
    double messages = expected * rate->consumer_ms / 1000;
    double by_chance = CHANCE_DEVIATIONS * sqrt(messages);
    return rate->busy_ms >= SLOWER_AFTER_MS && rate->consumed < messages - by_chance &&
           rate->consumed < slower_share * messages;
}

/* Not the last sample: another one may take its place. */
void flow_rate_update(struct flow_rate *rate, const struct recent_samples *recent)
{
    for (size_t i = 1; i + 1 < recent->count; i++)
        if (recent->samples[i].at_ms > rate->folded_until_ms) {
            add_interval(rate, recent, &recent->samples[i - 1], &recent->samples[i]);
            rate->folded_until_ms = recent->samples[i].at_ms;
        }
}
