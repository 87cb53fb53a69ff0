/*
 * What libpq is told to connect with, from a connection string or from its parts.
 *
 * Whoever may write a trigger must not get at what is our server's: of a connection string only
 * keywords pass that name no file of it, and libpq finds nothing in its environment, its home and its
 * sockets. No error repeats any part of a connection string: where it is mangled, anything may be the
 * password.
 *
 * Threads: any; nothing is kept.
 */
#ifndef BACKLOG_SCALERS_POSTGRESQL_PARAMETERS_H
#define BACKLOG_SCALERS_POSTGRESQL_PARAMETERS_H

#include "base/error.h"
#include "postgresql/options.h"

#include <libpq-fe.h>
#include <stdbool.h>

enum { POSTGRESQL_PARAMETERS_MOST = 40 };

/* The arrays end with NULL. The strings are the options' or in `parsed`. */
struct postgresql_parameters {
    const char *keywords[POSTGRESQL_PARAMETERS_MOST];
    const char *values[POSTGRESQL_PARAMETERS_MOST];
    size_t count;
    PQconninfoOption *parsed;
};

bool postgresql_parameters_make(const struct postgresql_connection *options,
                                struct postgresql_parameters *ret_parameters, struct error *error);
void postgresql_parameters_done(struct postgresql_parameters *parameters);

/* NULL where the keyword is not given. */
const char *postgresql_parameter(const struct postgresql_parameters *parameters,
                                 const char *keyword);

#endif
