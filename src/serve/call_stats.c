#include "serve/call_stats.h"

#include "base/memory.h"

#include <stdlib.h>

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

void call_stats_end(struct call_stats *stats, size_t method, enum status status, int64_t wait_ms)
{
    stats->calls[method][status]++;
    if (method < CALL_STATS_METHODS)
        histogram_add(&stats->waits[method], (double)wait_ms / 1000);
}

void call_stats_answer(struct call_stats *stats, const struct answer *answer)
{
    if (answer->kind == ANSWER_REFUSED)
        stats->refused_answers++;
    if (answer->kind != ANSWER_VALUE)
        return;
    if (answer->held)
        stats->held_answers++;
    else
        stats->fresh_answers++;
    histogram_add(&stats->ages, (double)answer->age_ms / 1000);
}

void call_stats_push(struct call_stats *stats, const struct answer *answer, bool is_heartbeat)
{
    if (is_heartbeat) {
        stats->heartbeats++;
        return;
    }
    stats->pushes++;
    histogram_add(&stats->pushed_after, (double)answer->heard_ago_ms / 1000);
}

/* ---- the page ---- */

static const char *method_name(const struct call_stats *stats, size_t method)
{
    return method < CALL_STATS_METHODS ? stats->methods[method] : "unknown";
}

/* Codes that no call ended with are left out. */
static void write_calls(const struct call_stats *stats, struct text *page)
{
    static const char name[] = "backlog_calls_total";
    metric_family(page, name, METRIC_COUNTER, "Calls that have ended.");
    for (size_t method = 0; method <= CALL_STATS_METHODS; method++)
        for (size_t code = 0; code < CALL_STATS_CODES; code++) {
            if (stats->calls[method][code] == 0)
                continue;
            _cleanup_(memory_free) char *labels = text_format(
                "method=\"%s\",code=\"%s\"", method_name(stats, method), code_names[code]);
            metric_sample(page, name, labels, (double)stats->calls[method][code]);
        }
}

static void write_methods(const struct call_stats *stats, struct text *page)
{
    static const char wait[] = "backlog_call_wait_seconds";
    static const char streams[] = "backlog_streams";
    metric_family(page, wait, METRIC_HISTOGRAM, "How long calls waited for a measurement.");
    for (size_t method = 0; method < CALL_STATS_METHODS; method++) {
        _cleanup_(memory_free) char *labels =
            text_format("method=\"%s\"", method_name(stats, method));
        metric_histogram(page, wait, labels, &stats->waits[method]);
    }
    metric_family(page, streams, METRIC_GAUGE, "Streams that are open.");
    for (size_t method = 0; method < CALL_STATS_METHODS; method++) {
        _cleanup_(memory_free) char *labels =
            text_format("method=\"%s\"", method_name(stats, method));
        metric_sample(page, streams, labels, (double)stats->streams[method]);
    }
}

static void write_answers(const struct call_stats *stats, struct text *page)
{
    static const char answers[] = "backlog_answers_total";
    static const char ages[] = "backlog_answer_age_seconds";
    metric_family(
        page, answers, METRIC_COUNTER,
        "Values asked for: from a fresh reading, held while measuring fails, or refused.");
    metric_sample(page, answers, "result=\"fresh\"", (double)stats->fresh_answers);
    metric_sample(page, answers, "result=\"held\"", (double)stats->held_answers);
    metric_sample(page, answers, "result=\"refused\"", (double)stats->refused_answers);
    metric_family(page, ages, METRIC_HISTOGRAM, "Age of the readings that were answered.");
    metric_histogram(page, ages, NULL, &stats->ages);
}

static void write_pushes(const struct call_stats *stats, struct text *page)
{
    static const char after[] = "backlog_push_seconds";
    metric_single(page, "backlog_pushes_total", METRIC_COUNTER,
                  "Times that a stream was told that there is work.", (double)stats->pushes);
    metric_single(page, "backlog_heartbeats_total", METRIC_COUNTER,
                  "Times that a stream was told again, because there still was.",
                  (double)stats->heartbeats);
    metric_family(page, after, METRIC_HISTOGRAM,
                  "From the source's word, or the beginning of the measurement, to the push.");
    metric_histogram(page, after, NULL, &stats->pushed_after);
}

void call_stats_write(const struct call_stats *stats, struct text *page)
{
    write_calls(stats, page);
    write_methods(stats, page);
    write_answers(stats, page);
    write_pushes(stats, page);
}
