/*
 * A trigger: one ScaledObjectRef as KEDA sends it, parsed.
 *
 * Its life has phases (`phase`), and lifecycle.c makes each change of them:
 *
 *     the first call -> INVALID, UNCONNECTED, PENDING or READY, as it was parsed
 *     a call for a value, or a stream:                          READY -> MEASURED
 *     another connection, Secret or credentials: parsed again, as the first time;
 *                                          where it was measured, it goes on to be
 *     no call for long, or too many triggers -> freed
 *
 * Its fields are grouped by who writes them.
 *
 * Threads: one at a time for a table and its triggers (the server's turn lock). But from
 * trigger_follow() to trigger_unfollow() the thread of the query's connection reads, with each
 * reading and without the turn lock, what its policy decides by: `name`, `namespace`, `policy`,
 * and `scaler` and `values` of `parsed`. So these do not change meanwhile, and lifecycle.c ends the
 * following before it parses again.
 * Owner: the table (triggers.h). Triggers that are not pinned (triggers_pin()) may be dropped by
 * whatever takes memory or places: triggers_find() of another one, triggers_set_credentials(),
 * and triggers_expire(). So a pointer to one is good until the next of these calls.
 */
#ifndef BACKLOG_SCALE_TRIGGER_TRIGGER_H
#define BACKLOG_SCALE_TRIGGER_TRIGGER_H

#include "base/error.h"
#include "base/hash_table.h"
#include "config/credentials.h"
#include "config/hpa_facts.h"
#include "config/option.h"
#include "measure/engine.h"
#include "measure/scaler.h"
#include "scale/answer/answer.h"
#include "scale/answer/hold.h"
#include "scale/answer/peer_values.h"
#include "scale/metadata/identity.h"
#include "scale/trigger/object_refresh.h"
#include "scale/trigger/trigger_policy.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The metric of a trigger that has no better one. */
#define TRIGGER_INVALID_METRIC "backlog-invalid"

/* Bytes: they are kept, and repeated in each answer. */
enum { TRIGGER_MAX_MISTAKES = 2 << 10 };

/* What the Kubernetes API has that a trigger needs. */
enum trigger_needs {
    TRIGGER_NEEDS_CREDENTIALS = 1, /* of its own (connections/own_credentials.h) */
    TRIGGER_NEEDS_HPA = 2,         /* what is known of the HPA of its ScaledObject */
    TRIGGER_NEEDS_OBJECT = TRIGGER_NEEDS_CREDENTIALS | TRIGGER_NEEDS_HPA,
};

/* The phases of its life; but for the last one they say what became of the metadata. In all but
 * TRIGGER_INVALID it has a scaler. */
enum trigger_phase {
    TRIGGER_INVALID,     /* mistakes: metadata without them makes another trigger */
    TRIGGER_UNCONNECTED, /* there is no connection for it; nothing else is wrong */
    TRIGGER_PENDING,     /* the credentials that it needs were not read yet */
    TRIGGER_READY,    /* it can be measured; no call for a value came yet, or a limit refused it */
    TRIGGER_MEASURED, /* it has a query; never a result of parsing */
};

/* What parsing (parse.h) makes of the metadata, and of the connections and credentials of the
 * moment. */
struct trigger_parsed {
    const struct scaler *scaler;                 /* NULL where `scaler:` names none */
    struct option_values *values[OPTION_SCOPES]; /* NULL, all of them, where there is no scaler */
    char *metric_name;                           /* normalised as KEDA does, without s<N>- */
    double target;
    int64_t idle_interval_ms;
    struct answer_rules rules;
    char *connection_name; /* in the connections file or the Secret, or NULL */
    unsigned needs;        /* enum trigger_needs */
    struct error mistakes; /* what GetMetrics and IsActive answer, unless it is ready */
    /* NULL: it has no policy, or trigger->policy has the plan. */
    struct trigger_policy_plan *policy_plan;
};

/* What it is measured by (lifecycle.c). */
struct trigger_binding {
    struct query *query;  /* in TRIGGER_MEASURED, held; otherwise NULL */
    struct query_use use; /* as it was acquired */
    bool is_inline;       /* its connection is not one of the connections file */
    /* The source of the last query, which the hold in `answers` is of; 0: there was none, or it is
     * forgotten. It is a number (option_values_source()), as the values of a connection
     * may have 64 KiB. */
    uint64_t source;
    struct error refusal; /* why the last attempt to get a query failed; not set: it did not */
};

/* What the Kubernetes API says about it (triggers_kubernetes.c). It stays when the trigger is
 * parsed again. */
struct trigger_kubernetes {
    struct credentials *credentials; /* as far as they are known; NULL: not yet */
    struct hpa_facts hpa;
    struct object_refresh refresh; /* when both are read again; object_refresh.c */
};

