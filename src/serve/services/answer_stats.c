#include "serve/services/answer_stats.h"

void answer_stats_add(struct answer_stats *stats, const struct answer *answer)
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

static void write_answers(const struct answer_stats *stats, struct text *page)
{
    static const char answers[] = "backlog_answers_total";
    static const char ages[] = "backlog_reading_age_seconds";
    metric_family(page, answers, METRIC_COUNTER,
                  "Answers to GetMetrics and IsActive: from a fresh reading, held while measuring "
                  "fails, or refused.");
    metric_sample(page, answers, "result=\"fresh\"", (double)stats->fresh_answers);
    metric_sample(page, answers, "result=\"held\"", (double)stats->held_answers);
    metric_sample(page, answers, "result=\"refused\"", (double)stats->refused_answers);
    metric_family(page, ages, METRIC_HISTOGRAM, "Age of the readings behind the answers.");
    metric_histogram(page, ages, NULL, &stats->ages);
}

static void write_pushes(const struct answer_stats *stats, struct text *page)
{
    static const char activations[] = "backlog_activation_duration_seconds";
    metric_single(page, "backlog_stream_activations_total", METRIC_COUNTER,
                  "Times that `true` was sent on a stream because its trigger became active.",
                  (double)stats->pushes);
    metric_single(
        page, "backlog_stream_heartbeats_total", METRIC_COUNTER,
        "Times that `true` was sent again on a stream because its trigger was still active.",
        (double)stats->heartbeats);
    metric_family(page, activations, METRIC_HISTOGRAM,
                  "For a trigger with a stream that became active: from the notification, or the "
                  "beginning of "
                  "the measurement that found it, to the message on the stream.");
    metric_histogram(page, activations, NULL, &stats->activations);
}

void answer_stats_write(const struct answer_stats *stats, struct text *page)
{
    write_answers(stats, page);
    write_pushes(stats, page);
}
