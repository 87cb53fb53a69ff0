/*
 * Bytes into the connections file, and what it says into the scalers' tables. What is taken must be
 * usable, and what is refused has an error in words. A <key>File is never a file here: it holds its
 * own path.
 */
#include "base/memory.h"
#include "base/system/file.h"
#include "measure/scaler.h"
#include "require.h"
#include "scale/connections/named_connections.h"
#include "support/connections_text.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In place of base/system/file.c's. */
bool file_read(const char *path, size_t limit, struct text *text, struct error *error)
{
    if (strlen(path) > limit || strstr(path, "missing") != NULL)
        return error_invalid(error, "cannot open %s", path);
    text_add(text, path);
    return true;
}

static void require_invalid(const struct error *error)
{
    require(error_is_set(error) && error->code == ERROR_INVALID);
    require(text_is_utf8(error_text(error), strlen(error_text(error))));
}

static void require_usable(const struct connections *connections)
{
    for (size_t i = 0; i < connections->count; i++) {
        const struct named_connection *connection = &connections->items[i];
        if (!named_connection_is_usable(connection))
            require_invalid(&connection->mistakes);
        else
            require(connection->scaler != NULL);
        require(connections_find(connections, connection->name) == connection);
        require(named_connection_equals(connection, connection));
        named_connection_allows(connection, "shop");
        require(connection->namespaces_count > 0 || named_connection_allows(connection, ""));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(error_done) struct error error = {0};
    struct connections *connections = NULL;
    if (!connections_from_text((const char *)data, size, "c.yaml", "folder", &connections,
                               &error)) {
        require(connections == NULL);
        require_invalid(&error);
        return 0;
    }
    require_usable(connections);
    named_connections_check(connections, scaler_list);
    require_usable(connections);
    if (!connections_require_valid(connections, &error))
        require_invalid(&error);
    else
        require(connections_count_invalid(connections) == 0);
    connections_free(connections);
    return 0;
}
