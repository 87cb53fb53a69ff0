#include "measure/poller.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "config/hide.h"
#include "config/source_address.h"
#include "measure/agent/agent_client.h"
#include "measure/client.h"
#include "measure/connection/connection.h"
#include "measure/scaler_internal.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/param.h>
#include <time.h>
#include <unistd.h>

static struct poller *poller_of_feed(const struct feed *feed)
{
    return (struct poller *)feed;
}

static struct poller *poller_of_connection(struct connection *connection)
{
    return (struct poller *)((char *)connection - offsetof(struct poller, connection));
}

struct poller *poller_of(const struct query *query)
{
    return poller_of_connection(query->connection);
}

static int64_t now_us(const struct connection *connection)
{
    return connection->settings->now_us();
}

struct connection *poller_lock(struct poller *poller)
{
    pthread_mutex_lock(&poller->connection.lock);
    return &poller->connection;
}

void poller_wake(struct poller *poller)
{
    if (poller->wake_pending)
        return;
    poller->wake_pending = true;
    eventfd_write(poller->wake_fd, 1); /* it cannot fill up: wake_pending is set now */
}

void poller_wake_for(struct connection *connection)
{
    poller_wake(poller_of_connection(connection));
}

/* Releases the lock until the end of a scope, where _cleanup_(lock_again) takes it again. */
static struct connection *without_lock(struct connection *connection)
{
    pthread_mutex_unlock(&connection->lock);
    return connection;
}

static void lock_again(struct connection **connection)
{
    pthread_mutex_lock(&(*connection)->lock);
}

/* A thread that waits for a mutex hardly ever gets it from one that unlocks it and locks it again
 * at once. So this one sleeps in between. */
void poller_yield_lock(struct connection *connection)
{
    const struct timespec moment = {.tv_nsec = 50000};
    _cleanup_(lock_again) struct connection *unlocked = without_lock(connection);
    nanosleep(&moment, NULL);
}

static void clear_wake(struct poller *poller)
{
    eventfd_t count;
    if (!poller->wake_pending)
        return;
    poller->wake_pending = false;
    eventfd_read(poller->wake_fd, &count);
}

/* ---- the feed: called by the scaler, on this thread, without the lock ---- */

static struct task *poller_feed_take(struct feed *feed)
{
    struct poller *poller = poller_of_feed(feed);
    _cleanup_(connection_unlock) struct connection *connection = poller_lock(poller);
    int64_t at_us = connection_advance(connection);
    struct query *query = poller->is_stopping ? NULL : connection_take(connection, at_us);
    if (query == NULL)
        clear_wake(poller);
    return query == NULL ? NULL : &query->task;
}

static bool poller_feed_next_unsubscribe(struct feed *feed, uint64_t *ret_id)
{
    _cleanup_(connection_unlock) struct connection *connection = poller_lock(poller_of_feed(feed));
    return connection_next_unsubscribe(connection, ret_id);
}

static bool is_over(const struct poller *poller)
{
    return poller->is_stopping || connection_is_unused(&poller->connection) ||
           poller->connection.must_replace_client;
}

static bool poller_feed_is_stopping(struct feed *feed)
{
    struct poller *poller = poller_of_feed(feed);
    _cleanup_(connection_unlock) struct connection *connection = poller_lock(poller);
    return is_over(poller);
}

static int poller_feed_descriptor(const struct feed *feed)
{
    return poller_of_feed(feed)->wake_fd;
}

static int64_t poller_feed_next_ms(struct feed *feed)
{
    struct poller *poller = poller_of_feed(feed);
    _cleanup_(connection_unlock) struct connection *connection = poller_lock(poller);
    int64_t now_ms = connection_advance(connection) / 1000;
    bool is_due = is_over(poller) || connection->unsubscribes_count > 0;
    int64_t next_ms = is_due ? now_ms : connection_next_ms(connection, now_ms);
    return next_ms == CLOCK_NEVER ? next_ms : clock_now_ms() + next_ms - now_ms;
}

static int64_t poller_feed_delay_ms(struct feed *feed)
{
    _cleanup_(connection_unlock) struct connection *connection = poller_lock(poller_of_feed(feed));
    return schedule_delay_ms(&connection->schedule, connection_now_ms(connection));
}

