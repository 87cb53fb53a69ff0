/*
 * What is wrong with the flags of serve.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_DAEMON_SERVE_CHECK_H
#define BACKLOG_DAEMON_SERVE_CHECK_H

#include "cli/command.h"
#include "daemon/serve_flags.h"

/* Adds what is against starting with these flags: nothing is made before. */
void serve_check(const struct command_line *line, struct text *mistakes);

/* Logs settings that are valid, and yet cannot work together as one expects. */
void serve_warn(const struct serve_flags *flags);

#endif
