#include "serve/h2/state.h"

void h2_connection_touch(struct h2_connection *connection)
{
    if (connection->is_touched || connection->session == NULL)
        return;
    connection->is_touched = true;
    connection->touched_before = connection->server->flushes;
    TAILQ_INSERT_TAIL(&connection->server->touched, connection, touched);
}
