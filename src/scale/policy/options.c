#include "scale/policy/options.h"

#include "base/memory.h"
#include "base/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const policy_on_stall_names[] = {"scale", "hold", NULL};

/* Whether a key gives the trigger a policy by itself, or only says how. burstThreshold and
 * burstReplicas are refused (general_table): the target must not change when they become steps. */
static const struct {
    const char *key;
    bool decides;
} keys[] = {
    {"scaleDownWhenIdle", true},
    {"inFlightPerReplica", true},
    {"burstThreshold", true},
    {"burstReplicas", true},
    {"steps", true},
    {"maxReplicaCount", true},
    {"maxWait", true},
    {"ratePerReplica", true},
    {"utilization", false},
    {"startTime", false},
    {"onStall", true},
    {"consumersPerReplica", false},
};

bool policy_options_has(const char *key)
{
    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++)
        if (text_equal(key, keys[i].key))
            return true;
    return false;
}

bool policy_options_decides(const char *key, const char *value)
{
    _cleanup_(memory_free) char *trimmed = text_trimmed(value);
    bool changes_nothing = text_equal(key, "onStall") &&
                           text_equal(trimmed, policy_on_stall_names[POLICY_STALL_SCALE]);
    if (*trimmed == '\0' || changes_nothing)
        return false;
    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++)
        if (text_equal(key, keys[i].key))
            return keys[i].decides;
    return false;
}

/* ---- steps ---- */

/* Reads "WAITING=REPLICAS". */
static bool read_step(const char *piece, struct policy_step *ret_step)
{
    char *end = NULL;
    ret_step->waiting = strtod(piece, &end);
    if (end == piece || *end != '=' || !isfinite(ret_step->waiting) || ret_step->waiting <= 0)
        return false;
    const char *replicas = end + 1;
    ret_step->replicas = strtoll(replicas, &end, 10);
    return end != replicas && *end == '\0' && ret_step->replicas > 0 &&
           ret_step->replicas <= POLICY_MAX_REPLICAS;
}

static bool ascends(const struct policy_settings *settings, const struct policy_step *step)
{
    if (settings->step_count == 0)
        return true;
    const struct policy_step *last = &settings->steps[settings->step_count - 1];
    return step->waiting > last->waiting && step->replicas > last->replicas;
}

static void read_steps(const char *text, struct policy_settings *settings, struct error *mistakes)
{
    _cleanup_(memory_free) char *copy = text_copy(text);
    char *rest = copy;
    for (char *piece = strsep(&rest, ","); piece != NULL; piece = strsep(&rest, ",")) {
        _cleanup_(memory_free) char *trimmed = text_trimmed(piece);
        struct policy_step step;
        if (settings->step_count == POLICY_MAX_STEPS) {
            error_add(mistakes, "steps has more than %d levels", POLICY_MAX_STEPS);
            return;
        }
        if (!read_step(trimmed, &step) || !ascends(settings, &step)) {
            error_add(mistakes,
                      "steps \"%.*s\" must be levels of WAITING=REPLICAS that ascend in both, such "
                      "as 1=1,10=2,100=5",
                      (int)text_cut(text, 64), text);
            return;
        }
        settings->steps[settings->step_count++] = step;
    }
}

/* ---- the others ---- */

static void read_rate(const char *text, struct policy_settings *settings, struct error *mistakes)
{
    char *end = NULL;
    if (text_equal(text, "measured"))
        return;
    settings->rate = strtod(text, &end);
    if (end == text || *end != '\0' || !(settings->rate > 0) || !isfinite(settings->rate)) {
        settings->rate = 0;
        error_add(mistakes,
                  "ratePerReplica \"%.*s\" must be how many messages one replica works off per "
                  "second, such as 10 or 0.05, or \"measured\"",
                  (int)text_cut(text, 64), text);
    }
}

static void check_together(const struct policy_options *options, struct error *mistakes)
{
    if (options->max_wait_ms > 0 && options->rate == NULL)
        error_add(mistakes, "maxWait needs ratePerReplica: how many messages one replica works off "
                            "per second, or \"measured\"");
    if (options->max_wait_ms == 0 && options->rate != NULL)
        error_add(mistakes, "ratePerReplica needs maxWait: how long a message may wait");
    if (options->max_wait_ms > 0 && options->start_ms >= options->max_wait_ms)
        error_add(mistakes,
                  "startTime (%g s) must be shorter than maxWait (%g s): no replica starts in time",
                  (double)options->start_ms / 1000, (double)options->max_wait_ms / 1000);
}

bool policy_options_compile(const struct policy_options *options,
                            struct policy_settings *ret_settings, struct error *mistakes)
{
    struct policy_settings settings = policy_no_settings();
    settings.idle_ms = options->idle_ms > 0 ? options->idle_ms : POLICY_NEVER;
    settings.in_flight_per_replica = options->in_flight_per_replica;
    settings.max_replicas = options->max_replicas;
    settings.max_wait_ms = options->max_wait_ms;
    settings.utilization = options->utilization;
    settings.start_ms = options->start_ms;
    settings.consumers_per_replica = options->consumers_per_replica;
    settings.on_stall = (enum policy_on_stall)options->on_stall;
    check_together(options, mistakes);
    if (options->steps != NULL)
        read_steps(options->steps, &settings, mistakes);
    if (options->rate != NULL)
        read_rate(options->rate, &settings, mistakes);
    *ret_settings = settings;
    return options->is_set;
}
