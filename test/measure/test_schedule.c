/* Which job is sent when. */
#include "measure/schedule_fixture.h"

static void a_job_is_taken_when_it_is_due_and_not_before(void **state)
{
    (void)state;
    BENCH(UNLIMITED, 16);
    schedule_set_due(schedule, &jobs[0], 100);
    assert_null(schedule_take(schedule, 99));
    assert_int_equal(schedule_next_ms(schedule, 99), 100);
    assert_ptr_equal(schedule_take(schedule, 100), &jobs[0]);
    assert_null(schedule_take(schedule, 100));
    assert_int_equal(schedule_next_ms(schedule, 100), CLOCK_NEVER);
}

/* An agent process says how many there may be, and nothing would end one that says none: it is
 * missed only while it has a task. */
static void there_is_always_a_place_for_one(void **state)
{
    (void)state;
    BENCH(4, 2);
    schedule_set_max_tasks(schedule, 0, 0, 0);
    schedule_set_due(schedule, &jobs[0], 100);
    schedule_set_due(schedule, &jobs[1], 101);
    assert_ptr_equal(schedule_take(schedule, 110), &jobs[0]);
    assert_null(schedule_take(schedule, 110));
    schedule_end(schedule, &jobs[0], JOB_END_TIMED_OUT, 120);
    assert_ptr_equal(schedule_take(schedule, 120), &jobs[1]);
}

static void a_due_time_can_be_changed_and_taken_back(void **state)
{
    (void)state;
    BENCH(UNLIMITED, 16);
    schedule_set_due(schedule, &jobs[0], 100);
    schedule_set_due(schedule, &jobs[0], 50);
    assert_int_equal(schedule_next_ms(schedule, 0), 50);
    schedule_set_due(schedule, &jobs[0], 200);
    assert_null(schedule_take(schedule, 199));
    schedule_set_due(schedule, &jobs[0], CLOCK_NEVER);
    assert_null(schedule_take(schedule, 1000));
    assert_int_equal(schedule_next_ms(schedule, 1000), CLOCK_NEVER);
}

static void the_longest_overdue_comes_first(void **state)
{
    (void)state;
    BENCH(UNLIMITED, 16);
    for (int i = 0; i < JOBS; i++)
        schedule_set_due(schedule, &jobs[i], (i * 37) % JOBS);
    int64_t last_ms = -1;
    for (int i = 0; i < JOBS; i++) {
        const struct job *job = schedule_take(schedule, 1000);
        assert_non_null(job);
        assert_true(job->due_ms > last_ms);
        last_ms = job->due_ms;
    }
}

static void jobs_that_are_due_can_be_made_ready_one_at_a_time(void **state)
{
    (void)state;
    BENCH(UNLIMITED, 16);
    for (int i = 0; i < 3; i++)
        schedule_set_due(schedule, &jobs[i], 300 - 100 * i);
    assert_true(schedule_advance(schedule, 200));
    assert_int_equal(jobs[2].state, JOB_READY);
    assert_int_equal(jobs[1].state, JOB_SCHEDULED);
    assert_true(schedule_advance(schedule, 200));
    assert_int_equal(jobs[1].state, JOB_READY);
    assert_false(schedule_advance(schedule, 200));
    assert_int_equal(jobs[0].state, JOB_SCHEDULED);
    assert_ptr_equal(schedule_take(schedule, 200), &jobs[2]);
    assert_ptr_equal(schedule_take(schedule, 200), &jobs[1]);
    assert_null(schedule_take(schedule, 200));
}

static void a_waiting_caller_comes_before_longer_overdue_jobs(void **state)
{
    (void)state;
    BENCH(UNLIMITED, 16);
    schedule_set_due(schedule, &jobs[0], 0);
    schedule_demand(schedule, &jobs[1], 5000, 5000);
    assert_ptr_equal(schedule_take(schedule, 5000), &jobs[1]);
    assert_ptr_equal(schedule_take(schedule, 5000), &jobs[0]);
}

