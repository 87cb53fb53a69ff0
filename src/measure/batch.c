/*
 * A batch: the queries of a lane that are due, measured together; and what becomes of those that were
 * left unanswered, or came back.
 */
#include "measure/inside.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"

#include <stdlib.h>
#include <utlist.h>

/* A query that leaves this many measurements in a row unanswered goes to the slow lane; more of them
 * where the client was lost as well, as it is again and again while a source starts. */
enum { MOST_STRIKES = 2, MOST_LOSSES = 4 };

/* The probes of one measurement, and whose they are. */
struct batch {
    struct probe *probes;
    struct probe **pointers; /* as scaler.h wants them */
    size_t count;
    size_t answered; /* with a reading or an error: the source has spoken */
};

/* Called by the scaler, on the lane's thread, without the lock. */
static void probe_ended(struct probe *probe, const struct reading *reading,
                        const struct error *error)
{
    struct query *query = probe->owner;
    struct engine *engine = query->connection->engine;
    pthread_mutex_lock(&engine->lock);
    arm_conclude(query, probe);
    struct engine_stats *stats = &query->connection->tally->stats;
    if (reading != NULL) {
        stats->answered_probes++;
        query_set_reading(query, reading);
    } else {
        stats->failed_probes++;
        query->strikes = 0;
        query->losses = 0;
        query_set_failed(query, error);
    }
    engine_tell_askers(engine);
    pthread_mutex_unlock(&engine->lock);
}

static struct batch batch_take(struct lane *lane)
{
    int64_t now_us = clock_now_us();
    int64_t now = now_us / 1000;
    struct batch batch = {0};
    struct query *query;
    size_t most = 0;
    DL_FOREACH(lane->queries, query)
    most++;
    if (lane->slow)
        most = 1;
    batch.probes = memory_array(most, sizeof(*batch.probes));
    batch.pointers = memory_array(most, sizeof(struct probe *));

    DL_FOREACH(lane->queries, query)
    {
        if (batch.count == most)
            break;
        if (query_due_ms(query) > now)
            continue;
        query->due_now = false;
        query->asked_at_us = now_us;
        batch.probes[batch.count] = (struct probe){
            .query = query->values->data,
            .waker = arm_take(query, now),
            .values = query->values,
            .owner = query,
            .end = probe_ended,
        };
        batch.pointers[batch.count] = &batch.probes[batch.count];
        batch.count++;
    }
    return batch;
}

static void batch_done(struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        error_done(&batch->probes[i].arm_error);
    free(batch->probes);
    free(batch->pointers);
}

static void move_to_lane(struct query *query, struct lane *lane)
{
    struct engine_stats *stats = &query->connection->tally->stats;
    arm_drop(query);
    stats->slow_queries += lane->slow;
    stats->slow_queries -= query->lane->slow;
    DL_DELETE(query->lane->queries, query);
    DL_APPEND(lane->queries, query);
    query->lane = lane;
    query->strikes = 0;
    query->losses = 0;
    query->is_slow_with_all = false;
    lane_wake(lane);
}

/* It must not hold up its neighbours again, or cost them their client. Where there is no thread to be
 * had it has to stay. */
static void make_slow(struct query *query)
{
    struct connection *connection = query->connection;
    if (connection->slow_lane == NULL)
        connection->slow_lane = lane_new(connection, true);
    if (connection->slow_lane == NULL) {
        log_warning("%s: a query is not answered, and no thread can be started to ask it apart",
                    connection->label);
        return;
    }
    log_warning(
        "%s: a query is not answered, and is asked apart from the others until it is in time",
        connection->label);
    query->slow_interval_ms = connection->engine->settings.interval_ms;
    move_to_lane(query, connection->slow_lane);
}

/* ... and behind those that have not had their turn: while one hangs all wait. */
static void make_slower(struct query *query)
{
    int64_t most = query->connection->engine->settings.slow_most_ms;
    query->slow_interval_ms *= 2;
    if (query->slow_interval_ms > most)
        query->slow_interval_ms = most;
    DL_DELETE(query->lane->queries, query);
    DL_APPEND(query->lane->queries, query);
}

/* One answer in time brings a query back, and with it all that became slow because the whole source was
 * silent. Those that hang by themselves may have recovered too, so they are asked now. */
static void make_quick(struct query *query)
{
    struct lane *main_lane = query->connection->main_lane;
    struct query *fellow;
    struct query *next;
    DL_FOREACH_SAFE(query->lane->queries, fellow, next)
    {
        fellow->due_now = fellow != query;
        if (fellow == query || fellow->is_slow_with_all)
            move_to_lane(fellow, main_lane);
    }
}

/* A probe that nobody ended, of a client that is still of use. */
static void judge_overdue(struct lane *lane, const struct batch *batch, struct query *query)
{
    _cleanup_(error_done) struct error error = {0};
    error_unavailable(&error, "no answer within %lld ms",
                      (long long)lane->connection->engine->settings.deadline_ms);
    query_set_failed(query, &error);
    query->strikes = batch->answered > 0 ? MOST_STRIKES : query->strikes + 1;
    if (lane->slow)
        make_slower(query);
    else if (query->strikes >= MOST_STRIKES) {
        make_slow(query);
        query->is_slow_with_all = batch->answered == 0;
    } else
        query->due_now = true;
}

/* A probe that nobody ended, of a client that was lost over it, or over another one of the batch. */
static void judge_lost(struct lane *lane, struct query *query, const struct error *error)
{
    query_set_failed(query, error);
    query->losses++;
    if (lane->slow)
        make_slower(query);
    else if (query->losses >= MOST_LOSSES)
        make_slow(query);
}

static void judge_batch(struct lane *lane, struct batch *batch, bool usable,
                        const struct error *error)
{
    if (lane->connection->engine->stopping)
        return; /* the other lane may be gone */
    for (size_t i = 0; i < batch->count; i++)
        batch->answered += batch->probes[i].ended;

    for (size_t i = 0; i < batch->count; i++) {
        struct query *query = batch->probes[i].owner;
        if (!batch->probes[i].ended) {
            query->connection->tally->stats.unanswered_probes++;
            arm_conclude(query, &batch->probes[i]);
        }
        if (!batch->probes[i].ended && usable)
            judge_overdue(lane, batch, query);
        else if (!batch->probes[i].ended)
            judge_lost(lane, query, error);
        else if (lane->slow)
            make_quick(query);
    }
}

void batch_measure(struct lane *lane)
{
    struct engine *engine = lane->connection->engine;
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(batch_done) struct batch batch = batch_take(lane);
    int64_t began_us = clock_now_us();
    int64_t deadline_ms = began_us / 1000 + engine->settings.deadline_ms;

    pthread_mutex_unlock(&engine->lock);
    bool usable = client_measure(lane->client, batch.pointers, batch.count, deadline_ms, &error);
    pthread_mutex_lock(&engine->lock);
    histogram_add(&lane->connection->tally->batch_seconds,
                  (double)(clock_now_us() - began_us) / 1e6);

    judge_batch(lane, &batch, usable, &error);
    /* Silence may be a dead source or one hanging query. Connecting again tells them apart, and until
     * then only those fail that were asked. */
    if (!usable && batch.answered == batch.count)
        lane_set_spent(lane, &error);
    else if (!usable)
        lane_set_state(lane, LANE_BROKEN, &error);
    else if (batch.answered == 0)
        lane_set_state(lane, LANE_APART, NULL);
    else
        lane_set_good(lane);
    engine_tell_askers(engine);
}
