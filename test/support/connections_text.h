/* A connections file from text, for tests in C. */
#ifndef BACKLOG_TEST_CONNECTIONS_TEXT_H
#define BACKLOG_TEST_CONNECTIONS_TEXT_H

#include "config/connections_yaml.h"

/* Relative paths start in `folder`; `path` is for the errors. The caller frees the connections. */
static inline bool connections_from_text(const char *text, size_t length, const char *path,
                                         const char *folder, struct connections **ret_connections,
                                         struct error *error)
{
    const struct connections_source source = {.path = path, .folder = folder};
    struct connections *connections = connections_new();
    if (!connections_yaml_read(&source, text, length, connections, error)) {
        connections_free(connections);
        return false;
    }
    connections_sort(connections);
    *ret_connections = connections;
    return true;
}

#endif
