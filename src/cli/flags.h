/*
 * Flags: the command line of a subcommand, from the same kind of table as a scaler's options: key,
 * type, default, limits and one line of doc each. `--key value` or `--key=value`.
 */
#ifndef BACKLOG_CLI_FLAGS_H
#define BACKLOG_CLI_FLAGS_H

#include "base/error.h"
#include "config/option.h"

#include <stdbool.h>

/* Every row is of scope OPTION_CONNECTION; an OPTION_BOOL row is a flag without a value, and that of any other
 * must not be empty. On success the caller frees the values. `--help` prints `about` and the table, and sets
 * `ret_helped`. */
bool flags_parse(int argc, char **argv, const struct option *table, size_t size, const char *about,
                 struct option_values **ret_values, bool *ret_helped, struct error *error);

#endif
