/* Jobs that timed out or are slow: they delay nobody, and nobody starves. */
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

static void a_job_that_was_slow_once_does_not_wait_behind_time_outs(void **state)
{
    (void)state;
    BENCH(4, 1);
    for (int i = 0; i < 20; i++) {
        schedule_set_due(schedule, &jobs[i], 0);
        time_out(schedule, &jobs[i], 0, 1000);
    }
    bench_measure(schedule, &jobs[20], 1000, 2500);
    schedule_set_due(schedule, &jobs[20], 60000); /* long after the others */
    schedule_set_due(schedule, &jobs[21], 60000); /* and somebody quick waits */
    int before = 0;
    for (struct job *job; (job = schedule_take(schedule, 60000)) != &jobs[20]; before++) {
        assert_non_null(job);
        schedule_end(schedule, job, job == &jobs[21] ? JOB_END_ANSWERED : JOB_END_TIMED_OUT, 60000);
    }
    assert_in_range(before, 0, 2);
    schedule_end(schedule, &jobs[20], JOB_END_ANSWERED, 60000);
    assert_int_equal(schedule_take(schedule, 60000)->timeouts, 1); /* these have their turn, too */
}

/* Of these jobs the first `hanging` time out after a second and the others, which took 1.5 s the
 * last time, are answered after `answer_ms`. How long it takes until all others are;
 * `ret_longest_ms`: without one that hangs. */
static int64_t measure_beside_time_outs(struct schedule *schedule, struct job *jobs, int hanging,
                                        int64_t answer_ms, int64_t *ret_longest_ms)
{
    int left = JOBS - hanging;
    int64_t now_ms = 100000;
    for (int i = 0; i < hanging; i++) {
        schedule_set_due(schedule, &jobs[i], 0);
        time_out(schedule, &jobs[i], 0, 1000);
    }
    for (int i = hanging; i < JOBS; i++)
        bench_measure(schedule, &jobs[i], 1000, 2500);
    for (int i = hanging; i < JOBS; i++)
        schedule_set_due(schedule, &jobs[i], now_ms);
    const int64_t began_ms = now_ms;
    int64_t last_ms = now_ms;
    *ret_longest_ms = 0;
    while (left > 0) {
        struct job *job = schedule_take(schedule, now_ms);
        bool hangs = job - jobs < hanging;
        assert_non_null(job);
        if (hangs && now_ms - last_ms > *ret_longest_ms)
            *ret_longest_ms = now_ms - last_ms;
        now_ms += hangs ? 1000 : answer_ms;
        if (hangs)
            last_ms = now_ms;
        left -= !hangs;
        schedule_end(schedule, job, hangs ? JOB_END_TIMED_OUT : JOB_END_ANSWERED, now_ms);
    }
    return now_ms - began_ms;
}

static void many_that_were_slow_once_do_not_wait_for_as_many_time_outs(void **state)
{
    (void)state;
    BENCH(1, 1);
    int64_t longest_ms;
    int64_t took_ms = measure_beside_time_outs(schedule, jobs, 20, 5, &longest_ms);
    assert_in_range(took_ms, 44 * 5, 1000 + 44 * 5);
}

static void time_outs_have_their_turn_within_a_second(void **state)
{
    (void)state;
    BENCH(1, 1);
    int64_t longest_ms;
    int64_t took_ms = measure_beside_time_outs(schedule, jobs, 20, 100, &longest_ms);
    assert_in_range(took_ms, 44 * 100 + 4 * 1000, 44 * 100 + 5 * 1000);
    assert_in_range(longest_ms, 900, 1100);
}

