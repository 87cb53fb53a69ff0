/*
 * Loading connections: from a file, from a folder of files, or from text.
 *
 * Threads: any.
 */
#ifndef BACKLOG_CONFIG_CONNECTIONS_LOAD_H
#define BACKLOG_CONFIG_CONNECTIONS_LOAD_H

#include "base/system/file_watch.h"
#include "config/connections.h"

/*
 * `path` is a file, or a folder, of which every *.yaml and *.yml is read, in the order of their
 * names: of two connections of one name the first is used. The caller frees the connections.
 *
 * The mistakes of one connection are its own (connections.h). A file that is none, or that cannot
 * be read, fails; of a folder it is one of the problems, unless all of its files are so. A folder
 * without files fails, too, if there were connections before (`had_connections`): somebody has
 * probably emptied it by mistake, or fills it.
 *
 * Everything that was read, or could not be, is added to `watch`, where that is not NULL: nothing
 * but a change of one of them can change the outcome.
 */
bool connections_load(const char *path, bool had_connections, struct file_watch *watch,
                      struct connections **ret_connections, struct error *error);

#endif
