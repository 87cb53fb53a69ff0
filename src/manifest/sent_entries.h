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
    bool with_secrets;   /* also what KEDA would take out of Secrets that are in the files, */
    bool has_kubernetes; /* ... and a server with --kubernetes, of a trigger for Backlog */

    /* Others may have written the files, and a source that they name would get any variable of the
     * user's: only these are used, which the user named (--env); NULL: none. */
    const struct option_list *variables;
    bool is_typed;      /* the user typed the trigger: all are */
    bool is_of_cluster; /* none is: they are the worker's */
};

/* Of the trigger of this index in spec.triggers; added to the entries. */
bool sent_entries_read(const struct sent_entries_source *source,
                       const struct manifest_object *object, size_t index,
                       struct entries *ret_entries, struct error *error);

#endif
