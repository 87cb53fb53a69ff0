/* What an engine counts, and shows of its connections. */
#include "base/log.h"
#include "base/memory.h"
#include "measure/engine_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static uint64_t measured(const struct histogram *histogram)
{
    uint64_t count = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(histogram->counts); i++)
        count += histogram->counts[i];
    return count;
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
    const struct connection_stats now = stats();
    assert_int_equal(measured(&now.measurement_seconds), now.counts[COUNT_ANSWERED]);
    engine_remove_user(query, &inline_user);
}

/* Although none of them was measured. */
static void all_queries_of_a_failed_connection_fail(void **state)
{
    (void)state;
    struct query *query = acquire_of(&fake_scaler, "down", "1");
    acquire_of(&fake_scaler, "down", "2");
    WAIT_UNTIL(stats().counts[COUNT_FAILED_CONNECTIONS] == 1);
    assert_int_equal(stats().counts[COUNT_FAILING_QUERIES], 2);
    query_count_held(query, 1, 0, "");
    assert_int_equal(stats().counts[COUNT_HELD_CONNECTIONS], 1);
    query_count_held(query, -1, 0, "");
    assert_int_equal(stats().counts[COUNT_HELD_CONNECTIONS], 0);
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

int main(void)
{
    log_init(LOG_LEVEL_ERROR, LOG_PLAIN);
    const struct CMUnitTest tests[] = {
        TEST(counters_of_a_connection_stay_with_the_name_that_it_had),
        TEST(no_count_is_lost_where_a_name_comes_and_goes),
        TEST(all_queries_of_a_failed_connection_fail),
        TEST(the_delay_of_a_source_is_in_seconds),
        TEST(connections_are_shown_without_their_locks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