/* What KEDA was answered last about a trigger. */
struct trigger_last_answer {
    const char *call; /* static: "GetMetrics"; NULL: nothing yet */
    struct answer answer;
    int64_t at_ms;
};

/* How it is answered while measuring fails. */
enum trigger_hold {
    TRIGGER_HOLD_NONE,
    TRIGGER_HOLD_ON,   /* by what was known before */
    TRIGGER_HOLD_OVER, /* refused: what was known before was returned for as long as it may be */
};

/* What it was answered (trigger_answers.c). */
struct trigger_answers {
    struct trigger_last_answer last;
    struct trigger_last_answer
        round;        /* of GetMetrics: the IsActive that follows it is answered the same */
    struct hold hold; /* what it goes on to be answered while measuring fails */
    enum trigger_hold hold_state; /* of the last answer that was none of trigger_answers_refuse() */
    uint64_t peers_revision;      /* of the peer values in which it was looked for last */
};

struct trigger {
    /* Which one it is, and since when: set once, by lifecycle.c. */
    uint64_t id; /* triggers.c: in the order in which they came; none is used again */
    struct identity identity;
    char *name;
    char *namespace;
    int64_t first_call_ms;

    enum trigger_phase phase; /* lifecycle.c */
    /* lifecycle.c, triggers_renewal.c: of the connections that it was parsed with, or compared. */
    uint64_t revision;
    struct trigger_parsed parsed;         /* parse.c; lifecycle.c: which one, whose values */
    struct trigger_binding bound;         /* lifecycle.c */
    struct trigger_kubernetes kubernetes; /* lifecycle.c, triggers_kubernetes.c */
    struct trigger_answers answers;       /* trigger_answers.c, trigger_peers.c */
    /* lifecycle.c. NULL: none; stays when the trigger is parsed again. */
    struct trigger_policy *policy;

    /* trigger.c */
    struct watcher *watchers; /* utlist (next_owned): of calls that wait, and of streams */
    size_t streams;           /* how many watchers are of streams */

    size_t places; /* of the limit on triggers, that it takes; triggers_find.c */

    /* Its place in the table: triggers.c. */
    size_t pins;
    UT_hash_handle hh;
    struct trigger *next, *prev; /* while not pinned: the one without a call for longest first */

    /* trigger_objects.c */
    int64_t last_call_ms;                            /* trigger_objects.c; the first: lifecycle.c */
    int64_t longest_pause_ms;                        /* between two calls */
    struct trigger_object *object;                   /* NULL: in no table */
    struct trigger *next_of_object, *prev_of_object; /* utlist of those of the object */

    /* trigger_peers.c */
    uint8_t peer_digest[PEER_DIGEST_BYTES]; /* by which peers know it, where has_peer_digest */
    bool has_peer_digest;                   /* it was needed once */
};

void trigger_parsed_done(struct trigger_parsed *parsed);

/* Its connection is not of the connections file, but of its metadata or an authentication: whoever
 * may write one of these can make us connect. */
bool trigger_is_inline(const struct trigger *trigger);

const char *trigger_scaler_name(const struct trigger *trigger); /* NULL: `scaler:` names none */

/* Why it has no query: its mistakes, or what it was refused one for; NULL: neither. */
const struct error *trigger_refusal(const struct trigger *trigger);

/* The values as the scaler's hooks want them. The trigger has a scaler. */
struct options trigger_parsed_options(const struct trigger_parsed *parsed);

/* The watcher gets news of the trigger's query, which the trigger may not have yet, or any more. */
void trigger_watch(struct trigger *trigger, struct watcher *watcher, bool is_stream);
void trigger_unwatch(struct trigger *trigger, struct watcher *watcher);

/* From now on its policy decides at each reading of its query. Where it has none, or no query,
 * nothing happens. */
void trigger_follow(struct trigger *trigger);
void trigger_unfollow(struct trigger *trigger);

/* What a reading means for it: `ret_evaluated` has an evaluation, or the error, which the caller
 * ends. */
void trigger_evaluate(const struct trigger *trigger, const struct reading *reading,
                      struct evaluation_result *ret_evaluated);

/* What is known of its query and what its policy found, of one moment; people want its words, too.
 * The caller hands in both empty ({0}), and ends them. */
void trigger_observe(const struct trigger *trigger, bool with_words, struct snapshot *ret_snapshot,
                     struct trigger_policy_copy *ret_copy);

/* Whether this is the trigger's metric. KEDA may send it with its s<N>- prefix, or in lower case
 * (2.7 to 2.11). */
bool trigger_has_metric(const struct trigger *trigger, const char *metric_name);

#endif
