/*
 * The options of metrics-api as structs, one a scope, and the table over them.
 *
 * A connection is one URL as one user, so that all of its queries share each GET.
 *
 * Threads: any; nothing here changes after it was parsed.
 */
#ifndef BACKLOG_SCALERS_METRICS_API_OPTIONS_H
#define BACKLOG_SCALERS_METRICS_API_OPTIONS_H

#include "config/option.h"
#include "shared/tls_options.h"

#include <stdint.h>

enum metrics_api_format {
    METRICS_API_JSON,
    METRICS_API_YAML,
    METRICS_API_PROMETHEUS,
    METRICS_API_XML
};

struct metrics_api_connection_options {
    const char *url;
    int64_t timeout_ms;
    struct option_list auth_modes;
    int method; /* 0: the key is in a header; 1: it is a parameter of the URL */
    const char *key_param_name;
    const char *api_key;
    const char *username;
    const char *password;
    const char *token;
    struct tls_options tls;
};

struct metrics_api_query {
    int format; /* enum metrics_api_format */
    const char *value_location;
};

struct metrics_api_target {
    double target_value;
    double activation_target_value;
};

extern const struct option metrics_api_options[];

/* The hooks of struct scaler: what the table cannot express. */
void metrics_api_check(const struct options *options, struct error *mistakes);
void metrics_api_check_connection(const void *connection_options, struct error *mistakes);

#endif
