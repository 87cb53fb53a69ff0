/*
 * A watch: files that others replace while we run, and whether one of them has changed.
 *
 * It polls: comparing what stat() returns for every path each second detects a file that is
 * rewritten, renamed over, removed or made, and a symbolic link above it that is swapped
 * (Kubernetes does that to a whole folder), on any file system.
 *
 * Threads: none are involved; a watch belongs to whoever made it.
 */
#ifndef BACKLOG_BASE_SYSTEM_WATCH_H
#define BACKLOG_BASE_SYSTEM_WATCH_H

#include <stdbool.h>

struct watch;

struct watch *watch_new(void);

/* From now on. Add a file before it is read, so that no change falls in between. It need not exist.
 */
void watch_add(struct watch *watch, const char *path);

/* A change that goes on is reported at this check, at rest or not: a file may be rewritten all the
 * time. */
enum { WATCH_MAX_RESTLESS_CHECKS = 10 };

/* Whether a file has changed since it was added, or since the last true: but only once all have
 * been at rest from one check to the next, so that a certificate and its key, written one after the
 * other, are one change; or at the tenth check in a row that finds a change. */
bool watch_has_changed(struct watch *watch);

/* NULL is none. */
void watch_free(struct watch *watch);

#endif
