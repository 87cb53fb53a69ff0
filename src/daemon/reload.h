/*
 * Reloading: the connections while the server runs. The file or folder, and the files it names, are
 * checked each second. An invalid connection concerns its own triggers: its last good version stays
 * in use. A file that is no connections file changes nothing, and so does any mistake where they
 * are strict. The log reports a mistake once.
 *
 * Threads: the main thread.
 */
#ifndef BACKLOG_DAEMON_RELOAD_H
#define BACKLOG_DAEMON_RELOAD_H

#include "base/error.h"
#include "config/connections.h"
#include "daemon/hand_over.h"
#include "daemon/reload_stats.h"

#include <stdbool.h>

struct reload;

/* Loads them for the first time; the triggers own the connections then. `path` is borrowed; NULL:
 * there is no file, and never anything to reload. `is_strict`: one mistake refuses all. */
bool reload_begin(const char *path, bool is_strict, struct reload **ret_reload,
                  struct connections **ret_connections, struct error *error);
void reload_end(struct reload *reload); /* NULL is harmless */

/* NULL: there is no file. Borrowed. */
const struct reload_stats *reload_stats_of(const struct reload *reload);

/* Reads the file again, where it or one of those that it names has changed, `is_requested`, or some
 * time after that failed. The server uses the new content once its loop has run the call. */
void reload_check(struct reload *reload, bool is_requested, const struct hand_over *to);

#endif
