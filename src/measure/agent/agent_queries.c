#include "measure/agent/agent_queries.h"

#include "base/hash_table.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure/agent/agent_messages.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { EXPIRE_MS = 20 * 60 * 1000 };

struct agent_query {
    char *identity;
    uint64_t number;
    size_t bytes;
    size_t tasks;
    int64_t unused_since_ms; /* if it has no task */
    struct agent_query *prev, *next;
    UT_hash_handle hh;
};

/* The caller has removed it from the list of unused ones. */
static void drop_query(struct agent_queries *queries, struct agent_query *query)
{
    HASH_DEL(queries->by_identity, query);
    queries->bytes -= query->bytes;
    free(query->identity);
    free(query);
}

void agent_queries_done(struct agent_queries *queries)
{
    struct agent_query *query;
    struct agent_query *next;
    HASH_ITER(hh, queries->by_identity, query, next)
        drop_query(queries, query);
    queries->unused = NULL;
}

static struct agent_query *add_query(struct agent_queries *queries,
                                     const struct option_values *values)
{
    struct agent_query *query = memory_new(sizeof(*query));
    query->identity = text_copy(values->identity);
    query->number = ++queries->last;
    query->bytes = agent_query_bytes(values);
    queries->bytes += query->bytes;
    HASH_ADD_KEYPTR(hh, queries->by_identity, query->identity, strlen(query->identity), query);
    return query;
}

struct agent_query *agent_queries_begin_task(struct agent_queries *queries,
                                             const struct option_values *values, bool *ret_is_new)
{
    struct agent_query *query = NULL;
    /* Outsiders choose the identities, so the hash is keyed. */
    HASH_FIND_STR(queries->by_identity, values->identity, query);
    *ret_is_new = query == NULL;
    if (query == NULL)
        query = add_query(queries, values);
    else if (query->tasks == 0)
        DL_DELETE(queries->unused, query);
    query->tasks++;
    return query;
}

void agent_queries_end_task(struct agent_queries *queries, struct agent_query *query,
                            int64_t now_ms)
{
    if (--query->tasks > 0)
        return;
    query->unused_since_ms = now_ms;
    DL_APPEND(queries->unused, query);
}

uint64_t agent_query_number(const struct agent_query *query)
{
    return query->number;
}

bool agent_queries_next_forgotten(struct agent_queries *queries, size_t max_bytes, int64_t now_ms,
                                  uint64_t *ret_number)
{
    struct agent_query *query = queries->unused;
    if (query == NULL ||
        (queries->bytes <= max_bytes && now_ms - query->unused_since_ms < EXPIRE_MS))
        return false;
    DL_DELETE(queries->unused, query);
    *ret_number = query->number;
    drop_query(queries, query);
    return true;
}
