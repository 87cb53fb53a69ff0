/* What a kafka trigger says, one struct a scope (see config/option.h). */
#ifndef BACKLOG_KAFKA_OPTIONS_H
#define BACKLOG_KAFKA_OPTIONS_H

#include "config/option.h"
#include "shared/tls_options.h"

enum kafka_sasl { KAFKA_SASL_NONE, KAFKA_SASL_PLAINTEXT, KAFKA_SASL_SHA256, KAFKA_SASL_SHA512 };
enum kafka_offset_reset { KAFKA_RESET_LATEST, KAFKA_RESET_EARLIEST };

struct kafka_connection {
    const char *bootstrap_servers;
    struct tls_options tls;
    int sasl; /* enum kafka_sasl */
    const char *username;
    const char *password;
};

struct kafka_query {
    const char *consumer_group;
    const char *topic;
    struct option_ranges partition_limitation;
    int offset_reset_policy; /* enum kafka_offset_reset */
    bool scale_to_zero_on_invalid_offset;
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

#endif
