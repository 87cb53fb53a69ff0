/* The list of connections, for people. */
#include "measure/engine_internal.h"

#include "base/memory.h"
#include "base/text.h"
#include "measure/connection/connection.h"

#include <math.h>
#include <stdlib.h>

/* A copy of a connection, with the strings and values that belong to the copy. */
struct connection_copy {
    struct connection_info info;
    struct option_values *values;
    char *name;
    char *error;
};

static void copy_connection(struct poller *poller, struct connection_copy *ret_copy)
{
    struct connection_copy copy = {.values = option_values_share(poller->values)};
    _cleanup_(connection_unlock) struct connection *connection = poller_lock(poller);
    double round_trip_us = connection->round_trip_us;
    copy.name = text_copy(connection->naming.title);
    copy.error = text_copy(error_text(&connection->error));
    copy.info = (struct connection_info){
        .number = poller->connection.number,
        .name = copy.name,
        .scaler = connection->scaler,
        .values = copy.values,
        .in_agent = poller->in_agent,
        .state = connection_client_state(connection),
        .error = copy.error,
        .stats = engine_connection_stats(connection),
        .round_trip_seconds = round_trip_us > 0 ? round_trip_us / 1e6 : NAN,
    };
    *ret_copy = copy;
}

static void free_copy(struct connection_copy *copy)
{
    option_values_free(copy->values);
    free(copy->name);
    free(copy->error);
}

/* The next connections with a higher number than `behind`. uthash keeps them in the order in which
 * they were added, which is that of their numbers. */
static size_t copy_connections(struct engine *engine, uint64_t behind,
                               struct connection_copy *copies, size_t room)
{
    size_t count = 0;
    pthread_mutex_lock(&engine->lock);
    for (struct poller *poller = engine->pollers; poller != NULL && count < room;
         poller = poller->hh.next)
        if (poller->connection.number > behind)
            copy_connection(poller, &copies[count++]);
    pthread_mutex_unlock(&engine->lock);
    return count;
}

void engine_connections(struct engine *engine,
                        void (*visit)(void *context, const struct connection_info *info),
                        void *context)
{
    struct connection_copy copies[32];
    uint64_t last = 0;
    size_t count;
    while ((count = copy_connections(engine, last, copies, ARRAY_LENGTH(copies))) > 0) {
        last = copies[count - 1].info.number;
        for (size_t i = 0; i < count; i++) {
            visit(context, &copies[i].info);
            free_copy(&copies[i]);
        }
    }
}
