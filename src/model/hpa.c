#include "model/hpa.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double default_tolerance = 0.1;
static const double legacy_factor = 2;

enum { LEGACY_MIN = 4, DOWN_WINDOW_MS = 300 * 1000, POLICY_PERIOD_MS = 15 * 1000 };

struct hpa_settings hpa_default_settings(void)
{
    return (struct hpa_settings){
        .min_replicas = 1,
        .max_replicas = 100,
        .up = {.tolerance = default_tolerance,
               .policies = {{HPA_PODS, 4, POLICY_PERIOD_MS}, {HPA_PERCENT, 100, POLICY_PERIOD_MS}},
               .policy_count = 2},
        .down = {.tolerance = default_tolerance,
                 .window_ms = DOWN_WINDOW_MS,
                 .policies = {{HPA_PERCENT, 100, POLICY_PERIOD_MS}},
                 .policy_count = 1},
    };
}

void hpa_done(struct hpa *hpa)
{
    free(hpa->recommendations);
    free(hpa->changes);
    *hpa = (struct hpa){0};
}

/* The controller counts in int32. */
static int64_t round_up(double replicas)
{
    return replicas > INT32_MAX ? INT32_MAX : (int64_t)ceil(replicas);
}

static int64_t smaller(int64_t one, int64_t other)
{
    return one < other ? one : other;
}

static int64_t larger(int64_t one, int64_t other)
{
    return one > other ? one : other;
}

/* ---- metrics ---- */

int64_t hpa_metric_replicas(const struct hpa_metric *metric, const struct hpa_settings *settings,
                            const struct hpa_replicas *replicas, bool *ret_is_within_tolerance)
{
    bool averages = metric->type == HPA_AVERAGE_VALUE;
    double per_target = (double)metric->value_milli / (double)metric->target_milli;
    /* Where no pod exists yet the ratio is infinite, or NaN for no work: neither is within. The
     * order of the operations is the controller's: at the edge of the tolerance it decides. */
    double ratio = averages ? (double)metric->value_milli /
                                  ((double)metric->target_milli * (double)replicas->status)
                            : per_target;
    *ret_is_within_tolerance =
        1.0 - settings->down.tolerance <= ratio && ratio <= 1.0 + settings->up.tolerance;
    if (*ret_is_within_tolerance)
        return averages ? replicas->status : replicas->spec;
    return round_up(averages ? per_target : ratio * (double)replicas->ready);
}

struct wanted {
    int64_t replicas;
    size_t metric;
    bool is_within_tolerance;
};

/* The largest of all metrics. False: none has a value, or one has none and the others would scale
 * down. */
static bool want(const struct hpa_settings *settings, const struct hpa_replicas *replicas,
                 const struct hpa_metric *metrics, size_t count, struct wanted *ret_wanted)
{
    size_t failed = 0;
    *ret_wanted = (struct wanted){0};
    for (size_t i = 0; i < count; i++) {
        bool within = false;
        if (metrics[i].is_failed || metrics[i].target_milli <= 0) {
            failed++;
            continue;
        }
        int64_t proposed = hpa_metric_replicas(&metrics[i], settings, replicas, &within);
        if (ret_wanted->replicas == 0 || proposed > ret_wanted->replicas)
            *ret_wanted = (struct wanted){proposed, i, within};
    }
    return failed < count && !(failed > 0 && ret_wanted->replicas < replicas->spec);
}

/* ---- windows ---- */

/* What neither window reaches any more gives its place away, as in the controller. */
static void recommend(struct hpa *hpa, int64_t wanted, int64_t window_ms, int64_t now_ms)
{
    size_t place = hpa->recommendation_count;
    for (size_t i = 0; i < hpa->recommendation_count; i++)
        if (now_ms - hpa->recommendations[i].at_ms > window_ms)
            place = i;
    if (place == hpa->recommendation_count) {
        hpa->recommendations =
            memory_grow(hpa->recommendations, &hpa->recommendation_capacity,
                        hpa->recommendation_count + 1, sizeof(*hpa->recommendations));
        hpa->recommendation_count++;
    }
    hpa->recommendations[place] = (struct hpa_recommendation){wanted, now_ms};
}

/* The smallest (up) or largest (down) recommendation of the window, `wanted` included. A sync comes
 * a little later than the period, so what is exactly as old as the window is out of it, with
 * behavior and without. */
