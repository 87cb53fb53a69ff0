/* How many connections an engine may have. */
#include "base/log.h"
#include "base/memory.h"
#include "measure/engine_fixture.h"
#include "measure/poller.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

static bool can_hold(const struct scaler *scaler, const char *source, struct query *former)
{
    _cleanup_(error_done) struct error error = {0};
    struct query *query = NULL;
    bool good = try_to_acquire(scaler, source, "1", former, &query, &error);
    assert_true(good || error.code == ERROR_LIMIT);
    return good;
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

static bool can_hold_named(const char *connection, const struct scaler *scaler)
{
    _cleanup_(error_done) struct error error = {0};
    struct query *query = NULL;
    return try_to_acquire_of(connection, scaler, connection, "1", NULL, &query, &error);
}

static void places_are_kept_for_the_connections_file(void **state)
{
    (void)state;
    struct engine_settings settings = ENGINE_DEFAULTS;
    settings.max_connections = 5;
    settings.max_agents = 2;
    settings.program = "/bin/true";
    restart_engine(&settings);
    engine_reserve(engine, 2, 1);
    assert_true(can_hold(&fake_agent_scaler, "a", NULL));
    assert_false(can_hold(&fake_agent_scaler, "b", NULL));
    assert_true(can_hold(&fake_scaler, "b", NULL));
    assert_true(can_hold(&fake_scaler, "c", NULL));
    assert_false(can_hold(&fake_scaler, "d", NULL));
    assert_true(can_hold_named("orders", &fake_scaler));
    assert_true(can_hold_named("events", &fake_agent_scaler));
}

/* Otherwise its places, its name and its counters would be those of whoever came first. */
static void an_inline_connection_is_not_that_of_the_file_with_the_same_values(void **state)
{
    (void)state;
    acquire_of(&fake_scaler, "orders", "1");
    assert_true(can_hold_named("orders", &fake_scaler));
    assert_int_equal(stats().counts[COUNT_CONNECTIONS], 2);
}

static double used_part;

static bool has_memory(double part)
{
    return used_part <= part;
}

/* What is served goes on, with other credentials, too. */
static void without_memory_nothing_new_is_made(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct engine_settings settings = ENGINE_DEFAULTS;
    struct query *query = NULL;
    settings.has_memory = has_memory;
    used_part = 0.5;
    restart_engine(&settings);
    struct query *former = acquire_of(&fake_scaler, "a", "1");
    used_part = 0.85;
    assert_false(try_to_acquire(&fake_scaler, "b", "1", NULL, &query, &error));
    assert_int_equal(error.code, ERROR_LIMIT);
    assert_string_equal(error_text(&error),
                        "no further connection is made: 80 % of the container's "
                        "memory are in use: raise its limit");
    assert_true(can_hold(&fake_scaler, "b", former)); /* with another password */
    acquire_of(&fake_scaler, "a", "2");
    used_part = 0.95;
    acquire_of(&fake_scaler, "a", "2"); /* it is measured already */
    assert_false(try_to_acquire(&fake_scaler, "a", "3", NULL, &query, &error));
    assert_non_null(strstr(error_text(&error), "no further trigger is measured: 90 %"));
    assert_true(can_hold(&fake_scaler, "c", former));
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

/* It does not count while some of its triggers go over to another one. */
static void a_connection_in_use_takes_one_more_trigger_at_the_limit(void **state)
{
    (void)state;
    struct engine_settings settings = ENGINE_DEFAULTS;
    settings.max_connections = 2;
    restart_engine(&settings);
    struct query *former = acquire_of(&fake_scaler, "a", "1");
    acquire_of(&fake_scaler, "a", "1");
    struct query *of_others = acquire_of(&fake_scaler, "b", "1");
    assert_true(can_hold(&fake_scaler, "c", former));
    release(former);
    assert_true(can_hold(&fake_scaler, "a", NULL));
    assert_false(can_hold(&fake_scaler, "another", NULL));
    assert_true(can_hold(&fake_scaler, "d", of_others)); /* it was here before */
}

static atomic_int_fast64_t ahead_us;

static int64_t read_clock_ahead_us(void)
{
    return clock_now_us() + ahead_us;
}

/* Some triggers did not go over to the new one. */
static void a_replaced_connection_that_stays_in_use_counts_again_after_a_minute(void **state)
{
    (void)state;
    enum { MINUTE_US = 60 * 1000 * 1000, MOMENT_US = 30 * 1000 * 1000 };
    struct engine_settings settings = ENGINE_DEFAULTS;
    settings.max_connections = 2;
    settings.now_us = read_clock_ahead_us;
    ahead_us = 0;
    restart_engine(&settings);
    struct query *former = acquire_of(&fake_scaler, "a", "1");
    assert_true(can_hold(&fake_scaler, "b", former));
    ahead_us = MINUTE_US - MOMENT_US;
    release(acquire_of(&fake_scaler, "another", "1"));
    ahead_us = MINUTE_US;
    assert_false(can_hold(&fake_scaler, "another", NULL));
    release(former);
    assert_true(can_hold(&fake_scaler, "another", NULL));
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
    acquire_of(&fake_scaler, "s1", "1");
    assert_false(can_hold(&fake_scaler, "s2", NULL)); /* it would count */
    fake_set_stuck(false);
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

int main(void)
{
    log_init(LOG_LEVEL_ERROR, LOG_PLAIN);
    const struct CMUnitTest tests[] = {
        TEST(a_limit_on_connections_is_named),
        TEST(places_are_kept_for_the_connections_file),
        TEST(an_inline_connection_is_not_that_of_the_file_with_the_same_values),
        TEST(without_memory_nothing_new_is_made),
        TEST(connections_on_their_way_out_do_not_count),
        TEST(as_many_connections_as_are_allowed_can_be_replaced_at_a_time),
        TEST(a_connection_that_some_stay_with_counts_again_once_one_more_comes),
        TEST(a_connection_in_use_takes_one_more_trigger_at_the_limit),
        TEST(a_replaced_connection_that_stays_in_use_counts_again_after_a_minute),
        TEST(a_connection_that_has_not_ended_needs_no_other_thread),
        TEST(a_missing_descriptor_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
