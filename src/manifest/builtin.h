/*
 * A trigger of one of KEDA's own types, as Backlog would have it: which keys stay, which get another name,
 * which belong to a connection, and why it cannot be moved where it cannot.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_MANIFEST_BUILTIN_H
#define BACKLOG_MANIFEST_BUILTIN_H

#include "base/error.h"
#include "manifest/authentication.h"
#include "manifest/entries.h"
#include "measure/scaler.h"

enum builtin_action {
    BUILTIN_KEEP,
    BUILTIN_RENAME,        /* KEDA uses the name for its channel to us */
    BUILTIN_TO_CONNECTION, /* to the named connection, with what the TriggerAuthentication gives */
    BUILTIN_DROP,          /* KEDA does not know it either */
};

struct builtin_key {
    enum builtin_action action;
    char *name;               /* in Backlog */
    const struct option *row; /* NULL of one to drop, and of a general key */
};

struct builtin {
    const char *type;
    const struct scaler *scaler;      /* NULL: Backlog has none of this type */
    const struct yaml_tree *metadata; /* a map; NULL where there is none */
    struct builtin_key *keys;         /* one for each of the metadata */
    struct authentication authentication;
    bool needs_connection;  /* it has credentials that KEDA does not forward */
    struct entries entries; /* what the trigger says then, with those of the connection */
    struct error reasons;   /* why it cannot be moved; not set: it can */
};

/* Is it a trigger for an external scaler already? */
bool builtin_is_external(const char *type);

/* `namespace` may be NULL. The caller ends it with builtin_done(). */
void builtin_read(const struct scaler *const *scalers, const struct manifests *manifests,
                  const char *namespace, const struct yaml_tree *trigger, struct builtin *ret);
void builtin_done(struct builtin *builtin);

/* Is there nothing against it? Then it has a scaler and metadata. */
bool builtin_can_move(const struct builtin *builtin);

/* The row of an authentication's parameter; NULL where KEDA ignores it. */
const struct option *builtin_parameter(const struct builtin *builtin, const char *name);

#endif