/* A stream begins to want what was due at its interval minutes ago: it has waited for nothing. */
static void what_nobody_wanted_is_not_overdue(void **state)
{
    (void)state;
    BENCH(1, 1);
    schedule_want(schedule, &jobs[0], 1000, 300000);
    schedule_set_due(schedule, &jobs[1], 299000);
    schedule_demand(schedule, &jobs[2], 300000, 300000);
    assert_ptr_equal(schedule_take(schedule, 300000), &jobs[2]);
    schedule_end(schedule, &jobs[2], JOB_END_ANSWERED, 300001);
    assert_ptr_equal(schedule_take(schedule, 300001), &jobs[1]);
    schedule_end(schedule, &jobs[1], JOB_END_ANSWERED, 300002);
    assert_ptr_equal(schedule_take(schedule, 300002), &jobs[0]);
}

/* Of an earlier moment, as after a pause, in which the caller came. */
static void whoever_plans_a_job_takes_it_from_no_caller(void **state)
{
    (void)state;
    BENCH(UNLIMITED, 16);
    schedule_want(schedule, &jobs[0], 1000, 300);
    schedule_demand(schedule, &jobs[0], 400, 400);
    schedule_want(schedule, &jobs[0], 5000, 200);
    assert_ptr_equal(schedule_take(schedule, 400), &jobs[0]);
}

static void a_job_overdue_for_a_minute_comes_before_callers(void **state)
{
    (void)state;
    BENCH(1, 1);
    schedule_set_due(schedule, &jobs[0], 0);
    schedule_demand(schedule, &jobs[1], SCHEDULE_PATIENCE_MS + 1, SCHEDULE_PATIENCE_MS + 1);
    assert_ptr_equal(schedule_take(schedule, SCHEDULE_PATIENCE_MS + 1), &jobs[0]);
}

static void a_stream_of_callers_starves_no_job(void **state)
{
    (void)state;
    BENCH(1, 1);
    int64_t now_ms = 0;
    schedule_set_due(schedule, &jobs[0], 0);
    for (int i = 0; jobs[0].state != JOB_IN_FLIGHT; i++) {
        assert_true(now_ms <= SCHEDULE_PATIENCE_MS + 2000); /* and a round of those before it */
        for (int j = 1; j < 20; j++)
            schedule_demand(schedule, &jobs[j], now_ms, now_ms);
        struct job *job = schedule_take(schedule, now_ms);
        now_ms += 100;
        if (job != &jobs[0])
            schedule_end(schedule, job, JOB_END_ANSWERED, now_ms);
    }
}

static void max_tasks_is_kept(void **state)
{
    (void)state;
    BENCH(3, 1);
    for (int i = 0; i < 10; i++)
        schedule_set_due(schedule, &jobs[i], 0);
    for (int i = 0; i < 3; i++)
        assert_non_null(schedule_take(schedule, 0));
    assert_null(schedule_take(schedule, 0));
    schedule_end(schedule, &jobs[1], JOB_END_ANSWERED, 10);
    assert_int_equal(schedule_next_ms(schedule, 10), 10);
    assert_non_null(schedule_take(schedule, 10));
    assert_null(schedule_take(schedule, 10));
    schedule_set_max_tasks(schedule, 4, 1, 0);
    assert_non_null(schedule_take(schedule, 10));
    assert_null(schedule_take(schedule, 10));
}

static void a_job_in_flight_is_not_sent_again(void **state)
{
    (void)state;
    BENCH(UNLIMITED, 16);
    schedule_set_due(schedule, &jobs[0], 0);
    assert_ptr_equal(schedule_take(schedule, 0), &jobs[0]);
    schedule_set_due(schedule, &jobs[0], 0);
    schedule_demand(schedule, &jobs[0], 0, 0);
    schedule_demand(schedule, &jobs[0], 5, 5);
    assert_null(schedule_take(schedule, 5));
}

