/*
 * One way of asking the management API for all that a measurement still lacks: a listing of the vhost, or
 * queues one by one, and the pages of patterns, side by side.
 *
 * Threads: one at a time; a round lives no longer than a measurement.
 */
#ifndef BACKLOG_RABBITMQ_ROUND_H
#define BACKLOG_RABBITMQ_ROUND_H

#include "base/error.h"
#include "measure/scaler.h"
#include "rabbitmq/counts.h"
#include "rabbitmq/http.h"
#include "rabbitmq/options.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A queue that is asked for, or all that match a pattern. */
struct asked {
    const struct rabbitmq_query *query;
    struct probe *probe;
    bool listed;                 /* the listing had it, be it without counts */
    int64_t page;                /* of a pattern: what is asked for */
    struct rabbitmq_tally tally; /* of a pattern: the pages before it */
    size_t empty;                /* of a pattern: the queues of which totals told 0 */
};

/* Queues by name, then patterns; for qsort(). */
int asked_compare(const void *left, const void *right);

struct round {
    struct rabbitmq_http *http;
    const char *vhost;
    const char *listing; /* the path of the vhost's queues */
    bool keeps_rates;    /* the broker does: a queue without any had no messages yet */
    struct asked *asked; /* in the order of asked_compare() */
    size_t count;
    size_t queues; /* of them, before the patterns */

    bool
        totals; /* counts asked of the queues themselves; else statistics, which have the rates, too */
    bool list;   /* the vhost, once, for all queues */
    size_t gets; /* queues that are asked one by one */
    int64_t deadline_ms;

    /* What was learnt. */
    size_t listed;  /* the queues of the vhost; 0: not known */
    bool counted;   /* some queue has counts, asked for or not */
    bool lacking;   /* counts of a queue that is there */
    bool timed_out; /* something did */
    bool too_large; /* the listing was */

    size_t next; /* the first that was not looked at yet */
};

/* Asks, and ends the probes of all that were answered. Returns false where the client is of no further
 * use: the connection broke, or nothing of this vhost is told. */
bool round_run(struct round *round, struct error *error);

/* Whether it is not ended yet, and may be by this round. */
bool round_wants(const struct round *round, const struct asked *asked);

#endif
