/* When a connection makes its next client. */
#include "base/memory.h"
#include "measure/connection/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static uint32_t longest(uint32_t below)
{
    return below - 1;
}

static uint32_t shortest(uint32_t below)
{
    (void)below;
    return 0;
}

static struct backoff_settings settings;
static struct error unreachable, costly;
static struct backoff backoff;
static int64_t now_ms;

static int set_up(void **state)
{
    (void)state;
    settings = (struct backoff_settings){.min_ms = 250, .max_ms = 5000, .jitter = longest};
    backoff = (struct backoff){0};
    now_ms = 1000000;
    error_set(&unreachable, ERROR_UNAVAILABLE, "connection refused");
    error_set(&costly, ERROR_COSTLY, "took too much CPU time");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    error_done(&unreachable);
    error_done(&costly);
    return 0;
}

/* How long it waits. */
static int64_t refuse(const struct error *error)
{
    backoff_refused(&backoff);
    backoff_failed(&backoff, &settings, error, now_ms);
    return backoff.retry_at_ms - now_ms;
}

static void work_for(int64_t for_ms)
{
    backoff_connected(&backoff, now_ms);
    backoff_answered(&backoff);
    now_ms += for_ms;
    backoff_lost(&backoff, now_ms);
}

static int64_t hang_up_after(int64_t for_ms)
{
    work_for(for_ms);
    backoff_hung_up(&backoff, &settings, &unreachable, now_ms);
    return backoff.retry_at_ms - now_ms;
}

static void a_failure_is_retried_at_once_and_further_ones_later_and_later(void **state)
{
    (void)state;
    static const int64_t waits_ms[] = {0, 250, 500, 1000, 2000, 4000, 5000, 5000};
    for (size_t i = 0; i < ARRAY_LENGTH(waits_ms); i++)
        assert_int_equal(refuse(&unreachable), waits_ms[i]);
}

static void replicas_wait_up_to_a_quarter_less(void **state)
{
    (void)state;
    settings.jitter = shortest;
    assert_int_equal(refuse(&unreachable), 0);
    assert_int_equal(refuse(&unreachable), 250 - 250 / 4);
    assert_int_equal(refuse(&unreachable), 375);
}

static void only_an_answer_ends_the_failures(void **state)
{
    (void)state;
    refuse(&unreachable);
    refuse(&unreachable);
    backoff_connected(&backoff, now_ms);
    backoff_lost(&backoff, now_ms);
    backoff_failed(&backoff, &settings, &unreachable, now_ms);
    assert_int_equal(backoff.retry_at_ms, now_ms + 500);
    work_for(1);
    assert_int_equal(backoff.retry_at_ms, now_ms);
    assert_int_equal(refuse(&unreachable), 0);
}

static void hang_ups_wait_for_a_second_at_most(void **state)
{
    (void)state;
    static const int64_t waits_ms[] = {0, 250, 500, 1000, 1000};
    for (size_t i = 0; i < ARRAY_LENGTH(waits_ms); i++)
        assert_int_equal(hang_up_after(9999), waits_ms[i]);
}

/* A call waits longer then; but what was closed while it was idle says nothing of this one. */
static void clients_lost_in_flight_have_waits_of_their_own(void **state)
{
    (void)state;
    static const int64_t waits_ms[] = {0, 250, 500, 1000, 2000, 4000, 5000, 5000};
    for (int i = 0; i < 20; i++)
        hang_up_after(1);
    for (size_t i = 0; i < ARRAY_LENGTH(waits_ms); i++) {
        work_for(9999);
        backoff_failed(&backoff, &settings, &unreachable, now_ms);
        assert_int_equal(backoff.retry_at_ms, now_ms + waits_ms[i]);
    }
    assert_int_equal(hang_up_after(1), 1000);
    assert_int_equal(hang_up_after(10000), 0);
    work_for(9999);
    backoff_failed(&backoff, &settings, &unreachable, now_ms);
    assert_int_equal(backoff.retry_at_ms, now_ms);
}

static void one_that_never_answered_waits_like_any_failure(void **state)
{
    (void)state;
    static const int64_t waits_ms[] = {0, 250, 500, 1000, 2000};
    for (size_t i = 0; i < ARRAY_LENGTH(waits_ms); i++) {
        backoff_connected(&backoff, now_ms);
        backoff_lost(&backoff, now_ms);
        backoff_hung_up(&backoff, &settings, &unreachable, now_ms);
        assert_int_equal(backoff.retry_at_ms, now_ms + waits_ms[i]);
    }
}

static void hang_ups_end_with_a_client_that_lived_for_ten_seconds(void **state)
{
    (void)state;
    hang_up_after(1);
    assert_int_equal(hang_up_after(1), 250);
    assert_int_equal(hang_up_after(10000), 0);
}

static void hang_ups_and_failures_are_counted_separately(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++)
        hang_up_after(1);
    assert_int_equal(refuse(&unreachable), 0);
    assert_int_equal(refuse(&unreachable), 250);
    assert_int_equal(hang_up_after(1), 1000);
}

static void what_cost_much_is_tried_again_after_minutes(void **state)
{
    (void)state;
    assert_int_equal(refuse(&costly), 5 * 60 * 1000);
}

static void each_client_but_the_first_reconnects(void **state)
{
    (void)state;
    backoff_connected(&backoff, now_ms);
    assert_false(backoff.reconnects);
    backoff_lost(&backoff, now_ms);
    assert_true(backoff.reconnects);
    backoff = (struct backoff){0};
    refuse(&unreachable);
    assert_true(backoff.reconnects);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_failure_is_retried_at_once_and_further_ones_later_and_later),
        TEST(replicas_wait_up_to_a_quarter_less),
        TEST(only_an_answer_ends_the_failures),
        TEST(hang_ups_wait_for_a_second_at_most),
        TEST(clients_lost_in_flight_have_waits_of_their_own),
        TEST(one_that_never_answered_waits_like_any_failure),
        TEST(hang_ups_end_with_a_client_that_lived_for_ten_seconds),
        TEST(hang_ups_and_failures_are_counted_separately),
        TEST(what_cost_much_is_tried_again_after_minutes),
        TEST(each_client_but_the_first_reconnects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
