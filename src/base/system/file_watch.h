/*
 * A watch: files that others replace while we run, and whether one of them has changed.
 *
 * It polls: comparing what stat() returns for every path each second detects a file that is
 * rewritten, renamed over, removed or made, and a symbolic link above it that is swapped
 * (Kubernetes does that to a whole folder), on any file system.
 *
 * Threads: none are involved; a watch belongs to whoever made it.
 */
#ifndef BACKLOG_BASE_SYSTEM_FILE_WATCH_H
#define BACKLOG_BASE_SYSTEM_FILE_WATCH_H

#include <stdbool.h>

struct file_watch;

struct file_watch *file_watch_new(void);

/* From now on. Add a file before it is read, so that no change falls in between. It need not exist.
 */
void file_watch_add(struct file_watch *watch, const char *path);

/* A change that goes on is reported at this check, at rest or not: a file may be rewritten all the
 * time. */
enum { FILE_WATCH_MAX_RESTLESS_CHECKS = 10 };

/* Whether a file has changed since it was added, or since the last true: but only once all have
 * been at rest from one check to the next, so that a certificate and its key, written one after the
 * other, are one change; or at the tenth check in a row that finds a change. */
bool file_watch_has_changed(struct file_watch *watch);

/* Whether the last check found a change that was not reported yet: what is read now may be half
 * written. */
bool file_watch_is_restless(const struct file_watch *watch);

/* NULL is none. */
void file_watch_free(struct file_watch *watch);

#endif
