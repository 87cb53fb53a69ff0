/*
 * Values: one text read as one type of option, by KEDA's rules (what counts as a bool, an integer,
 * a duration). The error has only what is allowed ("must be ..."); the caller knows the key and
 * whether the value may be shown.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_CONFIG_VALUE_H
#define BACKLOG_CONFIG_VALUE_H

#include "base/error.h"
#include "config/option_table.h"

#include <stdbool.h>

/* Writes to `field`, of the row's type; a string field borrows `text`. On failure nothing is
 * written. */
bool value_parse(const struct option *row, const char *text, void *field, struct error *error);

/* What the row allows, as it stands behind "must be": "a whole number such as 10, at least 1". The
 * caller frees it. */
char *value_allowed(const struct option *row);

/* The memory that value_parse() allocated for the field. */
size_t value_bytes(const struct option *row, const void *field);
/* Frees it. */
void value_free(const struct option *row, void *field);

#endif