static void poller_feed_set_max_tasks(struct feed *feed, size_t max_tasks, size_t isolated)
{
    _cleanup_(connection_unlock) struct connection *connection = poller_lock(poller_of_feed(feed));
    schedule_set_max_tasks(&connection->schedule, max_tasks, isolated,
                           connection_now_ms(connection));
}

static void poller_feed_started(struct task *task)
{
    _cleanup_(connection_unlock) struct connection *connection =
        poller_lock(poller_of_feed(task->feed));
    connection_query_started(query_of_task(task), now_us(connection));
}

/* Errors go to logs, pages and KEDA's events, and may repeat what was sent to the source. The
 * scaler makes their text, maybe in an agent process. Only here the secrets of all values are
 * known. The text is also cut, as it is copied several times for each stream. */
static void hide_all(const struct poller *poller, const struct task *task, struct error *error)
{
    enum { MAX_ERROR_BYTES = 1024 };
    hide_secrets(poller->values, error);
    hide_secrets(task == NULL ? NULL : task->values, error);
    error_shorten(error, MAX_ERROR_BYTES);
}

static void poller_feed_end(struct task *task, enum task_outcome outcome,
                            const struct reading *reading, const struct error *error)
{
    struct poller *poller = poller_of_feed(task->feed);
    _cleanup_(error_done) struct error shown = {0};
    if (error != NULL)
        error_copy(&shown, error);
    hide_all(poller, task, &shown);
    hide_all(poller, task, &task->subscribe_error);
    pthread_mutex_lock(&poller->connection.lock);
    connection_query_ended(query_of_task(task), outcome, reading, error == NULL ? NULL : &shown,
                           now_us(&poller->connection));
    pthread_mutex_unlock(&poller->connection.lock);
    poller->settings->published(poller->settings->engine);
}

static const struct feed_hooks hooks = {
    .take = poller_feed_take,
    .next_unsubscribe = poller_feed_next_unsubscribe,
    .is_stopping = poller_feed_is_stopping,
    .descriptor = poller_feed_descriptor,
    .next_ms = poller_feed_next_ms,
    .delay_ms = poller_feed_delay_ms,
    .set_max_tasks = poller_feed_set_max_tasks,
    .started = poller_feed_started,
    .end = poller_feed_end,
};

/* ---- the thread: its functions have the lock, and release it for I/O ---- */

static void publish_news(struct poller *poller)
{
    _cleanup_(lock_again) struct connection *unlocked = without_lock(&poller->connection);
    poller->settings->published(poller->settings->engine);
}

/* The scaler and the values never change, so that they are read without the lock. */
static bool try_open_client(struct poller *poller, struct error *error)
{
    const struct poller_settings *settings = poller->settings;
    const struct agent_origin agent = {settings->program, poller->is_named, &poller->feed};
    _cleanup_(lock_again) struct connection *unlocked = without_lock(&poller->connection);
    bool good = client_open(unlocked->scaler, poller->values, poller->in_agent ? &agent : NULL,
                            settings->connect_timeout_ms, &poller->client, error);
    hide_all(poller, NULL, error);
    return good;
}

static void open_client(struct poller *poller)
{
    struct connection *connection = &poller->connection;
    _cleanup_(error_done) struct error error = {0};
    connection_connecting(connection);
    scaler_set_reconnects(connection->backoff.reconnects);
    scaler_set_allows_local(poller->is_named || poller->settings->allows_local);
    if (try_open_client(poller, &error))
        connection_connected(connection, connection_now_ms(connection));
    else
        connection_refused(connection, &error, connection_now_ms(connection));
    publish_news(poller);
}

static bool try_measure_tasks(struct poller *poller, struct error *error)
{
    _cleanup_(lock_again) struct connection *unlocked = without_lock(&poller->connection);
    bool usable = client_measure(poller->client, &poller->feed, error);
    hide_all(poller, NULL, error);
    return usable;
}

