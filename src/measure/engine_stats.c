/* Adds up the counts of all connections, and those of connections that have ended. */
#include "measure/engine_internal.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure/connection/connection.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void add_stats(struct connection_stats *sum, const struct connection_stats *stats)
{
    for (size_t i = 0; i < CONNECTION_COUNTS; i++)
        sum->counts[i] += stats->counts[i];
    histogram_join(&sum->measurement_seconds, &stats->measurement_seconds);
    sum->utilization = fmax(sum->utilization, stats->utilization);
    sum->delay_seconds = fmax(sum->delay_seconds, stats->delay_seconds);
}

static struct stats_row *find_row(struct stats_row *rows, const char *name)
{
    struct stats_row *row;
    HASH_FIND_STR(rows, name, row);
    return row;
}

static char *name_row(const struct scaler *scaler, const char *connection)
{
    return text_format("%s%s%s", scaler->name, connection == NULL ? "" : "\n",
                       connection == NULL ? "" : connection);
}

/* Finds the row, or makes it with zeros. */
static struct connection_stats *row_for(struct stats_row **rows, const struct scaler *scaler,
                                        const char *connection)
{
    _cleanup_(memory_free) char *name = name_row(scaler, connection);
    struct stats_row *row = find_row(*rows, name);
    if (row != NULL)
        return &row->stats;
    row = memory_new(sizeof(*row));
    row->scaler = scaler;
    row->connection = text_copy(connection);
    row->name = TAKE(name);
    HASH_ADD_KEYPTR(hh, *rows, row->name, strlen(row->name), row);
    return &row->stats;
}

void engine_free_rows(struct stats_row *rows)
{
    struct stats_row *row;
    struct stats_row *next;
    HASH_ITER(hh, rows, row, next) {
        HASH_DEL(rows, row);
        free(row->connection);
        free(row->name);
        free(row);
    }
}

/* Moves its counters out of the connection, which counts from 0 again. */
static struct connection_stats take_ever(struct connection *connection)
{
    struct connection_stats *own = &connection->stats;
    struct connection_stats taken = *own;
    memset(taken.counts, 0, COUNT_FIRST_EVER * sizeof(*taken.counts));
    for (size_t i = COUNT_FIRST_EVER; i < CONNECTION_COUNTS; i++)
        own->counts[i] = 0;
    own->measurement_seconds = (struct histogram){0};
    return taken;
}

static bool has_counted(const struct connection_stats *stats)
{
    for (size_t i = COUNT_FIRST_EVER; i < CONNECTION_COUNTS; i++)
        if (stats->counts[i] > 0)
            return true;
    return false;
}

/* A name is remembered, up to a limit of names. Beyond it the counts go to the scaler's row. */
void engine_retire_stats(struct engine *engine, struct connection *connection)
{
    enum { MAX_REMEMBERED = 1024 };
    if (!has_counted(&connection->stats))
        return;
    const char *name = connection->naming.name;
    _cleanup_(memory_free) char *row_name = name_row(connection->scaler, name);
    bool may =
        HASH_COUNT(engine->retired) < MAX_REMEMBERED || find_row(engine->retired, row_name) != NULL;
    const struct connection_stats taken = take_ever(connection);
    add_stats(row_for(&engine->retired, connection->scaler, may ? name : NULL), &taken);
}

struct connection_stats engine_connection_stats(struct connection *connection)
{
    int64_t now_ms = connection_now_ms(connection);
    struct connection_stats stats = connection->stats;
    if (connection->state == CONNECTION_FAILED) {
        stats.counts[COUNT_FAILED_CONNECTIONS] = 1;
        stats.counts[COUNT_FAILING_QUERIES] = stats.counts[COUNT_QUERIES];
    }
    stats.counts[COUNT_ISOLATED_QUERIES] = schedule_isolated_jobs(&connection->schedule);
    stats.counts[COUNT_HELD_CONNECTIONS] = stats.counts[COUNT_HELD_TRIGGERS] > 0;
    stats.utilization = schedule_utilization(&connection->schedule, now_ms);
    stats.delay_seconds = (double)schedule_recent_delay_ms(&connection->schedule, now_ms) / 1000;
    return stats;
}

/* Holds the map's lock for the whole visit: a connection that ended in between would be counted
 * twice, or not at all. */
static void visit_all(struct engine *engine,
                      void (*visit)(void *context, const struct scaler *scaler, const char *name,
                                    const struct connection_stats *stats),
                      void *context)
{
    pthread_mutex_lock(&engine->lock);
    for (const struct stats_row *row = engine->retired; row != NULL; row = row->hh.next)
        visit(context, row->scaler, row->connection, &row->stats);
    for (struct poller *poller = engine->pollers; poller != NULL; poller = poller->hh.next) {
        _cleanup_(connection_unlock) struct connection *connection = poller_lock(poller);
        const struct connection_stats stats = engine_connection_stats(connection);
        visit(context, connection->scaler, connection->naming.name, &stats);
    }
    pthread_mutex_unlock(&engine->lock);
}

static void add_to_rows(void *context, const struct scaler *scaler, const char *name,
                        const struct connection_stats *stats)
{
    add_stats(row_for(context, scaler, name), stats);
}

struct stats_row *engine_collect_stats(struct engine *engine)
{
    struct stats_row *rows = NULL;
    visit_all(engine, add_to_rows, &rows);
    return rows;
}

struct stats_row *engine_rows_by_scaler(const struct stats_row *rows)
{
    struct stats_row *sums = NULL;
    for (; rows != NULL; rows = rows->hh.next)
        add_stats(row_for(&sums, rows->scaler, NULL), &rows->stats);
    return sums;
}

static void add_to_sum(void *context, const struct scaler *scaler, const char *name,
                       const struct connection_stats *stats)
{
    (void)scaler;
    (void)name;
    add_stats(context, stats);
}

void engine_stats(struct engine *engine, struct connection_stats *ret_stats)
{
    *ret_stats = (struct connection_stats){0};
    visit_all(engine, add_to_sum, ret_stats);
}
