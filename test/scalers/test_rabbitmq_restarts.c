/* Zeros of the management API that are not believed after what may have been a restart of the
 * broker. */
#include "base/clock.h"
#include "base/memory.h"
#include "measure/scaler_internal.h"
#include "scalers/ended.h"
#include "scalers/management_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

/* After that the broker has not just started. */
enum { UP_MS = 7000 };

/* They have rates, which only statistics have: no listing of totals could tell. */
static void zeros_of_a_broker_that_was_gone_are_doubted_in_all_forms(void **state)
{
    (void)state;
    struct management_fixture fixture;
    struct trigger gone =
        trigger_of(&scaler_rabbitmq, PAIRS("host", "http://a:b@127.0.0.1:1/", "queueName", "q",
                                           "mode", "QueueLength", "value", "5"));
    management_start(&fixture, "5s", &(struct management_script){.queues = 5});
    management_add_queues(&fixture, "q", 5, "MessageRate");
    management_add_queue(&fixture, "q0", "QueueLength");
    test_feed_task(fixture.feed, 5)->task.wants = READING_WANT_RATES; /* as of a policy */
    management_add_queue(&fixture, "^q", "MessageRate");
    management_add_queue(&fixture, "q1", "QueueLength");
    test_feed_task(fixture.feed, 7)->task.wants = READING_WANT_RATES;
    assert_true(gone.good);
    assert_false(scaler_rabbitmq.connect(gone.options.connection, clock_now_ms() + 1000,
                                         &fixture.client, &fixture.error));
    error_done(&fixture.error);
    fixture.client = NULL;
    scaler_set_reconnects(true); /* as the engine does then */
    management_measure(&fixture);
    for (size_t i = 0; i < 7; i++)
        assert_ended_with(fixture.feed, i, TASK_FAILED, "may have just started");
    assert_waiting(fixture.feed, 7, 1);
    assert_true(isnan(management_task(&fixture, 7)->reading.arrival_rate));
    assert_true(isnan(management_task(&fixture, 7)->reading.consumption_rate));
    fast_time_pass(UP_MS);
    test_feed_again(fixture.feed);
    management_measure(&fixture);
    management_assert_answered(&fixture, 0, 5);
    assert_waiting(fixture.feed, 5, 0);
    assert_true(management_task(&fixture, 7)->reading.arrival_rate == 0);
    trigger_done(&gone);
    management_stop(&fixture);
}

/* A client of a broker that was lost before; its first answers come so long after the login. */
static void connect_again(struct management_fixture *fixture, int64_t ms)
{
    scaler_set_reconnects(true);
    assert_true(scaler_rabbitmq.connect(fixture->triggers[0].options.connection,
                                        clock_now_ms() + MANAGEMENT_WITHIN_MS, &fixture->client,
                                        &fixture->error));
    fast_time_pass(ms);
}

static void zeros_of_a_pattern_that_has_more_than_a_page_are_doubted(void **state)
{
    (void)state;
    struct management_fixture fixture;
    management_start(&fixture, "20s",
                     &(struct management_script){.queues = 1001, .statistics_ms = 800});
    management_add_queue(&fixture, "^(?=q)", "MessageRate");
    connect_again(&fixture, 3000);
    management_measure(&fixture);
    assert_ended_with(fixture.feed, 0, TASK_FAILED, "may have just started");
    assert_int_equal(fixture.peer.statistics, 2); /* a page, and a listing */
    fast_time_pass(UP_MS);
    test_feed_again(fixture.feed);
    management_measure(&fixture);
    assert_waiting(fixture.feed, 0, 500500);
    management_stop(&fixture);
}

/* It may have been made when it was asked for. */
static void a_0_is_doubted_that_was_requested_in_time_and_came_late(void **state)
{
    (void)state;
    struct management_fixture fixture;
    management_start(&fixture, "5s",
                     &(struct management_script){.queues = 1, .statistics_ms = 2000});
    management_add_queue(&fixture, "^q", "MessageRate");
    connect_again(&fixture, 5000);
    management_measure(&fixture);
    assert_ended_with(fixture.feed, 0, TASK_FAILED, "may have just started");
    test_feed_again(fixture.feed);
    management_measure(&fixture);
    assert_waiting(fixture.feed, 0, 0);
    management_stop(&fixture);
}

