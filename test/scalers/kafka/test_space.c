/* Groups that take space: who finds some, who leaves it, and how many tasks there may be. */
#include "kafka/space.h"

#include "base/clock.h"
#include "base/memory.h"
#include "kafka/client/client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

enum { LIMIT = 10000, SILENT_MS = 250, WIDEN_MS = 1000, NOW_MS = 5000 };
enum { LATER_MS = NOW_MS + SILENT_MS, GROUPS = 4 };

struct fixture {
    struct kafka_space space;
    struct kafka_share shares[GROUPS]; /* of groups with one task each */
};

static int set_up(void **state)
{
    static const char *const names[GROUPS] = {"a", "b", "c", "d"};
    static const size_t one = 1;
    struct fixture *fixture = memory_new(sizeof(*fixture));
    kafka_space_init(&fixture->space, LIMIT);
    fixture->space.usual_ms = 1; /* coordinators are quick */
    for (size_t i = 0; i < GROUPS; i++)
        fixture->shares[i] = (struct kafka_share){.group = names[i], .tasks = &one};
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < GROUPS; i++)
        kafka_space_release(&fixture->space, &fixture->shares[i]);
    assert_null(fixture->space.sides[KAFKA_SPACE_USUAL].shares);
    assert_null(fixture->space.sides[KAFKA_SPACE_SILENT].shares);
    assert_int_equal(kafka_space_partitions(&fixture->space), 0);
    kafka_space_done(&fixture->space);
    assert_null(fixture->space.groups.all);
    free(fixture);
    return 0;
}

static bool take_at(struct fixture *fixture, size_t group, size_t partitions, int64_t now_ms)
{
    return kafka_space_take(&fixture->space, &fixture->shares[group], partitions, now_ms) ==
           KAFKA_SPACE_TAKEN;
}

static bool take(struct fixture *fixture, size_t group, size_t partitions)
{
    return take_at(fixture, group, partitions, NOW_MS);
}

static void release(struct fixture *fixture, size_t group)
{
    kafka_space_release(&fixture->space, &fixture->shares[group]);
}

/* Another task finds no space while there are so many. */
static void refuse(struct fixture *fixture, size_t tasks, int64_t now_ms)
{
    kafka_space_narrow(&fixture->space, tasks, now_ms);
    kafka_space_widen(&fixture->space, now_ms);
}

/* ---- space ---- */

static void groups_take_space_up_to_the_limit(void **state)
{
    struct fixture *fixture = *state;
    assert_true(take(fixture, 0, LIMIT - 1));
    assert_true(take(fixture, 1, 1));
    assert_false(take(fixture, 2, 1));
    release(fixture, 1);
    release(fixture, 1); /* has none */
    kafka_space_correct(&fixture->space, &fixture->shares[1], 1);
    assert_true(take(fixture, 2, 1));
    assert_null(kafka_space_reserved_for(&fixture->space));
}

/* It needs more than half of the space, of which small ones always have a part. */
static void a_large_group_finds_space_while_small_ones_come_and_go(void **state)
{
    enum { LARGE = LIMIT * 3 / 4, SMALL = LIMIT / 4 };
    struct fixture *fixture = *state;
    assert_true(take(fixture, 0, SMALL));
    assert_true(take(fixture, 1, SMALL));
    assert_false(take(fixture, 2, LARGE));
    assert_string_equal(kafka_space_reserved_for(&fixture->space), "c");
    assert_true(kafka_space_must_gather(&fixture->space));
    assert_false(take(fixture, 3, 1)); /* there are so many, but they are reserved */
    release(fixture, 0);
    assert_false(kafka_space_must_gather(&fixture->space));
    assert_false(take(fixture, 3, 1));
    assert_string_equal(kafka_space_reserved_for(&fixture->space), "c");
    assert_true(take(fixture, 2, LARGE));
    assert_null(kafka_space_reserved_for(&fixture->space));
    release(fixture, 1);
    assert_true(take(fixture, 3, SMALL)); /* what is left suffices */
}