static void a_caller_is_served_by_an_attempt_sent_late_enough(void **state)
{
    (void)state;
    BENCH(UNLIMITED, 16);
    schedule_demand(schedule, &jobs[0], 100, 100);
    assert_ptr_equal(schedule_take(schedule, 100), &jobs[0]);
    schedule_demand(schedule, &jobs[0], 100, 150); /* is served by the attempt in flight */
    schedule_end(schedule, &jobs[0], JOB_END_ANSWERED, 200);
    assert_null(schedule_take(schedule, 200));
}

static void a_caller_whom_the_attempt_in_flight_is_too_old_for_gets_another_one(void **state)
{
    (void)state;
    BENCH(UNLIMITED, 16);
    schedule_demand(schedule, &jobs[0], 100, 100);
    assert_ptr_equal(schedule_take(schedule, 100), &jobs[0]);
    schedule_demand(schedule, &jobs[0], 101, 150);
    schedule_demand(schedule, &jobs[0], 90, 160); /* a less demanding one changes nothing */
    schedule_end(schedule, &jobs[0], JOB_END_ANSWERED, 200);
    assert_ptr_equal(schedule_take(schedule, 200), &jobs[0]);
    schedule_end(schedule, &jobs[0], JOB_END_ANSWERED, 300);
    assert_null(schedule_take(schedule, 300));
}

/* Whichever of them comes last. */
static void an_attempt_has_to_be_late_enough_for_all_callers(void **state)
{
    (void)state;
    BENCH(UNLIMITED, 16);
    schedule_demand(schedule, &jobs[0], 100, 100);
    assert_ptr_equal(schedule_take(schedule, 100), &jobs[0]);
    schedule_demand(schedule, &jobs[0], 300, 150);
    schedule_demand(schedule, &jobs[0], 200, 160);
    schedule_started(schedule, &jobs[0], 250);
    schedule_end(schedule, &jobs[0], JOB_END_ANSWERED, 260);
    assert_ptr_equal(schedule_take(schedule, 300), &jobs[0]);
}

static void an_attempt_that_started_late_serves_earlier_callers(void **state)
{
    (void)state;
    BENCH(UNLIMITED, 16);
    schedule_demand(schedule, &jobs[0], 100, 100);
    assert_ptr_equal(schedule_take(schedule, 100), &jobs[0]);
    schedule_demand(schedule, &jobs[0], 150, 150);
    schedule_started(schedule, &jobs[0], 180);
    schedule_end(schedule, &jobs[0], JOB_END_ANSWERED, 200);
    assert_int_equal(jobs[0].duration_ms, 20);
    assert_null(schedule_take(schedule, 200));
}

static void a_round_takes_as_long_as_each_job_took_last(void **state)
{
    (void)state;
    BENCH(1, 1);
    bench_measure(schedule, &jobs[0], 0, 500);
    bench_measure(schedule, &jobs[1], 500, 800);
    assert_int_equal(schedule->durations_ms, 500 + 300);
    bench_measure(schedule, &jobs[0], 800, 850);
    assert_int_equal(schedule->durations_ms, 50 + 300);
    schedule_remove(schedule, &jobs[1]);
    assert_int_equal(schedule->durations_ms, 50);
}

static void a_job_that_is_returned_is_as_it_was(void **state)
{
    (void)state;
    BENCH(1, 1);
    schedule_set_due(schedule, &jobs[0], 50);
    schedule_demand(schedule, &jobs[1], 100, 100);
    assert_ptr_equal(schedule_take(schedule, 100), &jobs[1]);
    schedule_end(schedule, &jobs[1], JOB_END_RETURNED, 200);
    assert_int_equal(jobs[1].due_ms, 100);
    assert_ptr_equal(schedule_take(schedule, 200), &jobs[1]); /* its caller still comes first */
    schedule_end(schedule, &jobs[1], JOB_END_ANSWERED, 210);
    assert_ptr_equal(schedule_take(schedule, 210), &jobs[0]);
}

