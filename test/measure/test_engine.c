/* The engine with its threads; what it decides is tested without any in test_connection.c. */
#include "base/log.h"
#include "base/memory.h"
#include "measure/engine_fixture.h"
#include "measure/poller.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static void a_query_is_measured_and_measured_again(void **state)
{
    (void)state;
    struct query *query = acquire("7");
    WAIT_UNTIL(waiting(query) == 7);
    fake_set_queue("7", 8);
    WAIT_UNTIL(waiting(query) == 8);
}

static void equal_triggers_share_a_query_and_equal_sources_a_connection(void **state)
{
    (void)state;
    struct query *query = acquire("1");
    assert_ptr_equal(query, acquire("1"));
    assert_ptr_not_equal(query, acquire("2"));
    assert_ptr_not_equal(query, acquire_of(&fake_scaler, "b", "1"));
    WAIT_UNTIL(waiting(query) == 1);
    assert_int_equal(stats().counts[COUNT_CONNECTIONS], 2);
    assert_int_equal(stats().counts[COUNT_QUERIES], 3);
    assert_true(fake_counts().connects <= 2);
}

static void many_queries_are_sent_together(void **state)
{
    (void)state;
    struct query *queries[200];
    char name[16];
    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof(name), "%d", i);
        queries[i] = acquire(name);
    }
    for (int i = 0; i < 200; i++)
        WAIT_UNTIL(waiting(queries[i]) == i);
    WAIT_UNTIL(fake_counts().largest_chunk == 200);
}

static void a_watcher_is_notified_of_each_attempt(void **state)
{
    (void)state;
    struct watcher watcher = {0};
    struct query *query = acquire("3");
    watcher_start(&watcher, query, true);
    for (int i = 0; i < 3; i++) {
        WAIT_UNTIL(wakes() > i);
        assert_ptr_equal(engine_next_ready(engine), &watcher);
        while (engine_next_ready(engine) != NULL)
            continue;
    }
    watcher_stop(&watcher);
    watcher_stop(&watcher);
    assert_null(engine_next_ready(engine));
}

static void a_query_that_fails_fails_alone(void **state)
{
    (void)state;
    struct query *missing = acquire("nowhere");
    struct query *good = acquire("4");
    WAIT_UNTIL(fails(missing, "no such queue"));
    WAIT_UNTIL(waiting(good) == 4);
    assert_int_equal(fake_counts().connects, 1);
    fake_set_queue("nowhere", 9);
    WAIT_UNTIL(waiting(missing) == 9);
}

/* Whatever a client library calls back, and how often. */
static void what_ended_does_not_end_again(void **state)
{
    (void)state;
    struct query *query = acquire("twice");
    WAIT_UNTIL(waiting(query) == 0);
    WAIT_UNTIL(fake_counts().tasks > 3);
    assert_true(waiting(query) == 0);
    assert_int_equal(stats().counts[COUNT_FAILED], 0);
}

/* It is kept, and copied for each stream. */
static void a_long_error_is_shortened(void **state)
{
    (void)state;
    enum { LENGTH = 5000, MAX_LENGTH = 1100 };
    char name[LENGTH + 1] = "";
    memset(name, 'x', LENGTH);
    struct query *query = acquire(name);
    WAIT_UNTIL(fails(query, "no such queue: xxx"));
    _cleanup_(snapshot_done) struct snapshot snapshot;
    query_snapshot(query, &snapshot);
    assert_in_range(strlen(error_text(&snapshot.known.error)), 1000, MAX_LENGTH);
}

static void a_failure_keeps_the_last_reading_and_says_since_when(void **state)
{
    (void)state;
    struct query *query = acquire("5");
    WAIT_UNTIL(waiting(query) == 5);
    fake_set_up(false);
    WAIT_UNTIL(fails(query, "broke") || fails(query, "down"));
    _cleanup_(snapshot_done) struct snapshot first;
    query_snapshot(query, &first);
    assert_true(first.known.is_measured);
    assert_true(first.known.reading.waiting == 5);
    assert_true(first.failing_since_ms >= first.known.sent_ms);
    WAIT_UNTIL(fails(query, "the fake source is down"));
    uint64_t failed = stats().counts[COUNT_FAILED_CONNECTS];
    WAIT_UNTIL(stats().counts[COUNT_FAILED_CONNECTS] > failed);
    _cleanup_(snapshot_done) struct snapshot later;
    query_snapshot(query, &later);
    assert_int_equal(later.failing_since_ms, first.failing_since_ms);
}

