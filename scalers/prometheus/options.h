/*
 * Prometheus' options as structs, one a scope, and the table over them.
 *
 * A connection is one server as one user. What goes into a request's URL belongs to the query, so
 * that triggers of several tenants or namespaces share the connection.
 *
 * Threads: any; nothing here changes after it was parsed.
 */
#ifndef BACKLOG_SCALERS_PROMETHEUS_OPTIONS_H
#define BACKLOG_SCALERS_PROMETHEUS_OPTIONS_H

#include "base/error.h"
#include "config/option.h"
#include "shared/tls_options.h"

#include <stdbool.h>
#include <stdint.h>

struct prometheus_connection_options {
    const char *server_address;
    int64_t timeout_ms;
    struct option_list custom_headers; /* name=value */
    struct option_list auth_modes;
    const char *username;
    const char *password;
    const char *bearer_token;
    const char *custom_auth_header;
    const char *custom_auth_value;
    struct tls_options tls;
};

struct prometheus_query {
    const char *query;
    /* Besides; NULL: not set. All of them are one query to the server. */
    const char *in_flight_query;
    const char *arrival_query;
    const char *consumption_query;
    const char *namespace;
    struct option_list query_parameters; /* name=value */
};

struct prometheus_target {
    double threshold;
    double activation_threshold;
    bool ignore_null_values;
};

extern const struct option prometheus_options[];

/* One piece of a map, as "name = value". */
struct prometheus_pair {
    char *name;
    const char *value; /* of the piece itself */
};

bool prometheus_pair_split(const char *piece, struct prometheus_pair *ret_pair);
void prometheus_pair_done(struct prometheus_pair *pair);

#endif
