#include "config/connections_load.h"

#include "base/memory.h"
#include "base/system/file.h"
#include "base/text.h"
#include "config/connections_yaml.h"

#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { LARGEST_FILE = 4 << 20, MAX_FILES = 1024 };

static bool read_file(const char *path, struct file_watch *watch, struct connections *connections,
                      struct error *error)
{
    _cleanup_(text_done) struct text text = {0};
    _cleanup_(memory_free) char *copy = text_copy(path); /* dirname() writes to it */
    const struct connections_source source = {path, dirname(copy), watch};
    if (watch != NULL)
        file_watch_add(watch, path);
    return file_read(path, LARGEST_FILE, &text, error) &&
           connections_yaml_read(&source, text.bytes == NULL ? "" : text.bytes, text.length,
                                 connections, error);
}

static int is_connections_file(const struct dirent *entry)
{
    return entry->d_name[0] != '.' &&
           (text_ends_with(entry->d_name, ".yaml") || text_ends_with(entry->d_name, ".yml"));
}

static int compare_entries(const struct dirent **left, const struct dirent **right)
{
    return strcmp((*left)->d_name, (*right)->d_name);
}

struct folder_entries {
    struct dirent **items;
    int count;
};

static void entries_done(struct folder_entries *entries)
{
    for (int i = 0; i < entries->count; i++)
        free(entries->items[i]);
    free(entries->items);
}

/* The files of the folder; those that are none become problems. Fails where all of them are. */
static bool read_files(const char *path, const struct folder_entries *entries,
                       struct file_watch *watch, struct connections *connections,
                       struct error *error)
{
    _cleanup_(error_done) struct error all = {0};
    int good = 0;
    for (int i = 0; i < entries->count; i++) {
        _cleanup_(error_done) struct error mistake = {0};
        _cleanup_(memory_free) char *file = text_format("%s/%s", path, entries->items[i]->d_name);
        if (read_file(file, watch, connections, &mistake)) {
            good++;
            continue;
        }
        connections_add_problem(connections, NULL, file, true, error_text(&mistake));
        error_add(&all, "%s", error_text(&mistake));
    }
    if (good > 0 || entries->count == 0)
        return true;
    error_move(error, &all);
    return false;
}

static bool read_folder(const char *path, bool had_connections, struct file_watch *watch,
                        struct connections *connections, struct error *error)
{
    _cleanup_(entries_done) struct folder_entries entries = {0};
    if (watch != NULL)
        file_watch_add(watch, path);
    entries.count = scandir(path, &entries.items, is_connections_file, compare_entries);
    if (entries.count < 0)
        return error_invalid(error, "cannot read the folder %s: %s", path, strerror(errno));
    if (entries.count > MAX_FILES)
        return error_invalid(error, "%s has more than %d files", path, MAX_FILES);
    if (entries.count == 0 && had_connections)
        return error_invalid(error,
                             "%s has no *.yaml or *.yml file any more: write one with "
                             "`connections: {}` for no connections",
                             path);
    return read_files(path, &entries, watch, connections, error);
}

bool connections_load(const char *path, bool had_connections, struct file_watch *watch,
                      struct connections **ret_connections, struct error *error)
{
    struct stat found;
    _cleanup_(connections_cleanup) struct connections *connections = connections_new();
    bool is_folder = stat(path, &found) == 0 && S_ISDIR(found.st_mode);
    if (is_folder ? !read_folder(path, had_connections, watch, connections, error)
                  : !read_file(path, watch, connections, error))
        return false;
    connections_sort(connections);
    *ret_connections = TAKE(connections);
    return true;
}
