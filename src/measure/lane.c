/*
 * A lane: the thread that owns one client, and moves between three states.
 *
 *   APART      a query is due, and     -> connect   -> CONNECTED, or BROKEN
 *              retry_at_ms has come
 *   CONNECTED  a query is due          -> measure   -> CONNECTED; BROKEN where the client is lost; APART where
 *                                                      it had answered all before, or nobody answered
 *   BROKEN     retry_at_ms has come    -> connect   -> CONNECTED (and everything is due), or BROKEN
 *
 * lane_set_state() alone moves it. The lane lives as long as it has queries.
 */
#include "measure/inside.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utlist.h>

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

static void back_off(struct lane *lane)
{
    lane->failures++;
    lane->retry_at_ms = clock_now_ms() + backoff_ms(&engine_of(lane)->settings, lane->failures);
}

/* Every query of a broken connection fails with it, so that what is refused is refused at once. */
static void set_broken(struct lane *lane, struct error *error)
{
    struct query *query;
    if (!error_is_set(&lane->error))
        log_warning("%s%s is broken: %s", lane->connection->label, name_of(lane),
                    error_text(error));
    error_move(&lane->error, error);
    back_off(lane);
    DL_FOREACH(lane->queries, query)
    query_set_failed(query, &lane->error);
    engine_tell_askers(engine_of(lane));
}

/* The error is taken with LANE_BROKEN, and NULL otherwise. May open the lock for a moment. */
void lane_set_state(struct lane *lane, enum lane_state state, struct error *error)
{
    struct query *query;
    bool recovering = lane->state == LANE_BROKEN && state == LANE_CONNECTED;

    lane->state = state;
    if (state != LANE_CONNECTED)
        arm_forget_all(lane);
    if (state == LANE_BROKEN)
        set_broken(lane, error);
    if (recovering)
        DL_FOREACH(lane->queries, query)
    query->due_now = !lane->slow || query->losses == 0;
    if (state != LANE_CONNECTED)
        close_client(lane);
}

/* The client is of no further use, but has answered all that it was asked: what is known stays true, and the
 * next client tells whether the source is well. */
void lane_set_spent(struct lane *lane, const struct error *error)
{
    log_warning("%s%s is connected anew: %s", lane->connection->label, name_of(lane),
                error_text(error));
    back_off(lane);
    lane_set_state(lane, LANE_APART, NULL);
}

/* A whole measurement went well: what was broken is mended. */
void lane_set_good(struct lane *lane)
{
    if (error_is_set(&lane->error))
        log_info("%s%s is back", lane->connection->label, name_of(lane));
    error_done(&lane->error);
    lane->failures = 0;
}

void lane_wake(struct lane *lane)
{
    if (lane->rung)
        return;
    lane->rung = true;
    eventfd_write(lane->bell, 1);
}

static void silence_bell(struct lane *lane)
{
    eventfd_t rings;
    if (lane->rung)
        eventfd_read(lane->bell, &rings);
    lane->rung = false;
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
    return lane->state == LANE_APART && next < lane->retry_at_ms ? lane->retry_at_ms : next;
}

/* ... or until somebody rings the bell, or the source has told something by itself. */
static void wait_until_ms(struct lane *lane, int64_t due_ms)
{
    enum { LONGEST_MS = 60 * 1000 }; /* poll() does not count while the machine sleeps */
    struct engine *engine = engine_of(lane);
    pthread_mutex_unlock(&engine->lock);
    struct pollfd waits[] = {
        {.fd = lane->bell, .events = POLLIN},
        {.fd = lane->client == NULL ? -1 : client_descriptor(lane->client), .events = POLLIN},
    };
    bool heard = poll(waits, ARRAY_LENGTH(waits), clock_left_ms(due_ms, LONGEST_MS)) > 0 &&
                 waits[1].revents != 0;
    bool has_arms = !heard || client_hear(lane->client);
    pthread_mutex_lock(&engine->lock);

    silence_bell(lane);
    if (!has_arms)
        arm_wake_all(lane);
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

    pthread_mutex_unlock(&engine->lock);
    bool good = client_open(connection->scaler, connection->values, program,
                            clock_now_ms() + engine->settings.deadline_ms, &client, &error);
    pthread_mutex_lock(&engine->lock);

    connection->tally->stats.connects++;
    connection->tally->stats.failed_connects += !good;
    lane->client = client;
    lane_set_state(lane, good ? LANE_CONNECTED : LANE_BROKEN, good ? NULL : &error);
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

static void lane_free(struct lane *lane)
{
    close(lane->bell);
    free(lane->disarms);
    error_done(&lane->error);
    free(lane);
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

    lane_free(lane);
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
        if (arm_disarm(lane))
            continue;
        int64_t due_ms = next_due_ms(lane);
        if (due_ms > clock_now_ms())
            wait_until_ms(lane, due_ms);
        else if (lane->client == NULL)
            connect_client(lane);
        else
            batch_measure(lane);
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
    lane->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (lane->bell < 0 || pthread_create(&thread, NULL, lane_run, lane) != 0) {
        lane_free(lane);
        return NULL;
    }
    connection->engine->lanes++;
    return lane;
}
