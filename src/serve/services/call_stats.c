#include "serve/services/call_stats.h"

#include "base/memory.h"

#include <stdlib.h>
#include <utlist.h>

/* https://grpc.github.io/grpc/core/md_doc_statuscodes.html */
static const char *const code_names[CALL_STATS_CODES] = {
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
};

/* The caller frees it. */
static char *labels_of(const struct call_stats *stats)
{
    return text_format("service=\"%s\",method=\"%s\"", stats->service, stats->method);
}

/* Codes that no call ended with are left out. */
static void write_ended(const struct call_stats *stats, struct text *page)
{
    for (size_t code = 0; code < CALL_STATS_CODES; code++) {
        if (stats->ended[code] == 0)
            continue;
        _cleanup_(memory_free) char *own = labels_of(stats);
        _cleanup_(memory_free) char *labels = text_format("%s,code=\"%s\"", own, code_names[code]);
        metric_sample(page, "backlog_calls_total", labels, (double)stats->ended[code]);
    }
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
    LL_FOREACH(list, stats)
    {
        _cleanup_(memory_free) char *labels = labels_of(stats);
        if (!stats->is_stream)
            metric_histogram(page, seconds, labels, &stats->seconds);
    }
    metric_family(page, streams, METRIC_GAUGE, "Streams that are open.");
    LL_FOREACH(list, stats)
    {
        _cleanup_(memory_free) char *labels = labels_of(stats);
        if (stats->is_stream)
            metric_sample(page, streams, labels, (double)stats->open);
    }
}
