#include "scale/policy/policy.h"

#include "base/memory.h"

#include <math.h>
#include <sys/param.h>

/* The constants were chosen in the simulator (bench/policies.c; bench/README.md has the table and
 * what lost). */
enum {
    LOWER_AFTER_MS = 60 * 1000,    /* the need must have been lower for so long */
    REMEMBERED_MS = 5 * 60 * 1000, /* after an outage: what was asked for, if it is no older */
};

/* The need must have risen by this share of what was asked for before more is asked for. */
static const double raised_share = 0.05;

/* ... and have fallen by this share before fewer are. */
static const double lower_share = 0.1;

/* What arrives in this share of the time that is left of maxWait may wait. */
static const double waiting_share = 0.5;

/* Within so many times maxWait as much is to wait, not more and not less. */
static const double balance_times = 1.5;

/* Replicas for at least this share of what arrives. */
static const double min_arrivals_share = 0.7;

/* The value at the maximum, in times of the replicas: beyond the HPA's tolerance of 10 %, or a few
 * replicas are missing for ever. */
static const double at_max = 1.2;

const char *policy_term_text(enum policy_term term)
{
    static const char *const texts[] = {
        [POLICY_BY_THRESHOLD] = "threshold", [POLICY_BY_ARRIVALS] = "arrivals",
        [POLICY_BY_WAITING] = "waiting",     [POLICY_BY_LEVEL] = "step",
        [POLICY_BY_IN_FLIGHT] = "in flight", [POLICY_BY_BUSY] = "busy",
        [POLICY_BY_IDLE] = "idle",           [POLICY_BY_PARTITIONS] = "partitions",
        [POLICY_BY_MAX] = "maximum",         [POLICY_BY_NOTHING] = "nothing",
    };
    _Static_assert(ARRAY_LENGTH(texts) == POLICY_TERMS, "a term without a text");
    return texts[term];
}

static const char *key_of_in_flight(const struct policy_settings *settings)
{
    if (settings->idle_ms > 0)
        return "scaleDownWhenIdle";
    return settings->in_flight_per_replica > 0 ? "inFlightPerReplica" : NULL;
}

static const char *key_of_consumers(const struct policy_settings *settings)
{
    return settings->max_wait_ms > 0 && settings->rate <= 0 ? "ratePerReplica: measured" : NULL;
}

static const char *key_of_rates(const struct policy_settings *settings)
{
    return settings->max_wait_ms > 0 ? "maxWait" : NULL;
}

static const char in_flight_words[] = "the messages in flight";

const struct policy_need policy_need_rows[] = {
    {READING_WANT_IN_FLIGHT, in_flight_words, NULL, key_of_in_flight},
    {READING_WANT_CONSUMERS, "the number of consumers",
     "set ratePerReplica to how many messages one replica works off per second", key_of_consumers},
    {READING_WANT_RATES, "the rates of arrivals and consumption", NULL, key_of_rates},
};
_Static_assert(ARRAY_LENGTH(policy_need_rows) == READING_WANTS, "a want without a row");

unsigned policy_needs(const struct policy_settings *settings)
{
    unsigned needs = 0;
    for (size_t i = 0; i < READING_WANTS; i++)
        if (policy_need_rows[i].key(settings) != NULL)
            needs |= policy_need_rows[i].want;
    return needs;
}

int64_t policy_whole(double replicas)
{
    static const double rounding = 1e-9; /* 0.9 * 10 / 0.9 is not 11 replicas */
    if (!(replicas > 0))
        return 0;
    return replicas > POLICY_MAX_REPLICAS ? POLICY_MAX_REPLICAS
                                          : (int64_t)ceil(replicas - rounding);
}

static void raise_to(struct policy_decision *decision, int64_t replicas, enum policy_term term)
{
    if (replicas <= decision->result.replicas)
        return;
    decision->result.replicas = replicas;
    decision->result.term = term;
}

static void limit_to(struct policy_decision *decision, int64_t replicas, enum policy_term term)
{
    if (replicas >= decision->result.replicas)
        return;
    decision->result.replicas = replicas;
    decision->result.term = term;
}

/* ---- the objective ---- */

/* Per second, without what chance may have added (a standard deviation): of long jobs few end at a
 * time. */
static double surely_consumed(const struct flow *flow)
{
    double messages = flow->consumption_rate * FLOW_RECENT_MS / 1000;
    return (messages - sqrt(messages)) * 1000 / FLOW_RECENT_MS;
}

