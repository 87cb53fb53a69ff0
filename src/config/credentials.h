/*
 * Credentials of one trigger: what the Kubernetes API says about the call that KEDA made for it
 * (--kubernetes). Either the call is of a trigger that an object has, and then these are the
 * parameters of its authentication, if it names one; or the call is refused.
 *
 * Threads: any; nothing but what is said below changes after it was made.
 */
#ifndef BACKLOG_CONFIG_CREDENTIALS_H
#define BACKLOG_CONFIG_CREDENTIALS_H

#include "base/error.h"
#include "config/option.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The keys of a trigger that name its authentication. */
#define CREDENTIALS_KEY "triggerAuthentication"
#define CREDENTIALS_CLUSTER_KEY "clusterTriggerAuthentication"

/* Is this key of the spec of a TriggerAuthentication one that Backlog reads? Any other is a way to
 * get values that it does not have, where it is not null, an empty text or an empty list. */
bool credentials_knows_section(const char *section);

/* Does podIdentity.provider name one? It may be NULL. */
bool credentials_has_identity(const char *provider);

/* May an authentication of this name give the key of the row a value? */
bool credentials_check_row(const char *authentication, const struct option *row,
                           struct error *error);

enum credentials_state {
    CREDENTIALS_WAITING, /* not known yet */
    CREDENTIALS_VERIFIED,
    CREDENTIALS_REFUSED,
};

/* What an authentication says, of all triggers that have it. */
struct credentials_values {
    struct option_entry *entries; /* by the keys of the scaler's table; owned strings */
    size_t count;
    atomic_size_t users;
    /* The server's, under its turn lock (scale/connections/own_credentials.h). */
    struct option_values *parsed; /* NULL: not yet */
    struct error mistakes;        /* ... in them */
};

struct credentials {
    enum credentials_state state;
    struct error failure; /* of CREDENTIALS_REFUSED */
    char *authentication; /* "TriggerAuthentication shop/rabbitmq"; NULL: it names none */
    bool is_cluster_wide; /* a ClusterTriggerAuthentication */
    char *name;           /* "rabbitmq": of the authentication; NULL: there is none */
    struct credentials_values *values;
    const struct option_entry *entries; /* ... theirs */
    size_t count;
    char **omitted; /* keys of the trigger that KEDA sends with a variable's value, and that the
                       call did not have */
    size_t omitted_count;
    atomic_size_t users; /* see credentials_share() */
};

struct credentials *credentials_new(void);
void credentials_free(struct credentials *credentials);     /* NULL is none */
void credentials_cleanup(struct credentials **credentials); /* for tests */
void credentials_add(struct credentials *credentials, const char *key, const char *value);
void credentials_add_omitted(struct credentials *credentials, const char *key);
/* One user more, who frees them, too. */
struct credentials *credentials_share(const struct credentials *credentials);
/* If both have equal values, they have the same ones from now on. */
bool credentials_join(struct credentials *credentials, const struct credentials *other);
bool credentials_equal(const struct credentials *one, const struct credentials *other);

#endif
