/*
 * What a command reads: a file, or standard input.
 *
 * Threads: any.
 */
#ifndef BACKLOG_BASE_SYSTEM_INPUT_H
#define BACKLOG_BASE_SYSTEM_INPUT_H

#include "base/error.h"
#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>

/* Adds the content of the file to `text`; one above `limit` bytes is refused. A pipe is waited for.
 * "-" is standard input, which must not be empty: a command before the pipe may have failed. */
bool input_read(const char *path, size_t limit, struct text *text, struct error *error);

#endif
