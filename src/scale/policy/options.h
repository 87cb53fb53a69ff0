/*
 * The options of a policy: rows of the table of the general keys (general.c), and the settings they
 * make.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_SCALE_POLICY_OPTIONS_H
#define BACKLOG_SCALE_POLICY_OPTIONS_H

#include "base/error.h"
#include "config/option.h"
#include "scale/policy/policy.h"

#include <stdbool.h>
#include <stdint.h>

/* As the table parses them; NULL is not set. */
struct policy_options {
    struct policy_settings settings; /* but for those that are text: */
    const char *steps;
    const char *rate;
    const char *shadow; /* no setting of this policy: those of another one */
    bool is_set;        /* one of them that gives a trigger a policy is there, readable or not */
};

/* The row of one option, for a table whose `structure` has the policy's options as its member
 * `base`. */
#define POLICY_OPTION(name, kind, structure, base, member, ...)                                    \
    {.key = (name),                                                                                \
     .scope = OPTION_TARGET,                                                                       \
     .type = (kind),                                                                               \
     .offset = offsetof(structure, base) + offsetof(struct policy_options, member),                \
     __VA_ARGS__}

extern const char *const policy_on_stall_names[];

/* The settings, and every mistake. False: no option is there that gives a trigger a policy
 * (`shadow` changes no answer). */
bool policy_options_compile(const struct policy_options *options,
                            struct policy_settings *ret_settings, struct error *mistakes);

#endif