/* Whoever has a reading of its source's beginning needs to know. */
static void a_client_after_a_failed_one_reconnects(void **state)
{
    (void)state;
    struct query *query = acquire("again");
    WAIT_UNTIL(waiting(query) == 0);
    fake_set_up(false);
    WAIT_UNTIL(fails(query, "the fake source is down"));
    fake_set_up(true);
    WAIT_UNTIL(waiting(query) == 1);
    release(query);
    WAIT_UNTIL(stats().counts[COUNT_CONNECTIONS] == 0);
    WAIT_UNTIL(waiting(acquire("again")) == 0); /* another connection */
}

static void a_released_query_is_freed_with_its_connection(void **state)
{
    (void)state;
    struct query *query = acquire("1");
    acquire("1");
    WAIT_UNTIL(waiting(query) == 1);
    release(query);
    assert_int_equal(stats().counts[COUNT_QUERIES], 1);
    release(query);
    WAIT_UNTIL(stats().counts[COUNT_CONNECTIONS] == 0);
    assert_int_equal(fake_counts().disconnects, 1);
    WAIT_UNTIL(waiting(acquire("1")) == 1);
}

static bool can_hold(const struct scaler *scaler, const char *source, struct query *former)
{
    _cleanup_(error_done) struct error error = {0};
    struct query *query = NULL;
    bool good = try_to_acquire(scaler, source, "1", former, &query, &error);
    assert_true(good || error.code == ERROR_LIMIT);
    return good;
}

static double measured_of(const char *labels)
{
    _cleanup_(text_done) struct text page = {0};
    _cleanup_(memory_free) char *series =
        text_format("backlog_measurements_total{scaler=\"fake\",%sresult=\"success\"} ", labels);
    engine_write_metrics(engine, &page);
    const char *found = strstr(page.bytes, series);
    return found == NULL ? -1 : strtod(found + strlen(series), NULL);
}

static void counters_of_a_connection_stay_with_the_name_that_it_had(void **state)
{
    (void)state;
    static const char orders[] = "connection=\"orders\",";
    struct query_user inline_user = {NULL, "shop", "mails"};
    struct query_user named = {"orders", "shop", "orders"};
    struct query *query = acquire("1");
    engine_add_user(query, &inline_user);
    WAIT_UNTIL(measured_of("") > 0);
    double before = measured_of("");
    engine_add_user(query, &named);
    double after = measured_of("");
    assert_true(after >= before);
    WAIT_UNTIL(measured_of(orders) > 0);
    assert_true(measured_of("") == after);

    /* And back. */
    before = measured_of(orders);
    engine_remove_user(query, &named);
    assert_true(measured_of(orders) >= before);
    WAIT_UNTIL(measured_of("") > after);
    engine_remove_user(query, &inline_user);
}

/* Each time what was counted is moved, while the thread of the connection counts. */
static void no_count_is_lost_where_a_name_comes_and_goes(void **state)
{
    (void)state;
    enum { MEASUREMENTS = 5 };
    struct query_user inline_user = {NULL, "shop", "mails"};
    struct query_user named = {"orders", "shop", "orders"};
    struct query *query = acquire("1");
    engine_add_user(query, &inline_user);
    while (fake_counts().tasks < MEASUREMENTS) {
        engine_add_user(query, &named);
        engine_remove_user(query, &named);
    }
    WAIT_UNTIL(stats().counts[COUNT_ANSWERED] == (uint64_t)fake_counts().tasks);
    engine_remove_user(query, &inline_user);
}

static void a_limit_on_connections_is_named(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct engine_settings settings = ENGINE_DEFAULTS;
    struct query *query = NULL;
    settings.max_connections = 2;
    restart_engine(&settings);
    acquire_of(&fake_scaler, "a", "1");
    acquire_of(&fake_scaler, "b", "1");
    assert_false(try_to_acquire(&fake_scaler, "c", "1", NULL, &query, &error));
    assert_int_equal(error.code, ERROR_LIMIT);
    assert_non_null(strstr(error_text(&error), "all 2 connections"));
    assert_null(query);
}

