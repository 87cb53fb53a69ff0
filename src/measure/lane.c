/*
 * A lane: the thread that owns one client, and moves between three states.
 *
 *   APART      a query is due        -> connect   -> CONNECTED, or BROKEN
 *   CONNECTED  a query is due        -> measure   -> CONNECTED, or BROKEN where the client is lost
 *   BROKEN     retry_at_ms has come  -> connect   -> CONNECTED (and everything is due), or BROKEN
 *
 * lane_set_state() alone moves it. The lane lives as long as it has queries.
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

static struct engine *engine_of(const struct lane *lane)
{
    return lane->connection->engine;
}

static const char *name_of(const struct lane *lane)
{
    return lane->slow ? " (slow lane)" : "";
}

/* At once after the first failure, then doubling; the jitter keeps many replicas apart. */
static int64_t backoff_ms(const struct engine_settings *settings, unsigned failures)
{
    if (failures <= 1)
        return 0;
    int64_t wait = settings->backoff_first_ms;
    for (unsigned i = 2; i < failures && wait < settings->backoff_most_ms; i++)
        wait *= 2;
    if (wait > settings->backoff_most_ms)
        wait = settings->backoff_most_ms;
    return wait - wait / 4 + clock_jitter((uint32_t)(wait / 4 + 1));
}

static void close_client(struct lane *lane)
{
    if (lane->client == NULL)
        return;
    struct client *client = TAKE(lane->client);
    pthread_mutex_unlock(&engine_of(lane)->lock);
    client_close(client);
    pthread_mutex_lock(&engine_of(lane)->lock);
}

static void tell_askers(struct lane *lane)
{
    struct engine *engine = engine_of(lane);
    if (engine->ready == NULL || engine->settings.wake == NULL)
        return;
    pthread_mutex_unlock(&engine->lock);
    engine->settings.wake(engine->settings.wake_context);
    pthread_mutex_lock(&engine->lock);
}

/* Every query of a broken connection fails with it, so that what is refused is refused at once. */
static void set_broken(struct lane *lane, struct error *error)
{
    struct query *query;
    if (!error_is_set(&lane->error))
        log_warning("%s%s is broken: %s", lane->connection->label, name_of(lane),
                    error_text(error));
    error_move(&lane->error, error);
    lane->failures++;
    lane->retry_at_ms = clock_now_ms() + backoff_ms(&engine_of(lane)->settings, lane->failures);
    DL_FOREACH(lane->queries, query)
    query_set_failed(query, &lane->error);
    tell_askers(lane);
}

/* The error is taken with LANE_BROKEN, and NULL otherwise. May open the lock for a moment. */
static void lane_set_state(struct lane *lane, enum lane_state state, struct error *error)
{
    struct query *query;
    bool recovering = lane->state == LANE_BROKEN && state == LANE_CONNECTED;

    lane->state = state;
    if (state == LANE_BROKEN)
        set_broken(lane, error);
    if (recovering)
        DL_FOREACH(lane->queries, query)
    query->due_now = !lane->slow || query->losses == 0;
    if (state != LANE_CONNECTED)
        close_client(lane);
}

/* A whole measurement went well: what was broken is mended. */
static void lane_set_good(struct lane *lane)
{
    if (error_is_set(&lane->error))
        log_info("%s%s is back", lane->connection->label, name_of(lane));
    error_done(&lane->error);
    lane->failures = 0;
}

void lane_wake(struct lane *lane)
{
    pthread_cond_signal(&lane->changed);
}

/* When there is something to do; 0: now. */
static int64_t next_due_ms(const struct lane *lane)
{
    if (lane->state == LANE_BROKEN)
        return lane->retry_at_ms;

    int64_t next = CLOCK_NEVER;
    const struct query *query;
    DL_FOREACH(lane->queries, query)
    if (query_due_ms(query) < next)
        next = query_due_ms(query);
    return next;
}

/* Condition variables know no CLOCK_BOOTTIME; a sleep of the machine only makes a wait longer. */
static void wait_until_ms(struct lane *lane, int64_t due_ms)
{
    struct engine *engine = engine_of(lane);
    int64_t left = clock_left_ms(due_ms, 60 * 1000);
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += left / 1000;
    until.tv_nsec += left % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_cond_clockwait(&lane->changed, &engine->lock, CLOCK_MONOTONIC, &until);
}

static void free_released(struct lane *lane)
{
    struct query *query;
    struct query *next;
    DL_FOREACH_SAFE(lane->queries, query, next)
    if (query->paces == NULL)
        query_free(query);
}

/* What the connection is made of does not change, so it is read without the lock. */
static void connect_client(struct lane *lane)
{
    struct engine *engine = engine_of(lane);
    const struct connection *connection = lane->connection;
    const char *program = connection->isolated ? engine->settings.program : NULL;
    _cleanup_(error_done) struct error error = {0};
    struct client *client = NULL;

    engine->stats.connects++;
    pthread_mutex_unlock(&engine->lock);
    bool good = client_open(connection->scaler, connection->values, program,
                            clock_now_ms() + engine->settings.deadline_ms, &client, &error);
    pthread_mutex_lock(&engine->lock);

    lane->client = client;
    lane_set_state(lane, good ? LANE_CONNECTED : LANE_BROKEN, good ? NULL : &error);
}