static void so_is_one_that_a_caller_joined_in_flight(void **state)
{
    (void)state;
    BENCH(1, 1);
    schedule_set_due(schedule, &jobs[0], 100);
    assert_ptr_equal(schedule_take(schedule, 100), &jobs[0]);
    schedule_demand(schedule, &jobs[0], 50, 150);
    schedule_demand(schedule, &jobs[1], 150, 150);
    schedule_set_due(schedule, &jobs[2], 50);
    schedule_end(schedule, &jobs[0], JOB_END_RETURNED, 200);
    assert_ptr_equal(schedule_take(schedule, 200), &jobs[0]);
    schedule_end(schedule, &jobs[0], JOB_END_ANSWERED, 210);
    assert_ptr_equal(schedule_take(schedule, 210), &jobs[1]);
}

static void a_job_that_is_lost_waits_for_somebody_to_want_it(void **state)
{
    (void)state;
    BENCH(UNLIMITED, 16);
    schedule_demand(schedule, &jobs[0], 0, 0);
    assert_ptr_equal(schedule_take(schedule, 0), &jobs[0]);
    schedule_demand(schedule, &jobs[0], 10, 10);
    schedule_end(schedule, &jobs[0], JOB_END_LOST, 20);
    assert_null(schedule_take(schedule, 20));
    schedule_demand(schedule, &jobs[0], 30, 30);
    assert_ptr_equal(schedule_take(schedule, 30), &jobs[0]);
}

/* They got an error, and the job is due later for nobody in particular. */
static void callers_of_a_job_that_is_lost_wait_no_more(void **state)
{
    (void)state;
    BENCH(1, 1);
    schedule_demand(schedule, &jobs[0], 0, 0);
    assert_ptr_equal(schedule_take(schedule, 0), &jobs[0]);
    schedule_demand(schedule, &jobs[0], 10, 10);
    schedule_end(schedule, &jobs[0], JOB_END_LOST, 20);
    schedule_set_due(schedule, &jobs[0], 30);
    schedule_demand(schedule, &jobs[1], 40, 40);
    assert_ptr_equal(schedule_take(schedule, 40), &jobs[1]);
}

static void a_removed_job_is_never_taken(void **state)
{
    (void)state;
    BENCH(UNLIMITED, 16);
    for (int i = 0; i < JOBS; i++)
        schedule_set_due(schedule, &jobs[i], (i * 29) % 50);
    for (int i = 0; i < JOBS; i += 2)
        schedule_remove(schedule, &jobs[i]);
    schedule_remove(schedule, &jobs[0]);
    const struct job *job;
    int64_t last_ms = 0;
    for (int taken = 0; (job = schedule_take(schedule, 100)) != NULL || taken < JOBS / 2; taken++) {
        assert_non_null(job);
        assert_int_equal((job - jobs) % 2, 1);
        assert_true(job->due_ms >= last_ms);
        last_ms = job->due_ms;
    }
}

static void delays_and_utilization_are_those_of_the_last_seconds(void **state)
{
    (void)state;
    BENCH(1, 1);
    bench_measure(schedule, &jobs[0], 0, 500);
    assert_true(schedule_utilization(schedule, 1000) > 0.04);
    for (int i = 0; i < 2; i++)
        schedule_set_due(schedule, &jobs[i], 1000);
    assert_non_null(schedule_take(schedule, 1000));
    assert_null(schedule_take(schedule, 1900));
    assert_int_equal(schedule_delay_ms(schedule, 1900), 900);
    schedule_end(schedule, &jobs[0], JOB_END_ANSWERED, 2000);
    assert_ptr_equal(schedule_take(schedule, 2000), &jobs[1]);
    assert_int_equal(schedule_delay_ms(schedule, 2000), 0);
    assert_int_equal(schedule_recent_delay_ms(schedule, 9000), 1000);
    schedule_end(schedule, &jobs[1], JOB_END_ANSWERED, 9000);
    assert_int_equal(schedule_recent_delay_ms(schedule, 19000),
                     1000); /* reading it prolongs nothing */
    assert_int_equal(schedule_recent_delay_ms(schedule, 25000), 0);
    assert_true(schedule_utilization(schedule, 50000) < 0.5);
    schedule_set_due(schedule, &jobs[2], 60000);
    assert_ptr_equal(schedule_take(schedule, 60000), &jobs[2]);
    assert_true(schedule_utilization(schedule, 60000) == 0); /* nothing was in flight until now */
}

