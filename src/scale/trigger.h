/*
 * A trigger: one ScaledObjectRef as KEDA sends it, understood. And the table of those that are asked
 * for: KEDA sends the whole metadata with every call, and says nothing when a trigger is deleted.
 *
 * Threads: one at a time for a table and its triggers (the server's turn lock).
 * Owner: the table. A trigger may be used until the next triggers_forget(), and longer between
 * trigger_keep() and trigger_let_go().
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

/* What KEDA was told last of a trigger. */
struct told {
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

    struct told told;
    struct query *query;        /* held from the first question for a value on */
    struct query *former_query; /* held until triggers_forget_former() */
    bool is_stale;              /* its connection is another one since it was parsed */
    int64_t asked_at_ms;
    size_t keepers;
    UT_hash_handle hh;
    struct trigger *next, *prev;                 /* oldest question first */
    struct trigger *next_changed, *prev_changed; /* those that are stale, or have a former query */
};

struct triggers;

struct triggers_settings {
    const struct scaler *const *scalers; /* borrowed, as the engine */
    struct connections *connections;     /* taken; may be NULL */
    struct engine *engine;
    struct answer_rules rules; /* of triggers that set none */
    int64_t forget_ms;         /* a trigger that nobody asked for is forgotten after this */
    bool deny_inline;          /* only connections of the file are used */
    size_t most_inline;        /* connections that are not of the file, of each namespace */
    size_t most;
    size_t most_bytes; /* of the metadata of all of them: each is held some four times over */
};

struct triggers *triggers_new(const struct triggers_settings *settings);
void triggers_free(struct triggers *triggers);

/*
 * The connections file has changed: takes the new connections. Triggers that name one which is not as before
 * are stale from now on, and renewed one by one, as there may be a hundred thousand: who is found is renewed,
 * and triggers_renew() does it for those that nobody asks for. It returns whether there are more.
 *
 * A renewed trigger that was measured goes on to be: by the same query where its connection is the same, or
 * by another one, which knows what the former one knew if only the credentials differ; where none can be had
 * trigger_query() says why. Its former_query is held until triggers_forget_former(); whoever watches that must
 * have left it by then.
 */
void triggers_set_connections(struct triggers *triggers, struct connections *connections);
void trigger_renew(struct triggers *triggers,
                   struct trigger *trigger); /* harmless if it is not stale */
bool triggers_renew(struct triggers *triggers);
void triggers_forget_former(struct triggers *triggers);

/* Finds or parses. Wrong metadata makes a trigger too, with its mistakes. A full table drops the one that
 * nobody has asked for longest. Fails with ERROR_LIMIT where all are kept, and with ERROR_INVALID where
 * a key is there twice. */
bool triggers_find(struct triggers *triggers, const struct trigger_ref *ref, int64_t now_ms,
                   struct trigger **ret_trigger, struct error *error);

/* Drops what nobody has asked for. Returns when it is to be called next, of clock_now_ms(). */
int64_t triggers_forget(struct triggers *triggers, int64_t now_ms);
size_t triggers_count(const struct triggers *triggers);

/* All of them, in the order in which they came. NULL: there is no other. */
struct trigger *triggers_first(const struct triggers *triggers);
struct trigger *triggers_next(const struct trigger *trigger);

void trigger_keep(struct trigger *trigger);
void trigger_let_go(struct trigger *trigger);

/* The trigger's query, from now on measured. Fails with the mistakes, or where a limit is reached. */
bool trigger_query(struct triggers *triggers, struct trigger *trigger, struct query **ret_query,
                   struct error *error);

/* What to answer now; trigger_query() came before. */
void trigger_answer(const struct trigger *trigger, int64_t now_ms, bool out_of_time,
                    struct answer *ret_answer);

/* For the record. */
void trigger_tell(struct trigger *trigger, const char *call, const struct answer *answer,
                  int64_t now_ms);

/* Is this the trigger's metric? KEDA may ask with its s<N>- prefix, or in lower case (2.7 to 2.11). */
bool trigger_has_metric(const struct trigger *trigger, const char *metric_name);

#endif
