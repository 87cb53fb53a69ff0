/*
 * The connections that teams keep in a Secret of their own namespace (--kubernetes-secrets), as the
 * triggers of the namespace see them. A Secret is read, and each change of it, as long as one of
 * these triggers needs that.
 *
 * Threads: one at a time (the server's turn lock).
 */
#ifndef BACKLOG_SCALE_CONNECTIONS_NAMESPACE_SECRETS_H
#define BACKLOG_SCALE_CONNECTIONS_NAMESPACE_SECRETS_H

#include "base/error.h"
#include "base/hash_table.h"
#include "config/connections.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAMESPACE_SECRET_NAME "backlog-connections"

enum { NAMESPACE_SECRETS_MAX = 1024 };

struct trigger;

/* What is known of the Secret of one namespace. */
struct namespace_secret {
    char *namespace;
    bool is_read;                    /* it was read once, and there may be none */
    struct connections *connections; /* NULL: there is no Secret, or it was not read */
    struct error failure;            /* why it was not read yet */
    bool is_failing;                 /* it cannot be read now; what was read stays */
    uint64_t revision;               /* of the triggers, when it changed last */
    struct trigger *triggers;        /* utlist (next_of_secret): those that need it */
    struct trigger *next_renewed;    /* it and those behind it may not know the last change */
    struct namespace_secret *next_stale, *prev_stale; /* while there is a next_renewed */
    UT_hash_handle hh;
};

struct namespace_secrets_settings {
    /* From now on the namespace's Secret is wanted, with its changes, or not any more. Does not
     * block. NULL: there are no connections from Secrets. */
    void (*set_wanted)(void *context, const char *namespace, bool is_wanted);
    void *context;
};

struct namespace_secrets;

struct namespace_secrets *namespace_secrets_new(const struct namespace_secrets_settings *settings);
void namespace_secrets_free(struct namespace_secrets *secrets); /* no trigger is in it */

/* Whether a namespace of this name can have connections in a Secret. */
bool namespace_secrets_are_allowed(const struct namespace_secrets *secrets, const char *namespace);

/* NULL where no trigger has needed it before. */
const struct namespace_secret *namespace_secrets_find(const struct namespace_secrets *secrets,
                                                      const char *namespace);

/* Whether the Secret of no further namespace is read. */
bool namespace_secrets_are_full(const struct namespace_secrets *secrets);

/* The connection, be it usable or not; NULL where there is none. `secret` may be NULL. */
const struct named_connection *namespace_secret_connection(const struct namespace_secret *secret,
                                                           const char *name);

/* Sets the error to why there is no connection of this name, and returns false. `*ret_is_pending`
 * is set where that is not known yet. `secret` may be NULL. */
bool namespace_secret_refuse(const struct namespace_secret *secret, const char *namespace,
                             const char *name, bool *ret_is_pending, struct error *error);

/* The trigger needs its namespace's Secret from now on, or no longer. Fails with ERROR_LIMIT. */
bool namespace_secrets_join(struct namespace_secrets *secrets, struct trigger *trigger,
                            struct error *error);
void namespace_secrets_leave(struct namespace_secrets *secrets, struct trigger *trigger);

/* `connections` are what the Secret has now, and inherits; they are taken; NULL: there is no
 * Secret. With a failure they are nothing: what was read before stays, and where nothing was, the
 * triggers fail by it. Where what they have has changed, those that need the Secret are stale from
 * now on. */
void namespace_secrets_set(struct namespace_secrets *secrets, const char *namespace,
                           struct connections *connections, const struct error *failure,
                           uint64_t revision);

/* The next of those who may not know the last change of their Secret, of each namespace in turn;
 * NULL: there is none. */
struct trigger *namespace_secrets_next_stale(struct namespace_secrets *secrets);

bool namespace_secrets_have_stale(const struct namespace_secrets *secrets);

/* Each Secret that is known, in turn; start with NULL. */
const struct namespace_secret *namespace_secrets_next(const struct namespace_secrets *secrets,
                                                      const struct namespace_secret *secret);

#endif
