/*
 * What KEDA would send to the server of a trigger: its metadata, with the values that KEDA takes
 * out of the worker's environment, here that of this process; of a trigger of KEDA's own types as
 * after a migration.
 *
 * Threads: one: the environment is the process's.
 */
#ifndef BACKLOG_MANIFEST_SENT_ENTRIES_H
#define BACKLOG_MANIFEST_SENT_ENTRIES_H

#include "base/error.h"
#include "manifest/entries.h"
#include "manifest/manifest.h"
#include "measure/scaler.h"

#include <stdbool.h>
#include <stddef.h>

struct sent_entries_source {
    const struct scaler *const *scalers;
    const struct manifests *manifests;
    bool with_secrets; /* also what KEDA would take out of Secrets that are in the files */
};

/* Of the trigger of this index in spec.triggers; added to the entries. */
bool sent_entries_read(const struct sent_entries_source *source,
                       const struct manifest_object *object, size_t index,
                       struct entries *ret_entries, struct error *error);

/* False: they have the value of a variable, and no server was named by the user (NULL) but by the
 * file, which others may have written: it would get any variable of the user's. */
bool sent_entries_may_go(const struct entries *entries, const char *server, struct error *error);

#endif
