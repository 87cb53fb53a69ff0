/*
 * Files: reading a whole small one, and closing a descriptor.
 *
 * Threads: any.
 */
#ifndef BACKLOG_BASE_SYSTEM_FILE_H
#define BACKLOG_BASE_SYSTEM_FILE_H

#include "base/error.h"
#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>

/* Adds the file's content to `text`; a file above `limit` bytes is refused. */
bool file_read(const char *path, size_t limit, struct text *text, struct error *error);

/* For _cleanup_(): closes the descriptor, unless it is -1. */
void file_close(const int *descriptor);

#endif
