/*
 * What is wrong with the flags of serve, and what they mean for the transport.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_DAEMON_SERVE_CHECK_H
#define BACKLOG_DAEMON_SERVE_CHECK_H

#include "cli/command.h"
#include "daemon/serve_flags.h"
#include "serve/transport/transport.h"

/* Adds what is against starting with these flags: nothing is made before. */
void serve_check(const struct command_line *line, struct text *mistakes);

/* Logs settings that are valid, and yet cannot work together as one expects. */
void serve_warn(const struct serve_flags *flags);

/* Without the address and TLS. The lists are borrowed from the flags. */
struct server_options serve_server_options(const struct serve_flags *flags);
const struct transport *serve_transport(const struct serve_flags *flags);

#endif
