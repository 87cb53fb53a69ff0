/*
 * Queries by the ids of their subscriptions. The low bits of an id are the place of its query in an
 * array, so that it is found without a search. The bits above are a number that counts up, so that
 * no id is used twice.
 *
 * Threads: as connection.h has it.
 */
#ifndef BACKLOG_MEASURE_CONNECTION_SUBSCRIPTION_TABLE_H
#define BACKLOG_MEASURE_CONNECTION_SUBSCRIPTION_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct query;

struct subscription_place {
    struct query *query; /* NULL: the place is free */
    uint64_t id;         /* of a free place: the next free place, as `free` of the table */
};

/* Start from {0}; its owner frees `places`. */
struct subscription_table {
    struct subscription_place *places;
    size_t count, capacity;
    size_t used;     /* places that are not free */
    size_t free;     /* the last place that became free, counted from 1; 0: none */
    uint64_t number; /* of the last id */
};

/* The id that the next query gets; never 0, and below 1 << 63 (AGENT_LOST). */
uint64_t subscription_table_next_id(const struct subscription_table *table);

/* Adds the query, whose id is subscription_table_next_id(). */
void subscription_table_add(struct subscription_table *table, struct query *query);

/* NULL: no query has this id any more. */
struct query *subscription_table_find(const struct subscription_table *table, uint64_t id);

/* Removes an id that is in use. */
void subscription_table_remove(struct subscription_table *table, uint64_t id);

#endif