/* What it leaves of the limit is for the others. */
static void others_go_on_beside_what_is_reserved(void **state)
{
    struct fixture *fixture = *state;
    assert_true(take(fixture, 0, LIMIT / 2));
    assert_true(take(fixture, 1, LIMIT / 4));
    assert_false(take(fixture, 2, LIMIT / 2));
    release(fixture, 0);
    assert_true(take(fixture, 3, LIMIT / 4));
    assert_false(take(fixture, 0, 1));
    assert_true(take(fixture, 2, LIMIT / 2));
}

static void a_group_with_more_partitions_than_the_limit_is_reserved_all_of_it(void **state)
{
    struct fixture *fixture = *state;
    assert_true(take(fixture, 0, 1));
    assert_false(take(fixture, 1, (size_t)2 * LIMIT));
    release(fixture, 0);
    assert_false(take(fixture, 0, 1));
    assert_false(kafka_space_must_gather(&fixture->space));
    assert_true(take(fixture, 1, (size_t)2 * LIMIT));
}

/* Topics have other numbers of partitions when it comes again, or it does not come. */
static void a_reservation_is_of_the_last_size_and_can_end(void **state)
{
    struct fixture *fixture = *state;
    assert_true(take(fixture, 0, LIMIT / 2));
    assert_false(take(fixture, 1, LIMIT));
    assert_false(take(fixture, 1, LIMIT * 3 / 4));
    release(fixture, 0);
    assert_true(take(fixture, 2, LIMIT / 4));
    assert_false(take(fixture, 3, LIMIT / 4));
    kafka_space_end_reservation(&fixture->space);
    assert_null(kafka_space_reserved_for(&fixture->space));
    assert_true(take(fixture, 3, LIMIT * 3 / 4));
}

/* It would wait for its own end otherwise. */
static void a_silent_group_leaves_its_space_to_the_one_it_is_reserved_for(void **state)
{
    struct fixture *fixture = *state;
    assert_true(take(fixture, 0, LIMIT));
    assert_null(kafka_space_maintain(&fixture->space, LATER_MS));
    assert_true(take_at(fixture, 1, LIMIT, LATER_MS));
    assert_false(take_at(fixture, 2, LIMIT, LATER_MS));
    assert_ptr_equal(kafka_space_maintain(&fixture->space, LATER_MS + SILENT_MS),
                     &fixture->shares[0]);
    release(fixture, 0);
    assert_null(kafka_space_maintain(&fixture->space, LATER_MS + SILENT_MS));
    assert_true(take_at(fixture, 2, LIMIT, LATER_MS + SILENT_MS));
}

static void a_group_with_more_partitions_than_the_limit_is_alone(void **state)
{
    struct fixture *fixture = *state;
    assert_true(take(fixture, 0, (size_t)2 * LIMIT));
    assert_false(take(fixture, 1, 1));
    release(fixture, 0);
    assert_true(take(fixture, 1, 1));
    assert_false(take(fixture, 0, (size_t)2 * LIMIT));
}

static void what_is_not_requested_is_left_to_others(void **state)
{
    struct fixture *fixture = *state;
    assert_true(take(fixture, 0, LIMIT));
    kafka_space_correct(&fixture->space, &fixture->shares[0], 10);
    assert_true(take(fixture, 1, LIMIT - 10));
    assert_false(take(fixture, 2, 1));
}

/* ---- silent groups ---- */

static void a_silent_group_leaves_its_space_to_others(void **state)
{
    struct fixture *fixture = *state;
    assert_true(take(fixture, 0, LIMIT));
    assert_int_equal(kafka_space_next_ms(&fixture->space, NOW_MS), LATER_MS);
    assert_null(kafka_space_maintain(&fixture->space, LATER_MS - 1));
    assert_false(take(fixture, 1, 1));
    assert_null(kafka_space_maintain(&fixture->space, LATER_MS));
    assert_true(take(fixture, 1, LIMIT));
}

