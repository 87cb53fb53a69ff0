/*
 * What a trigger's SQL may be, as far as its text shows it. The server decides the rest: the
 * transaction is read-only and rolled back, and the role's rights are the real limit.
 *
 * Threads: any; nothing is kept.
 */
#ifndef BACKLOG_SCALERS_POSTGRESQL_STATEMENT_H
#define BACKLOG_SCALERS_POSTGRESQL_STATEMENT_H

#include "base/error.h"

/* Adds what is wrong with the value of `key`. */
void postgresql_statement_check(const char *key, const char *sql, struct error *mistakes);

#endif