/* Where all are idle at times, what they do is a lower bound of what they could. */
static double rate_of(const struct policy_decision *decision)
{
    const struct policy_settings *settings = decision->settings;
    if (settings->rate > 0)
        return settings->rate;
    double rate = flow_rate_median(&decision->state->rate);
    double consumers = decision->last->reading.consumers;
    if (rate > 0 && consumers > 0 && decision->flow.consumption_rate > 0)
        rate = fmax(rate, surely_consumed(&decision->flow) / consumers);
    if (flow_rate_is_slower(&decision->state->rate, rate))
        rate = flow_rate_now(&decision->state->rate);
    return rate * settings->consumers_per_replica;
}

/* Up at once; down when the need has been lower for a while, to the most that it was meanwhile:
 * each change costs the workers that it stops. */
static int64_t smooth(struct policy_objective *objective, double need,
                      const struct recent_samples *recent)
{
    int64_t at_ms = recent->samples[recent->count - 1].at_ms;
    int64_t distance_ms = at_ms - objective->at_ms;
    double requested = (double)objective->replicas;
    if (objective->lower_since_ms > 0)
        /* What was needed while nobody looked is not known: that time does not count. */
        objective->lower_since_ms += recent_samples_is_gap(recent, distance_ms)
                                         ? distance_ms
                                         : recent_samples_unseen_ms(recent, distance_ms);
    objective->at_ms = at_ms;
    if (need > requested * (1 + raised_share))
        objective->replicas = policy_whole(need);
    if (need > requested * (1 - lower_share)) {
        objective->lower_since_ms = 0;
        return objective->replicas;
    }
    if (objective->lower_since_ms == 0) {
        objective->lower_since_ms = at_ms;
        objective->max_lower = 0;
    }
    objective->max_lower = fmax(objective->max_lower, need);
    if (at_ms - objective->lower_since_ms >= LOWER_AFTER_MS) {
        objective->replicas = policy_whole(objective->max_lower);
        objective->lower_since_ms = 0;
    }
    return objective->replicas;
}

/*
 * As many as what arrives needs, and more or fewer of them while more or less waits than may: for
 * half of the time that is left. So replicas are used fully, where thresholds that somebody chose
 * carefully use them fully, too; and as messages wait most of the time, replicas that became faster
 * are noticed.
 */
static double balance(const struct policy_decision *decision, double rate, double left_s)
{
    const struct policy_settings *settings = decision->settings;
    double arrivals = decision->flow.arrival_rate;
    double within_s = balance_times * (double)settings->max_wait_ms / 1000;
    double excess = decision->waiting - arrivals * waiting_share * left_s;
    double needed = arrivals / settings->utilization + excess / within_s;
    return fmax(needed, arrivals * min_arrivals_share) / rate;
}

/* Nobody saw the source for so long that what was asked for before says nothing any more. */
static void forget_old(struct policy_objective *objective, const struct recent_samples *recent)
{
    const struct history_sample *last = &recent->samples[recent->count - 1];
    int64_t past_ms = last->at_ms - objective->at_ms;
    bool is_gap = last->is_after_gap || recent_samples_is_gap(recent, past_ms);
    if (objective->at_ms > 0 && past_ms > REMEMBERED_MS && is_gap)
        *objective = (struct policy_objective){0};
}

/* What arrives now is to start within maxWait, and a replica that is asked for now works after its
 * start-up: until then nothing may be done, and all that waits must be done in the time that is
 * left. */
static bool meet_objective(struct policy_decision *decision)
{
    const struct policy_settings *settings = decision->settings;
    struct policy_objective *objective = &decision->state->objective;
    double rate = rate_of(decision);
    double wait_s = (double)settings->max_wait_ms / 1000;
    double left_s = fmax(wait_s - (double)settings->start_ms / 1000, wait_s / 4);
    decision->result.rate = rate;
    forget_old(objective, decision->input->recent);
    if (!(rate > 0))
        return false;
    decision->by_waiting = decision->waiting / (rate * left_s);
    if (decision->flow.span_ms == 0) {
        /* After a restart nothing is known of arrivals, and the threshold decides; after an outage
         * what was, and what waits. */
        bool is_known = objective->at_ms > 0;
        raise_to(decision, objective->replicas, POLICY_BY_ARRIVALS);
        if (is_known)
            raise_to(decision, policy_whole(decision->by_waiting), POLICY_BY_WAITING);
        return is_known;
    }
    decision->by_arrivals = decision->flow.arrival_rate / (settings->utilization * rate);
    decision->by_balance = balance(decision, rate, left_s);
    decision->balanced_waiting = decision->flow.arrival_rate * waiting_share * left_s;
    double need = fmax(decision->by_waiting, decision->by_balance);
    decision->result.replicas = smooth(objective, need, decision->input->recent);
    decision->result.term =
        decision->by_waiting > decision->by_balance ? POLICY_BY_WAITING : POLICY_BY_ARRIVALS;
    decision->is_smoothed = decision->result.replicas > policy_whole(need);
    return true;
}

