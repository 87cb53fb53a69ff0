/* Jobs that timed out, or that their scaler gave up: they leave places to the others. */
#include "measure/schedule_fixture.h"

static void time_out(struct schedule *schedule, struct job *job, int64_t sent_ms, int64_t end_ms)
{
    assert_ptr_equal(schedule_take(schedule, sent_ms), job);
    schedule_end(schedule, job, JOB_END_TIMED_OUT, end_ms);
}

static void a_job_that_timed_out_is_spaced_out(void **state)
{
    (void)state;
    static const int64_t waits_ms[] = {2000, 4000, 8000, 16000, 30000, 30000};
    BENCH(UNLIMITED, 16);
    int64_t now_ms = 0;
    schedule_set_due(schedule, &jobs[0], 0);
    for (size_t i = 0; i < ARRAY_LENGTH(waits_ms); i++) {
        time_out(schedule, &jobs[0], now_ms, now_ms + 500);
        now_ms += 500 + waits_ms[i];
        assert_null(schedule_take(schedule, now_ms - 1));
        assert_int_equal(schedule_next_ms(schedule, now_ms - 1), now_ms);
    }
}

static void callers_do_not_hasten_a_job_that_is_spaced_out(void **state)
{
    (void)state;
    BENCH(UNLIMITED, 16);
    schedule_demand(schedule, &jobs[0], 0, 0);
    time_out(schedule, &jobs[0], 0, 1000);
    for (int64_t now_ms = 1000; now_ms < 3000; now_ms += 50) {
        schedule_demand(schedule, &jobs[0], now_ms, now_ms);
        schedule_set_due(schedule, &jobs[0], now_ms);
        assert_null(schedule_take(schedule, now_ms));
    }
    assert_ptr_equal(schedule_take(schedule, 3000), &jobs[0]);
}

static void a_job_that_is_answered_in_time_is_normal_again(void **state)
{
    (void)state;
    BENCH(UNLIMITED, 16);
    schedule_set_due(schedule, &jobs[0], 0);
    time_out(schedule, &jobs[0], 0, 500);
    assert_ptr_equal(schedule_take(schedule, 2500), &jobs[0]);
    assert_true(jobs[0].is_isolated);
    schedule_end(schedule, &jobs[0], JOB_END_ANSWERED, 2510);
    assert_false(jobs[0].is_isolated);
    schedule_set_due(schedule, &jobs[0], 2600);
    time_out(schedule, &jobs[0], 2600, 3000);
    assert_int_equal(schedule_next_ms(schedule, 3000), 5000); /* two seconds again */
}

static void a_job_that_is_hastened_is_due_at_once(void **state)
{
    (void)state;
    BENCH(UNLIMITED, 16);
    schedule_set_due(schedule, &jobs[0], 0);
    time_out(schedule, &jobs[0], 0, 500);
    schedule_hasten(schedule, &jobs[0], 600);
    assert_ptr_equal(schedule_take(schedule, 600), &jobs[0]);
    schedule_hasten(schedule, &jobs[1], 600);
    assert_null(schedule_take(schedule, 600));
}

static void jobs_that_time_out_have_a_share_of_the_places(void **state)
{
    (void)state;
    BENCH(8, 2);
    for (int i = 0; i < 8; i++) {
        schedule_set_due(schedule, &jobs[i], 0);
        assert_non_null(schedule_take(schedule, 0));
    }
    for (int i = 0; i < 8; i++)
        schedule_end(schedule, &jobs[i], JOB_END_TIMED_OUT, 1000);
    for (int i = 0; i < 2; i++)
        assert_non_null(schedule_take(schedule, 60000));
    assert_null(schedule_take(schedule, 60000));           /* even where nobody else waits */
    assert_int_equal(schedule_isolated_jobs(schedule), 8); /* two of them in flight */
    schedule_set_due(schedule, &jobs[20], 60000);
    assert_ptr_equal(schedule_take(schedule, 60000), &jobs[20]);
}

static void without_a_limit_there_are_places_for_time_outs_too(void **state)
{
    (void)state;
    BENCH(UNLIMITED, 4);
    for (int i = 0; i < 10; i++) {
        schedule_set_due(schedule, &jobs[i], 0);
        assert_non_null(schedule_take(schedule, 0));
    }
    for (int i = 0; i < 10; i++)
        schedule_end(schedule, &jobs[i], JOB_END_TIMED_OUT, 1000);
    int taken = 0;
    while (schedule_take(schedule, 60000) != NULL)
        taken++;
    assert_int_equal(taken, 4);
}

