/*
 * The policy of one trigger: what it knows, and what it decided last.
 *
 * It follows the trigger's query, and decides once at each reading, when that arrives. While it
 * does, nothing else changes what it decided: who calls or reads gets a copy of it.
 *
 * Threads: while it follows a query (follower.query), its decisions and copies are under the lock
 * of the query's connection (follower.h), and the rest of it is constant. Otherwise as the
 * trigger's: under the turn lock. Owner: the trigger.
 */
#ifndef BACKLOG_SCALE_TRIGGER_TRIGGER_POLICY_H
#define BACKLOG_SCALE_TRIGGER_TRIGGER_POLICY_H

#include "base/text.h"
#include "measure/engine.h"
#include "scale/answer/answer.h"
#include "scale/policy/policy.h"

/* What parsing finds of a policy in the metadata. */
struct trigger_policy_plan {
    struct policy_settings settings;
    struct policy_basis basis; /* its threshold is not the target of the answers */
};

struct trigger_policy {
    struct trigger_policy_plan plan; /* as the trigger was parsed last; the rest stays */
    struct follower follower;        /* its context is the trigger */
    struct policy_state state;       /* what it learned from readings */
    bool has_decided; /* by the last reading that could be evaluated: it had what is needed */
    struct policy_result result;        /* of the last decision; {0}: there was none */
    struct text words;                  /* the same as a sentence; empty where it has not decided */
    struct evaluation_result evaluated; /* the last reading, by the policy */
    int64_t logged_at_ms;               /* the last line about it; 0: none yet */
    int64_t logged_replicas;
};

struct policy_options;

/* Whose it is, for the log. */
struct trigger_policy_owner {
    const char *namespace;
    const char *name;
};

/* The plan with the settings that the options have; NULL: they have no policy. The caller frees it,
 * and sets the basis. Adds every mistake. */
struct trigger_policy_plan *trigger_policy_plan_new(const struct policy_options *options,
                                                    struct error *mistakes);

/* Adds as mistakes what the settings need and the scaler does not report with these options. */
void trigger_policy_plan_check(const struct trigger_policy_plan *plan, const struct scaler *scaler,
                               const struct options *options, struct error *mistakes);

/* The policy has this plan from now on, and keeps what it learned; it is made where there is none.
 * NULL: nothing happens, since the metadata has no policy however often it is parsed. */
void trigger_policy_apply(struct trigger_policy **policy, const struct trigger_policy_plan *plan);
void trigger_policy_free(struct trigger_policy *policy); /* NULL is nothing */

/* What the policy has its query measure: bits of enum reading_want; 0: NULL. */
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
 * level of `steps`, no objective and no rate. But the peak of scaleDownWhenIdle stays, as jobs
 * of the former source may still run: its idle time begins with the last reading of that. It
 * follows no query meanwhile. */
void trigger_policy_forget(struct trigger_policy *policy);

/* A copy of what it found, for who answers and for people. */
struct trigger_policy_copy {
    struct evaluation_result evaluated;
    bool has_decided; /* the readings had what it needs */
    struct policy_result result;
    struct text words;       /* only for people */
    struct policy_peak peak; /* of scaleDownWhenIdle */
};

/* Fills the copy, which was empty ({0}). The caller ends it with trigger_policy_copy_done(). */
void trigger_policy_copy(const struct trigger_policy *policy, bool with_words,
                         struct trigger_policy_copy *copy);
void trigger_policy_copy_done(struct trigger_policy_copy *copy);

#endif