static void jobs_that_are_slow_indeed_take_turns_with_time_outs(void **state)
{
    (void)state;
    BENCH(1, 1);
    int64_t longest_ms;
    measure_beside_time_outs(schedule, jobs, 20, 1200, &longest_ms);
    assert_int_equal(longest_ms, 1200);
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

static void slow_answers_use_all_places_where_no_other_job_waits(void **state)
{
    (void)state;
    BENCH(4, 1);
    for (int i = 0; i < 4; i++)
        bench_measure(schedule, &jobs[i], 0, 1500);
    for (int i = 0; i < 4; i++)
        schedule_set_due(schedule, &jobs[i], 2000);
    for (int i = 0; i < 4; i++)
        assert_non_null(schedule_take(schedule, 2000));
    schedule_end(schedule, &jobs[0], JOB_END_ANSWERED, 3500);
    schedule_set_due(schedule, &jobs[0], 3500);
    schedule_set_due(schedule, &jobs[10], 3600); /* and has its place as soon as one is free */
    assert_ptr_equal(schedule_take(schedule, 3600), &jobs[10]);
    assert_null(schedule_take(schedule, 3600));
}

static void slow_answers_leave_time_outs_their_turn(void **state)
{
    (void)state;
    BENCH(2, 1);
    bench_measure(schedule, &jobs[0], 0, 1100);
    bench_measure(schedule, &jobs[1], 1100, 2200);
    for (int i = 2; i < 4; i++) {
        schedule_set_due(schedule, &jobs[i], 2200);
        time_out(schedule, &jobs[i], 2200, 2300);
    }
    schedule_set_due(schedule, &jobs[0], 2400);
    schedule_set_due(schedule, &jobs[1], 2400);
    assert_ptr_equal(schedule_take(schedule, 2400), &jobs[0]);
    assert_ptr_equal(schedule_take(schedule, 2400), &jobs[1]); /* all places */
    schedule_end(schedule, &jobs[0], JOB_END_ANSWERED, 5000);
    schedule_set_due(schedule, &jobs[0], 5000);
    assert_int_equal(schedule_take(schedule, 5000)->timeouts, 1);
    schedule_end(schedule, &jobs[1], JOB_END_ANSWERED, 6000);
    schedule_set_due(schedule, &jobs[1], 6000);
    assert_ptr_equal(schedule_take(schedule, 6000), &jobs[0]); /* one place is theirs, not two */
}

static void slow_jobs_beyond_their_share_are_cancelled_while_others_wait(void **state)
{
    (void)state;
    BENCH(4, 1);
    for (int i = 0; i < 5; i++)
        schedule_set_due(schedule, &jobs[i], i);
    for (int i = 0; i < 4; i++)
        assert_ptr_equal(schedule_take(schedule, 10 + i), &jobs[i]);
    assert_null(schedule_cancel(schedule, 900));
    assert_int_equal(schedule_next_ms(schedule, 900), 10 + SCHEDULE_SLOW_MS);
    assert_int_equal(schedule_next_ms(schedule, 1011), 1011);
    assert_ptr_equal(schedule_cancel(schedule, 1013), &jobs[3]);
    assert_ptr_equal(schedule_cancel(schedule, 1013), &jobs[2]);
    assert_ptr_equal(schedule_cancel(schedule, 1013), &jobs[1]);
    assert_null(schedule_cancel(schedule, 1013)); /* the first has the one place */
    assert_int_equal(schedule_next_ms(schedule, 1013), CLOCK_NEVER);
    schedule_end(schedule, &jobs[3], JOB_END_ISOLATED, 1014);
    assert_ptr_equal(schedule_take(schedule, 1014), &jobs[4]);
    assert_null(schedule_take(schedule, 1014));
}

static void a_cancelled_job_is_sent_again_where_a_place_is_free(void **state)
{
    (void)state;
    BENCH(2, 1);
    for (int i = 0; i < 3; i++)
        schedule_set_due(schedule, &jobs[i], i);
    assert_ptr_equal(schedule_take(schedule, 10), &jobs[0]);
    assert_ptr_equal(schedule_take(schedule, 10), &jobs[1]);
    assert_ptr_equal(schedule_cancel(schedule, 1010), &jobs[1]);
    schedule_end(schedule, &jobs[1], JOB_END_ISOLATED, 1010);
    assert_ptr_equal(schedule_take(schedule, 1010), &jobs[2]);
    schedule_end(schedule, &jobs[0], JOB_END_ANSWERED, 1500);
    assert_ptr_equal(schedule_take(schedule, 1500), &jobs[1]);
    assert_true(jobs[1].is_isolated);
    assert_int_equal(jobs[1].timeouts, 0); /* it has not failed */
}

/* Or one that hangs after it would keep its place. */
static void a_cancelled_job_that_has_ended_is_counted_no_more(void **state)
{
    (void)state;
    BENCH(2, 1);
    for (int i = 0; i < 4; i++)
        schedule_set_due(schedule, &jobs[i], i);
    assert_ptr_equal(schedule_take(schedule, 10), &jobs[0]);
    assert_ptr_equal(schedule_take(schedule, 10), &jobs[1]);
    assert_ptr_equal(schedule_cancel(schedule, 1010), &jobs[1]);
    schedule_end(schedule, &jobs[1], JOB_END_ISOLATED, 1010);
    assert_ptr_equal(schedule_take(schedule, 1010), &jobs[2]);
    assert_null(schedule_cancel(schedule, 1020));
    assert_ptr_equal(schedule_cancel(schedule, 2010), &jobs[2]);
}

/* Or those that were not would be taken for more than their places hold. */
static void only_a_cancelled_job_is_counted_as_one(void **state)
{
    (void)state;
    BENCH(2, 1);
    for (int i = 0; i < 2; i++)
        bench_measure(schedule, &jobs[0], (int64_t)i * 10, (int64_t)i * 10 + 5);
    for (int i = 0; i < 3; i++)
        schedule_set_due(schedule, &jobs[i], 20 + i);
    assert_ptr_equal(schedule_take(schedule, 30), &jobs[0]);
    assert_ptr_equal(schedule_take(schedule, 30), &jobs[1]);
    assert_ptr_equal(schedule_cancel(schedule, 1030), &jobs[1]);
    assert_null(schedule_cancel(schedule, 1030)); /* the first has the one place */
}

static void nothing_is_cancelled_where_no_job_waits(void **state)
{
    (void)state;
    BENCH(2, 1);
    for (int i = 0; i < 2; i++) {
        schedule_set_due(schedule, &jobs[i], 0);
        assert_non_null(schedule_take(schedule, 0));
    }
    assert_null(schedule_cancel(schedule, 60000));
    assert_int_equal(schedule_next_ms(schedule, 60000), CLOCK_NEVER);
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

static void isolated_jobs_are_not_late(void **state)
{
    (void)state;
    BENCH(1, 1);
    bench_measure(schedule, &jobs[1], 0, 1500); /* slow */
    bench_measure(schedule, &jobs[2], 1500, 3000);
    schedule_demand(schedule, &jobs[0], 3000, 3000);
    assert_ptr_equal(schedule_take(schedule, 3000), &jobs[0]);
    schedule_demand(schedule, &jobs[1], 3000, 3000); /* and another one without a caller */
    schedule_set_due(schedule, &jobs[2], 3000);
    assert_null(schedule_take(schedule, 9000));
    assert_int_equal(schedule_delay_ms(schedule, 9000), 0);
}

static int64_t oldest_sent_ms(const struct schedule *schedule)
{
    return schedule->sent == NULL ? CLOCK_NEVER : schedule->sent->sent_ms;
}

static void the_oldest_in_flight_comes_first_though_jobs_become_slow(void **state)
{
    (void)state;
    BENCH(3, 2);
    assert_int_equal(oldest_sent_ms(schedule), CLOCK_NEVER);
    bench_measure(schedule, &jobs[1], 0, 1500);
    schedule_set_due(schedule, &jobs[0], 2000);
    assert_ptr_equal(schedule_take(schedule, 2000), &jobs[0]);
    schedule_set_due(schedule, &jobs[1], 2100);
    assert_ptr_equal(schedule_take(schedule, 2100), &jobs[1]); /* slow at once, and sent later */
    schedule_set_due(schedule, &jobs[2], 2200);
    schedule_set_due(schedule, &jobs[3], 2200);
    assert_ptr_equal(schedule_take(schedule, 2200), &jobs[2]);
    assert_null(schedule_cancel(schedule, 3000));
    assert_true(jobs[0].is_isolated);
    assert_int_equal(oldest_sent_ms(schedule), 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_that_timed_out_is_spaced_out),
        cmocka_unit_test(callers_do_not_hasten_a_job_that_is_spaced_out),
        cmocka_unit_test(a_job_that_is_answered_in_time_is_normal_again),
        cmocka_unit_test(a_job_that_is_hastened_is_due_at_once),
        cmocka_unit_test(jobs_that_time_out_have_a_share_of_the_places),
        cmocka_unit_test(a_job_that_was_slow_once_does_not_wait_behind_time_outs),
        cmocka_unit_test(many_that_were_slow_once_do_not_wait_for_as_many_time_outs),
        cmocka_unit_test(time_outs_have_their_turn_within_a_second),
        cmocka_unit_test(jobs_that_are_slow_indeed_take_turns_with_time_outs),
        cmocka_unit_test(without_a_limit_there_are_places_for_time_outs_too),
        cmocka_unit_test(slow_answers_use_all_places_where_no_other_job_waits),
        cmocka_unit_test(slow_answers_leave_time_outs_their_turn),
        cmocka_unit_test(slow_jobs_beyond_their_share_are_cancelled_while_others_wait),
        cmocka_unit_test(a_cancelled_job_is_sent_again_where_a_place_is_free),
        cmocka_unit_test(a_cancelled_job_that_has_ended_is_counted_no_more),
        cmocka_unit_test(only_a_cancelled_job_is_counted_as_one),
        cmocka_unit_test(nothing_is_cancelled_where_no_job_waits),
        cmocka_unit_test(callers_of_a_job_that_timed_out_wait_no_more),
        cmocka_unit_test(isolated_jobs_are_not_late),
        cmocka_unit_test(the_oldest_in_flight_comes_first_though_jobs_become_slow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