static void measure_tasks(struct poller *poller)
{
    struct connection *connection = &poller->connection;
    _cleanup_(error_done) struct error error = {0};
    bool usable = try_measure_tasks(poller, &error);
    /* Tasks that the scaler has abandoned, as it may when it is stopping, end with the client. */
    if (usable && !connection->must_replace_client && connection->schedule.in_flight_count == 0)
        return;
    connection_lost(connection, usable ? NULL : &error, connection_now_ms(connection));
    _cleanup_(lock_again) struct connection *unlocked = without_lock(connection);
    poller->settings->published(poller->settings->engine);
    client_close(TAKE(poller->client)); /* last, as a client library may take long to return */
}

static void wait_until_ms(struct poller *poller, int64_t until_ms)
{
    struct pollfd wake = {.fd = poller->wake_fd, .events = POLLIN};
    int64_t left_ms = MAX(until_ms - connection_now_ms(&poller->connection), 0);
    {
        _cleanup_(lock_again) struct connection *unlocked = without_lock(&poller->connection);
        poll(&wake, 1, until_ms == CLOCK_NEVER ? -1 : (int)MIN(left_ms, INT_MAX));
    }
    clear_wake(poller);
}

static void poller_work(struct poller *poller)
{
    struct connection *connection = &poller->connection;
    int64_t now_ms = connection_advance(connection) / 1000;
    int64_t next_ms = connection_next_ms(connection, now_ms);
    if (connection_wants_client(connection, now_ms))
        open_client(poller);
    else if (connection->state == CONNECTION_CONNECTED &&
             (next_ms <= now_ms || connection->unsubscribes_count > 0))
        measure_tasks(poller);
    else
        wait_until_ms(poller, next_ms);
}

static void *poller_run(void *argument)
{
    struct poller *poller = argument;
    do {
        pthread_mutex_lock(&poller->connection.lock);
        while (!poller->is_stopping && !connection_is_unused(&poller->connection))
            poller_work(poller);
        pthread_mutex_unlock(&poller->connection.lock);
    } while (!poller->settings->remove(poller));
    if (poller->client != NULL)
        client_close(TAKE(poller->client));
    poller->settings->ended(poller);
    return NULL;
}

/* librabbitmq decodes nested tables by recursion. A frame of 64 KiB may have 13,000 levels, which
 * take more than 1 MiB of stack. A limit of the process (ulimit -s) may be less. */
static int begin_thread(struct poller *poller)
{
    enum { STACK_BYTES = 8 << 20 };
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    int failure = pthread_create(&thread, &attributes, poller_run, poller);
    pthread_attr_destroy(&attributes);
    return failure;
}

/* A notifier's functions are called on any thread. */
static void poller_notify(void *context, uint64_t id)
{
    struct poller *poller = context;
    _cleanup_(connection_unlock) struct connection *connection = poller_lock(poller);
    connection_notify(connection, id, now_us(connection));
    poller_wake(poller);
}

static void poller_lose(void *context, uint64_t id)
{
    struct poller *poller = context;
    _cleanup_(connection_unlock) struct connection *connection = poller_lock(poller);
    connection_lose_subscription(connection, id, connection_now_ms(connection));
    poller_wake(poller);
}

struct poller *poller_new(const struct poller_settings *settings, const struct scaler *scaler,
                          bool in_agent, char *identity, const struct option_values *values,
                          const struct connection_user *user)
{
    struct poller *poller = memory_new(sizeof(*poller));
    poller->feed.hooks = &hooks;
    poller->settings = settings;
    poller->identity = identity;
    poller->values = option_values_share(values);
    poller->in_agent = in_agent;
    poller->is_named = user->connection != NULL;
    poller->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int refused = poller->wake_fd < 0 ? errno : 0;
    connection_init(&poller->connection, settings->connection, scaler, source_address(values), user,
                    settings->connection->now_us() / 1000);
    poller->connection.feed = &poller->feed;
    poller->connection.notifier =
        (struct notifier){.notify = poller_notify, .context = poller, .lose = poller_lose};
    if (refused == 0)
        refused = begin_thread(poller);
    if (refused == 0)
        return poller;
    poller_free(poller);
    errno = refused;
    return NULL;
}

void poller_free(struct poller *poller)
{
    connection_done(&poller->connection);
    option_values_free(poller->values);
    if (poller->wake_fd >= 0)
        close(poller->wake_fd);
    free(poller->identity);
    free(poller);
}