static void the_delay_is_that_of_the_longest_overdue_though_another_goes_first(void **state)
{
    (void)state;
    BENCH(1, 1);
    schedule_demand(schedule, &jobs[0], 0, 0);
    assert_ptr_equal(schedule_take(schedule, 0), &jobs[0]);
    schedule_set_due(schedule, &jobs[1], 0);
    assert_null(schedule_take(schedule, 0));
    schedule_demand(schedule, &jobs[2], 30000, 30000);
    assert_int_equal(schedule_delay_ms(schedule, 30000), 30000);
    schedule_demand(schedule, &jobs[1], 30000, 30000);
    assert_int_equal(schedule_delay_ms(schedule, 30000), 30000); /* both have callers */
    schedule_end(schedule, &jobs[0], JOB_END_ANSWERED, 30000);
    assert_ptr_equal(schedule_take(schedule, 30000), &jobs[1]);
    assert_int_equal(schedule_delay_ms(schedule, 31000), 1000);
}

static void a_job_is_late_since_it_is_wanted(void **state)
{
    (void)state;
    BENCH(1, 1);
    schedule_want(schedule, &jobs[0], 0, 30000); /* nobody wanted it for half a minute */
    assert_int_equal(schedule_delay_ms(schedule, 30000), 0);
    schedule_want(schedule, &jobs[0], 0, 31000); /* and now somebody does, still */
    assert_ptr_equal(schedule_take(schedule, 32000), &jobs[0]);
    assert_int_equal(schedule_recent_delay_ms(schedule, 32000), 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_is_taken_when_it_is_due_and_not_before),
        cmocka_unit_test(there_is_always_a_place_for_one),
        cmocka_unit_test(a_due_time_can_be_changed_and_taken_back),
        cmocka_unit_test(the_longest_overdue_comes_first),
        cmocka_unit_test(jobs_that_are_due_can_be_made_ready_one_at_a_time),
        cmocka_unit_test(a_waiting_caller_comes_before_longer_overdue_jobs),
        cmocka_unit_test(what_nobody_wanted_is_not_overdue),
        cmocka_unit_test(whoever_plans_a_job_takes_it_from_no_caller),
        cmocka_unit_test(a_job_overdue_for_a_minute_comes_before_callers),
        cmocka_unit_test(a_stream_of_callers_starves_no_job),
        cmocka_unit_test(max_tasks_is_kept),
        cmocka_unit_test(a_job_in_flight_is_not_sent_again),
        cmocka_unit_test(a_caller_is_served_by_an_attempt_sent_late_enough),
        cmocka_unit_test(a_caller_whom_the_attempt_in_flight_is_too_old_for_gets_another_one),
        cmocka_unit_test(an_attempt_has_to_be_late_enough_for_all_callers),
        cmocka_unit_test(an_attempt_that_started_late_serves_earlier_callers),
        cmocka_unit_test(a_round_takes_as_long_as_each_job_took_last),
        cmocka_unit_test(a_job_that_is_returned_is_as_it_was),
        cmocka_unit_test(so_is_one_that_a_caller_joined_in_flight),
        cmocka_unit_test(a_job_that_is_lost_waits_for_somebody_to_want_it),
        cmocka_unit_test(callers_of_a_job_that_is_lost_wait_no_more),
        cmocka_unit_test(a_removed_job_is_never_taken),
        cmocka_unit_test(delays_and_utilization_are_those_of_the_last_seconds),
        cmocka_unit_test(the_delay_is_that_of_the_longest_overdue_though_another_goes_first),
        cmocka_unit_test(a_job_is_late_since_it_is_wanted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
