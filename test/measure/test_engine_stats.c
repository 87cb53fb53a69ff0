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

/* Or counters of metrics would fall. */
static void what_a_connection_counted_stays_with_its_name(void **state)
{
    (void)state;
    static const char orders[] = "connection=\"orders\",";
    _cleanup_(error_done) struct error error = {0};
    struct query *query = NULL;
    assert_true(try_to_acquire_of("orders", &fake_scaler, "a", "1", NULL, &query, &error));
    WAIT_UNTIL(measured_of(orders) > 0);
    double before = measured_of(orders);
    release(query);
    WAIT_UNTIL(stats().counts[COUNT_CONNECTIONS] == 0);
    assert_true(measured_of(orders) >= before);
    WAIT_UNTIL(waiting(acquire("1")) == 1);
    assert_true(measured_of("") > 0);
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
        TEST(what_a_connection_counted_stays_with_its_name),
        TEST(all_queries_of_a_failed_connection_fail),
        TEST(the_delay_of_a_source_is_in_seconds),
        TEST(connections_are_shown_without_their_locks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