static void an_engine_says_how_many_connections_it_may_have(void **state)
{
    (void)state;
    struct engine_settings settings = ENGINE_DEFAULTS;
    settings.max_connections = 5;
    settings.max_agents = 3;
    restart_engine(&settings);
    assert_int_equal(engine_max_connections(engine), 5);
    assert_int_equal(engine_max_agents(engine), 3);
    assert_int_equal(engine_max_connections(NULL), 0);
    assert_int_equal(engine_max_agents(NULL), 0);
}

static void connections_on_their_way_out_do_not_count(void **state)
{
    (void)state;
    struct engine_settings settings = ENGINE_DEFAULTS;
    settings.max_connections = 2;
    settings.max_agents = 1;
    settings.program = "/bin/true";
    restart_engine(&settings);
    struct query *former = acquire_of(&fake_scaler, "a", "1");
    struct query *former_in_agent = acquire_of(&fake_agent_scaler, "a", "1");
    release(former);
    release(former_in_agent);
    assert_true(can_hold(&fake_scaler, "b", NULL));
    assert_true(can_hold(&fake_agent_scaler, "b", NULL));
}

/* Each is held twice, by triggers that go over one after the other. */
static void as_many_connections_as_are_allowed_can_be_replaced_at_a_time(void **state)
{
    (void)state;
    static const char *const old[] = {"a", "b"};
    static const char *const new[] = {"c", "d"};
    struct query *formers[2][2];
    struct engine_settings settings = ENGINE_DEFAULTS;
    settings.max_connections = 2;
    settings.max_agents = 2;
    settings.program = "/bin/true";
    restart_engine(&settings);
    for (int i = 0; i < 4; i++)
        formers[i / 2][i % 2] = acquire_of(&fake_agent_scaler, old[i % 2], "1");
    for (int i = 0; i < 4; i++) {
        assert_true(can_hold(&fake_agent_scaler, new[i % 2], formers[i / 2][i % 2]));
        release(formers[i / 2][i % 2]);
    }
    assert_false(can_hold(&fake_scaler, "another", NULL));
}

static void a_connection_that_some_stay_with_counts_again_once_one_more_comes(void **state)
{
    (void)state;
    struct engine_settings settings = ENGINE_DEFAULTS;
    settings.max_connections = 2;
    restart_engine(&settings);
    struct query *former = acquire_of(&fake_scaler, "a", "1");
    acquire_of(&fake_scaler, "a", "1");
    assert_true(can_hold(&fake_scaler, "b", former));
    assert_true(can_hold(&fake_scaler, "a", NULL));
    assert_false(can_hold(&fake_scaler, "another", NULL));
}

static bool can_hold_of(const char *namespace, const char *source, struct query **ret_query)
{
    _cleanup_(error_done) struct error error = {0};
    bool good = try_to_acquire_of(namespace, &fake_scaler, source, "1", NULL, ret_query, &error);
    if (!good)
        assert_non_null(strstr(error_text(&error), "former connections of namespace \"shop\""));
    return good;
}

/* Each stays a thread until its client library returns. */
static void connections_that_do_not_end_are_the_cost_of_their_namespace(void **state)
{
    (void)state;
    enum { MAX = 16 };
    struct engine_settings settings = ENGINE_DEFAULTS;
    struct query *query = NULL;
    size_t left_behind = 0;
    settings.max_connections = MAX;
    restart_engine(&settings);
    fake_set_stuck(true);
    for (; left_behind < (size_t)3 * MAX; left_behind++) {
        _cleanup_(memory_free) char *source = text_format("s%zu", left_behind);
        if (!can_hold_of("shop", source, &query))
            break;
        WAIT_UNTIL(fake_counts().connects > (int)left_behind);
        release_of("shop", query);
    }
    assert_int_equal(left_behind, MAX / 2);
    for (size_t i = 0; i < MAX; i++) {
        _cleanup_(memory_free) char *source = text_format("file%zu", i);
        assert_true(can_hold(&fake_scaler, source, NULL));
    }
    fake_set_stuck(false);
    WAIT_UNTIL(stats().counts[COUNT_CONNECTIONS] == MAX);
}

