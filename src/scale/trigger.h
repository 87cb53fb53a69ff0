/*
 * A trigger: one ScaledObjectRef as KEDA sends it, parsed.
 *
 * Threads: one at a time for a table and its triggers (the server's turn lock).
 * Owner: the table (triggers.h). A trigger may be used until the next triggers_expire(), and longer
 * between triggers_pin() and triggers_unpin().
 */
#ifndef BACKLOG_SCALE_TRIGGER_H
#define BACKLOG_SCALE_TRIGGER_H

#include "base/error.h"
#include "base/hash_table.h"
#include "config/credentials.h"
#include "measure/engine.h"
#include "measure/scaler.h"
#include "scale/answer.h"
#include "scale/identity.h"
#include "scale/peer_values.h"
#include "scale/trigger_policy.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What KEDA was answered last about a trigger. */
struct last_answer {
    const char *call; /* static: "GetMetrics"; NULL: nothing yet */
    struct answer answer;
    int64_t at_ms;
};

/* Of a trigger that has no better one. */
#define TRIGGER_INVALID_METRIC "backlog-invalid"

struct trigger {
    uint64_t id; /* they ascend in the order in which triggers came, and are not used again */
    struct identity identity;
    char *name;
    char *namespace;
    const struct scaler *scaler; /* NULL where `scaler:` names none */
    struct option_values *values[OPTION_SCOPES];
    char *metric_name; /* normalised as KEDA does, without s<N>- */
    double target;
    int64_t idle_interval_ms;
    struct answer_rules rules;
    struct error mistakes; /* what GetMetrics and IsActive answer, where it is set */
    char *connection_name; /* in the connections file, or NULL */
    bool lacks_connection; /* that is its only mistake: the file has none for it */
    bool wants_secret;     /* the file has none: its namespace's Secret may */
    bool awaits_secret; /* ... which is not known yet, or its own credentials are not; this is its
                           only mistake */
    bool wants_credentials; /* of its own (scale/connections/own_credentials.h) */
    bool wants_hpa;         /* ... or it needs none, and only what is known of its HPA */
    struct credentials
        *credentials;          /* ... as far as they are known; stay when it is parsed again */
    int64_t doubted_ms;        /* when they were last */
    int64_t doubt_interval_ms; /* ... until they are again, while it fails; 0: it did not */

    struct last_answer last_answer;
    struct last_answer round; /* of GetMetrics: the IsActive that follows it is answered the same */
    struct trigger_policy *policy; /* NULL: none; stays when the trigger is parsed again */
    struct peak_value *peak;       /* of GetMetrics; NULL: only zeros were answered */
    struct peer_value *of_peers;   /* held until it is measured; NULL: they had none */
    uint64_t peers_revision;       /* when it looked for one */
    struct query *query;           /* held from the first call for a value on */
    struct query_user user;        /* ... and named as such */
    bool is_held;             /* it was answered last by what was known before measuring failed */
    struct watcher *watchers; /* utlist (next_owned): of calls that wait, and of streams */
    uint64_t revision;        /* of the connections that it was parsed with */
    int64_t first_call_ms;
    int64_t last_call_ms;
    size_t pins;
    size_t bytes;                    /* of memory, with its query, without: */
    struct shared_values *shared;    /* its connection's values, or NULL */
    struct namespace_budget *budget; /* which it counts for (budget.h) */
    bool holds_inline;               /* its query's connection counts as an inline one */
    struct namespace_secret *secret; /* which it needs, or NULL; utlist */
    struct trigger *next_of_secret, *prev_of_secret;
    struct trigger_object *object; /* objects.h; NULL: in no table */
    UT_hash_handle hh;
    struct trigger *next,
        *prev; /* while it is not pinned: the one without a call for longest first */
    struct trigger *next_of_namespace, *prev_of_namespace; /* so of its namespace */
};

/* As the scaler's hooks want them; only where it has a scaler. */
struct options trigger_options(const struct trigger *trigger);

/* News of the trigger's query, which it may not have yet, or not have any more. */
void trigger_watch(struct trigger *trigger, struct watcher *watcher, bool is_stream);
void trigger_unwatch(struct trigger *trigger, struct watcher *watcher);

/* From now on its policy takes a step with each reading of its query. Where it has none, or no
 * query, nothing happens. */
void trigger_follow(struct trigger *trigger);
void trigger_unfollow(struct trigger *trigger);

/* What a reading means for it: `ret_evaluated` has an evaluation, or the error, which the caller
 * ends. */
void trigger_evaluate(const struct trigger *trigger, const struct reading *reading,
                      struct evaluated *ret_evaluated);

/* What is known of its query and what its policy found, of one moment; both empty, or with what
 * they are for, before. */
void trigger_observe(const struct trigger *trigger, struct snapshot *ret_snapshot,
                     struct trigger_policy_view *ret_view);

/* What was answered and measured says nothing about its source: it has another one now, or is
 * freed. Its policy takes what is known of another source for a new reading, however old it is. */
void trigger_forget_values(struct trigger *trigger);

/* For the page that explains answers. */
void trigger_record_answer(struct trigger *trigger, const char *call, const struct answer *answer,
                           int64_t now_ms);

/*
 * A round of KEDA: GetMetrics and, at most TRIGGER_ROUND_MS later, IsActive, which repeats what
 * that was answered, whatever was measured meanwhile.
 */
enum { TRIGGER_ROUND_MS = 2000 };
void trigger_begin_round(struct trigger *trigger, const struct answer *answer, int64_t now_ms);
const struct answer *trigger_round(const struct trigger *trigger, int64_t now_ms); /* NULL: none */

/* Is this the trigger's metric? KEDA may send it with its s<N>- prefix, or in lower case (2.7
 * to 2.11). */
bool trigger_has_metric(const struct trigger *trigger, const char *metric_name);

#endif