/* Ends with the client connected that was lost or replaced, and its zeros doubted, then not. */
static void assert_doubted_for_a_while(struct management_fixture *fixture)
{
    management_assert_doubted(fixture);
    fast_time_pass(UP_MS);
    for (int round = 0; round < 2; round++) {
        management_measure_again(fixture);
        assert_waiting(fixture->feed, 0, 0);
    }
}

/* As the engine does where a client is lost, or replaced. */
static void disconnect(struct management_fixture *fixture)
{
    scaler_set_reconnects(true);
    scaler_rabbitmq.disconnect(TAKE(fixture->client));
}

/* A restart that shows by time-outs only, as where packets are dropped meanwhile. */
static void zeros_after_a_silence_are_doubted(void **state)
{
    (void)state;
    for (int replaced = 0; replaced < 2; replaced++) {
        struct management_fixture fixture;
        management_start_with_a_zero(&fixture, "q0");
        fixture.peer.fate = 'h';
        management_measure(&fixture);
        assert_int_equal(management_task(&fixture, 0)->outcome, TASK_TIMED_OUT);
        if (replaced == 1)
            disconnect(&fixture);
        assert_doubted_for_a_while(&fixture);
        management_stop(&fixture);
    }
}

/* Or was told by a proxy that there is no broker. */
static void zeros_are_doubted_where_a_client_lost_its_connection(void **state)
{
    (void)state;
    static const struct {
        const char *queue;
        char fate;
    } table[] = {{"q0", 'c'}, {"q0", 'p'}, {"^q", 'p'}};
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        struct management_fixture fixture;
        management_start_with_a_zero(&fixture, table[i].queue);
        fixture.peer.fate = (unsigned char)table[i].fate;
        fast_time_pass(5); /* the last answer was before */
        assert_false(
            test_feed_run(fixture.feed, fixture.client, MANAGEMENT_WITHIN_MS, &fixture.error));
        error_done(&fixture.error);
        disconnect(&fixture);
        test_feed_free(fixture.feed); /* its task was abandoned */
        fixture.feed = test_feed_new(&scaler_rabbitmq);
        test_feed_add(fixture.feed, fixture.triggers[0].options.query, (struct notifier){0});
        if (i == 0)
            assert_doubted_for_a_while(&fixture);
        else
            management_assert_doubted(&fixture);
        management_stop(&fixture);
    }
}

/* All of more queues than are requested at a time are isolated before one times out. */
static void a_silence_of_many_is_one(void **state)
{
    (void)state;
    struct management_fixture fixture;
    management_start(&fixture, "1500ms", &(struct management_script){.queues = 16});
    management_add_queues(&fixture, "q", 16, "MessageRate");
    management_measure(&fixture);
    management_assert_answered(&fixture, 0, 16);
    test_feed_again(fixture.feed);
    fixture.peer.fate = 'h';
    management_measure(&fixture);
    assert_doubted_for_a_while(&fixture);
    management_stop(&fixture);
}

/* They time out after the others were answered, in each round. */
static void queues_that_hang_are_no_silence_of_the_broker(void **state)
{
    (void)state;
    struct management_fixture fixture;
    management_start(&fixture, "1500ms", &(struct management_script){.queues = 1});
    management_add_queues(&fixture, "hanging", 8, "MessageRate");
    management_add_queue(&fixture, "q0", "MessageRate");
    for (int round = 0; round < 2; round++) {
        management_measure(&fixture);
        assert_waiting(fixture.feed, 8, 0);
        assert_int_equal(management_task(&fixture, 7)->outcome, TASK_TIMED_OUT);
        test_feed_again(fixture.feed);
    }
    management_stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zeros_of_a_broker_that_was_gone_are_doubted_in_all_forms),
        cmocka_unit_test(zeros_of_a_pattern_that_has_more_than_a_page_are_doubted),
        cmocka_unit_test(a_0_is_doubted_that_was_requested_in_time_and_came_late),
        cmocka_unit_test(zeros_after_a_silence_are_doubted),
        cmocka_unit_test(zeros_are_doubted_where_a_client_lost_its_connection),
        cmocka_unit_test(a_silence_of_many_is_one),
        cmocka_unit_test(queues_that_hang_are_no_silence_of_the_broker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