/* Where the cluster is far away all take their time, and nothing is known at first. */
static void a_group_is_not_silent_that_takes_a_little_longer_than_others(void **state)
{
    enum { FAR_MS = 200, MAX_MS = 1000 };
    struct fixture *fixture = *state;
    kafka_space_init(&fixture->space, LIMIT);
    assert_true(take(fixture, 0, LIMIT));
    assert_int_equal(kafka_space_next_ms(&fixture->space, NOW_MS), NOW_MS + MAX_MS);
    for (int i = 0; i < 100; i++)
        kafka_space_note_answer(&fixture->space, &fixture->shares[0], NOW_MS + FAR_MS);
    int64_t late_ms = kafka_space_next_ms(&fixture->space, NOW_MS);
    assert_in_range(late_ms, NOW_MS + 3 * FAR_MS, NOW_MS + MAX_MS - 1);
    for (int i = 0; i < 100; i++)
        kafka_space_note_answer(&fixture->space, &fixture->shares[0], NOW_MS + 1);
    assert_int_equal(kafka_space_next_ms(&fixture->space, NOW_MS), LATER_MS);
}

/* But not before somebody waits for that. */
static void the_group_that_was_silent_for_longest_leaves_its_space(void **state)
{
    struct fixture *fixture = *state;
    assert_true(take(fixture, 0, LIMIT / 2));
    assert_true(take(fixture, 1, LIMIT / 2));
    assert_null(kafka_space_maintain(&fixture->space, LATER_MS));
    assert_true(take_at(fixture, 2, LIMIT, LATER_MS));
    assert_null(kafka_space_maintain(&fixture->space, LATER_MS + SILENT_MS));
    refuse(fixture, 3, LATER_MS + SILENT_MS);
    for (size_t i = 0; i < 2; i++) {
        assert_ptr_equal(kafka_space_maintain(&fixture->space, LATER_MS + SILENT_MS),
                         &fixture->shares[i]);
        release(fixture, i);
    }
    assert_null(kafka_space_maintain(&fixture->space, LATER_MS + SILENT_MS));
    assert_true(take(fixture, 3, LIMIT));
}

/* It would come again at once. */
static void a_group_that_is_isolated_keeps_its_space(void **state)
{
    struct fixture *fixture = *state;
    fixture->shares[0].isolate = fixture->shares[2].isolate = true;
    assert_true(take(fixture, 0, LIMIT));
    assert_null(kafka_space_maintain(&fixture->space, LATER_MS));
    assert_true(take_at(fixture, 1, LIMIT, LATER_MS));
    refuse(fixture, 2, LATER_MS);
    assert_null(kafka_space_maintain(&fixture->space, LATER_MS + SILENT_MS - 1));
    assert_ptr_equal(kafka_space_maintain(&fixture->space, LATER_MS + SILENT_MS),
                     &fixture->shares[1]);
    release(fixture, 1);
    assert_true(take_at(fixture, 2, LIMIT, LATER_MS));
    assert_null(kafka_space_maintain(&fixture->space, LATER_MS + SILENT_MS));
}

static void silent_groups_wait_for_each_other_alone(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < 2; i++) {
        assert_true(take(fixture, i, LIMIT));
        assert_null(kafka_space_maintain(&fixture->space, LATER_MS));
        release(fixture, i);
    }
    assert_true(take(fixture, 2, LIMIT)); /* by one that is not silent */
    assert_true(kafka_space_is_free(&fixture->space, "a"));
    assert_true(take(fixture, 0, LIMIT));
    assert_false(kafka_space_is_free(&fixture->space, "b"));
    assert_true(kafka_space_is_free(&fixture->space, "d"));
    kafka_space_note_answer(&fixture->space, &fixture->shares[1], LATER_MS);
    assert_true(kafka_space_is_free(&fixture->space, "b"));
    release(fixture, 2);
    assert_true(take(fixture, 1, LIMIT));
    assert_false(take(fixture, 3, 1));
}

/* What it waits for is not its coordinator. */
static void a_group_that_was_answered_is_not_remembered_as_silent(void **state)
{
    struct fixture *fixture = *state;
    assert_true(take(fixture, 0, LIMIT));
    kafka_space_note_answer(&fixture->space, &fixture->shares[0], NOW_MS);
    assert_null(kafka_space_maintain(&fixture->space, LATER_MS));
    assert_true(kafka_space_is_free(&fixture->space, "a"));
    assert_true(take(fixture, 1, LIMIT));
}

