/*
 * Keys of cloud identities that KEDA's built-ins have and no scaler here does: their error says
 * what to use instead, and not that the key is unknown.
 *
 * Threads: any; a table is constant.
 */
#ifndef BACKLOG_SCALERS_SHARED_CLOUD_OPTIONS_H
#define BACKLOG_SCALERS_SHARED_CLOUD_OPTIONS_H

#include "config/option.h"

#define CLOUD_OPTION(name, instead)                                                                \
    {.key = (name), .scope = OPTION_CONNECTION, .type = OPTION_UNSUPPORTED, .doc = (instead)}

/* podIdentity is of a TriggerAuthentication, and none of those gets here; it may be tried all the
 * same. */
#define POD_IDENTITY_OPTION(instead) CLOUD_OPTION("podIdentity", instead)

#define AWS_OPTIONS(instead)                                                                       \
    POD_IDENTITY_OPTION(instead), CLOUD_OPTION("awsRegion", instead),                              \
        CLOUD_OPTION("identityOwner", instead), CLOUD_OPTION("awsRoleArn", instead),               \
        CLOUD_OPTION("awsAccessKeyID", instead), CLOUD_OPTION("awsAccessKeyId", instead),          \
        CLOUD_OPTION("awsSecretAccessKey", instead), CLOUD_OPTION("awsSessionToken", instead)

#endif
