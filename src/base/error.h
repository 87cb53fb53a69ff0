/*
 * Errors: what went wrong, in words for the user who can correct it.
 *
 * A function that can fail returns bool and takes `struct error *` last; it sets the error when and
 * only when it returns false. `struct error error = {0};` is no error. The text names the key or
 * the thing, the value, what is allowed and what to do; it never holds a secret. It is UTF-8: of
 * what a source said, each byte that is none becomes a question mark.
 *
 * Threads: none are involved; an error belongs to whoever declared it.
 */
#ifndef BACKLOG_BASE_ERROR_H
#define BACKLOG_BASE_ERROR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

enum error_code {
    ERROR_NONE,
    ERROR_INVALID, /* the user's metadata or configuration is wrong; trying again will not help */
    ERROR_DENIED,  /* the caller may not use this */
    ERROR_LIMIT,   /* a limit of ours is reached; the text names it */
    ERROR_UNAVAILABLE, /* the source cannot be measured now; trying again may help */
    ERROR_COSTLY,      /* the same, but trying cost much: it is tried again after minutes */
    ERROR_INTERNAL,    /* a fault of ours */
    ERROR_NOT_STARTED, /* unavailable, but the source was not tried: no process of ours began */
    ERROR_CANCELLED,   /* nobody needs it any more: nothing has failed */
};

struct error {
    enum error_code code;
    char *text; /* owned; NULL where code is ERROR_NONE */
};

/* Set the error (what it held before is dropped) and return false, so that `return error_...` reads
 * well. */
bool error_set(struct error *error, enum error_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool error_invalid(struct error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
bool error_unavailable(struct error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
bool error_unavailablev(struct error *error, const char *format, va_list arguments);

/* Adds one more mistake to an ERROR_INVALID error, after "; ": the user sees all of them at once.
 * Behind the first 16 KiB it only adds "and more". */
void error_add(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Cuts a text of more than `max` bytes, and ends it with "; and more". */
void error_shorten(struct error *error, size_t max);

/* Puts "context: " before the text. Returns false. */
bool error_prefix(struct error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

bool error_is_set(const struct error *error);
const char *error_text(const struct error *error); /* "" where there is none */
void error_copy(struct error *to, const struct error *from);
void error_move(struct error *to, struct error *from);
void error_done(struct error *error);

#endif
