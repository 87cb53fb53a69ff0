/* What a migration is to do. */
#ifndef BACKLOG_MANIFEST_MIGRATION_MIGRATION_SETTINGS_H
#define BACKLOG_MANIFEST_MIGRATION_MIGRATION_SETTINGS_H

#include "measure/scaler.h"

#include <stdbool.h>

struct migration_settings {
    const struct scaler *const *scalers;
    const char *scaler_address; /* of the triggers */
    const char *type;           /* external-push or external, in ScaledObjects; a ScaledJob gets
                                   external */
    /* What gives KEDA the certificates for the server, also of triggers that have moved there
     * before; NULL: plain text. */
    const char *authentication;
    bool is_cluster_wide; /* it is a ClusterTriggerAuthentication */
    bool is_readdressed;  /* triggers that have moved before get the address, too */
    bool is_retyped;      /* those of ScaledObjects at the address get the type, too */
    bool is_back;         /* to KEDA's own types */
};

#endif
