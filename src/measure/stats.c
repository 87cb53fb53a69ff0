/*
 * What the engine counts, by scaler: that is as fine as it may be, for connections and queries come and
 * go with what users write.
 */
#include "measure/inside.h"

#include "base/memory.h"
#include "base/metric.h"

#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

struct tally *tally_of(struct engine *engine, const struct scaler *scaler)
{
    struct tally *tally;
    LL_SEARCH_SCALAR(engine->tallies, tally, scaler, scaler);
    if (tally == NULL) {
        tally = memory_new(sizeof(*tally));
        tally->scaler = scaler;
        LL_APPEND(engine->tallies, tally);
    }
    return tally;
}

void tallies_free(struct tally *tallies)
{
    struct tally *tally;
    struct tally *next;
    LL_FOREACH_SAFE(tallies, tally, next)
    free(tally);
}

static void count_connections(const struct engine *engine)
{
    struct tally *tally;
    const struct connection *connection;
    LL_FOREACH(engine->tallies, tally)
    {
        tally->stats.connections = 0;
        tally->stats.broken_connections = 0;
    }
    for (connection = engine->connections; connection != NULL; connection = connection->hh.next) {
        struct engine_stats *stats = &connection->tally->stats;
        stats->connections++;
        stats->broken_connections +=
            connection->main_lane != NULL && connection->main_lane->state == LANE_BROKEN;
    }
}

static void add(struct engine_stats *sum, const struct engine_stats *stats)
{
    sum->connections += stats->connections;
    sum->broken_connections += stats->broken_connections;
    sum->queries += stats->queries;
    sum->failing_queries += stats->failing_queries;
    sum->slow_queries += stats->slow_queries;
    sum->armed_queries += stats->armed_queries;
    sum->wakes += stats->wakes;
    sum->failed_arms += stats->failed_arms;
    sum->connects += stats->connects;
    sum->failed_connects += stats->failed_connects;
    sum->answered_probes += stats->answered_probes;
    sum->failed_probes += stats->failed_probes;
    sum->unanswered_probes += stats->unanswered_probes;
}

void engine_stats(struct engine *engine, struct engine_stats *ret_stats)
{
    const struct tally *tally;
    *ret_stats = (struct engine_stats){0};
    pthread_mutex_lock(&engine->lock);
    count_connections(engine);
    LL_FOREACH(engine->tallies, tally)
    add(ret_stats, &tally->stats);
    pthread_mutex_unlock(&engine->lock);
}

/* ---- the page ---- */

/* All families have the label scaler; some another one, whose value is here. */
struct column {
    const char *label; /* NULL: none */
    double (*value)(const struct engine_stats *stats);
};

struct family {
    const char *name;
    enum metric_type type;
    const char *help;
    struct column columns[4]; /* one sample each; ends with an empty one */
};

#define VALUE(name, expression)                                                                    \
    static double name(const struct engine_stats *stats)                                           \
    {                                                                                              \
        return (double)(expression);                                                               \
    }

VALUE(good_connections, stats->connections - stats->broken_connections)
VALUE(broken_connections, stats->broken_connections)
VALUE(good_queries, stats->queries - stats->failing_queries)
VALUE(failing_queries, stats->failing_queries)
VALUE(slow_queries, stats->slow_queries)
VALUE(armed_queries, stats->armed_queries)
VALUE(wakes, stats->wakes)
VALUE(failed_arms, stats->failed_arms)
VALUE(good_connects, stats->connects - stats->failed_connects)
VALUE(failed_connects, stats->failed_connects)
VALUE(answered_probes, stats->answered_probes)
VALUE(failed_probes, stats->failed_probes)
VALUE(unanswered_probes, stats->unanswered_probes)

static const struct family families[] = {
    {"backlog_connections",
     METRIC_GAUGE,
     "Connections to sources; a broken one waits for its next try.",
     {{"state=\"good\"", good_connections}, {"state=\"broken\"", broken_connections}}},
    {"backlog_connects_total",
     METRIC_COUNTER,
     "Times that a source was connected to.",
     {{"result=\"good\"", good_connects}, {"result=\"failed\"", failed_connects}}},
    {"backlog_queries",
     METRIC_GAUGE,
     "Things that are measured; triggers that ask the same share one.",
     {{"state=\"good\"", good_queries}, {"state=\"failing\"", failing_queries}}},
    {"backlog_slow_queries",
     METRIC_GAUGE,
     "Queries that are asked apart from the others, because they were not answered in time.",
     {{NULL, slow_queries}}},
    {"backlog_measurements_total",
     METRIC_COUNTER,
     "Measurements of queries: the source answered, refused, or said nothing in time.",
     {{"result=\"answered\"", answered_probes},
      {"result=\"failed\"", failed_probes},
      {"result=\"unanswered\"", unanswered_probes}}},
    {"backlog_armed_queries",
     METRIC_GAUGE,
     "Idle queries whose source will tell of the next message.",
     {{NULL, armed_queries}}},
    {"backlog_wakes_total", METRIC_COUNTER, "Times that a source told of one.", {{NULL, wakes}}},
    {"backlog_failed_arms_total",
     METRIC_COUNTER,
     "Times that a source could not be asked to tell; it is polled instead.",
     {{NULL, failed_arms}}},
};

static void write_family(struct text *page, const struct family *family,
                         const struct tally *tallies)
{
    const struct tally *tally;
    metric_family(page, family->name, family->type, family->help);
    LL_FOREACH(tallies, tally)
    for (const struct column *column = family->columns; column->value != NULL; column++) {
        _cleanup_(memory_free) char *labels =
            text_format("scaler=\"%s\"%s%s", tally->scaler->name, column->label == NULL ? "" : ",",
                        column->label == NULL ? "" : column->label);
        metric_sample(page, family->name, labels, column->value(&tally->stats));
    }
}

static void write_durations(struct text *page, const struct tally *tallies)
{
    static const char name[] = "backlog_measurement_seconds";
    const struct tally *tally;
    metric_family(
        page, name, METRIC_HISTOGRAM,
        "How long a source took for a batch: all the queries of a connection that are due.");
    LL_FOREACH(tallies, tally)
    {
        _cleanup_(memory_free) char *labels = text_format("scaler=\"%s\"", tally->scaler->name);
        metric_histogram(page, name, labels, &tally->batch_seconds);
    }
}

void engine_write_metrics(struct engine *engine, struct text *page)
{
    pthread_mutex_lock(&engine->lock);
    count_connections(engine);
    for (size_t i = 0; i < ARRAY_LENGTH(families); i++)
        write_family(page, &families[i], engine->tallies);
    write_durations(page, engine->tallies);
    pthread_mutex_unlock(&engine->lock);
}