/* No thread is left, but its own is there: it is used again, and takes its own place. */
static void a_connection_that_has_not_ended_needs_no_other_thread(void **state)
{
    (void)state;
    enum { MAX = 2, THREADS = 3 * MAX };
    struct engine_settings settings = ENGINE_DEFAULTS;
    settings.max_connections = MAX;
    restart_engine(&settings);
    fake_set_stuck(true);
    for (int i = 0; i < THREADS; i++) {
        _cleanup_(memory_free) char *source = text_format("s%d", i);
        struct query *query = acquire_of(&fake_scaler, source, "1");
        WAIT_UNTIL(fake_counts().connects > i);
        release(query);
    }
    assert_false(can_hold(&fake_scaler, "another", NULL));
    struct query *query = acquire_of(&fake_scaler, "s0", "1");
    acquire_in_place_of(query, &fake_scaler, "s0", "2");
    assert_true(can_hold_of("shop", "s1", &query));
    assert_false(can_hold(&fake_scaler, "s2", NULL)); /* it would count */
    fake_set_stuck(false);
}

static void a_successor_has_the_former_reading_until_its_own(void **state)
{
    (void)state;
    struct query *former = acquire("7");
    WAIT_UNTIL(waiting(former) == 7);
    fake_set_queue("8", FAKE_HANGS);
    struct query *successor = acquire_in_place_of(former, &fake_scaler, "a", "8");
    assert_true(waiting(successor) == 7);
    WAIT_UNTIL(fails(successor, "no answer within"));
    fake_set_queue("8", 8);
    WAIT_UNTIL(waiting(successor) == 8);
    assert_ptr_equal(successor, acquire_in_place_of(former, &fake_scaler, "a", "8"));
    assert_true(waiting(successor) == 8);
}

static size_t count_history(struct query *query)
{
    _cleanup_(memory_free) struct history_sample *samples = NULL;
    return query_history(query, 0, &samples);
}

/* The credentials of one of two triggers change, and then those of the other. */
static void who_stays_with_a_query_keeps_its_history(void **state)
{
    (void)state;
    struct engine_settings settings = ENGINE_DEFAULTS;
    settings.interval_ms = INTERVAL_MS;
    settings.history_bytes = 1 << 20;
    restart_engine(&settings);
    struct query *former = acquire("7");
    assert_ptr_equal(acquire("7"), former);
    WAIT_UNTIL(count_history(former) > 1);
    fake_set_stuck(true); /* the next one measures nothing yet */
    struct query *successor = acquire_in_place_of(former, &fake_scaler, "b", "7");
    assert_true(count_history(successor) > 1);
    assert_true(count_history(former) > 1);
    release(former);
    struct query *last = acquire_in_place_of(former, &fake_scaler, "c", "7");
    assert_true(count_history(last) > 1);
    assert_true(count_history(former) < count_history(last));
    release(former);
    fake_set_stuck(false);
}

static uint64_t number_of(const struct query *query)
{
    struct query_state now;
    query_get_state(query, &now);
    return now.number;
}

/* Its memory may be. */
static void the_number_of_a_query_is_not_used_again(void **state)
{
    (void)state;
    uint64_t last = 0;
    for (int i = 0; i < 3; i++) {
        _cleanup_(memory_free) char *queue = text_format("%d", i);
        struct query *query = acquire(queue);
        assert_true(number_of(query) > last);
        last = number_of(query);
        release(query);
    }
}

/* But for one that was measured by itself before. */
static void a_successor_has_the_number_of_the_former_query(void **state)
{
    (void)state;
    struct query *former = acquire("7");
    const struct query *successor = acquire_in_place_of(former, &fake_scaler, "b", "7");
    assert_true(number_of(successor) == number_of(former));
    struct query *other = acquire_of(&fake_scaler, "c", "7");
    assert_ptr_equal(acquire_in_place_of(former, &fake_scaler, "c", "7"), other);
    assert_true(number_of(other) > number_of(former));
}

/* As a client library does that computes for minutes, or waits for a name server. */
static void an_engine_stops_without_a_client_that_does_not_return(void **state)
{
    (void)state;
    fake_set_stuck(true);
    acquire("7");
    WAIT_UNTIL(fake_counts().connects == 1);
    assert_false(engine_stop(engine, 0));
    fake_set_stuck(false);
    assert_true(engine_stop(engine, PATIENCE_MS));
}

/* One query waits for the only place, which another one has until it times out. */
static void the_delay_of_a_source_is_in_seconds(void **state)
{
    (void)state;
    static struct scaler serial;
    serial = fake_scaler;
    serial.max_tasks = 1;
    acquire_of(&serial, "a", "hang");
    WAIT_UNTIL(fake_counts().tasks > 0);
    acquire_of(&serial, "a", "1");
    WAIT_UNTIL(stats().delay_seconds > 0);
    assert_true(stats().delay_seconds <= (double)PATIENCE_MS / 1000);
}

