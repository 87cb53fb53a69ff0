/*
 * The intervals of the users of a query. An interval is in the set until it was removed as often as
 * it was added.
 *
 * Threads: as connection.h has it.
 */
#ifndef BACKLOG_MEASURE_CONNECTION_INTERVAL_SET_H
#define BACKLOG_MEASURE_CONNECTION_INTERVAL_SET_H

#include <stddef.h>
#include <stdint.h>

/* Start from {0}. interval_set_done() frees what is in it. */
struct interval_set {
    struct interval_uses *intervals; /* the shortest first */
    size_t count;
    size_t capacity;
};

struct interval_uses {
    int64_t interval_ms;
    size_t uses;
};

void interval_set_add(struct interval_set *set, int64_t interval_ms);
void interval_set_remove(struct interval_set *set, int64_t interval_ms);
void interval_set_done(struct interval_set *set);

/* INT64_MAX: the set is empty. */
static inline int64_t interval_set_shortest_ms(const struct interval_set *set)
{
    return set->count == 0 ? INT64_MAX : set->intervals[0].interval_ms;
}

#endif
