/* Zeros of the management API behind requests that a proxy refused, as it reached no broker. */
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

/* While there was none, and behind it: the broker is back before the measurement ends. */
enum { REFUSED_MS = 600, REFUSED_BEFORE = 16 };

static void start_slow_proxy(struct management_fixture *fixture)
{
    management_start(fixture, "5s",
                     &(struct management_script){.queues = 1, .proxy_ms = REFUSED_MS});
}

static void refuse(struct management_fixture *fixture, size_t requests)
{
    test_feed_again(fixture->feed);
    fixture->peer.fated = requests;
    fixture->peer.fate = 'p';
    management_measure(fixture);
}

/* Eight at a time: the last one is requested twice as long after the first one. */
static void zeros_are_doubted_behind_those_that_a_proxy_refused(void **state)
{
    (void)state;
    struct management_fixture fixture;
    start_slow_proxy(&fixture);
    management_add_queues_from(&fixture, "q", 1, REFUSED_BEFORE, "MessageRate");
    management_add_queue(&fixture, "q0", "MessageRate");
    management_measure(&fixture);
    assert_waiting(fixture.feed, REFUSED_BEFORE, 0);
    refuse(&fixture, REFUSED_BEFORE);
    for (size_t i = 0; i < REFUSED_BEFORE; i++)
        assert_ended_with(fixture.feed, i, TASK_FAILED, "answered 502");
    assert_ended_with(fixture.feed, REFUSED_BEFORE, TASK_FAILED, "may have just started");
    management_measure_again(&fixture);
    assert_ended_with(fixture.feed, REFUSED_BEFORE, TASK_FAILED, "may have just started");
    management_stop(&fixture);
}

/* The broker was up until then; twice, as the listing falls back to the other one. */
static void a_zero_is_doubted_behind_a_listing_that_a_proxy_refused(void **state)
{
    (void)state;
    struct management_fixture fixture;
    management_start(&fixture, "5s",
                     &(struct management_script){.queues = 1, .proxy_ms = 2 * REFUSED_MS});
    management_add_queue(&fixture, "q0", "QueueLength");
    management_measure(&fixture);
    assert_waiting(fixture.feed, 0, 0);
    fast_time_pass(UP_MS);
    refuse(&fixture, 1);
    assert_ended_with(fixture.feed, 0, TASK_FAILED, "may have just started");
    management_stop(&fixture);
}

static const char quorum_queue[] =
    "{\"name\":\"q0\",\"type\":\"quorum\",\"leader\":\"a\",\"consumers\":0,"
    "\"messages_ready\":0,\"messages_unacknowledged\":0}";

/* What is known of the leaders is of before. */
static void zeros_of_quorum_queues_are_doubted_for_longer(void **state)
{
    (void)state;
    static const char fates[] = {'h', 'p'};
    struct management_fixture fixtures[ARRAY_LENGTH(fates)];
    for (size_t i = 0; i < ARRAY_LENGTH(fates); i++) {
        struct management_fixture *fixture = &fixtures[i];
        management_start_with_a_zero(fixture, "q0");
        fixture->peer.in_statistics = quorum_queue;
        management_measure(fixture);
        assert_waiting(fixture->feed, 0, 0);
        fixture->peer.fated = 1;
        fixture->peer.fate = (unsigned char)fates[i];
        fast_time_pass(5); /* the last answer was before */
        management_measure_again(fixture);
        management_measure_again(fixture);
    }
    fast_time_pass(UP_MS);
    for (size_t i = 0; i < ARRAY_LENGTH(fates); i++) {
        management_measure_again(&fixtures[i]);
        assert_ended_with(fixtures[i].feed, 0, TASK_FAILED, "not known yet whether it is empty");
        management_stop(&fixtures[i]);
    }
}

/* It may be too much for a proxy, which then reaches the broker; or the broker is back. */
static void what_a_proxy_refuses_fails_alone_and_may_be_a_restart(void **state)
{
    (void)state;
    static const char *const queues[] = {"^q", "q0"};
    for (size_t i = 0; i < ARRAY_LENGTH(queues); i++) {
        struct management_fixture fixture;
        management_start_with_a_zero(&fixture, queues[i]);
        fixture.peer.fate = 'p';
        fixture.peer.fated = 1;
        fast_time_pass(5); /* the last answer was before */
        management_measure(&fixture);
        assert_ended_with(fixture.feed, 0, TASK_FAILED, "answered 502");
        management_assert_doubted(&fixture);
        management_stop(&fixture);
    }
}

/* Or a pattern that is too much for a proxy would keep the zeros of all others in doubt. */
static void what_a_proxy_refuses_again_leaves_zeros_believed(void **state)
{
    (void)state;
    struct management_fixture fixture;
    management_start_with_a_zero(&fixture, "^q");
    for (int round = 0; round < 2; round++) {
        fixture.peer.fated = 1;
        fixture.peer.fate = 'p';
        fast_time_pass(5); /* the last answer was before */
        management_measure_again(&fixture);
        assert_ended_with(fixture.feed, 0, TASK_FAILED, "answered 502");
        if (round == 0)
            fast_time_pass(UP_MS);
        management_measure_again(&fixture);
        assert_waiting(fixture.feed, 0, 0);
    }
    management_stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zeros_are_doubted_behind_those_that_a_proxy_refused),
        cmocka_unit_test(a_zero_is_doubted_behind_a_listing_that_a_proxy_refused),
        cmocka_unit_test(zeros_of_quorum_queues_are_doubted_for_longer),
        cmocka_unit_test(what_a_proxy_refuses_fails_alone_and_may_be_a_restart),
        cmocka_unit_test(what_a_proxy_refuses_again_leaves_zeros_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
