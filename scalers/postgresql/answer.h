/*
 * The result of a query: a libpq result in, a reading or an error for the user out.
 *
 * Threads: any; nothing is kept.
 */
#ifndef BACKLOG_SCALERS_POSTGRESQL_ANSWER_H
#define BACKLOG_SCALERS_POSTGRESQL_ANSWER_H

#include "base/error.h"
#include "measure/scaler.h"

#include <libpq-fe.h>
#include <stdbool.h>

/* Ends the task with the first row of the result, or with what is wrong. */
void postgresql_answer_take(struct task *task, const PGresult *result);

/* For tests, too. A finite number as PostgreSQL writes it: digits, sign, point, exponent; nothing
 * around it. */
bool postgresql_answer_parse_number(const char *text, double *ret_number);

/* Whether a time-out, or somebody, stopped the query. */
bool postgresql_answer_is_cancelled(const PGresult *result);

#endif
