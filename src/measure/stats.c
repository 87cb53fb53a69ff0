/*
 * What the engine counts, by scaler and by connection of the connections file. That is as fine as
 * it may be: inline connections and queries come and go with what users write.
 */
#include "measure/engine_internal.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/metric.h"
#include "base/text.h"
#include "measure/connection/connection.h"

#include <math.h>
#include <stdlib.h>
#include <utlist.h>

/* ---- adding up ---- */

static void add_totals(struct connection_totals *sum, const struct connection_totals *totals)
{
    sum->notifications += totals->notifications;
    sum->failed_subscriptions += totals->failed_subscriptions;
    sum->connects += totals->connects;
    sum->failed_connects += totals->failed_connects;
    sum->answered += totals->answered;
    sum->failed += totals->failed;
    sum->unanswered += totals->unanswered;
}

static void add_counts(struct connection_counts *sum, const struct connection_counts *stats)
{
    sum->now.connections += stats->now.connections;
    sum->now.failed_connections += stats->now.failed_connections;
    sum->now.queries += stats->now.queries;
    sum->now.failing_queries += stats->now.failing_queries;
    sum->now.isolated_queries += stats->now.isolated_queries;
    sum->now.subscribed_queries += stats->now.subscribed_queries;
    sum->now.held_triggers += stats->now.held_triggers;
    sum->now.held_connections += stats->now.held_connections;
    sum->now.expired_triggers += stats->now.expired_triggers;
    add_totals(&sum->ever, &stats->ever);
}

static void add_stats(struct connection_stats *sum, const struct connection_stats *stats)
{
    add_counts(&sum->counts, &stats->counts);
    histogram_join(&sum->measurement_seconds, &stats->measurement_seconds);
    if (stats->utilization > sum->utilization)
        sum->utilization = stats->utilization;
    if (stats->delay_seconds > sum->delay_seconds)
        sum->delay_seconds = stats->delay_seconds;
}

/* Found or made, with zeros. */
static struct connection_stats *row_of(struct stats_row **list, const struct scaler *scaler,
                                       const char *connection)
{
    struct stats_row *found;
    LL_FOREACH(*list, found)
        if (found->scaler == scaler && text_equal(found->connection, connection))
            return &found->stats;
    found = memory_new(sizeof(*found));
    found->scaler = scaler;
    found->connection = text_copy(connection);
    LL_APPEND(*list, found);
    return &found->stats;
}

static void free_rows(struct stats_row *list)
{
    struct stats_row *each;
    struct stats_row *next;
    LL_FOREACH_SAFE(list, each, next) {
        free(each->connection);
        free(each);
    }
}

/* Names that were in the connections file once are remembered up to a limit. */
void engine_retire_stats(struct engine *engine, const struct connection *connection)
{
    enum { MAX_REMEMBERED = 1024 };
    struct stats_row *each;
    int count = 0;
    LL_COUNT(engine->retired, each, count);
    struct connection_stats *stats =
        row_of(&engine->retired, connection->scaler,
               count < MAX_REMEMBERED ? connection->naming.name : NULL);
    add_totals(&stats->counts.ever, &connection->stats.counts.ever);
    histogram_join(&stats->measurement_seconds, &connection->stats.measurement_seconds);
}

void engine_free_stats(struct engine *engine)
{
    free_rows(TAKE(engine->retired));
}

/* `ret_name` is the caller's to free. */
static struct connection_stats current_stats(struct poller *poller, char **ret_name)
{
    _cleanup_(connection_unlock) struct connection *connection = poller_lock(poller);
    int64_t now_ms = clock_now_ms();
    struct connection_stats stats = connection->stats;
    if (connection->state == CONNECTION_FAILED)
        stats.counts.now.failing_queries = stats.counts.now.queries;
    stats.counts.now.isolated_queries = schedule_isolated_jobs(&connection->schedule);
    stats.counts.now.held_connections = stats.counts.now.held_triggers > 0;
    *ret_name = text_copy(connection->naming.name);
    stats.utilization = schedule_utilization(&connection->schedule, now_ms);
    stats.delay_seconds = (double)schedule_recent_delay_ms(&connection->schedule, now_ms) / 1000;
    return stats;
}

/* By scaler, and by the names of connections where they matter; the caller frees the list. */
static struct stats_row *collect(struct engine *engine, bool by_connection)
{
    struct stats_row *list = NULL;
    const struct stats_row *retired;
    pthread_mutex_lock(&engine->lock);
    LL_FOREACH(engine->retired, retired)
        add_stats(row_of(&list, retired->scaler, by_connection ? retired->connection : NULL),
                  &retired->stats);
    for (struct poller *poller = engine->pollers; poller != NULL; poller = poller->hh.next) {
        _cleanup_(memory_free) char *name = NULL;
        struct connection_stats stats = current_stats(poller, &name);
        add_stats(row_of(&list, poller->connection.scaler, by_connection ? name : NULL), &stats);
    }
    pthread_mutex_unlock(&engine->lock);
    return list;
}

