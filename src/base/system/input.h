/* What a command reads: a file, or standard input. */
#ifndef BACKLOG_BASE_SYSTEM_INPUT_H
#define BACKLOG_BASE_SYSTEM_INPUT_H

#include "base/error.h"
#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>

/* As file_read(); "-" is standard input, which is waited for, and must not be empty: a command
 * before the pipe may have failed. */
bool input_read(const char *path, size_t limit, struct text *text, struct error *error);

#endif
