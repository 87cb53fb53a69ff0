/*
 * The parameters that libpq connects with, from a connection string or from its parts.
 *
 * Whoever may write a trigger must not reach what belongs to our server: a connection string may
 * only have keywords that name no file of it, and libpq finds nothing in its environment, its home
 * and its sockets. No error repeats any part of a connection string: where it is malformed,
 * anything may be the password.
 *
 * Threads: any; nothing is kept.
 */
#ifndef BACKLOG_SCALERS_POSTGRESQL_PARAMETERS_H
#define BACKLOG_SCALERS_POSTGRESQL_PARAMETERS_H

#include "base/error.h"
#include "postgresql/options.h"

#include <libpq-fe.h>
#include <stdbool.h>

enum { POSTGRESQL_MAX_PARAMETERS = 40 };

/* The arrays end with NULL. The strings are the options', or those below. */
struct postgresql_parameters {
    const char *keywords[POSTGRESQL_MAX_PARAMETERS];
    const char *values[POSTGRESQL_MAX_PARAMETERS];
    size_t count;
    PQconninfoOption *parsed;
    char *options; /* those of the string, and its parameters of the session */
};

bool postgresql_parameters_make(const struct postgresql_connection_options *options,
                                struct postgresql_parameters *ret_parameters, struct error *error);
void postgresql_parameters_done(struct postgresql_parameters *parameters);

/* Replaces one that is there; a value that is NULL or empty sets nothing. The strings are borrowed.
 */
void postgresql_parameters_set(struct postgresql_parameters *parameters, const char *keyword,
                               const char *value);

/* Takes PG* variables out of the environment of the process, for scalers_prepare(). */
void postgresql_parameters_forget_environment(void);

/* NULL where the keyword is not given. */
const char *postgresql_parameter(const struct postgresql_parameters *parameters,
                                 const char *keyword);

#endif
