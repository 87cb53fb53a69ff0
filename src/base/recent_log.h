/*
 * The last lines of the log, for people who look at a running server. None are kept before
 * recent_log_start().
 *
 * Threads: any.
 */
#ifndef BACKLOG_BASE_RECENT_LOG_H
#define BACKLOG_BASE_RECENT_LOG_H

#include <stddef.h>
#include <stdint.h>

enum { RECENT_LOG_LINES = 500, RECENT_LOG_BYTES = 1024 /* of a line; what is longer is cut */ };

struct recent_line {
    uint64_t number; /* from 1 on */
    int64_t unix_ms;
    int level;  /* enum log_level */
    char *text; /* UTF-8 */
};

void recent_log_start(void);
void recent_log_add(int level, const char *text); /* what log.c calls; level: enum log_level */

/* Copies the lines after number `after`, the oldest first, at most `room`; the caller ends each
 * with recent_line_done(). Returns how many. */
size_t recent_log_read(uint64_t after, struct recent_line *ret_lines, size_t room);
void recent_line_done(struct recent_line *line);

#endif
