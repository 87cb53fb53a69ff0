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

/* As the table parses them; what is 0 or NULL is not set. */
struct policy_options {
    int64_t idle_ms;
    double in_flight_per_replica;
    const char *steps;
    int64_t max_replicas;
    int64_t max_wait_ms;
    const char *rate;
    double utilization;
    int64_t start_ms;
    double consumers_per_replica;
    int on_stall; /* enum policy_on_stall */
    const char *shadow;
    bool is_set; /* one of them that gives a trigger a policy is there, readable or not */
};

/* The rows, for a table whose struct has the options at `offset`. */
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

/* Is it one of a policy's keys? `shadow` is not: it has no shadow of its own. */
bool policy_options_has(const char *key);

/* Does this entry alone give a trigger a policy? Also with a value that cannot be read: the target
 * must not change when it is corrected. */
bool policy_options_decides(const char *key, const char *value);

#endif
