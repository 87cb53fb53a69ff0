/*
 * The queries whose options an agent has, the number that it knows each query by, and which of them
 * it is to forget. A query that is measured again later is sent again.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_MEASURE_AGENT_AGENT_QUERIES_H
#define BACKLOG_MEASURE_AGENT_AGENT_QUERIES_H

#include "config/option.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct agent_query;

/* Start from {0}. */
struct agent_queries {
    struct agent_query *by_identity;
    struct agent_query *unused; /* utlist: those without a task, the longest unused one first */
    size_t bytes;               /* agent_query_bytes() of all queries (agent_messages.h) */
    uint64_t last;              /* number */
};

void agent_queries_done(struct agent_queries *queries);

/* A task begins, whose query has these options. Returns the query, which is new if the agent does
 * not have it. It stays until agent_queries_end_task() was called for each of its tasks. */
struct agent_query *agent_queries_begin_task(struct agent_queries *queries,
                                             const struct option_values *values, bool *ret_is_new);
void agent_queries_end_task(struct agent_queries *queries, struct agent_query *query,
                            int64_t now_ms);

uint64_t agent_query_number(const struct agent_query *query);

/* The next query to forget, by its number; false: none. It has had no task for 20 minutes; or all
 * queries take more than `max_bytes`, and no other one has had no task for longer. */
bool agent_queries_next_forgotten(struct agent_queries *queries, size_t max_bytes, int64_t now_ms,
                                  uint64_t *ret_number);

#endif
