/* Connections that break, and queries that hang. */
#include "base/log.h"
#include "base/memory.h"
#include "measure/fixture.h"

#include <pthread.h>
#include <stdio.h>

static void a_broken_connection_comes_back_without_a_restart(void **state)
{
    (void)state;
    struct query *query = hold("6");
    WAIT_UNTIL(waiting(query) == 6);
    fake_set_up(false);
    WAIT_UNTIL(fails(query, "the fake source is down"));
    fake_set_up(true);
    WAIT_UNTIL(waiting(query) == 6);
}

static void a_broken_connection_backs_off(void **state)
{
    (void)state;
    hold_of(&fake_scaler, "down", "1");
    usleep(1000000);
    int connects = fake_counts().connects;
    /* At once, then about 50, 100, 200, 200 ... ms apart, with a quarter of jitter. */
    assert_in_range(connects, 3, 10);
}

static void a_client_that_is_lost_after_it_answered_all_costs_nobody_a_reading(void **state)
{
    (void)state;
    struct query *query = hold("1");
    WAIT_UNTIL(waiting(query) == 1);
    int connects = fake_counts().connects;
    fake_set_parting(true);
    for (int i = 0; i < 300; i++) {
        assert_true(waiting(query) == 1);
        usleep(5000);
    }
    assert_true(fake_counts().connects >= connects + 3);
    fake_set_up(false);
    WAIT_UNTIL(fails(query, "the fake source is down"));
}

static void who_joins_a_broken_connection_is_refused_at_once(void **state)
{
    (void)state;
    struct query *query = hold("1");
    fake_set_up(false);
    WAIT_UNTIL(fails(query, "the fake source is down"));
    int connects = fake_counts().connects;
    struct query *joiner = hold("2");
    assert_true(fails(joiner, "the fake source is down"));
    assert_in_range(fake_counts().connects, connects, connects + 1);
}

static void a_hanging_query_is_asked_apart_and_does_not_hold_up_its_neighbours(void **state)
{
    (void)state;
    struct query *good = hold("1");
    struct query *hanging = hold("hang");
    WAIT_UNTIL(fails(hanging, "no answer within 300 ms"));
    WAIT_UNTIL(stats().slow_queries == 1);
    int64_t start = clock_now_ms();
    for (int i = 10; i < 15; i++) {
        fake_set_queue("1", i);
        WAIT_UNTIL(waiting(good) == i);
    }
    assert_true(clock_now_ms() - start < 2000); /* five times interval and deadline */
    assert_true(fails(hanging, "no answer"));
}

static void a_hanging_query_returns_after_one_answer_in_time(void **state)
{
    (void)state;
    struct query *good = hold("1");
    struct query *hanging = hold("hang");
    WAIT_UNTIL(stats().slow_queries == 1);
    fake_set_queue("hang", 12);
    WAIT_UNTIL(waiting(hanging) == 12);
    WAIT_UNTIL(stats().slow_queries == 0);
    fake_set_queue("hang", 13);
    WAIT_UNTIL(waiting(hanging) == 13);
    assert_true(waiting(good) == 1);
}

static void what_became_slow_with_all_the_others_returns_with_them(void **state)
{
    (void)state;
    struct query *queries[40];
    char name[16];
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof(name), "q%d", i);
        fake_set_queue(name, FAKE_HANGS);
        queries[i] = hold(name);
    }
    WAIT_UNTIL(stats().slow_queries == 40);
    int batches = fake_counts().batches;
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof(name), "q%d", i);
        fake_set_queue(name, i);
    }
    for (int i = 0; i < 40; i++)
        WAIT_UNTIL(waiting(queries[i]) == i);
    assert_in_range(fake_counts().batches - batches, 1, 10); /* and not 40 */
}

static void a_query_that_hangs_alone_does_not_fail_its_neighbours(void **state)
{
    (void)state;
    struct query *good = hold("1");
    WAIT_UNTIL(waiting(good) == 1);
    struct query *hanging = hold("hang");
    for (int i = 0; i < 200; i++) {
        assert_true(waiting(good) == 1);
        usleep(5000);
    }
    assert_true(fails(hanging, "no answer"));
}