/* Called by the scaler, on the lane's thread, without the lock. */
static void probe_ended(struct probe *probe, const struct reading *reading,
                        const struct error *error)
{
    struct query *query = probe->owner;
    struct engine *engine = query->connection->engine;
    pthread_mutex_lock(&engine->lock);
    if (reading != NULL)
        query_set_reading(query, reading);
    else {
        engine->stats.failed_probes++;
        query->strikes = 0;
        query->losses = 0;
        query_set_failed(query, error);
    }
    tell_askers(query->lane);
    pthread_mutex_unlock(&engine->lock);
}

static struct batch batch_take(struct lane *lane)
{
    int64_t now = clock_now_ms();
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
        query->asked_at_ms = now;
        batch.probes[batch.count] = (struct probe){
            .query = query->values->data,
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
    free(batch->probes);
    free(batch->pointers);
}

static void move_to_lane(struct query *query, struct lane *lane)
{
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

static void make_slower(struct query *query)
{
    int64_t most = query->connection->engine->settings.slow_most_ms;
    query->slow_interval_ms *= 2;
    if (query->slow_interval_ms > most)
        query->slow_interval_ms = most;
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
                      (long long)engine_of(lane)->settings.deadline_ms);
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
    if (lane->slow) {
        make_slower(query);
        DL_DELETE(lane->queries, query); /* behind those that have not had their turn */
        DL_APPEND(lane->queries, query);
    } else if (query->losses >= MOST_LOSSES)
        make_slow(query);
}

static void judge_batch(struct lane *lane, struct batch *batch, bool usable,
                        const struct error *error)
{
    if (engine_of(lane)->stopping)
        return; /* the other lane may be gone */
    for (size_t i = 0; i < batch->count; i++)
        batch->answered += batch->probes[i].ended;

    for (size_t i = 0; i < batch->count; i++) {
        struct query *query = batch->probes[i].owner;
        if (!batch->probes[i].ended && usable)
            judge_overdue(lane, batch, query);
        else if (!batch->probes[i].ended)
            judge_lost(lane, query, error);
        else if (lane->slow)
            make_quick(query);
    }
}

static void measure(struct lane *lane)
{
    struct engine *engine = engine_of(lane);
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(batch_done) struct batch batch = batch_take(lane);
    int64_t deadline_ms = clock_now_ms() + engine->settings.deadline_ms;

    engine->stats.batches++;
    engine->stats.probes += batch.count;
    pthread_mutex_unlock(&engine->lock);
    bool usable = client_measure(lane->client, batch.pointers, batch.count, deadline_ms, &error);
    pthread_mutex_lock(&engine->lock);

    judge_batch(lane, &batch, usable, &error);
    /* Silence may be a dead source or one hanging query. Connecting again tells them apart, and until
     * then only those fail that were asked. */
    if (!usable)
        lane_set_state(lane, LANE_BROKEN, &error);
    else if (batch.answered == 0)
        lane_set_state(lane, LANE_APART, NULL);
    else
        lane_set_good(lane);
    tell_askers(lane);
}

static bool is_finished(struct lane *lane)
{
    const struct connection *connection = lane->connection;
    if (engine_of(lane)->stopping)
        return true;
    free_released(lane);
    return lane->queries == NULL && (lane->slow || connection->slow_lane == NULL);
}

/* Each thread that ends joins the one that ended before it, and the engine the last one, so that none is
 * left behind when the program exits. */
static void join_predecessor(struct engine *engine)
{
    bool has_predecessor = engine->has_ended;
    pthread_t predecessor = engine->ended;
    engine->has_ended = true;
    engine->ended = pthread_self();
    if (has_predecessor)
        pthread_join(predecessor, NULL); /* it no longer needs the lock */
}

/* The last act of the thread, under the lock: nobody may find the lane after it. */
static void lane_end(struct lane *lane)
{
    struct connection *connection = lane->connection;
    struct engine *engine = connection->engine;
    struct query *query;
    struct query *next;

    DL_FOREACH_SAFE(lane->queries, query, next)
    query_free(query);
    if (lane->slow)
        connection->slow_lane = NULL;
    else
        connection->main_lane = NULL;
    if (connection->main_lane != NULL)
        lane_wake(connection->main_lane); /* it may have waited for us to end */
    else if (connection->slow_lane == NULL)
        connection_free(connection);

    error_done(&lane->error);
    pthread_cond_destroy(&lane->changed);
    free(lane);
    join_predecessor(engine);
    engine->lanes--;
    pthread_cond_signal(&engine->lane_ended);
}

static void *lane_run(void *argument)
{
    struct lane *lane = argument;
    struct engine *engine = engine_of(lane);

    pthread_mutex_lock(&engine->lock);
    for (;;) {
        if (is_finished(lane)) {
            lane_set_state(lane, LANE_APART, NULL);
            if (is_finished(lane)) /* somebody may have come while the lock was open */
                break;
        }
        int64_t due_ms = next_due_ms(lane);
        if (due_ms > clock_now_ms())
            wait_until_ms(lane, due_ms);
        else if (lane->client == NULL)
            connect_client(lane);
        else
            measure(lane);
    }
    lane_end(lane);
    pthread_mutex_unlock(&engine->lock);
    return NULL;
}

struct lane *lane_new(struct connection *connection, bool slow)
{
    struct lane *lane = memory_new(sizeof(*lane));
    pthread_t thread;
    lane->connection = connection;
    lane->slow = slow;
    pthread_cond_init(&lane->changed, NULL);
    if (pthread_create(&thread, NULL, lane_run, lane) != 0) {
        pthread_cond_destroy(&lane->changed);
        free(lane);
        return NULL;
    }
    connection->engine->lanes++;
    return lane;
}
