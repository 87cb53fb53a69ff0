#include "scale/connections/inline_connections.h"

#include "base/hash_table.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure/engine.h"

#include <stdlib.h>
#include <string.h>

/* A connection, which all namespaces that use it share. */
struct inline_shared {
    char *identity; /* engine_connection_identity() */
    bool in_agent;
    size_t namespaces;
    UT_hash_handle hh;
};

/* A namespace uses it. */
struct inline_use {
    struct inline_namespace *holder;
    struct inline_shared *shared;
    size_t triggers;
    UT_hash_handle hh; /* by the identity of `shared` */
};

struct inline_namespace {
    char *name;
    struct inline_use *used;
    size_t agents; /* of them, those in an agent */
    UT_hash_handle hh;
};

/* What namespaces share: connections, or agents. */
struct pool {
    const char *kind, *flag;
    size_t max;      /* of all connections */
    size_t reserved; /* of them, those kept for the connections file */
    size_t taken;    /* those that namespaces use, each once */
};

/* Outsiders choose namespaces and identities, so the hashes are keyed. */
struct inline_connections {
    size_t max; /* of a namespace */
    struct pool all, agents;
    struct inline_shared *shared;
    struct inline_namespace *namespaces;
};

struct inline_connections *inline_connections_new(size_t max_per_namespace, size_t max_connections,
                                                  size_t max_agents)
{
    struct inline_connections *connections = memory_new(sizeof(*connections));
    connections->max = max_per_namespace;
    connections->all = (struct pool){"", "--max-connections", max_connections};
    connections->agents = (struct pool){" with an agent process", "--max-agents", max_agents};
    return connections;
}

void inline_connections_reserve(struct inline_connections *connections, size_t count, size_t agents)
{
    connections->all.reserved = count;
    connections->agents.reserved = agents;
}

static void drop_use(struct inline_connections *connections, struct inline_use *used)
{
    struct inline_shared *shared = used->shared;
    HASH_DELETE(hh, used->holder->used, used);
    used->holder->agents -= shared->in_agent;
    free(used);
    if (--shared->namespaces > 0)
        return;
    connections->all.taken--;
    connections->agents.taken -= shared->in_agent;
    HASH_DELETE(hh, connections->shared, shared);
    free(shared->identity);
    free(shared);
}

static void drop_namespace(struct inline_connections *connections, struct inline_namespace *holder)
{
    HASH_DELETE(hh, connections->namespaces, holder);
    free(holder->name);
    free(holder);
}

void inline_connections_free(struct inline_connections *connections)
{
    struct inline_namespace *holder;
    struct inline_namespace *next_holder;
    struct inline_use *used;
    struct inline_use *next;
    HASH_ITER(hh, connections->namespaces, holder, next_holder) {
        HASH_ITER(hh, holder->used, used, next)
            drop_use(connections, used);
        drop_namespace(connections, holder);
    }
    free(connections);
}

static struct inline_namespace *find_namespace(const struct inline_connections *connections,
                                               const char *name)
{
    struct inline_namespace *holder;
    HASH_FIND_STR(connections->namespaces, name, holder);
    return holder;
}

static struct inline_namespace *add_namespace(struct inline_connections *connections,
                                              const char *name)
{
    struct inline_namespace *holder = memory_new(sizeof(*holder));
    holder->name = text_copy(name);
    HASH_ADD_KEYPTR(hh, connections->namespaces, holder->name, strlen(holder->name), holder);
    return holder;
}

static struct inline_use *find_use(const struct inline_namespace *holder, const char *identity)
{
    struct inline_use *used;
    HASH_FIND_STR(holder->used, identity, used);
    return used;
}

static struct inline_shared *find_shared(const struct inline_connections *connections,
                                         const char *identity)
{
    struct inline_shared *shared;
    HASH_FIND_STR(connections->shared, identity, shared);
    return shared;
}

