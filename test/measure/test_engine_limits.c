/* How many connections an engine may have, and whose they are. */
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

/* Though their number leaves room for two that have not ended. */
static void a_namespace_can_replace_all_of_its_connections_at_a_time(void **state)
{
    (void)state;
    enum { MAX = 4 };
    struct engine_settings settings = ENGINE_DEFAULTS;
    struct query *queries[MAX];
    settings.max_connections = MAX;
    restart_engine(&settings);
    fake_set_stuck(true);
    for (int i = 0; i < 2 * MAX; i++) {
        _cleanup_(error_done) struct error error = {0};
        _cleanup_(memory_free) char *source = text_format("s%d", i);
        struct query *former = i < MAX ? NULL : queries[i - MAX];
        if (!try_to_acquire_of("shop", &fake_scaler, source, "1", former, &queries[i % MAX],
                               &error))
            fail_msg("%s: %s", source, error_text(&error));
        WAIT_UNTIL(fake_counts().connects > i);
        if (former != NULL)
            release_of("shop", former);
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

int main(void)
{
    log_init(LOG_LEVEL_ERROR, LOG_PLAIN);
    const struct CMUnitTest tests[] = {
        TEST(a_limit_on_connections_is_named),
        TEST(an_engine_says_how_many_connections_it_may_have),
        TEST(connections_on_their_way_out_do_not_count),
        TEST(as_many_connections_as_are_allowed_can_be_replaced_at_a_time),
        TEST(a_connection_that_some_stay_with_counts_again_once_one_more_comes),
        TEST(a_connection_in_use_takes_one_more_trigger_at_the_limit),
        TEST(a_replaced_connection_that_stays_in_use_counts_again_after_a_minute),
        TEST(connections_that_do_not_end_are_the_cost_of_their_namespace),
        TEST(a_namespace_can_replace_all_of_its_connections_at_a_time),
        TEST(a_connection_that_has_not_ended_needs_no_other_thread),
        TEST(connections_of_two_namespaces_are_of_one_of_them),
        TEST(a_connection_is_of_those_who_hold_it_now),
        TEST(a_client_that_lives_on_is_its_new_tenants),
        TEST(a_missing_descriptor_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
