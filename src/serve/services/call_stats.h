/*
 * What is counted of the calls of one method: how many streams there are, how calls ended, and how
 * long those took that are answered once.
 *
 * Threads: the server's, under its turn lock.
 */
#ifndef BACKLOG_SERVE_SERVICES_CALL_STATS_H
#define BACKLOG_SERVE_SERVICES_CALL_STATS_H

#include "base/metric.h"
#include "base/rpc_status.h"
#include "serve/transport/transport.h"

struct call_stats {
    const char *service; /* the labels; borrowed */
    const char *method;
    bool is_stream;
    size_t open;                  /* streams that are */
    uint64_t ended[RPC_STATUSES]; /* by what their clients got */
    struct histogram seconds;     /* unary calls: from the request to the status */
    struct call_stats *next;      /* utlist */
};

/* How many calls of all methods on the list have ended. */
uint64_t call_stats_ended(const struct call_stats *list);

/* Of all methods on the list, in Prometheus' format. */
void call_stats_write(const struct call_stats *list, struct text *page);

#endif