/* Takes the identity. */
static struct inline_shared *add_shared(struct inline_connections *connections, char *identity,
                                        bool in_agent)
{
    struct inline_shared *shared = memory_new(sizeof(*shared));
    shared->identity = identity;
    shared->in_agent = in_agent;
    connections->all.taken++;
    connections->agents.taken += in_agent;
    HASH_ADD_KEYPTR(hh, connections->shared, shared->identity, strlen(shared->identity), shared);
    return shared;
}

static struct inline_use *add_use(struct inline_namespace *holder, struct inline_shared *shared)
{
    struct inline_use *used = memory_new(sizeof(*used));
    used->holder = holder;
    used->shared = shared;
    shared->namespaces++;
    holder->agents += shared->in_agent;
    HASH_ADD_KEYPTR(hh, holder->used, shared->identity, strlen(shared->identity), used);
    return used;
}

/* Those that nobody has, and nothing is kept of. */
static size_t left_in(const struct pool *pool)
{
    size_t taken = pool->reserved + pool->taken;
    return taken < pool->max ? pool->max - taken : 0;
}

/* May the namespace, which has `count` of the pool, have another one? */
static bool check_share(const struct pool *pool, const struct inline_connection *connection,
                        size_t count, struct error *error)
{
    size_t left = left_in(pool);
    if (left > count || (left > 0 && connection->replaces))
        return true;
    if (left == 0)
        return error_set(error, ERROR_LIMIT, "all %zu connections%s are in use%s (%s)", pool->max,
                         pool->kind, pool->reserved > 0 ? ", or kept for the connections file" : "",
                         pool->flag);
    return error_set(error, ERROR_LIMIT,
                     "namespace \"%.*s\" has %zu inline connections%s (%s), and "
                     "the %zu that are left are for other namespaces (%s): name "
                     "connections of the connections file",
                     (int)text_cut(connection->namespace, 64), connection->namespace, count,
                     pool->kind, connection->scaler, left, pool->flag);
}

/* `holder` is NULL where the namespace has none. One that others use already takes no place. */
static bool may_have_another(const struct inline_connections *connections,
                             const struct inline_namespace *holder, bool is_shared,
                             const struct inline_connection *connection, struct error *error)
{
    size_t count = holder == NULL ? 0 : HASH_COUNT(holder->used);
    if (count >= connections->max)
        return error_set(error, ERROR_LIMIT,
                         "all %zu inline connections of namespace \"%.*s\" are in use "
                         "(--max-inline): name connections of the connections file",
                         connections->max, (int)text_cut(connection->namespace, 64),
                         connection->namespace);
    if (is_shared)
        return true;
    return check_share(&connections->all, connection, count, error) &&
           (!connection->in_agent || check_share(&connections->agents, connection,
                                                 holder == NULL ? 0 : holder->agents, error));
}

struct inline_use *inline_connections_acquire(struct inline_connections *connections,
                                              const struct inline_connection *connection,
                                              struct error *error)
{
    struct inline_namespace *holder = find_namespace(connections, connection->namespace);
    _cleanup_(memory_free) char *identity =
        engine_connection_identity(connection->scaler, connection->identity);
    struct inline_use *used = holder == NULL ? NULL : find_use(holder, identity);
    if (used == NULL) {
        struct inline_shared *shared = find_shared(connections, identity);
        if (!may_have_another(connections, holder, shared != NULL, connection, error))
            return NULL;
        if (holder == NULL)
            holder = add_namespace(connections, connection->namespace);
        if (shared == NULL)
            shared = add_shared(connections, TAKE(identity), connection->in_agent);
        used = add_use(holder, shared);
    }
    used->triggers++;
    return used;
}

bool inline_connections_release(struct inline_connections *connections, struct inline_use *used)
{
    if (used == NULL || --used->triggers > 0)
        return false;
    struct inline_namespace *holder = used->holder;
    drop_use(connections, used);
    if (holder->used == NULL)
        drop_namespace(connections, holder);
    return true;
}