static atomic_int turns;

void __real_cpu_turn_begin(uint64_t tenant);
void __wrap_cpu_turn_begin(uint64_t tenant);
void __wrap_cpu_turn_begin(uint64_t tenant)
{
    turns++;
    __real_cpu_turn_begin(tenant);
}

/* The process of an agent has its own. */
static void what_is_measured_here_takes_cpu_turns(void **state)
{
    (void)state;
    struct engine_settings settings = ENGINE_DEFAULTS;
    settings.program = "/bin/true";
    restart_engine(&settings);
    turns = 0;
    acquire_of(&fake_agent_scaler, "a", "1");
    WAIT_UNTIL(stats().counts[COUNT_FAILED_CONNECTIONS] > 0);
    assert_int_equal(turns, 0);
    struct query *query = acquire("1");
    WAIT_UNTIL(waiting(query) == 1);
    assert_true(turns >= 2); /* to connect, and to measure */
}

/* An inline connection of the namespace to this source; its tenant. */
static uint64_t tenant_of(const char *namespace, const char *source)
{
    _cleanup_(error_done) struct error error = {0};
    struct query *query = NULL;
    assert_true(try_to_acquire_of(namespace, &fake_scaler, source, "1", NULL, &query, &error));
    return poller_of(query)->tenancy.tenant;
}

/* Each was a tenant of its own once, with a share of its own. */
static void connections_of_two_namespaces_are_of_one_of_them(void **state)
{
    (void)state;
    static const char *const sources[] = {"a", "b", "c", "d", "e", "f"};
    uint64_t one = 0;
    uint64_t other = tenant_of("other", "own");
    for (size_t i = 0; i < ARRAY_LENGTH(sources); i++)
        one = tenant_of("one", sources[i]);
    assert_int_not_equal(one, other);
    for (size_t i = 0; i < ARRAY_LENGTH(sources); i++) {
        uint64_t tenant = tenant_of("other", sources[i]);
        assert_true(tenant == one || tenant == other);
    }
    /* Whoever has many does not make another's one of them. */
    uint64_t victim = tenant_of("victim", "theirs");
    assert_int_equal(tenant_of("one", "theirs"), victim);
    assert_int_equal(tenant_of("victim", "f"), victim);
}

/* Whoever has it alone again has it as before. */
static void a_connection_is_of_those_who_hold_it_now(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct query *query = NULL;
    tenant_of("one", "a");
    tenant_of("one", "b");
    uint64_t one = tenant_of("one", "c");
    assert_true(try_to_acquire_of("other", &fake_scaler, "a", "2", NULL, &query, &error));
    const struct poller *poller = poller_of(query);
    uint64_t other = poller->tenancy.tenant;
    assert_int_not_equal(other, one);
    release_of("other", query);
    assert_int_equal(poller->tenancy.tenant, one);
    assert_int_equal(tenant_of("other", "a"), other);
    for (int i = 0; i < 3; i++)
        tenant_of("other", (const char *const[]){"d", "e", "f"}[i]);
    assert_int_equal(tenant_of("one", "a"), one); /* the other has more by now */

    query = acquire_of(&fake_scaler, "a", "2");
    assert_true(poller->tenancy.is_named);
    release(query);
    assert_false(poller->tenancy.is_named);
    assert_int_equal(poller->tenancy.tenant, one);
}

static void a_missing_descriptor_is_named(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct query *query = NULL;
    struct rlimit usual;
    getrlimit(RLIMIT_NOFILE, &usual);
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){.rlim_cur = 0, .rlim_max = usual.rlim_max});
    bool good = try_to_acquire(&fake_scaler, "a", "1", NULL, &query, &error);
    setrlimit(RLIMIT_NOFILE, &usual);
    assert_false(good);
    assert_non_null(strstr(error_text(&error), "no file descriptor is left"));
    WAIT_UNTIL(waiting(acquire("1")) == 1);
}

struct visits {
    uint64_t last;
    size_t count;
};

/* As long as a page takes; what is measured must not wait for it. */
static void visit_connection(void *context, const struct connection_info *info)
{
    struct visits *visits = context;
    assert_true(info->number > visits->last);
    assert_non_null(strstr(info->name, "fake"));
    assert_string_equal(info->error, "");
    assert_int_equal(stats().counts[COUNT_CONNECTIONS], 40);
    visits->last = info->number;
    visits->count++;
}