static int64_t bound_of_window(const struct hpa *hpa, int64_t wanted, int64_t window_ms, bool up,
                               int64_t now_ms)
{
    int64_t bound = wanted;
    for (size_t i = 0; i < hpa->recommendation_count; i++) {
        const struct hpa_recommendation *one = &hpa->recommendations[i];
        if (now_ms - one->at_ms < window_ms)
            bound = up ? smaller(bound, one->replicas) : larger(bound, one->replicas);
    }
    return bound;
}

static int64_t stabilize(struct hpa *hpa, const struct hpa_settings *settings, int64_t current,
                         int64_t wanted, int64_t now_ms)
{
    int64_t up_window_ms = settings->has_behavior ? settings->up.window_ms : 0;
    int64_t down_window_ms = settings->has_behavior ? settings->down.window_ms : DOWN_WINDOW_MS;
    int64_t up = bound_of_window(hpa, wanted, up_window_ms, true, now_ms);
    int64_t down = bound_of_window(hpa, wanted, down_window_ms, false, now_ms);
    recommend(hpa, wanted, larger(up_window_ms, down_window_ms), now_ms);
    if (!settings->has_behavior)
        return down; /* also where it is above the current number: up to the largest of the window
                      */
    return smaller(larger(current, up), down);
}

/* ---- policies ---- */

/* A window or a period is at most an hour. */
enum { LONGEST_PERIOD_MS = 3600 * 1000 };

static void remember_change(struct hpa *hpa, int64_t replicas, int64_t now_ms)
{
    size_t kept = 0;
    for (size_t i = 0; i < hpa->change_count; i++)
        if (now_ms - hpa->changes[i].at_ms <= LONGEST_PERIOD_MS)
            hpa->changes[kept++] = hpa->changes[i];
    hpa->change_count = kept;
    hpa->changes =
        memory_grow(hpa->changes, &hpa->change_capacity, kept + 1, sizeof(*hpa->changes));
    hpa->changes[hpa->change_count++] = (struct hpa_change){replicas, now_ms};
}

/* The sum of what was added and removed since the period began. */
static int64_t changed_since(const struct hpa *hpa, int64_t period_ms, int64_t now_ms)
{
    int64_t sum = 0;
    for (size_t i = 0; i < hpa->change_count; i++)
        if (now_ms - hpa->changes[i].at_ms < period_ms)
            sum += hpa->changes[i].replicas;
    return sum;
}

static int64_t policy_limit(const struct hpa_policy *policy, int64_t start, bool up)
{
    if (policy->type == HPA_PODS)
        return up ? start + policy->value : start - policy->value;
    double percent = (double)policy->value / 100;
    return up ? round_up((double)start * (1 + percent)) : (int64_t)((double)start * (1 - percent));
}

/* How far the policies of one direction let it go; never against the direction. */
static int64_t rules_limit(const struct hpa *hpa, const struct hpa_rules *rules, int64_t current,
                           bool up, int64_t now_ms)
{
    if (rules->select == HPA_SELECT_DISABLED)
        return current;
    /* Max is the largest change: the highest limit upwards, the lowest downwards. */
    bool highest = (rules->select == HPA_SELECT_MAX) == up;
    int64_t limit = highest ? INT32_MIN : INT32_MAX;
    for (size_t i = 0; i < rules->policy_count; i++) {
        const struct hpa_policy *policy = &rules->policies[i];
        int64_t start = current - changed_since(hpa, policy->period_ms, now_ms);
        int64_t proposed = policy_limit(policy, start, up);
        limit = highest ? larger(limit, proposed) : smaller(limit, proposed);
    }
    return up ? larger(limit, current) : smaller(limit, current);
}

static int64_t rate_limit(const struct hpa *hpa, const struct hpa_settings *settings,
                          int64_t current, bool up, int64_t now_ms)
{
    if (settings->has_behavior)
        return rules_limit(hpa, up ? &settings->up : &settings->down, current, up, now_ms);
    return up ? larger((int64_t)(legacy_factor * (double)current), LEGACY_MIN) : INT32_MIN;
}

/* ---- the decision ---- */

