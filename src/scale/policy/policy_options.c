#include "scale/policy/policy_options.h"

#include "base/memory.h"
#include "base/text.h"
#include "config/option.h"
#include "config/value.h"

#include <string.h>

/* Numbers are written as in all other keys. */
static bool read_number(const char *text, double *ret_number)
{
    static const struct option row = {.type = OPTION_FLOAT};
    _cleanup_(error_done) struct error ignored = {0};
    return value_parse(&row, text, ret_number, &ignored) && *ret_number > 0;
}

/* ---- steps ---- */

/* Reads "WAITING=REPLICAS", and changes it. */
static bool read_level(char *piece, struct policy_level *ret_level)
{
    static const struct option row = {.type = OPTION_INT, .limits = {1, POLICY_MAX_REPLICAS}};
    _cleanup_(error_done) struct error ignored = {0};
    char *rest = piece;
    _cleanup_(memory_free) char *waiting = text_trimmed(strsep(&rest, "="));
    _cleanup_(memory_free) char *replicas = text_trimmed(rest == NULL ? "" : rest);
    return read_number(waiting, &ret_level->waiting) &&
           value_parse(&row, replicas, &ret_level->replicas, &ignored);
}

static bool ascends(const struct policy_settings *settings, const struct policy_level *level)
{
    if (settings->level_count == 0)
        return true;
    const struct policy_level *last = &settings->levels[settings->level_count - 1];
    return level->waiting > last->waiting && level->replicas > last->replicas;
}

static void read_levels(const char *text, struct policy_settings *settings, struct error *mistakes)
{
    _cleanup_(memory_free) char *copy = text_copy(text);
    char *rest = copy;
    for (char *piece = strsep(&rest, ","); piece != NULL; piece = strsep(&rest, ",")) {
        _cleanup_(memory_free) char *trimmed = text_trimmed(piece);
        struct policy_level level;
        if (settings->level_count == POLICY_MAX_LEVELS) {
            error_add(mistakes, "steps has more than %d levels", POLICY_MAX_LEVELS);
            return;
        }
        if (!read_level(trimmed, &level) || !ascends(settings, &level)) {
            error_add(mistakes,
                      "steps \"%.*s\" must be levels of WAITING=REPLICAS that ascend in both, such "
                      "as 1=1,10=2,100=5",
                      (int)text_cut(text, 64), text);
            return;
        }
        settings->levels[settings->level_count++] = level;
    }
}

/* ---- the others ---- */

static void read_rate(const char *text, struct policy_settings *settings, struct error *mistakes)
{
    if (text_equal(text, "measured"))
        return;
    if (!read_number(text, &settings->rate)) {
        settings->rate = 0;
        error_add(mistakes,
                  "ratePerReplica \"%.*s\" must be how many messages one replica works off per "
                  "second, such as 10 or 0.05, or \"measured\"",
                  (int)text_cut(text, 64), text);
    }
}

static void check_together(const struct policy_options *options, struct error *mistakes)
{
    const struct policy_settings *settings = &options->settings;
    if (settings->max_wait_ms > 0 && options->rate == NULL)
        error_add(mistakes, "maxWait needs ratePerReplica: how many messages one replica works off "
                            "per second, or \"measured\"");
    if (settings->max_wait_ms == 0 && options->rate != NULL)
        error_add(mistakes, "ratePerReplica needs maxWait: how long a message may wait");
    if (settings->max_wait_ms > 0 && settings->start_ms >= settings->max_wait_ms)
        error_add(mistakes,
                  "startTime (%g s) must be shorter than maxWait (%g s): no replica starts in time",
                  (double)settings->start_ms / 1000, (double)settings->max_wait_ms / 1000);
}

bool policy_options_compile(const struct policy_options *options,
                            struct policy_settings *ret_settings, struct error *mistakes)
{
    struct policy_settings settings = options->settings;
    check_together(options, mistakes);
    if (options->steps != NULL)
        read_levels(options->steps, &settings, mistakes);
    if (options->rate != NULL)
        read_rate(options->rate, &settings, mistakes);
    *ret_settings = settings;
    return options->is_set;
}

/* ---- the source ---- */

void policy_options_check_source(const struct policy_settings *settings,
                                 const struct scaler *scaler, const struct options *options,
                                 struct error *mistakes)
{
    const char *advice = NULL;
    unsigned reports = scaler->reports == NULL ? 0 : scaler->reports(options, &advice);
    unsigned missing = policy_needs(settings) & ~reports;
    if (missing & READING_WANT_RATES) /* without them the consumers would be of no use */
        missing &= ~READING_WANT_CONSUMERS;
    for (size_t i = 0; i < READING_WANTS; i++) {
        const struct policy_need *need = &policy_need_rows[i];
        const char *help = need->advice != NULL ? need->advice : advice;
        if (missing & need->want)
            error_add(mistakes, "%s needs %s, which %s does not report here%s%s",
                      need->key(settings), need->what, scaler->name, help == NULL ? "" : ": ",
                      help == NULL ? "" : help);
    }
}
