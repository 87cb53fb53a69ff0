/*
 * A trigger of one of KEDA's own types, as Backlog would have it: which keys stay, which get
 * another name, and why it cannot be moved where it cannot.
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
    BUILTIN_RENAME,  /* KEDA uses the name for its channel to us */
    BUILTIN_IGNORED, /* by KEDA, and Backlog refuses it, or would use it */
};

struct builtin_key {
    enum builtin_action action;
    char *name;               /* in Backlog */
    const struct option *row; /* NULL of an unknown one, and of a general key */
};

struct builtin {
    const char *type;
    const struct scaler *scaler; /* NULL: Backlog has none of this type */
    bool is_meant; /* to move: Backlog has a scaler of this type, or of another variant of it */
    const struct yaml_tree *metadata; /* a map; NULL where there is none */
    struct builtin_key *keys;         /* one for each of the metadata */
    struct authentication authentication;
    struct entries entries; /* what the trigger says then, with those of its authentication */
    struct error reasons;   /* why it is none for Backlog; not set: it is */
    struct error missing;   /* what must be in the files to know its credentials */
};

/* Is it a trigger for an external scaler already? */
bool builtin_is_external(const char *type);

/* What moving changes in the metadata. The name in a trigger of Backlog of a key of KEDA's own
 * scaler with this table, which may be the same; NULL: there is none. `ret_row` becomes NULL of a
 * general key. And the way back, where all that is not renamed keeps its name. The caller frees
 * both. */
char *builtin_name_there(const struct option *table, const char *key,
                         const struct option **ret_row);
char *builtin_name_back(const struct option *table, const char *key);

/* Does KEDA's scaler read the row's key where it has this name, which is KEDA's? */
bool builtin_is_read(const struct scaler *scaler, const struct option *row, const char *key);
/* Does it read the key in an authentication? */
bool builtin_is_authenticated(const struct scaler *scaler, const struct option *row);
/* What it reads in place of a key that it ignores: " reads only password in a
 * TriggerAuthentication". */
void builtin_add_places(struct text *text, const struct scaler *scaler, const struct option *row);

/* Of a trigger of Backlog: does the key belong to Backlog, or to KEDA's channel to it, and is
 * removed on the way back? And to the channel: another external scaler may have it, too. */
bool builtin_is_own_key(const char *key);
bool builtin_is_channel_key(const char *key);

/* `namespace` may be NULL. The caller ends it with builtin_done(). */
void builtin_read(const struct scaler *const *scalers, const struct manifests *manifests,
                  const char *namespace, const struct yaml_tree *trigger, struct builtin *ret);
void builtin_done(struct builtin *builtin);

/* The same of a trigger for Backlog, and of its authentication alone: there is no metadata.
 * `given`: what that says. */
void builtin_read_credentials(const struct scaler *scaler, const struct manifests *manifests,
                              const char *namespace, const struct yaml_tree *trigger,
                              const struct entries *given, struct builtin *ret);

/* Can it be moved, and a server with --kubernetes give it its credentials? Then it has a scaler and
 * metadata. Adds what is against it. */
bool builtin_can_move(const struct builtin *builtin, struct error *reasons);

/* The row of an authentication's parameter; NULL where KEDA ignores it. */
const struct option *builtin_parameter(const struct builtin *builtin, const char *name);

#endif