/* ---- the other terms ---- */

/* A level is left downwards only below the level under it. */
static int64_t take_level(struct policy_decision *decision)
{
    const struct policy_settings *settings = decision->settings;
    size_t level = decision->state->level;
    size_t now = 0;
    while (now < settings->level_count && decision->waiting >= settings->levels[now].waiting)
        now++;
    double under = level >= 2 ? settings->levels[level - 2].waiting : 0;
    bool stays = now < level && (level >= 2 ? decision->waiting >= under : decision->waiting > 0);
    if (!stays)
        level = now;
    decision->state->level = level;
    return level == 0 ? 0 : settings->levels[level - 1].replicas;
}

static void choose_base(struct policy_decision *decision)
{
    const struct policy_settings *settings = decision->settings;
    const struct policy_input *input = decision->input;
    bool has_objective = settings->max_wait_ms > 0;
    decision->has_ratio = settings->level_count == 0 || input->basis.has_threshold || has_objective;
    decision->meets_objective = has_objective && meet_objective(decision);
    if (decision->has_ratio && !decision->meets_objective)
        raise_to(decision, policy_whole(input->value / input->basis.threshold),
                 POLICY_BY_THRESHOLD);
    if (settings->level_count > 0)
        raise_to(decision, take_level(decision), POLICY_BY_LEVEL);
}

static void raise_by_in_flight(struct policy_decision *decision)
{
    const struct policy_settings *settings = decision->settings;
    double in_flight = decision->last->reading.in_flight;
    if (settings->in_flight_per_replica <= 0)
        return;
    raise_to(decision, policy_whole(in_flight / settings->in_flight_per_replica),
             POLICY_BY_IN_FLIGHT);
    if (in_flight > 0)
        decision->result.active = true;
}

/* As many as have consumers or, where none is known, as many as may have the messages in flight:
 * one for each that may be at work. 0: neither is known. */
static int64_t replicas_at_work(const struct policy_decision *decision)
{
    const struct reading *reading = &decision->last->reading;
    const struct policy_settings *settings = decision->settings;
    if (reading->consumers > 0)
        return policy_whole(reading->consumers / settings->consumers_per_replica);
    return policy_whole(reading->in_flight / fmax(1, settings->in_flight_per_replica));
}

/* ---- scaleDownWhenIdle ---- */

/* Where the source has no number, and that means one (no series: 0), it does so for all samples
 * without one. */
static void fold_idle(struct policy_idle *idle, const struct policy_decision *decision)
{
    const struct recent_samples *recent = decision->input->recent;
    bool is_meant = isnan(recent_samples_waiting(&decision->last->reading));
    for (size_t i = 0; i < recent->count; i++) {
        const struct history_sample *sample = &recent->samples[i];
        /* The last one again: it may have taken the place of the one that was seen. */
        if (sample->at_ms <= idle->folded_until_ms && i + 1 < recent->count)
            continue;
        double waiting =
            is_meant && isnan(sample->max_waiting) ? decision->waiting : sample->max_waiting;
        bool is_idle = waiting <= 0 && sample->max_in_flight <= 0;
        bool goes_on = i > 0 && idle->since_ms > 0 && !sample->is_after_gap;
        idle->folded_until_ms = MAX(idle->folded_until_ms, sample->at_ms);
        if (!is_idle)
            idle->since_ms = 0;
        else if (!goes_on)
            idle->since_ms = idle->folded_until_ms;
        else
            idle->since_ms += recent_samples_unseen_ms(recent, sample->at_ms - (sample - 1)->at_ms);
    }
}

/*
 * Workers of which nobody here knows: after a restart, or where another replica of the server alone
 * saw the messages wait that are in flight now. As many as there are consumers, or messages in
 * flight, one for each that may be at work. Once in each busy time: workers that take more than one
 * message would make the number grow without end. Where neither consumers nor inFlightPerReplica
 * are known, only after a restart: one worker may have taken a hundred.
 */
static int64_t unseen_workers(const struct policy_decision *decision)
{
    const struct policy_state *state = decision->state;
    const struct reading *reading = &decision->last->reading;
    bool may_be_new = state->peak.own == 0 &&
                      (reading->consumers > 0 || decision->settings->in_flight_per_replica > 0);
    bool are_unseen = !state->idle.has_begun || may_be_new;
    return are_unseen && reading->in_flight > 0 ? replicas_at_work(decision) : 0;
}

static int64_t idle_for_ms(const struct policy_decision *decision)
{
    int64_t since_ms = decision->state->idle.since_ms;
    return since_ms == 0 ? -1 : MAX(decision->last->at_ms - since_ms, 0);
}

