/*
 * The table of the triggers that KEDA calls for: KEDA sends the whole metadata with every call, and
 * does not report when a trigger is deleted.
 *
 * The modules of scale/; each uses only those above it:
 *
 *   policy/flow                    how fast messages come and are consumed
 *   policy/peaks                   the largest values of a time, and when each was so last
 *   policy/policy                  replicas from readings and settings
 *   policy/policy_words            a decision as a sentence
 *   policy/policy_options          from keys to these settings, and rules across keys
 *   answer/hold                    what was answered, which is held while measuring fails
 *   answer/peer_values             what other replicas of the server would hold
 *   answer/answer                  what KEDA is answered, from what is known; pure
 *   metadata/identity              which trigger a call is of: namespace, name and metadata
 *   metadata/general               the keys of every trigger of any scaler
 *   trigger/trigger_policy         a trigger's policy: what it decides at each reading, and finds
 *   trigger/object_refresh         when the Kubernetes API is asked again about its object; pure
 *   trigger/trigger                one trigger: its data
 *   trigger/trigger_objects        the ScaledObjects that triggers are of
 *   trigger/trigger_answers        what KEDA was answered
 *   trigger/trigger_decide         what KEDA is answered now
 *   trigger/trigger_report         the same, and why, for pages and metrics
 *   trigger/trigger_history        what the readings of the last hour mean for it
 *   trigger/trigger_peers          what a trigger gives other replicas, and takes from them
 *   connections/named_connections  the values of a connection of the file
 *   connections/own_credentials    what the authentication of a trigger may be used for
 *   table/parse                    from the metadata to what a trigger measures, and how
 *   table/lifecycle                a trigger's phases: parsed, measured, parsed again, ended
 *   table/triggers                 the table: added, called for, pinned, expired, dropped
 *   table/triggers_kubernetes      what the Kubernetes API says about a trigger's object
 *   table/triggers_renewal         other connections: which triggers are parsed again, and when
 *   table/triggers_walk            walks over them, in pieces
 *   table/triggers_find            a call: its trigger, parsed if it is new, and its query
 *
 * Threads: one at a time for a table and its triggers (the server's turn lock).
 */
#ifndef BACKLOG_SCALE_TABLE_TRIGGERS_H
#define BACKLOG_SCALE_TABLE_TRIGGERS_H

#include "config/connections.h"
#include "scale/connections/own_credentials.h"
#include "scale/trigger/trigger.h"

/* What KEDA has called for within this time is not dropped in favour of another trigger: it would
 * call for it again, and all would be parsed and measured again in turn. A minute is two times
 * KEDA's usual pollingInterval. */
enum { TRIGGERS_IN_USE_MS = 60 * 1000 };

struct triggers;

struct triggers_settings {
    const struct scaler *const *scalers; /* borrowed, as the engine */
    struct connections *connections;     /* taken; may be NULL */
    struct engine *engine;
    struct own_credentials_settings own; /* of triggers without a connectionName; {0}: none have */
    struct answer_rules rules;           /* of triggers that set none */
    struct peer_values *peers;           /* of other replicas; NULL: they are not queried */
    int64_t forget_ms;                   /* a trigger without a call is dropped after this */
    bool deny_inline;                    /* no address of a trigger's metadata is used */
    size_t max; /* triggers; one with much metadata counts as several (triggers_find.c) */
};

struct triggers *triggers_new(const struct triggers_settings *settings);
void triggers_free(struct triggers *triggers); /* NULL is none */

/* ---- a call: triggers_find.c ---- */

/* Finds the trigger, or parses it. Wrong metadata makes a trigger too, with its mistakes. A full
 * table drops triggers that are not in use, the one without a call for longest first. Fails with
 * ERROR_LIMIT where there is none or the metadata is too large, and with ERROR_INVALID where a key
 * is there twice. */
bool triggers_find(struct triggers *triggers, const struct trigger_ref *ref, int64_t now_ms,
                   struct trigger **ret_trigger, struct error *error);

