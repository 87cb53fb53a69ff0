#include "measure/agent/agent_queries.h"

#include "base/hash_table.h"
#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

enum {
    EXPIRE_MS = 20 * 60 * 1000,
    MIN_QUERIES = 1024, /* fewer are all kept */
};

struct agent_query {
    char *identity;
    uint64_t number;
    int64_t used_ms;
    UT_hash_handle hh;
};

static void drop_query(struct agent_queries *queries, struct agent_query *query)
{
    HASH_DEL(queries->by_identity, query);
    free(query->identity);
    free(query);
}

void agent_queries_done(struct agent_queries *queries)
{
    struct agent_query *query;
    struct agent_query *next;
    HASH_ITER(hh, queries->by_identity, query, next)
        drop_query(queries, query);
}

uint64_t agent_queries_number(struct agent_queries *queries, const char *identity, int64_t now_ms,
                              bool *ret_is_new)
{
    struct agent_query *query = NULL;
    /* Outsiders choose the identities, so the hash is keyed. */
    HASH_FIND_STR(queries->by_identity, identity, query);
    *ret_is_new = query == NULL;
    if (query == NULL) {
        query = memory_new(sizeof(*query));
        query->identity = text_copy(identity);
        query->number = ++queries->last;
        HASH_ADD_KEYPTR(hh, queries->by_identity, query->identity, strlen(query->identity), query);
    }
    query->used_ms = now_ms;
    return query->number;
}

uint64_t *agent_queries_expire(struct agent_queries *queries, int64_t now_ms, size_t *ret_count)
{
    size_t count = HASH_COUNT(queries->by_identity);
    if (count < MIN_QUERIES || count < queries->expire_at)
        return NULL;
    uint64_t *numbers = memory_array(count, sizeof(*numbers));
    struct agent_query *query;
    struct agent_query *next;
    *ret_count = 0;
    HASH_ITER(hh, queries->by_identity, query, next) {
        if (now_ms - query->used_ms < EXPIRE_MS)
            continue;
        numbers[(*ret_count)++] = query->number;
        drop_query(queries, query);
    }
    queries->expire_at = 2 * (size_t)HASH_COUNT(queries->by_identity);
    return numbers;
}
