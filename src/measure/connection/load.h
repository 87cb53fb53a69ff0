/*
 * The load of a connection: which part of its places is in use, and how long jobs wait for a place.
 * Both are kept for the present period of 10 s and for the one before it.
 *
 * Threads: as schedule.h has it; time is passed in.
 */
#ifndef BACKLOG_MEASURE_CONNECTION_LOAD_H
#define BACKLOG_MEASURE_CONNECTION_LOAD_H

#include <stddef.h>
#include <stdint.h>

struct load {
    int64_t delays_began_ms; /* the present period */
    int64_t delay_ms;        /* the longest of the present period */
    int64_t last_delay_ms;   /* the longest of the period before */

    int64_t usage_began_ms;  /* the present period; it ends with the first change after 10 s */
    int64_t usage_at_ms;     /* `usage` is of the time until then */
    double usage;            /* milliseconds, each times the part of the places that was in use */
    double last_utilization; /* of the period before, from 0 to 1 */
};

void load_init(struct load *load, int64_t now_ms);

/* A job was sent this long after it was due. */
void load_add_delay(struct load *load, int64_t delay_ms, int64_t now_ms);

/* The longest delay of the last 10 to 20 seconds. */
int64_t load_recent_delay_ms(const struct load *load, int64_t now_ms);

/* Since the last call `in_use` of the `places` were in use. Called before each change of either
 * number. SIZE_MAX places count as one, which is in use while any is. */
void load_add_usage(struct load *load, size_t in_use, size_t places, int64_t now_ms);

/* The utilization of the last 10 to 20 seconds, from 0 to 1. The caller has called load_add_usage()
 * for the time until now. */
double load_utilization(const struct load *load, int64_t now_ms);

#endif
