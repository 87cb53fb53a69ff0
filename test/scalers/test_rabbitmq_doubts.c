/* Zeros of the management API that are not believed: behind a list that was cut short, and of a
 * quorum queue whose leader has changed. After a restart: test_rabbitmq_restarts.c. */
#include "base/clock.h"
#include "base/memory.h"
#include "scalers/ended.h"
#include "scalers/management_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

/* After that the broker has not just started. */
enum { UP_MS = 7000 };

/* ---- cut short ---- */

/* RabbitMQ ends a list without the queues that do not come within a second. */
static void start_cut(struct management_fixture *fixture, size_t cut)
{
    management_start(fixture, "5s",
                     &(struct management_script){.queues = 40, .totals_ms = 1000, .cut = cut});
}

static void queues_that_were_cut_off_are_not_missing(void **state)
{
    (void)state;
    struct management_fixture fixture;
    start_cut(&fixture, 30);
    management_add_queues(&fixture, "q", 40, "QueueLength");
    for (size_t round = 1; round <= 2; round++) {
        management_measure(&fixture);
        management_assert_answered(&fixture, 0, 40);
        assert_int_equal(fixture.peer.totals, round); /* they do not rest */
        test_feed_again(fixture.feed);
    }
    management_stop(&fixture);
}

static void no_0_of_statistics_is_believed_behind_a_cut(void **state)
{
    (void)state;
    struct management_fixture fixture;
    start_cut(&fixture, 40);
    management_add_queues(&fixture, "q", 40, "QueueLength");
    management_add_queue(&fixture, "q0", "MessageRate");
    management_measure(&fixture);
    assert_ended_with(fixture.feed, 0, TASK_FAILED,
                      "queue 'q0': the broker did not list all queues in time");
    management_assert_answered_from(&fixture, 1, 1, 39);
    assert_waiting(fixture.feed, 40, 0); /* of rates, which only statistics have: before the cut */
    management_stop(&fixture);
}

static void a_pattern_is_not_the_sum_of_what_was_not_cut_off(void **state)
{
    (void)state;
    struct management_fixture fixture;
    start_cut(&fixture, 30);
    management_add_queue(&fixture, "^q", "QueueLength");
    for (size_t round = 1; round <= 2; round++) {
        management_measure(&fixture);
        assert_ended_with(fixture.feed, 0, TASK_FAILED,
                          "the broker did not list all"); /* q0 has 0 messages */
        assert_int_equal(fixture.peer.totals, round);
        assert_int_equal(fixture.peer.statistics, round);
        test_feed_again(fixture.feed);
    }
    fast_time_pass(UP_MS);
    management_measure(&fixture);
    assert_waiting(fixture.feed, 0, 780 /* 0 to 39 */);
    management_stop(&fixture);
}

static void a_page_that_may_be_cut_is_no_part_of_a_sum(void **state)
{
    (void)state;
    struct management_fixture fixture;
    management_start(&fixture, "5s",
                     &(struct management_script){.queues = 1100, .totals_ms = 1000});
    management_add_queue(&fixture, "^(?=q)", "QueueLength");
    management_measure(&fixture);
    assert_ended_with(fixture.feed, 0, TASK_FAILED, "the broker did not list all");
    assert_int_equal(fixture.peer.totals, 1);
    assert_int_equal(fixture.peer.statistics, 2); /* a page, and a listing */
    management_stop(&fixture);
}

/* As a queue that hangs does it, and no broker that has just started. */
static void zeros_are_believed_where_totals_hang_that_came_before(void **state)
{
    (void)state;
    struct management_fixture fixture;
    management_start(&fixture, "1s",
                     &(struct management_script){.queues = 40, .totals_hang_after = 1});
    management_add_queues(&fixture, "q", 40, "QueueLength");
    for (size_t round = 1; round <= 2; round++) {
        management_measure(&fixture);
        management_assert_answered(&fixture, 0, 40);
        test_feed_again(fixture.feed);
        if (round == 1)
            fast_time_pass(UP_MS);
    }
    assert_int_equal(fixture.peer.totals, 2);
    assert_int_equal(fixture.peer.statistics, 1);
    management_stop(&fixture);
}

/* ---- leaders of quorum queues ---- */

#define QUORUM(leader, more, messages)                                                             \
    "{\"name\":\"q0\",\"type\":\"quorum\",\"leader\":\"" leader "\"" more                          \
    ",\"messages_ready\":" messages ",\"messages_unacknowledged\":0}"
#define REPORTED ",\"consumers\":0"
#define CLASSIC                                                                                    \
    "{\"name\":\"q1\",\"type\":\"classic\",\"messages_ready\":0,\"messages_unacknowledged\":0}"

/* Counted by its name, and by a pattern. */
static void start_quorum(struct management_fixture *fixture)
{
    management_start(fixture, "5s", &(struct management_script){.queues = 0});
    fixture->peer.in_totals = QUORUM("a", "", "3");
    fixture->peer.in_statistics = QUORUM("a", REPORTED, "3");
    management_add_queue(fixture, "q0", "QueueLength");
    management_add_queue(fixture, "^q", "QueueLength");
    management_measure(fixture);
    assert_waiting(fixture->feed, 0, 3);
    assert_waiting(fixture->feed, 1, 3);
}

