/*
 * The keys of a kafka trigger: one struct per scope (see config/option.h), and their table.
 *
 * Threads: any; nothing here changes after it was parsed.
 */
#ifndef BACKLOG_SCALERS_KAFKA_OPTIONS_H
#define BACKLOG_SCALERS_KAFKA_OPTIONS_H

#include "config/option.h"
#include "shared/tls_options.h"

enum kafka_sasl {
    KAFKA_SASL_NONE,
    KAFKA_SASL_PLAINTEXT,
    KAFKA_SASL_SHA256,
    KAFKA_SASL_SHA512,
    KAFKA_SASL_OAUTHBEARER,
    KAFKA_SASL_GSSAPI,
    KAFKA_SASL_AWS_MSK_IAM, /* refused */
};
enum kafka_token_provider { KAFKA_TOKEN_BEARER, KAFKA_TOKEN_AWS_MSK_IAM /* refused */ };
enum kafka_offset_reset { KAFKA_RESET_LATEST, KAFKA_RESET_EARLIEST };

struct kafka_connection_options {
    const char *bootstrap_servers;
    struct tls_options tls;
    int sasl; /* enum kafka_sasl */
    const char *username;
    const char *password;

    int token_provider; /* enum kafka_token_provider */
    const char *token_endpoint;
    const char *scopes;
    const char *oauth_extensions;

    const char *keytab; /* base64 */
    const char *realm;
    const char *kerberos_config;
    const char *kerberos_service;
    bool kerberos_disable_fast;
};

struct kafka_query {
    const char *consumer_group;
    const char *topic; /* see selection.h; NULL: all that the group has committed */
    struct option_ranges partition_limitation;
    int offset_reset_policy; /* enum kafka_offset_reset */
    bool scale_to_zero_on_invalid_offset;
    bool exclude_persistent_lag;
    int64_t persistent_lag_ms;
};

struct kafka_target {
    int64_t lag_threshold;
    int64_t activation_lag_threshold;
    bool allow_idle_consumers;
    bool limit_to_partitions_with_lag;
    bool ensure_even_distribution;
    const char *version;
    bool full_metadata;
};

extern const struct option kafka_options[];
extern const char *const kafka_sasl_names[]; /* by enum kafka_sasl */

/* Whether partitionLimitation has this partition; without topic it limits nothing, as in KEDA. */
bool kafka_query_has_partition(const struct kafka_query *query, int32_t partition);

#define KAFKA_NO_AWS                                                                               \
    "let the cluster accept SASL/SCRAM or client certificates, not AWS identities, and set sasl, " \
    "username and password, or cert and key"

#endif
