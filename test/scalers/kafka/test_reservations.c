/* Groups that reserve partitions: who waits, for whom, and for how long. */
#include "kafka/measure/reservations.h"

#include "base/clock.h"
#include "base/memory.h"
#include "kafka/client/client.h"

#include <math.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { LIMIT = 10000, ISOLATED_LIMIT = 5000, GUESS = 200, LEASE_MS = 1000, NOW_MS = 5000 };
enum { DEADLINE_MS = NOW_MS + 2000 };

static int set_up(void **state)
{
    *state = memory_new(sizeof(struct kafka_reservations));
    return 0;
}

static int tear_down(void **state)
{
    struct kafka_reservations *reservations = *state;
    kafka_reservations_done(reservations);
    assert_null(reservations->groups);
    free(reservations);
    return 0;
}

static bool reserve(struct kafka_reservations *reservations, const char *group, bool isolate)
{
    return kafka_reservations_reserve(reservations, group, isolate, DEADLINE_MS, NOW_MS);
}

static uint64_t confirm(struct kafka_reservations *reservations, const char *group, bool isolate,
                        size_t partitions)
{
    return kafka_reservations_confirm(reservations, group, isolate, partitions, DEADLINE_MS,
                                      NOW_MS);
}

static void groups_of_which_nothing_is_known_are_few(void **state)
{
    struct kafka_reservations *reservations = *state;
    char name[16];
    for (int i = 0; i <= LIMIT / GUESS; i++) {
        snprintf(name, sizeof(name), "g%d", i);
        assert_int_equal(reserve(reservations, name, false), i < LIMIT / GUESS);
    }
    assert_true(reserve(reservations, "g0", false)); /* it has one */
    assert_false(kafka_reservations_have_space(reservations, false));
}

/* It may be one of thousands with few partitions. */
static void a_group_counts_what_it_had_last(void **state)
{
    struct kafka_reservations *reservations = *state;
    kafka_reservations_note(reservations, "large", LIMIT - 1, NOW_MS);
    kafka_reservations_note(reservations, "small", 1, NOW_MS);
    kafka_reservations_note(reservations, "other", 1, NOW_MS);
    assert_true(reserve(reservations, "large", false));
    assert_true(reserve(reservations, "small", false));
    assert_false(reserve(reservations, "other", false));
}

/* Or small ones that come all the time would always be before it. */
static void nobody_goes_before_a_group_that_was_refused(void **state)
{
    struct kafka_reservations *reservations = *state;
    uint64_t number = confirm(reservations, "first", false, LIMIT - GUESS);
    kafka_reservations_note(reservations, "large", LIMIT, NOW_MS);
    assert_false(reserve(reservations, "large", false));
    assert_false(reserve(reservations, "unknown", false)); /* although there is space for it */
    kafka_reservations_release(reservations, "first", false, number);
    assert_true(kafka_reservations_have_space(reservations, false));
    assert_true(reserve(reservations, "large", false));
}

/* Those that wait make a batch together. */
static void what_waits_goes_on_once_half_is_free(void **state)
{
    struct kafka_reservations *reservations = *state;
    uint64_t first = confirm(reservations, "first", false, LIMIT / 2 - 1);
    uint64_t second = confirm(reservations, "second", false, 1);
    uint64_t third = confirm(reservations, "third", false, LIMIT / 2);
    assert_false(reserve(reservations, "unknown", false));
    kafka_reservations_release(reservations, "first", false, first + LIMIT); /* is not held */
    kafka_reservations_release(reservations, "second", false, second);
    assert_false(kafka_reservations_have_space(reservations, false));
    kafka_reservations_release(reservations, "third", false, third);
    assert_true(kafka_reservations_have_space(reservations, false));
}

static void a_group_that_has_more_than_it_reserved_may_have_to_wait(void **state)
{
    struct kafka_reservations *reservations = *state;
    assert_true(reserve(reservations, "first", false));
    assert_true(reserve(reservations, "second", false));
    assert_int_equal(confirm(reservations, "first", false, LIMIT), 0);
    assert_int_not_equal(confirm(reservations, "second", false, LIMIT + 1), 0); /* it is alone */
    assert_false(reserve(reservations, "first", false));
}

static void a_group_that_hangs_keeps_others_waiting_for_a_second(void **state)
{
    struct kafka_reservations *reservations = *state;
    uint64_t hanging = confirm(reservations, "hanging", false, LIMIT);
    assert_false(reserve(reservations, "other", false));
    assert_int_equal(kafka_reservations_next_ms(reservations, false), NOW_MS + LEASE_MS);
    kafka_reservations_maintain(reservations, NOW_MS + LEASE_MS - 1);
    assert_false(kafka_reservations_have_space(reservations, false));
    kafka_reservations_maintain(reservations, NOW_MS + LEASE_MS);
    assert_true(kafka_reservations_have_space(reservations, false));
    assert_true(reserve(reservations, "hanging", false)); /* on another handle */
    kafka_reservations_release(reservations, "hanging", false, hanging);
    assert_false(reserve(reservations, "other", false)); /* that one has not ended */
}

