/*
 * A trigger: one ScaledObjectRef as KEDA sends it, parsed.
 *
 * Threads: one at a time for a table and its triggers (the server's turn lock).
 * Owner: the table (triggers.h). A trigger may be used until the next triggers_expire(), and longer between
 * trigger_pin() and trigger_unpin().
 */
#ifndef BACKLOG_SCALE_TRIGGER_H
#define BACKLOG_SCALE_TRIGGER_H

#include "base/error.h"
#include "measure/engine.h"
#include "measure/scaler.h"
#include "scale/answer.h"
#include "scale/identity.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

/* What KEDA was answered last about a trigger. */
struct last_answer {
    const char *call; /* static: "GetMetrics"; NULL: nothing yet */
    struct answer answer;
    int64_t at_ms;
};

struct trigger {
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

    struct last_answer last_answer;
    struct last_answer round; /* of GetMetrics: the IsActive that follows it is answered the same */
    struct query *query;      /* held from the first call for a value on */
    struct watcher *watchers; /* utlist (next_owned): of calls that wait, and of streams */
    uint64_t revision;        /* of the connections that it was parsed with */
    int64_t last_call_ms;
    size_t pins;
    UT_hash_handle hh;
    struct trigger *next, *prev; /* the one that nobody has asked for longest first */
};

/* A pinned trigger is not dropped. */
void trigger_pin(struct trigger *trigger);
void trigger_unpin(struct trigger *trigger);

/* As the scaler's hooks want them; only where it has a scaler. */
struct options trigger_options(const struct trigger *trigger);

/* News of the trigger's query, which it may not have yet, or not have any more. */
void trigger_watch(struct trigger *trigger, struct watcher *watcher, bool is_stream);
void trigger_unwatch(struct trigger *trigger, struct watcher *watcher);

/* What to answer now; trigger_query() came before. */
void trigger_answer(const struct trigger *trigger, const struct answer_call *call, int64_t now_ms,
                    struct answer *ret_answer);

/* For people who ask why. */
void trigger_record_answer(struct trigger *trigger, const char *call, const struct answer *answer,
                           int64_t now_ms);

/*
 * A round of KEDA: GetMetrics and, at most TRIGGER_ROUND_MS later, IsActive, which repeats what that was
 * answered, whatever was measured meanwhile.
 */
enum { TRIGGER_ROUND_MS = 2000 };
void trigger_begin_round(struct trigger *trigger, const struct answer *answer, int64_t now_ms);
const struct answer *trigger_round(const struct trigger *trigger, int64_t now_ms); /* NULL: none */

/* Is this the trigger's metric? KEDA may ask with its s<N>- prefix, or in lower case (2.7 to 2.11). */
bool trigger_has_metric(const struct trigger *trigger, const char *metric_name);

#endif
