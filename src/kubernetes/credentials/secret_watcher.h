/*
 * The secret watcher: follows one Secret of each namespace that it is given, by its name, with the
 * informer.
 *
 * Threads: the informer's, on which it calls back. Adding and removing never waits for it.
 */
#ifndef BACKLOG_KUBERNETES_CREDENTIALS_SECRET_WATCHER_H
#define BACKLOG_KUBERNETES_CREDENTIALS_SECRET_WATCHER_H

#include "base/error.h"
#include "config/connections.h"
#include "kubernetes/informer/informer.h"

#include <stdbool.h>

struct secret_watcher_settings {
    /* Borrowed; it is not started yet, and stopped before this is freed. */
    struct informer *informer;
    const char *name; /* of the Secrets; borrowed */
    /*
     * What is known of a namespace's Secret. `connections` is taken; NULL without an error: there
     * is no Secret. With an error nothing new is known: the API did not answer. False: must be
     * called again later.
     */
    bool (*changed)(void *context, const char *namespace, struct connections *connections,
                    const struct error *error);
    void *context;
};

struct secret_watcher;

struct secret_watcher *secret_watcher_new(const struct secret_watcher_settings *settings);
void secret_watcher_free(struct secret_watcher *watcher); /* NULL is harmless */

void secret_watcher_add(struct secret_watcher *watcher, const char *namespace);
void secret_watcher_remove(struct secret_watcher *watcher, const char *namespace);

#endif
