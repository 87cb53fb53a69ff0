/*
 * What is wrong with ScaledObjects, ScaledJobs and connections, and what Backlog cannot see when it
 * runs: how the settings of KEDA and those of a trigger go together.
 *
 * Threads: any.
 */
#ifndef BACKLOG_MANIFEST_CHECKS_CHECK_H
#define BACKLOG_MANIFEST_CHECKS_CHECK_H

#include "config/connections.h"
#include "manifest/manifest.h"
#include "measure/scaler.h"

struct check_settings {
    const struct scaler *const *scalers;
    bool has_kubernetes; /* the server reads TriggerAuthentications (--kubernetes) */
};

struct check_counts {
    size_t objects;  /* ScaledObjects and ScaledJobs */
    size_t triggers; /* of them */
    size_t movable;  /* those of KEDA's own types that Backlog could take */
};

/* `connections` are those of connections_check(). */
void manifests_check(const struct check_settings *settings, const struct manifests *manifests,
                     struct connections *connections, struct findings *findings,
                     struct check_counts *ret_counts);

#endif
