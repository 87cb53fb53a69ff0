/*
 * The objects of the Kubernetes API that somebody needs: what is known of each, who needs it, and
 * when it is read next.
 *
 * Threads: the informer's.
 */
#ifndef BACKLOG_KUBERNETES_INFORMER_INFORMER_ENTRIES_H
#define BACKLOG_KUBERNETES_INFORMER_INFORMER_ENTRIES_H

#include "base/error.h"
#include "base/hash_table.h"
#include "kubernetes/api/api_object.h"
#include "kubernetes/api/api_request.h"
#include "kubernetes/informer/informer_link.h"
#include "kubernetes/informer/namespace_shares.h"

struct informer_entry {
    enum api_object_kind kind;
    char *namespace, *name; /* `namespace` is NULL for what has none */
    char *key, *path;
    struct informer_link *links; /* of its users */
    struct share_turn turn;      /* among those of its namespace */
    struct object_watch *watch;  /* of its own, or NULL */

    /* What is known: object_reader.c. */
    struct api_request request; /* in progress, or none */
    bool is_first;              /* ... and there was none before */
    struct api_object *object;
    bool is_read;
    int64_t read_ms, sent_ms, backoff_ms;
    int64_t refused_ms;   /* api_health_is_refused_alone() */
    char *seen;           /* the last revision that a watch has named during a request, or since one
                             failed; NULL: none */
    int64_t seen_ms;      /* when it was first named */
    struct error failure; /* of the last request */

    /* The rest is of the table. */
    int64_t due_ms;
    bool is_failing;   /* counted */
    bool is_forbidden; /* counted: it fails, as there is no right to read it */
    bool has_changed;
    UT_hash_handle hh;
    struct informer_entry *next_changed, *prev_changed;
};

/* Start from {0}. */
struct informer_entries {
    struct informer_entry *by_key;
    struct namespace_shares shares;
    struct informer_entry *changed; /* utlist: whose users have not been notified */
    size_t failing;
    size_t forbidden[OBJECT_KINDS];
    int64_t scan_ms; /* informer_entries_next_scan_ms() */
};

struct informer_entry *informer_entries_find(const struct informer_entries *entries,
                                             enum api_object_kind kind, const char *namespace,
                                             const char *name); /* NULL: none */
struct informer_entry *informer_entries_add(struct informer_entries *entries,
                                            enum api_object_kind kind, const char *namespace,
                                            const char *name);
/* It has no request, no links and no watch. */
void informer_entries_drop(struct informer_entries *entries, struct informer_entry *entry);

void informer_entries_set_due(struct informer_entries *entries, struct informer_entry *entry,
                              int64_t due_ms);
void informer_entries_set_due_by(struct informer_entries *entries, struct informer_entry *entry,
                                 int64_t due_ms);

/* No entry is due before: what is due is looked for then. */
int64_t informer_entries_next_scan_ms(const struct informer_entries *entries);

/* At once: what was due and could not begin may do so now. */
void informer_entries_scan_soon(struct informer_entries *entries);

/* Around a look at all entries. What is set meanwhile counts as well as `due_ms`, when the first of
 * those that were looked at is due. */
void informer_entries_begin_scan(struct informer_entries *entries);
void informer_entries_end_scan(struct informer_entries *entries, int64_t due_ms);

/* As soon as it may be: never more often than once per second, however many want it. */
enum { INFORMER_MIN_INTERVAL_MS = 1000 };
void informer_entries_want_fresh(struct informer_entries *entries, struct informer_entry *entry);

/* Behind all others from now on. */
void informer_entries_put_last(struct informer_entries *entries, struct informer_entry *entry);

void informer_entries_set_failing(struct informer_entries *entries, struct informer_entry *entry,
                                  bool is_failing);
void informer_entries_set_forbidden(struct informer_entries *entries, struct informer_entry *entry,
                                    bool is_forbidden);

/* Its users are notified, by the next informer_entries_notify(). */
void informer_entries_add_changed(struct informer_entries *entries, struct informer_entry *entry);
void informer_entries_notify(struct informer_entries *entries);

#endif
