/*
 * Flags: the command line and the environment of a subcommand, by its table (command.h). `--key
 * value` or `--key=value`; where the flag is not given, BACKLOG_KEY in the environment for serve,
 * and BACKLOG_COMMAND_KEY for another command: the same key may mean something else there.
 *
 * Threads: the main thread: getopt and the environment are the process's.
 */
#ifndef BACKLOG_CLI_FLAGS_H
#define BACKLOG_CLI_FLAGS_H

#include "base/text.h"
#include "cli/command.h"

#include <stdbool.h>
#include <stdint.h>

/* What a command line asks for besides running. */
enum flags_request { FLAGS_RUN, FLAGS_HELP, FLAGS_TOPIC, FLAGS_VERSION };

struct flags {
    enum flags_request request;
    /* Complete in any case: where a mistake was, the default stands. */
    struct option_values *values;
    uint64_t from_environment; /* a bit for each row of the table */
    const char **operands;     /* borrowed from argv */
    size_t operand_count;
};

/* Adds every mistake to `mistakes`, each as a line. The caller ends `ret_flags` with flags_done()
 * in any case. Returns whether there was no mistake, or none that counts as help is asked for. */
bool flags_parse(const struct command *command, int argc, char **argv, struct flags *ret_flags,
                 struct text *mistakes);
void flags_done(struct flags *flags);

/* "BACKLOG_MAX_STREAMS" of serve's "max-streams", "BACKLOG_WATCH_INTERVAL" of watch's "interval";
 * the caller frees it. NULL: the flag has none (OPTION_NO_VARIABLE). */
char *flags_variable(const struct command *command, const struct option *row);

/* What is in effect: "listen=[::]:9090 hold=2m (BACKLOG_HOLD) ..."; the caller frees it. */
char *flags_effective(const struct command_line *line);

#endif
