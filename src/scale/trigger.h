/*
 * A trigger: one ScaledObjectRef as KEDA sends it, understood. And the table of those that are asked
 * for: KEDA sends the whole metadata with every call, and says nothing when a trigger is deleted.
 *
 * Threads: one at a time for a table and its triggers (the server's turn lock).
 * Owner: the table. A trigger may be used until the next triggers_forget(), and longer between
 * trigger_pin() and trigger_unpin().
 */
#ifndef BACKLOG_SCALE_TRIGGER_H
#define BACKLOG_SCALE_TRIGGER_H

#include "base/error.h"
#include "config/connections.h"
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
    int64_t asked_at_ms;
    size_t pins;
    UT_hash_handle hh;
    struct trigger *next, *prev; /* the one that nobody has asked for longest first */
};

struct triggers;

struct triggers_settings {
    const struct scaler *const *scalers; /* borrowed, as the engine */
    struct connections *connections;     /* taken; may be NULL */
    struct engine *engine;
    struct answer_rules rules; /* of triggers that set none */
    int64_t forget_ms;         /* a trigger that nobody asked for is forgotten after this */
    bool deny_inline;          /* only connections of the file are used */
    size_t max_inline;         /* connections that are not of the file, of each namespace */
    size_t max;
    size_t max_bytes; /* of the metadata of all of them: each is held some four times over */
};

struct triggers *triggers_new(const struct triggers_settings *settings);
void triggers_free(struct triggers *triggers);

/*
 * The connections file has changed: takes the new connections. A trigger whose connection is not as before is
 * parsed again, when it is found or by triggers_renew(). One that was measured goes on to be: by another query,
 * which knows what the former one knew if only the credentials differ; whoever watches it gets its news from
 * then on. Where none can be had trigger_query() says why.
 */
void triggers_set_connections(struct triggers *triggers, struct connections *connections);

/* Looks at so many triggers, as there may be a hundred thousand. Returns whether there are more. */
bool triggers_renew(struct triggers *triggers, size_t max);

/* Finds or parses. Wrong metadata makes a trigger too, with its mistakes. A full table drops the one that
 * nobody has asked for longest. Fails with ERROR_LIMIT where all are kept, and with ERROR_INVALID where
 * a key is there twice. */
bool triggers_find(struct triggers *triggers, const struct trigger_ref *ref, int64_t now_ms,
                   struct trigger **ret_trigger, struct error *error);

/* Drops what nobody has asked for. Returns when it is to be called next, of clock_now_ms(). */
int64_t triggers_forget(struct triggers *triggers, int64_t now_ms);
size_t triggers_count(const struct triggers *triggers);

/* A walk over all of them, in the order in which they came. Others may interrupt it: triggers come and go
 * meanwhile. There is one walk at a time: a new one ends the last. NULL: there is no other trigger. */
struct trigger *triggers_first(struct triggers *triggers);
struct trigger *triggers_next(struct triggers *triggers);

/* A pinned trigger is not dropped. */
void trigger_pin(struct trigger *trigger);
void trigger_unpin(struct trigger *trigger);

/* The trigger's query, from now on measured. Fails with the mistakes, or where a limit is reached. */
bool trigger_query(struct triggers *triggers, struct trigger *trigger, struct query **ret_query,
                   struct error *error);

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
