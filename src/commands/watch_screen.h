/*
 * A terminal as a screen: each key at once, a second buffer, and everything as it was before on any
 * exit: a key, a signal, a crash, and while the command is stopped (Ctrl-Z).
 *
 * Threads: the main thread; there is one screen.
 */
#ifndef BACKLOG_COMMANDS_WATCH_SCREEN_H
#define BACKLOG_COMMANDS_WATCH_SCREEN_H

#include "base/error.h"
#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>

enum screen_key {
    SCREEN_NONE = 0, /* others are characters */
    SCREEN_ESCAPE = 27,
    SCREEN_ENTER = '\r',
    SCREEN_BACKSPACE = 127,
    SCREEN_UP = 1000,
    SCREEN_DOWN,
    SCREEN_PAGE_UP,
    SCREEN_PAGE_DOWN,
    SCREEN_HOME,
    SCREEN_END,
};

/* Fails where standard input or output is no terminal. */
bool screen_begin(struct error *error);
void screen_end(void); /* also harmless a second time */

void screen_size(size_t *ret_rows, size_t *ret_columns);

/* Has a signal asked to end? */
bool screen_is_ending(void);

/* Until a key, a resize or a signal comes, `fd` is readable, or the time is over. */
int screen_wait(int fd, int timeout_ms);

/* Shows a whole frame, whose lines end with LF. */
void screen_show(const struct text *frame);

#endif
