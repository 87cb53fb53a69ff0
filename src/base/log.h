/*
 * The log: one line an event, of 4 KiB at most, on standard error, as plain text or as JSON lines.
 *
 * Threads: any, and several processes may share the pipe: a full one costs lines and not time. Only
 * the one who stops an error logs it, once. A message never holds a secret.
 */
#ifndef BACKLOG_BASE_LOG_H
#define BACKLOG_BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };
enum log_format { LOG_PLAIN, LOG_JSON };

/* Called once, before the first thread. Without it: plain, from LOG_LEVEL_INFO on. */
void log_init(enum log_level min_level, enum log_format format);

/* From now on; any thread. */
void log_set_level(enum log_level min_level);

const char *log_level_name(enum log_level level);
enum log_level log_level_now(void);
enum log_format log_format_now(void);

/* What a line is about, as far as it is known; NULL: it is not. In JSON each is a field of the
 * line. */
struct log_fields {
    const char *connection; /* its name in the connections file */
    const char *scaler;
    const char *namespace; /* of a ScaledObject that uses it */
    const char *name;
    const char *error; /* behind the message, too */
};

void log_about(const struct log_fields *fields, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