static void connections_are_shown_without_their_locks(void **state)
{
    (void)state;
    enum { CONNECTIONS = 40 };
    struct engine_settings settings = ENGINE_DEFAULTS;
    struct visits visits = {0};
    char source[16];
    settings.max_connections = CONNECTIONS;
    restart_engine(&settings);
    for (int i = 0; i < CONNECTIONS; i++) {
        snprintf(source, sizeof(source), "s%d", i);
        acquire_of(&fake_scaler, source, "1");
    }
    engine_connections(engine, visit_connection, &visits);
    assert_int_equal(visits.count, CONNECTIONS);
}

/* What it takes for the next reply counts as the new user's, however long the client lives. */
static void a_client_that_lives_on_is_its_new_tenants(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct query *query = NULL;
    assert_true(try_to_acquire_of("one", &fake_scaler, "a", "1", NULL, &query, &error));
    uint64_t one = poller_of(query)->tenancy.tenant;
    WAIT_UNTIL(fake_counts().tasks > 0);
    assert_int_equal(fake_counts().tenant, one);
    assert_true(try_to_acquire_of("other", &fake_scaler, "a", "1", NULL, &query, &error));
    release_of("one", query);
    uint64_t other = poller_of(query)->tenancy.tenant;
    assert_int_not_equal(other, one);
    WAIT_UNTIL(fake_counts().tenant == other);
    assert_int_equal(fake_counts().connects, 1);
}

/* ---- walks over many queries, which others change in the pauses ---- */

/* Enough for some pauses per walk: others get the lock after every 500. */
enum { PLAIN = 200, HANGING = 600, PASSING = 1400, SEEN = 8 };

static struct {
    struct query *plain[PLAIN];     /* held all the time; each has its number for a value */
    struct query *hanging[HANGING]; /* held all the time, in flight whenever the client is lost */
    struct query *passing[PASSING]; /* released and held again by one thread */
    atomic_bool is_over;
    atomic_int walks_seen;    /* the lock was had amid a walk */
    atomic_int next_released; /* ... and the query released that the walk was to visit next */
    atomic_int refused;
} crowd;

static struct query *hold_named(const char *format, int number)
{
    _cleanup_(error_done) struct error error = {0};
    struct query *query = NULL;
    char name[32];
    snprintf(name, sizeof(name), format, number);
    if (!try_to_acquire(&fake_scaler, "a", name, NULL, &query, &error))
        crowd.refused++;
    return query;
}

/* Whoever has the lock while this is set has it in a pause. */
static const struct query *next_of_walk(void)
{
    _cleanup_(connection_unlock) struct connection *connection =
        poller_lock(poller_of(crowd.plain[0]));
    return connection->next_walked;
}

static int passing_index(const struct query *query)
{
    for (int i = 0; i < PASSING; i++)
        if (crowd.passing[i] == query)
            return i;
    return -1;
}

/* Removes what a walk is about to visit, and adds it behind all others. */
static void *replace_the_next(void *unused)
{
    while (!crowd.is_over) {
        const struct query *next = next_of_walk();
        int i = next == NULL ? -1 : passing_index(next);
        crowd.walks_seen += next != NULL;
        if (i < 0)
            continue;
        release(crowd.passing[i]);
        crowd.next_released++;
        crowd.passing[i] = hold_named("1%06d", i);
    }
    return unused;
}

static void *add_and_remove(void *unused)
{
    for (int i = 0; !crowd.is_over; i = (i + 1) % PASSING)
        release(hold_named("2%06d", i));
    return unused;
}

static void *demand_and_watch(void *unused)
{
    for (int i = 0; !crowd.is_over; i = (i + 1) % PLAIN) {
        struct watcher watcher = {0};
        watcher_start(&watcher, crowd.plain[i], true);
        watcher_set_idle_interval(&watcher, 10);
        query_demand(crowd.plain[i], clock_now_ms());
        query_demand(crowd.hanging[i], clock_now_ms());
        waiting(crowd.plain[i]);
        watcher_stop(&watcher);
    }
    return unused;
}

static void fail_and_recover(void)
{
    fake_set_up(false);
    WAIT_UNTIL(stats().counts[COUNT_FAILED_CONNECTIONS] == 1);
    fake_set_up(true);
    WAIT_UNTIL(stats().counts[COUNT_FAILED_CONNECTIONS] == 0);
}