static void callers_of_a_job_that_timed_out_wait_no_more(void **state)
{
    (void)state;
    BENCH(1, 1);
    schedule_demand(schedule, &jobs[0], 0, 0);
    assert_ptr_equal(schedule_take(schedule, 0), &jobs[0]);
    schedule_demand(schedule, &jobs[0], 10, 10);
    schedule_end(schedule, &jobs[0], JOB_END_TIMED_OUT, 1000);
    schedule_demand(schedule, &jobs[1], 3010, 3010);
    assert_ptr_equal(schedule_take(schedule, 3010), &jobs[1]);
}

static void isolate(struct schedule *schedule, struct job *job, int64_t now_ms)
{
    schedule_set_due(schedule, job, now_ms);
    assert_ptr_equal(schedule_take(schedule, now_ms), job);
    schedule_end(schedule, job, JOB_END_ISOLATED, now_ms);
}

static void a_job_that_its_scaler_gave_up_is_isolated_until_it_is_answered(void **state)
{
    (void)state;
    BENCH(3, 1);
    for (int i = 0; i < 2; i++) {
        schedule_set_due(schedule, &jobs[i], 0);
        assert_ptr_equal(schedule_take(schedule, 0), &jobs[i]);
    }
    for (int i = 0; i < 2; i++)
        schedule_end(schedule, &jobs[i], JOB_END_ISOLATED, 10);
    assert_ptr_equal(schedule_take(schedule, 10), &jobs[0]); /* at once: it has not failed */
    assert_null(schedule_take(schedule, 10));
    schedule_set_due(schedule, &jobs[2], 20);
    assert_ptr_equal(schedule_take(schedule, 20), &jobs[2]);
    schedule_end(schedule, &jobs[0], JOB_END_ANSWERED, 30);
    assert_false(jobs[0].is_isolated);
    assert_ptr_equal(schedule_take(schedule, 30), &jobs[1]);
}

static void isolated_jobs_are_not_late(void **state)
{
    (void)state;
    BENCH(2, 1);
    isolate(schedule, &jobs[0], 0);
    assert_ptr_equal(schedule_take(schedule, 0), &jobs[0]); /* and now the next one waits */
    schedule_set_due(schedule, &jobs[1], 100);
    assert_ptr_equal(schedule_take(schedule, 100), &jobs[1]);
    schedule_end(schedule, &jobs[1], JOB_END_ISOLATED, 100);
    assert_null(schedule_take(schedule, 9000));
    assert_int_equal(schedule_delay_ms(schedule, 9000), 0);
    assert_int_equal(schedule_isolated_jobs(schedule), 2);
}

static void the_oldest_in_flight_comes_first(void **state)
{
    (void)state;
    BENCH(3, 2);
    assert_null(schedule->sent);
    isolate(schedule, &jobs[1], 0);
    schedule_set_due(schedule, &jobs[0], 0);
    assert_non_null(schedule_take(schedule, 2000));
    assert_non_null(schedule_take(schedule, 2100));
    assert_int_equal(schedule->sent->sent_ms, 2000);
    schedule_started(schedule, schedule->sent, 2200);
    assert_int_equal(schedule->sent->sent_ms, 2100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_that_timed_out_is_spaced_out),
        cmocka_unit_test(callers_do_not_hasten_a_job_that_is_spaced_out),
        cmocka_unit_test(a_job_that_is_answered_in_time_is_normal_again),
        cmocka_unit_test(a_job_that_is_hastened_is_due_at_once),
        cmocka_unit_test(jobs_that_time_out_have_a_share_of_the_places),
        cmocka_unit_test(without_a_limit_there_are_places_for_time_outs_too),
        cmocka_unit_test(callers_of_a_job_that_timed_out_wait_no_more),
        cmocka_unit_test(isolated_jobs_are_not_late),
        cmocka_unit_test(a_job_that_its_scaler_gave_up_is_isolated_until_it_is_answered),
        cmocka_unit_test(the_oldest_in_flight_comes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
