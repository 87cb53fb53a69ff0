/*
 * PostgreSQL's options as structs, one per scope, and the table over them.
 *
 * A connection is one database as one user. All queries of it share a few sessions.
 *
 * Threads: any; nothing here changes after it was parsed.
 */
#ifndef BACKLOG_SCALERS_POSTGRESQL_OPTIONS_H
#define BACKLOG_SCALERS_POSTGRESQL_OPTIONS_H

#include "base/error.h"
#include "config/option.h"

#include <stdint.h>

struct postgresql_connection_options {
    const char *connection; /* a connection string, instead of all below */
    const char *host;
    const char *port;
    const char *user_name;
    const char *db_name;
    const char *sslmode;
    const char *password;
    const char *ca; /* with each of them */
    int64_t max_sessions;
};

struct postgresql_query {
    const char *query;
    /* Besides; NULL: not set. They are subqueries of one statement, which sees one snapshot. */
    const char *in_flight_query;
    const char *arrival_query;
    const char *consumption_query;
    int64_t timeout_ms; /* 0: the default */
};

struct postgresql_target {
    double target_query_value;
    double activation_target_query_value;
};

extern const struct option postgresql_options[];

#endif