/* Its commits would be lost. */
static void a_group_that_was_answered_keeps_its_space(void **state)
{
    struct fixture *fixture = *state;
    assert_true(take(fixture, 0, LIMIT));
    kafka_space_note_answer(&fixture->space, &fixture->shares[0], NOW_MS);
    assert_null(kafka_space_maintain(&fixture->space, LATER_MS));
    assert_true(take_at(fixture, 1, LIMIT, LATER_MS));
    refuse(fixture, 2, LATER_MS);
    assert_null(kafka_space_maintain(&fixture->space, LATER_MS + SILENT_MS - 1));
    assert_ptr_equal(kafka_space_maintain(&fixture->space, LATER_MS + SILENT_MS),
                     &fixture->shares[1]);
    kafka_space_note_answer(&fixture->space, &fixture->shares[1], LATER_MS);
    assert_null(kafka_space_maintain(&fixture->space, LATER_MS + SILENT_MS));
}

/* ---- how many tasks ---- */

static void any_number_of_tasks_may_come_until_one_is_refused(void **state)
{
    struct fixture *fixture = *state;
    kafka_space_widen(&fixture->space, NOW_MS);
    assert_int_equal(kafka_space_max_tasks(&fixture->space), SIZE_MAX);
    assert_int_equal(kafka_space_next_ms(&fixture->space, NOW_MS), CLOCK_NEVER);
    refuse(fixture, 20, NOW_MS);
    assert_int_equal(kafka_space_max_tasks(&fixture->space), 20);
    refuse(fixture, 0, NOW_MS);
    assert_int_equal(kafka_space_max_tasks(&fixture->space), 1);
}

static void tasks_of_silent_groups_take_no_places_of_others(void **state)
{
    struct fixture *fixture = *state;
    assert_true(take(fixture, 0, LIMIT / 2));
    assert_true(take(fixture, 1, LIMIT / 2));
    refuse(fixture, 2, NOW_MS);
    assert_null(kafka_space_maintain(&fixture->space, LATER_MS));
    assert_int_equal(kafka_space_max_tasks(&fixture->space), 4);
    assert_true(take_at(fixture, 2, LIMIT, LATER_MS));
    refuse(fixture, 3, LATER_MS);
    assert_int_equal(kafka_space_max_tasks(&fixture->space), 3);
    release(fixture, 0);
    assert_int_equal(kafka_space_max_tasks(&fixture->space), 2);
}

/* Not as soon as it is: a group that needs more is refused again and again, and would never find so
 * much. */
static void more_tasks_may_come_when_half_of_the_space_has_been_free_for_long(void **state)
{
    struct fixture *fixture = *state;
    int64_t now_ms = NOW_MS;
    assert_true(take(fixture, 0, LIMIT / 2 + 1));
    refuse(fixture, 5, now_ms);
    now_ms += 10 * (int64_t)WIDEN_MS;
    kafka_space_widen(&fixture->space, now_ms);
    assert_int_equal(kafka_space_max_tasks(&fixture->space), 5);
    release(fixture, 0);
    assert_int_equal(kafka_space_next_ms(&fixture->space, now_ms), now_ms + WIDEN_MS);
    now_ms += WIDEN_MS;
    kafka_space_widen(&fixture->space, now_ms - 1);
    assert_int_equal(kafka_space_max_tasks(&fixture->space), 5);
    kafka_space_widen(&fixture->space, now_ms);
    assert_int_equal(kafka_space_max_tasks(&fixture->space), 10);
    kafka_space_widen(&fixture->space, now_ms + 2 * (int64_t)WIDEN_MS);
    assert_int_equal(kafka_space_max_tasks(&fixture->space), 40);
    kafka_space_widen(&fixture->space, now_ms + 60 * (int64_t)WIDEN_MS);
    assert_int_equal(kafka_space_max_tasks(&fixture->space), SIZE_MAX);
}

