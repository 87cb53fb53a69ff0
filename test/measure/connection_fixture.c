#include "measure/connection_fixture.h"

#include "base/memory.h"
#include "base/recent_log.h"
#include "base/text.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

enum { BEGAN_MS = 100000 };

struct item_options {
    const char *name;
};

static const struct option options[] = {
    {.key = "item",
     .scope = OPTION_QUERY,
     .type = OPTION_STRING,
     OPTION_FIELD(struct item_options, name)},
    {0},
};

const struct scaler connection_scaler = {
    .name = "test",
    .options = options,
    .sizes = {0, sizeof(struct item_options), 0},
    .subscribes = true,
};

static uint32_t no_jitter(uint32_t below)
{
    return below - 1;
}

struct connection connection;
int64_t now_ms;
int news;
size_t pauses;
void (*on_pause)(void);

static void count_news(void *context, struct watcher *watcher)
{
    (void)context;
    (void)watcher;
    news++;
}

static void stay_awake(struct connection *connection_now)
{
    (void)connection_now;
}

static void let_others_in(struct connection *connection_now)
{
    (void)connection_now;
    pauses++;
    if (on_pause != NULL)
        on_pause();
}

static void forget_news(void *context, struct watcher *watcher)
{
    (void)context;
    (void)watcher;
}

static int64_t read_now_us(void)
{
    return now_ms * 1000;
}

static struct connection_settings settings = {
    .interval_ms = 5000,
    .idle_requests = 250,
    .timeout_ms = 2000,
    .backoff = {.min_ms = 250, .max_ms = 5000, .jitter = no_jitter},
    .now_us = read_now_us,
    .hooks.wake_poller = stay_awake,
    .hooks.yield_lock = let_others_in,
    .hooks.watcher_ready = count_news,
    .hooks.watcher_not_ready = forget_news};

int set_up(void **state)
{
    (void)state;
    now_ms = BEGAN_MS;
    news = 0;
    pauses = 0;
    on_pause = NULL;
    settings.at_a_time = 0;
    memset(&connection, 0, sizeof(connection));
    connection_init(&connection, &settings, &connection_scaler, NULL, &(struct connection_user){0},
                    now_ms);
    return 0;
}

void pause_after_each(void)
{
    settings.at_a_time = 1;
}

int tear_down(void **state)
{
    (void)state;
    connection_done(&connection);
    return 0;
}

struct query *hold_each(const char *item, int64_t interval_ms)
{
    const char *texts[] = {item};
    struct option_values *values =
        option_values_new(options, sizeof(struct item_options), OPTION_QUERY, texts);
    struct query *query = query_for_values(&connection, values, NULL);
    option_values_free(values);
    query_begin_use(query, interval_ms, now_ms);
    return query;
}

struct query *acquire(const char *item)
{
    return hold_each(item, 0);
}

static char *one_text(const void *connection_options, const void *query_options)
{
    (void)connection_options;
    (void)query_options;
    return text_copy("all");
}

void bundle_all(bool costs_the_same)
{
    static struct scaler listing;
    listing = connection_scaler;
    listing.bundle = one_text;
    listing.bundle_costs_the_same = costs_the_same;
    connection.scaler = &listing;
}

void demand(struct query *query)
{
    query_demand(query, now_ms);
}

void connect_now(void)
{
    assert_true(connection_wants_client(&connection, now_ms));
    connection_connecting(&connection);
    connection_connected(&connection, now_ms);
}

struct query *take(void)
{
    return connection_take(&connection, connection_advance(&connection));
}

void answer(struct query *query, double value)
{
    struct reading reading = READING_UNKNOWN;
    reading.value = value;
    query->task.has_ended = true;
    connection_query_ended(query, TASK_ANSWERED, &reading, NULL, now_ms * 1000);
}

void end_with(struct query *query, enum task_outcome outcome, const char *words)
{
    _cleanup_(error_done) struct error error = {0};
    error_unavailable(&error, "%s", words);
    query->task.has_ended = true;
    connection_query_ended(query, outcome, NULL, &error, now_ms * 1000);
}

void lose(const char *words)
{
    _cleanup_(error_done) struct error error = {0};
    error_unavailable(&error, "%s", words);
    connection_lost(&connection, &error, now_ms);
}

void refuse(void)
{
    _cleanup_(error_done) struct error error = {0};
    assert_true(connection_wants_client(&connection, now_ms));
    connection_connecting(&connection);
    error_unavailable(&error, "refused");
    connection_refused(&connection, &error, now_ms);
}

/* Demanded, sent and answered, on a client that is made where there is none. */
void measure(struct query *query, double value)
{
    demand(query);
    if (connection.state != CONNECTION_CONNECTED)
        connect_now();
    demand(query); /* a failed connection takes no demand */
    assert_ptr_equal(take(), query);
    answer(query, value);
}

bool fails(const struct query *query, const char *words)
{
    _cleanup_(snapshot_done) struct snapshot snapshot = {0};
    query_snapshot(query, &snapshot);
    return snapshot.known.last_attempt == ATTEMPT_FAILED &&
           strstr(error_text(&snapshot.known.error), words) != NULL;
}

double value_of(const struct query *query)
{
    _cleanup_(snapshot_done) struct snapshot snapshot = {0};
    query_snapshot(query, &snapshot);
    return snapshot.known.last_attempt == ATTEMPT_GOOD ? snapshot.known.reading.value : NAN;
}

size_t count_warnings(const char *words)
{
    return count_lines(LOG_LEVEL_WARNING, words);
}

size_t count_lines(enum log_level level, const char *words)
{
    struct recent_line lines[RECENT_LOG_LINES];
    size_t count = recent_log_read(0, lines, RECENT_LOG_LINES);
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        found += lines[i].level == (int)level && strstr(lines[i].text, words) != NULL;
        recent_line_done(&lines[i]);
    }
    return found;
}