void engine_counts(struct engine *engine, struct connection_counts *ret_stats)
{
    struct stats_row *list = collect(engine, false);
    const struct stats_row *each;
    *ret_stats = (struct connection_counts){0};
    LL_FOREACH(list, each)
        add_counts(ret_stats, &each->stats.counts);
    free_rows(list);
}

/* A connection as it was, and what of it is not the engine's. */
struct connection_copy {
    struct connection_info info;
    struct option_values *values;
    char *name;
    char *error;
};

static void copy_connection(struct poller *poller, struct connection_copy *ret_copy)
{
    _cleanup_(memory_free) char *name = NULL;
    struct connection_stats stats = current_stats(poller, &name);
    struct connection_copy copy = {.values = option_values_share(poller->values)};
    _cleanup_(connection_unlock) struct connection *connection = poller_lock(poller);
    double round_trip_us = connection->round_trip_us;
    copy.name = text_copy(connection->naming.title);
    copy.error = text_copy(error_text(&connection->error));
    copy.info = (struct connection_info){
        .number = poller->number,
        .name = copy.name,
        .scaler = connection->scaler,
        .values = copy.values,
        .in_agent = poller->in_agent,
        .state = connection_client_state(connection),
        .error = copy.error,
        .queries = stats.counts.now.queries,
        .failing_queries = stats.counts.now.failing_queries,
        .isolated_queries = stats.counts.now.isolated_queries,
        .subscribed_queries = stats.counts.now.subscribed_queries,
        .utilization = stats.utilization,
        .delay_seconds = stats.delay_seconds,
        .round_trip_seconds = round_trip_us > 0 ? round_trip_us / 1e6 : NAN,
    };
    *ret_copy = copy;
}

static void free_copy(struct connection_copy *copy)
{
    option_values_free(copy->values);
    free(copy->name);
    free(copy->error);
}

/* Those behind this number; uthash has them in the order in which they came. */
static size_t copy_connections(struct engine *engine, uint64_t behind,
                               struct connection_copy *copies, size_t room)
{
    size_t count = 0;
    pthread_mutex_lock(&engine->lock);
    for (struct poller *poller = engine->pollers; poller != NULL && count < room;
         poller = poller->hh.next)
        if (poller->number > behind)
            copy_connection(poller, &copies[count++]);
    pthread_mutex_unlock(&engine->lock);
    return count;
}

void engine_connections(struct engine *engine,
                        void (*visit)(void *context, const struct connection_info *info),
                        void *context)
{
    struct connection_copy copies[32];
    uint64_t last = 0;
    size_t count;
    while ((count = copy_connections(engine, last, copies, ARRAY_LENGTH(copies))) > 0) {
        last = copies[count - 1].info.number;
        for (size_t i = 0; i < count; i++) {
            visit(context, &copies[i].info);
            free_copy(&copies[i]);
        }
    }
}

/* ---- the page ---- */

/* All families have the labels scaler and, where the connections file has it, connection; some
 * another one, whose value is here. */
struct column {
    const char *label; /* NULL: none */
    double (*value)(const struct connection_stats *stats);
};

struct family {
    const char *name;
    enum metric_type type;
    const char *help;
    struct column columns[4]; /* one sample each; ends with an empty one */
};

#define VALUE(name, expression)                                                                    \
    static double name(const struct connection_stats *stats)                                       \
    {                                                                                              \
        return (double)(expression);                                                               \
    }

VALUE(good_connections, stats->counts.now.connections - stats->counts.now.failed_connections)
VALUE(failed_connections, stats->counts.now.failed_connections)
VALUE(good_queries, stats->counts.now.queries - stats->counts.now.failing_queries)
VALUE(failing_queries, stats->counts.now.failing_queries)
VALUE(isolated_queries, stats->counts.now.isolated_queries)
VALUE(subscribed_queries, stats->counts.now.subscribed_queries)
VALUE(held_triggers, stats->counts.now.held_triggers)
VALUE(held_connections, stats->counts.now.held_connections)
VALUE(expired_triggers, stats->counts.now.expired_triggers)
VALUE(notifications, stats->counts.ever.notifications)
VALUE(failed_subscriptions, stats->counts.ever.failed_subscriptions)
VALUE(good_connects, stats->counts.ever.connects - stats->counts.ever.failed_connects)
VALUE(failed_connects, stats->counts.ever.failed_connects)
VALUE(answered, stats->counts.ever.answered)
VALUE(failed, stats->counts.ever.failed)
VALUE(unanswered, stats->counts.ever.unanswered)

