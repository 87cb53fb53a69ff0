/*
 * Teams' Secrets: follows one Secret of each namespace that it is given, by its name, with the
 * informer.
 *
 * Threads: the informer's, on which it calls back. Adding and removing never waits for it.
 */
#ifndef BACKLOG_KUBERNETES_CREDENTIALS_TEAM_SECRETS_H
#define BACKLOG_KUBERNETES_CREDENTIALS_TEAM_SECRETS_H

#include "base/error.h"
#include "config/connections.h"
#include "kubernetes/informer/informer.h"

#include <stdbool.h>

struct team_secrets_settings {
    /* Borrowed; it is not started yet, and stopped before this is freed. */
    struct informer *informer;
    const char *name; /* of the Secrets; borrowed */
    /*
     * What is known of a namespace's Secret. `connections` is taken; NULL without an error: there
     * is no Secret. With an error nothing new is known: the API did not answer. False: it is
     * called again later, less and less often.
     */
    bool (*changed)(void *context, const char *namespace, struct connections *connections,
                    const struct error *error);
    void *context;
};

struct team_secrets;

struct team_secrets *team_secrets_new(const struct team_secrets_settings *settings);
void team_secrets_free(struct team_secrets *secrets); /* NULL is harmless */

/* The namespace is valid (config/kubernetes_name.h). */
void team_secrets_add(struct team_secrets *secrets, const char *namespace);
void team_secrets_remove(struct team_secrets *secrets, const char *namespace);

#endif
