/*
 * A file in memory, for libraries that read files only. It has no name, and its path is of use to
 * this process alone, as long as the file is open.
 *
 * Threads: any; nothing is kept.
 */
#ifndef BACKLOG_BASE_SYSTEM_MEMORY_FILE_H
#define BACKLOG_BASE_SYSTEM_MEMORY_FILE_H

#include "base/error.h"

#include <stddef.h>

/* Returns a descriptor, which the caller closes; -1 with an error. `name` says what it holds. */
int memory_file_open(const char *name, const void *bytes, size_t length, struct error *error);

/* The caller frees the path. */
char *memory_file_path(int file);

#endif
