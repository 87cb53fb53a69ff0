#include "scale/policy/flow.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

const char *flow_status_text(enum flow_status status)
{
    static const char *const texts[FLOW_STATUSES] = {
        [FLOW_UNKNOWN] = "UNKNOWN", [FLOW_OK] = "OK",     [FLOW_WARN] = "WARN",
        [FLOW_STALL] = "STALL",     [FLOW_STOP] = "STOP", [FLOW_REWIND] = "REWIND",
        [FLOW_SKEW] = "SKEW",
    };
    return texts[status];
}

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

static struct flow_interval interval_of(const struct recent_sample *before,
                                        const struct recent_sample *sample)
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
    struct flow flow = {.arrival_rate = NAN, .consumption_rate = NAN, .last_consumed = NAN};
    struct flow_interval sum, recent_sum;
    size_t last = recent->count - 1;
    if (recent->count >= 2 && !recent->samples[last].is_after_gap)
        flow.last_consumed =
            interval_of(&recent->samples[last - 1], &recent->samples[last]).consumed;
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
static bool is_busy(const struct recent_sample *sample, const struct flow_interval *interval)
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
                         const struct recent_sample *before, const struct recent_sample *sample)
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

/* ---- status ---- */

enum { STATUS_INTERVALS = 3, WARN_INTERVALS = 6, COUNTS_MISSED = 2 };

static double consumed_over(const struct recent_samples *recent, size_t last, size_t intervals)
{
    double consumed = 0;
    for (size_t i = last + 1 - intervals; i <= last; i++)
        consumed += interval_of(&recent->samples[i - 1], &recent->samples[i]).consumed;
    return consumed;
}

/* How many of the last samples belong together, the newest included. */
static size_t unbroken(const struct recent_samples *recent)
{
    size_t count = 0;
    for (size_t i = recent->count; i-- > 0;) {
        count++;
        if (recent->samples[i].is_after_gap)
            break;
    }
    return count;
}

static bool waits_throughout(const struct recent_samples *recent, size_t intervals)
{
    for (size_t i = recent->count - 1 - intervals; i < recent->count; i++)
        if (!(recent_samples_waiting(&recent->samples[i].reading) > 0))
            return false;
    return true;
}

/* Since when nothing was consumed, and as much or more waits. */
static int64_t quiet_ms(const struct recent_samples *recent, size_t count)
{
    const struct recent_sample *last = &recent->samples[recent->count - 1];
    int64_t quiet = 0;
    for (size_t i = recent->count - 1; i > recent->count - count; i--) {
        const struct recent_sample *before = &recent->samples[i - 1];
        double consumed = interval_of(before, &recent->samples[i]).consumed;
        if (!(consumed <= 0) || recent_samples_waiting(&before->reading) >
                                    recent_samples_waiting(&recent->samples[i].reading))
            break;
        quiet = last->at_ms - before->at_ms;
    }
    return quiet;
}

static bool is_rewound(const struct recent_samples *recent, size_t intervals)
{
    for (size_t i = recent->count - intervals; i < recent->count; i++) {
        const struct reading *from = &recent->samples[i - 1].reading;
        const struct reading *to = &recent->samples[i].reading;
        if (to->consumed < from->consumed && to->arrived >= from->arrived &&
            recent_samples_waiting(to) > recent_samples_waiting(from))
            return true;
    }
    return false;
}

static bool is_skewed(const struct recent_samples *recent, size_t intervals)
{
    for (size_t i = recent->count - 1 - intervals; i < recent->count; i++) {
        const struct reading *reading = &recent->samples[i].reading;
        if (!(reading->partitions > 1 && reading->partitions_with_lag == 1))
            return false;
    }
    return true;
}

/* How long at least nothing must have been consumed: three intervals of the samples, and of the
 * trigger, less what measurements come early. */
static int64_t needed_quiet_ms(const struct recent_samples *recent, int64_t interval_ms)
{
    const struct recent_sample *last = &recent->samples[recent->count - 1];
    int64_t of_samples_ms = last->at_ms - (last - STATUS_INTERVALS)->at_ms;
    int64_t own_ms = STATUS_INTERVALS * interval_ms - interval_ms / 4;
    if (recent->count == RECENT_SAMPLES_MAX)
        own_ms = MIN(own_ms, last->at_ms - recent->samples[0].at_ms);
    return MAX(of_samples_ms, own_ms);
}

/* Whether nothing has been consumed for longer than is usual. A consumer that works for minutes on
 * one message is not stuck, and a source that seldom counts what was consumed says nothing. */
static bool is_stalled(const struct recent_samples *recent, size_t count,
                       const struct flow_pace *pace)
{
    const struct reading *now = &recent->samples[recent->count - 1].reading;
    double workers = now->consumers > 0 ? now->consumers : fmax(1, now->in_flight);
    double patience_ms = pace->rate > 0 ? STATUS_INTERVALS * 1000 / (pace->rate * workers) : 0;
    int64_t quiet = quiet_ms(recent, count);
    patience_ms = fmax(patience_ms, (double)(COUNTS_MISSED * pace->count_interval_ms));
    return quiet >= needed_quiet_ms(recent, pace->interval_ms) && (double)quiet >= patience_ms;
}

static bool grows_throughout(const struct recent_samples *recent, size_t intervals)
{
    for (size_t i = recent->count - intervals; i < recent->count; i++)
        if (recent_samples_waiting(&recent->samples[i].reading) <=
            recent_samples_waiting(&recent->samples[i - 1].reading))
            return false;
    return true;
}

enum flow_status flow_status_of(const struct recent_samples *recent, const struct flow_pace *pace)
{
    size_t count = unbroken(recent);
    if (count <= STATUS_INTERVALS)
        return FLOW_UNKNOWN;
    double consumed = consumed_over(recent, recent->count - 1, STATUS_INTERVALS);
    if (isnan(consumed))
        return FLOW_UNKNOWN;
    if (is_rewound(recent, STATUS_INTERVALS))
        return FLOW_REWIND;
    if (!waits_throughout(recent, STATUS_INTERVALS))
        return FLOW_OK;
    /* There are consumers, or none, or the source does not report them (NAN). Redis counts only
     * those that were seen lately; one that has messages is there, or was. */
    const struct reading *now = &recent->samples[recent->count - 1].reading;
    bool has_consumers = now->consumers > 0 || now->in_flight > 0;
    bool knows_none = !has_consumers && now->consumers == 0;
    bool knows_nothing = !has_consumers && isnan(now->consumers);
    if (consumed <= 0 && knows_none)
        return FLOW_STOP;
    if (has_consumers && is_stalled(recent, count, pace))
        return FLOW_STALL;
    if (is_skewed(recent, STATUS_INTERVALS))
        return FLOW_SKEW;
    if (count > WARN_INTERVALS && grows_throughout(recent, WARN_INTERVALS))
        return FLOW_WARN;
    /* Nothing is consumed, and nobody knows whether anybody should. */
    return consumed <= 0 && knows_nothing ? FLOW_UNKNOWN : FLOW_OK;
}