static void isolated_groups_have_a_limit_of_their_own(void **state)
{
    struct kafka_reservations *reservations = *state;
    kafka_reservations_note(reservations, "second", 1, NOW_MS);
    assert_int_not_equal(confirm(reservations, "first", true, ISOLATED_LIMIT), 0);
    assert_false(reserve(reservations, "second", true));
    assert_true(reserve(reservations, "second", false));
    kafka_reservations_maintain(reservations, NOW_MS + LEASE_MS - 1);
    assert_false(reserve(reservations, "second", true));
    kafka_reservations_maintain(reservations, NOW_MS + LEASE_MS);
    assert_true(reserve(reservations, "second", true));
}

static void where_the_process_may_have_more_memory_the_limit_is_higher(void **state)
{
    struct kafka_reservations *reservations = *state;
    kafka_reservations_allow(reservations, INFINITY);
    kafka_reservations_allow(reservations, (28 << 20) - 1);
    assert_int_equal(reservations->extra, 0);
    kafka_reservations_allow(reservations, 96 << 20);
    assert_true(reservations->extra > 4 * (size_t)LIMIT);
    assert_int_not_equal(confirm(reservations, "first", false, (size_t)4 * LIMIT), 0);
    assert_int_not_equal(confirm(reservations, "second", false, LIMIT), 0);
    assert_int_equal(confirm(reservations, "third", false, LIMIT), 0);
    assert_int_not_equal(confirm(reservations, "first", true, (size_t)2 * LIMIT), 0);
    assert_int_equal(confirm(reservations, "second", true, LIMIT), 0);
}

/* One trigger names its topic, another one of the group does not. */
static void what_a_group_has_in_all_is_not_what_one_topic_has(void **state)
{
    struct kafka_reservations *reservations = *state;
    kafka_reservations_note(reservations, "group", LIMIT - 1, NOW_MS);
    uint64_t number = confirm(reservations, "group", false, 10);
    kafka_reservations_release(reservations, "group", false, number);
    assert_true(reserve(reservations, "group", false));
    assert_false(reserve(reservations, "other", false)); /* it may be for all */
    assert_int_not_equal(confirm(reservations, "group", false, 10), 0);
    assert_true(reserve(reservations, "other", false));
}

/* As where its topic does not exist. */
static void a_group_of_which_nothing_is_sent_has_no_reservation(void **state)
{
    struct kafka_reservations *reservations = *state;
    kafka_reservations_cancel(reservations, "unknown", false);
    assert_true(reserve(reservations, "failing", false));
    kafka_reservations_cancel(reservations, "failing", false);
    assert_int_equal(kafka_reservations_next_ms(reservations, false), CLOCK_NEVER);
    /* Another batch is for the same group, and was sooner. */
    confirm(reservations, "failing", false, 1);
    kafka_reservations_cancel(reservations, "failing", false);
    assert_int_equal(kafka_reservations_next_ms(reservations, false), NOW_MS + LEASE_MS);
}

static void a_group_is_forgotten_after_a_time_without_reservations(void **state)
{
    struct kafka_reservations *reservations = *state;
    kafka_reservations_note(reservations, "idle", 1, NOW_MS);
    assert_true(reserve(reservations, "busy", true));
    kafka_reservations_forget_old(reservations, NOW_MS + KAFKA_FORGET_MS - 1);
    assert_true(reserve(reservations, "idle", false));
    kafka_reservations_forget_old(reservations, NOW_MS + KAFKA_FORGET_MS);
    kafka_reservations_maintain(reservations, CLOCK_NEVER);
    assert_non_null(reservations->groups); /* they had reservations */
    kafka_reservations_forget_old(reservations, NOW_MS + KAFKA_FORGET_MS);
    assert_null(reservations->groups);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(groups_of_which_nothing_is_known_are_few),
        TEST(a_group_counts_what_it_had_last),
        TEST(nobody_goes_before_a_group_that_was_refused),
        TEST(what_waits_goes_on_once_half_is_free),
        TEST(a_group_that_has_more_than_it_reserved_may_have_to_wait),
        TEST(a_group_that_hangs_keeps_others_waiting_for_a_second),
        TEST(isolated_groups_have_a_limit_of_their_own),
        TEST(where_the_process_may_have_more_memory_the_limit_is_higher),
        TEST(what_a_group_has_in_all_is_not_what_one_topic_has),
        TEST(a_group_of_which_nothing_is_sent_has_no_reservation),
        TEST(a_group_is_forgotten_after_a_time_without_reservations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