/* Their batch has one request for what they share. */
static void tasks_gather_until_half_of_the_space_is_free(void **state)
{
    struct fixture *fixture = *state;
    assert_true(take(fixture, 0, LIMIT / 2));
    assert_true(take(fixture, 1, LIMIT / 2));
    assert_false(kafka_space_must_gather(&fixture->space)); /* there is space for what comes */
    refuse(fixture, 2, NOW_MS);
    assert_true(kafka_space_must_gather(&fixture->space));
    release(fixture, 0);
    assert_false(kafka_space_must_gather(&fixture->space));
}

/* Groups that were silent before are on the second side at once, and others are moved there. */
static void the_group_that_has_waited_for_longest_yields_wherever_it_is(void **state)
{
    enum { A, B, C, D, FEW = 18, MOST = 6000, REST = 4000, NEXT_MS = 100 };
    struct fixture *fixture = *state;
    struct kafka_space *space = &fixture->space;
    const int64_t began_ms = LATER_MS + SILENT_MS;
    assert_true(take(fixture, D, FEW));
    assert_null(kafka_space_maintain(space, LATER_MS));
    release(fixture, D);
    assert_true(take_at(fixture, A, MOST, began_ms));
    assert_true(take_at(fixture, B, REST, began_ms + NEXT_MS));
    assert_false(take_at(fixture, C, REST, began_ms + NEXT_MS)); /* so others wait */
    assert_true(take_at(fixture, D, FEW, began_ms + SILENT_MS - 1));
    assert_null(kafka_space_maintain(space, began_ms + SILENT_MS));
    assert_int_equal(fixture->shares[A].side, KAFKA_SPACE_SILENT);
    assert_int_equal(fixture->shares[D].side, KAFKA_SPACE_SILENT);
    assert_ptr_equal(kafka_space_maintain(space, began_ms + NEXT_MS + SILENT_MS),
                     &fixture->shares[A]);
    release(fixture, A);
}

/* Then a time is known. */
static void a_group_is_waited_for_that_will_yield(void **state)
{
    enum { A, B, C, MOST = 9000, FEW = 2000 };
    struct fixture *fixture = *state;
    struct kafka_space *space = &fixture->space;
    const int64_t began_ms = LATER_MS + SILENT_MS;
    assert_true(take(fixture, A, MOST));
    assert_null(kafka_space_maintain(space, LATER_MS));
    release(fixture, A);
    assert_true(take_at(fixture, B, MOST, began_ms));
    assert_false(take_at(fixture, C, FEW, began_ms));
    assert_true(take_at(fixture, A, MOST, began_ms + SILENT_MS - 1)); /* on the second side */
    assert_null(kafka_space_maintain(space, began_ms + SILENT_MS));
    assert_int_equal(kafka_space_next_ms(space, began_ms + SILENT_MS),
                     began_ms + SILENT_MS + SILENT_MS - 1);
    assert_ptr_equal(kafka_space_maintain(space, began_ms + SILENT_MS + SILENT_MS - 1),
                     &fixture->shares[A]);
    release(fixture, A);
}

/* The second one will come to the other side. */
static void a_group_that_turns_silent_has_nothing_reserved_for_its_second_request(void **state)
{
    enum { A, AGAIN, OTHER, MOST = 6000 };
    struct fixture *fixture = *state;
    struct kafka_space *space = &fixture->space;
    fixture->shares[AGAIN].group = fixture->shares[A].group;
    assert_true(take(fixture, A, MOST));
    assert_false(take(fixture, AGAIN, MOST));
    assert_string_equal(kafka_space_reserved_for(space), fixture->shares[A].group);
    assert_null(kafka_space_maintain(space, LATER_MS));
    assert_int_equal(fixture->shares[A].side, KAFKA_SPACE_SILENT);
    assert_null(kafka_space_reserved_for(space));
    assert_false(kafka_space_is_free(space, fixture->shares[A].group));
    assert_true(take_at(fixture, OTHER, LIMIT, LATER_MS));
}

