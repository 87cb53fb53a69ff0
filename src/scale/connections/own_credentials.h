/*
 * A trigger's own credentials (--kubernetes): the parameters of the authentication that its
 * ScaledObject or ScaledJob names, in the place of the keys of a connection; and the rules that
 * keep them from going anywhere else.
 *
 * Threads: one at a time (the server's turn lock).
 */
#ifndef BACKLOG_SCALE_CONNECTIONS_OWN_CREDENTIALS_H
#define BACKLOG_SCALE_CONNECTIONS_OWN_CREDENTIALS_H

#include "base/error.h"
#include "config/cluster_authentications.h"
#include "config/credentials.h"
#include "measure/scaler.h"
#include "scale/metadata/identity.h"

#include <stdbool.h>
#include <stddef.h>

struct own_credentials_settings {
    /* From now on the credentials of this trigger are to be read, or not any more. Neither blocks.
     * NULL: triggers have no credentials of their own. Without a table it needs none, only what is
     * known of its HPA. */
    void (*add)(void *context, const struct identity *identity, const struct trigger_ref *ref,
                const struct option *table);
    void (*remove)(void *context, const struct identity *identity);
    /* Measuring fails: the trigger's object is read again, and all that it names. */
    void (*refresh)(void *context, const struct identity *identity);
    void *context;
    bool reads_hpas;             /* a refresh reads the replicas of the HPA, too */
    bool callers_are_verified;   /* each has shown a certificate with one of the names of KEDA */
    bool allows_authentications; /* where inline ones are denied, an authentication that has the
                                    address is used even so */
    const struct cluster_authentications *cluster; /* NULL: none is listed; borrowed */
};

/* Whether triggers can have credentials of their own. With NULL they cannot. */
bool own_credentials_are_read(const struct own_credentials_settings *settings);

/* A trigger that is to be measured with its own credentials. All of it is borrowed. */
struct own_credentials_request {
    const struct trigger_ref *ref;
    const struct option *table;            /* of its scaler */
    const struct credentials *credentials; /* NULL: they are not known yet */
    bool deny_inline;                      /* no address of its metadata is used */
};

/* The key of the scaler that an entry of a trigger's metadata gives a value; NULL: it is none, or
 * blank. What the trigger's own credentials have, too, is given twice. */
const struct option *own_credentials_given(const struct option *table,
                                           const struct option_entry *entry);

/* Whether the trigger may be measured so. False with the error; `*ret_is_pending` says whether the
 * credentials may come yet. */
bool own_credentials_admit(const struct own_credentials_settings *settings,
                           const struct own_credentials_request *request, bool *ret_is_pending,
                           struct error *error);

/* What the credentials say of the connection. As values of variables they are never shown. It is
 * parsed once for all triggers that have the same ones, and kept in these: the result is borrowed
 * until they are parsed for another scaler. Adds the mistakes. */
const struct option_values *own_credentials_parse(const struct credentials *credentials,
                                                  const struct scaler *scaler,
                                                  struct error *mistakes);

#endif
