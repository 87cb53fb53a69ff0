/*
 * The log: one line an event, of 4 KiB at most, on standard error, as plain text or as JSON lines.
 *
 * Threads: any; a full pipe costs lines and not time. Only the one who stops an error logs it, once. A
 * message never holds a secret.
 */
#ifndef BACKLOG_BASE_LOG_H
#define BACKLOG_BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };
enum log_format { LOG_PLAIN, LOG_JSON };

/* Called once, before the first thread. Without it: plain, from LOG_INFO on. */
void log_init(enum log_level min_level, enum log_format format);

bool log_level_parse(const char *name, enum log_level *ret_level);    /* debug info warning error */
bool log_format_parse(const char *name, enum log_format *ret_format); /* plain json */
const char *log_level_name(enum log_level level);
const char *log_format_name(enum log_format format);
enum log_level log_level_now(void);
enum log_format log_format_now(void);

void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