static void measure_again(struct management_fixture *fixture)
{
    test_feed_again(fixture->feed);
    management_measure(fixture);
}

static void assert_not_known(struct management_fixture *fixture)
{
    measure_again(fixture);
    for (size_t i = 0; i < 2; i++)
        assert_ended_with(fixture->feed, i, TASK_FAILED,
                          "queue 'q0': not known yet whether it is empty");
}

static void assert_empty(struct management_fixture *fixture)
{
    measure_again(fixture);
    for (size_t i = 0; i < 2; i++)
        assert_waiting(fixture->feed, i, 0);
}

static void a_0_of_statistics_is_unknown_right_after_a_leader_has_changed(void **state)
{
    (void)state;
    struct management_fixture fixture;
    start_quorum(&fixture);
    fixture.peer.in_totals = QUORUM("b", "", "0");
    fixture.peer.in_statistics = QUORUM("b", "", "0");
    assert_not_known(&fixture);
    fixture.peer.in_statistics = QUORUM("b", REPORTED, "0");
    assert_not_known(&fixture);
    fast_time_pass(UP_MS);
    assert_empty(&fixture);
    management_stop(&fixture);
}

static void a_queue_that_becomes_empty_is_0_at_once(void **state)
{
    (void)state;
    struct management_fixture fixture;
    start_quorum(&fixture);
    fixture.peer.in_totals = QUORUM("a", "", "0");
    fixture.peer.in_statistics = QUORUM("a", REPORTED, "0");
    for (int round = 0; round < 3; round++)
        assert_empty(&fixture);
    management_stop(&fixture);
}

/* Totals pass over it, and have nothing but zeros then. */
static void a_pattern_with_a_queue_without_a_leader_is_not_0(void **state)
{
    (void)state;
    struct management_fixture fixture;
    start_quorum(&fixture);
    fixture.peer.in_totals = CLASSIC;
    fixture.peer.in_statistics = CLASSIC "," QUORUM("", "", "0");
    measure_again(&fixture);
    assert_ended_with(fixture.feed, 1, TASK_FAILED,
                      "queue 'q0': not known yet whether it is empty");
    management_stop(&fixture);
}

static void a_leader_that_has_changed_is_noticed_in_a_pattern(void **state)
{
    (void)state;
    struct management_fixture fixture;
    management_start(&fixture, "5s", &(struct management_script){.queues = 0});
    fixture.peer.in_totals = CLASSIC "," QUORUM("a", "", "3");
    management_add_queue(&fixture, "^q", "QueueLength");
    management_measure(&fixture);
    management_assert_only_counted(&fixture, 0, 3);
    assert_int_equal(fixture.peer.totals, 1);

    fixture.peer.in_totals = CLASSIC "," QUORUM("b", "", "0");
    fixture.peer.in_statistics = CLASSIC "," QUORUM("b", REPORTED, "0");
    measure_again(&fixture);
    assert_ended_with(fixture.feed, 0, TASK_FAILED,
                      "queue 'q0': not known yet whether it is empty");
    assert_int_equal(fixture.peer.totals, 2);
    assert_int_equal(fixture.peer.statistics, 1);

    fixture.peer.in_statistics = CLASSIC "," QUORUM("b", REPORTED, "5");
    measure_again(&fixture);
    management_assert_only_counted(&fixture, 0, 5);
    management_stop(&fixture);
}

static void a_pattern_that_was_cut_to_nothing_is_not_0(void **state)
{
    (void)state;
    struct management_fixture fixture;
    management_start(&fixture, "5s",
                     &(struct management_script){.queues = 1, .totals_ms = 1000, .cut = 1});
    management_add_queue(&fixture, "^q", "QueueLength");
    management_measure(&fixture);
    assert_ended_with(fixture.feed, 0, TASK_FAILED,
                      "the queues that match '^q': the broker did not list all");
    management_stop(&fixture);
}

static void a_pattern_that_matches_nothing_is_0_behind_a_cut(void **state)
{
    (void)state;
    struct management_fixture fixture;
    management_start(&fixture, "5s", &(struct management_script){.totals_ms = 1000});
    management_add_queue(&fixture, "^q", "QueueLength");
    management_measure(&fixture);
    assert_waiting(fixture.feed, 0, 0);
    management_stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queues_that_were_cut_off_are_not_missing),
        cmocka_unit_test(no_0_of_statistics_is_believed_behind_a_cut),
        cmocka_unit_test(a_pattern_is_not_the_sum_of_what_was_not_cut_off),
        cmocka_unit_test(a_page_that_may_be_cut_is_no_part_of_a_sum),
        cmocka_unit_test(zeros_are_believed_where_totals_hang_that_came_before),
        cmocka_unit_test(a_0_of_statistics_is_unknown_right_after_a_leader_has_changed),
        cmocka_unit_test(a_queue_that_becomes_empty_is_0_at_once),
        cmocka_unit_test(a_pattern_with_a_queue_without_a_leader_is_not_0),
        cmocka_unit_test(a_leader_that_has_changed_is_noticed_in_a_pattern),
        cmocka_unit_test(a_pattern_that_was_cut_to_nothing_is_not_0),
        cmocka_unit_test(a_pattern_that_matches_nothing_is_0_behind_a_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