VALUE(utilization, stats->utilization)
VALUE(delay, stats->delay_seconds)

static const struct family families[] = {
    {"backlog_connections",
     METRIC_GAUGE,
     "Connections to sources; a failed one waits for its next attempt.",
     {{"state=\"ok\"", good_connections}, {"state=\"failed\"", failed_connections}}},
    {"backlog_connection_attempts_total",
     METRIC_COUNTER,
     "Attempts to connect to a source.",
     {{"result=\"success\"", good_connects}, {"result=\"failure\"", failed_connects}}},
    {"backlog_queries",
     METRIC_GAUGE,
     "Queries that are measured; triggers with the same query share one.",
     {{"state=\"ok\"", good_queries}, {"state=\"failing\"", failing_queries}}},
    {"backlog_isolated_queries",
     METRIC_GAUGE,
     "Queries in flight or due that are measured separately, because they timed out last or are "
     "slow.",
     {{NULL, isolated_queries}}},
    {"backlog_measurements_total",
     METRIC_COUNTER,
     "Measurements of queries: the source answered, refused, or did not answer in time.",
     {{"result=\"success\"", answered},
      {"result=\"error\"", failed},
      {"result=\"timeout\"", unanswered}}},
    {"backlog_subscribed_queries",
     METRIC_GAUGE,
     "Idle queries whose source will notify of the next message.",
     {{NULL, subscribed_queries}}},
    {"backlog_held_triggers",
     METRIC_GAUGE,
     "Triggers that are answered by what was known before measuring began to fail.",
     {{NULL, held_triggers}}},
    {"backlog_held_connections",
     METRIC_GAUGE,
     "Connections with such triggers.",
     {{NULL, held_connections}}},
    {"backlog_hold_expired_triggers",
     METRIC_GAUGE,
     "Triggers that were held, and get errors since their hold is over.",
     {{NULL, expired_triggers}}},
    {"backlog_push_notifications_total",
     METRIC_COUNTER,
     "Notifications of new messages by sources.",
     {{NULL, notifications}}},
    {"backlog_push_subscribe_failures_total",
     METRIC_COUNTER,
     "Failed attempts to subscribe to a query, which is polled instead.",
     {{NULL, failed_subscriptions}}},
    {"backlog_source_utilization_ratio",
     METRIC_GAUGE,
     "Queries in flight as a share of the maximum, in the last seconds; of the busiest connection.",
     {{NULL, utilization}}},
    {"backlog_source_delay_seconds",
     METRIC_GAUGE,
     "How long queries waited for their turn in the last seconds; of the slowest connection.",
     {{NULL, delay}}},
};

static void write_family(struct text *page, const struct family *family,
                         const struct stats_row *list)
{
    const struct stats_row *each;
    metric_family(page, family->name, family->type, family->help);
    LL_FOREACH(list, each)
        for (const struct column *column = family->columns; column->value != NULL; column++) {
            _cleanup_(text_done) struct text labels = {0};
            metric_add_label(&labels, "scaler", each->scaler->name);
            if (each->connection != NULL)
                metric_add_label(&labels, "connection", each->connection);
            if (column->label != NULL)
                text_addf(&labels, ",%s", column->label);
            metric_sample(page, family->name, labels.bytes, column->value(&each->stats));
        }
}

static void write_durations(struct text *page, const struct stats_row *list)
{
    static const char name[] = "backlog_measurement_duration_seconds";
    const struct stats_row *each;
    metric_family(page, name, METRIC_HISTOGRAM, "How long the measurement of a query took.");
    LL_FOREACH(list, each) {
        _cleanup_(memory_free) char *labels = text_format("scaler=\"%s\"", each->scaler->name);
        metric_histogram(page, name, labels, &each->stats.measurement_seconds);
    }
}

void engine_history_stats(struct engine *engine, struct history_stats *ret_stats)
{
    history_stats(engine->history, ret_stats);
}

static void write_history(struct engine *engine, struct text *page)
{
    struct history_stats stats;
    engine_history_stats(engine, &stats);
    if (stats.max_bytes == 0)
        return;
    metric_single(page, "backlog_history_bytes", METRIC_GAUGE,
                  "Memory that the readings of the last hour take.", (double)stats.bytes);
    metric_single(page, "backlog_history_dropped_total", METRIC_COUNTER,
                  "Readings of the last hour that were dropped because the history was full.",
                  (double)stats.dropped);
}

void engine_write_metrics(struct engine *engine, struct text *page)
{
    struct stats_row *list = collect(engine, true);
    for (size_t i = 0; i < ARRAY_LENGTH(families); i++)
        write_family(page, &families[i], list);
    free_rows(list);
    list = collect(engine, false);
    write_durations(page, list);
    free_rows(list);
    write_history(engine, page);
}
