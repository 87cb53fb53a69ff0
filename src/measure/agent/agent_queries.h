/*
 * The queries whose options an agent has, and the number that it knows each query by.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_MEASURE_AGENT_AGENT_QUERIES_H
#define BACKLOG_MEASURE_AGENT_AGENT_QUERIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct agent_query;

/* Start from {0}. */
struct agent_queries {
    struct agent_query *by_identity;
    size_t expire_at; /* from this number of queries on, unused ones are dropped */
    uint64_t last;    /* number */
};

void agent_queries_done(struct agent_queries *queries);

/* Returns the number of the query with this identity: a new number if the query had none. */
uint64_t agent_queries_number(struct agent_queries *queries, const char *identity, int64_t now_ms,
                              bool *ret_is_new);

/* If there are many queries, drops those that were not used for 20 minutes. Returns their numbers,
 * which the caller frees; NULL: there are not many. */
uint64_t *agent_queries_expire(struct agent_queries *queries, int64_t now_ms, size_t *ret_count);

#endif