static int64_t peak_of_peers(const struct policy_decision *decision)
{
    struct policy_peaks *peaks = &decision->state->peak.of_peers;
    int64_t over_ms = decision->last->at_ms - decision->input->basis.hold_ms;
    peaks->count = peaks_drop(peaks->items, peaks->count, over_ms);
    return peaks->count == 0 ? 0 : (int64_t)peaks->items[0].value;
}

/* The steps are in policy.h, at struct policy_peak. */
static void keep_while_busy(struct policy_decision *decision)
{
    const struct policy_settings *settings = decision->settings;
    struct policy_state *state = decision->state;
    struct policy_peak *peak = &state->peak;
    struct policy_result *result = &decision->result;
    if (settings->idle_ms == 0)
        return;
    fold_idle(&state->idle, decision);
    result->idle_for_ms = idle_for_ms(decision);
    peak->own = MAX(peak->own, unseen_workers(decision));
    state->idle.has_begun = true;

    int64_t of_peers = peak_of_peers(decision);
    bool has_peak = peak->own > 0 || of_peers > 0;
    bool is_idle = result->idle_for_ms >= 0;
    result->active = !is_idle || (has_peak && result->idle_for_ms < settings->idle_ms);
    if (!result->active) {
        *peak = (struct policy_peak){0};
        result->replicas = 0;
        result->term = POLICY_BY_IDLE;
        return;
    }
    raise_to(decision, MAX(peak->own, 1), POLICY_BY_BUSY);
    int64_t max = settings->max_replicas > 0 ? settings->max_replicas : INT64_MAX;
    peak->own = MAX(peak->own, MIN(result->replicas, max));
    raise_to(decision, of_peers, POLICY_BY_BUSY);
}

/* ---- the decision ---- */

static bool check_input(const struct policy_decision *decision, struct error *error)
{
    const struct policy_settings *settings = decision->settings;
    const struct reading *reading = &decision->last->reading;
    const char *key = key_of_in_flight(settings);
    if (key != NULL && isnan(reading->in_flight))
        return error_unavailable(error, "%s needs %s, and the source did not report them", key,
                                 in_flight_words);
    return true;
}

static void publish(struct policy_decision *decision)
{
    const struct policy_settings *settings = decision->settings;
    struct policy_result *result = &decision->result;
    if (settings->max_replicas > 0)
        limit_to(decision, settings->max_replicas, POLICY_BY_MAX);
    result->value = (double)result->replicas;
    if (settings->max_replicas > 0 && result->replicas == settings->max_replicas)
        result->value = ceil(at_max * (double)result->replicas);
}

static void describe_rate(struct policy_decision *decision)
{
    const struct flow_rate *rate = &decision->state->rate;
    bool is_measured = decision->settings->rate <= 0 && rate->count > 0;
    decision->result.rate_at_ms = is_measured ? rate->observed_at_ms : -1;
    decision->result.rate_spread = is_measured ? flow_rate_spread(rate) : NAN;
}

bool policy_decide(const struct policy_settings *settings, struct policy_state *state,
                   const struct policy_input *input, struct policy_decision *ret_decision,
                   struct error *error)
{
    if (input->recent->count == 0)
        return error_unavailable(error, "no measurement yet");
    struct policy_decision decision = {
        .settings = settings,
        .state = state,
        .input = input,
        .last = &input->recent->samples[input->recent->count - 1],
        .flow = flow_of(input->recent),
        .by_arrivals = NAN,
        .by_waiting = NAN,
        .by_balance = NAN,
        .result = {.rate = NAN, .idle_for_ms = -1, .term = POLICY_BY_NOTHING},
    };
    double waiting = recent_samples_waiting(&decision.last->reading);
    decision.waiting = isnan(waiting) ? input->value : waiting;
    if (!check_input(&decision, error))
        return false;
    /* What arrives keeps it active: a trickle would start and stop its worker again and again. */
    bool arrives = settings->max_wait_ms > 0 && decision.flow.arrival_rate > 0;
    decision.result.active = input->active || arrives;
    flow_rate_update(&state->rate, input->recent);
    /* In this order: what is needed; at least what is in flight; not more than helps. But replicas
     * that may be busy stay, whatever helps. The maximum comes last. */
    choose_base(&decision);
    raise_by_in_flight(&decision);
    if (isfinite(input->max_useful))
        limit_to(&decision, policy_whole(fmax(input->max_useful, 1)), POLICY_BY_PARTITIONS);
    keep_while_busy(&decision);
    publish(&decision);
    describe_rate(&decision);
    *ret_decision = decision;
    return true;
}
