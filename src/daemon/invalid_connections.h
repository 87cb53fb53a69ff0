/*
 * What is shown of invalid connections: in the metrics, by name and bounded, and on
 * /readyz?verbose.
 *
 * Threads: whoever has the text and may read the connections.
 */
#ifndef BACKLOG_DAEMON_INVALID_CONNECTIONS_H
#define BACKLOG_DAEMON_INVALID_CONNECTIONS_H

#include "base/text.h"
#include "config/connections.h"

/* `connections` may be NULL. */
void invalid_connections_write_metrics(const struct connections *connections, struct text *page);

/* A line for each. */
void invalid_connections_write_lines(const struct connections *connections, struct text *page);

#endif