static struct hpa_decision decide(const struct hpa *hpa, const struct hpa_settings *settings,
                                  int64_t current, int64_t stabilized, int64_t now_ms)
{
    struct hpa_decision decision = {.replicas = stabilized, .reason = HPA_AS_WANTED};
    if (stabilized > current) {
        int64_t limit = rate_limit(hpa, settings, current, true, now_ms);
        if (stabilized > smaller(limit, settings->max_replicas))
            decision.reason =
                limit < settings->max_replicas ? HPA_LIMITED_BY_POLICY : HPA_LIMITED_BY_MAX;
        decision.replicas = smaller(stabilized, smaller(limit, settings->max_replicas));
    } else if (stabilized < current) {
        int64_t limit = rate_limit(hpa, settings, current, false, now_ms);
        if (stabilized < larger(limit, settings->min_replicas))
            decision.reason =
                limit > settings->min_replicas ? HPA_LIMITED_BY_POLICY : HPA_LIMITED_BY_MIN;
        decision.replicas = larger(stabilized, larger(limit, settings->min_replicas));
    }
    return decision;
}

static enum hpa_reason reason_of(const struct hpa_decision *decision, const struct wanted *wanted,
                                 int64_t stabilized)
{
    if (decision->reason != HPA_AS_WANTED)
        return decision->reason;
    if (stabilized > wanted->replicas)
        return HPA_STABILIZED_DOWN;
    if (stabilized < wanted->replicas)
        return HPA_STABILIZED_UP;
    return wanted->is_within_tolerance ? HPA_WITHIN_TOLERANCE : HPA_AS_WANTED;
}

static struct hpa_decision by_metrics(struct hpa *hpa, const struct hpa_settings *settings,
                                      const struct hpa_replicas *replicas,
                                      const struct hpa_metric *metrics, size_t count,
                                      int64_t now_ms)
{
    struct wanted wanted;
    if (!want(settings, replicas, metrics, count, &wanted))
        return (struct hpa_decision){replicas->spec, -1, 0, HPA_METRICS_FAILED};

    int64_t stabilized = stabilize(hpa, settings, replicas->spec, wanted.replicas, now_ms);
    struct hpa_decision decision = decide(hpa, settings, replicas->spec, stabilized, now_ms);
    decision.wanted = wanted.replicas;
    decision.metric = wanted.metric;
    decision.reason = reason_of(&decision, &wanted, stabilized);
    return decision;
}

struct hpa_decision hpa_sync(struct hpa *hpa, const struct hpa_settings *settings,
                             const struct hpa_replicas *replicas, const struct hpa_metric *metrics,
                             size_t count, int64_t now_ms)
{
    struct hpa_decision decision;
    if (hpa->recommendation_count == 0) /* the controller's first look at the object is one, too */
        recommend(hpa, replicas->spec, 0, now_ms);

    if (replicas->spec == 0)
        decision = (struct hpa_decision){0, -1, 0, HPA_DISABLED};
    else if (replicas->spec > settings->max_replicas)
        decision = (struct hpa_decision){settings->max_replicas, -1, 0, HPA_ABOVE_MAX};
    else if (replicas->spec < settings->min_replicas)
        decision = (struct hpa_decision){settings->min_replicas, -1, 0, HPA_BELOW_MIN};
    else
        decision = by_metrics(hpa, settings, replicas, metrics, count, now_ms);

    if (decision.replicas != replicas->spec && settings->has_behavior)
        remember_change(hpa, decision.replicas - replicas->spec, now_ms);
    return decision;
}

const char *hpa_reason_text(enum hpa_reason reason)
{
    switch (reason) {
    case HPA_DISABLED:
        return "the HPA rests at 0 replicas";
    case HPA_ABOVE_MAX:
        return "above maxReplicaCount";
    case HPA_BELOW_MIN:
        return "below minReplicaCount";
    case HPA_METRICS_FAILED:
        return "no metric: held";
    case HPA_WITHIN_TOLERANCE:
        return "within tolerance";
    case HPA_STABILIZED_UP:
        return "scale-up stabilization";
    case HPA_STABILIZED_DOWN:
        return "scale-down stabilization";
    case HPA_LIMITED_BY_POLICY:
        return "limited by policy";
    case HPA_LIMITED_BY_MAX:
        return "limited by maxReplicaCount";
    case HPA_LIMITED_BY_MIN:
        return "limited by minReplicaCount";
    case HPA_AS_WANTED:
        break;
    }
    return "as wanted";
}
