/*
 * The load of a connection: which part of its places is in use, and how long jobs wait for one.
 *
 * Threads: as schedule.h has it; time is passed in.
 */
#ifndef BACKLOG_MEASURE_CONNECTION_LOAD_H
#define BACKLOG_MEASURE_CONNECTION_LOAD_H

#include <stddef.h>
#include <stdint.h>

struct load {
    /* The longest delays of this period and of the last one. */
    int64_t delays_began_ms;
    int64_t delay_ms;
    int64_t last_delay_ms;

    /* The part of the places that was in use: of this period so far, and of the last one. */
    int64_t usage_began_ms;
    int64_t usage_at_ms;     /* up to then it is in `usage` */
    double usage;            /* each millisecond times its part */
    double last_utilization; /* from 0 to 1 */
};

void load_init(struct load *load, int64_t now_ms);

/* A job was sent this long after it was due. */
void load_add_delay(struct load *load, int64_t delay_ms, int64_t now_ms);

/* The longest delay of the last 10 to 20 seconds. */
int64_t load_recent_delay_ms(const struct load *load, int64_t now_ms);

/* Until now so many of the places were in use; of SIZE_MAX places one counts as in use while any
 * is. This is called before each change of either number. */
void load_add_usage(struct load *load, size_t in_use, size_t places, int64_t now_ms);

/* The utilization of the last 10 to 20 seconds, from 0 to 1. The caller has added the
 * usage until now. */
double load_utilization(const struct load *load, int64_t now_ms);

#endif