static void queries_change_while_a_walk_over_all_of_them_pauses(void **state)
{
    (void)state;
    static void *(*const works[])(void *) = {replace_the_next, add_and_remove, demand_and_watch};
    pthread_t threads[ARRAY_LENGTH(works)];
    struct engine_settings settings = ENGINE_DEFAULTS;
    settings.interval_ms = INTERVAL_MS;
    settings.timeout_ms =
        10 * (int64_t)PATIENCE_MS; /* those that hang are in flight until it is lost */
    settings.backoff_min_ms = settings.backoff_max_ms = 20;
    restart_engine(&settings);
    memset(&crowd, 0, sizeof(crowd));
    for (int i = 0; i < PLAIN; i++)
        crowd.plain[i] = hold_named("%d", i);
    for (int i = 0; i < HANGING; i++)
        crowd.hanging[i] = hold_named("hang%d", i);
    for (int i = 0; i < PASSING; i++)
        crowd.passing[i] = hold_named("1%06d", i);
    assert_int_equal(crowd.refused, 0);
    WAIT_UNTIL(stats().counts[COUNT_ANSWERED] >= PLAIN + PASSING);

    for (size_t i = 0; i < ARRAY_LENGTH(works); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, works[i], NULL), 0);
    int64_t deadline_ms = clock_now_ms() + PATIENCE_MS;
    for (int round = 0; round < 3 || crowd.walks_seen < SEEN || crowd.next_released < SEEN;
         round++) {
        if (clock_now_ms() > deadline_ms)
            break;
        fail_and_recover();
    }
    crowd.is_over = true;
    for (size_t i = 0; i < ARRAY_LENGTH(works); i++)
        pthread_join(threads[i], NULL);

    assert_true(crowd.walks_seen >= SEEN);
    assert_true(crowd.next_released >= SEEN);
    assert_int_equal(crowd.refused, 0);
    for (int i = 0; i < PLAIN; i++)
        WAIT_UNTIL(waiting(crowd.plain[i]) == i);
    for (int i = 0; i < PASSING; i++)
        WAIT_UNTIL(waiting(crowd.passing[i]) == 1000000 + i);
    assert_int_equal(stats().counts[COUNT_QUERIES], PLAIN + PASSING + HANGING);
}

int main(void)
{
    log_init(LOG_LEVEL_ERROR, LOG_PLAIN);
    const struct CMUnitTest tests[] = {
        TEST(a_query_is_measured_and_measured_again),
        TEST(equal_triggers_share_a_query_and_equal_sources_a_connection),
        TEST(many_queries_are_sent_together),
        TEST(a_watcher_is_notified_of_each_attempt),
        TEST(a_query_that_fails_fails_alone),
        TEST(what_ended_does_not_end_again),
        TEST(a_long_error_is_shortened),
        TEST(a_failure_keeps_the_last_reading_and_says_since_when),
        TEST(a_client_after_a_failed_one_reconnects),
        TEST(a_released_query_is_freed_with_its_connection),
        TEST(counters_of_a_connection_stay_with_the_name_that_it_had),
        TEST(no_count_is_lost_where_a_name_comes_and_goes),
        TEST(a_limit_on_connections_is_named),
        TEST(an_engine_says_how_many_connections_it_may_have),
        TEST(connections_on_their_way_out_do_not_count),
        TEST(as_many_connections_as_are_allowed_can_be_replaced_at_a_time),
        TEST(a_connection_that_some_stay_with_counts_again_once_one_more_comes),
        TEST(connections_that_do_not_end_are_the_cost_of_their_namespace),
        TEST(a_connection_that_has_not_ended_needs_no_other_thread),
        TEST(a_successor_has_the_former_reading_until_its_own),
        TEST(who_stays_with_a_query_keeps_its_history),
        TEST(the_number_of_a_query_is_not_used_again),
        TEST(a_successor_has_the_number_of_the_former_query),
        TEST(an_engine_stops_without_a_client_that_does_not_return),
        TEST(the_delay_of_a_source_is_in_seconds),
        TEST(what_is_measured_here_takes_cpu_turns),
        TEST(connections_of_two_namespaces_are_of_one_of_them),
        TEST(a_connection_is_of_those_who_hold_it_now),
        TEST(a_client_that_lives_on_is_its_new_tenants),
        TEST(a_missing_descriptor_is_named),
        TEST(connections_are_shown_without_their_locks),
        TEST(queries_change_while_a_walk_over_all_of_them_pauses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
