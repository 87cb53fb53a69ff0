/*
 * What the engine itself costs, without a source: instructions (or, where the machine does not
 * count them, time) per notification of an idle query, by how many queries its connection has; and
 * the most work that a reload does in one turn of the loop. Run it with ./dev bench engine.
 */
#include "base/clock.h"
#include "base/memory.h"
#include "measure/connection/connection.h"
#include "measure/connection/query_internal.h"
#include "measure/fake_scaler.h"
#include "scale/table/triggers.h"
#include "support/connections_text.h"

#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { RENEWED_PER_TURN = 100 };

static int open_counter(void)
{
    struct perf_event_attr attributes = {.type = PERF_TYPE_HARDWARE,
                                         .size = sizeof(attributes),
                                         .config = PERF_COUNT_HW_INSTRUCTIONS,
                                         .exclude_kernel = 1,
                                         .exclude_hv = 1};
    return (int)syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0);
}

static uint64_t read_counter(int counter)
{
    uint64_t count = 0;
    if (counter >= 0 && read(counter, &count, sizeof(count)) == sizeof(count))
        return count;
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* ---- notifications ---- */

static void ignore_ready(void *context, struct watcher *watcher)
{
    (void)context;
    (void)watcher;
}

static uint32_t no_jitter(uint32_t below)
{
    (void)below;
    return 0;
}

static void stay_awake(struct connection *connection)
{
    (void)connection;
}

static int64_t simulated_us;

static int64_t read_now_us(void)
{
    return simulated_us;
}

static const struct connection_settings settings = {
    .interval_ms = 3600 * 1000, /* what is measured is what notifications ask for */
    .idle_requests = 250,
    .timeout_ms = 2000,
    .backoff = {.min_ms = 250, .max_ms = 5000, .jitter = no_jitter},
    .now_us = read_now_us,
    .hooks.wake_poller = stay_awake,
    .hooks.watcher_ready = ignore_ready,
    .hooks.watcher_not_ready = ignore_ready,
};

static struct query *watch(struct connection *connection, size_t number, struct watcher *watcher)
{
    char queue[32];
    snprintf(queue, sizeof(queue), "%zu", number);
    struct fake_values values = fake_values("a", queue);
    struct query *query = query_for_values(connection, values.scopes[OPTION_QUERY],
                                           values.scopes[OPTION_CONNECTION]->data);
    fake_values_done(&values);
    query_begin_use(query, 0, 0);
    *watcher = (struct watcher){0};
    watcher_start(watcher, query, true);
    watcher_set_idle_interval(watcher, 100);
    return query;
}

/* Measures what is due; each is empty, and subscribed to. */
static size_t measure_due(struct connection *connection, int64_t now_us)
{
    struct reading reading = READING_UNKNOWN;
    struct query *query;
    size_t count = 0;
    reading.waiting = 0;
    for (; (query = connection_take(connection, now_us)) != NULL; count++) {
        if (task_wants_subscription(&query->task))
            task_subscribed(&query->task);
        connection_query_ended(query, TASK_ANSWERED, &reading, NULL, now_us);
    }
    return count;
}

static void print_notifications(int counter, size_t queries, size_t notifications)
{
    struct connection connection = {0};
    struct watcher *watchers = memory_array(queries, sizeof(*watchers));
    struct query **all = memory_array(queries, sizeof(struct query *));
    int64_t now_us = simulated_us = 0;
    connection_init(&connection, &settings, &fake_push_scaler, NULL, &(struct connection_user){0},
                    0);
    connection_connecting(&connection);
    connection_connected(&connection, 0);
    for (size_t i = 0; i < queries; i++)
        all[i] = watch(&connection, i, &watchers[i]);
    for (int i = 0; i < 50; i++)
        measure_due(&connection, now_us += 10000);

    uint64_t before = read_counter(counter);
    size_t measured = 0;
    for (size_t i = 0; i < notifications; i++) {
        const struct query *query = all[i * 7919 % queries];
        connection_notify(&connection, query->push.id, now_us);
        for (int64_t end_us = now_us + 1000 * 1000; now_us < end_us;) {
            measured += measure_due(&connection, now_us);
            int64_t next_ms = connection_next_ms(&connection, now_us / 1000);
            now_us = next_ms < end_us / 1000 ? next_ms * 1000 : end_us;
        }
    }
    double each = (double)(read_counter(counter) - before) / (double)notifications;
    printf("%10zu %22.0f %18.2f\n", queries, each, (double)measured / (double)notifications);

    simulated_us = now_us;
    for (size_t i = 0; i < queries; i++)
        watcher_stop(&watchers[i]);
    connection_done(&connection);
    free(watchers);
    free(all);
}

/* ---- reload ---- */

static struct connections *make_connections(size_t count, int password)
{
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(text_done) struct text yaml = {0};
    struct connections *connections = NULL;
    text_add(&yaml, "connections:\n");
    for (size_t i = 0; i < count; i++)
        text_addf(&yaml, "  c%zu: {scaler: fake, source: s%zu, password: \"%d\"}\n", i, i,
                  password);
    if (!connections_from_text(yaml.bytes, yaml.length, "bench", ".", &connections, &error)) {
        fprintf(stderr, "%s\n", error_text(&error));
        exit(1);
    }
    return connections;
}

static void find(struct triggers *triggers, size_t number, size_t connections)
{
    _cleanup_(error_done) struct error error = {0};
    char name[32];
    char queue[32];
    struct trigger *trigger;
    struct query *query;
    snprintf(name, sizeof(name), "c%zu", number % connections);
    snprintf(queue, sizeof(queue), "%zu", number);
    struct option_entry entries[] = {
        {"scaler", "fake"}, {"connectionName", name}, {"queueName", queue}};
    struct trigger_ref ref = {queue, "shop", entries, ARRAY_LENGTH(entries)};
    if (!triggers_find(triggers, &ref, 0, &trigger, &error) ||
        !triggers_acquire_query(triggers, trigger, 0, &query, &error)) {
        fprintf(stderr, "%s\n", error_text(&error));
        exit(1);
    }
}

/* All passwords change at once. */
static void print_reload(size_t trigger_count, size_t connection_count)
{
    struct engine_settings engine_settings = ENGINE_DEFAULTS;
    struct engine *engine = engine_new(&engine_settings);
    struct triggers *triggers = triggers_new(&(struct triggers_settings){
        .scalers = fake_scalers,
        .connections = make_connections(connection_count, 1),
        .engine = engine,
        .rules = {.interval_ms = 5000, .hold_ms = 60000},
        .forget_ms = INT64_MAX / 2,
        .max = trigger_count,
    });
    for (size_t i = 0; i < trigger_count; i++)
        find(triggers, i, connection_count);
    struct connections *changed = make_connections(connection_count, 2);
    int64_t began_us = clock_now_us();
    triggers_set_connections(triggers, changed);
    int64_t taking_us = clock_now_us() - began_us;
    int64_t longest_us = 0;
    size_t turns = 0;
    for (bool more = true; more; turns++) {
        int64_t turn_us = clock_now_us();
        more = triggers_renew(triggers, RENEWED_PER_TURN);
        turn_us = clock_now_us() - turn_us;
        if (turn_us > longest_us)
            longest_us = turn_us;
    }
    printf("%10zu %12zu %18.1f %8zu %18.1f\n", trigger_count, connection_count,
           (double)taking_us / 1000, turns, (double)longest_us / 1000);
    triggers_free(triggers);
    engine_free(engine);
}

/* Of so many queries and notifications alone: for valgrind, which counts instructions where the
 * machine does not. */
int main(int argc, char **argv)
{
    static const size_t sizes[] = {100, 1000, 10000, 100000};
    int counter = open_counter();
    printf("%10s %22s %18s\n", "queries",
           counter >= 0 ? "instructions per wake" : "ns of CPU per wake", "measured per wake");
    if (argc == 3) {
        print_notifications(counter, strtoul(argv[1], NULL, 10), strtoul(argv[2], NULL, 10));
        return 0;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++)
        print_notifications(counter, sizes[i], 20000);
    printf("\nreload: every password changes; milliseconds\n%10s %12s %18s %8s %18s\n", "triggers",
           "connections", "taking the file", "turns", "longest turn");
    fake_reset();
    print_reload(1000, 10);
    print_reload(10000, 100);
    print_reload(100000, 1000);
    return 0;
}
