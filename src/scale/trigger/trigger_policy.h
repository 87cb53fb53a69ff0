/*
 * The policy of one trigger in two variants: the one that is in effect, and other settings that are
 * computed for comparison (`shadow`). What each knows, and what it decided last.
 *
 * It follows the trigger's query, and decides once at each reading, when that arrives. While it
 * does, nothing else changes what it decided: who calls or reads gets a copy of it.
 *
 * Threads: while it follows a query (follower.query), its decisions and copies are under the lock
 * of the query's connection (follower.h), and the rest of it is constant. Otherwise, and for the
 * sums, as the trigger's: under the turn lock. Owner: the trigger.
 */
#ifndef BACKLOG_SCALE_TRIGGER_TRIGGER_POLICY_H
#define BACKLOG_SCALE_TRIGGER_TRIGGER_POLICY_H

#include "base/text.h"
#include "measure/engine.h"
#include "scale/answer/answer.h"
#include "scale/policy/policy.h"

enum { TRIGGER_POLICY_CHANGES = 120 };

/* What was decided at this moment, and from then on. */
struct trigger_policy_change {
    int64_t at_ms;
    bool has_decided; /* false: the reading lacked what the settings need */
    enum flow_status status;
    enum policy_term term;
    double value;
    int32_t replicas;
    bool active;
};

/* What parsing finds of a policy in the metadata. */
struct trigger_policy_plan {
    /* KEDA gets what the effective one decides, where that is on; what the shadow does, never. */
    struct trigger_policy_variant {
        bool is_on;
        struct policy_settings settings;
    } effective, shadow;
    struct policy_basis basis; /* its threshold is not the target of the answers */
};

/* What one variant learned from readings. */
struct trigger_policy_learned {
    struct policy_state state;
    bool has_decided; /* by the last reading that could be evaluated: it had what is needed */
    struct policy_result result; /* of the last decision; {0}: there was none */
    struct text words;           /* the same as a sentence; empty where it has not decided */
};

/* Sums over the triggers with a policy, by what each was answered last. Replicas are those of its
 * last decision: while measuring or deciding fails, no other has been chosen. */
struct trigger_policy_stats {
    size_t statuses[FLOW_STATUSES]; /* of their consumers */
    int64_t replicas;               /* that policies answered */
    int64_t shadow_replicas;        /* that other settings would have */
};

struct trigger_policy {
    struct trigger_policy_plan plan; /* as the trigger was parsed last; the rest stays */
    struct follower follower;        /* its context is the trigger */
    struct trigger_policy_learned effective, shadow;
    struct evaluation_result evaluated; /* the last reading, by the policy where it is on */
    int64_t logged_at_ms;               /* the last line about it; 0: none yet */
    int64_t logged_replicas;
    struct trigger_policy_change *changes; /* of what was answered: a ring of the last ones */
    size_t change_count;                   /* in all */
    struct trigger_policy_stats *stats;    /* borrowed; NULL: it is in none */
    struct answer_policy counted;          /* its part of the stats */
};

struct policy_options;

/* Whose it is, for the log. */
struct trigger_policy_owner {
    const char *namespace;
    const char *name;
};

/* The plan with the settings that the options have; NULL: they have neither a policy nor a shadow.
 * The caller frees it, and sets the basis. Adds every mistake. */
struct trigger_policy_plan *trigger_policy_plan_new(const struct policy_options *options,
                                                    struct error *mistakes);

/* Adds as mistakes what the settings need and the scaler does not report with these options. */
void trigger_policy_plan_check(const struct trigger_policy_plan *plan, const struct scaler *scaler,
                               const struct options *options, struct error *mistakes);

/* The policy has this plan from now on, and keeps what it learned; it is made where there is none.
 * NULL: nothing happens, since the metadata has no policy however often it is parsed. */
void trigger_policy_apply(struct trigger_policy **policy, const struct trigger_policy_plan *plan);
void trigger_policy_free(struct trigger_policy *policy); /* NULL is nothing */

/* KEDA gets what it decides: it is not there for its shadow alone. */
bool trigger_policy_is_on(const struct trigger_policy *policy); /* NULL is none */

/* What the policy has its query measure: bits of enum reading_want. */
unsigned trigger_policy_wants(const struct trigger_policy *policy);

/* Decides by a new reading, which is the last sample, as the scaler evaluated it. Takes the error.
 */
void trigger_policy_decide(struct trigger_policy *policy, const struct trigger_policy_owner *owner,
                           const struct recent_samples *recent,
                           struct evaluation_result *evaluated);

/* Others (policy.h) wanted so many replicas: at least these are wanted while each is younger than
 * the trigger's hold, or until the source is idle. The policy follows no query meanwhile, as its
 * decisions change them. */
void trigger_policy_add_peaks(struct trigger_policy *policy, const struct policy_peaks *peaks,
                              int64_t now_ms);

/* It follows another source now. What the former one's readings led to decides nothing there: no
 * level of `steps`, no objective, rate or status. But the peak of scaleDownWhenIdle stays, as jobs
 * of the former source may still run: its idle time begins with the last reading of that. It
 * follows no query meanwhile. */
void trigger_policy_forget(struct trigger_policy *policy);

struct trigger_policy_variant_copy {
    bool has_decided; /* it is on, and the readings had what it needs */
    struct policy_result result;
    struct text words; /* TRIGGER_COPY_WORDS */
};

/* What a copy has only for some: people want words, the past wants changes, which are many to copy
 * under the lock. */
enum trigger_copy_extras { TRIGGER_COPY_WORDS = 1 << 0, TRIGGER_COPY_CHANGES = 1 << 1 };

/* A copy of what it found, for who answers and for people. */
struct trigger_policy_copy {
    struct evaluation_result evaluated;
    struct trigger_policy_variant_copy effective, shadow;
    struct answer_policy found;            /* with the status of its consumers */
    struct policy_peak peak;               /* of the effective one */
    struct trigger_policy_change *changes; /* TRIGGER_COPY_CHANGES: the oldest first */
    size_t change_count;
};

/* Fills the copy, which was empty ({0}); `extras` are of enum trigger_copy_extras. The caller ends
 * it with trigger_policy_copy_done(). */
void trigger_policy_copy(const struct trigger_policy *policy, unsigned extras,
                         struct trigger_policy_copy *copy);
void trigger_policy_copy_done(struct trigger_policy_copy *copy);

/* Adds its part to the stats, at first with consumers of unknown status, and takes it out. */
void trigger_policy_join(struct trigger_policy *policy, struct trigger_policy_stats *stats);
void trigger_policy_leave(struct trigger_policy *policy);

/* What it found last. */
struct answer_policy trigger_policy_found(const struct trigger_policy *policy);

/* The trigger was answered when its policy had found this. While measuring fails nobody knows what
 * its consumers do: `is_known` is false then. */
void trigger_policy_count(struct trigger_policy *policy, const struct answer_policy *found,
                          bool is_known);

/* The decision that held at that moment; NULL: it is not known, or not any more. */
const struct trigger_policy_change *trigger_policy_at(const struct trigger_policy_copy *copy,
                                                      int64_t at_ms);

#endif
