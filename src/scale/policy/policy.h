/*
 * A policy: how many replicas, from the last readings of a query and the settings of a trigger, and
 * why.
 *
 * Without any of these settings a trigger has no policy, and is answered value and threshold as
 * KEDA's scaler would. With one it is answered whole replicas at a target of 1, so that the HPA
 * only has to carry them out.
 *
 * Threads: any; pure. The state belongs to the trigger.
 */
#ifndef BACKLOG_SCALE_POLICY_POLICY_H
#define BACKLOG_SCALE_POLICY_POLICY_H

#include "base/error.h"
#include "measure/history.h"
#include "scale/policy/flow.h"
#include "scale/policy/peaks.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { POLICY_MAX_LEVELS = 32, POLICY_MAX_REPLICAS = 1000 * 1000, POLICY_MAX_PEAKS = 8 };

struct policy_level {
    double waiting;   /* it begins with so many messages */
    int64_t replicas; /* how many it asks for */
};

/* 0 is not set. */
struct policy_settings {
    int64_t idle_ms; /* scaleDownWhenIdle */
    double in_flight_per_replica;
    struct policy_level levels[POLICY_MAX_LEVELS];
    size_t level_count;
    int64_t max_replicas; /* maxReplicaCount */
    int64_t max_wait_ms;  /* the objective */
    double rate;          /* ratePerReplica; 0: measured */
    double utilization;
    int64_t start_ms;
    double consumers_per_replica;
};

/* The replicas rounded up, from 0 to POLICY_MAX_REPLICAS. */
int64_t policy_whole(double replicas);

/* What settings may need of a reading besides what the scaler counts. */
struct policy_need {
    enum reading_want want;
    const char *what;
    const char *advice; /* where the source does not report it; NULL: the scaler knows better */
    /* The key that needs it; NULL: none does. */
    const char *(*key)(const struct policy_settings *settings);
};

/* One for each enum reading_want. */
extern const struct policy_need policy_need_rows[READING_WANTS];

/* What must be known: bits of enum reading_want. */
unsigned policy_needs(const struct policy_settings *settings);

/* scaleDownWhenIdle: since when the source has been idle. */
struct policy_idle {
    bool has_begun; /* a decision was made: what was at work at the first one is in the peak */
    /* The sample since which nothing waited and nothing was in flight, and later by what nobody saw
     * in between (recent_samples_unseen_ms()); 0: busy. */
    int64_t since_ms;
    /* The samples until here are in it. They may be of a former source, and the first one of the
     * new source older. */
    int64_t folded_until_ms;
};

/* Replicas that were asked for, and when so many were last: of clock_now_ms(), as in peaks.h. */
struct policy_peaks {
    size_t count;
    struct peak items[POLICY_MAX_PEAKS];
};

/*
 * scaleDownWhenIdle: the replicas that may be busy, and stay until the source is idle. A decision
 * takes these steps. `own` only rises but where all end. `of_peers` is the largest of its list that
 * is younger than the trigger's `hold`: those who asked for it may have been wrong.
 *
 *     there may be workers of which nobody here knows     own rises to those at work
 *     idle for scaleDownWhenIdle, or idle and both are 0  both end, and the replicas are 0: end
 *     otherwise (busy, or idle for less)                  the replicas rise to own, 1 at least;
 *                                                         own rises to the replicas;
 *                                                         the replicas rise to of_peers, which is
 *                                                         no request of this one, and ends
 *
 * From outside, other replicas of the server add to of_peers (trigger_policy_add_peaks()); and
 * where the source changes both stay (trigger_policy_forget()): the workers may still be busy.
 */
struct policy_peak {
    int64_t own;                  /* the most that was asked for since it was idle */
    struct policy_peaks of_peers; /* other replicas of the server, or triggers of the object */
};

/* maxWait: the replicas that it asked for, which become fewer only when fewer have been needed for
 * a while. */
struct policy_objective {
    int64_t replicas;
    int64_t at_ms;          /* the sample that they are of; 0: none */
    int64_t lower_since_ms; /* since when it has needed fewer; 0: it does not */
    double max_lower;       /* the most that it has needed since lower_since_ms */
};

/* What is kept of a trigger between two decisions. Start from {0}. */
struct policy_state {
    struct policy_idle idle;
    struct policy_peak peak;
    size_t level;          /* steps: the one that it is on, from 1 on; 0: none */
    struct flow_rate rate; /* ratePerReplica: measured */
    struct policy_objective objective;
};

/* What a policy has to know of its trigger besides the settings; the same for each reading. */
struct policy_basis {
    double threshold;   /* the scaler's target per replica */
    bool has_threshold; /* the user set it: with levels the larger number counts, without it the
                           levels alone */
    int64_t hold_ms;    /* as struct answer_rules has it */
};

struct policy_input {
    struct policy_basis basis;
    const struct recent_samples *recent; /* its last sample is what the value is of */
    double value;                        /* as the scaler evaluated it */
    bool active;
    double max_useful; /* replicas: beyond it they have nothing to do (partitions); below 1: as 1;
                          INFINITY: no limit */
};

/* Which term bound the replicas. */
enum policy_term {
    POLICY_BY_THRESHOLD,
    POLICY_BY_ARRIVALS,
    POLICY_BY_WAITING,
    POLICY_BY_LEVEL,
    POLICY_BY_IN_FLIGHT,
    POLICY_BY_BUSY, /* scaleDownWhenIdle */
    POLICY_BY_IDLE, /* it is over */
    POLICY_BY_PARTITIONS,
    POLICY_BY_MAX,
    POLICY_BY_NOTHING,
    POLICY_TERMS,
};

const char *policy_term_text(enum policy_term term); /* "arrivals", in JSON and CSV */

struct policy_result {
    int64_t replicas;
    /* At a target of 1; at maxReplicaCount a fifth more, so that the HPA gets there. */
    double value;
    bool active;
    enum policy_term term;
    double rate;         /* of a replica: given or measured; NAN: not known (yet) */
    double rate_spread;  /* of a measured one */
    int64_t rate_at_ms;  /* when a measured one was; -1: not measured */
    int64_t idle_for_ms; /* with scaleDownWhenIdle: for how long; -1: busy */
};

/* A decision, and what it was made from: for those who make it and who say it (policy_words.h). */
struct policy_decision {
    const struct policy_settings *settings;
    struct policy_state *state;
    const struct policy_input *input;
    const struct history_sample *last;
    struct flow flow;
    double waiting;
    bool has_ratio;       /* the threshold or the objective counts; else the levels alone */
    bool meets_objective; /* ... and it is the objective, whose terms are known */

    /* Replicas that the objective needs; NAN: there is none, or it is not known. */
    double by_arrivals; /* for what arrives */
    double by_waiting;  /* for what waits: all of it is to start within maxWait */
    double by_balance;  /* for what arrives, and more or fewer while more or less than
                           balanced_waiting waits */

    double balanced_waiting; /* the messages that may wait all the time */
    bool is_smoothed;        /* the replicas are more than needed, as more were needed just now */
    struct policy_result result;
};

/* Decides by the last sample: it is called once for each, in their order. Fails where the readings
 * lack what the settings need. The decision points to what was handed in. */
bool policy_decide(const struct policy_settings *settings, struct policy_state *state,
                   const struct policy_input *input, struct policy_decision *ret_decision,
                   struct error *error);

#endif
