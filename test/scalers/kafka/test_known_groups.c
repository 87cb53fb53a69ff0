/* What is remembered of groups. */
#include "kafka/known_groups.h"

#include "base/clock.h"
#include "base/memory.h"
#include "kafka/client/client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

enum { FIRST_GUESS = 1250, GUESS_MIN = 200, NOW_MS = 5000 };

static int set_up(void **state)
{
    struct kafka_known_groups *groups = memory_new(sizeof(*groups));
    kafka_known_groups_init(groups, FIRST_GUESS);
    *state = groups;
    return 0;
}

static int tear_down(void **state)
{
    struct kafka_known_groups *groups = *state;
    kafka_known_groups_forget_old(groups, CLOCK_NEVER);
    assert_null(groups->all);
    free(groups);
    return 0;
}

static void what_a_group_has_committed_is_remembered_for_a_time(void **state)
{
    struct kafka_known_groups *groups = *state;
    kafka_known_groups_note_committed(groups, "group", 7000, NOW_MS);
    kafka_known_groups_forget_old(groups, NOW_MS + KAFKA_FORGET_MS - 1);
    assert_int_equal(kafka_known_groups_committed(groups, "group"), 7000);
    kafka_known_groups_forget_old(groups, NOW_MS + KAFKA_FORGET_MS);
    assert_int_not_equal(kafka_known_groups_committed(groups, "group"), 7000);
}

/* With 200 for each, groups of thousands would have been requested by the dozen at first. */
static void a_group_of_which_nothing_is_known_takes_twice_what_others_had(void **state)
{
    enum { AFTER = 50, LARGE = 3000 };
    struct kafka_known_groups *groups = *state;
    assert_int_equal(kafka_known_groups_committed(groups, "group"), FIRST_GUESS);
    for (int i = 0; i < AFTER; i++)
        kafka_known_groups_note_committed(groups, "small", 10, NOW_MS);
    assert_int_equal(kafka_known_groups_committed(groups, "group"), GUESS_MIN);
    for (int i = 0; i < AFTER; i++)
        kafka_known_groups_note_committed(groups, "large", LARGE, NOW_MS);
    assert_in_range(kafka_known_groups_committed(groups, "group"), 2 * LARGE - 100, 2 * LARGE);
}

/* It is measured every now and then, and never answered. */
static void a_silent_group_that_is_of_use_is_not_forgotten(void **state)
{
    enum { LATER_MS = NOW_MS + KAFKA_FORGET_MS, PARTITIONS = 100 };
    struct kafka_known_groups *groups = *state;
    kafka_known_groups_note_silent(groups, "group", PARTITIONS, NOW_MS);
    kafka_known_groups_note_use(groups, "group", LATER_MS - 1);
    kafka_known_groups_note_use(groups, "unknown", LATER_MS - 1);
    kafka_known_groups_forget_old(groups, LATER_MS);
    assert_int_equal(kafka_known_groups_silent(groups, "group"), PARTITIONS);
    kafka_known_groups_note_answer(groups, "group");
    assert_int_equal(kafka_known_groups_silent(groups, "group"), 0);
    kafka_known_groups_note_silent(groups, "group", PARTITIONS, LATER_MS);
    kafka_known_groups_forget_old(groups, LATER_MS + KAFKA_FORGET_MS);
    assert_null(groups->all);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_a_group_has_committed_is_remembered_for_a_time),
        TEST(a_group_of_which_nothing_is_known_takes_twice_what_others_had),
        TEST(a_silent_group_that_is_of_use_is_not_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
