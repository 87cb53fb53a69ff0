/*
 * The options of a policy: from the keys of a trigger to the settings that policy.h decides by.
 *
 * A key of a policy is at three places: its field is in struct policy_settings (policy.h), or here
 * if it is a text; its row, with the limits and the documentation, in the table of all general keys
 * (metadata/general.c); and what no row can say is in policy_options.c: texts, rules across keys,
 * and what the source must report.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_SCALE_POLICY_POLICY_OPTIONS_H
#define BACKLOG_SCALE_POLICY_POLICY_OPTIONS_H

#include "base/error.h"
#include "config/option.h"
#include "measure/scaler.h"
#include "scale/policy/policy.h"

#include <stdbool.h>
#include <stdint.h>

/* As the table parses them; NULL is not set. */
struct policy_options {
    struct policy_settings settings; /* but for those that are text: */
    const char *steps;
    const char *rate;
    bool is_set; /* one of them that gives a trigger a policy is there, readable or not */
};

/* Makes the settings of the options, and adds every mistake. False: no option is there that gives a
 * trigger a policy. */
bool policy_options_compile(const struct policy_options *options,
                            struct policy_settings *ret_settings, struct error *mistakes);

/* Adds as mistakes what the settings need and the scaler does not report with these options
 * (scaler.reports()). */
void policy_options_check_source(const struct policy_settings *settings,
                                 const struct scaler *scaler, const struct options *options,
                                 struct error *mistakes);

#endif
