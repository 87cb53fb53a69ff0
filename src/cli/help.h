/*
 * Help: the pages of `backlog help`, and the sections of the man page, from the commands' tables.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_CLI_HELP_H
#define BACKLOG_CLI_HELP_H

#include "cli/command.h"

/* `backlog help`: what there is of the list, which ends with NULL. */
void help_write_overview(const struct command *const list[], struct page *page);

/* `backlog help COMMAND`. */
void help_write_command(const struct command *command, struct page *page);

/* "backlog serve [FLAG ...]"; the caller frees it. */
char *help_usage(const struct command *command);

/* What stands for a flag's value: "DURATION", "FILE"; NULL: it has none. */
const char *help_value_name(const struct option *row);

/* What holds for the flags of all commands. */
extern const char help_about_values[];

/* Which variable is which flag; the example is a flag of the command. The caller frees it. */
char *help_about_environment(const struct command *command);

#endif
