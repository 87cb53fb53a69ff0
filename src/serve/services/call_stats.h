/*
 * What is counted of the calls of one method: how many streams there are, how calls ended, and how long those
 * took that are answered once.
 *
 * Threads: the server's, under its turn lock.
 */
#ifndef BACKLOG_SERVE_SERVICES_CALL_STATS_H
#define BACKLOG_SERVE_SERVICES_CALL_STATS_H

#include "base/metric.h"
#include "serve/transport/transport.h"

enum { CALL_STATS_CODES = 17 };

struct call_stats {
    const char *service; /* the labels; borrowed */
    const char *method;
    bool is_stream;
    size_t open;                      /* streams that are */
    uint64_t ended[CALL_STATS_CODES]; /* by what their clients got */
    struct histogram seconds;         /* unary calls: from the request to the last word */
    struct call_stats *next;          /* utlist */
};

/* Of all methods on the list, in Prometheus' format. */
void call_stats_write(const struct call_stats *list, struct text *page);

#endif
