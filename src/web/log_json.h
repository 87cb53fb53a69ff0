/*
 * Recent lines of the server's log, as the dashboard and /api/log have them.
 *
 * Threads: any.
 */
#ifndef BACKLOG_WEB_LOG_JSON_H
#define BACKLOG_WEB_LOG_JSON_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* Makes an array of the lines after number `*after`, the oldest first and at most `max`, and sets
 * `*after` to the last one's; the caller owns it. */
json_t *log_json_read(uint64_t *after, size_t max);

#endif
