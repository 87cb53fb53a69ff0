#include "scale/policy/policy_words.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* 6,900; 12.5; 0.35 */
static void add_number(struct text *words, double number)
{
    char digits[64];
    double size = fabs(number);
    bool is_whole = size == floor(size);
    if (!is_whole && size < 10) {
        text_addf(words, "%.2g", number);
        return;
    }
    if (!is_whole && round(size * 10) < 1000) {
        text_addf(words, "%.1f", number);
        return;
    }
    snprintf(digits, sizeof(digits), "%.0f", size);
    size_t length = strlen(digits);
    text_add(words, number < 0 ? "-" : "");
    for (size_t i = 0; i < length; i++)
        text_addf(words, "%s%c", i > 0 && (length - i) % 3 == 0 ? "," : "", digits[i]);
}

static void add_objective(const struct policy_decision *decision, struct text *words)
{
    const struct policy_settings *settings = decision->settings;
    add_number(words, decision->waiting);
    text_addf(words, " waiting need %" PRId64 " to start within %g s at ",
              policy_whole(decision->by_waiting), (double)settings->max_wait_ms / 1000);
    add_number(words, decision->result.rate);
    text_add(words, "/s each");
    if (isnan(decision->by_arrivals)) {
        bool is_as_before =
            decision->state->objective.replicas >= policy_whole(decision->by_waiting);
        text_addf(words, "; %sthe rate of arrivals is not known yet",
                  is_as_before ? "as before the outage: " : "");
        return;
    }
    text_add(words, "; ");
    add_number(words, decision->flow.arrival_rate);
    int64_t arrivals = policy_whole(decision->by_arrivals);
    int64_t balance = policy_whole(decision->by_balance);
    text_addf(words, "/s arriving need %" PRId64, arrivals);
    if (balance != arrivals) {
        text_addf(words, ", %" PRId64 " while %s than ", balance,
                  balance < arrivals ? "fewer" : "more");
        add_number(words, ceil(decision->balanced_waiting));
        text_add(words, " wait");
    }
    if (decision->is_smoothed)
        text_add(words, "; more were needed within the last minute");
}

static void add_threshold(const struct policy_decision *decision, struct text *words)
{
    add_number(words, decision->input->value);
    text_add(words, " at a threshold of ");
    add_number(words, decision->input->basis.threshold);
    if (decision->settings->max_wait_ms == 0)
        return;
    if (decision->result.rate > 0)
        text_add(words, ": the rate of arrivals is not known yet");
    else if (isnan(decision->last->reading.consumers))
        text_add(words, ": the source reports no consumers, so what a replica does per second is "
                        "not known: set ratePerReplica to a number");
    else
        text_add(words, ": what a replica does per second is not known yet");
}

/* The level that it is on, as the user wrote it: what waits may be of a lower one. */
static void add_level(const struct policy_decision *decision, struct text *words)
{
    const struct policy_settings *settings = decision->settings;
    size_t level = decision->state->level;
    const struct policy_level *on = &settings->levels[level == 0 ? 0 : level - 1];
    text_addf(words, "%slevel %zu of %zu (%.15g=%" PRId64 ")", level == 0 ? "below " : "",
              level == 0 ? 1 : level, settings->level_count, on->waiting, on->replicas);
}

static void add_until_left(const struct policy_decision *decision, struct text *words)
{
    const struct policy_level *levels = decision->settings->levels;
    size_t level = decision->state->level;
    if (level == 0 || decision->waiting >= levels[level - 1].waiting)
        return;
    if (level == 1)
        text_add(words, ", until none wait");
    else
        text_addf(words, ", until fewer than %.15g wait", levels[level - 2].waiting);
}

/* The term that decided before limits and floors. */
static void add_base(const struct policy_decision *decision, struct text *words)
{
    if (!decision->has_ratio) {
        add_number(words, decision->waiting);
        text_add(words, " waiting, ");
        add_level(decision, words);
        add_until_left(decision, words);
    } else if (decision->meets_objective)
        add_objective(decision, words);
    else
        add_threshold(decision, words);
}

static void add_partitions(double useful, struct text *words)
{
    text_addf(words, "; only %g replica%s can have a partition", useful, useful > 1 ? "s" : "");
}

static void add_bound(const struct policy_decision *decision, struct text *words)
{
    const struct policy_settings *settings = decision->settings;
    const struct policy_result *result = &decision->result;
    double in_flight = decision->last->reading.in_flight;
    switch (result->term) {
    case POLICY_BY_LEVEL:
        if (!decision->has_ratio)
            break;
        text_add(words, "; ");
        add_level(decision, words);
        text_addf(words, " has at least %" PRId64, result->replicas);
        add_until_left(decision, words);
        break;
    case POLICY_BY_IN_FLIGHT:
        text_addf(words, "; %g in flight are %g per replica", in_flight,
                  settings->in_flight_per_replica);
        break;
    case POLICY_BY_BUSY:
        text_addf(words, "; as many as ever since it was idle");
        break;
    case POLICY_BY_IDLE:
        text_addf(words, "; nothing waiting or in flight for %g s",
                  (double)result->idle_for_ms / 1000);
        break;
    case POLICY_BY_PARTITIONS:
        add_partitions(fmax(decision->input->max_useful, 1), words);
        break;
    case POLICY_BY_MAX:
        text_addf(words, "; maxReplicaCount is %" PRId64, settings->max_replicas);
        break;
    case POLICY_BY_THRESHOLD: /* add_base() has said it */
    case POLICY_BY_ARRIVALS:
    case POLICY_BY_WAITING:
    case POLICY_BY_NOTHING:
    case POLICY_TERMS:
        break;
    }
    if (settings->idle_ms > 0 && result->active && result->idle_for_ms >= 0)
        text_addf(words, "; idle for %g of %g s", (double)result->idle_for_ms / 1000,
                  (double)settings->idle_ms / 1000);
}

void policy_words_add(const struct policy_decision *decision, struct text *words)
{
    int64_t replicas = decision->result.replicas;
    text_addf(words, "%" PRId64 " replica%s: ", replicas, replicas == 1 ? "" : "s");
    add_base(decision, words);
    add_bound(decision, words);
}
