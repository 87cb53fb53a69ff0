/*
 * The queries whose options an agent has, each with the number that it knows them by.
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
    size_t expire_at; /* so many queries: those that are no longer used are dropped */
    uint64_t last;
};

void agent_queries_done(struct agent_queries *queries);

/* Returns the number of the query with this identity, which is a new one where it had none. */
uint64_t agent_queries_number(struct agent_queries *queries, const char *identity, int64_t now_ms,
                              bool *ret_is_new);

/* Drops those that were not used for 20 minutes, once there are many, and returns their numbers,
 * which the caller frees; NULL where it was not time. */
uint64_t *agent_queries_expire(struct agent_queries *queries, int64_t now_ms, size_t *ret_count);

#endif