/* It may be the first of a batch or the last. */
static void a_query_that_breaks_its_client_is_asked_apart(void **state)
{
    (void)state;
    struct query *first = hold("1");
    struct query *breaking = hold("break");
    struct query *last = hold("2");
    WAIT_UNTIL(stats().slow_queries == 1 && waiting(first) == 1 && waiting(last) == 2);
    for (int i = 0; i < 200; i++) {
        assert_true(waiting(first) == 1);
        assert_true(waiting(last) == 2);
        usleep(5000);
    }
    assert_true(fails(breaking, "the fake connection broke"));
    fake_set_queue("break", 3);
    WAIT_UNTIL(waiting(breaking) == 3 && stats().slow_queries == 0);
}

static void the_slow_lane_asks_in_turn(void **state)
{
    (void)state;
    struct query *query = NULL;
    char name[16];
    hold("1");
    for (int i = 0; i < 5; i++) {
        snprintf(name, sizeof(name), "q%d", i);
        fake_set_queue(name, FAKE_HANGS);
        query = hold(name);
    }
    WAIT_UNTIL(stats().slow_queries == 5);
    fake_set_queue(name, 4);
    WAIT_UNTIL(waiting(query) == 4); /* each of the others takes longer than the longest interval */
    WAIT_UNTIL(stats().slow_queries == 4);
}

static void a_slow_query_can_be_released_too(void **state)
{
    (void)state;
    struct query *hanging = hold("hang");
    struct query *good = hold("1");
    WAIT_UNTIL(stats().slow_queries == 1);
    query_release(hanging, INTERVAL_MS);
    WAIT_UNTIL(stats().queries == 1);
    query_release(good, INTERVAL_MS);
    WAIT_UNTIL(stats().connections == 0);
}

static void a_thread_that_cannot_be_had_refuses_its_connection_alone(void **state)
{
    (void)state;
    const size_t more_than_there_is = (size_t)1 << 47;
    pthread_attr_t usual;
    pthread_attr_t huge;
    struct query *good = hold("1");
    assert_int_equal(pthread_getattr_default_np(&usual), 0);
    pthread_attr_init(&huge);
    pthread_attr_setstacksize(&huge, more_than_there_is);
    assert_int_equal(pthread_setattr_default_np(&huge), 0);

    _cleanup_(error_done) struct error error = {0};
    _cleanup_(fake_values_done) struct fake_values values = fake_values("b", "1");
    struct query *query = NULL;
    bool held = engine_hold(engine, &fake_scaler, values.scopes[OPTION_CONNECTION],
                            values.scopes[OPTION_QUERY], INTERVAL_MS, &query, &error);
    struct query *hanging = hold("hang");
    usleep((useconds_t)(5 * DEADLINE_MS) * 1000);
    assert_int_equal(stats().slow_queries, 0);
    assert_int_equal(pthread_setattr_default_np(&usual), 0);

    assert_false(held);
    assert_int_equal(error.code, ERROR_LIMIT);
    assert_true(fails(hanging, "no answer"));
    WAIT_UNTIL(waiting(good) == 1);
    WAIT_UNTIL(waiting(hold_of(&fake_scaler, "b", "1")) == 1);
    WAIT_UNTIL(stats().slow_queries == 1);
    pthread_attr_destroy(&usual);
    pthread_attr_destroy(&huge);
}

static void the_engine_ends_while_a_measurement_hangs(void **state)
{
    (void)state;
    hold("hang");
    hold("1");
    WAIT_UNTIL(stats().slow_queries == 1);
}

int main(void)
{
    log_init(LOG_ERROR, LOG_PLAIN);
    const struct CMUnitTest tests[] = {
        TEST(a_broken_connection_comes_back_without_a_restart),
        TEST(a_broken_connection_backs_off),
        TEST(a_client_that_is_lost_after_it_answered_all_costs_nobody_a_reading),
        TEST(who_joins_a_broken_connection_is_refused_at_once),
        TEST(a_hanging_query_is_asked_apart_and_does_not_hold_up_its_neighbours),
        TEST(a_hanging_query_returns_after_one_answer_in_time),
        TEST(what_became_slow_with_all_the_others_returns_with_them),
        TEST(a_query_that_hangs_alone_does_not_fail_its_neighbours),
        TEST(a_query_that_breaks_its_client_is_asked_apart),
        TEST(the_slow_lane_asks_in_turn),
        TEST(a_slow_query_can_be_released_too),
        TEST(a_thread_that_cannot_be_had_refuses_its_connection_alone),
        TEST(the_engine_ends_while_a_measurement_hangs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
