/*
 * The engine's metrics, by scaler and by connection of the connections file. Inline connections and
 * queries have no series of their own: they come and go with the triggers that users write.
 */
#include "measure/engine_internal.h"

#include "base/memory.h"
#include "base/metric.h"
#include "base/text.h"

/* One sample of a family. Each sample has the label scaler and, for a connection of the connections
 * file, the label connection. */
struct column {
    const char *label; /* a further label with its value; "": none */
    enum connection_count count;
    double (*value)(const struct connection_stats *stats); /* NULL: the count */
};

struct family {
    const char *name;
    enum metric_type type;
    const char *help;
    struct column columns[4]; /* ends with an empty one */
};

static double good_connections(const struct connection_stats *stats)
{
    return (double)(stats->counts[COUNT_CONNECTIONS] - stats->counts[COUNT_FAILED_CONNECTIONS]);
}

static double good_queries(const struct connection_stats *stats)
{
    return (double)(stats->counts[COUNT_QUERIES] - stats->counts[COUNT_FAILING_QUERIES]);
}

static double utilization(const struct connection_stats *stats)
{
    return stats->utilization;
}

static double delay(const struct connection_stats *stats)
{
    return stats->delay_seconds;
}

static const struct family families[] = {
    {"backlog_connections",
     METRIC_GAUGE,
     "Connections to sources; a failed one waits for its next attempt.",
     {{"state=\"ok\"", .value = good_connections}, {"state=\"failed\"", COUNT_FAILED_CONNECTIONS}}},
    {"backlog_connection_attempts_total",
     METRIC_COUNTER,
     "Attempts to connect to a source.",
     {{"result=\"success\"", COUNT_CONNECTS}, {"result=\"failure\"", COUNT_FAILED_CONNECTS}}},
    {"backlog_queries",
     METRIC_GAUGE,
     "Queries that are measured; triggers with the same query share one.",
     {{"state=\"ok\"", .value = good_queries}, {"state=\"failing\"", COUNT_FAILING_QUERIES}}},
    {"backlog_isolated_queries",
     METRIC_GAUGE,
     "Queries in flight or due that are measured separately, because they timed out last or are "
     "slow.",
     {{"", COUNT_ISOLATED_QUERIES}}},
    {"backlog_measurements_total",
     METRIC_COUNTER,
     "Measurements of queries: the source answered, refused, or did not answer in time.",
     {{"result=\"success\"", COUNT_ANSWERED},
      {"result=\"error\"", COUNT_FAILED},
      {"result=\"timeout\"", COUNT_TIMED_OUT}}},
    {"backlog_subscribed_queries",
     METRIC_GAUGE,
     "Idle queries whose source will notify of the next message.",
     {{"", COUNT_SUBSCRIBED_QUERIES}}},
    {"backlog_held_triggers",
     METRIC_GAUGE,
     "Triggers that are answered by what was known before measuring began to fail.",
     {{"", COUNT_HELD_TRIGGERS}}},
    {"backlog_held_connections",
     METRIC_GAUGE,
     "Connections with such triggers.",
     {{"", COUNT_HELD_CONNECTIONS}}},
    {"backlog_hold_expired_triggers",
     METRIC_GAUGE,
     "Triggers that were held, and get errors since their hold is over.",
     {{"", COUNT_EXPIRED_TRIGGERS}}},
    {"backlog_push_notifications_total",
     METRIC_COUNTER,
     "Notifications of new messages by sources.",
     {{"", COUNT_NOTIFICATIONS}}},
    {"backlog_push_subscribe_failures_total",
     METRIC_COUNTER,
     "Failed attempts to subscribe to a query, which is polled instead.",
     {{"", COUNT_FAILED_SUBSCRIPTIONS}}},
    {"backlog_source_utilization_ratio",
     METRIC_GAUGE,
     "Queries in flight as a share of the maximum, in the last seconds; of the busiest connection.",
     {{"", .value = utilization}}},
    {"backlog_source_delay_seconds",
     METRIC_GAUGE,
     "How long queries waited for their turn in the last seconds; of the slowest connection.",
     {{"", .value = delay}}},
};

static void write_family(struct text *page, const struct family *family,
                         const struct stats_row *rows)
{
    metric_family(page, family->name, family->type, family->help);
    for (const struct stats_row *row = rows; row != NULL; row = row->hh.next)
        for (const struct column *column = family->columns; column->label != NULL; column++) {
            _cleanup_(text_done) struct text labels = {0};
            metric_add_label(&labels, "scaler", row->scaler->name);
            if (row->connection != NULL)
                metric_add_label(&labels, "connection", row->connection);
            if (column->label[0] != '\0')
                text_addf(&labels, ",%s", column->label);
            metric_sample(page, family->name, labels.bytes,
                          column->value != NULL ? column->value(&row->stats)
                                                : (double)row->stats.counts[column->count]);
        }
}

static void write_durations(struct text *page, const struct stats_row *rows)
{
    static const char name[] = "backlog_measurement_duration_seconds";
    metric_family(page, name, METRIC_HISTOGRAM, "How long the measurement of a query took.");
    for (const struct stats_row *row = rows; row != NULL; row = row->hh.next) {
        _cleanup_(memory_free) char *labels = text_format("scaler=\"%s\"", row->scaler->name);
        metric_histogram(page, name, labels, &row->stats.measurement_seconds);
    }
}

void engine_write_metrics(struct engine *engine, struct text *page)
{
    struct stats_row *rows = engine_collect_stats(engine);
    struct stats_row *sums = engine_rows_by_scaler(rows);
    for (size_t i = 0; i < ARRAY_LENGTH(families); i++)
        write_family(page, &families[i], rows);
    write_durations(page, sums);
    engine_free_rows(rows);
    engine_free_rows(sums);
}