/* The trigger's query, from now on measured, and its watchers are notified. Where the trigger's
 * last answers were none its credentials are read again. Fails with the mistakes, or where a limit
 * is reached. */
bool triggers_acquire_query(struct triggers *triggers, struct trigger *trigger, int64_t now_ms,
                            struct query **ret_query, struct error *error);

/* ---- the table: triggers.c ---- */

/* A pinned trigger is not dropped, and counts as called for until it is unpinned. */
void triggers_pin(struct triggers *triggers, struct trigger *trigger);
void triggers_unpin(struct triggers *triggers, struct trigger *trigger, int64_t now_ms);

/* Drops what had no call, TRIGGERS_EXPIRED_AT_ONCE at most. Returns when it is to be called next,
 * of clock_now_ms(). */
enum { TRIGGERS_EXPIRED_AT_ONCE = 100 };
int64_t triggers_expire(struct triggers *triggers, int64_t now_ms);

/* Nobody could call until now, as the host slept, or the process was stopped: no trigger is dropped
 * before it had the usual time from now on. */
void triggers_resume(struct triggers *triggers, int64_t now_ms);
size_t triggers_count(const struct triggers *triggers);

/* ---- walks, for who reads many: triggers_walk.c ----
 *
 * In pieces, as calls wait meanwhile: triggers come and go between two. Whoever walks keeps no
 * pointer to a trigger until the next piece, and may give up at any time: nothing is to be ended.
 * Each trigger that is there throughout is met.
 */

/* All, by ascending ids, each once. The table keeps the place, and moves it on where the trigger
 * there is dropped. So there is one such walk at a time: triggers_first() ends the last. NULL:
 * there is no other trigger. */
struct trigger *triggers_first(struct triggers *triggers);
struct trigger *triggers_next(struct triggers *triggers);

/* Those of a ScaledObject, any number of walks at a time: the ids of the `max` that were called for
 * last, the last one first. Returns how many there are. */
size_t triggers_of_object(const struct triggers *triggers, const char *namespace, const char *name,
                          uint64_t *ret_ids, size_t max);

/* The one with such an id, as calls may have come meanwhile. NULL: it was dropped. */
struct trigger *triggers_of_object_find(const struct triggers *triggers, const char *namespace,
                                        const char *name, uint64_t id);

/* All, in no order, any number of walks at a time. Triggers are in buckets 0 to triggers_buckets()
 * - 1, and a bucket is read within one piece. triggers_at() returns the next one of the bucket
 * after `before` (NULL: the first one); NULL: there is no other. While triggers are added, some may
 * move to a later bucket, and are met twice. */
uint64_t triggers_buckets(const struct triggers *triggers);
struct trigger *triggers_at(const struct triggers *triggers, uint64_t bucket,
                            const struct trigger *before);

/* ---- other connections: triggers_renewal.c ---- */

/*
 * The connections file has changed: takes the new connections. A trigger whose connection is not as
 * before is parsed again, when it is found or by triggers_renew(). One that was measured goes on to
 * be: by another query, which knows what the former one knew if only the credentials differ; its
 * watchers are notified by that one from then on. Where none can be had triggers_acquire_query()
 * says why.
 */
void triggers_set_connections(struct triggers *triggers, struct connections *connections);

/* Parses those again whose connection has changed: looks at so many triggers at most, and for a
 * millisecond, as there may be a hundred thousand. Returns whether there are more. */
bool triggers_renew(struct triggers *triggers, size_t max);

/* The connections in use; NULL: there are none. They are borrowed until others are set. */
const struct connections *triggers_connections(const struct triggers *triggers);

/* ---- other credentials: triggers_kubernetes.c ---- */

/* What is known of the object of the trigger with these identity bytes: its credentials
 * (own_credentials.h), which are taken, and its HPA. Nothing happens where there is no such trigger
 * any more. */
void triggers_set_credentials(struct triggers *triggers, const char *identity, size_t length,
                              struct credentials *credentials, const struct hpa_facts *hpa);

#endif
