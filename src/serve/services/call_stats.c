#include "serve/services/call_stats.h"

#include "base/memory.h"

#include <stdlib.h>
#include <utlist.h>

/* The caller frees it. */
static char *labels_of(const struct call_stats *stats)
{
    return text_format("service=\"%s\",method=\"%s\"", stats->service, stats->method);
}

/* Codes that no call ended with are left out. */
static void write_ended(const struct call_stats *stats, struct text *page)
{
    for (size_t code = 0; code < RPC_STATUSES; code++) {
        if (stats->ended[code] == 0)
            continue;
        _cleanup_(memory_free) char *own = labels_of(stats);
        _cleanup_(memory_free) char *labels =
            text_format("%s,code=\"%s\"", own, rpc_status_name((int)code));
        metric_sample(page, "backlog_calls_total", labels, (double)stats->ended[code]);
    }
}

uint64_t call_stats_ended(const struct call_stats *list)
{
    const struct call_stats *stats;
    uint64_t ended = 0;
    LL_FOREACH(list, stats)
        for (size_t code = 0; code < RPC_STATUSES; code++)
            ended += stats->ended[code];
    return ended;
}

void call_stats_write(const struct call_stats *list, struct text *page)
{
    static const char seconds[] = "backlog_call_duration_seconds";
    static const char streams[] = "backlog_streams";
    const struct call_stats *stats;

    metric_family(page, "backlog_calls_total", METRIC_COUNTER,
                  "Calls that have ended, by what their clients got.");
    LL_FOREACH(list, stats)
        write_ended(stats, page);

    metric_family(page, seconds, METRIC_HISTOGRAM,
                  "From the request of a call that is no stream to its answer.");
    LL_FOREACH(list, stats) {
        _cleanup_(memory_free) char *labels = labels_of(stats);
        if (!stats->is_stream)
            metric_histogram(page, seconds, labels, &stats->seconds);
    }
    metric_family(page, streams, METRIC_GAUGE, "Streams that are open.");
    LL_FOREACH(list, stats) {
        _cleanup_(memory_free) char *labels = labels_of(stats);
        if (stats->is_stream)
            metric_sample(page, streams, labels, (double)stats->open);
    }
}
