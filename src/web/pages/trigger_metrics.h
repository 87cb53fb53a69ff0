/*
 * Metrics of single triggers (--metrics-per-trigger): the last answer of each, and its target.
 * Users make triggers, so there is a limit, and a counter of triggers that are left out.
 *
 * Threads: the HTTP server's. What is read of triggers is read by visits, on the thread of the
 * server's loop (trigger_walk.h).
 */
#ifndef BACKLOG_WEB_PAGES_TRIGGER_METRICS_H
#define BACKLOG_WEB_PAGES_TRIGGER_METRICS_H

#include "base/text.h"
#include "web/content/trigger_walk.h"

#include <stddef.h>
#include <stdint.h>

struct trigger_metrics {
    struct trigger_walk *walk;
    size_t max; /* triggers with metrics; 0: there are none */
    uint64_t omitted;
};

/* Adds the metrics to the page. False: the event loop did not respond. */
bool trigger_metrics_write(struct trigger_metrics *metrics, struct text *page);

#endif