static void a_silent_group_that_has_more_than_before_waits_for_its_side(void **state)
{
    enum { A, B, MOST = 9000, FEW = 100 };
    struct fixture *fixture = *state;
    struct kafka_space *space = &fixture->space;
    assert_true(take(fixture, A, FEW));
    assert_true(take(fixture, B, MOST));
    assert_null(kafka_space_maintain(space, LATER_MS));
    assert_int_equal(fixture->shares[A].side, KAFKA_SPACE_SILENT);
    assert_int_equal(fixture->shares[B].side, KAFKA_SPACE_SILENT);
    release(fixture, A);
    assert_true(kafka_space_is_free(space, fixture->shares[A].group));
    assert_int_equal(kafka_space_take(space, &fixture->shares[A], MOST, LATER_MS),
                     KAFKA_SPACE_MUST_WAIT);
    assert_null(kafka_space_reserved_for(space));
    assert_false(kafka_space_is_free(space, fixture->shares[A].group));
    release(fixture, B);
    assert_true(take_at(fixture, A, MOST, LATER_MS));
}

/* It asks for as much again, whatever of that was requested. */
static void a_silent_group_waits_for_as_much_as_it_asks_for(void **state)
{
    enum { A, B, MOST = 9000, FEW = 100 };
    struct fixture *fixture = *state;
    struct kafka_space *space = &fixture->space;
    assert_true(take(fixture, A, MOST));
    kafka_space_correct(space, &fixture->shares[A], FEW);
    assert_true(take(fixture, B, LIMIT - FEW));
    assert_null(kafka_space_maintain(space, LATER_MS));
    assert_int_equal(fixture->shares[A].side, KAFKA_SPACE_SILENT);
    assert_int_equal(fixture->shares[B].side, KAFKA_SPACE_SILENT);
    release(fixture, A);
    assert_false(kafka_space_is_free(space, fixture->shares[A].group));
    release(fixture, B);
    assert_true(kafka_space_is_free(space, fixture->shares[A].group));
    assert_true(take_at(fixture, A, MOST, LATER_MS));
}

static void with_a_lower_limit_nothing_is_taken_until_there_is_space(void **state)
{
    enum { A, B, C };
    struct fixture *fixture = *state;
    struct kafka_space *space = &fixture->space;
    assert_true(take(fixture, A, LIMIT / 2));
    assert_true(take(fixture, B, LIMIT / 4));
    kafka_space_set_limit(space, LIMIT / 2);
    assert_false(take(fixture, C, 1));
    release(fixture, A);
    assert_true(take(fixture, C, LIMIT / 4));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(groups_take_space_up_to_the_limit),
        TEST(a_large_group_finds_space_while_small_ones_come_and_go),
        TEST(others_go_on_beside_what_is_reserved),
        TEST(a_group_with_more_partitions_than_the_limit_is_reserved_all_of_it),
        TEST(a_reservation_is_of_the_last_size_and_can_end),
        TEST(a_silent_group_leaves_its_space_to_the_one_it_is_reserved_for),
        TEST(a_group_with_more_partitions_than_the_limit_is_alone),
        TEST(what_is_not_requested_is_left_to_others),
        TEST(a_silent_group_leaves_its_space_to_others),
        TEST(a_group_is_not_silent_that_takes_a_little_longer_than_others),
        TEST(the_group_that_was_silent_for_longest_leaves_its_space),
        TEST(a_group_that_is_isolated_keeps_its_space),
        TEST(silent_groups_wait_for_each_other_alone),
        TEST(a_group_that_was_answered_is_not_remembered_as_silent),
        TEST(a_group_that_was_answered_keeps_its_space),
        TEST(any_number_of_tasks_may_come_until_one_is_refused),
        TEST(tasks_of_silent_groups_take_no_places_of_others),
        TEST(more_tasks_may_come_when_half_of_the_space_has_been_free_for_long),
        TEST(tasks_gather_until_half_of_the_space_is_free),
        TEST(the_group_that_has_waited_for_longest_yields_wherever_it_is),
        TEST(a_group_is_waited_for_that_will_yield),
        TEST(a_group_that_turns_silent_has_nothing_reserved_for_its_second_request),
        TEST(a_silent_group_that_has_more_than_before_waits_for_its_side),
        TEST(a_silent_group_waits_for_as_much_as_it_asks_for),
        TEST(with_a_lower_limit_nothing_is_taken_until_there_is_space),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
